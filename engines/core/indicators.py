"""Moving averages and range, one value at a time: what a chart shows, from closed bars only.

Each is NaN until it has seen `period` values, then seeded by their plain mean as charting packages do. A value that is no number is passed over.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from itertools import starmap


class SMA:
    """The plain mean of the newest `period` values."""

    __slots__ = ("_period", "_window", "value")

    def __init__(self, period: int) -> None:
        self._period = _whole(period)
        self._window: deque[float] = deque(maxlen=period)
        self.value = math.nan

    def update(self, x: float) -> float:
        if math.isfinite(x):
            self._window.append(x)
            if len(self._window) == self._period:
                # Summed anew, for a running sum drifts over a long replay and would make restarts differ from runs.
                self.value = math.fsum(self._window) / self._period
        return self.value


class _Smoothed:
    """value += alpha x (new - value), seeded with the mean of the first `period` values."""

    __slots__ = ("_alpha", "_missing", "_period", "_sum", "value")

    def __init__(self, period: int, alpha: float) -> None:
        self._period = self._missing = period
        self._alpha = alpha
        self._sum = 0.0
        self.value = math.nan

    def update(self, x: float) -> float:
        if x - x != 0.0:  # NaN or infinite: one of them would stay in the average for ever
            return self.value
        if self._missing:
            self._sum += x
            self._missing -= 1
            if not self._missing:
                self.value = self._sum / self._period
        else:
            self.value += self._alpha * (x - self.value)
        return self.value


class EMA(_Smoothed):
    """Exponential: alpha = 2 / (period + 1)."""

    __slots__ = ()

    def __init__(self, period: int) -> None:
        super().__init__(_whole(period), 2.0 / (period + 1))


class ATR:
    """Wilder's average true range: alpha = 1 / period over max(high - low, |high - previous close|, |low - previous close|)."""

    __slots__ = ("_average", "_close", "value")

    def __init__(self, period: int = 14) -> None:
        self._average = _Smoothed(_whole(period), 1.0 / period)
        self._close = math.nan
        self.value = math.nan

    def update(self, high: float, low: float, close: float) -> float:
        if math.isfinite(high) and math.isfinite(low) and math.isfinite(close):
            previous = self._close
            reach = high - low
            if previous == previous:
                reach = max(reach, abs(high - previous), abs(low - previous))
            self._close = close
            self.value = self._average.update(reach)
        return self.value


def sma(values: Iterable[float], period: int) -> list[float]:
    return list(map(SMA(period).update, values))


def ema(values: Iterable[float], period: int) -> list[float]:
    return list(map(EMA(period).update, values))


def atr(bars: Iterable[tuple[float, float, float]], period: int = 14) -> list[float]:
    """Of (high, low, close) bars."""
    return list(starmap(ATR(period).update, bars))


def _whole(period: int) -> int:
    if period < 1:
        raise ValueError(f"a period is at least one bar: {period}")
    return period
