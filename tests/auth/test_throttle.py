"""Guessing is slow, knowing is not; with a clock in hand."""

from __future__ import annotations

from app.auth.throttle import MOST_KEYS, Throttle


class Clock:
    at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def test_so_many_failures_then_wait_for_the_oldest_to_pass() -> None:
    clock = Clock()
    throttle = Throttle(clock, most=3, window=60)
    for at in (0, 10, 20):
        clock.at = at
        assert throttle.wait("k") == 0
        throttle.failed("k")
    assert throttle.wait("k") == 40
    assert throttle.wait("another") == 0
    clock.at = 60
    assert throttle.wait("k") == 0
    throttle.failed("k")
    assert throttle.wait("k") == 10


def test_success_forgives() -> None:
    throttle = Throttle(Clock(), most=1, window=60)
    throttle.failed("k")
    throttle.succeeded("k")
    assert throttle.wait("k") == 0


def test_memory_is_bounded_under_attack() -> None:
    clock = Clock()
    throttle = Throttle(clock, most=2, window=60)
    for number in range(MOST_KEYS + 500):
        throttle.failed(f"k{number}")
    assert len(throttle._failures) <= MOST_KEYS
    clock.at = 61
    throttle.failed("new")
    assert throttle.wait("new") == 0
