"""Reads market data from CSV files, plain or gzipped: candles or ticks, of one instrument or many.

Columns are recognised by name. A row that is not market data is left out and told with its line number and the reason; nothing is repaired, and
missing candles stay missing. Times without an offset are those of the instrument's exchange.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, TextIO

from engines.core.model import Candle, Tick, Timestamp
from engines.core.sessions import exchange_of, utc_offset
from engines.ports import TandemError

_COLUMNS = {
    "time": ("datetime", "timestamp", "time", "date", "ts", "start"),
    "symbol": ("symbol", "tradingsymbol", "ticker", "instrument"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "last": ("last_price", "ltp", "last", "price"),
    "bid": ("bid", "best_bid"),
    "ask": ("ask", "best_ask", "offer"),
    "volume": ("volume", "vol", "v", "qty", "quantity"),
}
_CANDLE = ("open", "high", "low", "close")
_MOST_TOLD = 1_000


class BadFile(TandemError):
    """The file cannot be used at all; the text says why."""


@dataclass(frozen=True, slots=True)
class BadRow:
    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class MarketFile:
    """What a file holds, oldest first: either candles, each of `seconds`, or ticks. `bad` are the first rows left out, `bad_count` all of them."""

    candles: Sequence[Candle]
    ticks: Sequence[Tick]
    seconds: float
    bad: Sequence[BadRow]
    bad_count: int

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.symbol for row in (self.candles or self.ticks)))


def read_market_file(path: Path, symbol: str | None = None, exchange: str = "NSE", *, unnamed: str | None = None) -> MarketFile:
    """`symbol` names the instrument when the file does not, and picks it when the file holds several; `unnamed` only does the former.

    Names in the file without an exchange are of `exchange`. BadFile when nothing in it can be used."""
    try:
        with _open(path) as text:
            reader = _Reader(csv.reader(text, strict=True), symbol, exchange, unnamed)
            reader.read()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"{path.name} cannot be read: {error}") from error
    except BadFile as error:
        raise BadFile(f"{path.name}: {error}") from None
    if not reader.rows:
        first = reader.bad[0] if reader.bad else f"no row is about {symbol}" if reader.others else "it has no rows"
        raise BadFile(f"{path.name} holds nothing to replay: {first}")
    rows = [row for _, row in sorted(reader.rows, key=lambda numbered: (_when(numbered[1]), numbered[0]))]
    candles = [row for row in rows if isinstance(row, Candle)]
    ticks = [row for row in rows if isinstance(row, Tick)]
    reader.bad.sort(key=lambda row: row.line)
    return MarketFile(candles, ticks, _spacing(candles) if candles else 0.0, tuple(reader.bad[:_MOST_TOLD]), len(reader.bad))


class _Reader:
    """One pass over the rows of a file; what is good is in `rows` with its line number, what is not in `bad`."""

    def __init__(self, lines: Any, symbol: str | None, exchange: str, unnamed: str | None) -> None:
        self._lines = lines
        self._wanted = symbol
        self._unnamed = symbol or unnamed
        self._exchange = exchange
        self._seen: dict[tuple[str, Timestamp], int] = {}
        self.rows: list[tuple[int, Candle | Tick]] = []
        self.bad: list[BadRow] = []
        self.others = False  # rows of other instruments than the wanted one

    def read(self) -> None:
        header = [name.strip().lower() for name in next(self._lines, [])]
        columns = _recognise(header)
        make = self._candle_maker(columns) if all(name in columns for name in _CANDLE) else self._tick_maker(columns)
        time_of = _time_reader(header, columns)
        name_of = self._name_reader(columns)
        for cells in self._lines:
            if not cells:
                continue
            line = self._lines.line_num
            try:
                if len(cells) != len(header):
                    raise ValueError(f"{len(cells)} columns where the first line has {len(header)}")
                symbol = name_of(cells)
                if symbol is None:
                    self.others = True
                else:
                    self._take(line, make(symbol, time_of(cells, utc_offset(exchange_of(symbol))), cells))
            except ValueError as error:
                self.bad.append(BadRow(line, str(error)))

    def _take(self, line: int, row: Candle | Tick) -> None:
        if isinstance(row, Candle):
            first = self._seen.setdefault((row.symbol, row.start), line)
            if first != line:
                raise ValueError(f"the same candle as line {first}")
        self.rows.append((line, row))

    def _name_reader(self, columns: dict[str, int]) -> Callable[[list[str]], str | None]:
        """The symbol of a row; None when another one is wanted."""
        wanted, exchange, column = self._wanted, self._exchange, columns.get("symbol")
        if column is None:
            unnamed = self._unnamed
            if not unnamed:
                raise BadFile("it names no instrument: say which one it is, such as NSE:NIFTY 50")
            return lambda _: unnamed

        def name(cells: list[str]) -> str | None:
            found = cells[column].strip()
            if not found:
                raise ValueError("no symbol")
            full = found if ":" in found else f"{exchange}:{found}"
            return full if not wanted or wanted in (full, found) else None

        return name

    def _candle_maker(self, columns: dict[str, int]) -> Callable[[str, Timestamp, list[str]], Candle]:
        o, h, l, c = (columns[name] for name in _CANDLE)  # noqa: E741 - as every chart names them
        v = columns.get("volume")

        def make(symbol: str, at: Timestamp, cells: list[str]) -> Candle:
            opened, high, low, close = (_price(cells[n], name) for n, name in zip((o, h, l, c), _CANDLE, strict=True))
            if not (low <= opened <= high and low <= close <= high):
                raise ValueError(f"open {opened:g} or close {close:g} is outside low {low:g} to high {high:g}")
            return Candle(symbol, at, opened, high, low, close, 0.0 if v is None else _volume(cells[v]))

        return make

    def _tick_maker(self, columns: dict[str, int]) -> Callable[[str, Timestamp, list[str]], Tick]:
        if "last" not in columns:
            raise BadFile("the first line names neither open, high, low and close nor a last price")
        p, b, a, v = columns["last"], columns.get("bid"), columns.get("ask"), columns.get("volume")

        def make(symbol: str, at: Timestamp, cells: list[str]) -> Tick:
            last = _price(cells[p], "price")
            bid = _price(cells[b], "bid") if b is not None and cells[b].strip() not in ("", "0", "0.0") else last
            ask = _price(cells[a], "ask") if a is not None and cells[a].strip() not in ("", "0", "0.0") else last
            return Tick(symbol, last, min(bid, ask), max(bid, ask), at, 0.0 if v is None else _volume(cells[v]))

        return make


def _open(path: Path) -> TextIO:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _recognise(header: list[str]) -> dict[str, int]:
    columns = {word: header.index(name) for word, names in _COLUMNS.items() for name in reversed(names) if name in header}
    if "time" not in columns:
        raise BadFile("the first line names no column of times (datetime, timestamp, time or date)")
    return columns


def _time_reader(header: list[str], columns: dict[str, int]) -> Callable[[list[str], int], Timestamp]:
    if "date" in header and "time" in header:
        day, clock = header.index("date"), header.index("time")
        return lambda cells, offset: _moment(f"{cells[day].strip()} {cells[clock].strip()}", offset)
    column = columns["time"]
    return lambda cells, offset: _moment(cells[column], offset)


def _moment(text: str, offset: int) -> Timestamp:
    """ISO text, in the market's zone when it has none of its own, or epoch seconds, milli- or microseconds."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return _epoch(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC).timestamp() - offset
    return moment.timestamp()


def _epoch(text: str) -> Timestamp:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"not a time: {text.strip()!r}") from None
    for unit in (1, 1_000, 1_000_000):
        if 1e8 <= number / unit < 1e10:  # 1973 to 2286
            return number / unit
    raise ValueError(f"not a time: {text.strip()!r}")


def _price(text: str, what: str) -> float:
    number = _number(text, what)
    if not 0.0 < number < inf:
        raise ValueError(f"{what} is not a price: {text.strip()!r}")
    return number


def _volume(text: str) -> float:
    if not text.strip():
        return 0.0
    number = _number(text, "volume")
    if not 0.0 <= number < inf:
        raise ValueError(f"volume cannot be {text.strip()!r}")
    return number


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{what} is not a number: {text.strip()!r}") from None


def _when(row: Candle | Tick) -> Timestamp:
    return row.start if isinstance(row, Candle) else row.at


def _spacing(candles: Sequence[Candle]) -> float:
    """The commonest distance between neighbouring candles of one instrument; a minute when there is only one candle."""
    gaps = Counter(gap for gap in _gaps(candles) if gap > 0)
    return gaps.most_common(1)[0][0] if gaps else 60.0


def _gaps(candles: Sequence[Candle]) -> Iterator[float]:
    by_symbol: dict[str, list[float]] = {}
    for candle in candles:
        by_symbol.setdefault(candle.symbol, []).append(candle.start)
    for starts in by_symbol.values():
        yield from (later - earlier for earlier, later in pairwise(starts))
