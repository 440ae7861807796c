"""People and their API tokens on the wire. Passwords go in and never come out; a token comes out once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StrictStr, StringConstraints, model_validator

from app.api.wire import BadValue, Body, Flag, Moment, Name, Out, PageQuery, When

Email = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254)]
NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=1000)]
Role = Literal["owner", "trader", "viewer"]


class UserIn(Body):
    email: Email
    password: NewPassword
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    role: Role = "trader"


class UserPatch(Body):
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] | None = None
    role: Role | None = None
    active: Flag | None = None
    password: NewPassword | None = None

    @model_validator(mode="after")
    def something(self) -> UserPatch:
        if all(value is None for value in (self.name, self.role, self.active, self.password)):
            raise BadValue("give name, role, active or password")
        return self


class UserQuery(PageQuery):
    id: str | None = None
    email: str | None = None
    role: Role | None = None
    active: bool | None = None


class UserOut(Out):
    """`has_accounts`: that there are some, for whoever is about to change a role; what is in them is told to nobody else."""

    id: str
    email: str
    name: str
    role: str
    active: bool
    second_factor: bool
    has_accounts: bool
    created_at: Moment
    last_sign_in_at: Moment | None


class PasswordIn(Body):
    current: StrictStr
    new: NewPassword


class MePatch(Body):
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class TokenIn(Body):
    """`read`: GET only, whatever the role of its owner."""

    name: Name
    scope: Literal["full", "read"] = "full"
    expires_at: When | None = None


class TokenQuery(PageQuery):
    id: str | None = None
    name: str | None = None


class TokenOut(Out):
    id: str
    name: str
    prefix: str
    scope: str
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None


class CreatedToken(TokenOut):
    token: str
