"""What the log-in page shows and what follows from it, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from engines.login.page import Act, Seen, Stage, code_at, given_up, judge, request_token
from engines.login.reasons import PASSING, WORDS, Reason

FORM = {"user": True, "password": True, "ready": True, "address": "https://kite/connect/login"}
CODE = {"code": True, "ready": True}
OPENED, PASSWORD_SENT, CODE_SENT = Stage.OPENED, Stage.PASSWORD_SENT, Stage.CODE_SENT

TABLE: list[tuple[Stage, dict[str, Any], Act | Reason]] = [
    (OPENED, {}, Act.WAIT),
    (OPENED, {"address": "chrome-error://chromewebdata/", "ready": True}, Reason.UNREACHABLE),
    (OPENED, FORM, Act.TYPE_PASSWORD),
    (OPENED, FORM | {"captcha": True}, Reason.CAPTCHA),
    (OPENED, FORM | {"error": "Session expired"}, Act.TYPE_PASSWORD),
    (OPENED, {"user": True}, Act.WAIT),
    (OPENED, {"ready": True, "error": "Invalid `api_key`."}, Reason.REFUSED),
    (OPENED, {"address": "https://kite/connect/authorize?x"}, Reason.CONSENT),
    (PASSWORD_SENT, FORM, Act.WAIT),
    (PASSWORD_SENT, FORM | {"code": True}, Act.WAIT),
    (PASSWORD_SENT, CODE, Act.TYPE_CODE),
    (PASSWORD_SENT, FORM | {"error": "Invalid username or password."}, Reason.WRONG_PASSWORD),
    (PASSWORD_SENT, FORM | {"error": "User ID is not known"}, Reason.WRONG_PASSWORD),
    (PASSWORD_SENT, FORM | {"error": "Account locked, reset your password"}, Reason.BLOCKED),
    (PASSWORD_SENT, FORM | {"error": "Please solve the CAPTCHA"}, Reason.CAPTCHA),
    (PASSWORD_SENT, FORM | {"captcha": True, "error": "x"}, Reason.CAPTCHA),
    (PASSWORD_SENT, FORM | {"error": "We are down for maintenance"}, Reason.REFUSED),
    (CODE_SENT, CODE, Act.WAIT),
    (CODE_SENT, {"address": "chrome-error://chromewebdata/", "ready": True}, Act.WAIT),
    (CODE_SENT, CODE | {"error": "Invalid TOTP"}, Reason.WRONG_TOTP),
    (CODE_SENT, CODE | {"error": "Too many wrong tries"}, Reason.BLOCKED),
    (CODE_SENT, {"error": "The user is not enabled for the app."}, Reason.WRONG_USER),
    (CODE_SENT, {"error": "Your session has expired. Please login again."}, Reason.REFUSED),
    (CODE_SENT, {"consent": True}, Reason.CONSENT),
]


@pytest.mark.parametrize(("stage", "facts", "what"), TABLE)
def test_what_follows_from_what_is_seen(stage: Stage, facts: dict[str, Any], what: Act | Reason) -> None:
    assert judge(stage, Seen(facts)) is what


def test_a_token_is_the_end_whatever_else_is_seen() -> None:
    assert judge(CODE_SENT, Seen({"captcha": True, "error": "x"}, "token")) is Act.DONE


def test_an_error_that_stood_there_before_is_not_the_answer() -> None:
    assert judge(PASSWORD_SENT, Seen(CODE | {"error": "old"}, before="old")) is Act.TYPE_CODE


@pytest.mark.parametrize(
    ("stage", "facts", "why"),
    [
        (OPENED, {}, Reason.UNREACHABLE),
        (OPENED, {"address": "data:,", "ready": True}, Reason.UNREACHABLE),
        (OPENED, {"address": "https://kite/", "ready": True, "user": True}, Reason.CHANGED_PAGE),
        (OPENED, {"address": "https://kite/", "ready": False}, Reason.TIMEOUT),
        (PASSWORD_SENT, {"address": "https://kite/", "ready": True, "password": True}, Reason.CHANGED_PAGE),
        (CODE_SENT, {"address": "https://kite/", "ready": True}, Reason.TIMEOUT),
    ],
)
def test_why_nothing_came(stage: Stage, facts: dict[str, Any], why: Reason) -> None:
    assert given_up(stage, Seen(facts)) is why


@pytest.mark.parametrize(
    ("address", "token"),
    [
        ("http://127.0.0.1:5000/zerodha/callback?status=success&request_token=abc&action=login", "abc"),
        ("http://127.0.0.1:5000/zerodha/callback?request_token=abc", "abc"),
        ("http://127.0.0.1:5000/zerodha/callback?status=failed&request_token=abc", ""),
        ("https://kite.zerodha.com/connect/login?v=3", ""),
        ("http://here/login?next=%2Fcallback%3Frequest_token%3Dabc", ""),
        ("", ""),
    ],
)
def test_the_token_in_the_address(address: str, token: str) -> None:
    assert request_token(address) == token


@pytest.mark.parametrize(
    ("now", "used", "waits"),
    [
        (3000.0, None, 0.0),
        (3026.9, None, 0.0),
        (3027.1, None, 3.1),
        (3001.0, 99, 0.0),
        (3001.0, 100, 29.2),
        (3028.0, 100, 2.2),
        (3001.0, 101, 59.2),
    ],
)
def test_a_code_is_never_typed_late_nor_twice(now: float, used: int | None, waits: float) -> None:
    assert code_at(now, used) == pytest.approx(waits)


def test_every_reason_has_words_and_only_passing_ones_are_tried_again() -> None:
    assert set(WORDS) == set(Reason)
    assert Reason.WRONG_PASSWORD not in PASSING
    assert Reason.CAPTCHA not in PASSING
