"""Indicators against their written definitions, computed here the slow way."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.indicators import ATR, EMA, SMA, atr, ema, sma

prices = st.floats(1.0, 1e5)
NAN = math.nan


def smoothed(values: Sequence[float], period: int, alpha: float) -> list[float]:
    out = [NAN] * min(period - 1, len(values))
    if len(values) >= period:
        out.append(sum(values[:period]) / period)
        for x in values[period:]:
            out.append(alpha * x + (1 - alpha) * out[-1])
    return out


def same(left: Sequence[float], right: Sequence[float]) -> bool:
    return list(left) == pytest.approx(list(right), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(sma, [NAN, NAN, 2.0, 3.0, 4.0]), (ema, [NAN, NAN, 2.0, 3.0, 4.0])],
)
def test_an_average_is_silent_until_it_has_its_period(function: object, expected: list[float]) -> None:
    assert same(function([1.0, 2.0, 3.0, 4.0, 5.0], 3), expected)  # type: ignore[operator]


def test_the_average_true_range_counts_gaps() -> None:
    bars = [(10.0, 9.0, 9.5), (12.0, 11.0, 11.5), (11.0, 8.0, 8.5)]  # true ranges 1, 2.5, 3.5
    assert same(atr(bars, 2), [NAN, 1.75, 2.625])


@given(st.lists(prices, max_size=60), st.integers(1, 20))
def test_averages_equal_their_definitions(values: list[float], period: int) -> None:
    means = [NAN if i + 1 < period else sum(values[i + 1 - period : i + 1]) / period for i in range(len(values))]
    assert same(sma(values, period), means)
    assert same(ema(values, period), smoothed(values, period, 2 / (period + 1)))


@given(st.lists(st.tuples(prices, prices, prices), max_size=60), st.integers(1, 20))
def test_the_average_true_range_equals_its_definition(raw: list[tuple[float, float, float]], period: int) -> None:
    bars = [(max(bar), min(bar), close) for bar, close in ((bar, bar[2]) for bar in raw)]
    ranges = [bar[0] - bar[1] for bar in bars[:1]]
    ranges += [max(high - low, abs(high - before), abs(low - before)) for (_, _, before), (high, low, _) in pairwise(bars)]
    assert same(atr(bars, period), smoothed(ranges, period, 1 / period))


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_what_is_no_number_changes_nothing(bad: float) -> None:
    for average in (SMA(2), EMA(2)):
        average.update(1.0)
        average.update(bad)
        assert average.update(2.0) == 1.5
        assert average.update(bad) == 1.5
    reach = ATR(1)
    reach.update(10.0, 9.0, 9.5)
    assert reach.update(bad, 9.0, 9.5) == 1.0
    assert reach.update(10.0, 9.0, 9.0) == 1.0


@pytest.mark.parametrize("indicator", [SMA, EMA, ATR])
def test_a_period_is_at_least_one_bar(indicator: type) -> None:
    with pytest.raises(ValueError):
        indicator(0)
