"""Which candles a file should have by the calendar and has not: days that are missing, holes inside days, and candles outside of the hours.

A minute without a trade has no candle, so a hole is a fact and not yet a fault; whoever reads the report judges. Nothing is filled in. Where the
holidays of a year are not known, a weekday on which no instrument of the file has a candle counts as closed, and the report says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from engines.core.model import Timestamp
from engines.core.sessions import DAY, Calendar, Window, exchange_of, midnight, session_day, utc_offset

MOST_HOLES = 200
SILENCE = 300.0
"""Seconds without a tick, inside the hours, that are told."""


@dataclass(frozen=True, slots=True)
class Hole:
    """`bars` missing ones in a row inside one session (0: a silence between ticks); [start, end) in seconds since 1970."""

    start: Timestamp
    end: Timestamp
    bars: int


@dataclass(frozen=True, slots=True)
class SymbolGaps:
    """Of one instrument, from its first day to its last. `expected` and `missing` count bars; `holes` are the first `MOST_HOLES` of `hole_count`."""

    symbol: str
    first_day: str
    last_day: str
    days: int
    rows: int
    expected: int
    missing: int
    missing_days: tuple[str, ...]
    holes: tuple[Hole, ...]
    hole_count: int
    outside: int  # rows outside of the exchange's hours
    short_days: Mapping[str, int]  # days with a hole → bars that are missing (ticks: silences)

    @property
    def whole(self) -> bool:
        return not (self.missing_days or self.hole_count or self.outside)


@dataclass(frozen=True, slots=True)
class GapReport:
    """`notes`: what the reader must know to believe it."""

    seconds: float
    symbols: tuple[SymbolGaps, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "notes": list(self.notes), "symbols": [_symbol_json(each) for each in self.symbols]}


def find_gaps(starts: Mapping[str, Sequence[Timestamp]], seconds: float, calendar: Calendar) -> GapReport:
    """`starts`: for each instrument when its rows begin, oldest first; `seconds`: of a candle, 0 for ticks."""
    if seconds > DAY:
        return GapReport(seconds, (), ("Candles longer than a day are not compared with the calendar.",))
    seen = {symbol: _by_day(symbol, times) for symbol, times in starts.items() if len(times)}
    traded: dict[str, set[str]] = {}
    for symbol, days in seen.items():
        traded.setdefault(exchange_of(symbol), set()).update(days)
    unknown = sorted({day[:4] for days in traded.values() for day in days if not calendar.knows(day)})
    with_hours = [exchange for exchange in traded if exchange in calendar.hours]
    notes = []
    if unknown and with_hours:
        years = unknown[0] if len(unknown) == 1 else f"{unknown[0]} to {unknown[-1]}"
        notes.append(f"The holidays of {years} are not in the calendar: weekdays without any candle in the file count as closed.")
    session = _Sessions(calendar, traded)
    return GapReport(seconds, tuple(_one(symbol, days, seconds, session) for symbol, days in seen.items()), tuple(notes))


class _Sessions:
    """(day, exchange) → the windows that the file can be expected to cover."""

    def __init__(self, calendar: Calendar, traded: Mapping[str, set[str]]) -> None:
        self._calendar = calendar
        self._traded = traded
        self._known: dict[tuple[str, str], tuple[Window, ...]] = {}

    def __call__(self, day: str, exchange: str) -> tuple[Window, ...]:
        key = (day, exchange)
        if key not in self._known:
            windows = self._calendar.windows(day, exchange)
            guessed = exchange in self._calendar.hours and not self._calendar.knows(day)
            self._known[key] = () if guessed and day not in self._traded[exchange] else windows
        return self._known[key]


def _by_day(symbol: str, times: Sequence[Timestamp]) -> dict[str, list[int]]:
    """Session day → seconds after its midnight."""
    offset, days = utc_offset(symbol), dict[str, list[int]]()
    number, today = -1, list[int]()
    for at in times:
        since = at + offset
        if since // DAY != number:
            number = int(since // DAY)
            today = days.setdefault(session_day(at, exchange_of(symbol)), [])
        today.append(int(since - number * DAY))
    return days


def _one(symbol: str, days: Mapping[str, Sequence[int]], seconds: float, session: _Sessions) -> SymbolGaps:
    exchange = exchange_of(symbol)
    first, last = min(days), max(days)
    step = int(seconds)
    phase = _phase(days, step) if 0 < step < DAY else 0
    expected = missing = outside = 0
    holes: list[Hole] = []
    missing_days: list[str] = []
    short: dict[str, int] = {}
    for day in _days(first, last):
        windows, present = session(day, exchange), days.get(day)
        if present is None:
            if windows:
                missing_days.append(day)
                expected += (count := len(_grid(windows, step, phase)))
                missing += count
            continue
        begins = midnight(day, exchange)
        if step >= DAY:
            expected += bool(windows)
            outside += not windows
        elif step:
            grid, have = _grid(windows, step, phase), set(present)
            expected += len(grid)
            lacking = [at for at in grid if at not in have]
            missing += len(lacking)
            if lacking:
                short[day] = len(lacking)
            outside += len(have.difference(grid))
            holes += (Hole(begins + start, begins + end, (end - start) // step) for start, end in _runs(lacking, step))
        else:
            outside += sum(not any(start <= at < end for start, end in windows) for at in present)
            silences = list(_silences(present, windows))
            holes += (Hole(begins + start, begins + end, 0) for start, end in silences)
            if silences:
                short[day] = len(silences)
    rows = sum(map(len, days.values()))
    return SymbolGaps(
        symbol, first, last, len(days), rows, expected, missing, tuple(missing_days), tuple(holes[:MOST_HOLES]), len(holes), outside, short
    )


def _days(first: str, last: str) -> Iterator[str]:
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    while day <= end:
        yield day.isoformat()
        day += timedelta(days=1)


def _phase(days: Mapping[str, Sequence[int]], step: int) -> int:
    """Where the bars of this file begin: 09:15, or the whole hour."""
    return Counter(at % step for day in days.values() for at in day).most_common(1)[0][0]


def _grid(windows: Sequence[Window], step: int, phase: int) -> list[int]:
    """When the bars that touch the windows begin. A day's bar begins at midnight; ticks have no grid."""
    if step >= DAY:
        return [0] if windows else []
    if not step:
        return []
    return [at for start, end in windows for at in range(start - (start - phase) % step, end, step)]


def _runs(lacking: Sequence[int], step: int) -> Iterator[tuple[int, int]]:
    """Neighbouring bars together, as [start, end)."""
    if not lacking:
        return
    begin = lacking[0]
    for here, then in pairwise(lacking):
        if then - here != step:
            yield begin, here + step
            begin = then
    yield begin, lacking[-1] + step


def _silences(present: Sequence[int], windows: Sequence[Window]) -> Iterator[tuple[int, int]]:
    for start, end in windows:
        inside = [start, *(at for at in present if start <= at < end), end]
        yield from ((here, then) for here, then in pairwise(inside) if then - here >= SILENCE)


def _symbol_json(each: SymbolGaps) -> dict[str, Any]:
    return {
        "symbol": each.symbol,
        "first_day": each.first_day,
        "last_day": each.last_day,
        "days": each.days,
        "rows": each.rows,
        "expected": each.expected,
        "missing": each.missing,
        "missing_days": list(each.missing_days),
        "holes": [{"start": hole.start, "end": hole.end, "bars": hole.bars} for hole in each.holes],
        "hole_count": each.hole_count,
        "outside": each.outside,
        "short_days": dict(each.short_days),
    }
