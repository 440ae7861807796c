"""What doing nothing clever would have made of the same prices and capital: bought at the first price, kept to the last.

It pays no charges and takes no leverage, so it is a yardstick and not a rival.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from engines.backtest.columns import Columns
from engines.backtest.equity import INSTANT, Prices
from engines.backtest.metrics import Daily, daily


@dataclass(frozen=True, slots=True)
class BuyAndHold:
    """The capital in equal parts in every instrument, from each one's first price on; until then its part is kept as money."""

    curve: tuple[tuple[str, float], ...]
    daily: Daily


def buy_and_hold(prices: Prices, columns: Mapping[str, Columns], capital: float) -> BuyAndHold | None:
    """None when there is no price to buy at."""
    held = [(mine, capital / len(columns) / mine.opens[0]) for mine in columns.values() if mine.opens[0] > 0]
    if not held or not prices.sessions:
        return None
    spare = capital * (1 - len(held) / len(columns))
    curve = []
    for session in prices.sessions:
        value = spare
        for mine, units in held:
            rows = bisect_right(mine.starts, session.ends - max(mine.seconds, INSTANT))
            value += units * (mine.closes[rows - 1] if rows else mine.opens[0])
        curve.append((session.day, value))
    return BuyAndHold(tuple(curve), daily(curve, capital))
