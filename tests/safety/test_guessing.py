"""Brute force: wherever a password is asked for, guessing is slow, from one address and from many, and no header makes an address another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.api.blueprint import operations
from app.data import UserRole
from tests.api.rig import MACHINE
from tests.auth.front import PASSWORD, Front, Visitor, new_email

Target = Callable[[Front, Visitor], str]
SETS_ONE = {("POST", "/api/users"), ("PATCH", "/api/users/{id}")}
"""They make a password for somebody, they do not ask for one."""


def nothing(front: Front, visitor: Visitor) -> str:
    return ""


def halt(front: Front, visitor: Visitor) -> str:
    return str(visitor.json("POST", "/api/system/emergency-stop", {"scope": "user"}).json["halt_id"])


def account(front: Front, visitor: Visitor) -> str:
    keys = {"api_key": "abcdefghijk", "api_secret": "abcdefghijk"}
    body = {"name": "Kite", "broker": "zerodha", "capital": "1000", "credentials": keys}
    return str(visitor.json("POST", "/api/accounts", body).json["id"])


def somebody(front: Front, visitor: Visitor) -> str:
    user = front.data.users.find(front.person())
    assert user is not None
    return user.user_id


ASKS: dict[tuple[str, str], tuple[Target, dict[str, str]]] = {
    ("POST", "/api/me/password"): (nothing, {"new": "another password of one's own"}),
    ("POST", "/api/me/sign-out-everywhere"): (nothing, {}),
    ("POST", "/api/me/second-factor"): (nothing, {}),
    ("POST", "/api/me/second-factor/off"): (nothing, {"code": "123456"}),
    ("POST", "/api/me/recovery-codes"): (nothing, {"code": "123456"}),
    ("POST", "/api/users/{id}/clear-second-factor"): (somebody, {}),
    ("POST", "/api/system/halts/{id}/lift"): (halt, {}),
    ("POST", "/api/accounts/{id}/credentials/reveal"): (account, {}),
}


def test_every_route_that_asks_for_a_password_is_tried_here() -> None:
    asked = {
        (operation.method, operation.path)
        for operation in operations()
        if operation.body is not None and {"password", "current"} & operation.body.model_fields.keys()
    }
    brokers_own = {one for one in asked if one[1].startswith(("/api/accounts/create", "/api/bot/"))}
    assert asked - brokers_own - SETS_ONE == set(ASKS)


@pytest.mark.parametrize(("method", "path"), ASKS)
def test_five_wrong_passwords_and_the_right_one_waits_too(front: Front, method: str, path: str) -> None:
    target, body = ASKS[method, path]
    field = "current" if path.endswith("/me/password") else "password"
    email = front.person(UserRole.OWNER if "/users/" in path else UserRole.TRADER)
    visitor = front.visitor()
    visitor.sign_in(email)
    address = path.replace("{id}", target(front, visitor))
    wrong = [visitor.json(method, address, body | {field: f"guess number {n}"}).status_code for n in range(5)]
    late = visitor.json(method, address, body | {field: PASSWORD})
    assert (wrong, late.status_code) == ([403] * 5, 429)
    assert 0 < int(late.headers["Retry-After"]) <= 60
    assert visitor.send("/login", {"email": email, "password": PASSWORD}, page="/settings").status_code == 429, "nor at the door"
    elsewhere = front.visitor()
    assert elsewhere.sign_in(email).status_code == 302, "its person, somewhere else, is not locked out"


def test_one_address_may_not_try_many_people(front: Front) -> None:
    thief = front.visitor()
    answers = [thief.sign_in(new_email()).status_code for _ in range(21)]
    assert answers == [401] * 20 + [429]
    assert thief.sign_in(front.person()).status_code == 429


def test_many_addresses_may_not_try_one_person(front: Front) -> None:
    email = front.person()
    assert {front.visitor().sign_in(email, f"guess number {n}").status_code for n in range(50)} == {401}
    assert front.visitor().sign_in(email).status_code == 429


def test_strangers_at_the_door_keep_nobody_from_lifting_their_stop(front: Front) -> None:
    email, visitor = front.person(), front.visitor()
    visitor.sign_in(email)
    stop = halt(front, visitor)
    assert {front.visitor().sign_in(email, f"guess number {n}").status_code for n in range(50)} == {401}
    assert front.visitor().sign_in(email).status_code == 429
    assert visitor.json("POST", f"/api/system/halts/{stop}/lift", {"password": PASSWORD}).status_code == 200


def test_another_spelling_of_an_e_mail_is_not_another_e_mail(front: Front) -> None:
    email, thief = front.person(), front.visitor()
    spellings = [email, email.upper(), f" {email} ", email.replace("s", "\u017f"), email.title()]
    assert all(front.data.users.find(spelling) == front.data.users.find(email) for spelling in spellings)
    assert [thief.sign_in(spelling, "a guess of somebody's").status_code for spelling in spellings] == [401] * 5
    assert [thief.sign_in(spelling).status_code for spelling in spellings] == [429] * 5


def test_who_is_signed_in_under_capitals_has_no_five_tries_more(front: Front) -> None:
    email = new_email().title()
    front.data.users.add(email, PASSWORD, by=MACHINE)
    visitor = front.visitor()
    visitor.sign_in(email)
    form = {"password": "a guess of somebody's"}
    assert [visitor.json("POST", "/api/me/sign-out-everywhere", form).status_code for _ in range(5)] == [403] * 5
    assert visitor.send("/login", {"email": email.lower(), "password": PASSWORD}, page="/settings").status_code == 429


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP"])
def test_an_address_that_a_guesser_makes_up_is_not_believed(front: Front, header: str) -> None:
    thief, email = front.visitor(), front.person()
    name = "HTTP_" + header.upper().replace("-", "_")
    answers = []
    for number in range(6):
        thief.client.environ_base[name] = f"for=203.0.113.{number}" if header == "Forwarded" else f"203.0.113.{number}"
        answers.append(thief.sign_in(email, f"guess number {number}").status_code)
    assert answers == [401] * 5 + [429]
