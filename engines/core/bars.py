"""A bar walked through as ticks, so that one matching core serves live prices and bars alike.

The price is taken to run from the open over both extremes to the close and to trade at every level between; only the open may gap. Which extreme came
first a bar does not tell: this module never picks the kinder one for a stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from engines.core.model import Candle, Tick

Levels = Sequence[float]
"""(limit buy, stop sell, limit sell, stop buy): the next price at which each fires; what is not finite or not above zero does not rest."""


def ticks_within(candle: Candle, levels: Callable[[], Levels]) -> Iterator[Tick]:
    """The open, each resting level on the way, both extremes and the close, as ticks without a spread.

    `levels` is asked again before every tick: what was cancelled because of an earlier one does not fire, so a stop takes its target's place in time.
    A bar with resting stops below and none above goes down first, one with stops above up first; else a rising bar dips first, a falling one peaks first.
    """
    at = candle.open
    yield _tick(candle, at)
    resting = levels()
    down_first = candle.close >= candle.open
    if resting:
        falls, rises = _rests(resting[1]), _rests(resting[3])
        down_first = falls if falls != rises else down_first
    corners = (candle.low, candle.high) if down_first else (candle.high, candle.low)
    for corner in (*corners, candle.close):
        while (level := _next_level(levels(), at, corner)) is not None:
            at = level
            yield _tick(candle, at)
        if corner != at:
            at = corner
            yield _tick(candle, at)


def nearest(*levels: Levels) -> Levels:
    """What fires next of several owners' levels; empty when none of them waits for anything."""
    given = [each for each in levels if each]
    if len(given) < 2:
        return given[0] if given else ()
    return (
        max(each[0] for each in given),
        max(each[1] for each in given),
        min(each[2] for each in given),
        min(each[3] for each in given),
    )


def _next_level(levels: Levels, at: float, corner: float) -> float | None:
    """The nearest level strictly between here and the corner, of those that fire in this direction."""
    if not levels:
        return None
    limit_buy, stop_sell, limit_sell, stop_buy = levels
    if corner > at:
        return min((x for x in (limit_sell, stop_buy) if at < x < corner), default=None)
    return max((x for x in (limit_buy, stop_sell) if corner < x < at), default=None)


def _rests(level: float) -> bool:
    return 0.0 < level < math.inf


def _tick(candle: Candle, price: float) -> Tick:
    return Tick(candle.symbol, price, price, price, candle.start)
