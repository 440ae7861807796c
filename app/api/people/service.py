"""People and API tokens. An owner sees who is there and what role they have, never their orders, balances or credentials."""

from __future__ import annotations

from contextlib import nullcontext

from app.api.pages import keep, page_of
from app.api.people.schemas import (
    CreatedToken,
    MePatch,
    PasswordIn,
    TokenIn,
    TokenOut,
    TokenQuery,
    UserIn,
    UserOut,
    UserPatch,
    UserQuery,
)
from app.api.wire import Page, moment, moment_or_none
from app.auth import guard_password, remember, this_sign_in
from app.auth.throttle import HASHING
from app.data import Actor, ApiToken, User, UserRole
from app.problems import Problem, field_problem
from app.workspace import Workspace, workspace

_PEOPLE = UserQuery()
_TOKENS = TokenQuery()


def list_people(user: User, query: UserQuery = _PEOPLE) -> Page[UserOut]:
    owner_only(user)
    data = workspace().data
    second = data.second_factor.everybody()
    shown = [_shown(each, each.user_id in second) for each in data.users.all()]
    return page_of(keep(shown, query), query, lambda u: (u.created_at, u.id))


def get_person(user: User, user_id: str) -> UserOut:
    if user_id != user.user_id:
        owner_only(user)
    return user_out(workspace().data.users.get(user_id))


def add_person(user: User, body: UserIn, by: Actor) -> UserOut:
    owner_only(user)
    with HASHING:
        return user_out(workspace().data.users.add(body.email, body.password, role=UserRole(body.role), name=body.name, by=by))


def change_person(user: User, user_id: str, body: UserPatch, by: Actor) -> UserOut:
    """All of it or nothing; the last owner stays an owner, and active."""
    owner_only(user)
    if body.password is not None and user_id == user.user_id:
        raise field_problem("password", "is your own: change it under /api/me/password, which asks for the present one")
    shop = workspace()
    users, mail = shop.data.users, shop.settings.mail_ready
    present = users.get(user_id)
    role = UserRole(body.role) if body.role not in (None, present.role.value) else None
    active = body.active if body.active != present.active else None
    with HASHING if body.password is not None else nullcontext():
        changed = users.change(user_id, role=role, active=active, name=body.name, password=body.password, by=by, mail=mail)
    if body.role is not None or body.active is not None:
        shop.taken_over()  # what was shared with them, or by them, may have ended
        if not changed.may_trade:
            _take_back(shop, user_id)
    return user_out(changed)


def _take_back(shop: Workspace, user_id: str) -> None:
    """Nobody waits here for brokers: what has not left never does from now on, and what rests at a broker is cancelled in its lane's turn."""
    for account_id in shop.owners.account_ids(user_id):
        shop.system.cancel_entries(account_id)


def me(user: User) -> UserOut:
    return user_out(user)


def change_me(user: User, body: MePatch, by: Actor) -> UserOut:
    return user_out(workspace().data.users.set_name(user.user_id, body.name, by=by))


def change_password(user: User, body: PasswordIn, by: Actor) -> UserOut:
    """Signs out every other browser of this person; the one that asks goes on with a new cookie. Programs ask with a token: no browser stays."""
    shop, this = workspace(), this_sign_in()
    users = shop.data.users
    if not guard_password(user, lambda: users.check_password(user.user_id, body.current)):
        raise Problem(403, "That is not your present password.", errors={"current": ["is wrong"]})
    with HASHING:
        changed = users.set_password(user.user_id, body.new, by=by, but=this, mail=shop.settings.mail_ready, epoch=user.session_epoch)
    if this is not None:
        remember(changed, this)
    return user_out(changed)


# --- tokens --------------------------------------------------------------------------------------------------------


def list_tokens(user: User, query: TokenQuery = _TOKENS) -> Page[TokenOut]:
    shown = [token_out(token) for token in workspace().data.tokens.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda t: (t.created_at, t.id))


def create_token(user: User, body: TokenIn, by: Actor) -> CreatedToken:
    shop = workspace()
    if body.expires_at is not None and body.expires_at <= shop.clock.now():
        raise field_problem("expires_at", "must be in the future")
    row, token = shop.data.tokens.create(user.user_id, body.name, scope=body.scope, expires_at=body.expires_at, by=by)
    return CreatedToken(**dict(token_out(row)), token=token)


def revoke_token(user: User, token_id: str, by: Actor) -> None:
    workspace().data.tokens.revoke(user.user_id, token_id, by=by)


# --- shapes --------------------------------------------------------------------------------------------------------


def owner_only(user: User) -> None:
    if user.role is not UserRole.OWNER:
        raise Problem(403, "Only the owner may see and change people.")


def user_out(user: User) -> UserOut:
    return _shown(user, workspace().data.second_factor.is_on(user.user_id))


def _shown(user: User, second_factor: bool) -> UserOut:
    return UserOut(
        id=user.user_id,
        email=user.email,
        name=user.name,
        role=user.role.value,
        active=user.active,
        second_factor=second_factor,
        has_accounts=bool(workspace().owners.account_ids(user.user_id)),
        created_at=moment(user.created_at),
        last_sign_in_at=moment_or_none(user.last_sign_in_at),
    )


def token_out(token: ApiToken) -> TokenOut:
    return TokenOut(
        id=token.token_id,
        name=token.name,
        prefix=token.prefix,
        scope=token.scope,
        created_at=moment(token.created_at),
        expires_at=moment_or_none(token.expires_at),
        last_used_at=moment_or_none(token.last_used_at),
    )
