"""Invitations, and pending codes and links, on the wire. What is secret of them is told to an owner alone, and only where no mail is sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from app.api.people.schemas import Email, Role
from app.api.wire import Body, Moment, Out, PageQuery


class InviteIn(Body):
    email: Email
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    role: Role = "trader"


class InviteQuery(PageQuery):
    id: str | None = None
    email: str | None = None
    role: Role | None = None
    state: Literal["open", "over"] | None = None


class InviteOut(Out):
    """`over`: its time has passed; sent again it is good for another three days. `sends`: how often it was sent."""

    id: str
    email: str
    name: str
    role: str
    state: Literal["open", "over"]
    invited_by: str
    sends: int
    created_at: Moment
    sent_at: Moment
    expires_at: Moment


class CodeQuery(PageQuery):
    purpose: Literal["sign_up", "invite", "reset"] | None = None


class CodeOut(Out):
    """`secret` is six digits (sign_up) or the address of a link; null for a sign-up with the address of somebody who is here already."""

    id: str
    purpose: str
    email: str
    name: str
    secret: str | None
    created_at: Moment
    expires_at: Moment
