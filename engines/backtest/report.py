"""What came of a backtest, with everything that it was made from: data, parameters, costs and the way assumed through a bar.

It tells and decides nothing. Money is exact; statistics are floats, worked out when they are first asked for (`analysis`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any

from engines.backtest.analysis import Analysis
from engines.backtest.breakdown import Row, by_exit, rows
from engines.backtest.checks import Checks
from engines.backtest.equity import Equity, Prices, follow, prices_of, together
from engines.backtest.history import History
from engines.backtest.played import AccountPlayed, Holding, Played
from engines.backtest.records import Decision, Trade
from engines.backtest.settings import SAID, Settings, Way
from engines.backtest.walk_forward import WalkForward
from engines.core.model import ZERO, Timestamp
from engines.core.sessions import exchange_of
from engines.ports import Clock
from engines.strategies import registry

MOST_BAD_ROWS = 100
FEW_TRADES = 30
"""Below so many trades a result says little (a rule of thumb of statistics)."""
FEW_SESSIONS = 20
OWN_CHARGES_SHARE = 0.5
"""Charges that eat more of the gross profit than this are worth a warning."""


@dataclass(frozen=True)
class Report:
    """`gross` is before charges and counts what is still held at its last price, so that net = gross − charges = equity_end − capital.

    Wins, losses and `win_rate` are of closed trades after charges (a trade of exactly zero is neither); `win_rate` is a percentage.
    `ambiguous_bars` are bars whose outcome hangs on which of their extremes came first. `equity` is of all accounts together, `equities` of each.
    `bars_per_second` leaves reading the files out.
    """

    played: Played
    prices: Prices
    equity: Equity
    equities: Mapping[str, Equity]
    running_seconds: float
    checks: Checks | None = None
    walk_forward: WalkForward | None = None

    # --- what it was made from ------------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        return self.played.config.kind

    @property
    def name(self) -> str:
        """The strategy's own name; its kind when it is none of those installed."""
        try:
            return registry.get(self.kind).name or self.kind
        except registry.UnknownKind:
            return self.kind

    @property
    def params(self) -> Mapping[str, Any]:
        return self.played.config.params

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.played.config.instruments

    @property
    def timeframe(self) -> str:
        return self.played.config.timeframe.value

    @property
    def settings(self) -> Settings:
        return self.played.job.settings

    @property
    def way(self) -> Way:
        return self.played.way

    @property
    def assumed_path(self) -> str:
        return SAID[self.way]

    @property
    def source(self) -> str:
        return ", ".join(history.name for history in self.played.histories)

    @property
    def data_hash(self) -> str:
        """SHA-256 of the file; of several files, that of their hashes in order."""
        return data_hash(self.played.histories)

    @property
    def bars(self) -> int:
        return self.played.bars

    @property
    def bad_rows(self) -> tuple[str, ...]:
        several = len(self.played.histories) > 1
        told = [f"{history.name}, {row}" if several else str(row) for history in self.played.histories for row in history.file.bad]
        return tuple(told[:MOST_BAD_ROWS])

    @property
    def bad_row_count(self) -> int:
        return sum(history.file.bad_count for history in self.played.histories)

    @property
    def first(self) -> Timestamp:
        return self.played.first

    @property
    def last(self) -> Timestamp:
        return self.played.last

    # --- what came of it ------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> tuple[AccountPlayed, ...]:
        return self.played.accounts

    @property
    def capital(self) -> Decimal:
        """Of all accounts together."""
        return self.played.capital

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self.played.decisions

    @cached_property
    def trades(self) -> tuple[Trade, ...]:
        """Of all accounts, by the moment they ended."""
        if len(self.accounts) == 1:
            return tuple(self.accounts[0].trades)
        return tuple(sorted((trade for account in self.accounts for trade in account.trades), key=attrgetter("exit_at")))

    @property
    def by_exit(self) -> tuple[Row, ...]:
        return rows(self.trades, by_exit)

    @property
    def holdings(self) -> tuple[Holding, ...]:
        return tuple(each for account in self.accounts for each in account.holdings)

    @property
    def fills(self) -> int:
        return sum(len(account.fills) for account in self.accounts)

    @property
    def refused(self) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for account in self.accounts:
            total.update(account.refused)
        return dict(sorted(total.items()))

    @property
    def unfilled(self) -> int:
        return self.played.unfilled

    @property
    def gross(self) -> Decimal:
        return self.played.gross

    @property
    def charges(self) -> Decimal:
        return self.played.charges

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges

    @property
    def equity_end(self) -> Decimal:
        return self.played.equity_end

    @property
    def ambiguous_bars(self) -> int:
        return self.played.ambiguous

    @property
    def reading_seconds(self) -> float:
        return self.played.reading_seconds

    @property
    def wins(self) -> int:
        return sum(trade.net > 0 for trade in self.trades)

    @property
    def losses(self) -> int:
        return sum(trade.net < 0 for trade in self.trades)

    @property
    def win_rate(self) -> Decimal | None:
        counted = self.wins + self.losses
        return Decimal(self.wins) * 100 / counted if counted else None

    @property
    def profit_factor(self) -> Decimal | None:
        """What winners won for each rupee that losers lost, after charges; None when nothing was lost."""
        lost = -sum((trade.net for trade in self.trades if trade.net < 0), ZERO)
        return sum((trade.net for trade in self.trades if trade.net > 0), ZERO) / lost if lost else None

    @property
    def bars_per_second(self) -> float | None:
        return self.bars / self.running_seconds if self.running_seconds > 0 else None

    @property
    def ambiguous_pct(self) -> float:
        return self.ambiguous_bars * 100 / self.bars if self.bars else 0.0

    @cached_property
    def analysis(self) -> Analysis:
        return Analysis(self.played, self.prices, self.equity, self.trades)

    # --- what a reader should know --------------------------------------------------------------------------------

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before believing the numbers."""
        said = list(self.played.notes)
        if len(self.trades) < FEW_TRADES:
            said.append(f"only {len(self.trades)} closed trades: too few to tell skill from luck")
        if 0 < len(self.equity.curve) < FEW_SESSIONS:
            said.append(f"only {len(self.equity.curve)} sessions: figures of a year (Sharpe, Sortino, volatility) are stretched far")
        if self.gross > 0 and self.net <= 0:
            said.append("charges eat all of the gross profit: what is left after them is a loss")
        elif self.gross > 0 and float(self.charges / self.gross) > OWN_CHARGES_SHARE:
            said.append(f"charges eat {self.charges * 100 / self.gross:.0f} % of the gross profit")
        if self.bad_row_count:
            said.append(f"{self.bad_row_count} rows of the data were left out")
        if self.refused:
            most = sorted(self.refused.items(), key=lambda pair: -pair[1])[:3]
            reasons = ", ".join(f"{reason.replace('_', ' ')} {number}" for reason, number in most)
            said.append(f"{sum(self.refused.values())} orders were refused ({reasons}{', …' if len(self.refused) > 3 else ''})")
        if self.ambiguous_bars:
            bars = "1 bar" if self.ambiguous_bars == 1 else f"{self.ambiguous_bars} bars"
            said.append(f"{bars} could have ended otherwise: which of the extremes came first is not known")
        if self.checks is not None:
            said += self.checks.warnings
        if self.walk_forward is not None:
            said += self.walk_forward.warnings
        return tuple(said)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What no figure here holds."""
        return EXCLUDED

    # --- as plain values ------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Plain values: money, prices and quantities as exact text, times as RFC 3339 UTC, statistics, counts and rates as numbers or null."""
        from engines.backtest.told import told

        return told(self)

    def summary(self) -> dict[str, str | int | float | None]:
        """A few figures for lists, comparisons and rankings; cheap, for a sweep asks thousands of times."""
        from engines.backtest.told import summary

        return summary(self)

    def as_html(self) -> str:
        """A page that stands alone: no script, no font, nothing from elsewhere."""
        from engines.backtest.page import page

        return page(self)


EXCLUDED = (
    "income tax, interest on borrowed or idle money, subscriptions and what the machine costs",
    "the market's answer to one's own orders: every order fills whole, at the price and its slippage, without waiting in a queue",
    "delays, refusals by the exchange, price bands and halts of trading",
    "margin as a clearing house would ask it: a fixed leverage stands for it",
    "splits, dividends and other corporate actions, unless the file is adjusted for them",
    "instruments that had left the market before the file was made (survivorship)",
    "the roll from one expiry to the next, where an index or a continuous series stands for its future",
)


def report_on(
    played: Played, *, checks: Checks | None = None, walk_forward: WalkForward | None = None, clock: Clock | None = None
) -> Report:
    """Follow the equity of every account and of all together. With a clock the time that this takes is counted as running, too."""
    began = clock.monotonic() if clock is not None else 0.0
    symbols = played.config.instruments
    prices = prices_of(played.histories, exchange_of(symbols[0]))
    equities = {each.account.account_id: follow(prices, each.changes, float(each.account.capital)) for each in played.accounts}
    equity = (
        next(iter(equities.values()))
        if len(equities) == 1
        else follow(prices, together(each.changes for each in played.accounts), float(played.capital))
    )
    took = clock.monotonic() - began if clock is not None else 0.0
    return Report(played, prices, equity, equities, played.running_seconds + took, checks, walk_forward)


def data_hash(histories: Sequence[History]) -> str:
    hashes = [history.data_hash for history in histories]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
