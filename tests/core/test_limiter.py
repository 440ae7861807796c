"""No more calls than the broker allows in any sliding second, and room for exits whatever entries do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.limiter import Limiter


class Clock:
    """Time as the test tells it."""

    def __init__(self) -> None:
        self.now = 100.0

    def pass_until_free(self, limiter: Limiter, *, is_exit: bool = False) -> float:
        start = self.now
        while (wait := limiter.wait(self.now, exit=is_exit)) > 0:
            self.now += wait
        return self.now - start


def test_paper_has_no_limit() -> None:
    limiter = Limiter(None)
    assert all(limiter.wait(0.0) == 0.0 for _ in range(10_000))


def test_calls_are_spaced_when_no_burst_is_allowed() -> None:
    limiter, clock = Limiter(10, burst=1), Clock()
    waits = [clock.pass_until_free(limiter) for _ in range(5)]
    assert waits == pytest.approx([0, 0.1, 0.1, 0.1, 0.1])


def test_a_burst_leaves_at_once_and_the_next_call_waits_for_the_second_to_pass() -> None:
    limiter = Limiter(8, burst=8)
    assert [limiter.wait(0.0) for _ in range(8)] == [0.0] * 8
    assert limiter.wait(0.0) == 1.0
    assert limiter.wait(0.6) == pytest.approx(0.4)
    assert limiter.wait(1.0) == 0.0


@pytest.mark.parametrize("is_exit", [False, True])
def test_a_burst_that_does_not_divide_the_rate_still_holds_the_sliding_second(is_exit: bool) -> None:
    limiter = Limiter(10, burst=8)
    assert [limiter.wait(0.0, exit=is_exit) for _ in range(8)] == [0.0] * 8
    assert [limiter.wait(0.8, exit=is_exit) for _ in range(2)] == [0.0] * 2
    assert limiter.wait(0.8, exit=is_exit) == pytest.approx(0.2)


def test_entries_leave_the_reserve_to_exits() -> None:
    limiter = Limiter(8, burst=8, exit_reserve=2)
    assert [limiter.wait(0.0) for _ in range(6)] == [0.0] * 6
    assert limiter.wait(0.0) > 0
    assert [limiter.wait(0.0, exit=True) for _ in range(2)] == [0.0] * 2
    assert limiter.wait(0.0, exit=True) == 1.0
    assert limiter.wait(1.0) == 0.0


def test_entries_leave_room_for_exits_in_a_burst_too() -> None:
    limiter = Limiter(10, burst=4, exit_reserve=2)
    assert [limiter.wait(0.0) for _ in range(2)] == [0.0] * 2
    assert limiter.wait(0.0) > 0
    assert [limiter.wait(0.0, exit=True) for _ in range(2)] == [0.0] * 2
    assert limiter.wait(0.0, exit=True) == pytest.approx(0.4)


def test_a_rate_below_one_a_second_is_spaced_evenly() -> None:
    limiter, clock = Limiter(0.5), Clock()
    assert [clock.pass_until_free(limiter) for _ in range(3)] == pytest.approx([0, 2, 2])


def test_asking_while_waiting_uses_nothing_up() -> None:
    limiter = Limiter(1)
    assert limiter.wait(0.0) == 0.0
    assert [limiter.wait(0.5) for _ in range(100)] == [0.5] * 100
    assert limiter.wait(1.0) == 0.0


@pytest.mark.parametrize(
    ("rate", "burst", "reserve"), [(0, 1, 0), (-1, 1, 0), (float("nan"), 1, 0), (10, 0, 0), (10, 1, -1), (3, 3, 3), (1, 1, 1)]
)
def test_a_budget_that_cannot_work_is_refused(rate: float, burst: int, reserve: int) -> None:
    with pytest.raises(ValueError):
        Limiter(rate, burst, reserve)


@given(
    st.integers(2, 12),
    st.integers(1, 12),
    st.integers(0, 4),
    st.lists(st.tuples(st.floats(0, 0.4), st.booleans()), min_size=1, max_size=120),
)
def test_no_sliding_second_ever_holds_more_than_the_budget(rate: int, burst: int, reserve: int, calls: list[tuple[float, bool]]) -> None:
    reserve = min(reserve, rate - 1)
    limiter, clock = Limiter(rate, burst, reserve), Clock()
    sent: list[tuple[float, bool]] = []
    for pause, is_exit in calls:
        clock.now += pause
        clock.pass_until_free(limiter, is_exit=is_exit)
        sent.append((clock.now, is_exit))
    for index, (at, is_exit) in enumerate(sent):
        within = [t for t, _ in sent[: index + 1] if t > at - 1.0 + 1e-9]
        assert len(within) <= rate
        if not is_exit:
            assert len(within) <= rate - reserve
        close = [t for t, _ in sent[: index + 1] if t > at - min(burst, rate) / rate + 1e-9]
        assert len(close) <= min(burst, rate)


@given(st.lists(st.floats(0, 0.3), max_size=60))
def test_an_exit_never_waits_longer_than_it_would_behind_entries_alone(pauses: list[float]) -> None:
    limiter, clock = Limiter(8, burst=8, exit_reserve=2), Clock()
    for pause in pauses:
        clock.now += pause
        clock.pass_until_free(limiter)
    assert limiter.wait(clock.now, exit=True) == 0.0
    assert limiter.wait(clock.now, exit=True) == 0.0


def test_longer_windows_hold_too_and_keep_a_tenth_for_exits() -> None:
    limiter, clock = Limiter(10, burst=10, windows=((20, 60.0),)), Clock()
    taken = 0
    while clock.now < 159.0 and limiter.wait(clock.now) == 0.0:
        taken += 1
        clock.now += 0.2
    assert taken == 18
    assert limiter.wait(clock.now) > 50
    assert [limiter.wait(clock.now, exit=True) for _ in range(2)] == [0.0, 0.0]
    assert limiter.wait(clock.now, exit=True) > 50
