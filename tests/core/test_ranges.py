"""Range levels and their ladder: the worked example to the cent, the properties of the published definition, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core import ranges
from engines.core.model import Side
from engines.core.ranges import Frame, Reference, Rule

D = Decimal
A = Rule()
JAN_2 = Frame(low=21555.65, high=21755.60, open=21661.10, prev_close=21665.80, unit=21755.60 - 21555.65)  # NIFTY, 2 January 2024

LONG = """
T1 21727.61 T2 21737.60 T3 21747.60 T4 21757.60 T5 21767.60 T6 21777.59 T7 21787.59 T8 21797.59 T9 21807.59 T10 21817.58
Y1 21617.63 Y2 21717.61 Y3 21727.61 Y4 21737.60 Y5 21747.60 Y6 21757.60 Y7 21767.60 Y8 21777.59 Y9 21787.59 Y10 21797.59
"""
SHORT = """
T1 21563.65 T2 21553.65 T3 21543.65 T4 21533.66 T5 21523.66 T6 21513.66 T7 21503.66 T8 21493.67 T9 21483.67 T10 21473.67
Y1 21673.62 Y2 21573.65 Y3 21563.65 Y4 21553.65 Y5 21543.65 Y6 21533.66 Y7 21523.66 Y8 21513.66 Y9 21503.66 Y10 21493.67
"""


def test_the_worked_example_of_3_january_2024_to_the_cent() -> None:
    found = ranges.levels(A, JAN_2)
    assert found is not None
    assert (round(found.buy, 4), round(found.sell, 4)) == (21717.6095, 21573.6455)
    drawn = ranges.chart_levels(A, found, JAN_2.unit, (Side.BUY, Side.SELL))
    for side, name, table in ((Side.BUY, "B", LONG), (Side.SELL, "S", SHORT)):
        own = {level.name: f"{level.price:.2f}" for level in drawn if level.side is side}
        words = table.split()
        assert own.pop(name) == f"{found.buy if side is Side.BUY else found.sell:.2f}"
        assert own == dict(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize(
    ("rule", "buy", "sell"),
    [
        (A, 181.0, 109.0),
        (replace(A, buy_from=Reference.OPEN, sell_from=Reference.OPEN, k_buy=0.081, k_sell=0.091), 158.1, 140.9),
        (replace(A, buy_from=Reference.PREV_CLOSE, sell_from=Reference.PREV_CLOSE, k_buy=0.1, k_sell=0.2), 170.0, 140.0),
        (replace(A, buy_from=Reference.HIGH, sell_from=Reference.LOW, k_buy=0.1, k_sell=0.2), 210.0, 80.0),
    ],
)
def test_a_level_is_its_reference_and_a_multiple_of_the_unit(rule: Rule, buy: float, sell: float) -> None:
    found = ranges.levels(rule, Frame(low=100.0, high=200.0, open=150.0, prev_close=160.0, unit=100.0))
    assert found is not None
    assert (found.buy, found.sell) == (pytest.approx(buy), pytest.approx(sell))


def test_the_arm_levels_lie_nearer_than_the_entries() -> None:
    found = ranges.levels(replace(A, k_buy=0.91, k_arm=0.81), Frame(100.0, 200.0, 150.0, None, 100.0))
    assert found is not None
    assert [round(price, 6) for price in (found.buy, found.arm_buy, found.arm_sell, found.sell)] == [191.0, 181.0, 119.0, 109.0]


# --- properties -----------------------------------------------------------------------------------------------------

prices = st.floats(1, 1e6).map(lambda price: round(price, 2))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    n, t, y1 = draw(st.integers(1, 15)), draw(st.floats(0.01, 2)), draw(st.floats(0.01, 3))
    lag = draw(st.integers(0, max(1, n - 1)))
    while lag > 1 and (lag - 1) * t > y1:
        lag -= 1
    rule = Rule(draw(st.floats(0.55, 3)), draw(st.floats(0.55, 3)), n=n, t=t, y1=y1, lag=lag)
    ranges.check_rule(rule)
    return rule


@given(rule=rules(), anchor=prices, unit=st.floats(0.5, 1e4), side=st.sampled_from(Side))
def test_targets_move_on_stops_never_loosen_and_stay_behind(rule: Rule, anchor: float, unit: float, side: Side) -> None:
    steps, d = ranges.ladder(rule, side, anchor, unit), side.sign
    targets, stops = [d * price for price in steps.targets], [d * price for price in steps.stops]
    assert len(targets) == len(stops) == rule.n
    assert all(nearer < further for nearer, further in itertools.pairwise(targets))
    assert all(looser <= tighter + 1e-6 for looser, tighter in itertools.pairwise(stops))
    assert all(stop < target for stop, target in zip(stops, targets, strict=True))
    assert stops[0] < d * anchor < targets[0]


@given(rule=rules(), low=prices, width=st.floats(0.5, 1e4), by=st.floats(0.01, 1000))
def test_prices_times_anything_are_levels_times_the_same(rule: Rule, low: float, width: float, by: float) -> None:
    frame = Frame(low, low + width, low + width / 3, low + width / 2, width)
    scaled = Frame(*(by * price for price in (frame.low, frame.high, frame.open, low + width / 2, frame.unit)))
    one, other = ranges.levels(rule, frame), ranges.levels(rule, scaled)
    assert one is not None
    assert other is not None
    size = by * (low + 3 * width)
    for side, anchor, anchor_scaled in ((Side.BUY, one.buy, other.buy), (Side.SELL, one.sell, other.sell)):
        pairs = zip(
            (anchor, *ranges.ladder(rule, side, anchor, frame.unit).targets, *ranges.ladder(rule, side, anchor, frame.unit).stops),
            (
                anchor_scaled,
                *ranges.ladder(rule, side, anchor_scaled, scaled.unit).targets,
                *ranges.ladder(rule, side, anchor_scaled, scaled.unit).stops,
            ),
            strict=True,
        )
        assert all(isclose(by * price, price_scaled, rel_tol=1e-9, abs_tol=1e-9 * size) for price, price_scaled in pairs)


@given(rule=rules(), low=prices, width=st.floats(0.5, 1e4))
def test_with_equal_multiples_a_mirrored_market_has_mirrored_levels(rule: Rule, low: float, width: float) -> None:
    rule, high = replace(rule, k_sell=rule.k_buy), low + width
    found = ranges.levels(rule, Frame(low, high, low, None, width))
    assert found is not None
    middle, close = low + high, 1e-9 * (low + 10 * width)
    assert isclose(middle - found.buy, found.sell, rel_tol=1e-9, abs_tol=close)
    long, short = ranges.ladder(rule, Side.BUY, found.buy, width), ranges.ladder(rule, Side.SELL, found.sell, width)
    for up, down in zip(long.targets + long.stops, short.targets + short.stops, strict=True):
        assert isclose(middle - up, down, rel_tol=1e-9, abs_tol=100 * close)


@given(n=st.integers(1, 20), lots=st.integers(1, 10_000))
def test_equal_shares_book_lot_q_at_target_ceil_n_q_over_m(n: int, lots: int) -> None:
    """The cumulative shares of the definition, by the rule of booking "even": floor(lots × share so far / 100)."""
    parts = ranges.equal_shares(n)
    assert sum(parts) == 100
    booked, so_far = [], D(0)
    for part in parts:
        so_far += part
        booked.append(int(lots * so_far / 100))
    expected = [sum(1 for q in range(1, lots + 1) if -(-n * q // lots) <= i) for i in range(1, n + 1)] if lots <= 200 else None
    assert booked[-1] == lots
    assert expected is None or booked == expected


# --- recipes --------------------------------------------------------------------------------------------------------


def test_a_ladder_of_prices_moves_the_stop_to_the_next_step_at_each_target() -> None:
    steps = ranges.ladder(replace(A, n=3), Side.SELL, 21573.6455, JAN_2.unit)
    spec = ranges.exit_spec(steps, ranges.shares("50, 30 20", 3), from_fill=False, even=False)
    assert (spec.stop_price, spec.booking) == (D("21673.6205"), "remainder")
    assert [(target.share_pct, target.price, target.then_price) for target in spec.targets] == [
        (D(50), D("21563.648"), D("21573.6455")),
        (D(30), D("21553.6505"), D("21563.648")),
        (D(20), D("21543.653"), None),
    ]


@pytest.mark.parametrize("side", Side)
def test_a_ladder_from_the_fill_is_distances_and_its_second_stop_is_cost(side: Side) -> None:
    steps = ranges.ladder(replace(A, n=4, lag=2), side, 100.0, 20.0)
    spec = ranges.exit_spec(steps, ranges.equal_shares(4), from_fill=True, even=True)
    assert (spec.stop_points, spec.stop_price, spec.booking) == (D(10), None, "even")
    assert [target.points for target in spec.targets] == [D(1), D(2), D(3), D(4)]
    assert [target.then_points for target in spec.targets] == [D(-1), D(0), D(1), None]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "touch", "why"),
    [
        (replace(A, k_buy=0.5, k_sell=0.5), False, "add up to more than 1"),
        (replace(A, k_arm=0.85), False, "nearer than both"),
        (replace(A, k_arm=0.5), False, "both sides are armed"),
        (replace(A, lag=10), False, "further behind than there are targets"),
        (replace(A, lag=0), True, "at least one target behind"),
        (replace(A, lag=3, t=0.3), False, "looser than the first"),
    ],
)
def test_constants_that_contradict_each_other_are_refused_in_words(rule: Rule, touch: bool, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ranges.check_rule(rule, touch=touch)
    ranges.check_rule(A, touch=True)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Frame(100.0, 101.0, 100.5, 100.0, 1.0), None),
        (Frame(100.0, 100.0, 100.0, 100.0, 0.0), "the range is zero"),
        (Frame(100.0, 100.1, 100.0, 100.0, 0.1), "0.10 % of the price, less than 0.2 %"),
        (Frame(100.0, 110.0, 100.0, 100.0, 10.0), "10.00 % of the price, more than 8 %"),
        (Frame(100.0, 110.0, 200.0, None, 10.0), None),  # 5 % of the open, when no close is known
    ],
)
def test_a_day_whose_range_is_unfit_is_skipped_with_the_reason(frame: Frame, why: str | None) -> None:
    assert (ranges.rejected(A, frame, min_pct=0.2, max_pct=8) or "").endswith(why or "")
    assert (ranges.rejected(A, frame, min_pct=0.2, max_pct=8) is None) == (why is None)


def test_a_day_without_its_reference_or_with_levels_at_zero_is_skipped() -> None:
    frame = Frame(10.0, 20.0, 15.0, None, 10.0)
    measured = replace(A, buy_from=Reference.PREV_CLOSE)
    assert ranges.rejected(measured, frame, min_pct=0, max_pct=1000) == "the previous close is not known"
    assert ranges.rejected(replace(A, t=0.5), frame, min_pct=0, max_pct=1000) == "a level would be at or below zero"
    crossed = replace(A, buy_from=Reference.LOW, sell_from=Reference.PREV_CLOSE, k_sell=0.01)
    assert ranges.rejected(crossed, replace(frame, prev_close=19.0), min_pct=0, max_pct=1000) == "the sell level is not below the buy level"


@pytest.mark.parametrize(
    ("book", "why"), [("10 20", "3 targets, but 2"), ("50,50,0", "above zero"), ("50,30,30", "110"), ("a b c", "numbers")]
)
def test_shares_that_do_not_fit_the_targets_are_refused(book: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ranges.shares(book, 3)
