"""When an automated log-in is due, as a table; and the loop that makes them, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engines.core.model import RunState
from engines.core.sessions import load_calendar, session_day
from engines.core.timetable import JobKind, jobs_of
from engines.login.memory import AutoLogin
from engines.login.program import Outcome
from engines.login.reasons import Reason
from engines.login.schedule import LoginSchedule, MorningLogIns, due, due_by_key
from engines.ports import Session
from tests.login.house import OWN, House, live

MIDNIGHT = 1_767_551_400.0  # 2026-01-05 00:00 IST, a Monday


def at(hour: int, minute: int = 0, days: int = 0) -> float:
    return MIDNIGHT + days * 86_400 + hour * 3600 + minute * 60


def until(now: float) -> float | None:
    """When the day's log-ins are over, as the timetable says; None while they have not begun."""
    jobs = [
        job for job in jobs_of(session_day(now, "NSE"), load_calendar(), ()) if job.kind is JobKind.LOG_INS and job.at <= now < job.until
    ]
    return jobs[0].until if jobs else None


FRESH = AutoLogin("A1")
TABLE: list[tuple[str, dict[str, Any], AutoLogin, float | None, float, bool]] = [
    ("before its time", {}, FRESH, None, at(8, 14), False),
    ("at its time", {}, FRESH, None, at(8, 15), True),
    ("caught up after a restart", {}, FRESH, None, at(11), True),
    ("after the close", {}, FRESH, None, at(15, 40), False),
    ("on a Sunday", {}, FRESH, None, at(9, days=-1), False),
    ("on a holiday", {}, FRESH, None, at(9, days=21), False),
    ("not asked for", {"auto_login": False}, FRESH, None, at(9), False),
    ("an account that is off", {"enabled": False}, FRESH, None, at(9), False),
    ("another broker", {"broker": "angelone"}, FRESH, None, at(9), False),
    ("a session for the day", {}, FRESH, at(6, days=1), at(9), False),
    ("yesterday's session", {}, FRESH, at(6), at(9), True),
    ("a session that ends at noon", {}, FRESH, at(12), at(9), True),
    ("done today", {}, replace(FRESH, day="2026-01-05", at=at(8, 15)), None, at(13), False),
    ("done yesterday", {}, replace(FRESH, day="2026-01-04", at=at(8, 15, -1)), None, at(9), True),
    ("failed a moment ago", {}, AutoLogin("A1", "2026-01-05", at(8, 15), 1, "timeout"), None, at(8, 19), False),
    ("failed a while ago", {}, AutoLogin("A1", "2026-01-05", at(8, 15), 1, "timeout"), None, at(8, 20), True),
    ("failed for good", {}, AutoLogin("A1", "2026-01-05", at(8, 15), 1, "refused"), None, at(8, 20), False),
    ("failed twice", {}, AutoLogin("A1", "2026-01-05", at(8, 15), 2, "timeout"), None, at(9), False),
    ("failed twice yesterday", {}, AutoLogin("A1", "2026-01-04", at(8, 15, -1), 2, "timeout"), None, at(9), False),
]


@pytest.mark.parametrize(("fields", "told", "ends", "now", "is_due"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_when_it_is_due(fields: dict[str, Any], told: AutoLogin, ends: float | None, now: float, is_due: bool) -> None:
    assert due(replace(live(), **fields), told, ends, now, until(now)) is is_due


BY_KEY: list[tuple[str, dict[str, Any], str | None, float | None, float, bool]] = [
    ("before its time", {}, None, at(0), at(8, 14), False),
    ("at its time", {}, None, at(0), at(8, 15), True),
    ("caught up after a restart", {}, None, None, at(11), True),
    ("tried today", {}, "2026-01-05", at(0), at(9), False),
    ("tried on Friday", {}, "2026-01-02", at(0), at(9), True),
    ("a session until midnight", {}, None, at(0, days=1), at(9), False),
    ("on a Sunday", {}, None, None, at(9, days=-1), False),
    ("after the close", {}, None, None, at(15, 40), False),
    ("an account that is off", {"enabled": False}, None, None, at(9), False),
    ("a broker that wants a browser", {"broker": "zerodha"}, None, None, at(9), False),
]


@pytest.mark.parametrize(("fields", "tried", "ends", "now", "is_due"), [row[1:] for row in BY_KEY], ids=[row[0] for row in BY_KEY])
def test_when_a_sign_in_by_keys_is_due(fields: dict[str, Any], tried: str | None, ends: float | None, now: float, is_due: bool) -> None:
    account = replace(live(), **({"broker": "angelone"} | fields))
    assert due_by_key(account, tried, ends, now, until(now)) is is_due


def test_angel_one_signs_in_by_itself_once_a_day_and_no_oftener() -> None:
    house = House()
    loop = LoginSchedule(
        house.clock,
        lambda: until(house.clock.wall),
        lambda: [replace(live("A1"), broker="angelone", auto_login=False)],
        house,
        house.automatic(),
        house.connected.append,
    )
    for day in range(2):
        for hour in range(24):
            house.clock.wall = at(hour, days=day)
            run(loop)
    assert house.connected == ["A1", "A1"]


def schedule(house: House, *names: str) -> LoginSchedule:
    for name in names:
        house.own[name] = dict(OWN)
    return LoginSchedule(
        house.clock,
        lambda: until(house.clock.wall),
        lambda: [live(name) for name in names],
        house,
        house.automatic(),
        house.connected.append,
    )


def run(loop: LoginSchedule) -> None:
    loop.step()
    loop.join(30)


def test_each_account_once_a_day_whatever_restarts(tmp_path: object) -> None:
    house = House()
    house.clock.wall = at(8, 15)
    house.session = Session("AB1234", {"access_token": "t"}, 0.0, at(6, days=1))
    run(schedule(house, "A1", "A2"))
    assert house.connected == ["A1", "A2"]
    house.clock.wall = at(13)
    house.stored.clear()  # the broker ended the session: that is a person's to look at
    run(schedule(house, "A1", "A2"))
    assert house.connected == ["A1", "A2"]
    house.clock.wall = at(8, 30, days=1)
    run(schedule(house, "A1", "A2"))
    assert house.connected == ["A1", "A2", "A1", "A2"]


def test_the_timetables_job_ends_when_everybody_has_been_tried() -> None:
    house = House()
    house.clock.wall = at(8, 15)
    house.session = Session("AB1234", {"access_token": "t"}, 0.0, at(6, days=1))
    loop = schedule(house, "A1", "A2")
    work = MorningLogIns(loop)
    while (ended := work.step(at(8, 15))) is None:
        loop.join(30)
    assert (ended.state, ended.detail) == (RunState.DONE, "2 of 2 accounts signed in")


def test_no_retry_storm() -> None:
    house = House(say=Outcome(None, Reason.TIMEOUT))
    loop = schedule(house, "A1")
    for minute in range(8 * 60, 16 * 60):
        house.clock.wall = at(0, minute)
        run(loop)
    for day in range(1, 5):
        house.clock.wall = at(9, days=day)
        run(loop)
    assert len(house.tasks) == 2
    house.forgive("A1")
    run(loop)
    assert len(house.tasks) == 3


def test_a_fault_with_one_account_leaves_the_next_its_turn() -> None:
    house = House()
    house.clock.wall = at(9)
    loop = schedule(house, "A1", "A2")
    house.during = lambda: house.own.pop("A1", None)  # deleted meanwhile
    run(loop)
    assert house.connected == ["A2"]


def test_a_loop_that_is_stopped_begins_nothing() -> None:
    house = House()
    house.clock.wall = at(9)
    loop = schedule(house, "A1")
    loop.stop()
    run(loop)
    assert house.tasks == []
