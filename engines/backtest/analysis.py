"""Everything that a report tells beyond the sums: worked out once, when it is first asked for, from what a run has left behind.

A sweep that plays thousands of times never asks for most of it. Statistics are floats; nothing here changes what was earned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from engines.backtest import metrics
from engines.backtest.benchmark import BuyAndHold, buy_and_hold
from engines.backtest.breakdown import KEYS, Row, rows
from engines.backtest.chance import RandomEntries, random_entries
from engines.backtest.closeups import Closeup, closeups
from engines.backtest.columns import Columns, columns_of
from engines.backtest.equity import Equity, Prices, session_at
from engines.backtest.excursions import Excursion, excursions, risk
from engines.backtest.played import Played
from engines.backtest.records import Trade
from engines.backtest.shuffle import Shuffle, shuffle

COST_FACTORS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class CostRow:
    """What would be left if all charges were so many times what they are; sizes and refusals stay as they were."""

    factor: int
    net: float
    daily: metrics.Daily
    sums: metrics.Sums


@dataclass(frozen=True, slots=True)
class TradeFacts:
    """What is told of one trade beside its own fields. `r`: net result / initial risk; None without a stop. Excursions in money."""

    mae: float
    mfe: float
    r: float | None
    mae_r: float | None
    mfe_r: float | None
    bars: int


class Analysis:
    """`trades` of all accounts by the moment they ended; `capital` of all accounts together."""

    def __init__(self, played: Played, prices: Prices, equity: Equity, trades: Sequence[Trade]) -> None:
        self._played, self._prices, self._equity, self._trades = played, prices, equity, trades
        self._capital = float(played.capital)

    # --- by the day -----------------------------------------------------------------------------------------------

    @cached_property
    def charges_so_far(self) -> list[float]:
        """At the end of every session."""
        by_session = [0.0] * len(self._prices.sessions)
        for account in self._played.accounts:
            for fill in account.fills:
                by_session[session_at(self._prices, fill.at)] += float(fill.charges)
        return list(accumulate(by_session))

    def curve(self, factor: float = 1.0) -> list[tuple[str, float]]:
        """The equity if charges had been so many times what they were; 0: gross."""
        return [(day, value + (1.0 - factor) * paid) for (day, value), paid in zip(self._equity.curve, self.charges_so_far, strict=True)]

    @cached_property
    def net(self) -> metrics.Daily:
        return metrics.daily(self._equity.curve, self._capital)

    @cached_property
    def gross(self) -> metrics.Daily:
        return metrics.daily(self.curve(0.0), self._capital)

    @cached_property
    def months(self) -> list[tuple[str, float]]:
        return metrics.by_month(self._equity.curve, self._capital)

    @cached_property
    def drawdowns(self) -> list[float]:
        return metrics.drawdowns([value for _, value in self._equity.curve], self._capital)

    # --- by the trade ---------------------------------------------------------------------------------------------

    @cached_property
    def sums(self) -> metrics.Sums:
        return self._sums(lambda trade: float(trade.net))

    @cached_property
    def gross_sums(self) -> metrics.Sums:
        return self._sums(lambda trade: float(trade.gross))

    def _sums(self, result: Callable[[Trade], float]) -> metrics.Sums:
        """Of all trades; but runs of wins and losses are those of the account that had the longest."""
        whole = metrics.sums(list(map(result, self._trades)))
        if len(self._played.accounts) == 1:
            return whole
        each = [metrics.sums(list(map(result, account.trades))) for account in self._played.accounts]
        return replace(
            whole, wins_in_a_row=max(one.wins_in_a_row for one in each), losses_in_a_row=max(one.losses_in_a_row for one in each)
        )

    @cached_property
    def costs(self) -> tuple[CostRow, ...]:
        gross, charges = float(self._played.gross), float(self._played.charges)
        return tuple(
            CostRow(
                factor,
                gross - factor * charges,
                metrics.daily(self.curve(factor), self._capital),
                metrics.sums([float(trade.gross) - factor * float(trade.charges) for trade in self._trades]),
            )
            for factor in COST_FACTORS
        )

    @cached_property
    def facts(self) -> list[TradeFacts]:
        """One for each trade."""
        return [_facts(trade, found) for trade, found in zip(self._trades, excursions(self._trades, self.columns), strict=True)]

    @cached_property
    def rs(self) -> list[float]:
        """Net results in units of the initial risk, of the trades that had a stop."""
        taken = [(trade.net, risk(trade)) for trade in self._trades]
        return [float(net / at_risk) for net, at_risk in taken if at_risk]

    @cached_property
    def hold_seconds(self) -> list[float]:
        return [trade.exit_at - trade.entry_at for trade in self._trades]

    @cached_property
    def turnover(self) -> float:
        """What was bought and sold, at the prices of the fills."""
        return float(sum(fill.quantity * fill.price for account in self._played.accounts for fill in account.fills))

    @cached_property
    def breakdown(self) -> dict[str, tuple[Row, ...]]:
        return {name: rows(self._trades, key) for name, key in KEYS.items()}

    @cached_property
    def closeups(self) -> list[Closeup]:
        return closeups(self._trades, self._played.accounts, self.columns)

    # --- beside it ------------------------------------------------------------------------------------------------

    @cached_property
    def columns(self) -> dict[str, Columns]:
        return dict(columns_of(self._played.histories, self._played.config.instruments))

    @cached_property
    def benchmark(self) -> BuyAndHold | None:
        return buy_and_hold(self._prices, self.columns, self._capital)

    @cached_property
    def random_entries(self) -> RandomEntries | None:
        return random_entries(self._trades, self.columns)

    @cached_property
    def shuffle(self) -> Shuffle | None:
        """What several accounts made of one entry is drawn together: it was one piece of luck."""
        bundles: dict[tuple[str, float], float] = {}
        for trade in self._trades:
            place = (trade.symbol, trade.entry_at)
            bundles[place] = bundles.get(place, 0.0) + float(trade.net)
        return shuffle(list(bundles.values()), self._capital)


def _facts(trade: Trade, found: Excursion) -> TradeFacts:
    quantity, at_risk = float(trade.quantity), risk(trade)
    mae, mfe = found.adverse * quantity, found.favourable * quantity
    if not at_risk:
        return TradeFacts(mae, mfe, None, None, None, found.bars)
    unit = float(at_risk)
    return TradeFacts(mae, mfe, float(trade.net) / unit, mae / unit, mfe / unit, found.bars)
