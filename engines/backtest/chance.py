"""What the same trades would have made had they been entered at random: as many, as long, as large, on the same side of the same instruments.

If the entries of a strategy know something, few random ones do as well. Exits are not asked: a trade entered at random is left after as many bars as its
model was held. Seeded, so the same run gives the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from engines.backtest.columns import Columns
from engines.backtest.metrics import percentile
from engines.backtest.records import Trade

MOST_RUNS, FEWEST_RUNS = 500, 50
WORK = 400_000
FEWEST_TRADES = 10


@dataclass(frozen=True, slots=True)
class RandomEntries:
    """Net results of the random runs (5, 50 and 95 per cent of them lie below), and `as_good`: the share of them that made at least what happened."""

    seed: int
    runs: int
    trades: int
    p05: float
    p50: float
    p95: float
    happened: float
    as_good: float


def random_entries(
    trades: Sequence[Trade], columns: Mapping[str, Columns], *, seed: int = 1, runs: int | None = None
) -> RandomEntries | None:
    """Of closed trades; each pays the charges that its model paid. None when there are too few.

    Trades of several accounts that were entered at one moment in one instrument are entered at one random moment, too."""
    models = [_model(trade, columns[trade.symbol]) for trade in trades if trade.symbol in columns]
    if len(models) < FEWEST_TRADES:
        return None
    bundles: dict[tuple[str, float], list[tuple[float, int]]] = {}
    for trade, (size, bars, _) in zip((each for each in trades if each.symbol in columns), models, strict=True):
        bundles.setdefault((trade.symbol, trade.entry_at), []).append((size, bars))
    paid = sum(charges for _, _, charges in models)
    asked = [(columns[symbol], parts, max(bars for _, bars in parts)) for (symbol, _), parts in bundles.items()]
    chance = Random(seed)
    runs = runs or max(FEWEST_RUNS, min(MOST_RUNS, WORK // len(models)))
    results = sorted(_run(asked, chance) - paid for _ in range(runs))
    happened = sum(float(trade.net) for trade in trades if trade.symbol in columns)
    return RandomEntries(
        seed=seed,
        runs=runs,
        trades=len(asked),
        p05=percentile(results, 0.05),
        p50=percentile(results, 0.5),
        p95=percentile(results, 0.95),
        happened=happened,
        as_good=sum(result >= happened for result in results) / runs,
    )


def _run(asked: Sequence[tuple[Columns, list[tuple[float, int]], int]], chance: Random) -> float:
    """What one set of random entries makes before charges: in at the open of a bar, out at the close of the last bar held."""
    made = 0.0
    for columns, parts, longest in asked:
        first = int(chance.random() * (len(columns.opens) - longest + 1))
        price = columns.opens[first]
        for size, bars in parts:
            made += size * (columns.closes[first + bars - 1] - price)
    return made


def _model(trade: Trade, columns: Columns) -> tuple[float, int, float]:
    """Signed size, bars held (at least one, at most all there are), and charges."""
    bars = min(max(columns.at(trade.exit_at) - columns.at(trade.entry_at), 1), len(columns.opens))
    return float(trade.quantity) * trade.side.sign, bars, float(trade.charges)
