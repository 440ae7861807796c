"""What a lane is given to do: the shape of a job, and what becomes of one when the lane dies of it."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from engines.execution.lane import Lane


class AfterDeath(Enum):
    """Whether a job is begun anew when the lane has died of it."""

    GONE = "gone"  # never: what it was at is unknown, or whoever asked asks again
    ANEW = "anew"  # it looks at what there is and asks only for what is still wanted
    ANEW_IF_UNMADE = "anew, if no order had been made"  # else it would ask for more than was wanted; each order is looked for by itself


class Job(Protocol):
    """Something the lane does for its account. `urgent` jobs (exits, cancels, stops) go before all others."""

    urgent: bool
    after_death: ClassVar[AfterDeath]

    def run(self, lane: Lane) -> None: ...


class Connecting(Job, Protocol):
    """The job that signs in; `done` when it has come to a verdict."""

    done: threading.Event
