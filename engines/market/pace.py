"""How fast a replay goes: its speed, pauses and single steps, which a person may change at any moment from another thread.

It only makes a feed wait. What is played, and in which order, never depends on it.
"""

from __future__ import annotations

import threading

from engines.core.model import Timestamp
from engines.ports import Clock


class Pace:
    """`speed`: 1 real, N times as fast, 0 as fast as it is taken."""

    def __init__(self, speed: float, clock: Clock) -> None:
        if not speed >= 0:
            raise ValueError(f"speed cannot be {speed}")
        self._clock = clock
        self._changed = threading.Condition()
        self._speed = speed
        self._paused = False
        self._until = -float("inf")  # while paused, moments up to here may still pass
        self._stopping = False
        self._due = clock.monotonic()

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused

    def set_speed(self, speed: float) -> None:
        if not speed >= 0:
            raise ValueError(f"speed cannot be {speed}")
        self._change(speed=speed)

    def pause(self) -> None:
        self._change(paused=True, until=-float("inf"))

    def go_on(self) -> None:
        self._change(paused=False, until=-float("inf"))

    def step(self, now: Timestamp, seconds: float) -> None:
        """Play on by so many replayed seconds and pause there; steps that are asked for while one is under way add up."""
        with self._changed:
            begun = max(now, self._until) if self._paused else now
        self._change(paused=True, until=begun + seconds)

    def begin(self) -> None:
        """A feed begins (again) to play."""
        with self._changed:
            self._stopping, self._due = False, self._clock.monotonic()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        return self._stopping

    def wait(self, at: Timestamp, gap: float) -> bool:
        """Until the moment `at` may be played, `gap` replayed seconds after the one before. False: stop instead."""
        with self._changed:
            while not self._stopping:
                if self._paused and at > self._until:
                    self._changed.wait()
                    self._due = self._clock.monotonic()
                    continue
                target = self._due + (gap / self._speed if self._speed and not self._paused else 0.0)
                left = target - self._clock.monotonic()
                if left <= 0:
                    self._due = target
                    return True
                self._changed.wait(left)
        return False

    def _change(self, *, speed: float | None = None, paused: bool | None = None, until: Timestamp | None = None) -> None:
        with self._changed:
            self._speed = self._speed if speed is None else speed
            self._paused = self._paused if paused is None else paused
            self._until = self._until if until is None else until
            self._due = self._clock.monotonic()
            self._changed.notify_all()
