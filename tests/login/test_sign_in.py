"""What a finished log-in leaves behind, and what a failed one does not."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from engines.login.automatic import Busy
from engines.login.memory import AutoLogin
from engines.login.program import Outcome
from engines.login.reasons import WORDS, LoginFailed, Reason
from engines.ports import NeedsLogin, Session
from tests.login.house import OWN, House, wait_for


@pytest.fixture
def house() -> House:
    return House()


def test_a_finished_log_in_keeps_the_session_and_connects(house: House) -> None:
    assert house.sign_in.finish("A1", "token") == house.session == house.stored["A1"]
    assert house.exchanged == [("key", "canary-secret", "token", "192.0.2.1")]
    assert house.connected == ["A1"]


def test_who_signed_in_first_is_remembered_and_nobody_else_is_let_in(house: House) -> None:
    del house.own["A1"]["user_id"]
    house.sign_in.finish("A1", "token")
    assert house.own["A1"]["user_id"] == "AB1234"
    house.stored.clear()
    house.connected.clear()
    house.session = Session("ZZ9999", {"access_token": "other"})
    with pytest.raises(LoginFailed) as wrong:
        house.sign_in.finish("A1", "token")
    assert wrong.value.reason is Reason.WRONG_USER
    assert (house.stored, house.connected) == ({}, [])


def test_the_user_id_is_compared_apart_from_case(house: House) -> None:
    house.own["A1"]["user_id"] = "ab1234 "
    house.sign_in.finish("A1", "token")
    assert house.connected == ["A1"]


def test_a_token_that_was_pasted_makes_way(house: House) -> None:
    house.own["A1"]["access_token"] = "pasted"
    house.sign_in.finish("A1", "token")
    assert house.own["A1"] == OWN


def test_an_attempt_that_goes_well(house: House) -> None:
    house.told["A1"] = AutoLogin("A1", "", 0.0, 1, "timeout", "late")
    done = house.automatic().attempt("A1", day="2026-01-05")
    assert done == house.told["A1"] == AutoLogin("A1", "2026-01-05", house.clock.now())
    assert house.incidents == [("A1", "")]
    assert house.connected == ["A1"]
    (task,) = house.tasks
    assert (task.address, task.user_id, task.after_step) == ("https://kite/login?key", "AB1234", None)


def test_the_next_attempt_knows_which_code_was_used(house: House) -> None:
    automatic = house.automatic()
    automatic.attempt("A1")
    automatic.attempt("A1")
    assert [task.after_step for task in house.tasks] == [None, 100]


@pytest.mark.parametrize(
    ("reason", "stopped_after"),
    [
        (Reason.TIMEOUT, 2),
        (Reason.UNREACHABLE, 2),
        (Reason.CRASHED, 2),
        (Reason.WRONG_TOTP, 2),
        (Reason.WRONG_PASSWORD, 1),
        (Reason.CAPTCHA, 1),
        (Reason.CHANGED_PAGE, 1),
        (Reason.BLOCKED, 1),
        (Reason.CONSENT, 1),
        (Reason.NO_BROWSER, 1),
    ],
)
def test_two_failures_or_one_that_needs_a_person_stop_it(house: House, reason: Reason, stopped_after: int) -> None:
    house.say = Outcome(None, reason)
    automatic = house.automatic()
    stopped = [automatic.attempt("A1").stopped for _ in range(2)]
    assert stopped == [stopped_after == 1, True]
    told = house.told["A1"]
    assert (told.reason, told.message) == (reason.value, WORDS[reason])
    assert house.incidents[-1] == ("A1", WORDS[reason])
    assert house.connected == []


def test_without_what_it_needs_no_browser_is_started(house: House) -> None:
    del house.own["A1"]["totp_secret"]
    told = house.automatic().attempt("A1")
    assert (told.reason, told.stopped, house.tasks) == ("missing", True, [])


def test_what_the_exchange_says_is_told(house: House) -> None:
    house.session = NeedsLogin("Zerodha: the request token is too old")
    told = house.automatic().attempt("A1")
    assert (told.reason, told.failures) == ("refused", 1)
    assert "too old" in told.message


def test_a_fault_of_ours_is_counted_and_tells_nothing_it_was_given(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.session = RuntimeError("canary-secret in an unexpected place")
    told = house.automatic().attempt("A1")
    assert (told.reason, told.failures) == ("crashed", 1)
    assert "canary" not in told.message + caplog.text + repr(house.tasks)


def test_an_attempt_is_counted_before_it_is_made(house: House) -> None:
    house.during = lambda: seen.append(house.told["A1"])
    seen: list[AutoLogin] = []
    house.automatic().attempt("A1", day="2026-01-05")
    assert [(told.day, told.failures) for told in seen] == [("2026-01-05", 1)]


def test_one_attempt_at_a_time(house: House) -> None:
    busy, go = threading.Event(), threading.Event()
    automatic = house.automatic()

    def wait() -> None:
        busy.set()
        wait_for(go)

    house.during = wait
    thread = threading.Thread(target=automatic.attempt, args=("A1",))
    thread.start()
    wait_for(busy)
    with pytest.raises(Busy):
        automatic.attempt("A1")
    go.set()
    thread.join()
    house.during = lambda: None
    assert automatic.attempt("A1").failures == 0
    assert replace(house.told["A1"], at=0.0) == AutoLogin("A1")
