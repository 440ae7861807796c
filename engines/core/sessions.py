"""The exchanges' clocks: which session a moment belongs to, and whether the market is open at it.

Indian exchanges keep IST, crypto venues UTC and never close. Hours, holidays and special sessions are dated data, never constants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from itertools import takewhile

from engines.core.model import Timeframe, Timestamp

DAY = 86_400
IST = 19_800
"""Seconds ahead of UTC. India has had no summer time since 1945, so a constant is the zone."""
HOME_EXCHANGE = "NSE"
"""Whose midnight begins a new session for limits and day books."""
INDIAN = frozenset({"NSE", "BSE", "NFO", "BFO", "MCX", "CDS"})

Window = tuple[int, int]  # open and close, seconds since the market's midnight


def exchange_of(symbol: str) -> str:
    return symbol.partition(":")[0]


def utc_offset(exchange: str) -> int:
    return IST if exchange_of(exchange) in INDIAN else 0


def day_start(at: Timestamp, exchange: str) -> Timestamp:
    """The market's midnight before `at`: where its session day begins."""
    offset = utc_offset(exchange)
    return (at + offset) // DAY * DAY - offset


def session_day(at: Timestamp, exchange: str) -> str:
    """The session that `at` belongs to, as an ISO date in the market's zone."""
    return _iso_date(int((at + utc_offset(exchange)) // DAY))


def bucket_offset(exchange: str, timeframe: Timeframe) -> int:
    """Where candles of an exchange begin, in seconds after UTC midnight, modulo the timeframe.

    Indian hours run from 09:15 (09:15 to 10:14:59), Indian days from midnight IST; crypto candles from whole UTC hours and days.
    """
    if utc_offset(exchange) == 0:
        return 0
    opening = 0 if timeframe is Timeframe.D1 else 9 * 3600 + 15 * 60
    return (opening - IST) % timeframe.seconds


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day that a person has put into the calendar: a holiday (no windows) or hours of its own. `exchange` "*": all exchanges that have hours.
    `windows`: (open, close) as HH:MM in the market's zone. `ordinary`: neither, the day trades as any other (takes back a holiday that ships)."""

    day: str
    exchange: str = "*"
    windows: tuple[tuple[str, str], ...] = ()
    ordinary: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Trading hours by exchange (each from a date on, oldest first), holidays, and days with hours of their own.

    `years` are those whose holidays are known: outside them only weekends are closed, and a caller should say so.
    """

    hours: Mapping[str, tuple[tuple[str, Window], ...]]
    holidays: frozenset[str]
    special: Mapping[str, tuple[Window, ...]]
    years: frozenset[str]

    def knows(self, day: str) -> bool:
        return day[:4] in self.years

    def windows(self, day: str, exchange: str) -> tuple[Window, ...]:
        """When an exchange trades on an ISO date; empty: not at all."""
        rows = self.hours.get(exchange)
        if rows is None:
            return ((0, DAY),)
        if day in self.special:
            return self.special[day]
        if day in self.holidays or date.fromisoformat(day).weekday() >= 5:
            return ()
        held = list(takewhile(lambda row: row[0] <= day, rows)) or rows[:1]
        return (held[-1][1],)


def is_open(at: Timestamp, exchange: str, calendar: Calendar) -> bool:
    second = at - day_start(at, exchange)
    return any(start <= second < end for start, end in calendar.windows(session_day(at, exchange), exchange))


def closes_at(at: Timestamp, exchange: str, calendar: Calendar) -> Timestamp | None:
    """The end of the last window of `at`'s session day; None when the exchange does not trade on it."""
    windows = calendar.windows(session_day(at, exchange), exchange)
    return day_start(at, exchange) + windows[-1][1] if windows else None


@lru_cache(maxsize=1)
def load_calendar() -> Calendar:
    """The calendar that ships with the program."""
    data = json.loads(resources.files("engines.core").joinpath("data", "calendar.json").read_text(encoding="utf-8"))
    return Calendar(
        hours={
            exchange: tuple((row["from"], (_seconds(row["open"]), _seconds(row["close"]))) for row in rows)
            for exchange, rows in data["hours"].items()
        },
        holidays=frozenset(day for year in data["holidays"].values() for day in year["days"]),
        special={
            day: tuple((_seconds(start), _seconds(end)) for start, end in row["hours"]) for day, row in data["special_sessions"].items()
        },
        years=frozenset(data["holidays"]),
    )


@lru_cache(maxsize=64)
def _iso_date(day_number: int) -> str:
    return datetime.fromtimestamp(day_number * DAY, UTC).date().isoformat()


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60
