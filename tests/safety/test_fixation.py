"""Cookies that somebody planted, kept or pieced together: none of them is ever a sign-in."""

from __future__ import annotations

import pyotp

from app.auth import second
from tests.api.rig import MACHINE
from tests.auth.front import PASSWORD, Front, Visitor, csrf


def cookie(visitor: Visitor) -> str:
    found = visitor.client.get_cookie("tandem")
    assert found is not None
    return found.value


def with_cookie(front: Front, value: str) -> Visitor:
    visitor = front.visitor()
    visitor.client.set_cookie("tandem", value)
    return visitor


def guarded(front: Front) -> tuple[str, pyotp.TOTP]:
    email = front.person()
    user = front.data.users.find(email)
    assert user is not None
    app = pyotp.TOTP(front.data.second_factor.begin(user.user_id, by=MACHINE).secret)
    front.data.second_factor.confirm(user.user_id, app.now(), by=MACHINE)
    return email, app


def test_a_cookie_from_before_the_sign_in_is_none_after_it(front: Front) -> None:
    planted = front.visitor()
    token = csrf(planted.get("/login").text)
    victim = with_cookie(front, cookie(planted))
    assert victim.sign_in(front.person()).status_code == 302
    assert cookie(victim) != cookie(planted)
    assert planted.me() is None
    answer = victim.client.post("/logout", data={"csrf_token": token}, environ_base={"REMOTE_ADDR": victim.address})
    assert answer.status_code == 400, "nor is the token of a form from before worth anything"
    assert victim.me() is not None


def test_a_code_that_is_awaited_in_a_planted_cookie_is_nobody_elses(front: Front) -> None:
    (theirs, _), (mine, app) = guarded(front), guarded(front)
    thief = front.visitor()
    thief.sign_in(mine)
    victim = with_cookie(front, cookie(thief))
    victim.sign_in(theirs)
    assert victim.send("/login/code", {"code": app.at(0)}).status_code == 401
    with victim.client.session_transaction(environ_overrides={"REMOTE_ADDR": victim.address}) as session:
        user = front.data.users.find(theirs)
        assert user is not None
        assert session[second.AWAITED][0] == user.user_id


def test_the_cookie_of_a_half_finished_sign_in_opens_nothing_however_it_is_changed(front: Front) -> None:
    email, _ = guarded(front)
    visitor = front.visitor()
    visitor.sign_in(email)
    half = cookie(visitor)
    body, _, signature = half.partition(".")
    whole = front.visitor()
    whole.sign_in(front.person())
    other_body, _, other_signature = cookie(whole).partition(".")
    for made in (half, f"{other_body}.{signature}", f"{body}.{other_signature}", half[:-1], ""):
        thief = with_cookie(front, made)
        assert thief.me() is None
        assert thief.get("/").location.startswith("/login")


def test_signing_in_again_makes_another_sign_in_and_the_old_cookie_stays_its_own(front: Front) -> None:
    email, other = front.person(), front.person()
    visitor = front.visitor()
    visitor.sign_in(email)
    first = cookie(visitor)
    visitor.send("/logout", page="/settings")
    visitor.sign_in(other)
    assert (visitor.me() or {})["email"] == other
    assert with_cookie(front, first).me() is None, "signed out is signed out"
    assert PASSWORD not in cookie(visitor)
