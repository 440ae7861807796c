"""The price path: the same everywhere, continuous, and as restless as asked."""

from __future__ import annotations

import random
from itertools import pairwise
from math import sqrt
from statistics import mean, stdev

import pytest

from engines.market.walk import CELL, DAY, Path, gauss, key_of
from tests.market.making import OPEN


def test_a_path_is_a_function_of_key_and_time_in_whatever_order_it_is_asked() -> None:
    moments = [OPEN + n * 0.37 for n in range(500)] + [OPEN + n * DAY / 3 for n in range(20)]
    forward = {moment: Path(7, 25).at(moment) for moment in moments}
    shuffled = moments.copy()
    random.Random(1).shuffle(shuffled)
    path = Path(7, 25)
    assert {moment: path.at(moment) for moment in shuffled} == forward
    assert Path(8, 25).at(OPEN) != Path(7, 25).at(OPEN)


@pytest.mark.parametrize("border", [CELL, 64 * CELL, DAY / 2, DAY])
def test_a_path_has_no_gaps_where_cells_meet(border: float) -> None:
    at = (OPEN // border + 1) * border
    path = Path(3, 25)
    assert path.at(at - 1e-6) == pytest.approx(path.at(at + 1e-6), abs=1e-6)


@pytest.mark.parametrize("minutes", [1, 15])
def test_moves_have_the_volatility_that_was_asked(minutes: int) -> None:
    path, seconds = Path(11, 25), minutes * 60
    moves = [later - earlier for earlier, later in pairwise(path.at(OPEN + n * seconds) for n in range(4000))]
    expected = 0.25 * sqrt(minutes / (252 * 375))
    assert stdev(moves) == pytest.approx(expected, rel=0.1)
    assert abs(mean(moves)) < expected / 10


def test_years_later_the_price_is_still_near_its_anchor() -> None:
    path = Path(5, 35)
    assert all(abs(path.at(OPEN + n * DAY / 7)) < 0.19 for n in range(5000))


def test_gauss_is_standard_and_keys_are_the_same_in_every_process() -> None:
    values = [gauss(n) for n in range(20_000)]
    assert mean(values) == pytest.approx(0, abs=0.02)
    assert stdev(values) == pytest.approx(1, rel=0.02)
    assert max(map(abs, values)) < 3.47
    assert key_of(0, "NSE:INFY") == 0x8B330F7895BE85D1
