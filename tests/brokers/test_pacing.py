"""Published limits on reads: no window ever holds more, whoever asks from whatever thread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.pacing import Budget, Limit
from engines.ports import Retry


class HandClock:
    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@given(
    st.lists(st.tuples(st.sampled_from(["quote", "orders", "trades"]), st.floats(0, 0.5), st.integers(0, 2)), max_size=60),
)
def test_no_window_holds_more_than_its_limit(asks):
    limits = {"quote": (Limit(1, 1.0),)}
    others = (Limit(4, 1.0), Limit(10, 5.0))
    clock = HandClock()
    budget = Budget(limits, clock, others=others)
    left: dict[str, list[float]] = {"quote": [], "": []}
    for call, pause, reserve in asks:
        clock.at += pause
        wait = budget.wait(call, reserve=reserve)
        if wait == 0.0 or not reserve:
            left[call if call in limits else ""].append(clock.at + wait)
    for bucket, rules in (("quote", limits["quote"]), ("", others)):
        moments = left[bucket]
        assert moments == sorted(moments)
        for rule in rules:
            assert all(later - first > rule.seconds - 1e-6 for first, later in zip(moments, moments[rule.calls :], strict=False))


def test_what_lies_too_far_away_is_retry_and_takes_no_place():
    clock = HandClock()
    budget = Budget({"quote": (Limit(1, 1.0),)}, clock)
    assert budget.wait("quote") == 0.0
    with pytest.raises(Retry) as caught:
        budget.take("quote", patience=0.5)
    assert caught.value.after == pytest.approx(1.0)
    clock.at += 1.0
    assert budget.wait("quote") == 0.0


def test_background_reads_leave_the_reserve_and_hold_nobody_up():
    budget = Budget({}, HandClock(), others=(Limit(3, 1.0),))
    assert [budget.wait("orders", reserve=2) for _ in range(3)] == [0.0, 1.0, 1.0]
    assert [budget.wait("orders") for _ in range(2)] == [0.0, 0.0]
    other = Budget({}, HandClock(), others=(Limit(3, 1.0),))
    assert [other.wait("orders") for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_after_too_many_requests_nobody_goes_for_a_while():
    clock = HandClock()
    budget = Budget({}, clock)
    budget.hold(2.0)
    assert budget.wait("orders") == 2.0
    clock.at += 2.0
    assert budget.wait("orders") == 0.0


def test_closing_lets_go_whoever_waits():
    budget = Budget({}, HandClock())
    budget.hold(3.0)
    budget.close()
    with pytest.raises(Retry, match="closed"):
        budget.take("orders")
