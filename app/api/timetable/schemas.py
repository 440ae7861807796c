"""The timetable on the wire: the jobs of a day, the times of each account, the books of past days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import StringConstraints

from app.api.calendar.schemas import HoursOut
from app.api.wire import Amount, Body, Moment, Out, PageQuery

Day = Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d-\d\d$")]


class TimetableQuery(Body):
    day: Day | None = None
    """Default: today. Of an earlier day what is on record."""


class JobOut(Out):
    """`state`: planned, due, started, done, failed or skipped; `at`: of that state. `until`: its last sensible moment, null when any later time will do.
    `by_hand`: what came of it when a person asked for it since, in words. `detail` and `by_hand` of the machine's own jobs are for owners."""

    job: str
    kind: str
    account_id: str | None
    segment: str | None
    planned_at: Moment
    until: Moment | None
    state: str
    at: Moment | None
    detail: str
    by_hand: str
    may_run_now: bool


class SegmentTimesOut(Out):
    """An account's day in one segment; null: not today, or never."""

    segment: str
    first_entry: Moment | None
    last_entry: Moment | None
    square_off: Moment | None


class AccountTimesOut(Out):
    """`keeps`: whether its day rules hold; `why` says so in words."""

    account_id: str
    keeps: bool
    why: str
    segments: Sequence[SegmentTimesOut]


class TimetableOut(Out):
    day: str
    today: bool
    trading: bool
    note: str
    now: Moment
    next_trading_day: str | None
    warnings: Sequence[str]
    hours: Sequence[HoursOut]
    jobs: Sequence[JobOut]
    accounts: Sequence[AccountTimesOut]


class RunAnswer(Out):
    job: str
    state: str
    detail: str


class DayBookQuery(PageQuery):
    account_id: str | None = None
    since: Day | None = None
    until: Day | None = None


class DayBookOut(Out):
    """What one account did in one session. `wins`, `losses`, `best`, `worst`: round trips that ended in it, after charges."""

    account_id: str
    day: str
    realised: Amount
    charges: Amount
    net: Amount
    unrealised: Amount
    equity: Amount | None
    trades: int
    fills: int
    turnover: Amount
    wins: int
    losses: int
    best: Amount | None
    worst: Amount | None
    denied: int
    rejected: int
    open_positions: int
    at: Moment
