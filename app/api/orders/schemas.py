"""Orders and trades on the wire: the list, the whole story of one, and what may be asked of a live one."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from app.api.signals.schemas import SignalOrderOut, SignalOut
from app.api.wire import Amount, BadValue, Body, Moment, Out, PageQuery, Positive, When
from engines.core.model import OrderState, OrderType, Product, Role, Side


class OrderOut(SignalOrderOut):
    signal_id: str | None
    symbol: str
    side: str
    role: str
    order_type: str
    price: Amount | None
    trigger_price: Amount | None
    product: str
    strategy_id: str | None
    created_at: Moment
    updated_at: Moment


class CheckOut(Out):
    name: str
    passed: bool
    detail: str


class RequestOut(Out):
    """What was (or would have been) asked of the broker."""

    client_id: str
    symbol: str
    side: str
    quantity: Amount
    order_type: str
    product: str
    price: Amount | None
    trigger_price: Amount | None
    sent_at: Moment | None
    acknowledged_at: Moment | None


class OrderEventOut(Out):
    kind: str
    at: Moment
    detail: dict[str, Any]


class TradeOut(Out):
    trade_id: str
    order_id: str
    broker_order_id: str | None
    account_id: str
    strategy_id: str | None
    symbol: str
    side: str
    product: str
    quantity: Amount
    price: Amount
    charges: Amount | None
    realised: Amount | None
    traded_at: Moment


class OrderStoryOut(OrderOut):
    """signal → checks → request → answers → fills; `events` has every change of state, `answers` those that came from the broker."""

    signal: SignalOut | None
    checks: list[CheckOut]
    request: RequestOut
    answers: list[OrderEventOut]
    events: list[OrderEventOut]
    fills: list[TradeOut]


class OrderPatch(Body):
    quantity: Positive | None = None
    price: Positive | None = None
    trigger_price: Positive | None = None

    @model_validator(mode="after")
    def something(self) -> OrderPatch:
        if self.quantity is None and self.price is None and self.trigger_price is None:
            raise BadValue("give quantity, price or trigger_price")
        return self


class OrderQuery(PageQuery):
    order_id: str | None = None
    signal_id: str | None = None
    account_id: str | None = None
    strategy_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    state: OrderState | None = None
    role: Role | None = None
    order_type: OrderType | None = None
    product: Product | None = None
    reason: str | None = None
    live: bool | None = None
    """Only orders that are not final."""
    from_: When | None = Field(default=None, validation_alias="from")
    to: When | None = None


class TradeQuery(PageQuery):
    account_id: str | None = None
    strategy_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_id: str | None = None
    from_: When | None = Field(default=None, validation_alias="from")
    to: When | None = None
