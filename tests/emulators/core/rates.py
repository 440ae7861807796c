"""Published request limits, counted the way brokers count them: calls in each window of the server's own clock."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` of these calls in each `seconds` of wall time. Refused calls count as well."""

    calls: Collection[str]
    limit: int
    seconds: float


class Rates:
    def __init__(self, table: Collection[Rate]) -> None:
        self._table = tuple(table)
        self._counts: dict[tuple[int, str], tuple[int, int]] = {}

    def refused(self, scope: str, call: str, now: float) -> Rate | None:
        """Counts a call; the limit that it breaks."""
        broken = None
        for number, rate in enumerate(self._table):
            if call not in rate.calls:
                continue
            window = int(now // rate.seconds)
            at, count = self._counts.get((number, scope), (window, 0))
            count = count + 1 if at == window else 1
            self._counts[number, scope] = (window, count)
            if count > rate.limit:
                broken = broken or rate
        return broken
