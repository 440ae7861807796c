"""Binance's filters: what fits, what is refused and with which words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.binance.filters import fit, rules_of, text
from engines.core.model import OrderType, Side
from engines.ports import Refused

D = Decimal

SPOT: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "isSpotTradingAllowed": True,
    "orderTypes": ["LIMIT", "MARKET"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "116.00000000", "stepSize": "0.00000000"},
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
        },
    ],
}
USDM: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "contractType": "PERPETUAL",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "261.10", "maxPrice": "809484", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.002", "maxQty": "120", "stepSize": "0.002"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ],
}
BUY, SELL, MARKET, LIMIT, SL, SL_M = Side.BUY, Side.SELL, OrderType.MARKET, OrderType.LIMIT, OrderType.SL, OrderType.SL_M

TAKEN = [
    (SPOT, BUY, LIMIT, "0.00012", "65000.12", None),
    (SPOT, SELL, LIMIT, "9000", "0.01", None),
    (SPOT, BUY, MARKET, "116", None, None),
    (SPOT, SELL, SL, "0.5", "64990.01", "65000.02"),
    (SPOT, SELL, SL_M, "0.5", None, "65000.02"),
    (USDM, BUY, LIMIT, "0.003", "65000.1", None),
    (USDM, BUY, MARKET, "0.004", None, None),
    (USDM, BUY, SL_M, "0.004", None, "65000.1"),
]


@pytest.mark.parametrize(("listed", "side", "kind", "quantity", "price", "trigger"), TAKEN, ids=range(len(TAKEN)))
def test_what_lies_on_the_grid_goes_as_it_is(
    listed: Any, side: Side, kind: OrderType, quantity: str, price: str | None, trigger: str | None
) -> None:
    fitted = fit(rules_of(listed), side, kind, D(quantity), _maybe(price), _maybe(trigger), quote=D(65000))
    assert (fitted.quantity, fitted.price, fitted.trigger_price) == (D(quantity), _maybe(price), _maybe(trigger))


REFUSED = [
    (SPOT, BUY, LIMIT, "0.000015", "65000", None, "in steps of 0.00001: 0.000015 is none (nearest below: 0.00001)"),
    (SPOT, BUY, LIMIT, "0", "65000", None, "0 is none"),
    (SPOT, BUY, LIMIT, "-1", "65000", None, "is none"),
    (SPOT, BUY, LIMIT, "9000.00001", "65000", None, "no more than 9000 BTC"),
    (SPOT, BUY, MARKET, "116.00001", None, None, "no more than 116 BTC"),
    (SPOT, BUY, LIMIT, "0.01", "65000.129", None, "it could be 65000.12)"),
    (SPOT, SELL, LIMIT, "0.01", "65000.121", None, "it could be 65000.13)"),
    (SPOT, SELL, SL_M, "0.01", None, "65000.124", "it could be 65000.12)"),
    (SPOT, BUY, LIMIT, "0.01", "1000000.01", None, "no price of 1000000.01"),
    (SPOT, BUY, LIMIT, "0.00007", "65000", None, "worth 4.55 USDT, the least is 5"),
    (SPOT, BUY, MARKET, "0.00007", None, None, "worth 4.55 USDT"),
    (SPOT, SELL, LIMIT, "9000", "1000.01", None, "worth 9000090.00 USDT, the most is 9000000"),
    (SPOT, BUY, LIMIT, "1", None, None, "needs a price"),
    (SPOT, BUY, SL_M, "1", None, None, "needs a trigger price"),
    (USDM, BUY, MARKET, "0.003", None, None, "in steps of 0.002"),
    (USDM, BUY, LIMIT, "0.001", "65000", None, "worth 65.00 USDT, the least is 100"),
    (USDM, BUY, LIMIT, "1", "261", None, "no price of 261"),
]


@pytest.mark.parametrize(("listed", "side", "kind", "quantity", "price", "trigger", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused_with_the_reason(
    listed: Any, side: Side, kind: OrderType, quantity: str, price: str | None, trigger: str | None, words: str
) -> None:
    with pytest.raises(Refused) as caught:
        fit(rules_of(listed), side, kind, D(quantity), _maybe(price), _maybe(trigger), quote=D(65000))
    assert words in str(caught.value)


def test_an_exit_of_usdm_may_be_of_any_worth() -> None:
    assert fit(rules_of(USDM), SELL, LIMIT, D("0.001"), D(65000), None, reduce_only=True).quantity == D("0.001")


def test_a_market_order_of_unknown_worth_is_left_to_binance() -> None:
    assert fit(rules_of(SPOT), BUY, MARKET, D("0.00001"), None, None).quantity == D("0.00001")


def test_the_older_spot_filter_is_read_too() -> None:
    row = {**SPOT, "filters": [{"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": False, "avgPriceMins": 5}]}
    rules = rules_of(row)
    assert (rules.least_notional, rules.least_for_market) == (10, False)


def test_a_halted_symbol_takes_nothing() -> None:
    with pytest.raises(Refused, match="does not trade BTCUSDT now"):
        fit(rules_of({**SPOT, "status": "HALT"}), BUY, MARKET, D(1), None, None)


@given(st.decimals(min_value=D("1e-12"), max_value=D("1e12"), allow_nan=False, allow_infinity=False, places=12))
def test_numbers_go_out_without_exponents_and_unchanged(number: D) -> None:
    assert "e" not in text(number).lower()
    assert D(text(number)) == number


@given(
    st.sampled_from([SPOT, USDM]),
    st.sampled_from([BUY, SELL]),
    st.decimals(min_value=D("0.00001"), max_value=D(100), places=5),
    st.decimals(min_value=D(300), max_value=D(500_000), places=3),
)
def test_what_is_taken_is_what_was_asked_for_and_on_the_grid(listed: Any, side: Side, quantity: D, price: D) -> None:
    rules = rules_of(listed)
    try:
        fitted = fit(rules, side, LIMIT, quantity, price, None)
    except Refused:
        return
    assert (fitted.quantity, fitted.price) == (quantity, price)
    assert quantity % rules.lot.step == 0
    assert price % rules.price.step == 0


def _maybe(number: str | None) -> D | None:
    return None if number is None else D(number)
