"""The simulated market's names: the ones the contract promises, each on the exchange's tick."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engines.market.names import known_instruments, known_names, synthetic_names, tick_size

PROMISED = {"INFY", "SBIN", "RELIANCE", "TCS", "HDFCBANK", "ICICIBANK", "AXISBANK", "ITC", "LT", "WIPRO"}


def test_the_promised_names_are_there_with_two_indices_that_cannot_be_traded() -> None:
    instruments = known_instruments()
    assert {f"NSE:{name}" for name in PROMISED} <= {instrument.symbol for instrument in instruments}
    assert len({instrument.symbol for instrument in instruments}) == len(instruments) >= 30
    assert {i.symbol for i in instruments if not i.tradable} == {"NSE:NIFTY 50", "NSE:NIFTY BANK"}
    assert all(instrument.exchange == "NSE" and instrument.lot == 1 for instrument in instruments)


def test_every_price_is_on_its_instruments_tick() -> None:
    for name in known_names():
        assert Decimal(str(name.price)) % name.instrument.tick_size == 0, name


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        ("249.99", "0.01"),
        ("250", "0.05"),
        ("1000", "0.05"),
        ("1000.05", "0.10"),
        ("5000", "0.10"),
        ("5000.1", "0.50"),
        ("10000.5", "1"),
        ("20001", "5"),
    ],
)
def test_the_tick_grows_with_the_price(price: str, tick: str) -> None:
    assert tick_size(Decimal(price)) == Decimal(tick)


def test_a_day_before_the_first_table_takes_the_first_table() -> None:
    assert tick_size(Decimal(100), "1999-01-01") == Decimal("0.01")


def test_shares_freeze_near_nine_crore_an_order_and_indices_never() -> None:
    for name in known_names():
        freeze = name.instrument.freeze_quantity
        if name.instrument.tradable:
            assert freeze is not None
            assert 8.5e7 < freeze * name.price <= 9e7
        else:
            assert freeze is None


def test_as_many_synthetic_names_as_asked() -> None:
    names = synthetic_names(3000)
    assert len({name.instrument.symbol for name in names}) == 3000
    assert len({name.instrument.tick_size for name in names}) >= 5
