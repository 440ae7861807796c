"""Our orders as SmartAPI's parameters: names, words and prices; what a MARKET or stop-market order becomes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.angelone.orders import in_force, marketable_price, modify_params, place_params, rules, stop_limit_price
from engines.core.model import Instrument, OrderType, Product, Side
from engines.ports import Listing, OrderRequest, Refused

D = Decimal
DAY = "2026-11-20"
INFY = Instrument("NSE:INFY", "INFOSYS", "NSE", D("0.05"), freeze_quantity=10_000)
CALL = Instrument("NFO:NIFTY26N2424500CE", "NIFTY", "NFO", D("0.05"), lot_size=65, freeze_quantity=1800, segment="OPT")
FUTURE = Instrument("NFO:NIFTY26NOVFUT", "NIFTY", "NFO", D("0.10"), lot_size=65, segment="FUT", band_pct=D(10))
LISTED = Listing("NSE:INFY", "angelone", "1594", "NSE", "INFY-EQ")


def request(order_type: OrderType = OrderType.LIMIT, instrument: Instrument = INFY, **changes: object) -> OrderRequest:
    made = OrderRequest("0LZ8K3M1Q2ABCDEFGH", instrument, Side.BUY, D(10), order_type, Product.MIS, quote=D("1500.00"))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_limit_order_in_smartapi_words() -> None:
    assert place_params(request(price=D("1499.50")), LISTED, DAY) == {
        "variety": "NORMAL",
        "tradingsymbol": "INFY-EQ",
        "symboltoken": "1594",
        "exchange": "NSE",
        "transactiontype": "BUY",
        "ordertype": "LIMIT",
        "producttype": "INTRADAY",
        "duration": "DAY",
        "price": "1499.50",
        "triggerprice": "0",
        "quantity": "10",
        "disclosedquantity": "0",
        "squareoff": "0",
        "stoploss": "0",
        "ordertag": "0LZ8K3M1Q2ABCDEFGH",
    }


@pytest.mark.parametrize(
    ("product", "word"), [(Product.MIS, "INTRADAY"), (Product.NRML, "CARRYFORWARD"), (Product.CNC, "DELIVERY")], ids=["MIS", "NRML", "CNC"]
)
def test_products(product: Product, word: str) -> None:
    assert place_params(request(price=D(1), product=product), LISTED, DAY)["producttype"] == word


@pytest.mark.parametrize(
    ("instrument", "side", "quote", "price"),
    [
        (INFY, Side.BUY, "1500.00", "1507.50"),  # 0.5 %
        (INFY, Side.SELL, "1500.00", "1492.50"),
        (INFY, Side.BUY, "1500.05", "1507.60"),  # 1507.55025, up to the tick
        (INFY, Side.SELL, "1500.05", "1492.50"),  # 1492.54975, down to the tick
        (INFY, Side.BUY, "12.00", "12.25"),  # 5 ticks are more than 0.5 %
        (CALL, Side.BUY, "200.00", "210.00"),  # 5 %
        (CALL, Side.SELL, "200.00", "190.00"),
        (CALL, Side.BUY, "4.00", "4.50"),  # 10 ticks
        (CALL, Side.BUY, "1.00", "1.20"),  # 10 ticks leave the band of 20 %
        (CALL, Side.SELL, "1.00", "0.80"),
        (CALL, Side.SELL, "0.05", "0.05"),  # never below a tick
        (FUTURE, Side.BUY, "24500.00", "24622.50"),
    ],
)
def test_a_market_order_leaves_as_a_limit_that_trades(instrument: Instrument, side: Side, quote: str, price: str) -> None:
    sent = place_params(request(OrderType.MARKET, instrument, side=side, quote=D(quote)), LISTED, DAY)
    assert (sent["ordertype"], sent["variety"], sent["duration"], D(sent["price"])) == ("LIMIT", "NORMAL", "DAY", D(price))


@pytest.mark.parametrize("quote", [None, D(0), D(-1), D("NaN"), D("Infinity")], ids=str)
def test_without_a_price_there_is_no_market_order(quote: D | None) -> None:
    with pytest.raises(Refused, match="no price"):
        place_params(request(OrderType.MARKET, quote=quote), LISTED, DAY)


@given(
    quote=st.decimals("0.05", "200000", places=2),
    tick=st.sampled_from([D("0.01"), D("0.05"), D("0.10"), D("0.50"), D(1), D(5)]),
    side=st.sampled_from(Side),
    segment=st.sampled_from(["EQ", "FUT", "OPT"]),
    band=st.sampled_from([D(2), D(5), D(20)]),
)
def test_a_protected_price_lies_on_the_tick_and_in_the_band(quote: D, tick: D, side: Side, segment: str, band: D) -> None:
    instrument = Instrument("NSE:X", "X", "NSE", tick, segment=segment, band_pct=band)
    for price in (marketable_price(instrument, side, quote, DAY), stop_limit_price(instrument, side, quote, DAY)):
        assert price % tick == 0
        if side is Side.BUY:
            assert price <= quote * (1 + band / 100)
        else:
            assert price >= quote * (1 - band / 100) or price == tick
            assert price > 0


def test_a_stop_limit_order() -> None:
    sent = place_params(request(OrderType.SL, side=Side.SELL, price=D("1480.00"), trigger_price=D("1485.00")), LISTED, DAY)
    assert (sent["variety"], sent["ordertype"], sent["price"], sent["triggerprice"]) == ("STOPLOSS", "STOPLOSS_LIMIT", "1480.00", "1485.00")


@pytest.mark.parametrize(("side", "limit"), [(Side.SELL, "1477.55"), (Side.BUY, "1492.45")])
def test_a_stop_market_order_leaves_as_a_stop_limit_with_room(side: Side, limit: str) -> None:
    sent = place_params(request(OrderType.SL_M, side=side, trigger_price=D("1485.00"), quote=None), LISTED, DAY)
    assert (sent["variety"], sent["ordertype"], sent["price"], sent["triggerprice"]) == ("STOPLOSS", "STOPLOSS_LIMIT", limit, "1485.00")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (request(price=None), "a price"),
        (request(price=D(0)), "a price"),
        (request(OrderType.SL, price=D(1)), "a trigger price"),
        (request(OrderType.SL_M), "a trigger price"),
        (request(price=D(1), quantity=D("1.5")), "whole units"),
        (request(price=D(1), quantity=D(0)), "whole units"),
        (request(price=D(1), quantity=D("NaN")), "whole units"),
        (request(price=D(1), quantity=D(10_001)), "freeze"),
        (request(price=D(1), client_id="X" * 20), "too long"),
    ],
    ids=["no price", "price 0", "no trigger", "stop-market without trigger", "half a share", "none", "NaN", "freeze", "tag"],
)
def test_what_is_refused_before_it_is_sent(wrong: OrderRequest, words: str) -> None:
    with pytest.raises(Refused, match=words):
        place_params(wrong, LISTED, DAY)


def test_a_change_names_the_whole_order_as_it_shall_be() -> None:
    sent = modify_params(request(price=D("1490"), quantity=D("1E+1")), LISTED, "261120000000001", DAY, None)
    assert sent == {
        "variety": "NORMAL",
        "orderid": "261120000000001",
        "ordertype": "LIMIT",
        "producttype": "INTRADAY",
        "duration": "DAY",
        "price": "1490",
        "triggerprice": "0",
        "quantity": "10",
        "tradingsymbol": "INFY-EQ",
        "symboltoken": "1594",
        "exchange": "NSE",
    }


@pytest.mark.parametrize(
    ("asked", "standing", "price"),
    [(D("1511"), D("1507.5"), "1511"), (None, D("1507.5"), "1507.5"), (None, None, "1507.50")],
    ids=["asked", "standing", "neither"],
)
def test_a_market_order_that_rests_keeps_its_limit_unless_a_price_is_asked_for(asked: D | None, standing: D | None, price: str) -> None:
    sent = modify_params(request(OrderType.MARKET, price=asked), LISTED, "1", DAY, standing)
    assert (sent["ordertype"], sent["price"]) == ("LIMIT", price)


def test_a_stop_that_moves_takes_its_limit_along() -> None:
    sent = modify_params(request(OrderType.SL_M, side=Side.SELL, trigger_price=D("1490.00")), LISTED, "1", DAY, D("1477.55"))
    assert (sent["ordertype"], sent["triggerprice"], sent["price"]) == ("STOPLOSS_LIMIT", "1490.00", "1482.55")


def test_rules_are_dated() -> None:
    assert in_force([{"from": "2026-04-01", "n": 1}, {"from": "2027-01-01", "n": 2}], "2026-12-31")["n"] == 1
    assert in_force([{"from": "2026-04-01", "n": 1}, {"from": "2027-01-01", "n": 2}], "2027-01-01")["n"] == 2
    assert in_force([{"from": "2026-04-01", "n": 1}], "2020-01-01")["n"] == 1
    assert all(row["source"] for rows in (rules()["protection"], rules()["rates"]) for row in rows)
