"""Floats become prices in one place, and nothing that is not a number gets through."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.prices import exact, is_lot_multiple, is_tick_multiple, readable, round_lot_down, to_tick

D = Decimal
TICKS = st.sampled_from([D("0.01"), D("0.05"), D("0.10"), D("0.5"), D("1"), D("5"), D("0.00000001")])


@pytest.mark.parametrize(
    ("value", "tick", "mode", "price"),
    [
        (1520.03, "0.05", "nearest", "1520.05"),
        (1520.02, "0.05", "nearest", "1520.00"),
        (1520.025, "0.05", "nearest", "1520.05"),
        (1520.01, "0.05", "up", "1520.05"),
        (1520.04, "0.05", "down", "1520.00"),
        (100.05000000000001, "0.05", "up", "100.05"),  # noise of float arithmetic costs no tick
        (100.04999999999999, "0.05", "down", "100.05"),
        (0.1 + 0.2, "0.1", "up", "0.3"),
        (D("100.0500001"), "0.05", "up", "100.10"),  # a Decimal is meant as it is
        (21717.6095, "5", "nearest", "21720"),
        (0.000000014, "0.00000001", "nearest", "0.00000001"),
    ],
)
def test_a_value_lands_on_the_tick(value: float | Decimal, tick: str, mode: str, price: str) -> None:
    assert to_tick(value, D(tick), mode) == D(price)  # type: ignore[arg-type]


@given(st.floats(0.01, 1e6), TICKS)
def test_rounding_up_and_down_enclose_the_value_within_one_tick(value: float, tick: Decimal) -> None:
    down, nearest, up = (to_tick(value, tick, mode) for mode in ("down", "nearest", "up"))  # type: ignore[arg-type]
    noise = tick / 1000
    assert down - noise <= exact(value) <= up + noise
    assert up - down in (0, tick)
    assert nearest in (down, up)
    assert all(is_tick_multiple(x, tick) for x in (down, nearest, up))


@given(st.integers(1, 10**7), TICKS)
def test_a_price_on_the_tick_stays_through_a_float(steps: int, tick: Decimal) -> None:
    price = steps * tick
    for mode in ("down", "nearest", "up"):
        assert to_tick(float(price), tick, mode) == price  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", ["NaN", "sNaN", "Infinity", "-inf", "", "ten", "1,000", float("nan"), float("inf"), None, True, [1]])
def test_what_is_not_a_finite_number_is_refused(bad: object) -> None:
    with pytest.raises(ValueError):
        exact(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "number"), [(1520.05, "1520.05"), ("1520.05", "1520.05"), (7, "7"), (D("0.10"), "0.10"), (" 5 ", "5"), ("1e3", "1000")]
)
def test_input_is_read_as_it_was_written(value: Decimal | float | str, number: str) -> None:
    assert exact(value) == D(number)


@pytest.mark.parametrize("mad", ["1e15", "-1e15", "1e999999", "1e-19", "0." + "1" * 5000, 10**40, 1e300, 1e-300])
def test_numbers_no_market_knows_are_refused(mad: Decimal | float | str) -> None:
    with pytest.raises(ValueError, match="can be traded with"):
        exact(mad)


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.decimals(), st.none(), st.booleans()))
def test_whatever_comes_in_is_a_number_or_a_value_error(value: object) -> None:
    try:
        number = exact(value)  # type: ignore[arg-type]
    except ValueError:
        return
    assert number.is_finite()
    assert abs(number) < D("1e15")


def test_a_tick_or_lot_of_zero_is_refused() -> None:
    with pytest.raises(ValueError):
        to_tick(100.0, D(0))
    with pytest.raises(ValueError):
        round_lot_down(D(1), D(0))


@pytest.mark.parametrize(
    ("quantity", "lot", "rounded"),
    [("64", "65", "0"), ("65", "65", "65"), ("199.9", "65", "195"), ("-5", "1", "0"), ("0.0019", "0.001", "0.001")],
)
def test_a_quantity_falls_to_the_lot(quantity: str, lot: str, rounded: str) -> None:
    assert round_lot_down(D(quantity), D(lot)) == D(rounded)


@pytest.mark.parametrize(
    ("quantity", "lot", "answer"),
    [("130", "65", True), ("131", "65", False), ("0", "65", False), ("-65", "65", False), ("NaN", "65", False)],
)
def test_a_lot_multiple_is_a_positive_whole_number_of_lots(quantity: str, lot: str, answer: bool) -> None:
    assert is_lot_multiple(D(quantity), D(lot)) is answer


@given(st.decimals(0, 10**9, places=4), st.sampled_from([D(1), D(65), D("0.001"), D("0.5")]))
def test_rounding_to_the_lot_never_adds_and_never_drops_a_whole_lot(quantity: Decimal, lot: Decimal) -> None:
    rounded = round_lot_down(quantity, lot)
    assert rounded <= quantity < rounded + lot
    assert rounded % lot == 0


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        (Decimal(65000) / 3, "21666.666667"),
        (Decimal("101.05"), "101.05"),
        (Decimal("0.00001234"), "0.00001234"),
        (Decimal("0.0001") / 7, "0.0000142857"),
        (-Decimal(10) / 3, "-3.333333"),
        (Decimal(0), "0"),
    ],
)
def test_an_average_is_shown_with_six_decimals_and_a_small_price_whole(price: Decimal, shown: str) -> None:
    assert f"{readable(price):f}" == shown
