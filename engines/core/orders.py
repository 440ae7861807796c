"""The life of an order: one table of (state, event) → state, and the functions that apply it.

Nothing else changes the state of an order. An event that is not in the table changes nothing; the caller counts it. Nothing here asks a broker,
a clock or a database, and nothing here remembers trades: whoever calls `apply_fill` has seen to it that the trade is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from engines.core.model import ZERO, Fill, Order, OrderState, Side, Timestamp


class EventKind(StrEnum):
    """What can happen to an order."""

    DENIED = "denied"  # we refused it, and nothing of it has left
    SENT = "sent"  # its first byte is about to be written
    ACCEPTED = "accepted"  # the broker knows it (also: the broker has taken a change of it)
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    REJECTED = "rejected"  # the broker refused it
    LOST = "lost"  # no answer that proves anything: timeout, reset, 5xx, crash
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NOT_PLACED = "not_placed"  # two complete order books without it


_S = OrderState
_E = EventKind

TRANSITIONS: Mapping[tuple[OrderState, EventKind], OrderState] = MappingProxyType(
    {
        (_S.PLANNED, _E.DENIED): _S.DENIED,
        (_S.PLANNED, _E.SENT): _S.SENDING,
        # A person takes back an order that still waits in its lane.
        (_S.PLANNED, _E.CANCELLED): _S.CANCELLED,
        # After a crash the journal may be a step behind the wire: a planned order may have left.
        (_S.PLANNED, _E.LOST): _S.UNKNOWN,
        # The gate closed, or the broker could not be reached, before the first byte.
        (_S.SENDING, _E.DENIED): _S.DENIED,
        (_S.SENDING, _E.ACCEPTED): _S.OPEN,
        (_S.SENDING, _E.PARTLY_FILLED): _S.PARTLY_FILLED,
        (_S.SENDING, _E.FILLED): _S.FILLED,
        (_S.SENDING, _E.REJECTED): _S.REJECTED,
        (_S.SENDING, _E.CANCELLED): _S.CANCELLED,
        (_S.SENDING, _E.EXPIRED): _S.EXPIRED,
        (_S.SENDING, _E.LOST): _S.UNKNOWN,
        # Unknown is left only by evidence, to whatever the evidence shows; it is never sent again.
        (_S.UNKNOWN, _E.ACCEPTED): _S.OPEN,
        (_S.UNKNOWN, _E.PARTLY_FILLED): _S.PARTLY_FILLED,
        (_S.UNKNOWN, _E.FILLED): _S.FILLED,
        (_S.UNKNOWN, _E.REJECTED): _S.REJECTED,
        (_S.UNKNOWN, _E.CANCELLED): _S.CANCELLED,
        (_S.UNKNOWN, _E.EXPIRED): _S.EXPIRED,
        (_S.UNKNOWN, _E.NOT_PLACED): _S.NOT_PLACED,
        (_S.OPEN, _E.ACCEPTED): _S.OPEN,
        (_S.OPEN, _E.PARTLY_FILLED): _S.PARTLY_FILLED,
        (_S.OPEN, _E.FILLED): _S.FILLED,
        (_S.OPEN, _E.CANCELLED): _S.CANCELLED,
        (_S.OPEN, _E.EXPIRED): _S.EXPIRED,
        # Brokers give an id first and let their risk check or the exchange refuse afterwards.
        (_S.OPEN, _E.REJECTED): _S.REJECTED,
        (_S.PARTLY_FILLED, _E.ACCEPTED): _S.PARTLY_FILLED,
        (_S.PARTLY_FILLED, _E.PARTLY_FILLED): _S.PARTLY_FILLED,
        (_S.PARTLY_FILLED, _E.FILLED): _S.FILLED,
        (_S.PARTLY_FILLED, _E.CANCELLED): _S.CANCELLED,
        (_S.PARTLY_FILLED, _E.EXPIRED): _S.EXPIRED,
        # What has traded cannot be refused any more; only the rest is gone.
        (_S.PARTLY_FILLED, _E.REJECTED): _S.CANCELLED,
        # News may overtake each other: an acknowledgement that comes last still names the broker's id, and
        # a fill that raced a cancel is money: it counts, whatever we believed before.
        (_S.FILLED, _E.ACCEPTED): _S.FILLED,
        (_S.FILLED, _E.FILLED): _S.FILLED,  # more than was ordered: recorded, never hidden
        (_S.CANCELLED, _E.ACCEPTED): _S.CANCELLED,
        (_S.CANCELLED, _E.PARTLY_FILLED): _S.CANCELLED,
        (_S.CANCELLED, _E.FILLED): _S.FILLED,
        (_S.EXPIRED, _E.ACCEPTED): _S.EXPIRED,
        (_S.EXPIRED, _E.PARTLY_FILLED): _S.EXPIRED,
        (_S.EXPIRED, _E.FILLED): _S.FILLED,
        # Rejected and not_placed may be our own misjudgement of a bad answer; an order that lives at the broker all the same is
        # taken back, because only then can it be watched and cancelled.
        (_S.REJECTED, _E.ACCEPTED): _S.OPEN,
        (_S.REJECTED, _E.PARTLY_FILLED): _S.PARTLY_FILLED,
        (_S.REJECTED, _E.FILLED): _S.FILLED,
        (_S.NOT_PLACED, _E.ACCEPTED): _S.OPEN,
        (_S.NOT_PLACED, _E.PARTLY_FILLED): _S.PARTLY_FILLED,
        (_S.NOT_PLACED, _E.FILLED): _S.FILLED,
        (_S.NOT_PLACED, _E.REJECTED): _S.REJECTED,
        (_S.NOT_PLACED, _E.CANCELLED): _S.CANCELLED,
        (_S.NOT_PLACED, _E.EXPIRED): _S.EXPIRED,
    }
)

BROKER_WORDS = frozenset({_E.ACCEPTED, _E.PARTLY_FILLED, _E.FILLED, _E.REJECTED, _E.CANCELLED, _E.EXPIRED})
"""Events that prove that the broker has the order or had it; the first of them is its acknowledgement."""


class Report(Protocol):
    """What the core reads of a broker's report on one order; `engines.ports.OrderReport` is one."""

    @property
    def broker_order_id(self) -> str: ...

    @property
    def client_id(self) -> str | None: ...

    @property
    def state(self) -> OrderState: ...

    @property
    def symbol(self) -> str | None: ...

    @property
    def side(self) -> Side | None: ...

    @property
    def quantity(self) -> Decimal | None: ...

    @property
    def filled_quantity(self) -> Decimal: ...

    @property
    def at(self) -> Timestamp: ...


def apply(order: Order, kind: EventKind, at: Timestamp, **changes: Any) -> Order | None:
    """The order after the event, or None when the table has no such step and nothing changes.

    `changes` are other fields of the order that the event brings along (reason, broker_order_id, price after a modification, ...).
    `sent_at` and `acknowledged_at` are set from `at` by the events that mean them, unless given.
    """
    after = TRANSITIONS.get((order.state, kind))
    if after is None:
        return None
    moment = max(order.updated_at, at)  # a broker's clock may lag behind ours
    if kind is EventKind.SENT:
        changes.setdefault("sent_at", moment)
    elif kind in BROKER_WORDS and order.acknowledged_at is None and order.state is not OrderState.PLANNED:
        changes.setdefault("acknowledged_at", moment)
    return replace(order, state=after, updated_at=moment, **changes)


def apply_fill(order: Order, fill: Fill, at: Timestamp | None = None) -> tuple[Order, EventKind] | None:
    """The order after a new fill and the event that it was; None when an order in this state cannot have traded.

    `at` is when we learned of it (default: when it traded). Filled quantity and average price are cumulative. More than was ordered is kept as it
    came: `overfilled` then says so.
    """
    if fill.order_id != order.order_id:
        raise ValueError(f"fill {fill.trade_id} belongs to order {fill.order_id}, not to {order.order_id}")
    if not fill.quantity > 0:
        raise ValueError(f"fill {fill.trade_id} has the quantity {fill.quantity}")
    filled = order.filled_quantity + fill.quantity
    paid = order.filled_quantity * (order.average_price or ZERO) + fill.quantity * fill.price
    kind = EventKind.FILLED if filled >= order.quantity else EventKind.PARTLY_FILLED
    brought: dict[str, Any] = {"filled_quantity": filled, "average_price": paid / filled}
    if order.broker_order_id is None and fill.broker_order_id is not None:
        brought["broker_order_id"] = fill.broker_order_id
    after = apply(order, kind, fill.traded_at if at is None else at, **brought)
    return None if after is None else (after, kind)


def overfilled(order: Order) -> bool:
    """More has traded than was ordered: an alarm, never a thing to correct silently."""
    return order.filled_quantity > order.quantity


_SAYS: Mapping[OrderState, EventKind] = {
    OrderState.OPEN: EventKind.ACCEPTED,
    OrderState.PARTLY_FILLED: EventKind.ACCEPTED,
    OrderState.FILLED: EventKind.ACCEPTED,
    OrderState.CANCELLED: EventKind.CANCELLED,
    OrderState.REJECTED: EventKind.REJECTED,
    OrderState.EXPIRED: EventKind.EXPIRED,
}


def from_report(order: Order, report: Report) -> EventKind | None:
    """The event, other than fills, that a report means for this order; None when it is no news.

    Apply the report's new fills first, then this event: a refused rest must not hide what has traded.
    """
    kind = _SAYS.get(report.state)
    if kind is None:
        raise ValueError(f"a broker cannot report the state {report.state}")
    if report.state is OrderState.FILLED and order.filled_quantity >= order.quantity:
        kind = EventKind.FILLED  # a person lowered the quantity to what had traded: no further fill will say so
    # A broker's own refusal carries its id and stands; a late "open" is then an old message. A refusal that we read from an
    # answer without an id may have been misread.
    if kind is EventKind.ACCEPTED and order.state is OrderState.REJECTED and order.broker_order_id is not None:
        return None
    after = TRANSITIONS.get((order.state, kind))
    if after is None:
        return None
    return kind if after is not order.state or order.broker_order_id is None else None
