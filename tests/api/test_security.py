"""What protects people and money around the routes: CSRF, headers, names of hosts, faults that tell nothing."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from engines.ports import JournalDown
from tests.api.rig import PASSWORD, Rig


def token_of(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"|name="csrf-token" content="([^"]+)"', page)
    assert found
    return found[1] or found[2]


@pytest.fixture
def browser(rig: Rig) -> FlaskClient:
    rig.trader  # noqa: B018 - there must be someone, or the sign-in page leads to set-up
    client = rig.app.test_client()
    form = {"email": "trader@example.com", "password": PASSWORD, "csrf_token": token_of(client.get("/login").text)}
    assert client.post("/login", data=form).status_code == 302
    return client


def test_a_cookie_reads_and_writes_with_the_header(rig: Rig, browser: FlaskClient) -> None:
    assert browser.get("/api/me").json["email"] == "trader@example.com"
    token = token_of(browser.get("/").text)
    answer = browser.post("/api/tokens", json={"name": "x"}, headers={"X-CSRFToken": token})
    assert answer.status_code == 201


@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": ""}, {"X-CSRFToken": "forged"}])
def test_a_cookie_alone_writes_nothing(browser: FlaskClient, headers: dict[str, str]) -> None:
    answer = browser.post("/api/system/emergency-stop", json={}, headers=headers)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_a_token_needs_no_csrf_header(rig: Rig) -> None:
    assert rig.trader.post("/api/tokens", {"name": "x"}).status_code == 201


def test_a_bad_token_is_not_saved_by_a_good_cookie(browser: FlaskClient) -> None:
    assert browser.get("/api/me", headers={"Authorization": "Bearer wrong.token"}).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/api/docs", "/"])
def test_pages_carry_a_strict_policy(browser: FlaskClient, path: str) -> None:
    answer = browser.get(path, follow_redirects=True)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert not re.search(r"<script(?![^>]*src=)[^>]*>|\son\w+=|<style|style=", answer.text)


def test_answers_of_the_api_are_never_kept_or_guessed(rig: Rig) -> None:
    answer = rig.trader.get("/api/accounts")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "[::1]:5000", "tandem.localhost:80"])
def test_names_of_this_machine_are_served(rig: Rig, host: str) -> None:
    assert rig.nobody.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"])
def test_a_strangers_name_for_this_machine_is_not(rig: Rig, host: str) -> None:
    assert rig.nobody.get("/healthz", headers={"Host": host}).status_code == 400


def test_a_fault_of_ours_tells_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(user_id: str) -> None:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(type(rig.data.accounts), "list", broken)
    answer = rig.trader.get("/api/accounts")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "insides" not in answer.text
    assert "RuntimeError" not in answer.text


def test_a_database_that_cannot_be_written_is_said(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        raise JournalDown("disk full")

    monkeypatch.setattr(type(rig.system), "submit", down)
    body = {"account_ids": [rig.trader.account()["id"]], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1"}
    answer = rig.trader.post("/api/signals/manual", body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "nothing was sent" in answer.json["detail"]


def test_pages_outside_the_api_fail_as_pages(browser: FlaskClient) -> None:
    answer = browser.get("/no-such-page")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
