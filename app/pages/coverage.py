"""Which days a dataset has, as a calendar that one looks at: a row for each month, a cell for each day; of many years, a row for each year.

Pure arithmetic over the gap report. A cell says in words what its colour says.
"""

from __future__ import annotations

from calendar import month_abbr, monthrange
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

MOST_MONTHS = 30


@dataclass(frozen=True, slots=True)
class Cell:
    """`look`: "full", "part" (bars are missing), "none" (the whole day is), "closed", or "" outside of the data's span."""

    look: str
    title: str = ""
    day: str = ""  # one that can be looked at


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    head: tuple[str, ...]
    rows: tuple[Row, ...]


def coverage(gaps: Any, days: Collection[str], *, ticks: bool = False) -> Coverage:
    """`gaps`: of one instrument; `days`: on which the dataset has anything at all."""
    first, last = date.fromisoformat(gaps.first_day), date.fromisoformat(gaps.last_day)
    look = _Looks(gaps, days, ticks)
    if (last.year - first.year) * 12 + last.month - first.month < MOST_MONTHS:
        return Coverage(tuple(map(str, range(1, 32))), tuple(_months(first, last, look)))
    return Coverage(tuple(month_abbr[1:]), tuple(_years(first, last, look)))


class _Looks:
    def __init__(self, gaps: Any, days: Collection[str], ticks: bool) -> None:
        self._missing = frozenset(gaps.missing_days)
        self._short = gaps.short_days
        self._days = frozenset(days)
        self._ticks = ticks

    def __call__(self, day: date) -> Cell:
        iso, said = day.isoformat(), f"{day.day} {day:%b %Y}"
        if iso in self._missing:
            return Cell("none", f"{said}: nothing, though the exchange traded")
        if iso in self._short:
            what = "silences" if self._ticks else "candles missing"
            return Cell("part", f"{said}: {self._short[iso]} {what}", iso)
        return Cell("full", f"{said}: whole", iso) if iso in self._days else Cell("closed", f"{said}: closed")


def _months(first: date, last: date, look: _Looks) -> Iterator[Row]:
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        there = monthrange(year, month)[1]
        days = [date(year, month, n) if n <= there else None for n in range(1, 32)]
        label = f"{month_abbr[month]} {year}"
        yield Row(label, tuple(look(day) if day is not None and first <= day <= last else Cell("") for day in days))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _years(first: date, last: date, look: _Looks) -> Iterator[Row]:
    for year in range(first.year, last.year + 1):
        yield Row(str(year), tuple(_month(year, month, first, last, look) for month in range(1, 13)))


def _month(year: int, month: int, first: date, last: date, look: _Looks) -> Cell:
    days = [date(year, month, n) for n in range(1, monthrange(year, month)[1] + 1)]
    looks = [look(day).look for day in days if first <= day <= last]
    if not looks:
        return Cell("")
    whole, part, none = (looks.count(word) for word in ("full", "part", "none"))
    label = f"{month_abbr[month]} {year}: {whole} whole days"
    if not (part or none):
        return Cell("full" if whole else "closed", label)
    return Cell("part" if whole or part else "none", f"{label}, {part} with holes, {none} missing")
