"""Guessing in parallel: a try counts before it is looked at, so that as many at once as one likes are no more than one after the other.

Threads do not always meet; here every check lets all other tries come before it goes on itself, which is the worst that they can do.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from app.auth import identity, signin
from app.data import UserRole, users
from app.data.second_factor import SecondFactor
from app.data.shares import Shares
from engines.ports import JournalDown
from tests.api.rig import MACHINE
from tests.auth.front import PASSWORD, Front, new_email

AT_ONCE = 30


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Callable[[int], int]], tuple[int, Counter[int]]]:
    """Sends AT_ONCE tries, all of them while the first is looked at by `check` of `where`; how many were looked at, and the answers."""
    for module in (signin, identity):
        monkeypatch.setattr(module, "HASHING", threading.Semaphore(AT_ONCE))

    def send_all(where: Any, check: str, send: Callable[[int], int]) -> tuple[int, Counter[int]]:
        plain, looked_at, answers, numbers = getattr(where, check), [], Counter[int](), iter(range(AT_ONCE))

        def send_the_rest() -> None:
            for number in numbers:
                answers[send(number)] += 1

        def slow(*given: Any, **named: Any) -> Any:
            looked_at.append(given)
            send_the_rest()
            return plain(*given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(where, check, slow)
            send_the_rest()
        return len(looked_at), answers

    return send_all


def test_five_passwords_at_the_door(front: Front, at_once: Any) -> None:
    email, visitor = front.person(), front.visitor()
    guesses = at_once(users, "_fits", lambda n: visitor.sign_in(email, f"guess number {n}").status_code)
    assert guesses == (5, {401: 5, 429: AT_ONCE - 5})


def test_twenty_passwords_of_one_address(front: Front, at_once: Any) -> None:
    visitor = front.visitor()
    guesses = at_once(users, "_fits", lambda n: visitor.sign_in(new_email(), f"guess number {n}").status_code)
    assert guesses == (20, {401: 20, 429: AT_ONCE - 20})


def test_five_passwords_of_somebody_who_is_signed_in(front: Front, at_once: Any) -> None:
    visitor = front.visitor()
    visitor.sign_in(front.person())

    def guess(number: int) -> int:
        return visitor.json("POST", "/api/me/sign-out-everywhere", {"password": f"guess number {number}"}).status_code

    assert at_once(users, "_fits", guess) == (5, {403: 5, 429: AT_ONCE - 5})


def test_ten_codes(front: Front, at_once: Any) -> None:
    email, visitor = guarded(front), front.visitor()
    visitor.sign_in(email)
    guesses = at_once(SecondFactor, "check", lambda n: visitor.send("/login/code", {"code": f"no code {n}"}).status_code)
    assert guesses == (10, {401: 10, 429: AT_ONCE - 10})


def test_ten_first_codes(front: Front, at_once: Any) -> None:
    visitor = front.visitor()
    visitor.sign_in(front.person())
    visitor.json("POST", "/api/me/second-factor", {"password": PASSWORD})
    answers = at_once(
        SecondFactor, "confirm", lambda _: visitor.json("POST", "/api/me/second-factor/confirm", {"code": "no code"}).status_code
    )
    assert answers == (10, {422: 10, 429: AT_ONCE - 10})


def test_ten_addresses_that_nobody_here_has(front: Front, at_once: Any) -> None:
    me = front.rig.person(new_email(), UserRole.TRADER)
    path = f"/api/strategies/{me.strategy()['id']}/shares"
    guesses = at_once(Shares, "add", lambda _: me.post(path, {"email": new_email()}).status_code)
    assert guesses == (10, {422: 10, 429: AT_ONCE - 10})


def test_whoever_knows_never_waits_however_often_they_ask(front: Front) -> None:
    email, visitor = front.person(), front.visitor()
    form = {"email": email, "password": PASSWORD}
    assert [visitor.send("/login", form, page=page).status_code for page in ["/login"] + ["/settings"] * 24] == [302] * 25
    me, friend = front.rig.person(new_email(), UserRole.TRADER), front.person()
    shares = [me.post(f"/api/strategies/{me.strategy()['id']}/shares", {"email": friend}).status_code for _ in range(12)]
    assert shares == [201] * 12


def test_a_code_that_nobody_could_look_at_is_no_guess(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*given: Any, **named: Any) -> bool:
        raise JournalDown("the disk is full")

    email, visitor = guarded(front), front.visitor()
    visitor.sign_in(email)
    with monkeypatch.context() as patched:
        patched.setattr(SecondFactor, "check", down)
        assert [visitor.send("/login/code", {"code": "no code"}).status_code for _ in range(12)] == [503] * 12
    assert visitor.send("/login/code", {"code": "no code"}).status_code == 401


def guarded(front: Front) -> str:
    """Somebody with a second factor."""
    email = front.person()
    user = front.data.users.find(email)
    assert user is not None
    app = pyotp.TOTP(front.data.second_factor.begin(user.user_id, by=MACHINE).secret)
    front.data.second_factor.confirm(user.user_id, app.now(), by=MACHINE)
    return email
