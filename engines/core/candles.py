"""Bars from ticks, and longer bars from shorter ones, on the clock of the instrument's exchange.

A minute without a trade stays missing: nothing is ever filled forward. What comes late, out of order or without a price is counted, not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from engines.core.model import Candle, Tick, Timeframe, Timestamp
from engines.core.sessions import bucket_offset, exchange_of


class CandleBuilder:
    """Builds one instrument's candles of one timeframe; runs on each tick, so it holds plain floats and does no more than compare.

    `session_open_offset`: where buckets begin, in seconds after UTC midnight (None: as the symbol's exchange keeps them, so that Indian hours
    start at 09:15 and days at midnight IST). `ignored` counts what was not used.
    """

    __slots__ = (
        "_close",
        "_end",
        "_high",
        "_low",
        "_newest",
        "_offset",
        "_open",
        "_seconds",
        "_start",
        "_volume",
        "ignored",
        "symbol",
        "timeframe",
    )

    def __init__(self, symbol: str, timeframe: Timeframe, session_open_offset: int | None = None) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.ignored = 0
        self._seconds = timeframe.seconds
        self._offset = bucket_offset(exchange_of(symbol), timeframe) if session_open_offset is None else session_open_offset
        self._start = self._end = self._newest = -math.inf
        self._open = self._high = self._low = self._close = self._volume = 0.0

    @property
    def forming(self) -> Candle | None:
        """The bar so far; None before its first tick and after it was closed by the clock."""
        if self._start == -math.inf:
            return None
        return Candle(self.symbol, self._start, self._open, self._high, self._low, self._close, self._volume)

    def add(self, tick: Tick) -> Candle | None:
        """Takes a tick in; the bar before it, when the tick opens a new one."""
        price, at = tick.last_price, tick.at
        if not (self._newest <= at < math.inf and 0.0 < price < math.inf):
            self.ignored += 1
            return None
        self._newest = at
        if at < self._end:
            if price > self._high:
                self._high = price
            elif price < self._low:
                self._low = price
            self._close = price
            self._volume += tick.volume
            return None
        closed = self.forming
        self._begin(at)
        self._open = self._high = self._low = self._close = price
        self._volume = tick.volume
        return closed

    def merge(self, candle: Candle) -> Candle | None:
        """Takes a shorter bar in; the bar before it, when it opens a new one."""
        start = candle.start
        if not (self._newest <= start < math.inf and _sound(candle)):
            self.ignored += 1
            return None
        self._newest = start
        if start < self._end:
            if candle.high > self._high:
                self._high = candle.high
            if candle.low < self._low:
                self._low = candle.low
            self._close = candle.close
            self._volume += candle.volume
            return None
        closed = self.forming
        self._begin(start)
        _, _, self._open, self._high, self._low, self._close, self._volume = candle
        return closed

    def flush(self, now: Timestamp) -> Candle | None:
        """Closes the bar whose time is over though no later tick has come; ticks of that bar that still come are late."""
        if not now >= self._end or self._start == -math.inf:
            return None
        closed = self.forming
        self._newest = self._end
        self._start = self._end = -math.inf
        return closed

    def _begin(self, at: Timestamp) -> None:
        self._start = at - (at - self._offset) % self._seconds
        self._end = self._start + self._seconds


def resample(candles: Iterable[Candle], timeframe: Timeframe, session_open_offset: int | None = None) -> list[Candle]:
    """Longer bars from one instrument's shorter ones, oldest first. The last bar may still be forming: only the caller knows the time."""
    longer: list[Candle] = []
    builder: CandleBuilder | None = None
    for candle in candles:
        builder = builder or CandleBuilder(candle.symbol, timeframe, session_open_offset)
        closed = builder.merge(candle)
        if closed is not None:
            longer.append(closed)
    if builder is not None and builder.forming is not None:
        longer.append(builder.forming)
    return longer


def _sound(candle: Candle) -> bool:
    low, high = candle.low, candle.high
    return 0.0 < low <= candle.open <= high < math.inf and low <= candle.close <= high
