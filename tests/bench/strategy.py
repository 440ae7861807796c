"""How many one-minute bars a second a strategy decides on, with the same classes that trade live."""

from __future__ import annotations

import time

from engines.core.model import Candle, Timeframe
from engines.strategies import registry
from tests.bench.figures import Figure

BARS = 400_000
SYMBOL = "NSE:BENCH"
MINUTE = 60


def measure(_name: str) -> list[Figure]:
    candles = walk(BARS)
    floor, crossings = _bare_loop([candle.close for candle in candles])
    strategy = registry.create("ema_cross", {"fast": 10, "slow": 30, "direction": "both"}, SYMBOL, Timeframe.M1)
    on_candle = strategy.on_candle
    started = time.perf_counter()
    wishes = sum(1 for candle in candles if on_candle(candle) is not None)
    seconds = time.perf_counter() - started
    about = "EMA cross deciding on one-minute candles, the class that trades live"
    notes = {"bars": BARS, "wishes": wishes, "crossings_of_the_floor": crossings}
    return [Figure("strategy-rate", about, BARS / seconds, "bars/s", 300_000, floor=BARS / floor, more_is_better=True, notes=notes)]


def walk(count: int) -> list[Candle]:
    """A reproducible walk on the tick, from a multiplicative congruential generator: no library, no two runs different."""
    state, price, candles = 42, 100.0, []
    for number in range(count):
        state = state * 48271 % 2147483647
        opened, price = price, round(max(1.0, price * (1 + (state / 2147483647 - 0.5) * 0.002)), 2)
        candles.append(Candle(SYMBOL, number * MINUTE, opened, max(opened, price), min(opened, price), price, 100.0))
    return candles


def _bare_loop(closes: list[float]) -> tuple[float, int]:
    """Seconds that the same averages and comparisons take without any class: the floor of this interpreter."""
    started = time.perf_counter()
    quick = slow = closes[0]
    was_above, crossings = False, 0
    for close in closes:
        quick += 2 / 11 * (close - quick)
        slow += 2 / 31 * (close - slow)
        above = quick > slow
        if above is not was_above:
            was_above = above
            crossings += 1
    return time.perf_counter() - started, crossings
