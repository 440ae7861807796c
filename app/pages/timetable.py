"""The timetable: what today does by itself and what has run, each account's own times, and what came of the last days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import Response, abort, request

from app.pages import format as fmt
from app.pages.room import accounts, page, reads, room

routes = room("timetable")

JOBS = {
    "day_start": ("The day begins", "limits of the day start anew"),
    "log_ins": ("Automated log-ins", "accounts that sign in by themselves"),
    "instruments": ("Instrument lists", "what the brokers list today"),
    "square_off": ("Square-off", "intraday positions leave, waiting entries are taken back"),
    "end_of_day": ("Books of the day", "what each account did, written down"),
}
STATES = {
    "planned": ("to come", ""),
    "due": ("due", "warn"),
    "started": ("running", "warn"),
    "done": ("done", "ok"),
    "failed": ("failed", "bad"),
    "skipped": ("not run", ""),
}
SEGMENTS = {
    "auction": "shares with closing auction",
    "cash": "shares",
    "derivatives": "futures and options",
    "commodities": "commodities",
}
TONES = {"NSE": "shares", "NSE:CAS": "auction", "NFO": "futures"}
"""Exchanges that the strip shows."""
FROM_MINUTE, TO_MINUTE = 8 * 60, 16 * 60 + 30
WIDE = 1000
BACK, AHEAD = 14, 7
"""Days that the arrows lead to, from today."""
_BOOK_DAYS = 14


@dataclass(frozen=True, slots=True)
class Strip:
    """The day as a band from 08:00 to 16:30: places from 0 to 1000."""

    hours: tuple[tuple[int, str], ...]
    windows: tuple[tuple[int, int, str, str], ...]  # from, width, what, tone
    marks: tuple[tuple[int, str, str], ...]  # where, tone, what
    now: int | None


@routes.get("/timetable")
def index() -> Response:
    asked = request.args.get("day", "")
    if asked and not _is_day(asked):
        abort(404)
    read = reads()
    table = read.timetable(day=asked or None)
    day = date.fromisoformat(table.day)
    now = date.fromisoformat(fmt.moment(table.now).strftime("%Y-%m-%d"))  # type: ignore[union-attr]
    since = (day - timedelta(days=_BOOK_DAYS)).isoformat()
    books = read.day_books(since=since, until=table.day)
    return page(
        "timetable.html",
        table=table,
        day=day,
        before=(day - timedelta(days=1)).isoformat() if (now - day).days < BACK else "",
        after=(day + timedelta(days=1)).isoformat() if (day - now).days < AHEAD else "",
        book={account.id: account for account in accounts()},
        strip=strip(table),
        books=books,
        jobs=JOBS,
        segments=SEGMENTS,
        tones=TONES,
        job_states=STATES,
        day_words=day_words,
    )


def day_words(day: str) -> str:
    at = date.fromisoformat(day)
    return f"{at:%a} {at.day} {at:%b}"


def strip(table: Any) -> Strip:
    windows = tuple(
        (place(opens), max(4, place(closes) - place(opens)), f"{row.name} {row.opens} to {row.closes}", TONES[row.exchange])
        for row in table.hours
        for opens, closes in ((_minute(row.opens), _minute(row.closes)),)
        if row.exchange in TONES and opens < TO_MINUTE
    )
    marks = tuple(
        (place(minute), job.state, f"{JOBS.get(job.kind, (job.kind, ''))[0]} {fmt.clock(job.planned_at, seconds=False)}")
        for job in table.jobs
        for minute in (_minute(fmt.clock(job.planned_at, seconds=False)),)
        if FROM_MINUTE <= minute <= TO_MINUTE
    )
    now = _minute(fmt.clock(table.now, seconds=False))
    hours = tuple((place(hour * 60), f"{hour:02d}") for hour in range(8, 17))
    return Strip(hours, windows, tuple(dict.fromkeys(marks)), place(now) if table.today and FROM_MINUTE <= now <= TO_MINUTE else None)


def place(minute: int) -> int:
    return round((min(max(minute, FROM_MINUTE), TO_MINUTE) - FROM_MINUTE) / (TO_MINUTE - FROM_MINUTE) * WIDE)


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text and "2000" <= text[:4] <= "2099"
    except ValueError:
        return False
