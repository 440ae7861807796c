"""What an emulated exchange keeps: accounts, orders with every state they went through, trades, positions and the market's prices.

Plain records; the exchange changes them and emulators turn them into the broker's shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from engines.core.matching import MatchingEngine
from engines.core.model import ZERO, Instrument, OrderType, Product, Side, Tick, Timestamp
from tests.emulators.core.listing import Listed

LEVERAGE = Decimal(5)


class Status(StrEnum):
    """The states of an order, in the order in which brokers tell them; each emulator has its own words for them."""

    RECEIVED = "received"
    VALIDATING = "validating"
    SENDING = "sending"
    OPEN = "open"
    TRIGGER_PENDING = "trigger_pending"
    MODIFY_VALIDATING = "modify_validating"
    MODIFY_SENDING = "modify_sending"
    MODIFIED = "modified"
    CANCEL_SENDING = "cancel_sending"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


FINAL = frozenset({Status.COMPLETE, Status.CANCELLED, Status.REJECTED, Status.EXPIRED})


class NotBooked(Exception):
    """The exchange refuses; the text is the matching core's."""


@dataclass(slots=True)
class Quote:
    """One instrument's market: the newest prices and what the day has seen."""

    listed: Listed
    last: Decimal
    bid: Decimal
    ask: Decimal
    at: Timestamp
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal  # of the day before
    volume: int = 0
    tick: Tick | None = None

    @property
    def instrument(self) -> Instrument:
        return self.listed.instrument


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill as the exchange knows it. `fee_quantity` is kept in the instrument itself, `fee` in money."""

    trade_id: str
    broker_order_id: str
    client_id: str | None
    symbol: str
    side: Side
    product: Product
    quantity: Decimal
    price: Decimal
    at: Timestamp
    fee_quantity: Decimal = ZERO
    fee: Decimal = ZERO
    maker: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """An order as it stood when it came into a state."""

    status: Status
    at: Timestamp
    filled: Decimal
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    message: str = ""


@dataclass(eq=False, slots=True)
class EmulatedOrder:
    """An order that was booked. `fields` is what the request said, `extra` whatever the emulator must remember of it."""

    broker_order_id: str
    account: str
    client_id: str | None
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None
    trigger_price: Decimal | None
    booked_at: Timestamp
    reduce_only: bool = False
    validity: str = "DAY"
    status: Status = Status.RECEIVED
    message: str = ""
    updated_at: Timestamp = 0.0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    cancelled: Decimal = ZERO
    modifications: int = 0
    by_hand: bool = False
    partial: bool = False
    triggered: bool = False
    at_exchange: bool = False
    rested: bool = False  # has come to rest in the book: what trades from now on was there first
    number: int = 0  # of all orders of this exchange, from 1
    history: list[Row] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def average_price(self) -> Decimal | None:
        return self.value / self.filled if self.filled else None

    @property
    def done(self) -> bool:
        return self.status in FINAL

    @property
    def pending(self) -> Decimal:
        return ZERO if self.done else self.quantity - self.filled


@dataclass(slots=True)
class PositionBook:
    """What an account did in one instrument and product today, and what is left of it."""

    instrument: Instrument
    product: Product
    quantity: Decimal = ZERO
    open_cost: Decimal = ZERO  # signed
    buy_quantity: Decimal = ZERO
    buy_value: Decimal = ZERO
    sell_quantity: Decimal = ZERO
    sell_value: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        return self.open_cost / self.quantity if self.quantity else ZERO

    def add(self, side: Side, quantity: Decimal, price: Decimal, fee_quantity: Decimal = ZERO) -> None:
        if side is Side.BUY:
            self.buy_quantity += quantity
            self.buy_value += quantity * price
        else:
            self.sell_quantity += quantity
            self.sell_value += quantity * price
        moved = side.sign * quantity
        if self.quantity * moved < 0:
            closing = min(abs(self.quantity), quantity) * (1 if self.quantity > 0 else -1)
            cost = self.open_cost * closing / self.quantity
            self.realised += closing * price - cost
            self.open_cost -= cost
            self.quantity -= closing
            moved += closing
        self.quantity += moved - fee_quantity
        self.open_cost += moved * price


@dataclass(slots=True)
class Held:
    """Delivered before today."""

    instrument: Instrument
    quantity: Decimal
    average_price: Decimal
    used: Decimal = ZERO


@dataclass(eq=False, slots=True)
class EmulatedAccount:
    """A customer of the emulated broker. `credentials` are what our account form takes; `secrets` every secret string it ever had."""

    name: str
    credentials: dict[str, str] = field(repr=False)
    cash: Decimal
    engines: dict[bool, MatchingEngine]
    market: str = ""
    secrets: list[str] = field(default_factory=list, repr=False)
    allowed: tuple[str, ...] | None = None  # source addresses for writes; None: any
    revoked: bool = False
    orders: dict[str, EmulatedOrder] = field(default_factory=dict)
    working: dict[str, EmulatedOrder] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    positions: dict[tuple[str, Product], PositionBook] = field(default_factory=dict)
    holdings: dict[str, Held] = field(default_factory=dict)
    leverage: Decimal = LEVERAGE
    fees: Decimal = ZERO
    extra: dict[str, Any] = field(default_factory=dict)  # the emulator's own: sessions, tokens, modes

    def canaries(self) -> tuple[str, ...]:
        """Strings that may appear in no text of ours."""
        return tuple(dict.fromkeys(x for x in self.secrets if x))
