"""Small makers of orders, fills and reports, so that a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from engines.core.model import Fill, Instrument, Order, OrderState, OrderType, PositionKey, Product, Role, Side
from engines.ports import OrderReport

T = TypeVar("T")

KEY = PositionKey("ACC1", "NSE:INFY", Product.MIS, "STRAT1")
INFY = Instrument("NSE:INFY", "Infosys", "NSE", Decimal("0.05"))


def D(text: str | int) -> Decimal:  # noqa: N802 - reads like the literal that Python lacks
    return Decimal(text)


def sure(value: T | None) -> T:
    """What a step gave, when the test says that it must have given something."""
    assert value is not None
    return value


def order(state: OrderState = OrderState.PLANNED, **fields: Any) -> Order:
    made = Order(
        order_id="O1",
        account_id="ACC1",
        user_id="U1",
        signal_key="S1",
        symbol="NSE:INFY",
        side=Side.BUY,
        quantity=D(100),
        order_type=OrderType.MARKET,
        product=Product.MIS,
        role=Role.ENTRY,
        created_at=1.0,
        updated_at=1.0,
        strategy_id="STRAT1",
        state=state,
    )
    return replace(made, **fields)


def fill(trade_id: str, quantity: str | int, price: str | int, side: Side = Side.BUY, at: float = 10.0, **fields: Any) -> Fill:
    made = Fill(
        trade_id=trade_id,
        order_id="O1",
        account_id="ACC1",
        symbol="NSE:INFY",
        side=side,
        product=Product.MIS,
        quantity=D(quantity),
        price=D(price),
        charges=D(0),
        traded_at=at,
        strategy_id="STRAT1",
    )
    return replace(made, **fields)


def report(state: OrderState, broker_order_id: str = "B1", client_id: str | None = "O1", **fields: Any) -> OrderReport:
    return replace(OrderReport(broker_order_id=broker_order_id, state=state, client_id=client_id, at=20.0), **fields)
