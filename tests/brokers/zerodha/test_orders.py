"""Our orders in Kite's words: every argument by name, protection where Zerodha asks for it, and what it cannot trade refused before it leaves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engines.brokers.zerodha.orders import modifying, placing
from engines.core.model import Instrument, OrderType, Product, Side
from engines.ports import OrderRequest, Refused

T = OrderType
PLAIN = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "quantity": 10,
    "product": "MIS",
    "validity": "DAY",
    "tag": "0MBX2K9Q3ABCDEFGHI",
}


def request(symbol: str = "NSE:INFY", **changes: Any) -> OrderRequest:
    instrument = Instrument(symbol, symbol, symbol.partition(":")[0], Decimal("0.05"), freeze_quantity=changes.pop("freeze", None))
    given: dict[str, Any] = {
        "client_id": PLAIN["tag"],
        "instrument": instrument,
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": T.MARKET,
        "product": Product.MIS,
    }
    return OrderRequest(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {"order_type": "MARKET", "market_protection": -1}),
        ({"side": Side.SELL, "price": Decimal(5)}, {"order_type": "MARKET", "market_protection": -1, "transaction_type": "SELL"}),
        ({"order_type": T.LIMIT, "price": Decimal("1.5E+3")}, {"order_type": "LIMIT", "price": "1500"}),
        ({"order_type": T.SL, "price": Decimal("1500.10"), "trigger_price": Decimal("1500.05")}, {"order_type": "SL", "price": "1500.10", "trigger_price": "1500.05"}),
        ({"order_type": T.SL_M, "trigger_price": Decimal("1500.05")}, {"order_type": "SL-M", "trigger_price": "1500.05", "market_protection": -1}),
        ({"product": Product.CNC}, {"order_type": "MARKET", "market_protection": -1, "product": "CNC"}),
        ({"symbol": "NFO:NIFTY2690124350PE", "product": Product.NRML, "freeze": 1800, "quantity": Decimal(1800)},
         {"order_type": "MARKET", "market_protection": -1, "exchange": "NFO", "tradingsymbol": "NIFTY2690124350PE", "product": "NRML", "quantity": 1800}),
        ({"symbol": "NSE:M&M"}, {"order_type": "MARKET", "market_protection": -1, "tradingsymbol": "M&M"}),
    ],
)  # fmt: skip
def test_an_order_in_kites_words(changes, more):
    assert placing(request(**changes)) == {**PLAIN, **more}


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "BINANCE:BTCUSDT"},
        {"symbol": "MOON:CHEESE"},
        {"symbol": "NSE:"},
        {"quantity": Decimal("0.5")},
        {"quantity": Decimal(0)},
        {"freeze": 1800, "quantity": Decimal(1801)},
        {"order_type": T.LIMIT},
        {"order_type": T.LIMIT, "price": Decimal(0)},
        {"order_type": T.SL, "price": Decimal(5)},
        {"order_type": T.SL_M},
    ],
)
def test_what_zerodha_cannot_trade_is_refused_before_it_leaves(changes):
    with pytest.raises(Refused):
        placing(request(**changes))


@pytest.mark.parametrize(
    ("kind", "quantity", "price", "trigger", "arguments"),
    [
        (T.LIMIT, None, "1501", None, {"order_type": "LIMIT", "price": "1501"}),
        (T.LIMIT, 5, None, None, {"order_type": "LIMIT", "quantity": 5}),
        (T.MARKET, None, "1501", None, {"order_type": "LIMIT", "price": "1501"}),
        (T.MARKET, 5, None, None, {"order_type": "MARKET", "quantity": 5, "market_protection": -1}),
        (T.SL, None, "1501", "1500", {"order_type": "SL", "price": "1501", "trigger_price": "1500"}),
        (T.SL_M, None, None, "1500", {"order_type": "SL-M", "trigger_price": "1500", "market_protection": -1}),
        (T.SL_M, None, "1501", None, {"order_type": "LIMIT", "price": "1501"}),
        (T.SL_M, None, "1501", "1500", {"order_type": "SL", "price": "1501", "trigger_price": "1500"}),
    ],
)
def test_a_change_in_kites_words(kind, quantity, price, trigger, arguments):
    numbers = [None if x is None else Decimal(x) for x in (quantity, price, trigger)]
    assert modifying(request(order_type=kind), *numbers) == {"validity": "DAY", **arguments}
