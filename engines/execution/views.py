"""What the trading system tells about itself: immutable answers built from memory, never from the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engines.core.facts import SignalTimed
from engines.core.model import ZERO, ExitPlan, Halt, Order, Position, Timestamp
from engines.ports import Balance, BrokerPosition, OrderReport, Profile


@dataclass(frozen=True, slots=True)
class SignalOutcome:
    """What became of a signal so far. `settled`: no order of it is planned, sending or unknown."""

    key: str
    signal_id: str
    received_at: Timestamp
    orders: tuple[Order, ...]
    timing: SignalTimed
    duplicate: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class AccountView:
    """`state`: ready | needs_login | halted | error | disabled. Money is net of charges where it says equity or day_pnl."""

    account_id: str
    state: str
    state_detail: str
    session_expires_at: Timestamp | None
    cash: Decimal
    used_margin: Decimal
    available: Decimal
    equity: Decimal
    realised: Decimal  # of the session, before charges
    unrealised: Decimal
    charges: Decimal  # of the session
    day_pnl: Decimal  # realised + unrealised - charges
    day_trades: int
    day_loss_used_pct: Decimal | None
    open_positions: int
    kill_switch: bool
    kill_reason: str
    locked: str | None  # the denial that closed the account for the day
    connected: bool
    currency: str = "INR"
    queue_depth: int = 0
    funds: Balance | None = None  # the broker's own figures (live accounts), a minute old at most
    warnings: tuple[str, ...] = ()  # what the broker's own profile says and a person may accept


@dataclass(frozen=True, slots=True)
class BrokerBook:
    """What the broker itself says of an account, asked just now."""

    orders: Sequence[OrderReport]
    positions: Sequence[BrokerPosition]


@dataclass(slots=True)
class BrokerAnswers:
    """What a broker answered when it was asked for one thing after the other; `errors` has the words where it did not."""

    balance: Balance | None = None
    orders: Sequence[OrderReport] | None = None
    positions: Sequence[BrokerPosition] | None = None
    profile: Profile | None = None
    errors: dict[str, str] = field(default_factory=dict)
    streams: bool = False  # market data come through this account's own sign-in


@dataclass(frozen=True, slots=True)
class PositionView:
    position: Position
    last_price: Decimal | None
    unrealised: Decimal | None
    plan: ExitPlan | None
    at_broker: Decimal | None = None
    """What the broker holds of the instrument, all strategies together, where that is less than our books say; None: no such difference is known."""


@dataclass(frozen=True, slots=True)
class PnlRow:
    """Session realised and charges, and the unrealised of what is open; net = realised + unrealised - charges."""

    realised: Decimal = ZERO
    unrealised: Decimal = ZERO
    charges: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return self.realised + self.unrealised - self.charges

    def __add__(self, other: PnlRow) -> PnlRow:
        return PnlRow(self.realised + other.realised, self.unrealised + other.unrealised, self.charges + other.charges)


@dataclass(frozen=True, slots=True)
class Pnl:
    total: PnlRow
    by_account: Mapping[str, PnlRow]
    by_strategy: Mapping[str | None, PnlRow]
    as_of: Timestamp


@dataclass(frozen=True, slots=True)
class AccountHalt:
    """How far one account has come on its way to flat. `state`: flat | working | stuck."""

    account_id: str
    cancelled: int
    flattened: int
    open_orders: int
    open_positions: int
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HaltReport:
    halt: Halt
    accounts: Sequence[AccountHalt]


@dataclass(frozen=True, slots=True)
class ThreadStatus:
    """`state`: running | stopped | restarting | dead | off."""

    state: str
    heartbeat_age_ms: int | None
    queue_depth: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SystemStatus:
    engines: Mapping[str, ThreadStatus]
    on: bool
    feed_source: str
    last_tick_age_ms: int | None
    accounts_total: int
    accounts_connected: int
    accounts_halted: int
    halts: Sequence[Halt]
    latency_ms: Mapping[str, float]  # "planned_p50", "sent_p99", "acknowledged_p50", ...
    journal: Mapping[str, float]
    counters: Mapping[str, int]  # illegal events, late ticks, dropped ticks, ...
    uptime_s: int
    extra: Mapping[str, Any] = field(default_factory=dict)
