"""What a backtest writes down while it runs: decisions, trades, changes of what is held, and what was refused.

Plain rows in the order in which they came about; nothing here decides or adds up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from engines.core.model import Role, Side, Timestamp
from engines.strategies.base import Wish
from engines.strategies.signals import signal_id

MOST_REFUSALS = 10_000
"""Told one by one for each account; beyond that they are only counted."""


class Decision(NamedTuple):
    """One signal, whatever the accounts made of it. `moment` is the start of the candle (or the time of the tick) that it follows from."""

    moment: Timestamp
    symbol: str
    side: Side
    reduce_only: bool
    strategy_id: str
    note: str = ""

    @property
    def signal_id(self) -> str:
        """What live calls it, for a strategy of this id."""
        return signal_id(self.strategy_id, self.symbol, self.moment, Wish(self.side, self.reduce_only))


@dataclass(frozen=True, slots=True)
class Trade:
    """From flat to flat in one instrument. `entry_price` and `exit_price` are averages; `gross` and `charges` are exact.

    `first_stop` is where the stop of its exit plan began: |entry_price − first_stop| × quantity is the risk that it took. `note` and `exit_note` are what
    the strategy said of its entry and its exit, `day` is the session in which it ended.
    """

    symbol: str
    side: Side
    quantity: Decimal
    entry_at: Timestamp
    entry_price: Decimal
    exit_at: Timestamp
    exit_price: Decimal
    gross: Decimal
    charges: Decimal
    exit_reason: str  # "signal" | "stop" | "moved_stop" | "target" | "time" | "square_off" | "daily_loss" | "daily_profit" | "combined_…"
    account_id: str = ""
    first_stop: Decimal | None = None
    note: str = ""
    exit_note: str = ""
    day: str = ""

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges


class Change(NamedTuple):
    """What is held after a fill, for the equity curve: `cash` is what all fills so far have moved, charges included."""

    at: Timestamp
    symbol: str
    quantity: float
    price: float
    cash: float


class Execution(NamedTuple):
    """A fill, which here is always of its whole order. `reason` as in `Trade.exit_reason`, and "signal" for entries."""

    at: Timestamp
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    charges: Decimal
    role: Role
    reason: str
    note: str = ""


class Move(NamedTuple):
    """What became of an exit plan: "armed" (with its first stop), "target" (its place in the ladder, one-based), "moved" (the stop, to here)."""

    at: Timestamp
    symbol: str
    kind: str
    stop: Decimal | None
    target: int = 0


class Refusal(NamedTuple):
    """An order that did not leave, was rejected or expired. `detail` is the answer of the check that said no."""

    at: Timestamp
    symbol: str
    side: Side | None
    reason: str
    detail: str = ""


class Lock(NamedTuple):
    """An account that takes no entries for the rest of a session. `reason`: "daily_loss", "daily_profit" or "combined_…" with the rule in `detail`."""

    at: Timestamp
    day: str
    reason: str
    pnl: Decimal
    detail: str = ""


@dataclass(slots=True)
class AccountLog:
    """What one account did."""

    trades: list[Trade] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    fills: list[Execution] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)
    entries: int = 0  # that were sent


class Flat(NamedTuple):
    """The strategy was told that a stop, a target or the clock took out what it held."""

    at: Timestamp
    symbol: str
    price: float


@dataclass(slots=True)
class Log:
    """What was decided, once for all accounts."""

    decisions: list[Decision] = field(default_factory=list)
    flats: list[Flat] = field(default_factory=list)
    unfilled: int = 0  # decided at the very end of the data: no price came after them
    ambiguous: int = 0  # bars whose outcome hangs on which extreme came first
