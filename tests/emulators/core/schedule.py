"""Seeded schedules of faults: the same seed brings the same trouble in the same order, on every machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from tests.emulators.core.faults import Fault

WRITE_FAULTS = (
    Fault.LOST,
    Fault.BOOKED_NO_ANSWER,
    Fault.BOOKED_THEN_RESET,
    Fault.TIMED_OUT_BOOKED_LATER,
    Fault.RATE_LIMITED,
    Fault.SERVER_ERROR_HTML,
    Fault.SERVER_ERROR_BOOKED,
    Fault.MALFORMED_JSON,
    Fault.SLOW,
    Fault.REJECTED_LATER,
    Fault.PARTIAL_FILLS,
)
OTHER_FAULTS = (
    Fault.LATE_UPDATES,
    Fault.REPEATED_UPDATES,
    Fault.SHUFFLED_UPDATES,
    Fault.NO_UPDATES,
    Fault.EARLY_UPDATES,
    Fault.EMPTY_ORDER_BOOK,
    Fault.BOOK_FAILS,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of a schedule: the arguments of `Emulator.fault`."""

    fault: Fault
    on: str
    times: int
    seconds: float


class Schedule:
    @staticmethod
    def random(
        seed: int, count: int = 20, *, faults: Collection[Fault] = WRITE_FAULTS + OTHER_FAULTS, longest: float = 0.3, cancels: bool = True
    ) -> list[Planned]:
        """`count` faults; writes mostly meet theirs on place, sometimes on cancel. No wait is longer than `longest` seconds."""
        rng = Random(seed)
        choices = sorted(faults)
        plan = []
        for _ in range(count):
            fault = rng.choice(choices)
            on = "cancel" if cancels and fault in WRITE_FAULTS and rng.random() < 0.15 else "place"
            plan.append(Planned(fault, on, rng.choice((1, 1, 1, 2)), round(rng.uniform(0.02, longest), 3)))
        return plan
