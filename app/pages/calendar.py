"""The market calendar: a year at a glance, its holidays and special sessions, and the forms with which the owner puts days in."""

from __future__ import annotations

from calendar import Calendar as Months
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Response, abort, request

from app.pages.room import page, reads, room

routes = room("calendar")

FIRST_YEAR = 2024
"""The oldest whose holidays ship."""
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
KINDS = {"holiday": ("closed", "bad"), "session": ("special hours", "accent"), "ordinary": ("trades", "ok")}


@dataclass(frozen=True, slots=True)
class Cell:
    """One day of a month; `tone`: trading, weekend, holiday, session, ordinary or out (of another month)."""

    day: int
    tone: str
    title: str = ""
    today: bool = False


@routes.get("/calendar")
def index() -> Response:
    asked = request.args.get("year", "")
    if asked and not (len(asked) == 4 and asked.isascii() and asked.isdigit() and asked.startswith("20")):
        abort(404)
    calendar = reads().calendar(year=asked or None)
    year = int(calendar.year)
    chosen = next(
        (row for row in calendar.days if (row.day, row.exchange) == (request.args.get("day"), request.args.get("exchange", "*"))), None
    )
    return page(
        "calendar.html",
        calendar=calendar,
        year=year,
        before=year - 1 if year > FIRST_YEAR else None,
        after=year + 1 if year <= int(calendar.today[:4]) else None,
        months=[(MONTHS[month - 1], weeks(year, month, calendar.days, calendar.today)) for month in range(1, 13)],
        kinds=KINDS,
        chosen=chosen,
        exchanges=[(name, "every exchange that has hours" if name == "*" else name) for name in calendar.exchanges],
        asked_day=request.args.get("day", "") if chosen is None else chosen.day,
        counts={kind: sum(row.kind == kind for row in calendar.days) for kind in KINDS},
        weekday=lambda day: date.fromisoformat(day).strftime("%a"),
        month_day=lambda day: f"{int(day[8:])} {MONTHS[int(day[5:7]) - 1][:3]}",
    )


def weeks(year: int, month: int, days: Sequence[Any], today: str) -> list[list[Cell]]:
    """The month as weeks from Monday; what is said of every exchange comes before what is said of one."""
    said = {row.day: row for row in days if row.exchange != "*"} | {row.day: row for row in days if row.exchange == "*"}
    return [[_cell(day, month, said.get(day.isoformat()), today) for day in week] for week in Months().monthdatescalendar(year, month)]


def _cell(day: date, month: int, row: Any, today: str) -> Cell:
    if day.month != month:
        return Cell(day.day, "out")
    is_today = day.isoformat() == today
    if row is not None:
        hours = {"holiday": "closed", "ordinary": "trades"}.get(row.kind, row.hours)
        return Cell(day.day, row.kind, f"{row.note or 'no name'}: {hours}", is_today)
    return Cell(day.day, "weekend" if day.weekday() >= 5 else "trading", "", is_today)
