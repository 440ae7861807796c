"""Routes of invitations and of pending codes; owners alone."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.invites import service
from app.api.invites.schemas import CodeOut, CodeQuery, InviteIn, InviteOut, InviteQuery
from app.api.wire import Page
from app.data import UserRole

routes = Routes("invites")


@routes.get("/api/invites", query=InviteQuery, out=Page[InviteOut], role=UserRole.OWNER)
def invites(call: Call) -> Page[InviteOut]:
    """Invitations that nobody has accepted yet; owner only."""
    return service.list_invites(call.user, call.query)


@routes.post("/api/invites", body=InviteIn, out=InviteOut, status=201, role=UserRole.OWNER, errors=(409,))
def invite(call: Call) -> InviteOut:
    """Invite somebody by e-mail, with a role; owner only.

    They get a link that is good once, for 72 hours; where no mail is sent, `GET /api/codes` has it."""
    return service.invite(call.user, call.body, call.by)


@routes.post("/api/invites/{id}/resend", out=InviteOut, role=UserRole.OWNER, errors=(409, 429))
def invite_again(call: Call, id: str) -> InviteOut:  # noqa: A002 - the name of the path's parameter
    """A new link in place of the old one, good for another 72 hours; owner only. At most one a minute."""
    return service.invite_again(call.user, id, call.by)


@routes.delete("/api/invites/{id}", role=UserRole.OWNER)
def withdraw(call: Call, id: str) -> None:  # noqa: A002
    """The invitation's link is worth nothing from now on; owner only."""
    service.withdraw(call.user, id, call.by)


@routes.get("/api/codes", query=CodeQuery, out=Page[CodeOut], role=UserRole.OWNER, errors=(409,))
def codes(call: Call) -> Page[CodeOut]:
    """Codes and links that wait, to be passed on by the owner where no mail is sent.

    409 where mail is set up: then they are for their addressee alone."""
    return service.list_codes(call.user, call.query)
