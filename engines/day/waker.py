"""Wakes the clock of the day at its planned moments on a real clock, with APScheduler; a replay needs none of this, it steps the clock itself.

The scheduler holds one alarm only: when to look next. What is due and what has been done is the clock's own record, so a wake too many does nothing; and
because the clock is looked at with every heartbeat too, a machine whose time is put forward or back loses nothing and repeats nothing.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from engines.day.clock import DayClock
from engines.ports import Clock

if TYPE_CHECKING:
    from apscheduler.schedulers.base import BaseScheduler

BEAT = 1.0


class Watched(Protocol):
    """The supervised thread that this runs on."""

    @property
    def stopping(self) -> bool: ...

    def beat(self) -> None: ...


class Waker:
    def __init__(self, day: DayClock, clock: Clock) -> None:
        self._day, self._clock = day, clock
        self._planned: float | None = None
        self._alarm = threading.Event()

    def wake(self) -> None:
        """Look now; from any thread."""
        self._alarm.set()

    def run(self, worker: Watched) -> None:
        """Until the worker is asked to stop. An error of a step ends it, so that the supervisor notices, tells and starts it again."""
        from apscheduler.executors.debug import DebugExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        scheduler = BackgroundScheduler(executors={"default": DebugExecutor()}, timezone=UTC, daemon=True)
        logging.getLogger("apscheduler").setLevel(logging.WARNING)  # each alarm would be a line
        scheduler.start()
        self._planned = None
        try:
            while not worker.stopping:
                worker.beat()
                self._day.step()
                self._plan(scheduler)
                self._alarm.wait(BEAT)
                self._alarm.clear()
        finally:
            scheduler.shutdown(wait=True)

    def _plan(self, scheduler: BaseScheduler) -> None:
        """The alarm at the next moment that is known, set anew when that moment has moved."""
        wanted = self._day.next_at
        if wanted != self._planned:
            self._planned = wanted
            scheduler.remove_all_jobs()
            at = datetime.fromtimestamp(max(wanted, self._clock.now()) + 0.001, UTC)  # a microsecond early would be a look for nothing
            scheduler.add_job(self._alarm.set, "date", run_date=at, misfire_grace_time=None)
