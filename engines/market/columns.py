"""Which column of a table is what: names as brokers, exchanges and charting programs write them, in any case and with any decoration.

It only recognises. A table without a first line of names is understood when its columns are time, open, high, low, close and perhaps volume.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.market.moments import is_moment
from engines.market.sheets import BadFile

CANDLE = ("open", "high", "low", "close")
_NAMES = {
    "time": (
        *("datetime", "timestamp", "date_time", "time", "date", "ts", "start", "open_time", "opentime", "start_time", "bar_time"),
        *("dtyyyymmdd", "trade_date", "traddt", "tradedate", "index_level_0", "index"),
    ),
    "symbol": ("symbol", "tradingsymbol", "ticker", "instrument", "tckrsymb", "trading_symbol", "scrip", "security", "pair"),
    "open": ("open", "o", "open_price", "opnpric", "openprice"),
    "high": ("high", "h", "high_price", "hghpric", "highprice"),
    "low": ("low", "l", "low_price", "lwpric", "lowprice"),
    "close": ("close", "c", "close_price", "clspric", "closeprice"),
    "last": ("last_price", "ltp", "last", "price", "last_traded_price"),
    "bid": ("bid", "best_bid", "bid_price"),
    "ask": ("ask", "best_ask", "offer", "ask_price"),
    "volume": (
        *("volume", "vol", "v", "qty", "quantity", "tick_volume", "tickvol", "traded_quantity", "total_traded_quantity"),
        *("tottrdqty", "ttltradgvol", "base_volume", "last_quantity", "ltq"),
    ),
}
_BARE = ("time", *CANDLE, "volume")
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """`places`: word → position. `clock`: position of a second column with the time of day, else None. `headless`: the first line is a row already.
    `unused`: names that nothing was taken from."""

    places: dict[str, int]
    names: tuple[str, ...]
    clock: int | None = None
    headless: bool = False
    unused: tuple[str, ...] = field(default=())

    @property
    def candles(self) -> bool:
        return all(name in self.places for name in CANDLE)

    def told(self) -> dict[str, str]:
        """Word → the name that stands in the file."""
        if self.headless:
            return {word: f"column {place + 1}" for word, place in self.places.items()}
        found = {word: self.names[place] for word, place in self.places.items()}
        if self.clock is not None:
            found["time"] += f" + {self.names[self.clock]}"
        return found


def recognise(header: Sequence[str]) -> Columns:
    """Raises BadFile when there is no time, or neither prices of candles nor a last price."""
    if is_bare(header):
        width = min(len(header), len(_BARE))
        return Columns({word: place for place, word in enumerate(_BARE[:width])}, tuple(header), headless=True)
    names = [_NOT_A_NAME.sub("_", name.lower()).strip("_") for name in header]
    places = {word: names.index(name) for word, known in _NAMES.items() for name in reversed(known) if name in names}
    if "time" not in places:
        raise BadFile("the first line names no column of times (datetime, timestamp, time or date)")
    clock = None
    day = next((names.index(name) for name in ("date", "dtyyyymmdd") if name in names), None)
    if day is not None and "time" in names:
        places["time"], clock = day, names.index("time")
    found = Columns(places, tuple(name.strip() for name in header), clock)
    if not found.candles and "last" not in places:
        raise BadFile("the first line names neither open, high, low and close nor a last price")
    used = {places[word] for word in _used(found)} | {clock}
    return Columns(places, found.names, clock, unused=tuple(name for n, name in enumerate(found.names) if n not in used))


def _used(columns: Columns) -> list[str]:
    words = ("time", "symbol", *CANDLE, "volume") if columns.candles else ("time", "symbol", "last", "bid", "ask", "volume")
    return [word for word in words if word in columns.places]


def is_bare(header: Sequence[str]) -> bool:
    """Whether the first line is a row of candles and no line of names."""
    return len(header) >= 5 and is_moment(header[0]) and all(map(_is_number, header[1:5]))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
