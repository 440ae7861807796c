"""Signing in to the emulated Kite without a browser: the two web steps, the redirect and the exchange of its token, and all that can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.kite import KiteEmulator

BACK = "http://127.0.0.1:5000/zerodha/callback"


@pytest.fixture(scope="module")
def emulator() -> Iterator[KiteEmulator]:
    with KiteEmulator(seed=21) as made:
        yield made


@pytest.fixture
def account(emulator: KiteEmulator) -> EmulatedAccount:
    return emulator.add_account()


@pytest.fixture
def web() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


class Visitor:
    """Somebody at the log-in pages."""

    def __init__(self, emulator: KiteEmulator, account: EmulatedAccount, web: requests.Session) -> None:
        self.emulator, self.account, self.web = emulator, account, web
        self.given = account.credentials

    def page(self, **more: str) -> requests.Response:
        fields = {"v": "3", "api_key": self.given["api_key"], **more}
        return self.web.get(f"{self.emulator.url}/connect/login", params=fields, allow_redirects=False)

    def first(self, **more: str) -> Any:
        fields = {"user_id": self.given["user_id"], "password": self.given["password"], **more}
        return self.web.post(f"{self.emulator.url}/api/login", data=fields).json()

    def code(self) -> str:
        return pyotp.TOTP(self.given["totp_secret"]).at(int(self.emulator.clock.now()))

    def second(self, request_id: str, code: str | None = None) -> Any:
        fields = {"user_id": self.given["user_id"], "request_id": request_id, "twofa_value": code or self.code(), "twofa_type": "totp"}
        return self.web.post(f"{self.emulator.url}/api/twofa", data={**fields, "skip_session": "true"}).json()

    def finish(self, **more: str) -> dict[str, str]:
        """Both steps done; the query of the redirect."""
        self.page(**more)
        assert self.second(self.first()["data"]["request_id"])["status"] == "success"
        there = self.page(**more).headers["Location"]
        back = self.web.get(self.emulator.url + there, allow_redirects=False)
        assert back.status_code == 302
        self.address = back.headers["Location"].partition("?")[0]
        return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["Location"]).query).items()}


@pytest.fixture
def visitor(emulator: KiteEmulator, account: EmulatedAccount, web: requests.Session) -> Visitor:
    return Visitor(emulator, account, web)


@pytest.fixture
def kite(emulator: KiteEmulator, account: EmulatedAccount) -> Iterator[KiteConnect]:
    made = KiteConnect(account.credentials["api_key"], root=emulator.url)
    made.reqsession.trust_env = False
    yield made
    made.reqsession.close()


def test_the_whole_way(visitor: Visitor, kite: KiteConnect, account: EmulatedAccount) -> None:
    query = visitor.finish(redirect_params="account=A1&state=x%2Fy")
    assert visitor.address == BACK
    assert {name: query[name] for name in ("action", "type", "status")} == {"action": "login", "type": "login", "status": "success"}
    assert (query["account"], query["state"], len(query["request_token"])) == ("A1", "x/y", 32)
    session = kite.generate_session(query["request_token"], account.credentials["api_secret"])
    assert session["user_id"] == account.name
    assert kite.profile()["user_id"] == account.name
    assert {query["request_token"], session["access_token"]} <= set(account.canaries())


def test_the_page_has_what_scripts_look_for(visitor: Visitor) -> None:
    text = visitor.page().text
    for part in (
        'id="userid" type="text"',
        'id="password"',
        'type="submit"',
        'class="twofa-form"',
        'minlength="6"',
        "External TOTP",
        "button-orange",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("variant", "has", "lacks"), [("captcha", 'class="captcha"', "signin"), ("changed", "signin", 'id="userid" type="text"')]
)
def test_pages_that_break_scripts(emulator: KiteEmulator, visitor: Visitor, variant: str, has: str, lacks: str) -> None:
    emulator.set_login_page(variant)
    try:
        text = visitor.page().text
        assert has in text
        assert lacks not in text
    finally:
        emulator.set_login_page("normal")


def test_a_request_token_is_good_once(visitor: Visitor, kite: KiteConnect, account: EmulatedAccount) -> None:
    token = visitor.finish()["request_token"]
    kite.generate_session(token, account.credentials["api_secret"])
    with pytest.raises(kite_errors.TokenException, match="invalid or has expired"):
        kite.generate_session(token, account.credentials["api_secret"])


def test_a_wrong_secret(visitor: Visitor, kite: KiteConnect) -> None:
    with pytest.raises(kite_errors.TokenException, match="checksum"):
        kite.generate_session(visitor.finish()["request_token"], "wrong")


def test_an_old_request_token(account: EmulatedAccount, web: requests.Session) -> None:
    with KiteEmulator() as made:
        customer = made.add_account()
        token = Visitor(made, customer, web).finish()["request_token"]
        made.advance(301)
        kite = KiteConnect(customer.credentials["api_key"], root=made.url)
        with pytest.raises(kite_errors.TokenException, match="expired"):
            kite.generate_session(token, customer.credentials["api_secret"])
        kite.reqsession.close()


def test_a_new_token_ends_the_one_before(visitor: Visitor, kite: KiteConnect, account: EmulatedAccount) -> None:
    old = account.credentials["access_token"]
    kite.generate_session(visitor.finish()["request_token"], account.credentials["api_secret"])
    kite.set_access_token(old)
    with pytest.raises(kite_errors.TokenException):
        kite.profile()


def test_a_wrong_password(visitor: Visitor) -> None:
    assert visitor.first(password="no")["message"] == "Invalid username or password."
    assert visitor.first(user_id="nobody")["status"] == "error"


def test_a_wrong_code_and_one_used_twice(visitor: Visitor) -> None:
    request = visitor.first()["data"]["request_id"]
    good = visitor.code()
    wrong = f"{(int(good) + 1) % 1_000_000:06d}"
    assert visitor.second(request, wrong)["message"] == "Invalid TOTP. Please try again."
    assert visitor.second(request, good)["status"] == "success"
    assert visitor.second(visitor.first()["data"]["request_id"], good)["error_type"] == "TwoFAException"


def test_too_many_wrong_tries_block(visitor: Visitor) -> None:
    for _ in range(5):
        visitor.first(password="no")
    assert "blocked" in visitor.first()["message"]


def test_somebody_else_may_not_use_the_app(emulator: KiteEmulator, visitor: Visitor, web: requests.Session) -> None:
    other = Visitor(emulator, emulator.add_account(), web)
    assert visitor.second(visitor.first()["data"]["request_id"])["status"] == "success"
    there = other.page().headers["Location"]
    refused = web.get(emulator.url + there, allow_redirects=False)
    assert (refused.status_code, "not enabled for the app" in refused.text) == (400, True)
    emulator.any_user = True
    try:
        back = web.get(emulator.url + there, allow_redirects=False)
        token = parse_qs(urlsplit(back.headers["Location"]).query)["request_token"][0]
        kite = KiteConnect(other.given["api_key"], root=emulator.url)
        session = kite.generate_session(token, other.given["api_secret"])
        assert (session["user_id"], kite.profile()["user_id"]) == (visitor.account.name, visitor.account.name)
        kite.reqsession.close()
    finally:
        emulator.any_user = False


def test_an_app_is_authorised_once(web: requests.Session) -> None:
    with KiteEmulator(consent=True) as made:
        visitor = Visitor(made, made.add_account(), web)
        visitor.second(visitor.first()["data"]["request_id"])
        there = visitor.page().headers["Location"]
        assert "Authorize" in web.get(made.url + there, allow_redirects=False).text
        agreed = web.post(f"{made.url}/connect/authorize", data={"next": there}, allow_redirects=False)
        back = web.get(made.url + agreed.headers["Location"], allow_redirects=False)
        assert back.headers["Location"].startswith(BACK)


def test_without_a_sign_in_there_is_nothing_to_finish(emulator: KiteEmulator, visitor: Visitor, web: requests.Session) -> None:
    visitor.page()
    assert web.get(f"{emulator.url}/connect/finish", params={"sess_id": "x"}, allow_redirects=False).status_code == 400
    assert web.get(f"{emulator.url}/connect/login", params={"api_key": "no"}).status_code == 400
