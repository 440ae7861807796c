"""The exchanges' clocks: which session a moment belongs to, and whether the market is open at it.

Indian exchanges keep IST, crypto venues UTC and never close. Hours, holidays and special sessions are dated data, never constants.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
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


KNOWN_FROM = 8
"""Weekday holidays that make a year of a person's own count as known: the exchanges close on 13 to 17 weekdays a year."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Trading hours by exchange (each from a date on, oldest first), holidays, days with hours of their own, and what people have put over all of it.

    `years` are those whose holidays are known: outside them only weekends are closed, and a caller should say so. An exchange may have a part with hours
    of its own, named "NSE:CAS": what is said of the exchange holds for the part too, but never beyond the part's own ordinary close.
    """

    hours: Mapping[str, tuple[tuple[str, Window], ...]]
    holidays: frozenset[str]
    special: Mapping[str, tuple[Window, ...]]
    years: frozenset[str]
    own: Mapping[tuple[str, str], CalendarDay] = field(default_factory=dict)  # by (day, exchange)
    names: Mapping[str, str] = field(default_factory=dict)  # of holidays and special sessions

    def knows(self, day: str) -> bool:
        return day[:4] in self.years

    def ordinary(self, day: str, exchange: str) -> Window:
        """The hours that an exchange keeps at that time on a day without anything special."""
        rows = self.hours.get(exchange)
        if rows is None:
            return (0, DAY)
        return (list(takewhile(lambda row: row[0] <= day, rows)) or list(rows[:1]))[-1][1]

    def windows(self, day: str, exchange: str) -> tuple[Window, ...]:
        """When an exchange trades on an ISO date; empty: not at all."""
        if exchange not in self.hours:
            return ((0, DAY),)
        usual = self.ordinary(day, exchange)
        own = self.changed(day, exchange)
        if own is not None and own.ordinary:
            return (usual,)
        if own is not None:
            special: tuple[Window, ...] | None = tuple((_seconds(start), _seconds(end)) for start, end in own.windows)
            asked_for_part = own.exchange == exchange
        else:
            special, asked_for_part = self.special.get(day), False
        if special is not None:
            return special if asked_for_part or ":" not in exchange else _within(special, usual[1])
        if day in self.holidays or date.fromisoformat(day).weekday() >= 5:
            return ()
        return (usual,)

    def changed(self, day: str, exchange: str) -> CalendarDay | None:
        """What a person has said of this day, the most particular first."""
        if not self.own:
            return None
        return self.own.get((day, exchange)) or self.own.get((day, exchange_of(exchange))) or self.own.get((day, "*"))


def with_days(calendar: Calendar, days: Iterable[CalendarDay]) -> Calendar:
    """The calendar with what people have added or changed, in place of what they had said before."""
    own = {(row.day, row.exchange): row for row in days}
    closed = Counter(
        row.day[:4] for row in own.values() if not row.windows and not row.ordinary and date.fromisoformat(row.day).weekday() < 5
    )
    known = {year for year, count in closed.items() if count >= KNOWN_FROM}
    return replace(calendar, own=own, years=calendar.years | known)


def trades_on(day: str, exchange: str, calendar: Calendar) -> bool:
    return bool(calendar.windows(day, exchange))


def next_trading_day(day: str, exchange: str, calendar: Calendar) -> str | None:
    """The first day after `day` on which the exchange trades; None: not within a month."""
    start = date.fromisoformat(day)
    following = ((start + timedelta(days=count)).isoformat() for count in range(1, 32))
    return next((other for other in following if trades_on(other, exchange, calendar)), None)


def midnight(day: str, exchange: str) -> Timestamp:
    """When an ISO date begins in the market's zone."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() - utc_offset(exchange)


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
        names={day: name for year in data["holidays"].values() for day, name in year["days"].items()}
        | {day: row["name"] for day, row in data["special_sessions"].items()},
    )


def _within(windows: tuple[Window, ...], close: int) -> tuple[Window, ...]:
    """A window that runs over the part's ordinary close ends at it; an evening session that begins after it is left alone."""
    return tuple((start, min(end, close) if start < close else end) for start, end in windows)


@lru_cache(maxsize=64)
def _iso_date(day_number: int) -> str:
    return datetime.fromtimestamp(day_number * DAY, UTC).date().isoformat()


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60
