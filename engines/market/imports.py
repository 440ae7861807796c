"""Takes a file of candles or ticks into the form in which Tandem keeps them, and tells everything that it found on the way.

All or nothing: a file with rows that are no market data is refused with the list of them, unless whoever imports it says to leave them out. Rows
in the wrong order are sorted and the same candle twice is kept once, both told. No price is ever changed or invented.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engines.core.model import Candle, Tick, Timestamp
from engines.core.sessions import DAY, IST, Calendar, day_start, exchange_of, session_day, utc_offset
from engines.market.canonical import write_rows
from engines.market.files import MOST_TOLD, SYMBOL, BadRow, Reading, RowReader, twice
from engines.market.gaps import GapReport, find_gaps
from engines.market.sheets import BadFile, Sheet, open_sheet

MOST_ROWS = 5_000_000
JUMP = 0.2
"""Of the price, from one candle's close to the next one's open within a session: told as worth a look."""
MOST_DAYS = 4_000
_TELL_EVERY = 50_000
_SHOWN = 5
_EPOCH = date(1970, 1, 1).toordinal()

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person who imports has said. `stamped_end`: times are those of the candles' ends. `leave_out_bad`: import without the bad rows."""

    symbol: str | None = None
    exchange: str = "NSE"
    zone: str | None = None
    day_first: bool | None = None
    stamped_end: bool = False
    leave_out_bad: bool = False

    def reading(self) -> Reading:
        """Raises BadFile for what makes no sense."""
        if self.symbol is not None and not SYMBOL.fullmatch(self.symbol):
            raise BadFile(f"{self.symbol!r} is not an instrument's name, such as NSE:NIFTY 50")
        return Reading(self.symbol, self.exchange, zone=zone_of(self.zone), day_first=self.day_first)


def zone_of(name: str | None) -> ZoneInfo | None:
    """Raises BadFile for a zone that nobody knows."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadFile(f"there is no time zone {name!r}; write it as Asia/Kolkata or UTC") from None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a file was found to be. `warnings` are for a person to read before trusting the data; lines are those of the file, the first being 1."""

    file: str
    size: int
    sha256: str
    form: str
    columns: Mapping[str, str]
    unused: tuple[str, ...]
    kind: str  # "candles" | "ticks"
    seconds: int
    rows_read: int
    rows_kept: int
    bad_count: int
    bad: tuple[BadRow, ...]
    duplicate_count: int
    duplicates: tuple[BadRow, ...]
    unordered_count: int
    unordered: tuple[int, ...]
    symbols: tuple[tuple[str, int, Timestamp, Timestamp], ...]  # name, rows, first, last
    days: tuple[str, ...]  # with at least one row, in the market's zone
    warnings: tuple[str, ...]
    gaps: GapReport

    def as_json(self) -> dict[str, Any]:
        """Without the single holes, which `find_gaps` tells at any time."""
        gaps = self.gaps.as_json()
        for each in gaps["symbols"]:
            del each["holes"], each["short_days"]
            each["missing_day_count"] = len(each["missing_days"])
            each["missing_days"] = each["missing_days"][:31]
        return {
            "file": self.file,
            "size": self.size,
            "sha256": self.sha256,
            "form": self.form,
            "columns": dict(self.columns),
            "unused": list(self.unused),
            "kind": self.kind,
            "seconds": self.seconds,
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "bad_count": self.bad_count,
            "bad": [{"line": row.line, "reason": row.reason} for row in self.bad],
            "duplicate_count": self.duplicate_count,
            "duplicates": [{"line": row.line, "reason": row.reason} for row in self.duplicates],
            "unordered_count": self.unordered_count,
            "unordered": list(self.unordered),
            "symbols": [{"symbol": s, "rows": n, "first_at": first, "last_at": last} for s, n, first, last in self.symbols],
            "days": list(self.days[-MOST_DAYS:]),
            "warnings": list(self.warnings),
            "gaps": gaps,
        }


class Refused(BadFile):
    """The file has rows that cannot be used, and nobody said to leave them out. `report` names them; nothing was written."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report
        first = "; ".join(str(row) for row in report.bad[:_SHOWN])
        more = f"; and {report.bad_count - _SHOWN:,} more" if report.bad_count > _SHOWN else ""
        rows = "1 row" if report.bad_count == 1 else f"{report.bad_count:,} rows"
        super().__init__(f"{report.file}: {rows} cannot be used, nothing was imported: {first}{more}")


def import_file(
    source: Path, target: Path, wish: Wish, calendar: Calendar, *, name: str = "", progress: Progress | None = None
) -> ImportReport:
    """Writes `target` whole or not at all. `name`: what the file was called where it came from. Raises Refused and BadFile, then nothing is there."""
    with open_sheet(source) as sheet:
        reader = RowReader(sheet, source, wish.reading())
        table = _Table(ticks=not reader.columns.candles)
        _gather(reader, table, progress)
        report, order = _finish(source, name or source.name, sheet, reader, table, wish, calendar)
    if report.bad_count and not wish.leave_out_bad:
        raise Refused(report)
    if not order:
        raise BadFile(f"{report.file} holds nothing to import: {_why_nothing(reader, wish)}")
    write_rows(target, table.rows(order), ticks=table.ticks)
    return report


class _Table:
    """Rows in columns of plain numbers: a sixth of what objects would take, so that millions of rows fit."""

    def __init__(self, *, ticks: bool) -> None:
        self.ticks = ticks
        self.names: dict[str, int] = {}
        self.at = array("d")
        self.values = tuple(array("d") for _ in range(4 if ticks else 5))
        self.symbol = array("l")
        self.line = array("l")

    def add(self, line: int, row: Candle | Tick) -> None:
        if isinstance(row, Candle):
            name, at, *values = row
        else:
            name, last, bid, ask, at, volume = row
            values = [last, bid, ask, volume]
        self.at.append(at)
        self.symbol.append(self.names.setdefault(name, len(self.names)))
        self.line.append(line)
        for column, value in zip(self.values, values, strict=True):
            column.append(value)

    def same(self, one: int, other: int) -> bool:
        return all(column[one] == column[other] for column in self.values)

    def order(self) -> list[int]:
        """The rows by time, then by name, then as they stand in the file."""
        rank = {number: place for place, (_, number) in enumerate(sorted(self.names.items()))}
        order = list(range(len(self.at)))
        order.sort(key=lambda n: rank[self.symbol[n]])
        order.sort(key=self.at.__getitem__)
        return order

    def rows(self, order: Sequence[int]) -> Iterator[Candle | Tick]:
        names = list(self.names)
        for n in order:
            name, values = names[self.symbol[n]], [column[n] for column in self.values]
            if self.ticks:
                yield Tick(name, values[0], values[1], values[2], self.at[n], values[3])
            else:
                yield Candle(name, self.at[n], *values)

    def shift(self, seconds: float) -> None:
        for n in range(len(self.at)):
            self.at[n] -= seconds


def _gather(reader: RowReader, table: _Table, progress: Progress | None) -> None:
    for line, row in reader:
        table.add(line, row)
        count = len(table.at)
        if count % _TELL_EVERY == 0:
            if progress is not None:
                progress(count)
            if count >= MOST_ROWS:
                raise BadFile(f"it has {MOST_ROWS:,} rows or more: split it, by year or by instrument")


# --- what was found --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    duplicates: list[BadRow] = field(default_factory=list)
    conflicts: list[BadRow] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


def _finish(
    source: Path, name: str, sheet: Sheet, reader: RowReader, table: _Table, wish: Wish, calendar: Calendar
) -> tuple[ImportReport, list[int]]:
    unordered = _unordered(table)
    order = table.order()
    found = _once(table, order) if not table.ticks else _Found(kept=order)
    starts = _starts(table, found.kept)
    seconds = 0 if table.ticks else _spacing(starts)
    if wish.stamped_end and seconds:
        table.shift(seconds)
        starts = {symbol: array("d", (at - seconds for at in times)) for symbol, times in starts.items()}
    gaps = find_gaps(starts, seconds, calendar)
    bad = sorted([*reader.bad, *found.conflicts], key=lambda row: row.line)
    report = ImportReport(
        file=name,
        size=source.stat().st_size,
        sha256=_digest(source),
        form=sheet.form,
        columns=reader.columns.told(),
        unused=reader.columns.unused,
        kind="ticks" if table.ticks else "candles",
        seconds=seconds,
        rows_read=len(table.at) + len(reader.bad),
        rows_kept=len(found.kept),
        bad_count=len(bad),
        bad=tuple(bad[:MOST_TOLD]),
        duplicate_count=len(found.duplicates),
        duplicates=tuple(sorted(found.duplicates, key=lambda row: row.line)[:MOST_TOLD]),
        unordered_count=len(unordered),
        unordered=tuple(unordered[:MOST_TOLD]),
        symbols=tuple((symbol, len(times), times[0], times[-1]) for symbol, times in sorted(starts.items())),
        days=_days(starts),
        warnings=tuple(_warnings(reader, table, found.kept, starts, seconds, unordered, wish, calendar)),
        gaps=gaps,
    )
    return report, found.kept


def _once(table: _Table, order: Sequence[int]) -> _Found:
    """Candles of one moment stand beside each other now: the first in the file stays."""
    found, before = _Found(), -1
    for n in order:
        if before >= 0 and table.at[n] == table.at[before] and table.symbol[n] == table.symbol[before]:
            same = table.same(n, before)
            (found.duplicates if same else found.conflicts).append(BadRow(table.line[n], twice(table.line[before], same=same)))
        else:
            found.kept.append(n)
            before = n
    return found


def _unordered(table: _Table) -> list[int]:
    """Lines whose time is before that of the same instrument's row above."""
    newest: dict[int, float] = {}
    lines = []
    for n, (symbol, at) in enumerate(zip(table.symbol, table.at, strict=True)):
        if at < newest.get(symbol, at):
            lines.append(table.line[n])
        newest[symbol] = at
    return lines


def _starts(table: _Table, order: Sequence[int]) -> dict[str, array[float]]:
    starts = [array("d") for _ in table.names]
    for n in order:
        starts[table.symbol[n]].append(table.at[n])
    return {name: starts[number] for name, number in table.names.items() if starts[number]}


def _days(starts: Mapping[str, Sequence[Timestamp]]) -> tuple[str, ...]:
    numbers = {int((at + offset) // DAY) for symbol, times in starts.items() for offset in (utc_offset(symbol),) for at in times}
    return tuple(date.fromordinal(_EPOCH + number).isoformat() for number in sorted(numbers))


def _spacing(starts: Mapping[str, Sequence[Timestamp]]) -> int:
    """The commonest distance between neighbouring candles; a minute when there is only one candle."""
    gaps: Counter[float] = Counter()
    for times in starts.values():
        gaps.update(map(float.__sub__, times[1:], times[:-1]))
    seconds = gaps.most_common(1)[0][0] if gaps else 60.0
    if seconds < 1 or not seconds.is_integer():
        raise BadFile(f"its candles are {seconds:g} s apart: candles are of whole seconds")
    return int(seconds)


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _why_nothing(reader: RowReader, wish: Wish) -> str:
    if reader.bad:
        return str(reader.bad[0])
    return f"no row is about {wish.symbol}" if reader.others else "it has no rows"


# --- what a person should look at ------------------------------------------------------------------------------------


def _warnings(
    reader: RowReader,
    table: _Table,
    kept: Sequence[int],
    starts: Mapping[str, Sequence[Timestamp]],
    seconds: int,
    unordered: Sequence[int],
    wish: Wish,
    calendar: Calendar,
) -> Iterator[str]:
    if reader.order_assumed:
        yield "Days such as 03/04/2026 were read with the day first; nothing in the file proves it."
    if unordered:
        turned = len(unordered) == len(table.at) - len(table.names)
        what = "The file runs from the newest to the oldest row" if turned else f"{len(unordered):,} rows were not in the order of time"
        yield f"{what}; it was sorted."
    if not seconds or not kept:
        return
    if not wish.stamped_end and _seems_stamped_at_the_end(starts, seconds, calendar):
        yield (
            "The first candle of most days begins one candle after the open and the last one at the close: the times seem to be those of the candles' "
            "ends. If so, import the file again and say so, else strategies see each candle before it is over."
        )
    off = _off_grid(starts, seconds)
    if off:
        yield f"{off:,} candles do not lie on the {seconds} s grid of the others: the file may mix timeframes."
    jumps = _jumps(table, kept, seconds)
    if jumps:
        shown = ", ".join(f"line {line}" for line in jumps[:_SHOWN])
        yield f"{len(jumps):,} candles open more than {JUMP:.0%} away from the close before them in the same session ({shown}): splits, or bad prices."


def _seems_stamped_at_the_end(starts: Mapping[str, Sequence[Timestamp]], seconds: int, calendar: Calendar) -> bool:
    if seconds >= DAY:
        return False
    late = days = 0
    for symbol, times in starts.items():
        exchange = exchange_of(symbol)
        if exchange not in calendar.hours:
            continue
        edges: dict[str, tuple[Timestamp, Timestamp]] = {}
        for at in times:
            day = session_day(at, exchange)
            edges[day] = (edges.get(day, (at, at))[0], at)
        for day, (first, last) in edges.items():
            opens, closes = calendar.ordinary(day, exchange)
            begins = day_start(first, exchange)
            days += 1
            late += first - begins == opens + seconds and last - begins == closes
    return late * 2 > days


def _off_grid(starts: Mapping[str, Sequence[Timestamp]], seconds: int) -> int:
    off = 0
    for symbol, times in starts.items():
        offset = utc_offset(symbol)
        phases = Counter((at + offset) % min(seconds, DAY) for at in times)
        off += len(times) - phases.most_common(1)[0][1]
    return off


def _jumps(table: _Table, kept: Sequence[int], seconds: int) -> list[int]:
    if seconds >= DAY:
        return []
    lines, close, opens, closes = [], dict[int, tuple[float, int]](), table.values[0], table.values[3]
    for n in kept:
        symbol, day = table.symbol[n], int((table.at[n] + IST) // DAY)
        before = close.get(symbol)
        if before is not None and before[1] == day and abs(opens[n] / before[0] - 1) > JUMP:
            lines.append(table.line[n])
        close[symbol] = (closes[n], day)
    return lines
