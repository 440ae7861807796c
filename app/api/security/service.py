"""What a person does about their own safety, and the one thing that an owner may do about another's: take away a second factor that is lost.

Whoever changes something here shows the password again (and a code, where one is on), and guessing is slowed down as at sign-in.
"""

from __future__ import annotations

import io

from app.api.pages import keep, page_of
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
from app.api.wire import Page, moment
from app.auth import guard_password, second, this_sign_in
from app.auth.browsers import in_words, is_phone
from app.data import Actor, Browser, Conflict, Enrolment, Invalid, User
from app.problems import Problem
from app.workspace import workspace

QR = "/settings/security/qr.svg"
_ALL = SignInQuery()


# --- sign-ins ------------------------------------------------------------------------------------------------------


def list_sign_ins(user: User, query: SignInQuery = _ALL) -> Page[SignInOut]:
    current = this_sign_in()
    shown = [sign_in_out(each, current) for each in workspace().data.sign_ins.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda s: (s.seen_at, s.id))


def end_sign_in(user: User, sign_in_id: str, by: Actor) -> None:
    workspace().data.sign_ins.end(user.user_id, sign_in_id, by=by)


def sign_out_everywhere(user: User, body: SignOutIn, by: Actor) -> SignOutOut:
    prove_password(user, body.password)
    spared = this_sign_in() if body.keep_this else None
    return SignOutOut(ended=workspace().data.sign_ins.end_all(user.user_id, except_for=spared, by=by))


# --- the second factor ---------------------------------------------------------------------------------------------


def second_factor(user: User) -> SecondFactorOut:
    state = workspace().data.second_factor.state(user.user_id, this_sign_in())
    return SecondFactorOut(on=state.on, begun=state.begun, recovery_codes_left=state.codes_left)


def begin(user: User, body: PasswordProof, by: Actor) -> EnrolmentOut:
    """Asks for the password: otherwise whoever finds a browser open could lock its person out."""
    prove_password(user, body.password)
    return _enrolment_out(workspace().data.second_factor.begin(user.user_id, by=by, sign_in_id=this_sign_in()))


def begun(user: User) -> EnrolmentOut | None:
    """The key that waits for its first code; None when there is none, it has waited too long, or another browser began it."""
    enrolment = workspace().data.second_factor.begun(user.user_id, this_sign_in())
    return None if enrolment is None else _enrolment_out(enrolment)


def qr(user: User) -> bytes:
    """The key that waits, as an SVG picture. 404 when none waits for this browser."""
    enrolment = workspace().data.second_factor.begun(user.user_id, this_sign_in())
    if enrolment is None:
        raise Problem(404, "There is no key that waits to be confirmed.")
    return picture(enrolment.uri)


def picture(uri: str) -> bytes:
    """Black on white whatever the theme, because phones read it."""
    import segno

    drawn = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(drawn, kind="svg", scale=6, border=4, dark="#000", light="#fff", svgclass=None)
    return drawn.getvalue()


def confirm(user: User, body: CodeProof, by: Actor) -> RecoveryCodesOut:
    second.book(user)
    try:
        codes = workspace().data.second_factor.confirm(user.user_id, body.code, by=by, sign_in_id=this_sign_in())
    except Exception as error:
        if not isinstance(error, Invalid):
            second.give_back(user)
        raise
    second.give_back(user)
    return RecoveryCodesOut(codes=list(codes))


def turn_off(user: User, body: BothProofs, by: Actor) -> SecondFactorOut:
    _prove_both(user, body, by)
    workspace().data.second_factor.turn_off(user.user_id, by=by)
    return second_factor(user)


def new_recovery_codes(user: User, body: BothProofs, by: Actor) -> RecoveryCodesOut:
    _prove_both(user, body, by)
    return RecoveryCodesOut(codes=list(workspace().data.second_factor.new_recovery_codes(user.user_id, by=by)))


def clear(owner: User, user_id: str, body: PasswordProof, by: Actor) -> SecondFactorOut:
    """For somebody whose phone is lost; they are told, because it may have been asked for by somebody else."""
    shop = workspace()
    person = shop.data.users.get(user_id)
    prove_password(owner, body.password)
    shop.data.second_factor.clear(user_id, by=by, mail=shop.settings.mail_ready)
    return second_factor(person)


# --- proofs and shapes ---------------------------------------------------------------------------------------------


def prove_password(user: User, password: str) -> None:
    """Raises 403 with `password` for a wrong one, 429 after too many."""
    users = workspace().data.users
    if not guard_password(user, lambda: users.check_password(user.user_id, password)):
        raise Problem(403, "That is not your password.", errors={"password": ["is wrong"]})


def _prove_both(user: User, body: BothProofs, by: Actor) -> None:
    """The password first: only who knows it may use up a code."""
    prove_password(user, body.password)
    if not workspace().data.second_factor.is_on(user.user_id):
        raise Conflict("there is no second factor")
    if not second.check(user, body.code, by):
        raise Problem(403, "That is not a code of your app, or it was used before.", errors={"code": ["is wrong, or was used before"]})


def sign_in_out(browser: Browser, current: str | None) -> SignInOut:
    return SignInOut(
        id=browser.sign_in_id,
        browser=in_words(browser.agent),
        phone=is_phone(browser.agent),
        ip=browser.ip,
        created_at=moment(browser.created_at),
        seen_at=moment(browser.seen_at),
        current=browser.sign_in_id == current,
    )


def _enrolment_out(enrolment: Enrolment) -> EnrolmentOut:
    return EnrolmentOut(secret=enrolment.secret, uri=enrolment.uri, qr=QR)
