"""Signals on the wire: the wish a person or program sends, and what became of it on every account."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.api.exits import ExitFields
from app.api.wire import Amount, Id, Moment, Out, PageQuery, Positive, SignalId, Symbol, When
from app.problems import wrong
from engines.core.model import OrderType, Product, Side, Source

AccountIds = Annotated[list[Id], Field(min_length=1, max_length=1000)]
WaitMs = Annotated[int, Field(strict=True, ge=0, le=30_000)]


class Wish(ExitFields):
    """What every signal says, however it comes in: the wish, and the recipe of the exit plan of what it opens."""

    signal_id: SignalId | None = None
    strategy_id: Id | None = None
    account_ids: AccountIds | None = None
    symbol: Symbol
    side: Side
    order_type: OrderType = OrderType.MARKET
    price: Positive | None = None
    trigger_price: Positive | None = None
    product: Product = Product.MIS
    quantity: Positive | None = None

    @model_validator(mode="after")
    def prices_fit_the_type(self) -> Wish:
        limit = self.order_type in (OrderType.LIMIT, OrderType.SL)
        stop = self.order_type in (OrderType.SL, OrderType.SL_M)
        for name, value, needed in (("price", self.price, limit), ("trigger_price", self.trigger_price, stop)):
            if needed and value is None:
                raise wrong(name, f"is required for a {self.order_type.value} order")
            if not needed and value is not None:
                raise wrong(name, f"is not used by a {self.order_type.value} order")
        return self


class SignalIn(Wish):
    """With `strategy_id` it goes to that strategy's mappings, else to `account_ids`."""

    order_type: OrderType
    wait_ms: WaitMs = 0

    @model_validator(mode="after")
    def one_audience(self) -> SignalIn:
        if (self.strategy_id is None) == (self.account_ids is None):
            raise wrong("account_ids", "give either strategy_id or account_ids")
        return self


class SignalQuery(PageQuery):
    signal_id: str | None = None
    source: Source | None = None
    symbol: str | None = None
    side: Side | None = None
    strategy_id: str | None = None
    account_id: str | None = None
    from_: When | None = Field(default=None, validation_alias="from")
    to: When | None = None


class TimingOut(Out):
    """Milliseconds since the signal was received; null while not reached."""

    planned_ms: float | None = None
    journaled_ms: float | None = None
    first_sent_ms: float | None = None
    last_sent_ms: float | None = None
    last_acknowledged_ms: float | None = None


class SignalOrderOut(Out):
    """What became of a signal on one account."""

    order_id: str
    client_id: str
    account_id: str
    state: str
    reason: str | None
    quantity: Amount
    broker_order_id: str | None
    filled_quantity: Amount
    average_price: Amount | None
    note: str | None = None
    """What a person must know of it: why it was denied, in full, or that a plan which is there already goes on guarding the position."""


class SignalAnswer(Out):
    signal_id: str
    received_at: Moment
    duplicate: bool
    orders: list[SignalOrderOut]
    timing: TimingOut


class SignalOut(Out):
    signal_id: str
    source: str
    symbol: str
    side: str
    order_type: str
    product: str
    quantity: Amount | None
    price: Amount | None
    trigger_price: Amount | None
    strategy_id: str | None
    note: str
    created_at: Moment
    orders: list[SignalOrderOut]
    timing: TimingOut


class PreviewOrderOut(Out):
    account_id: str
    quantity: Amount
    reason: str | None
    value: Amount | None
    detail: str
    note: str | None


class PreviewOut(Out):
    orders: list[PreviewOrderOut]


class SignalAnswers(Out):
    """The answers of several signals at once (close all, square off)."""

    signals: list[SignalAnswer]
    orders: list[SignalOrderOut]


State = Literal[
    "planned", "denied", "sending", "unknown", "open", "partly_filled", "filled", "cancelled", "rejected", "expired", "not_placed"
]
