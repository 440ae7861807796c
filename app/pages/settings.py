"""Settings (own name, password, API tokens, webhooks, the log of what was changed) and, for the owner, people."""

from __future__ import annotations

from flask import Response, abort
from flask_login import current_user

from app.pages import words
from app.pages.room import accounts, filters, names, older, page, reads, room, strategy_names

routes = room("settings")


@routes.get("/settings")
def index() -> Response:
    read = reads()
    return page(
        "settings.html",
        tokens=read.tokens(),
        webhooks=read.webhooks(),
        strategies=read.strategies(),
        accounts=accounts(),
        names=names(),
        strategy_names=strategy_names(),
    )


@routes.get("/settings/log")
def log() -> Response:
    args = filters("action", "object_kind", "object_id")
    found = reads().audit(args)
    return page("log.html", rows=found, args=args, next_url=older(args, found.next))


@routes.get("/people")
def people() -> Response:
    if str(current_user.role) != "owner":
        abort(403)
    return page("people.html", people=reads().people(), roles=words.ROLES)
