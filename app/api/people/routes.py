"""Routes of people and tokens."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.people import service
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
from app.api.wire import Page
from app.data import UserRole

routes = Routes("people")


@routes.get("/api/me", out=UserOut)
def me(call: Call) -> UserOut:
    """Who the caller is."""
    return service.me(call.user)


@routes.patch("/api/me", body=MePatch, out=UserOut, own=True)
def change_me(call: Call) -> UserOut:
    """The caller's name. Viewers may, too."""
    return service.change_me(call.user, call.body, call.by)


@routes.post("/api/me/password", body=PasswordIn, out=UserOut, own=True)
def change_password(call: Call) -> UserOut:
    """A new password; signs out every other browser of the caller. Viewers may, too."""
    return service.change_password(call.user, call.body, call.by)


@routes.get("/api/users", query=UserQuery, out=Page[UserOut], role=UserRole.OWNER)
def people(call: Call) -> Page[UserOut]:
    """Everybody who may sign in; owner only."""
    return service.list_people(call.user, call.query)


@routes.post("/api/users", body=UserIn, out=UserOut, status=201, role=UserRole.OWNER, errors=(409,))
def add_person(call: Call) -> UserOut:
    """A new person; owner only."""
    return service.add_person(call.user, call.body, call.by)


@routes.get("/api/users/{id}", out=UserOut, role=UserRole.OWNER)
def person(call: Call, id: str) -> UserOut:  # noqa: A002 - the name of the path's parameter
    """One person; owner only."""
    return service.get_person(call.user, id)


@routes.patch("/api/users/{id}", body=UserPatch, out=UserOut, role=UserRole.OWNER, errors=(409,))
def change_person(call: Call, id: str) -> UserOut:  # noqa: A002
    """Role, name, password, active or not; owner only. The last owner stays one."""
    return service.change_person(call.user, id, call.body, call.by)


@routes.get("/api/tokens", query=TokenQuery, out=Page[TokenOut])
def tokens(call: Call) -> Page[TokenOut]:
    """The caller's API tokens, without their secrets."""
    return service.list_tokens(call.user, call.query)


@routes.post("/api/tokens", body=TokenIn, out=CreatedToken, status=201, sealed=True)
def create_token(call: Call) -> CreatedToken:
    """A new API token; it is shown this once."""
    return service.create_token(call.user, call.body, call.by)


@routes.delete("/api/tokens/{id}")
def revoke_token(call: Call, id: str) -> None:  # noqa: A002
    """The token is worth nothing from now on."""
    service.revoke_token(call.user, id, call.by)
