"""Follows an account's value over time: at every close for the drawdown, at the end of every session for the curve.

Floats, for it is a statistic; what was earned in the end is added up exactly elsewhere. Stretches in which nothing is held cost nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from operator import itemgetter
from typing import Any, NamedTuple

from engines.backtest.history import History
from engines.backtest.records import Change
from engines.core.model import Candle, Tick, Timestamp
from engines.core.sessions import DAY, day_start, session_day

INSTANT = 1e-6
"""Of a tick: what it causes bears its own time, what a bar causes a time within the bar."""


class Session(NamedTuple):
    """Rows `first` to `last` (exclusive) of the prices; `ends` is where its day is over."""

    day: str
    first: int
    last: int
    ends: Timestamp


@dataclass(frozen=True, slots=True)
class Prices:
    """Every bar (or tick) of every file by the moment at which it was over: columns of equal length. `symbols` is empty when all are of `only`."""

    ends: Sequence[Timestamp]
    closes: Sequence[float]
    symbols: Sequence[str]
    only: str
    sessions: tuple[Session, ...]
    moments: int  # distinct ones


@dataclass(frozen=True, slots=True)
class Equity:
    """`curve`: (session day, value at its last price). Drawdown is the deepest fall from a peak, at closes, in money and in percent of the peak.

    `bars_held` are bars of instruments that were held at their close, `moments_held` of `moments` those at which anything was."""

    curve: tuple[tuple[str, float], ...]
    max_drawdown: float
    max_drawdown_pct: float
    bars_held: int
    moments_held: int = 0
    moments: int = 0

    @property
    def exposure(self) -> float | None:
        """Time in the market as a share of the time that was played."""
        return self.moments_held / self.moments if self.moments else None


def prices_of(histories: Sequence[History], exchange: str) -> Prices:
    """The columns of these files together. Session days are those of `exchange`."""
    ends, names, closes = list[float](), list[str](), list[float]()
    for history in histories:
        rows, symbol, start, price, lasts = _columns(history)
        ends += [at + lasts for at in map(start, rows)]
        names += map(symbol, rows)
        closes += map(price, rows)
    if len(histories) > 1:
        order = sorted(range(len(ends)), key=ends.__getitem__)
        ends, names, closes = [ends[n] for n in order], [names[n] for n in order], [closes[n] for n in order]
    several = len(set(names)) > 1
    sessions = tuple(_sessions(ends, exchange))
    return Prices(ends, closes, names if several else (), "" if several else names[0], sessions, len(set(ends)) if several else len(ends))


def together(accounts: Iterable[Sequence[Change]]) -> list[Change]:
    """What all accounts hold and have moved, after each change of any of them."""
    steps: list[tuple[Timestamp, str, float, float, float]] = []
    for changes in accounts:
        held: dict[str, float] = {}
        cash = 0.0
        for change in changes:
            steps.append((change.at, change.symbol, change.quantity - held.get(change.symbol, 0.0), change.price, change.cash - cash))
            held[change.symbol], cash = change.quantity, change.cash
    steps.sort(key=itemgetter(0))
    total: dict[str, float] = {}
    moved, found = 0.0, []
    for at, symbol, more, price, paid in steps:
        units = total[symbol] = total.get(symbol, 0.0) + more
        moved += paid
        found.append(Change(at, symbol, units if abs(units) > INSTANT else 0.0, price, moved))
    return found


def in_order(changes: Sequence[Change]) -> Sequence[Change]:
    """By time: inside one bar, fills of different instruments are written down instrument after instrument."""
    if all(one.at <= other.at for one, other in pairwise(changes)):
        return changes
    return together([changes])


def follow(prices: Prices, changes: Sequence[Change], capital: float) -> Equity:
    """Walk through the prices and what was held at each of them."""
    walk = _Walk(prices, in_order(changes), capital)
    curve = []
    for session in prices.sessions:
        walk.through(session)
        curve.append((session.day, walk.equity))
    return Equity(tuple(curve), walk.worst, walk.worst_pct * 100, walk.bars_held, walk.moments_held, prices.moments)


class _Walk:
    """An account on its way through the prices, from one change of what it holds to the next."""

    def __init__(self, prices: Prices, changes: Sequence[Change], capital: float) -> None:
        self._prices, self._changes, self._next = prices, changes, 0
        self._held: dict[str, list[float]] = {}  # units and their newest price
        self._capital, self._cash = capital, 0.0
        self.equity = self.peak = capital
        self.worst = self.worst_pct = 0.0
        self.bars_held = self.moments_held = 0
        self._moment = -inf

    def through(self, session: Session) -> None:
        ends, row = self._prices.ends, session.first
        while row < session.last:
            due = self._changes[self._next].at if self._next < len(self._changes) else inf
            until = bisect_right(ends, due, row, session.last)
            if self._held and until > row:
                if self._prices.only:
                    self._alone(row, until)
                else:
                    self._beside_others(row, until)
            row = until
            if row < session.last:
                self._change(ends[row])
                if not self._held:
                    self._mark(self.equity)
                    row += 1

    def _change(self, end: Timestamp) -> None:
        """Take up what was traded before this moment."""
        while self._next < len(self._changes) and self._changes[self._next].at < end:
            change = self._changes[self._next]
            self._cash = change.cash
            if change.quantity:
                self._held[change.symbol] = [change.quantity, change.price]
            else:
                self._held.pop(change.symbol, None)
            self._next += 1
        self.equity = self._capital + self._cash + sum(units * price for units, price in self._held.values())

    def _alone(self, first: int, last: int) -> None:
        """There is one instrument, so the equity is a straight line in its price: its ends tell, unless it climbs to a new peak between them."""
        units, mark = mine = self._held[self._prices.only]
        base = self.equity - units * mark
        closes = self._prices.closes[first:last]
        low, high = min(closes), max(closes)
        if base + max(units * low, units * high) > self.peak:
            for price in closes:
                self._mark(base + units * price)
        else:
            self._mark(base + min(units * low, units * high))
        mine[1] = closes[-1]
        self.equity = base + units * closes[-1]
        self.bars_held += last - first
        self.moments_held += last - first

    def _beside_others(self, first: int, last: int) -> None:
        prices, held, equity = self._prices, self._held, self.equity
        bars, moments, moment, peak = self.bars_held, self.moments_held, self._moment, self.peak
        low = peak  # the lowest close since it: nearly every bar is compared with these two and nothing else
        for end, symbol, price in zip(prices.ends[first:last], prices.symbols[first:last], prices.closes[first:last], strict=True):
            mine = held.get(symbol)
            if mine is not None:
                bars += 1
                equity += mine[0] * (price - mine[1])
                mine[1] = price
            if end != moment:
                moment = end
                moments += 1
            if equity > peak:
                self._mark(low)
                self.peak = peak = low = equity
            elif equity < low:
                low = equity
        self._mark(low)
        self.bars_held, self.moments_held, self._moment = bars, moments, moment
        self.equity = equity

    def _mark(self, equity: float) -> None:
        if equity > self.peak:
            self.peak = equity
            return
        fall = self.peak - equity
        if fall > self.worst:
            self.worst = fall
        if fall > self.worst_pct * self.peak:
            self.worst_pct = fall / self.peak


def _columns(history: History) -> tuple[Sequence[Any], Callable[[Any], str], Callable[[Any], float], Callable[[Any], float], float]:
    """The bars or ticks of a file, what reads symbol, time and last price of each, and how long after that time the price is known."""
    file = history.file
    rows, fields, lasts = (file.candles, _OF_A_CANDLE, file.seconds) if file.candles else (file.ticks, _OF_A_TICK, INSTANT)
    return rows, *map(itemgetter, fields), lasts  # type: ignore[return-value]


def _sessions(ends: Sequence[Timestamp], exchange: str) -> Iterable[Session]:
    first = 0
    while first < len(ends):
        inside = ends[first] - INSTANT  # a bar that ends at midnight is of the day before
        over = day_start(inside, exchange) + DAY
        last = max(bisect_right(ends, over, first), first + 1)
        yield Session(session_day(inside, exchange), first, last, over)
        first = last


def session_at(prices: Prices, at: Timestamp) -> int:
    """The number of the session in which a moment lies, or of the next."""
    return min(bisect_left(prices.sessions, at, key=lambda session: session.ends - INSTANT), max(len(prices.sessions) - 1, 0))


_OF_A_CANDLE = tuple(map(Candle._fields.index, ("symbol", "start", "close")))
_OF_A_TICK = tuple(map(Tick._fields.index, ("symbol", "at", "last_price")))
