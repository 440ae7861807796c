"""Watches for silence: no tick while the market is expected to trade is an incident, and its end is told too.

Pure: it is handed the time and the age of the newest tick and says what has changed; raising incidents and denying entries is for its caller.
"""

from __future__ import annotations

from enum import StrEnum


class Change(StrEnum):
    SILENT = "silent"  # since just now
    BACK = "back"  # ticks again, or nobody expects any


class StallWatchdog:
    def __init__(self, after: float = 5.0) -> None:
        """`after`: seconds of silence that are too many."""
        self.after = after
        self.silent = False
        self._expected_since: float | None = None

    def check(self, now: float, age: float | None, expected: bool) -> Change | None:
        """`now`: monotonic; `age`: seconds since the newest tick (None: never one); `expected`: is the market open and the feed not at its end.

        Silence is counted from when ticks began to be expected, so that the first second of a morning is not blamed for the night."""
        if not expected:
            self._expected_since = None
        elif self._expected_since is None:
            self._expected_since = now
        silent = False
        if self._expected_since is not None:
            waited = now - self._expected_since
            silent = (waited if age is None else min(age, waited)) > self.after
        if silent == self.silent:
            return None
        self.silent = silent
        return Change.SILENT if silent else Change.BACK
