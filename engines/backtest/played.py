"""What a backtest leaves behind: what it was made from, what was decided, and what each account did. A report is made from this and nothing else.

Values and sums of them; money is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.backtest.history import History
from engines.backtest.records import Change, Decision, Execution, Flat, Lock, Move, Refusal, Trade
from engines.backtest.settings import Job, Way
from engines.core.model import ZERO, Account, AccountMapping, Instrument, StrategyConfig, Timestamp


@dataclass(frozen=True, slots=True)
class Holding:
    """What was still held at the end, valued at the last price."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    last_price: Decimal
    unrealised: Decimal


@dataclass(frozen=True, slots=True)
class AccountPlayed:
    """`cash` is what all fills moved, charges included; `refused` counts every refusal, `refusals` tells the first of them one by one."""

    account: Account
    mapping: AccountMapping
    trades: Sequence[Trade]
    fills: Sequence[Execution]
    moves: Sequence[Move]
    changes: Sequence[Change]
    refused: Mapping[str, int]
    refusals: Sequence[Refusal]
    locks: Sequence[Lock]
    holdings: tuple[Holding, ...]
    entries: int
    cash: Decimal
    charges: Decimal

    @property
    def equity_end(self) -> Decimal:
        return self.account.capital + self.cash + sum((each.quantity * each.last_price for each in self.holdings), ZERO)

    @property
    def gross(self) -> Decimal:
        """Before charges, with what is still held at its last price: gross − charges = equity_end − capital."""
        return self.equity_end - self.account.capital + self.charges

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges


@dataclass(frozen=True, slots=True)
class Played:
    """`histories` are the files as they were played, `bars` the candles or ticks in them, `ambiguous` those of them whose outcome hangs on which extreme
    came first (once, however many accounts). `marks`: symbol → the last price. `running_seconds` leaves reading the files out."""

    job: Job
    config: StrategyConfig
    way: Way
    histories: tuple[History, ...]
    instruments: tuple[Instrument, ...]
    decisions: tuple[Decision, ...]
    flats: tuple[Flat, ...]
    accounts: tuple[AccountPlayed, ...]
    bars: int
    first: Timestamp
    last: Timestamp
    ambiguous: int
    unfilled: int
    marks: Mapping[str, float]
    running_seconds: float
    reading_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def capital(self) -> Decimal:
        """Of all accounts together."""
        return sum((each.account.capital for each in self.accounts), ZERO)

    @property
    def equity_end(self) -> Decimal:
        return sum((each.equity_end for each in self.accounts), ZERO)

    @property
    def charges(self) -> Decimal:
        return sum((each.charges for each in self.accounts), ZERO)

    @property
    def gross(self) -> Decimal:
        return sum((each.gross for each in self.accounts), ZERO)

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges
