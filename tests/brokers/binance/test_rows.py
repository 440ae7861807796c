"""Binance's answers and events, in the shapes that it documents, become exact rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.binance.rows import (
    AlgoRow,
    TradeRow,
    algo_row,
    canonical,
    fill_of,
    fills_in_answer,
    native,
    order_row,
    stream_algo,
    stream_order,
    trade_row,
)
from engines.core.model import OrderState, Side

D = Decimal

FULL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "0MC3ABCD1234567890",
    "transactTime": 1507725176595,
    "price": "0.00000000",
    "origQty": "10.00000000",
    "executedQty": "10.00000000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "10.00000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "SELL",
    "workingTime": 1507725176595,
    "selfTradePreventionMode": "NONE",
    "fills": [
        {"price": "4000.00000000", "qty": "1.00000000", "commission": "4.00000000", "commissionAsset": "USDT", "tradeId": 56},
        {"price": "3999.00000000", "qty": "9.00000000", "commission": "19.99500000", "commissionAsset": "USDT", "tradeId": 57},
    ],
}
FUTURE: dict[str, Any] = {
    "orderId": 22542179,
    "clientOrderId": "testOrder",
    "symbol": "BTCUSDT",
    "status": "PARTIALLY_FILLED",
    "side": "BUY",
    "positionSide": "BOTH",
    "type": "LIMIT",
    "origType": "LIMIT",
    "origQty": "0.010",
    "executedQty": "0.004",
    "cumQty": "0.004",
    "cumQuote": "240",
    "avgPrice": "60000.00",
    "price": "60000",
    "reduceOnly": False,
    "updateTime": 1566818724722,
}
CANCELLED = {
    "symbol": "LTCBTC",
    "origClientOrderId": "myOrder1",
    "orderId": 4,
    "orderListId": -1,
    "clientOrderId": "cancelMyOrder1",
    "transactTime": 1684804350068,
    "price": "2.00000000",
    "origQty": "1.00000000",
    "executedQty": "0.25000000",
    "cummulativeQuoteQty": "0.50000000",
    "status": "CANCELED",
    "side": "BUY",
}
EXECUTION: dict[str, Any] = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "ETHBTC",
    "c": "mUvoqJxFIILMdfAW5iGSOW",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "1.00000000",
    "p": "0.10264410",
    "P": "0.00000000",
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 4293153,
    "l": "0.40000000",
    "z": "0.40000000",
    "L": "0.10264000",
    "n": "0.00040000",
    "N": "ETH",
    "T": 1499405658657,
    "t": 77,
    "m": False,
}
ORDER_TRADE: dict[str, Any] = {
    "s": "BTCUSDT",
    "c": "TEST",
    "S": "SELL",
    "o": "MARKET",
    "f": "GTC",
    "q": "0.001",
    "p": "0",
    "ap": "60000.1",
    "sp": "0",
    "x": "TRADE",
    "X": "FILLED",
    "i": 8886774,
    "l": "0.001",
    "z": "0.001",
    "L": "60000.1",
    "N": "USDT",
    "n": "0.02400004",
    "T": 1568879465651,
    "t": 123,
    "R": True,
    "ps": "BOTH",
    "rp": "0",
}


def test_a_full_answer_carries_its_trades() -> None:
    row = order_row(FULL)
    assert (row.symbol, row.order_id, row.client_id, row.side) == ("BTCUSDT", "28", "0MC3ABCD1234567890", Side.SELL)
    assert (row.state, row.quantity, row.filled, row.at) == (OrderState.FILLED, D(10), D(10), 1507725176.595)
    assert [(t.trade_id, t.quantity, t.price, t.commission, t.commission_asset) for t in fills_in_answer(FULL, row)] == [
        ("56", D(1), D(4000), D(4), "USDT"),
        ("57", D(9), D(3999), D("19.995"), "USDT"),
    ]


def test_an_order_of_usdm_at_work() -> None:
    row = order_row(FUTURE)
    assert (row.state, row.filled, row.at, row.message) == (OrderState.OPEN, D("0.004"), 1566818724.722, "")


def test_the_answer_to_a_cancel_is_named_by_the_order_not_by_the_cancel() -> None:
    row = order_row(CANCELLED)
    assert (row.client_id, row.state, row.filled) == ("myOrder1", OrderState.CANCELLED, D("0.25"))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", OrderState.OPEN),
        ("PENDING_NEW", OrderState.OPEN),
        ("PARTIALLY_FILLED", OrderState.OPEN),
        ("PENDING_CANCEL", OrderState.OPEN),
        ("SOMETHING_NEW", OrderState.OPEN),
        ("FILLED", OrderState.FILLED),
        ("CANCELED", OrderState.CANCELLED),
        ("REJECTED", OrderState.REJECTED),
        ("EXPIRED", OrderState.EXPIRED),
        ("EXPIRED_IN_MATCH", OrderState.EXPIRED),
    ],
)
def test_only_an_end_that_binance_names_is_an_end(status: str, state: OrderState) -> None:
    assert order_row({**FUTURE, "status": status}).state is state


def test_an_execution_report_names_its_trade() -> None:
    row, trade = stream_order(EXECUTION)
    assert (row.client_id, row.order_id, row.filled, row.at) == ("mUvoqJxFIILMdfAW5iGSOW", "4293153", D("0.4"), 1499405658.657)
    assert trade is not None
    assert (trade.trade_id, trade.quantity, trade.price, trade.commission, trade.commission_asset) == (
        "77",
        D("0.4"),
        D("0.10264"),
        D("0.0004"),
        "ETH",
    )


def test_a_cancel_event_is_named_by_the_order() -> None:
    row, trade = stream_order(
        {**EXECUTION, "x": "CANCELED", "X": "CANCELED", "C": "myOrder1", "c": "cancel1", "l": "0", "t": -1, "N": None, "n": "0"}
    )
    assert (row.client_id, row.state, trade) == ("myOrder1", OrderState.CANCELLED, None)


def test_an_expiry_says_why() -> None:
    row, _ = stream_order({**EXECUTION, "x": "EXPIRED", "X": "EXPIRED", "eR": "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"})
    assert (row.state, row.message) == (OrderState.EXPIRED, "execution rule price range exceeded")


def test_an_order_trade_update() -> None:
    row, trade = stream_order(ORDER_TRADE)
    assert (row.state, row.filled) == (OrderState.FILLED, D("0.001"))
    assert trade is not None
    assert (trade.side, trade.trade_id, trade.commission) == (Side.SELL, "123", D("0.02400004"))


def test_conditional_orders_before_and_after_their_trigger() -> None:
    raw = {
        "algoId": 2148627,
        "clientAlgoId": "MINE",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BNBUSDT",
        "side": "SELL",
        "quantity": "0.01",
        "algoStatus": "NEW",
        "triggerPrice": "750.000",
        "createTime": 1750485492076,
        "updateTime": 1750485492076,
    }
    assert algo_row(raw) == AlgoRow("BNBUSDT", "2148627", "MINE", Side.SELL, OrderState.OPEN, D("0.01"), 1750485492.076)
    triggered = algo_row({**raw, "algoStatus": "FINISHED", "actualOrderId": "999"})
    assert (triggered.state, triggered.order_id, triggered.triggered) == (OrderState.OPEN, "999", True)
    rejected = stream_algo(
        {"caid": "MINE", "aid": 7, "s": "BNBUSDT", "S": "SELL", "q": "0.01", "X": "REJECTED", "ai": "0", "rm": "Margin is insufficient."},
        5000,
    )
    assert (rejected.state, rejected.order_id, rejected.message, rejected.at) == (OrderState.REJECTED, None, "margin is insufficient.", 5.0)


def test_trades_of_both_markets() -> None:
    spot = trade_row(
        {
            "symbol": "BNBBTC",
            "id": 28457,
            "orderId": 100234,
            "price": "4.00000100",
            "qty": "12.0",
            "commission": "10.1",
            "commissionAsset": "BNB",
            "time": 1499865549590,
            "isBuyer": True,
        }
    )
    assert (spot.trade_id, spot.side, spot.quantity, spot.at) == ("28457", Side.BUY, D(12), 1499865549.590)
    usdm = trade_row(
        {
            "symbol": "BTCUSDT",
            "id": 698759,
            "orderId": 25851813,
            "side": "SELL",
            "price": "7819.01",
            "qty": "0.002",
            "commission": "-0.07819010",
            "commissionAsset": "USDT",
            "time": 1569514978020,
            "buyer": False,
        }
    )
    assert (usdm.side, usdm.commission) == (Side.SELL, D("-0.0781901"))


def _paid(asset: str, commission: str = "0.001", side: Side = Side.BUY) -> TradeRow:
    return TradeRow("BTCUSDT", "1", side, "9", D(1), D(60000), 1.0, D(commission), asset)


def test_a_fee_in_the_coin_leaves_with_the_coin() -> None:
    fill = fill_of(_paid("BTC"), "BTC", "USDT", "spot", lambda a, q: None)
    assert (fill.charges, fill.fee_quantity) == (0, D("0.001"))


def test_a_fee_in_money_is_a_charge() -> None:
    fill = fill_of(_paid("USDT", "60"), "BTC", "USDT", "usdm", lambda a, q: None)
    assert (fill.charges, fill.fee_quantity) == (60, 0)


def test_a_fee_in_another_coin_is_converted_where_its_price_is_known() -> None:
    assert fill_of(_paid("BNB", "0.1"), "BTC", "USDT", "spot", lambda a, q: D(600) if (a, q) == ("BNB", "USDT") else None).charges == 60
    assert fill_of(_paid("BNB", "0.1"), "BTC", "USDT", "spot", lambda a, q: None).charges is None


def test_symbols_have_one_name_with_us() -> None:
    assert (native("BINANCE:BTCUSDT", "spot"), native("BINANCE:BTCUSDT.P", "usdm")) == ("BTCUSDT", "BTCUSDT")
    assert native("BINANCE:BTCUSDT.P", "spot") is native("BINANCE:BTCUSDT", "usdm") is native("NSE:INFY", "spot") is None
    assert (canonical("BTCUSDT", "spot"), canonical("BTCUSDT", "usdm")) == ("BINANCE:BTCUSDT", "BINANCE:BTCUSDT.P")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@pytest.mark.parametrize(
    ("parse", "sample"), [(order_row, FULL), (order_row, FUTURE), (stream_order, EXECUTION), (stream_order, ORDER_TRADE)], ids=range(4)
)
@given(data=st.data())
def test_a_row_that_is_none_is_an_error_of_one_kind(parse: Any, sample: dict[str, Any], data: st.DataObject) -> None:
    spoilt = dict(sample)
    key = data.draw(st.sampled_from(sorted(spoilt)))
    if data.draw(st.booleans()):
        del spoilt[key]
    else:
        spoilt[key] = data.draw(JSON)
    try:
        parse(spoilt)
    except ValueError:
        pass
