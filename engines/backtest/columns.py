"""The prices of one instrument as columns, for what is asked of them after a run: extremes of a stretch, candles around a trade, closes of sessions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple, TypeVar

from engines.backtest.history import History
from engines.core.model import Candle, Tick, Timestamp

Row = TypeVar("Row", Candle, Tick)


class Shape(NamedTuple):
    """A candle, of however many bars it is made."""

    start: Timestamp
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class Columns:
    """Bars in time order, each of `seconds`; a tick is a bar without length. All columns are equally long and not empty."""

    starts: Sequence[Timestamp]
    opens: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    closes: Sequence[float]
    seconds: float

    def at(self, moment: Timestamp) -> int:
        """The bar in which a moment lies; the nearest before it where there is none, the first when all are later."""
        return max(bisect_right(self.starts, moment) - 1, 0)

    def shapes(self, first: int, last: int, per: int = 1) -> list[Shape]:
        """Bars `first` to `last` (exclusive), `per` of them in each candle."""
        return [
            Shape(
                self.starts[n],
                self.opens[n],
                max(self.highs[n : min(n + per, last)]),
                min(self.lows[n : min(n + per, last)]),
                self.closes[min(n + per, last) - 1],
            )
            for n in range(first, last, per)
        ]


def columns_of(histories: Sequence[History], symbols: Collection[str]) -> Mapping[str, Columns]:
    """The columns of these instruments; one that is in no file is left out."""
    found: dict[str, Columns] = {}
    for history in histories:
        file = history.file
        if file.candles:
            for symbol, candles in _apart(file.candles, symbols).items():
                starts, opens, highs, lows, closes = (list(map(itemgetter(n), candles)) for n in _CANDLE)
                found[symbol] = Columns(starts, opens, highs, lows, closes, file.seconds)
        else:
            for symbol, ticks in _apart(file.ticks, symbols).items():
                prices = [tick.last_price for tick in ticks]
                found[symbol] = Columns([tick.at for tick in ticks], prices, prices, prices, prices, 0.0)
    return found


def _apart(rows: Sequence[Row], symbols: Collection[str]) -> dict[str, list[Row]]:
    parts: dict[str, list[Row]] = {symbol: [] for symbol in symbols}
    for row in rows:
        part = parts.get(row.symbol)
        if part is not None:
            part.append(row)
    return {symbol: part for symbol, part in parts.items() if part}


_CANDLE = tuple(map(Candle._fields.index, ("start", "open", "high", "low", "close")))
