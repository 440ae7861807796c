"""The stall watchdog: silence is told once, its end once, and a night is not silence."""

from __future__ import annotations

import pytest

from engines.market.watchdog import Change, StallWatchdog

S, B = Change.SILENT, Change.BACK


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # (time, age of the newest tick, expected) → what changed
        ([(0, 0.1, True), (4, 4.0, True), (6, 6.0, True), (7, 7.0, True), (8, 0.2, True), (9, 0.1, True)], [None, None, S, None, B, None]),
        ([(0, None, True), (5, None, True), (5.1, None, True)], [None, None, S]),  # a feed that never ticked
        ([(0, 50_000, False), (10, 50_010, True), (14, 50_014, True), (16, 50_016, True)], [None, None, None, S]),  # the morning's grace
        ([(0, 0.0, True), (6, 6.0, True), (7, 7.0, False), (8, 8.0, False)], [None, S, B, None]),  # nobody expects ticks any more
        ([(0, 0.0, True), (100, 100.0, False), (101, 101.0, True), (107, 107.0, True)], [None, None, None, S]),
    ],
)
def test_changes_are_told_once(looks: list[tuple[float, float | None, bool]], expected: list[Change | None]) -> None:
    watchdog = StallWatchdog(after=5.0)
    assert [watchdog.check(*look) for look in looks] == expected
    assert watchdog.silent == ([change for change in expected if change] or [B])[-1:].count(S)
