"""The past that a backtest plays: market files cut to the asked days, what came before them for warming up, and a print of each file itself.

It reads files with the reader that replays use, and repairs nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import attrgetter, itemgetter
from pathlib import Path

from engines.core.model import Candle, Instrument, Tick, Timeframe, Timestamp
from engines.core.sessions import DAY, exchange_of, utc_offset
from engines.market.files import BadFile, MarketFile, read_market_file
from engines.market.replay import Batch, ReplayFeed, cut, describe

_UNFIT = re.compile(r"[^A-Z0-9&-]+")


@dataclass(frozen=True, slots=True)
class History:
    """`file` is the part that is played; `earlier` are the candles before it, which only warm strategies up."""

    path: Path
    data_hash: str  # SHA-256 of the whole file, as it lies on the disk
    file: MarketFile
    instruments: tuple[Instrument, ...]
    earlier: Sequence[Candle] = ()
    notes: tuple[str, ...] = ()  # what a reader of the report must know of it
    called: str = ""  # where that is not the file's own name

    @property
    def name(self) -> str:
        return self.called or self.path.name

    @property
    def timeframe(self) -> Timeframe:
        """That of the file's candles; where there is no such timeframe, the shortest that is made of whole candles. Ticks make minutes."""
        seconds = self.file.seconds
        if not seconds:
            return Timeframe.M1
        found = next((each for each in Timeframe if each.seconds % seconds == 0), None)
        if found is None:
            raise BadFile(f"{self.name} holds candles of {seconds:g} seconds, and no timeframe is made of those")
        return found


def read_history(
    path: Path,
    *,
    symbol: str | None = None,
    first: date | None = None,
    last: date | None = None,
    instruments: Sequence[Instrument] = (),
    name: str = "",
) -> History:
    """The file from the first to the last of these days, both included, in the zone of its exchange. BadFile when there is nothing to play.

    `symbol` picks one instrument, or names that of a file which names none (else it is called by the file's name). `name`: what the file is called wherever it is told of."""
    unnamed = f"NSE:{_name_of(path)}"
    try:
        whole = read_market_file(path, symbol, unnamed=unnamed)
    except BadFile as error:
        raise BadFile(str(error).replace(path.name, name or path.name)) from error
    offset = utc_offset(exchange_of(whole.symbols[0]))
    start = None if first is None else _midnight(first, offset)
    end = None if last is None else _midnight(last, offset) + DAY
    found = tuple(describe(whole, instruments))
    notes = [
        f"{each.symbol} is an index: it stands for its future, at the charges and margin of one, in single units"
        for each in found
        if not each.tradable
    ]
    if symbol is None and whole.symbols == (unnamed,):
        notes.append(f"the file names no instrument: it is taken for a share called {unnamed}")
    traded = tuple(each if each.tradable else replace(each, segment="FUT") for each in found)
    earlier = [] if start is None else [candle for candle in whole.candles if candle.start < start]
    try:
        played = cut(whole, start, end)
    except BadFile as error:
        raise BadFile(f"{name or path.name} holds nothing of the time that was asked for") from error
    return History(path, _hash(path), played, traded, earlier, tuple(notes), name)


def merged(histories: Sequence[History]) -> Sequence[Candle]:
    """The candles of all files in time order; those of one moment in the order of their files."""
    if len(histories) == 1:
        return histories[0].file.candles
    candles = [candle for history in histories for candle in history.file.candles]
    candles.sort(key=_START)
    return candles


def merged_batches(histories: Sequence[History]) -> Iterator[Batch]:
    """The moments of all files as a replay plays them, each moment once."""
    feeds = [ReplayFeed(history.path, instruments=history.instruments, file=history.file).batches() for history in histories]
    if len(feeds) == 1:
        yield from feeds[0]
        return
    now: Timestamp | None = None
    ticks: list[Tick] = []
    for at, more in heapq.merge(*feeds, key=itemgetter(0)):
        if now is not None and at != now:
            yield now, ticks
            ticks = []
        now = at
        ticks = ticks + more
    if now is not None:
        yield now, ticks


def common_timeframe(histories: Sequence[History], asked: Timeframe | None) -> Timeframe:
    """The asked one, else the longest of the files' own; BadFile when it cannot be made of one of them."""
    timeframe = asked or max((history.timeframe for history in histories), key=attrgetter("seconds"))
    for history in histories:
        seconds = history.file.seconds
        if seconds and timeframe.seconds % seconds:
            raise BadFile(f"candles of {timeframe} cannot be made of the {seconds:g}-second candles in {history.name}")
    return timeframe


def check_distinct(histories: Sequence[History]) -> None:
    """BadFile when two files tell of one instrument: nobody could say which of them is right."""
    seen: dict[str, str] = {}
    for history in histories:
        for symbol in history.file.symbols:
            if symbol in seen:
                raise BadFile(f"{symbol} is in {seen[symbol]} and in {history.name}")
            seen[symbol] = history.name


_START = itemgetter(Candle._fields.index("start"))


def _midnight(day: date, offset: int) -> Timestamp:
    return float((day - date(1970, 1, 1)).days * DAY - offset)


def _name_of(path: Path) -> str:
    return _UNFIT.sub("_", path.name.partition(".")[0].upper()).strip("_") or "DATA"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
