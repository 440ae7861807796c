"""Reads market data from files, CSV (gzipped or not) or Parquet: candles or ticks, of one instrument or many.

Columns are recognised by name. A row that is not market data is left out and told with its line number and the reason; nothing is repaired, and
missing candles stay missing. Times without an offset are those of the instrument's exchange, unless the reader is told otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo

from engines.core.model import Candle, Tick, Timestamp
from engines.core.sessions import exchange_of, utc_offset
from engines.market.columns import CANDLE, Columns, recognise
from engines.market.moments import MomentReader, is_ambiguous, order_of
from engines.market.sheets import BadFile, Sheet, open_sheet

__all__ = ["BadFile", "BadRow", "MarketFile", "Reading", "RowReader", "read_market_file"]

MOST_TOLD = 1_000
SYMBOL = re.compile(r"[A-Z0-9_]{1,20}:[A-Za-z0-9 &._-]{1,60}", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read. `symbol` names the instrument when the file does not, and picks it when the file holds several; `unnamed` only does
    the former. Names in the file without an exchange are of `exchange`. `zone`: of times without an offset, None: the exchange's own. `day_first`:
    the order of days such as 03/04/2026, None: as the file itself shows."""

    symbol: str | None = None
    exchange: str = "NSE"
    unnamed: str | None = None
    zone: ZoneInfo | None = None
    day_first: bool | None = None


def read_market_file(path: Path, symbol: str | None = None, exchange: str = "NSE", *, unnamed: str | None = None) -> MarketFile:
    """See `Reading`. BadFile when nothing in it can be used."""
    candles: list[Candle] = []
    ticks: list[Tick] = []
    with open_sheet(path) as sheet:
        reader = RowReader(sheet, path, Reading(symbol, exchange, unnamed))
        seen: dict[tuple[str, Timestamp], tuple[int, Candle]] = {}
        for line, row in reader:
            if isinstance(row, Tick):
                ticks.append(row)
                continue
            first = seen.setdefault((row.symbol, row.start), (line, row))
            if first[0] == line:
                candles.append(row)
            else:
                reader.bad.append(BadRow(line, twice(first[0], same=first[1] == row)))
    if not candles and not ticks:
        first_bad = reader.bad[0] if reader.bad else f"no row is about {symbol}" if reader.others else "it has no rows"
        raise BadFile(f"{path.name} holds nothing to replay: {first_bad}")
    candles.sort(key=lambda candle: candle.start)  # a stable sort: rows of one moment stay as they stand
    ticks.sort(key=lambda tick: tick.at)
    reader.bad.sort(key=lambda row: row.line)
    return MarketFile(candles, ticks, _spacing(candles) if candles else 0.0, tuple(reader.bad[:MOST_TOLD]), len(reader.bad))


def twice(line: int, *, same: bool) -> str:
    """Why a second candle of one moment is left out."""
    return f"the same candle as line {line}" if same else f"another candle of the same time as line {line}, which stands"


class RowReader:
    """The good rows of a sheet with their line numbers, one pass; what is not market data gathers in `bad`. ValueError never leaves it, BadFile may."""

    def __init__(self, sheet: Sheet, path: Path, how: Reading) -> None:
        self.columns: Columns = recognise(sheet.header)
        self.day_first: bool | None = how.day_first
        """How days were read whose order is not plain; None: there were none."""
        self.order_assumed = False  # nothing in the file proves it
        self.bad: list[BadRow] = []
        self.others = False  # there were rows of other instruments than the wanted one
        self._how = how
        self._rows = chain([(1, sheet.header)], sheet.rows) if self.columns.headless else sheet.rows
        self._width = len(sheet.header)
        self._named: dict[str, tuple[str, int] | None] = {}
        self._path = path

    def __iter__(self) -> Iterator[tuple[int, Candle | Tick]]:
        first = next(self._rows, None)
        if first is None:
            return
        moment = MomentReader(self._how.zone, day_first=self._order(self._time_text(first[1])))
        make = self._candle_maker() if self.columns.candles else self._tick_maker()
        name_of, time, clock, width, bad = self._name_reader(), self.columns.places["time"], self.columns.clock, self._width, self.bad
        for line, cells in chain([first], self._rows):
            try:
                if len(cells) != width:
                    raise ValueError(f"{len(cells)} columns where the first line has {width}")
                name = name_of(cells)
                if name is None:
                    self.others = True
                    continue
                at = moment(cells[time] if clock is None else f"{cells[time].strip()} {cells[clock].strip()}", name[1])
                row = make(name[0], at, cells)
            except ValueError as error:
                bad.append(BadRow(line, str(error)))
            else:
                yield line, row

    # --- times -------------------------------------------------------------------------------------------------------

    def _time_text(self, cells: Sequence[str]) -> str:
        place, clock = self.columns.places["time"], self.columns.clock
        if len(cells) <= max(place, clock or 0):
            return ""
        return cells[place] if clock is None else f"{cells[place].strip()} {cells[clock].strip()}"

    def _order(self, first: str) -> bool:
        """Whether the day stands before the month; asked of the whole file where one row cannot tell."""
        if self._how.day_first is not None or not is_ambiguous(first):
            return self._how.day_first is not False
        with open_sheet(self._path) as again:
            proofs = (order_of(self._time_text(cells)) for _, cells in again.rows)
            proof = order_of(first)
            self.day_first = proof if proof is not None else next((found for found in proofs if found is not None), None)
        if self.day_first is None:
            self.day_first = self.order_assumed = True
        return self.day_first

    # --- names -------------------------------------------------------------------------------------------------------

    def _name_reader(self) -> Callable[[Sequence[str]], tuple[str, int] | None]:
        """The symbol of a row and how far its market is ahead of UTC; None when another one is wanted."""
        column = self.columns.places.get("symbol")
        if column is None:
            unnamed = self._how.symbol or self._how.unnamed
            if not unnamed:
                raise BadFile("it names no instrument: say which one it is, such as NSE:NIFTY 50")
            always = (unnamed, utc_offset(exchange_of(unnamed)))
            return lambda _: always
        named = self._named

        def name(cells: Sequence[str]) -> tuple[str, int] | None:
            text = cells[column]
            if text not in named:
                named[text] = self._name(text.strip())
            return named[text]

        return name

    def _name(self, found: str) -> tuple[str, int] | None:
        if not found:
            raise ValueError("no symbol")
        full = found if ":" in found else f"{self._how.exchange}:{found}"
        if not SYMBOL.fullmatch(full):
            raise ValueError(f"not an instrument's name: {full[:80]!r}")
        wanted = self._how.symbol
        return (full, utc_offset(exchange_of(full))) if not wanted or wanted in (full, found) else None

    # --- prices ------------------------------------------------------------------------------------------------------

    def _candle_maker(self) -> Callable[[str, Timestamp, Sequence[str]], Candle | Tick]:
        o, h, l, c = (self.columns.places[name] for name in CANDLE)  # noqa: E741 - as every chart names them
        v = self.columns.places.get("volume")

        def make(symbol: str, at: Timestamp, cells: Sequence[str]) -> Candle:
            try:
                opened, high, low, close = float(cells[o]), float(cells[h]), float(cells[l]), float(cells[c])
            except ValueError:
                opened, high, low, close = (_price(cells[n], name) for n, name in zip((o, h, l, c), CANDLE, strict=True))
            if not (0.0 < low <= opened <= high < inf and low <= close <= high):
                for n, name in zip((o, h, l, c), CANDLE, strict=True):
                    _price(cells[n], name)
                raise ValueError(f"open {opened:g} or close {close:g} is outside low {low:g} to high {high:g}")
            return Candle(symbol, at, opened, high, low, close, 0.0 if v is None else _volume(cells[v]))

        return make

    def _tick_maker(self) -> Callable[[str, Timestamp, Sequence[str]], Candle | Tick]:
        places = self.columns.places
        p, b, a, v = places["last"], places.get("bid"), places.get("ask"), places.get("volume")

        def make(symbol: str, at: Timestamp, cells: Sequence[str]) -> Tick:
            last = _price(cells[p], "price")
            bid = _price(cells[b], "bid") if b is not None and cells[b].strip() not in ("", "0", "0.0") else last
            ask = _price(cells[a], "ask") if a is not None and cells[a].strip() not in ("", "0", "0.0") else last
            return Tick(symbol, last, min(bid, ask), max(bid, ask), at, 0.0 if v is None else _volume(cells[v]))

        return make


def _price(text: str, what: str) -> float:
    number = _number(text, what)
    if not 0.0 < number < inf:
        raise ValueError(f"{what} is not a price: {text.strip()[:60]!r}")
    return number


def _volume(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        if not text.strip():
            return 0.0
        number = _number(text, "volume")
    if not 0.0 <= number < inf:
        raise ValueError(f"volume cannot be {text.strip()[:60]!r}")
    return number


_GROUPED = re.compile(r"[+-]?([1-9]\d{0,2}(,\d{3})+|[1-9]\d?(,\d{2})*,\d{3})(\.\d*)?", re.ASCII)


def _number(text: str, what: str) -> float:
    """Also with commas between thousands or lakhs, as exchanges print them; any other comma may be a decimal one, so it is no number."""
    try:
        return float(text.strip().replace(",", "")) if _GROUPED.fullmatch(text.strip()) else float(text)
    except ValueError:
        raise ValueError(f"{what} is not a number: {text.strip()[:60]!r}") from None


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
