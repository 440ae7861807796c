"""The calendar on the wire: a year's days that are not as others, and how a person puts one in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.api.calendar.table import CLOSED, read_hours
from app.api.wire import BadValue, Body, Note, Out


def _hours(text: str) -> str:
    try:
        read_hours(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
    return text


Year = Annotated[str, StringConstraints(pattern=r"^20\d\d$")]
Hours = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_hours)]


class CalendarQuery(Body):
    year: Year | None = None
    """Default: the present one."""


class CalendarDayQuery(Body):
    """Which row of a day: that of one exchange, or `*`."""

    exchange: Annotated[str, Field(max_length=20)] = "*"


class CalendarDayIn(Body):
    """`exchange`: one, or `*` for all that have hours. `hours`: `closed`, `ordinary` (trades although it ships as a holiday or is a weekend), or windows like `09:15-10:00 11:30-12:30`."""

    exchange: Annotated[str, Field(max_length=20)] = "*"
    hours: Hours = CLOSED
    note: Note = ""


class CalendarImportIn(Body):
    """A table with the columns day, exchange, hours, note; all of it is taken or none."""

    csv: Annotated[str, Field(min_length=1, max_length=500_000)]


class CalendarDayOut(Out):
    """`own`: a person put it in; `instead_of`: what the calendar that ships says of the day, empty when it says nothing."""

    day: str
    exchange: str
    kind: Literal["holiday", "session", "ordinary"]
    windows: Sequence[tuple[str, str]]
    hours: str
    note: str
    own: bool
    instead_of: str


class HoursOut(Out):
    """From when until when a part of the market trades, HH:MM in its zone."""

    name: str
    exchange: str
    opens: str
    closes: str


class CalendarOut(Out):
    year: str
    known: bool
    """Whether the year's holidays are in."""
    today: str
    next_trading_day: str | None
    warnings: Sequence[str]
    hours: Sequence[HoursOut]
    days: Sequence[CalendarDayOut]
    exchanges: Sequence[str]


class CalendarImported(Out):
    rows: int
    changed: int
    detail: str
