"""Signing in: the page, the exchange, when a session ends, and every way in which the exchange can fail; no secret in any of it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from engines.brokers.tools import KiteEndpoints
from engines.brokers.zerodha.login import generate_session, login_url, session_end
from engines.ports import NeedsLogin, Refused, Retry
from tests.brokers.zerodha.served import MOCKS, SECRET, TOKEN, Page, serving


class At:
    def now(self) -> float:
        return datetime(2026, 11, 20, 3, 0, tzinfo=UTC).timestamp()

    def monotonic(self) -> float:
        return 0.0


def test_the_page_a_person_is_sent_to():
    url = urlsplit(login_url("key 1", {"state": "a.b=c&d", "n": "1"}))
    query = dict(parse_qsl(url.query))
    assert (url.scheme, url.netloc, url.path) == ("https", "kite.zerodha.com", "/connect/login")
    assert (query["api_key"], query["v"]) == ("key 1", "3")
    assert dict(parse_qsl(query["redirect_params"])) == {"state": "a.b=c&d", "n": "1"}


def test_the_page_of_an_emulator():
    assert login_url("k", endpoints=KiteEndpoints(login_root="http://127.0.0.1:9/")) == "http://127.0.0.1:9/connect/login?api_key=k&v=3"


@pytest.mark.parametrize(
    ("began", "ends"),
    [  # India is 5:30 ahead
        ("2026-11-20T00:29:59", "2026-11-20T00:30:00"),
        ("2026-11-20T00:30:00", "2026-11-21T00:30:00"),
        ("2026-11-20T03:00:00", "2026-11-21T00:30:00"),
        ("2026-11-20T18:29:59", "2026-11-21T00:30:00"),
        ("2026-11-20T18:30:00", "2026-11-21T00:30:00"),
        ("2026-11-20T23:59:59", "2026-11-21T00:30:00"),
    ],
)
def test_a_session_ends_at_six_in_the_morning(began, ends):
    first, last = (datetime.fromisoformat(x).replace(tzinfo=UTC).timestamp() for x in (began, ends))
    assert session_end(first) == last


def test_the_exchange_proves_the_secret_and_keeps_it():
    with serving({"POST /session/token": Page((MOCKS / "generate_session.json").read_bytes())}) as served:
        session = generate_session("key1", SECRET, TOKEN, endpoints=served.endpoints, clock=At())
    (asked,) = served.asked
    assert asked.fields == {
        "api_key": "key1",
        "request_token": TOKEN,
        "checksum": hashlib.sha256(f"key1{TOKEN}{SECRET}".encode()).hexdigest(),
    }
    assert (asked.headers["x-kite-version"], "authorization" in asked.headers) == ("3", False)
    assert (session.started_at, session.expires_at) == (At().now(), datetime(2026, 11, 21, 0, 30, tzinfo=UTC).timestamp())
    assert session.tokens["access_token"] not in repr(session)


@pytest.mark.parametrize(
    ("page", "means"),
    [
        (Page.error(403, "TokenException", "Token is invalid or has expired."), NeedsLogin),
        (Page.error(403, "TokenException", "Invalid `checksum`."), NeedsLogin),
        (Page.error(400, "InputException", f"Invalid `api_key` {TOKEN}."), Refused),
        (Page.error(503, "NetworkException", "Gateway timed out"), Retry),
        (Page(f"<html>{SECRET}</html>".encode(), 502, "text/html"), Retry),
        (Page(b'{"status": "success", "da'), Retry),
        (Page(b'{"status": "success"}'), Retry),
        (Page.of({"status": "success", "data": {"user_id": "X", "login_time": "2026-11-20 08:30:00"}}), Retry),
        (Page.of({"status": "success", "data": {"access_token": "t"}}), Retry),
        (Page.of([]), Retry),
    ],
)
def test_a_failed_exchange_says_what_to_do_and_no_secret(page, means):
    with serving({"POST /session/token": page}) as served, pytest.raises(means) as caught:
        generate_session("key1", SECRET, TOKEN, endpoints=served.endpoints)
    said = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert len(str(caught.value)) > 10
    assert not any(secret in said for secret in (SECRET, TOKEN))


def test_an_answer_that_is_lost_means_one_more_log_in():
    with serving({}) as served:
        root = served.endpoints
    with pytest.raises(Retry):
        generate_session("key1", SECRET, TOKEN, endpoints=root)
