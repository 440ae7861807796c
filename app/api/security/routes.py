"""Routes of sign-ins and the second factor."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.security import service
from app.api.security.schemas import (
    BothProofs,
    CodeProof,
    EnrolmentOut,
    PasswordProof,
    RecoveryCodesOut,
    SecondFactorOut,
    SignInOut,
    SignInQuery,
    SignOutIn,
    SignOutOut,
)
from app.api.wire import Page
from app.data import UserRole

routes = Routes("security")


@routes.get("/api/me/sign-ins", query=SignInQuery, out=Page[SignInOut])
def sign_ins(call: Call) -> Page[SignInOut]:
    """The browsers in which the caller is signed in."""
    return service.list_sign_ins(call.user, call.query)


@routes.delete("/api/me/sign-ins/{id}", own=True)
def end_sign_in(call: Call, id: str) -> None:  # noqa: A002 - the name of the path's parameter
    """That browser is signed out at once. Viewers may, too."""
    service.end_sign_in(call.user, id, call.by)


@routes.post("/api/me/sign-out-everywhere", body=SignOutIn, out=SignOutOut, own=True)
def sign_out_everywhere(call: Call) -> SignOutOut:
    """Every browser of the caller is signed out at once; API tokens go on. Viewers may, too."""
    return service.sign_out_everywhere(call.user, call.body, call.by)


@routes.get("/api/me/second-factor", out=SecondFactorOut)
def second_factor(call: Call) -> SecondFactorOut:
    """Whether signing in asks the caller for a code, and how many recovery codes are left."""
    return service.second_factor(call.user)


@routes.post("/api/me/second-factor", body=PasswordProof, out=EnrolmentOut, status=201, own=True, secret=True, errors=(409,))
def begin(call: Call) -> EnrolmentOut:
    """A new key for an authenticator app; nothing changes until it is confirmed. 409 while a second factor is on."""
    return service.begin(call.user, call.body, call.by)


@routes.post("/api/me/second-factor/confirm", body=CodeProof, out=RecoveryCodesOut, own=True, secret=True, errors=(409, 429))
def confirm(call: Call) -> RecoveryCodesOut:
    """Switches the second factor on with a first code of the app; answers with ten recovery codes, shown this once."""
    return service.confirm(call.user, call.body, call.by)


@routes.post("/api/me/second-factor/off", body=BothProofs, out=SecondFactorOut, own=True, errors=(409,))
def turn_off(call: Call) -> SecondFactorOut:
    """Signing in asks for the password alone from now on."""
    return service.turn_off(call.user, call.body, call.by)


@routes.post("/api/me/recovery-codes", body=BothProofs, out=RecoveryCodesOut, own=True, secret=True, errors=(409,))
def recovery_codes(call: Call) -> RecoveryCodesOut:
    """Ten new recovery codes, shown this once; the old ones are worth nothing."""
    return service.new_recovery_codes(call.user, call.body, call.by)


@routes.post("/api/users/{id}/clear-second-factor", body=PasswordProof, out=SecondFactorOut, role=UserRole.OWNER, errors=(409,))
def clear(call: Call, id: str) -> SecondFactorOut:  # noqa: A002
    """Takes the second factor of somebody whose phone is lost away; they are told. Owner only, with the owner's password."""
    return service.clear(call.user, id, call.body, call.by)
