"""How much of a back-test may be luck: its trades drawn again and again, and the band in which equity and drawdown then lie.

Two questions, both answered from the same seed: *drawn* (with replacement) asks what other trades of the same kind would have made; *reordered*
(each trade once) asks how deep the same trades fall in another order. It assumes that trades do not depend on each other, which the report says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub, truediv
from random import Random

from engines.backtest.metrics import percentile

MOST_RUNS, FEWEST_RUNS, MOST_ORDERS = 1_000, 50, 400
WORK = 1_000_000
"""Draws altogether: more trades are drawn fewer times."""
POINTS = 60
FEWEST_TRADES = 10
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over all runs: the values below which 5, 25, 50, 75 and 95 per cent of the runs lie."""

    p05: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True, slots=True)
class Shuffle:
    """`at`: after how many trades each point of `equity` is taken. Drawdowns are shares of the peak, 0 or above, at the ends of trades.

    `loss_share` is the share of drawn runs that end below the capital; `deeper_share` that of reordered runs which fall deeper than what happened.
    """

    seed: int
    runs: int
    trades: int
    at: tuple[int, ...]
    equity: tuple[Spread, ...]
    actual: tuple[float, ...]
    end: Spread
    drawdown_drawn: Spread
    drawdown_reordered: Spread
    drawdown_actual: float
    loss_share: float
    deeper_share: float


def shuffle(results: Sequence[float], capital: float, *, seed: int = 1, runs: int | None = None) -> Shuffle | None:
    """`results`: what each trade made, in the order in which they ended. None when there are too few to say anything."""
    count = len(results)
    if count < FEWEST_TRADES or capital <= 0:
        return None
    runs = runs or max(FEWEST_RUNS, min(MOST_RUNS, WORK // count))
    chance = Random(seed)
    at = tuple(sorted({round(n * count / POINTS) for n in range(POINTS + 1)}))
    columns: list[list[float]] = [[] for _ in at]
    drawn, reordered, ends = [], [], []
    order = list(results)
    for run in range(runs):
        path = list(accumulate(chance.choices(results, k=count), initial=capital))
        for column, n in zip(columns, at, strict=True):
            column.append(path[n])
        ends.append(path[-1])
        drawn.append(deepest(path))
        if run < MOST_ORDERS:
            chance.shuffle(order)
            reordered.append(deepest(list(accumulate(order, initial=capital))))
    happened = list(accumulate(results, initial=capital))
    fell = deepest(happened)
    return Shuffle(
        seed=seed,
        runs=runs,
        trades=count,
        at=at,
        equity=tuple(map(_spread, columns)),
        actual=tuple(happened[n] for n in at),
        end=_spread(ends),
        drawdown_drawn=_spread(drawn),
        drawdown_reordered=_spread(reordered),
        drawdown_actual=fell,
        loss_share=_share(ends, lambda end: end < capital),
        deeper_share=_share(reordered, lambda each: each > fell + 1e-12),
    )


def deepest(path: Sequence[float]) -> float:
    """The deepest fall from a peak as a share of it; the path begins above zero."""
    peaks = list(accumulate(path, max))
    return float(max(map(truediv, map(sub, peaks, path), peaks)))


def _spread(values: list[float]) -> Spread:
    ordered = sorted(values)
    return Spread(*(percentile(ordered, share) for share in SHARES))


def _share(values: Sequence[float], counts: Callable[[float], bool]) -> float:
    return sum(map(counts, values)) / len(values)
