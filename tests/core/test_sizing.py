"""The size of one signal on one account: given a mapping and a price, expect a quantity or a reason."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.model import AccountMapping, Denial, Instrument, Sizing, SizingMode
from engines.core.sizing import SizingInput, kelly_fraction, risk_amount, size

D = Decimal
INFY = Instrument("NSE:INFY", "Infosys", "NSE", D("0.05"))
NIFTY = Instrument("NFO:NIFTY26DECFUT", "NIFTY", "NFO", D("0.10"), lot_size=65, freeze_quantity=1800, segment="FUT")
COIN = Instrument("BINANCE:BTCUSDT", "Bitcoin", "BINANCE", D("0.01"), segment="SPOT", quantity_step=D("0.00001"))


def mapping(mode: SizingMode, value: str = "100", *, allocation: str = "50", risk: str = "2", multiplier: str = "1") -> AccountMapping:
    return AccountMapping("m", "a", "s", D(allocation), Sizing(mode, D(value)), D(risk), D(multiplier))


def ask(
    mapped: AccountMapping | None, instrument: Instrument = INFY, *, capital: str = "100000", price: str | None = "1500", **more: object
) -> SizingInput:
    return SizingInput(D(capital), mapped, instrument, None if price is None else D(price), **more)  # type: ignore[arg-type]


def test_the_worked_example_of_the_field_risks_exactly_1000() -> None:
    assert str(risk_amount(D("100000"), D(50), D(2))) == "1000"
    sized = size(ask(mapping(SizingMode.RISK), price="1500", stop_price=D("1490")))
    assert sized.quantity == 100
    assert sized.quantity * (D(1500) - D(1490)) == 1000
    assert "1000 at risk" in sized.detail


@pytest.mark.parametrize(
    ("mapped", "instrument", "price", "quantity"),
    [
        (mapping(SizingMode.FIXED_QUANTITY, "10"), INFY, "1500", "10"),
        (mapping(SizingMode.FIXED_QUANTITY, "100"), NIFTY, "25000", "65"),  # down to the lot
        (mapping(SizingMode.FIXED_QUANTITY, "10", multiplier="2.5"), INFY, "1500", "25"),
        (mapping(SizingMode.FIXED_QUANTITY, "10"), INFY, None, "10"),  # needs no price
        (mapping(SizingMode.FIXED_AMOUNT, "20000"), INFY, "1500", "13"),
        (mapping(SizingMode.FIXED_AMOUNT, "100"), COIN, "61234.5", "0.00163"),
        (mapping(SizingMode.PERCENT, "100"), INFY, "1500", "33"),  # 50,000 at 1500
        (mapping(SizingMode.PERCENT, "10"), INFY, "1500", "3"),
        (mapping(SizingMode.PERCENT, "100", multiplier="0.5"), INFY, "1500", "16"),
        (mapping(SizingMode.KELLY, "0.5"), INFY, "100", "10"),  # no history: 2 % of 50,000
    ],
)
def test_each_mode_sizes_from_the_allocated_capital(
    mapped: AccountMapping, instrument: Instrument, price: str | None, quantity: str
) -> None:
    sized = size(ask(mapped, instrument, price=price))
    assert (sized.quantity, sized.denial) == (D(quantity), None)


@pytest.mark.parametrize(
    ("asked", "denial", "because"),
    [
        (ask(None), Denial.ZERO_QUANTITY, "no mapping"),
        (ask(mapping(SizingMode.RISK)), Denial.ZERO_QUANTITY, "needs a stop"),
        (ask(mapping(SizingMode.RISK), stop_price=D(1500)), Denial.ZERO_QUANTITY, "no distance"),
        (ask(mapping(SizingMode.RISK), stop_price=D("NaN")), Denial.STALE_PRICE, "stop"),
        (ask(mapping(SizingMode.RISK), stop_price=D(100)), Denial.ZERO_QUANTITY, "less than one lot"),
        (ask(mapping(SizingMode.PERCENT), price=None), Denial.STALE_PRICE, "price"),
        (ask(mapping(SizingMode.PERCENT), price="NaN"), Denial.STALE_PRICE, "price"),
        (ask(mapping(SizingMode.PERCENT), price="0"), Denial.STALE_PRICE, "price"),
        (ask(mapping(SizingMode.PERCENT), price="-5"), Denial.STALE_PRICE, "price"),
        (ask(mapping(SizingMode.PERCENT), price="60000"), Denial.ZERO_QUANTITY, "less than one lot"),
        (ask(mapping(SizingMode.PERCENT), capital="NaN"), Denial.ZERO_QUANTITY, "allocates nothing"),
        (ask(mapping(SizingMode.PERCENT), capital="-1"), Denial.ZERO_QUANTITY, "allocates nothing"),
        (ask(mapping(SizingMode.PERCENT, allocation="0")), Denial.ZERO_QUANTITY, "allocates nothing"),
        (ask(mapping(SizingMode.PERCENT, "NaN")), Denial.ZERO_QUANTITY, "sizing value"),
        (ask(mapping(SizingMode.KELLY, "NaN"), closed_trades=[D(1), D(-1)] * 20), Denial.ZERO_QUANTITY, "sizing value"),
        (ask(mapping(SizingMode.FIXED_QUANTITY, "-3")), Denial.ZERO_QUANTITY, "nothing to trade"),
        (ask(mapping(SizingMode.FIXED_QUANTITY, "3", multiplier="0")), Denial.ZERO_QUANTITY, "nothing to trade"),
        (ask(mapping(SizingMode.FIXED_QUANTITY, "3", multiplier="-1")), Denial.ZERO_QUANTITY, "nothing to trade"),
        (ask(mapping(SizingMode.FIXED_QUANTITY, "64"), NIFTY), Denial.ZERO_QUANTITY, "less than one lot"),
        (ask(None, NIFTY, quantity=D(64)), Denial.LOT_SIZE, "not a multiple"),
        (ask(None, quantity=D("1.5")), Denial.LOT_SIZE, "not a multiple"),
        (ask(None, quantity=D(0)), Denial.ZERO_QUANTITY, "nothing to trade"),
        (ask(None, quantity=D("NaN")), Denial.ZERO_QUANTITY, "nothing to trade"),
    ],
)
def test_what_cannot_be_sized_is_zero_with_the_reason(asked: SizingInput, denial: Denial, because: str) -> None:
    sized = size(asked)
    assert (sized.quantity, sized.denial) == (0, denial)
    assert because in sized.detail


@pytest.mark.parametrize(("quantity", "multiplier", "sized"), [("7", "1", "7"), ("7", "2", "14"), ("7", "0.5", "3"), ("5", "1.5", "7")])
def test_an_explicit_quantity_overrides_the_mode_and_is_multiplied(quantity: str, multiplier: str, sized: str) -> None:
    answer = size(ask(mapping(SizingMode.PERCENT, multiplier=multiplier), quantity=D(quantity), price=None))
    assert answer.quantity == D(sized)
    assert (f" x {multiplier}" in answer.detail) is (multiplier != "1")


@pytest.mark.parametrize(
    ("trades", "fraction"),
    [
        ([], None),
        (["0", "0"], None),
        (["100", "-100"], "0"),
        (["200", "-100"], "0.25"),  # W 1/2, R 2: 1/2 - 1/4
        (["300", "300", "-100", "0"], "0.5555555555555555555555555556"),  # W 2/3, R 3; a zero trade says nothing
        (["100", "50"], "1"),
        (["-100", "-50"], "0"),
        (["10", "-100"], "0"),  # never below zero
    ],
)
def test_kelly_is_the_share_of_winners_less_losers_over_payoff(trades: list[str], fraction: str | None) -> None:
    assert kelly_fraction([D(x) for x in trades]) == (None if fraction is None else D(fraction))


def test_kelly_is_fractional_and_capped_once_there_are_enough_trades() -> None:
    trades = [D(200), D(-100)] * 10
    kelly = mapping(SizingMode.KELLY, "0.5")
    assert size(ask(kelly, price="100", closed_trades=trades[:19])).quantity == 10  # one trade short: 2 % of 50,000
    assert size(ask(kelly, price="100", closed_trades=trades)).quantity == 62  # 0.25 x 0.5 = 12.5 % of 50,000
    full = replace(kelly, sizing=replace(kelly.sizing, value=D(2), kelly_cap_pct=D(25)))
    assert size(ask(full, price="100", closed_trades=trades)).quantity == 125  # 50 % capped at 25 %
    even = size(ask(kelly, price="100", closed_trades=[D(0)] * 30))
    assert even.quantity == 10  # thirty trades that say nothing
    losing = size(ask(kelly, price="100", closed_trades=[D(10), D(-100)] * 10))
    assert (losing.quantity, losing.denial) == (0, Denial.ZERO_QUANTITY)
    assert "no edge" in losing.detail


money = st.decimals("0.01", 10**9, places=2)


@given(money, st.decimals(1, 100, places=2), st.decimals("0.01", 5, places=2), money, money, st.sampled_from([INFY, NIFTY, COIN]))
def test_a_stop_that_is_hit_never_costs_more_than_the_risk(
    capital: Decimal, allocation: Decimal, risk: Decimal, price: Decimal, stop: Decimal, instrument: Instrument
) -> None:
    mapped = mapping(SizingMode.RISK, allocation=str(allocation), risk=str(risk))
    sized = size(ask(mapped, instrument, capital=str(capital), price=str(price), stop_price=stop))
    assert sized.quantity % instrument.lot == 0
    assert sized.quantity * abs(price - stop) <= risk_amount(capital, allocation, risk)
    assert bool(sized.quantity) is (sized.denial is None)


@given(money, st.decimals(1, 100, places=2), st.decimals(1, 100, places=2), money, st.sampled_from([INFY, NIFTY, COIN]))
def test_a_percent_of_the_allocated_capital_is_never_exceeded_and_missed_by_less_than_a_lot(
    capital: Decimal, allocation: Decimal, percent: Decimal, price: Decimal, instrument: Instrument
) -> None:
    sized = size(
        ask(mapping(SizingMode.PERCENT, str(percent), allocation=str(allocation)), instrument, capital=str(capital), price=str(price))
    )
    worth = capital * allocation * percent / 10000
    assert sized.quantity * price <= worth < (sized.quantity + instrument.lot) * price
