"""Orders and trades: lists, the whole story of one order, and what may be asked of one that is still live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Any

from app.api.orders.schemas import (
    CheckOut,
    OrderEventOut,
    OrderOut,
    OrderPatch,
    OrderQuery,
    OrderStoryOut,
    RequestOut,
    TradeOut,
    TradeQuery,
)
from app.api.signals.service import as_it_is, order_brief, signal_out
from app.api.terms import check_change
from app.api.wire import Page, moment, moment_or_none, show_decimal
from app.data import Actor, Conflict, NotFound, OrderStory, TradeRow, User
from app.problems import Problem
from app.workspace import workspace
from engines import system as engine
from engines.core.model import Fill, Order, OrderEvent

_ALL = OrderQuery()
_TRADES = TradeQuery()
_OURS = frozenset({"planned", "denied", "sending", "queued", "sent", "checked"})
"""Events that say what we did; all others are answers of the broker."""


def list_orders(user: User, query: OrderQuery = _ALL) -> Page[OrderOut]:
    books = workspace().data.books
    if query.order_id is not None:
        try:
            return Page(items=[_listed(user, query.order_id)])
        except NotFound:
            return Page(items=[])
    found = books.orders(
        user.user_id,
        account_id=query.account_id,
        symbol=query.symbol,
        side=query.side,
        state=query.state,
        role=query.role,
        strategy_id=query.strategy_id,
        signal_id=query.signal_id,
        order_type=query.order_type,
        product=query.product,
        reason=query.reason,
        live=query.live,
        since=query.from_,
        until=query.to,
        limit=query.limit,
        cursor=query.cursor,
    )
    named = books.signal_ids(order.signal_key for order in found.items)
    return Page(items=[order_out(as_it_is(order), named.get(order.signal_key)) for order in found.items], next=found.next)


def get_order(user: User, order_id: str) -> OrderStoryOut:
    story = workspace().data.books.order(user.user_id, order_id)
    return story_out(replace(story, order=as_it_is(story.order)))


def list_trades(user: User, query: TradeQuery = _TRADES) -> Page[TradeOut]:
    found = workspace().data.books.trades(
        user.user_id,
        account_id=query.account_id,
        symbol=query.symbol,
        side=query.side,
        strategy_id=query.strategy_id,
        order_id=query.order_id,
        since=query.from_,
        until=query.to,
        limit=query.limit,
        cursor=query.cursor,
    )
    return Page(items=[trade_out(row) for row in found.items], next=found.next)


def cancel(user: User, order_id: str, by: Actor) -> OrderOut:
    shop = workspace()
    _live(user, order_id)
    try:
        shop.system.cancel_order(order_id)
    except engine.NotFound:
        raise Conflict(_NOT_HELD) from None
    shop.data.audit.add(by, "order.cancel", "order", order_id)
    return _after(user, order_id)


def modify(user: User, order_id: str, body: OrderPatch, by: Actor) -> OrderOut:
    shop = workspace()
    order = _live(user, order_id)
    instrument = shop.system.instruments.get(order.symbol)
    if instrument is not None:
        last = shop.system.prices.mark(order.symbol)
        check_change(order, instrument, last, quantity=body.quantity, price=body.price, trigger_price=body.trigger_price)
    try:
        shop.system.modify_order(order_id, quantity=body.quantity, price=body.price, trigger_price=body.trigger_price)
    except engine.NotFound:
        raise Conflict(_NOT_HELD) from None
    except engine.Conflict:
        raise
    except ValueError as error:
        raise Problem(422, str(error), errors={"body": [str(error)]}) from error
    shop.data.audit.add(by, "order.modify", "order", order_id, after=body.model_dump(mode="json", exclude_none=True))
    return _after(user, order_id)


def _live(user: User, order_id: str) -> Order:
    """The caller's order as the engines know it, else as it is in the books: those that were denied or are of earlier sessions are only there.

    Raises NotFound when it is not there or another's, Conflict when it is final."""
    shop = workspace()
    stored = shop.data.books.order(user.user_id, order_id).order
    order = shop.system.order(order_id, stored.account_id) or stored
    if not order.live:
        raise Conflict(f"the order is already {order.state.value.replace('_', ' ')}")
    return order


_NOT_HELD = "the account of this order is not connected"


def _listed(user: User, order_id: str) -> OrderOut:
    story = workspace().data.books.order(user.user_id, order_id)
    return order_out(as_it_is(story.order), story.signal.signal.signal_id if story.signal else None)


def _after(user: User, order_id: str) -> OrderOut:
    """The order after something was asked of it: as the engines know it, also while the books cannot be written."""
    shop = workspace()
    shop.written()
    story = shop.data.books.order(user.user_id, order_id)
    order = shop.system.order(order_id, story.order.account_id) or story.order
    return order_out(order, story.signal.signal.signal_id if story.signal else None)


# --- shapes --------------------------------------------------------------------------------------------------------


def order_fields(order: Order, signal_id: str | None) -> dict[str, Any]:
    return {
        **dict(order_brief(order)),
        "signal_id": signal_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "role": order.role.value,
        "order_type": order.order_type.value,
        "price": order.price,
        "trigger_price": order.trigger_price,
        "product": order.product.value,
        "strategy_id": order.strategy_id,
        "created_at": moment(order.created_at),
        "updated_at": moment(order.updated_at),
    }


def order_out(order: Order, signal_id: str | None = None) -> OrderOut:
    return OrderOut(**order_fields(order, signal_id))


def story_out(story: OrderStory) -> OrderStoryOut:
    order = story.order
    events = [event_out(event) for event in story.events]
    return OrderStoryOut(
        **order_fields(order, story.signal.signal.signal_id if story.signal else None),
        signal=signal_out(story.signal) if story.signal else None,
        checks=[CheckOut(name=check.name, passed=check.passed, detail=check.detail) for check in order.checks],
        request=RequestOut(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side.value,
            quantity=order.quantity,
            order_type=order.order_type.value,
            product=order.product.value,
            price=order.price,
            trigger_price=order.trigger_price,
            sent_at=moment_or_none(order.sent_at),
            acknowledged_at=moment_or_none(order.acknowledged_at),
        ),
        answers=[event for event in events if event.kind not in _OURS],
        events=events,
        fills=[fill_out(fill) for fill in story.fills],
    )


def event_out(event: OrderEvent) -> OrderEventOut:
    return OrderEventOut(kind=event.kind, at=moment(event.at), detail={name: plain(value) for name, value in event.detail.items()})


def trade_out(row: TradeRow) -> TradeOut:
    return fill_out(row.fill, row.realised)


def fill_out(fill: Fill, realised: Decimal | None = None) -> TradeOut:
    return TradeOut(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        broker_order_id=fill.broker_order_id,
        account_id=fill.account_id,
        strategy_id=fill.strategy_id,
        symbol=fill.symbol,
        side=fill.side.value,
        product=fill.product.value,
        quantity=fill.quantity,
        price=fill.price,
        charges=fill.charges,
        realised=realised,
        traded_at=moment(fill.traded_at),
    )


def plain(value: Any) -> Any:
    """A value of the engines as JSON writes it: exact decimals as text, enums by value."""
    if isinstance(value, Decimal):
        return show_decimal(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
