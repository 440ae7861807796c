"""Invitations and pending codes. An owner invites; whoever has the link chooses a name and a password. Links begin with the configured address."""

from __future__ import annotations

from app.api.invites.schemas import CodeOut, CodeQuery, InviteIn, InviteOut, InviteQuery
from app.api.pages import keep, page_of
from app.api.people.service import owner_only
from app.api.wire import Page, moment
from app.auth.sign_up import post_of
from app.data import Actor, Code, Conflict, TooSoon, User, UserRole
from app.problems import Problem
from app.workspace import workspace

_INVITES = InviteQuery()
_CODES = CodeQuery()


def list_invites(user: User, query: InviteQuery = _INVITES) -> Page[InviteOut]:
    owner_only(user)
    return page_of(keep([invite_out(code) for code in workspace().data.invites.open()], query), query, lambda i: (i.created_at, i.id))


def invite(user: User, body: InviteIn, by: Actor) -> InviteOut:
    owner_only(user)
    shop = workspace()
    made = shop.data.invites.send(body.email, UserRole(body.role), body.name, inviter=user, by=by, post=post_of(shop))
    return invite_out(made)


def invite_again(user: User, invite_id: str, by: Actor) -> InviteOut:
    owner_only(user)
    shop = workspace()
    try:
        return invite_out(shop.data.invites.send_again(invite_id, inviter=user, by=by, post=post_of(shop)))
    except TooSoon as error:
        seconds = max(1, round(error.after))
        headers = {"Retry-After": str(seconds)}
        raise Problem(429, f"This invitation was sent a moment ago. Wait {seconds} s, then send it again.", headers=headers) from None


def withdraw(user: User, invite_id: str, by: Actor) -> None:
    owner_only(user)
    workspace().data.invites.withdraw(invite_id, by=by)


def list_codes(user: User, query: CodeQuery = _CODES) -> Page[CodeOut]:
    """What nobody has mailed, newest last. Conflict where mail is sent: then codes and links are for their addressee alone."""
    owner_only(user)
    shop = workspace()
    if shop.settings.mail_ready:
        raise Conflict("Mail is set up: codes and links go to their addressee alone.")
    base = shop.settings.base_url
    shown = [
        CodeOut(
            id=one.code.code_id,
            purpose=one.code.purpose,
            email=one.code.email,
            name=one.code.name,
            secret=base + one.secret if one.secret is not None and one.secret.startswith("/") else one.secret,
            created_at=moment(one.code.created_at),
            expires_at=moment(one.code.expires_at),
        )
        for one in shop.data.codes.pending()
    ]
    return page_of(keep(shown, query), query, lambda c: (c.created_at, c.id))


def only_here(user: User) -> str:
    """How links begin where they open on this machine only; "" where other devices can open them."""
    owner_only(user)
    settings = workspace().settings
    return settings.base_url if settings.links_stay_here else ""


def invite_out(code: Code) -> InviteOut:
    shop = workspace()
    inviter = shop.data.users.known(code.by or "")
    return InviteOut(
        id=code.code_id,
        email=code.email,
        name=code.name,
        role=str(code.role),
        state="open" if shop.clock.now() < code.expires_at else "over",
        invited_by=(inviter.name or inviter.email) if inviter else "",
        sends=code.sends,
        created_at=moment(code.created_at),
        sent_at=moment(code.sent_at),
        expires_at=moment(code.expires_at),
    )
