"""Sign-ins and the second factor on the wire. Passwords and codes go in and never come out; a new key and recovery codes come out once."""

from __future__ import annotations

from typing import Annotated

from pydantic import StrictStr, StringConstraints

from app.api.wire import Body, Flag, Moment, Out, PageQuery

Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
"""Six digits of the app, or a recovery code where one is taken."""


class SignInQuery(PageQuery):
    id: str | None = None


class SignInOut(Out):
    """`browser` is what it says of itself, in words; `current`: the one that asks."""

    id: str
    browser: str
    phone: bool
    ip: str
    created_at: Moment
    seen_at: Moment
    current: bool


class SignOutIn(Body):
    """`keep_this`: all but the sign-in that asks."""

    password: StrictStr
    keep_this: Flag = False


class SignOutOut(Out):
    ended: int


class SecondFactorOut(Out):
    """`begun`: a new key was made in this browser and waits for its first code."""

    on: bool
    begun: bool
    recovery_codes_left: int


class PasswordProof(Body):
    password: StrictStr


class CodeProof(Body):
    code: Code


class BothProofs(Body):
    password: StrictStr
    code: Code


class EnrolmentOut(Out):
    """For an authenticator app: the key to type, or the address that `qr` shows as a picture. Good for 15 minutes, until it is confirmed."""

    secret: str
    uri: str
    qr: str


class RecoveryCodesOut(Out):
    """Shown this once; each is good once, in place of a code of the app."""

    codes: list[str]
