"""The one form in which Tandem keeps market data: gzipped CSV, oldest first, full names, times with their offset, prices in their shortest text.

The same data always make the same bytes, so that a file's hash names its data. Also turns it into what other programs read. Decides nothing about
what is kept.
"""

from __future__ import annotations

import gzip
import importlib
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TextIO

from engines.core.candles import CandleBuilder
from engines.core.model import Candle, Tick, Timeframe, Timestamp
from engines.core.sessions import exchange_of, utc_offset
from engines.market.sheets import BadFile, pyarrow_and_parquet

CANDLE_HEADER = "time,symbol,open,high,low,close,volume"
TICK_HEADER = "time,symbol,last_price,bid,ask,volume"
_LEVEL = 6
_PIECE = 1 << 16


@contextmanager
def writing(path: Path, *, ticks: bool) -> Iterator[TextIO]:
    """A text file to write rows to; whole and on the disk when the block ends, gone when it fails."""
    try:
        with path.open("wb") as raw:
            with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed, io.TextIOWrapper(packed, "utf-8", newline="") as text:
                text.write(f"{TICK_HEADER if ticks else CANDLE_HEADER}\n")
                yield text
            raw.flush()
            os.fsync(raw.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class Stamp:
    """Seconds since 1970 → ISO text with the market's offset. Many rows share their time, so the last one is remembered."""

    def __init__(self) -> None:
        self._zones: dict[int, timezone] = {}
        self._last: tuple[Timestamp, int] = (-1.0, 0)
        self._text = ""

    def __call__(self, at: Timestamp, offset: int) -> str:
        if (at, offset) != self._last:
            zone = self._zones.setdefault(offset, timezone(timedelta(seconds=offset)))
            self._text = datetime.fromtimestamp(at, zone).isoformat()
            self._last = (at, offset)
        return self._text


def line_of(row: Candle | Tick, stamp: Stamp) -> str:
    offset = utc_offset(exchange_of(row.symbol))
    if isinstance(row, Candle):
        symbol, at, *numbers = row
    else:
        symbol, last, bid, ask, at, volume = row
        numbers = [last, bid, ask, volume]
    return f"{stamp(at, offset)},{symbol},{','.join(map(number, numbers))}\n"


def number(value: float) -> str:
    """The shortest text that reads back as the same number, whole numbers without a point."""
    whole = int(value)  # the feeds of some brokers give whole numbers as such
    return str(whole) if whole == value and abs(whole) < 10**15 else repr(value)


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of a canonical file: of one instrument, and of days (in the market's zone) from `first` to `last`."""

    symbol: str | None = None
    first: str | None = None
    last: str | None = None

    @property
    def whole(self) -> bool:
        return not (self.symbol or self.first or self.last)

    def has(self, line: str) -> bool:
        """`line`: of a canonical file."""
        day = line[:10]
        if (self.first and day < self.first) or (self.last and day > self.last):
            return False
        return self.symbol is None or line.split(",", 2)[1] == self.symbol


def lines_of(path: Path, part: Part) -> Iterator[str]:
    """The header and the rows that were asked for, as text lines."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        yield next(text, "")
        yield from (text if part.whole else filter(part.has, text))


def candles_of(path: Path, symbol: str, day: str | None, most: int) -> list[Candle]:
    """One instrument's candles of a day in the market's zone (None: the newest of all), at most the newest `most`; ticks as minutes."""
    lines = lines_of(path, Part(symbol, day, day))
    ticks = next(lines, "").rstrip("\n") == TICK_HEADER
    newest: deque[Candle] = deque(maxlen=most)
    builder = CandleBuilder(symbol, Timeframe.M1)
    for line in lines:
        time, name, *numbers = line.split(",")
        at, (first, *rest) = datetime.fromisoformat(time).timestamp(), map(float, numbers)
        if not ticks:
            newest.append(Candle(name, at, first, *rest))
        elif closed := builder.add(Tick(name, first, first, first, at, rest[-1])):
            newest.append(closed)
    if builder.forming is not None:
        newest.append(builder.forming)
    return list(newest)


def pieces_of(path: Path, part: Part) -> Iterator[bytes]:
    """The same in pieces that are worth sending."""
    gathered: list[str] = []
    size = 0
    for line in lines_of(path, part):
        gathered.append(line)
        size += len(line)
        if size >= _PIECE:
            yield "".join(gathered).encode()
            gathered, size = [], 0
    yield "".join(gathered).encode()


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, space: Any) -> int:
        self._rest = self._rest or next(self._pieces, b"")
        taken = self._rest[: len(space)]
        self._rest = self._rest[len(taken) :]
        space[: len(taken)] = taken
        return len(taken)


def to_parquet(source: Path, target: Path, part: Part) -> int:
    """Writes the rows that were asked for as Parquet: times as UTC timestamps, names as text, numbers as doubles. The count of rows."""
    pyarrow, parquet = pyarrow_and_parquet()
    csv = importlib.import_module("pyarrow.csv")
    names = next(lines_of(source, Part())).strip().split(",")
    kinds = [
        pyarrow.timestamp("us", tz="UTC"),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
        *([pyarrow.float64()] * (len(names) - 2)),
    ]
    schema = pyarrow.schema(list(zip(names, kinds, strict=True)))
    count = 0
    try:
        with parquet.ParquetWriter(target, schema, compression="zstd") as writer, _Pieces(pieces_of(source, part)) as text:
            options = csv.ConvertOptions(column_types=schema)
            for batch in csv.open_csv(pyarrow.PythonFile(text, mode="r"), convert_options=options):
                writer.write_batch(batch)
                count += batch.num_rows
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError | ValueError | pyarrow.ArrowException):
            raise BadFile(f"it cannot be written as Parquet: {error}") from error
        raise
    return count


def write_rows(path: Path, rows: Iterable[Candle | Tick], *, ticks: bool) -> int:
    """Rows as they come, oldest first; the count of them."""
    stamp, count = Stamp(), 0
    with writing(path, ticks=ticks) as text:
        for row in rows:
            text.write(line_of(row, stamp))
            count += 1
    return count
