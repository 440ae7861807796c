"""What the data service hands out: immutable rows, one type for each thing that a page or route shows.

They carry no behaviour and no secret; a credential leaves only through `Directory.credentials`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

from engines.core.facts import SignalTimed
from engines.core.model import (
    ZERO,
    Account,
    AccountMapping,
    CombinedRule,
    Fill,
    Group,
    Order,
    OrderEvent,
    Position,
    Signal,
    StrategyConfig,
    Timestamp,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A piece of a list, newest first; `next` is the cursor of the following piece, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


# --- people --------------------------------------------------------------------------------------------------------


class UserRole(StrEnum):
    OWNER = "owner"
    TRADER = "trader"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where: goes into the audit log with each write. `user_id` None: the machine or its command line."""

    user_id: str | None
    via: str = "system"  # "web" | "token" | "cli" | "system"
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    email: str
    name: str
    role: UserRole
    created_at: Timestamp
    active: bool = True
    session_epoch: int = 0  # a signed-in cookie of an older epoch is worth nothing
    last_sign_in_at: Timestamp | None = None

    @property
    def may_trade(self) -> bool:
        return self.active and self.role is not UserRole.VIEWER


@dataclass(frozen=True, slots=True)
class ApiToken:
    """`prefix` is the part that may be shown; the secret is told once, when it is made. Scope "read": GET only, whatever the role."""

    token_id: str
    user_id: str
    name: str
    prefix: str
    scope: str  # "full" | "read"
    created_at: Timestamp
    expires_at: Timestamp | None = None
    last_used_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that turns alerts into signals of its user, for a strategy's mappings or for fixed accounts."""

    webhook_id: str
    user_id: str
    name: str
    created_at: Timestamp
    strategy_id: str | None = None
    account_ids: tuple[str, ...] = ()
    last_used_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One write by one actor; rows are only ever added."""

    audit_id: int
    at: Timestamp
    user_id: str | None
    via: str
    ip: str | None
    action: str  # "account.created", "halt.lifted", ...
    object_kind: str
    object_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


# --- who trades what -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignIn:
    """A stored session at a broker, without what is secret of it."""

    account_id: str
    user_id: str  # as the broker names the person
    started_at: Timestamp
    expires_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class AccountRow:
    account: Account
    created_at: Timestamp
    updated_at: Timestamp
    credentials: Mapping[str, str]  # masked
    archived_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class StrategyRow:
    strategy: StrategyConfig
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class MappingRow:
    mapping: AccountMapping
    user_id: str
    created_at: Timestamp
    updated_at: Timestamp


@dataclass(frozen=True, slots=True)
class GroupRow:
    group: Group
    created_at: Timestamp


@dataclass(frozen=True, slots=True)
class CombinedRow:
    rule: CombinedRule
    created_at: Timestamp
    updated_at: Timestamp


# --- idempotent requests -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to a request that came with an Idempotency-Key."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


# --- books ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A signal with every order that came of it; `timing` None until it was measured."""

    signal: Signal
    orders: tuple[Order, ...]
    timing: SignalTimed | None


@dataclass(frozen=True, slots=True)
class OrderStory:
    """The whole way of one order: signal, checks (in the order), events with the broker's words, fills."""

    order: Order
    signal: SignalRow | None
    events: tuple[OrderEvent, ...]
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class TradeRow:
    fill: Fill
    user_id: str
    realised: Decimal  # what this fill realised, before charges


@dataclass(frozen=True, slots=True)
class PositionRow:
    """As last booked by the engines; the live view with marks comes from TradingSystem.positions."""

    position: Position
    user_id: str


@dataclass(frozen=True, slots=True)
class DayPnl:
    """What was booked on one session day; `account_id` or `strategy_id` None where the rows were added up over them."""

    day: str  # ISO date
    account_id: str | None
    strategy_id: str | None
    realised: Decimal = ZERO
    charges: Decimal = ZERO
    fills: int = 0
    turnover: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return self.realised - self.charges


@dataclass(frozen=True, slots=True)
class EquityPoint:
    account_id: str
    at: Timestamp
    equity: Decimal
    realised: Decimal
    unrealised: Decimal
    charges: Decimal


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """From flat to flat: net P&L after charges."""

    account_id: str
    strategy_id: str | None
    symbol: str
    closed_at: Timestamp
    net: Decimal


@dataclass(frozen=True, slots=True)
class StrategyStatus:
    """What a strategy last saved of itself; `quarantined` is the message of the exception that took it out."""

    strategy_id: str
    state: Mapping[str, Any]
    quarantined: str | None
    at: Timestamp
