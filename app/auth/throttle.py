"""Slows down guessing: at most so many tries in a sliding window for each key, kept in memory.

Only failures are recorded, so that people who know their password never wait. It knows nothing of users or requests.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice

from engines.ports import Clock

MOST_KEYS = 10_000


class Throttle:
    def __init__(self, clock: Clock, *, most: int, window: float) -> None:
        self._clock = clock
        self._most = most
        self._window = window
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def wait(self, key: str) -> float:
        """Seconds until the next try is allowed; 0: now."""
        now = self._clock.monotonic()
        with self._lock:
            failures = self._failures.get(key)
            if not failures:
                return 0.0
            while failures and failures[0] <= now - self._window:
                failures.popleft()
            return failures[0] + self._window - now if len(failures) >= self._most else 0.0

    def failed(self, key: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if len(self._failures) >= MOST_KEYS and key not in self._failures:
                self._forget_old(now)
            self._failures.setdefault(key, deque(maxlen=self._most)).append(now)

    def succeeded(self, key: str) -> None:
        with self._lock:
            self._failures.pop(key, None)

    def _forget_old(self, now: float) -> None:
        keep = {k: v for k, v in self._failures.items() if v and v[-1] > now - self._window}
        surplus = max(0, len(keep) - MOST_KEYS * 9 // 10)  # under attack from everywhere the longest known go first, a tenth at a time
        self._failures = dict(islice(keep.items(), surplus, None))
