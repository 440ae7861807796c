"""The room of one's own safety: the second factor, the password, the browsers in which one is signed in."""

from __future__ import annotations

from flask import Response

from app.pages.room import page, reads, room

routes = room("security")


@routes.get("/settings/security")
def index() -> Response:
    read = reads()
    factor = read.second_factor()
    return page("security/show.html", factor=factor, enrolment=read.enrolment() if factor.begun else None, sign_ins=read.sign_ins())


@routes.get("/settings/security/qr.svg")
def qr() -> Response:
    """The key that waits to be confirmed, for a phone's camera; gone with its confirmation, and kept by no cache."""
    return Response(reads().enrolment_qr(), mimetype="image/svg+xml", headers={"Cache-Control": "no-store"})
