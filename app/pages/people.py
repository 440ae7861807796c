"""People, for an owner: who is here, who is invited, whether strangers may sign up, and what has to be passed on where no mail is sent."""

from __future__ import annotations

from flask import Response, abort
from flask_login import current_user

from app.pages import words
from app.pages.room import page, reads, room

routes = room("people")

PURPOSES = {"sign_up": "Sign-up code", "invite": "Invitation", "reset": "New password"}


@routes.get("/people")
def index() -> Response:
    if str(current_user.role) != "owner":
        abort(403)
    read = reads()
    house = read.workspace()
    return page(
        "people.html",
        people=read.people(),
        invites=read.invites(),
        house=house,
        codes=[] if house.mail else read.codes(),
        roles=words.ROLES,
        purposes=PURPOSES,
    )
