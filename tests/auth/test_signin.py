"""Set-up, sign-in, sign-out: what people meet before everything else."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from app.data import UserRole, users
from tests.api.rig import MACHINE, PASSWORD, Rig
from tests.auth.front import Front, new_email

EMAIL = "trader@example.com"


def csrf(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


def sign_in(client: FlaskClient, email: str = EMAIL, password: str = PASSWORD, where: str = "/login"):
    return client.post(where, data={"email": email, "password": password, "csrf_token": csrf(client.get(where).text)})


@pytest.fixture
def client(rig: Rig) -> FlaskClient:
    assert rig.trader.user
    return rig.app.test_client()


def test_the_first_visit_makes_the_owner_and_signs_in(fresh: Rig) -> None:
    client = fresh.app.test_client()
    assert client.get("/").location.startswith("/setup")
    assert client.get("/login").location == "/setup"
    form = {"email": "First@Example.com", "password": PASSWORD, "csrf_token": csrf(client.get("/setup").text)}
    done = client.post("/setup", data=form)
    assert (done.status_code, done.location) == (302, "/")
    me = client.get("/api/me").json
    assert (me["email"].lower(), me["role"]) == ("first@example.com", "owner")
    assert client.get("/").status_code == 200
    assert client.get("/setup").status_code == 302, "there is one set-up"
    assert client.post("/setup", data=form | {"email": "second@example.com"}).location == "/login"
    assert fresh.data.users.count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"password": "short"}, "At least 10"),
        ({"email": "not an address"}, "mail"),
        ({"confirm": "something else"}, "differ"),
        ({"email": ""}, "mail"),
    ],
)
def test_a_set_up_that_is_wrong_says_so_and_keeps_what_was_typed(fresh: Rig, change: dict[str, str], field: str) -> None:
    client = fresh.app.test_client()
    form = {"email": "owner@example.com", "password": PASSWORD, "csrf_token": csrf(client.get("/setup").text)} | change
    answer = client.post("/setup", data=form)
    assert answer.status_code == 422
    assert field in answer.text
    assert form["email"] in answer.text
    assert PASSWORD not in answer.text
    assert fresh.data.users.count() == 0


def test_signing_in_and_out(client: FlaskClient) -> None:
    assert client.get("/").location.startswith("/login")
    done = sign_in(client)
    assert (done.status_code, done.location) == (302, "/")
    cookie = done.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    home = client.get("/")
    assert home.status_code == 200
    assert client.get("/login").location == "/"
    token = re.search(r'name="csrf-token" content="([^"]+)"', home.text)[1]
    assert client.post("/logout").status_code == 400, "signing out wants the token of the form, too"
    assert client.post("/logout", data={"csrf_token": token}).location == "/login"
    assert client.get("/api/me").status_code == 401


def test_wrong_passwords_and_unknown_people_get_the_same_answer(client: FlaskClient) -> None:
    wrong = sign_in(client, password="not the password")
    unknown = sign_in(client, email="nobody@example.com")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    shown = [re.sub(r"[\w.+-]+@example\.com|csrf[^>]+>", "", answer.text) for answer in (wrong, unknown)]
    assert shown[0] == shown[1]
    assert EMAIL in wrong.text, "what was typed is kept"
    assert "not the password" not in wrong.text


def test_a_form_without_its_token_is_refused(client: FlaskClient) -> None:
    assert client.post("/login", data={"email": EMAIL, "password": PASSWORD}).status_code == 400
    assert client.get("/api/me").status_code == 401


def test_an_empty_form_names_the_fields(client: FlaskClient) -> None:
    answer = sign_in(client, email="", password="")
    assert answer.status_code == 422
    assert "Type your e-mail." in answer.text
    assert "Type your password." in answer.text


@pytest.mark.usefixtures("still")
def test_guessing_is_slowed_down_even_for_the_right_password(fresh: Rig) -> None:
    fresh.data.users.add(EMAIL, PASSWORD, role=UserRole.OWNER, by=MACHINE)
    client = fresh.app.test_client()
    codes = [sign_in(client, password=f"guess number {number}").status_code for number in range(6)]
    assert codes == [401] * 5 + [429]
    late = sign_in(client)
    assert late.status_code == 429
    assert int(late.headers["Retry-After"]) > 0
    assert "Too many tries" in late.text


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/orders?state=open", "/orders?state=open"),
        ("//evil.example/x", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_after_sign_in_one_goes_where_one_wanted_but_never_away(client: FlaskClient, wanted: str, location: str) -> None:
    from urllib.parse import quote

    assert sign_in(client, where=f"/login?next={quote(wanted)}").location == location


def test_a_new_password_signs_out_every_other_browser(fresh: Rig) -> None:
    fresh.data.users.add(EMAIL, PASSWORD, role=UserRole.OWNER, by=MACHINE)
    first, second = fresh.app.test_client(), fresh.app.test_client()
    sign_in(first)
    sign_in(second)
    stolen = first.get_cookie("tandem").value
    token = re.search(r'name="csrf-token" content="([^"]+)"', first.get("/").text)[1]
    body = {"current": PASSWORD, "new": "an even longer password"}
    assert first.post("/api/me/password", json=body, headers={"X-CSRFToken": token}).status_code == 200
    assert first.get("/api/me").status_code == 200, "whoever changed it goes on"
    assert second.get("/api/me").status_code == 401
    thief = fresh.app.test_client()
    thief.set_cookie("tandem", stolen)
    assert thief.get("/api/me").status_code == 401, "also a copy of the cookie that went on is of the past"
    assert sign_in(second, password="an even longer password").status_code == 302


def test_someone_switched_off_is_out_at_once(fresh: Rig) -> None:
    fresh.owner  # noqa: B018
    person = fresh.trader
    client = fresh.app.test_client()
    sign_in(client)
    assert client.get("/api/me").status_code == 200
    fresh.owner.patch(f"/api/users/{person.user.user_id}", {"active": False})
    assert client.get("/api/me").status_code == 401
    assert sign_in(client).status_code == 401


@pytest.mark.parametrize("cookie", ["", "nonsense", "eyJfdXNlcl9pZCI6Im1lOjAifQ.aaaa.bbbb"])
def test_a_cookie_that_we_did_not_make_is_worth_nothing(rig: Rig, cookie: str) -> None:
    assert rig.trader.user
    client = rig.app.test_client()
    client.set_cookie("tandem", cookie)
    assert client.get("/api/me").status_code == 401


def test_nothing_planted_before_the_sign_in_survives_it(front: Front) -> None:
    """Session fixation: a cookie that somebody else knows beforehand is another one afterwards, and its form tokens are worth nothing."""
    email, victim, attacker = front.person(), front.visitor(), front.visitor()
    attacker.get("/login")
    planted = attacker.client.get_cookie("tandem")
    assert planted is not None
    token = csrf(attacker.get("/login").text)
    victim.client.set_cookie("tandem", planted.value)
    assert victim.sign_in(email).status_code == 302
    kept = victim.client.get_cookie("tandem")
    assert kept is not None
    assert kept.value != planted.value
    assert attacker.me() is None
    forged = victim.client.patch("/api/me", json={"name": "x"}, headers={"X-CSRFToken": token})
    assert forged.status_code == 400


def test_each_sign_in_has_an_id_of_its_own(front: Front) -> None:
    email, browser, ids = front.person(), front.visitor(), set()
    for _ in range(3):
        assert browser.sign_in(email).status_code == 302
        ids.add(browser.get("/api/me/sign-ins").json["items"][0]["id"])
        browser.send("/logout", page="/settings")
    assert len(ids) == 3


@pytest.mark.parametrize("state", ["known", "unknown", "switched off"])
def test_a_hash_is_computed_whoever_asks(front: Front, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    email = new_email() if state == "unknown" else front.person()
    if state == "switched off":
        front.data.users.set_active(front.data.users.find(email).user_id, False, by=MACHINE)
    counted: list[str] = []
    plain = users._fits
    monkeypatch.setattr(users, "_fits", lambda hashed, password: counted.append(hashed) or plain(hashed, password))
    assert front.visitor().sign_in(email, "not the password").status_code == 401
    assert len(counted) == 1


def test_the_words_after_a_new_password_are_ours_alone(front: Front) -> None:
    text = front.visitor().get("/login?said=<b>pay+here</b>").text
    assert "pay" not in text
