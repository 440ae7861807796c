"""People, for an owner: who is here, who is invited, whether strangers may sign up, and what has to be passed on where no mail is sent."""

from __future__ import annotations

from flask import Response, abort
from flask_login import current_user

from app.pages import words
from app.pages.room import page, reads, room

routes = room("people")

INVITED_AS = (("trader", "Trader"), ("viewer", "Viewer"), ("owner", "Owner"))
PURPOSES = {"sign_up": "Sign-up code", "invite": "Invitation", "reset": "New password"}


@routes.get("/people")
def index() -> Response:
    if str(current_user.role) != "owner":
        abort(403)
    read = reads()
    house = read.workspace()
    return page(
        "people.html",
        people=sorted(read.people(), key=lambda person: (not person.active, person.created_at)),
        invites=read.invites(),
        only_here=read.only_here(),
        house=house,
        codes=[] if house.mail else read.codes(),
        roles=words.ROLES,
        invited_as=INVITED_AS,
        purposes=PURPOSES,
    )
