"""A clock turned by hand and small makers of ticks and candles."""

from __future__ import annotations

from decimal import Decimal

from engines.core.model import Candle, Instrument, Tick
from engines.ports import SystemClock

INFY = Instrument("NSE:INFY", "Infosys", "NSE", Decimal("0.10"))
SBIN = Instrument("NSE:SBIN", "State Bank of India", "NSE", Decimal("0.05"))

DAY = 1_704_166_200.0
"""2024-01-02 09:00:00 IST."""
OPEN = DAY + 15 * 60


class TurnedClock(SystemClock):
    """The machine's, for what waits, and ahead of it by as much as a test says."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class HandClock:
    """Wall and monotonic time that move only when told."""

    def __init__(self, now: float = OPEN) -> None:
        self.wall = now
        self.mono = 1000.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


class CountingIds:
    def __init__(self) -> None:
        self.count = 0

    def new(self) -> str:
        self.count += 1
        return f"ID{self.count:06d}"


def tick(last: float, at: float, symbol: str = "NSE:INFY", bid: float | None = None, ask: float | None = None, volume: float = 1.0) -> Tick:
    return Tick(symbol, last, last if bid is None else bid, last if ask is None else ask, at, volume)


def candle(number: int, close: float, symbol: str = "NSE:INFY", start: float = OPEN, seconds: int = 60) -> Candle:
    """The candle `number` after the open, flat at its close."""
    return Candle(symbol, start + number * seconds, close, close, close, close, 1.0)
