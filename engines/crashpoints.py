"""Named places where a test may kill the process, to prove that nothing is lost or doubled there. A no-op in production.

The variable TANDEM_CRASH_AT names one point; the first time the program reaches it, it dies as `kill -9` would.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "before-commit",
    "after-commit-before-queue",
    "in-lane-before-send",
    "after-send-before-answer",
    "after-answer-before-booking",
    "after-booking-before-durable",
    "after-fire-before-exit-commit",
    "after-halt-before-flatten",
)

_ARMED = os.environ.get("TANDEM_CRASH_AT", "")


def crash(point: str) -> None:
    """Die here without any clean-up when this point was asked for."""
    if point == _ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
