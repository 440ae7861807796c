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
FROM_MINUTE, TO_MINUTE = 8 * 60, 17 * 60
"""What the strip shows at least."""
WIDE = 1000
BACK, AHEAD = 14, 7
"""Days that the arrows lead to, from today."""
_BOOK_DAYS = 14


@dataclass(frozen=True, slots=True)
class Window:
    """When a part of the market trades: a bar on one of the strip's lines."""

    place: int
    width: int
    line: int
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The day as a band, usually from 08:00 to 17:00: places from 0 to 1000."""

    hours: tuple[tuple[int, str], ...]
    windows: tuple[Window, ...]
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
    shown = [(row, _minute(row.opens), _minute(row.closes)) for row in table.hours if row.exchange in TONES]
    first = min((opens // 60 * 60 for _, opens, _ in shown), default=FROM_MINUTE)
    first = min(first, FROM_MINUTE)
    last = min(max([TO_MINUTE, *((closes + 89) // 60 * 60 for _, _, closes in shown)]), 24 * 60)

    def place(minute: int) -> int:
        return round((min(max(minute, first), last) - first) / (last - first) * WIDE)

    lines = {exchange: number for number, exchange in enumerate(TONES)}
    windows = tuple(
        Window(
            place(opens),
            max(4, place(closes) - place(opens)),
            lines[row.exchange],
            TONES[row.exchange],
            f"{row.name} {row.opens} to {row.closes}",
        )
        for row, opens, closes in shown
    )
    marks = tuple(
        (place(minute), job.state, f"{JOBS.get(job.kind, (job.kind, ''))[0]} {fmt.clock(job.planned_at, seconds=False)}")
        for job in table.jobs
        for minute in (_minute(fmt.clock(job.planned_at, seconds=False)),)
        if first <= minute <= last
    )
    now = _minute(fmt.clock(table.now, seconds=False))
    hours = tuple((place(hour * 60), f"{hour:02d}") for hour in range(first // 60, last // 60 + 1))
    return Strip(hours, windows, tuple(dict.fromkeys(marks)), place(now) if table.today and first <= now <= last else None)


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text and "2000" <= text[:4] <= "2099"
    except ValueError:
        return False
