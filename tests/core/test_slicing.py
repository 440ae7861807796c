"""A quantity above the freeze limit leaves as several orders whose sum is the quantity."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engines.core.slicing import slices

D = Decimal


@pytest.mark.parametrize(
    ("quantity", "lot", "freeze", "cut"),
    [
        (65, 65, 1800, [65]),
        (1755, 65, 1800, [1755]),  # 27 lots: the most that 1800 allows
        (1820, 65, 1800, [910, 910]),
        (1885, 65, 1800, [975, 910]),
        (600, 30, 600, [600]),  # exactly the freeze quantity is accepted
        (5, 1, None, [5]),
    ],
)
def test_slices_are_as_equal_as_whole_lots_allow(quantity: int, lot: int, freeze: int | None, cut: list[int]) -> None:
    assert slices(D(quantity), D(lot), freeze) == tuple(D(x) for x in cut)


@pytest.mark.parametrize(
    ("quantity", "lot", "freeze", "because"),
    [
        (66, 65, 1800, "not a multiple"),
        (0, 65, 1800, "not a multiple"),
        (-65, 65, 1800, "not a multiple"),
        (65, 65, 60, "one lot"),
        (65 * 271, 65, 1800, "11 orders"),
    ],
)
def test_what_cannot_be_sliced_is_refused_with_the_reason(quantity: int, lot: int, freeze: int, because: str) -> None:
    with pytest.raises(ValueError, match=because):
        slices(D(quantity), D(lot), freeze)


@given(st.integers(1, 500), st.sampled_from([D(1), D(65), D("0.001")]), st.integers(1, 5000))
def test_slices_sum_to_the_quantity_and_none_exceeds_the_freeze_quantity(lots: int, lot: Decimal, freeze: int) -> None:
    assume(freeze // lot >= 1)
    parts = slices(lots * lot, lot, freeze, most=500)
    assert sum(parts) == lots * lot
    assert all(0 < x <= freeze and x % lot == 0 for x in parts)
    assert max(parts) - min(parts) <= lot
    assert len(parts) == 1 or (len(parts) - 1) * (freeze // lot * lot) < lots * lot  # no order more than needed
