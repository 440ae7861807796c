"""Wakes the clock of the day at its planned moments on a real clock, with APScheduler; a replay needs none of this, it steps the clock itself.

The scheduler holds one thing only: when to look next. What is due and what has been done is the clock's own record, so that a wake too many does nothing
and a machine whose clock is put forward or back loses nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from engines.day.clock import DayClock
from engines.ports import Clock

if TYPE_CHECKING:
    from apscheduler.events import JobExecutionEvent
    from apscheduler.schedulers.background import BackgroundScheduler

BEAT = 1.0
JUMPED = 1.0
"""Seconds by which wall time may part from the machine's steady time between two beats before the clock counts as put forward or back."""
_LOOK = "look"


class Watched(Protocol):
    """The supervised thread that this runs on."""

    def beat(self) -> None: ...

    def pause(self, seconds: float) -> bool: ...


class Waker:
    def __init__(self, day: DayClock, clock: Clock) -> None:
        self._day, self._clock = day, clock
        self._planned: float | None = None
        self._error: BaseException | None = None

    def run(self, worker: Watched) -> None:
        """Until the worker is asked to stop. An error of a step ends it, so that the supervisor notices, tells and starts it again."""
        from apscheduler.events import EVENT_JOB_ERROR
        from apscheduler.executors.debug import DebugExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        self._error, self._planned = None, None
        scheduler = BackgroundScheduler(executors={"default": DebugExecutor()}, timezone=UTC, daemon=True)
        scheduler.add_listener(self._failed, EVENT_JOB_ERROR)
        scheduler.start()
        try:
            ahead = self._ahead()
            self._plan(scheduler, at_once=True)
            while not worker.pause(BEAT):
                worker.beat()
                if self._error is not None:
                    raise self._error
                jumped = abs(self._ahead() - ahead) > JUMPED
                ahead = self._ahead()
                self._plan(scheduler, at_once=jumped)
        finally:
            scheduler.shutdown(wait=True)

    def _ahead(self) -> float:
        return self._clock.now() - self._clock.monotonic()

    def _plan(self, scheduler: BackgroundScheduler, *, at_once: bool = False) -> None:
        """One wake at the next moment that is known; planned anew when that moment has moved."""
        wanted = self._clock.now() if at_once else self._day.next_at
        if wanted == self._planned:
            return
        self._planned = wanted
        at = datetime.fromtimestamp(max(wanted, self._clock.now()), UTC)
        scheduler.add_job(self._look, "date", (scheduler,), run_date=at, id=_LOOK, replace_existing=True, misfire_grace_time=None)

    def _look(self, scheduler: BackgroundScheduler) -> None:
        self._day.step()
        self._planned = None  # this wake is over, and may have come a microsecond early
        self._plan(scheduler)

    def _failed(self, event: JobExecutionEvent) -> None:
        self._error = event.exception
