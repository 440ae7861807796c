"""The account's value over time: at every close for the drawdown, at the end of every session for the curve.

Floats, for it is a statistic; what was earned in the end is added up exactly elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from operator import itemgetter

from engines.backtest.records import Change
from engines.core.model import Candle, Tick, Timestamp
from engines.core.sessions import DAY, day_start, session_day
from engines.market.files import MarketFile


@dataclass(frozen=True, slots=True)
class Equity:
    """`curve`: (session day, value at its last price). Drawdown is the deepest fall from a peak, at closes, in money and in percent of the peak."""

    curve: tuple[tuple[str, float], ...]
    max_drawdown: float
    max_drawdown_pct: float
    bars_held: int


def follow(file: MarketFile, changes: Sequence[Change], capital: float, exchange: str) -> Equity:
    """Walk through the prices and what was held at each of them. A price at which nothing is held costs two comparisons."""
    waiting = iter(changes)
    change = next(waiting, None)
    reach = file.seconds if file.candles else 1e-6  # a bar's close comes after all that happened in it, a tick after what it caused
    due = inf if change is None else change.at - reach
    held: dict[str, list[float]] = {}  # units and their newest price
    equity = peak = capital
    cash = worst = worst_pct = 0.0
    bars_held = 0
    curve: list[tuple[str, float]] = []
    day, day_ends = "", -inf
    for symbol, start, price in _prices(file):
        if start >= day_ends:
            if day:
                curve.append((day, equity))
            day, day_ends = session_day(start, exchange), day_start(start, exchange) + DAY
        if start > due:
            while change is not None and change.at < start + reach:
                cash = change.cash
                if change.quantity:
                    held[change.symbol] = [change.quantity, change.price]
                else:
                    held.pop(change.symbol, None)
                change = next(waiting, None)
            due = inf if change is None else change.at - reach
            equity = capital + cash + sum(units * mark for units, mark in held.values())
        elif not held:
            continue
        mine = held.get(symbol)
        if mine is not None:
            bars_held += 1
            equity += mine[0] * (price - mine[1])
            mine[1] = price
        if equity > peak:
            peak = equity
        else:
            fall = peak - equity
            if fall > worst:
                worst = fall
            if fall > worst_pct * peak:
                worst_pct = fall / peak
    if day:
        curve.append((day, equity))
    return Equity(tuple(curve), worst, worst_pct * 100, bars_held)


def _prices(file: MarketFile) -> Iterator[tuple[str, Timestamp, float]]:
    """(symbol, its first moment, its last price) of every bar or tick."""
    if file.candles:
        return zip(*(map(itemgetter(n), file.candles) for n in _OF_A_CANDLE), strict=True)
    return zip(*(map(itemgetter(n), file.ticks) for n in _OF_A_TICK), strict=True)


_OF_A_CANDLE = tuple(map(Candle._fields.index, ("symbol", "start", "close")))
_OF_A_TICK = tuple(map(Tick._fields.index, ("symbol", "at", "last_price")))
