"""The calendar as text: hours of a day in words, and the whole table as CSV, read with the number of every line that is wrong.

Nothing here writes; a file with one wrong line gives no rows at all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from datetime import date

from app.data import Invalid
from engines.core.sessions import CalendarDay
from engines.core.timetable import seconds

COLUMNS = ("day", "exchange", "hours", "note")
CLOSED, ORDINARY = "closed", "ordinary"
MOST_WINDOWS = 4
MOST_LINES = 2000
_FROM, _TO = "2000-01-01", "2099-12-31"


def read_hours(text: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """`closed`, `ordinary`, or windows like `09:15-10:00 11:30-12:30` → (windows, ordinary). ValueError with words for a form."""
    words = text.replace(",", " ").replace("\N{EN DASH}", "-").lower().split()
    if words == [CLOSED]:
        return (), False
    if words == [ORDINARY]:
        return (), True
    if not words or len(words) > MOST_WINDOWS:
        raise ValueError(f"must be {CLOSED}, {ORDINARY}, or one to {MOST_WINDOWS} windows like 09:15-10:00 11:30-12:30")
    windows = []
    before = -1
    for word in words:
        opens, dash, closes = word.partition("-")
        if not dash:
            raise ValueError(f"{word!r} is not a window; write it like 09:15-15:30")
        if not before < seconds(opens) < seconds(closes):
            raise ValueError(f"{word}: windows must end after they begin, and follow one another")
        before = seconds(closes)
        windows.append((opens, closes))
    return tuple(windows), False


def show_hours(row: CalendarDay) -> str:
    if row.ordinary:
        return ORDINARY
    return " ".join(f"{opens}-{closes}" for opens, closes in row.windows) or CLOSED


def read_day(text: str) -> str:
    """An ISO date of this century. ValueError with words for a form."""
    try:
        day = date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ValueError(f"{text[:20]!r} is not a date; write it like 2027-01-26") from None
    if len(text.strip()) != 10 or not _FROM <= day <= _TO:
        raise ValueError(f"{text[:20]!r} is not a date between 2000 and 2099")
    return day


def to_csv(rows: Iterable[CalendarDay]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((row.day, row.exchange, show_hours(row), _defused(row.note)) for row in rows)
    return out.getvalue()


def from_csv(text: str, exchanges: Collection[str]) -> list[CalendarDay]:
    """The rows of a table with a header; `exchange`, `hours` and `note` may be left out (every exchange, closed, nothing). Invalid, each wrong line told."""
    reader = csv.reader(io.StringIO(text.lstrip("\N{ZERO WIDTH NO-BREAK SPACE}")))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise Invalid.field("csv", f"this is not a table: {error}") from error
    if "day" not in header or set(header) - set(COLUMNS):
        raise Invalid.field("csv", f"line 1: the columns must be {', '.join(COLUMNS)} (only day is needed)")
    if len(lines) > MOST_LINES:
        raise Invalid.field("csv", f"more than {MOST_LINES} lines")
    rows: dict[tuple[str, str], CalendarDay] = {}
    wrong: list[str] = []
    for number, line in lines:
        try:
            row = _row(dict(zip(header, (cell.strip() for cell in line), strict=False)), exchanges)
            if (row.day, row.exchange) in rows:
                raise ValueError(f"{row.day} for {row.exchange} is there twice")
            rows[row.day, row.exchange] = row
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        raise Invalid({"csv": wrong[:20] + ([f"and {len(wrong) - 20} more"] if len(wrong) > 20 else [])})
    if not rows:
        raise Invalid.field("csv", "there is no day in it")
    return list(rows.values())


def _row(cells: dict[str, str], exchanges: Collection[str]) -> CalendarDay:
    exchange = cells.get("exchange") or "*"
    if exchange not in exchanges:
        raise ValueError(f"{exchange[:20]!r} is none of {', '.join(exchanges)}")
    note = cells.get("note", "").removeprefix("'")
    if len(note) > 300 or not note.isprintable():
        raise ValueError("the note is too long or holds control characters")
    windows, ordinary = read_hours(cells.get("hours") or CLOSED)
    return CalendarDay(read_day(cells.get("day", "")), exchange, windows, ordinary, note)


def _defused(text: str) -> str:
    """What a spreadsheet would run as a formula is only text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
