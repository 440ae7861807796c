"""Quiet hours by the clock on the wall, on the two nights of the year on which that clock is set."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engines.core.messages import Event, Quiet
from engines.notify.quiet import not_before

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "end", "now", "until"),
    [
        ("02:00", "03:00", "2026-03-29T12:00", None),  # the hour that summer time skips
        ("02:15", "03:00", "2026-03-29T12:00", None),
        ("02:15", "03:00", "2026-03-29T01:59", None),
        ("01:00", "03:30", "2026-03-29T01:30", "2026-03-29T03:30"),
        ("22:00", "02:30", "2026-03-29T01:30", "2026-03-29T03:30"),  # 02:30 by the clock before it was set
        ("22:00", "07:00", "2026-03-28T23:00", "2026-03-29T07:00"),
        ("22:00", "07:00", "2026-10-24T23:00", "2026-10-25T07:00"),
        ("02:15", "02:45", "2026-10-25T12:00", None),  # the hour that comes twice
        ("22:00", "07:00", "2026-10-25T12:00", None),
    ],
)
def test_quiet_hours_end_when_the_clock_says_so(start: str, end: str, now: str, until: str | None) -> None:
    at = _moment(now)
    assert not_before(Event.SUMMARIES, Quiet(start, end, "Europe/Berlin"), at) == (at if until is None else _moment(until))


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()
