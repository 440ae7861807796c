"""A broker's published limits on reads as a table, and who may go next: shared by the lane and the update worker of one key, from any thread.

It reserves a moment and waits for it; it never lets a window hold more calls than the table says. Order calls are the lane's own limiter's business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.ports import Clock, Retry


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` in any sliding window of `seconds`."""

    calls: int
    seconds: float


class Budget:
    """`take("orders")` returns when the call may leave; calls without limits of their own share those of `others`. `reserve` leaves so many calls
    of each window unused: background reads give way to what a person or a lane waits for."""

    def __init__(self, limits: Mapping[str, Sequence[Limit]], clock: Clock, *, others: Sequence[Limit] = ()) -> None:
        self._limits = dict(limits)
        self._others = tuple(others)
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: dict[str, deque[float]] = {}
        self._closed_until = 0.0
        self._wake = threading.Event()

    def take(self, call: str, *, patience: float = 5.0, reserve: int = 0) -> None:
        """Waits for the call's turn. Raises Retry, with the seconds to wait, when the turn lies further away than `patience`."""
        until = self._clock.monotonic() + patience
        while (wait := self.wait(call, patience=until - self._clock.monotonic(), reserve=reserve)) > 0:
            if self._wake.wait(wait):
                raise Retry("the connection is being closed")
            if not reserve:
                return

    def wait(self, call: str, *, patience: float = float("inf"), reserve: int = 0) -> float:
        """In how many seconds the call may leave. The moment is taken with the answer, except with a `reserve`: whoever gives way takes nothing before
        its moment has come (0.0), and asks again then."""
        bucket = call if call in self._limits else ""
        limits = self._limits.get(call, self._others)
        with self._lock:
            now = self._clock.monotonic()
            earliest = max(now, self._closed_until)
            taken = self._taken.setdefault(bucket, deque(maxlen=max((limit.calls for limit in limits), default=1)))
            for limit in limits:
                count = max(1, limit.calls - reserve)
                if len(taken) >= count:
                    earliest = max(earliest, taken[-count] + limit.seconds)
            if limits and taken:
                earliest = max(earliest, taken[-1])  # in the order in which they were asked for
            if earliest - now > max(patience, 0.0):
                raise Retry("the broker's published rate is used up", after=earliest - now)
            if not reserve or earliest <= now:
                taken.append(earliest)
            return earliest - now

    def hold(self, seconds: float) -> None:
        """The broker has said "too many requests": nobody goes before this is over."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    def close(self) -> None:
        """Whoever waits is let go with Retry."""
        self._wake.set()

    def open(self) -> None:
        self._wake.clear()
