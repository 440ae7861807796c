"""What a backtest writes down while it runs: decisions, trades, changes of what is held, and what was refused.

Plain rows in the order in which they came about; nothing here decides or adds up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from engines.core.model import Side, Timestamp
from engines.strategies.base import Wish
from engines.strategies.signals import signal_id


class Decision(NamedTuple):
    """One signal. `moment` is the start of the candle (or the time of the tick) that it follows from."""

    moment: Timestamp
    symbol: str
    side: Side
    reduce_only: bool
    strategy_id: str

    @property
    def signal_id(self) -> str:
        """What live calls it, for a strategy of this id."""
        return signal_id(self.strategy_id, self.symbol, self.moment, Wish(self.side, self.reduce_only))


@dataclass(frozen=True, slots=True)
class Trade:
    """From flat to flat in one instrument. `entry_price` and `exit_price` are averages; `gross` and `charges` are exact."""

    symbol: str
    side: Side
    quantity: Decimal
    entry_at: Timestamp
    entry_price: Decimal
    exit_at: Timestamp
    exit_price: Decimal
    gross: Decimal
    charges: Decimal
    exit_reason: str  # "signal" | "stop" | "moved_stop" | "target"

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


@dataclass(slots=True)
class Log:
    decisions: list[Decision] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    unfilled: int = 0  # decided at the very end of the data: no price came after them
    ambiguous: int = 0  # bars whose outcome hangs on which extreme came first
    fills: int = 0
