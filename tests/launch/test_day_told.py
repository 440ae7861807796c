"""When people hear of their day: whose books are closed for good, and never of half a day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import RLock
from types import SimpleNamespace
from typing import Any

import pytest

from app.data import Data
from app.launch.compose import _close_books, _turn_of_day
from engines.core import facts as f
from engines.core.model import Account, AccountDay, JobRun, PaperSettings, PositionKey, Product, RunState
from engines.core.sessions import load_calendar
from engines.core.timetable import Job, JobKind, jobs_of
from tests.data.making import CLI, NOON, HandClock, account, cheap_user, opened

MONDAY, TUESDAY, THURSDAY, FRIDAY = "2026-01-05", "2026-01-06", "2026-01-08", "2026-01-09"
IN_HOURS = PaperSettings(session_hours=True)


@dataclass
class House:
    data: Data
    clock: HandClock
    desks: list[Any] = field(default_factory=list)

    def person(self, name: str, *accounts: Account, symbol: str = "NSE:INFY") -> str:
        """Somebody whose first account has done something on Monday."""
        user = cheap_user(self.data, f"{name}@example.com")
        for each in accounts:
            made = replace(each, account_id=f"{name}-{each.account_id}", name=each.account_id, user_id=user)
            self.data.accounts.add(made, {}, by=CLI)
            books = {PositionKey(made.account_id, symbol, Product.MIS, "S1"): None}
            self.desks.append(SimpleNamespace(account=made, lock=RLock(), books=books, live_orders=list, open_day=lambda *_: True))
        self.data.journal.commit(f.DayChanged(AccountDay(f"{name}-{accounts[0].account_id}", MONDAY, trades=1)))
        return user

    def run(self, kind: JobKind, day: str = MONDAY) -> None:
        hours = SimpleNamespace(calendar=SimpleNamespace(hours={}))
        roster, settings = SimpleNamespace(desks=lambda: self.desks), SimpleNamespace(own_hours=frozenset())
        system: Any = SimpleNamespace(clock=self.clock, hours=hours, roster=roster, settings=settings)
        job = job_of(kind, day)
        _close_books(system, self.data, job) if kind is JobKind.END_OF_DAY else _turn_of_day(system, self.data, job)

    def told(self) -> set[str]:
        """People for whom there is something to be put into words."""
        rows = self.data.outbox.new(100)
        assert len(rows) == len({row.user_id for row in rows}), "once for each person"
        return {row.user_id for row in rows}


def job_of(kind: JobKind, day: str) -> Job:
    return next(job for job in jobs_of(day, load_calendar(), ()) if job.kind is kind)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = HandClock()
    with opened(tmp_path / "data", clock=clock) as data:
        yield House(data, clock)


PAPER = replace(account("", "P"), paper=IN_HOURS)
ANY_HOUR = replace(PAPER, account_id="H", paper=PaperSettings())
LIVE = replace(PAPER, account_id="Z", broker="zerodha", paper=PaperSettings())
COINS = replace(LIVE, account_id="B", broker="binance_spot")


def test_books_closed_by_hand_at_noon_are_no_news_and_those_of_the_planned_moment_are(house: House) -> None:
    user = house.person("asha", PAPER)
    assert house.clock.now() == NOON < job_of(JobKind.END_OF_DAY, MONDAY).at
    house.run(JobKind.END_OF_DAY)
    assert len(house.data.day_books.list(user)) == 1
    assert house.told() == set()
    house.clock.wall = job_of(JobKind.END_OF_DAY, MONDAY).at
    house.run(JobKind.END_OF_DAY)
    assert house.told() == {user}


def test_whoever_has_an_account_that_trades_on_hears_of_the_day_once_it_turns(house: House) -> None:
    done = {house.person("shares", LIVE), house.person("off", PAPER, replace(COINS, enabled=False))}
    on = {
        house.person("paper", ANY_HOUR),
        house.person("both", LIVE, COINS),  # the coins have not moved yet
        house.person("gold", LIVE, symbol="MCX:GOLDM26FEBFUT"),
    }
    house.clock.wall = job_of(JobKind.END_OF_DAY, MONDAY).at
    house.run(JobKind.END_OF_DAY)
    assert house.told() == done
    house.clock.wall = job_of(JobKind.DAY_START, TUESDAY).at
    house.run(JobKind.DAY_START, TUESDAY)
    assert house.told() == done | on


def test_a_day_that_is_closed_late_is_told_to_everybody(house: House) -> None:
    user = house.person("paper", ANY_HOUR)
    house.clock.wall = job_of(JobKind.DAY_START, TUESDAY).at + 3600
    house.run(JobKind.END_OF_DAY)
    assert house.told() == {user}


@pytest.mark.parametrize("again", [RunState.STARTED, RunState.FAILED, None])
def test_whoever_traded_on_hears_of_the_day_when_tandem_is_next_on_and_once(house: House, again: RunState | None) -> None:
    """It was off on Tuesday and Wednesday; the first start on Wednesday, where there was one, came to nothing."""
    house.data.journal.commit(f.JobChanged(JobRun(MONDAY, JobKind.DAY_START, RunState.DONE, NOON, NOON)))
    user = house.person("paper", ANY_HOUR)
    house.clock.wall = job_of(JobKind.END_OF_DAY, MONDAY).at
    house.run(JobKind.END_OF_DAY)
    assert house.told() == set()
    if again is not None:
        house.data.journal.commit(f.JobChanged(JobRun("2026-01-07", JobKind.DAY_START, again, NOON, NOON)))
    for day in (THURSDAY, FRIDAY):
        house.clock.wall = job_of(JobKind.DAY_START, day).at + 3600
        house.run(JobKind.DAY_START, day)
        house.data.journal.commit(f.JobChanged(JobRun(day, JobKind.DAY_START, RunState.DONE, NOON, NOON)))
        assert [(row.user_id, row.ref) for row in house.data.outbox.new(100)] == [(user, MONDAY)]


def test_days_that_were_ended_long_ago_are_not_looked_at_again(house: House) -> None:
    runs = [("2026-01-02", RunState.FAILED), (MONDAY, RunState.DONE), (TUESDAY, RunState.FAILED), ("2026-01-07", RunState.SKIPPED)]
    house.data.journal.commit(*(f.JobChanged(JobRun(day, JobKind.DAY_START, state, NOON, NOON)) for day, state in runs))
    assert house.data.day_books.unended(FRIDAY) == [MONDAY, TUESDAY, THURSDAY]
