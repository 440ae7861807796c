"""Runs the jobs of the day's timetable: each once, caught up after a stop, and on record before it acts.

It knows when something is due and what became of it, never how it is done: the jobs themselves are handed in. Time comes from the clock that it is
given, so a replay drives it like the wall does; it has no thread (`engines.day.waker` wakes it on a real clock, the runtime steps it on any other).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from engines.core.facts import JobChanged
from engines.core.model import JobRun, RunState, Timestamp
from engines.core.sessions import DAY, HOME_EXCHANGE, midnight, session_day
from engines.core.timetable import Ended, Job, JobKind
from engines.ports import Clock, Journal, JournalDown

log = structlog.get_logger(__name__)

LOOK_EVERY = 2.0
"""Seconds between two looks at a job that is under way."""
HARMLESS = frozenset({JobKind.INSTRUMENTS, JobKind.LOG_INS, JobKind.END_OF_DAY})
"""Jobs that a person may begin at any moment: done twice they come to the same."""
_DAYS_BACK = 7


class Work(Protocol):
    """A job under way."""

    def step(self, now: Timestamp) -> Ended | None:
        """Go on, without waiting; what became of it once it is over. May be asked again after it has ended, when its runner stands guard."""
        ...


class Runner(Protocol):
    """Does the jobs of one kind. `stands`: having ended, its work is asked on until the job's last sensible moment."""

    @property
    def stands(self) -> bool: ...

    def begin(self, job: Job) -> Work:
        """Also for a job that was begun before a restart: looks at what is still to be done."""
        ...

    def missed(self, job: Job) -> str:
        """The job's time has passed for good: words for the record."""
        ...


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A runner for what is done in one go."""

    do: Callable[[Job], str]
    stands: bool = False

    def begin(self, job: Job) -> Work:
        return _Once(job, self.do)

    def missed(self, job: Job) -> str:  # noqa: ARG002 - the same words for all of them
        return "its time had passed"


@dataclass(frozen=True, slots=True)
class _Once:
    job: Job
    do: Callable[[Job], str]

    def step(self, now: Timestamp) -> Ended:  # noqa: ARG002 - in one go
        return Ended(RunState.DONE, self.do(self.job))


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timetable: the job, its record (None: still to come) and what a person has asked for since."""

    job: Job
    run: JobRun | None
    may_run_now: bool = False
    by_hand: JobRun | None = None


class CannotRunNow(ValueError):
    """The text says why."""


class DayClock:
    """Any thread may call it; `step` returns at once when nothing is due."""

    def __init__(
        self,
        *,
        clock: Clock,
        journal: Journal,
        timetable: Callable[[str], Sequence[Job]],
        on_trouble: Callable[[str, str, str, str | None], None],
        on_change: Callable[[Job, JobRun], None],
    ) -> None:
        """`timetable`: the jobs of an ISO date; `on_trouble`: kind, severity, message, account id."""
        self._clock, self._journal, self._timetable = clock, journal, timetable
        self._on_trouble, self._on_change = on_trouble, on_change
        self._lock = threading.RLock()
        self._runners: dict[JobKind, Runner] = {}
        self._runs: dict[tuple[str, str], JobRun] = {}
        self._work: dict[tuple[str, str], Work] = {}
        self._by_hand: dict[tuple[str, str], tuple[Job, Work, JobRun]] = {}
        self._plans: dict[str, Sequence[Job]] = {}
        self._open: set[str] = set()  # earlier days on record that are not over yet
        self._seen = 0.0
        self._next = 0.0

    # --- setting up

    def register(self, kind: JobKind, runner: Runner) -> None:
        """Jobs of a kind that nobody has registered are not part of this timetable."""
        with self._lock:
            self._runners[kind] = runner
            self._next = 0.0

    def restore(self, runs: Iterable[JobRun]) -> None:
        """What is on record of the newest days, before the first step."""
        with self._lock:
            self._runs = {(run.day, run.job): run for run in runs}
            self._open = {run.day for run in self._runs.values()}
            self._next = 0.0

    def changed(self) -> None:
        """Accounts, their rules or the calendar are others now."""
        with self._lock:
            self._plans.clear()
            self._next = 0.0

    # --- going on

    @property
    def next_at(self) -> Timestamp:
        """When the next step has something to do, as far as is known now; in the past: at once."""
        return self._next

    def step(self) -> None:
        now = self._clock.now()
        if self._seen <= now < self._next:
            return
        with self._lock:
            self._seen = now
            today = session_day(now, HOME_EXCHANGE)
            for day in self._days(today):
                for job in self._plan(day):
                    if job.kind in self._runners:
                        self._look(job, now)
            self._look_at_what_was_asked(now)
            self._close_days(today)
            self._next = self._when(today, now)

    def run_now(self, name: str) -> None:
        """A person wants a job of today done now, whatever the timetable says. LookupError, or CannotRunNow with the reason."""
        with self._lock:
            now = self._clock.now()
            today = session_day(now, HOME_EXCHANGE)
            job = next((job for job in self._plan(today) if job.name == name and job.kind in self._runners), None)
            if job is None:
                raise LookupError(name)
            key = (job.day, job.name)
            run = self._runs.get(key)
            if job.kind not in HARMLESS:
                raise CannotRunNow("this job runs at its own time only")
            asked_before = self._by_hand.get(key)
            states = (run.state if run else None, asked_before[2].state if asked_before else None)
            if RunState.STARTED in states:
                raise CannotRunNow("it is running already")
            asked = JobRun(job.day, job.name, RunState.STARTED, now, now, "by hand")
            self._by_hand[key] = (job, self._runners[job.kind].begin(job), asked)
            self._next = 0.0
            self._on_change(job, asked)

    # --- reading

    def entries(self, day: str | None = None) -> Sequence[Entry]:
        """A day's timetable (today's when none is said), in order of time."""
        with self._lock:
            now = self._clock.now()
            day = day or session_day(now, HOME_EXCHANGE)
            return [
                Entry(job, self._record_of(job, now), job.kind in HARMLESS, asked[2] if asked else None)
                for job in self._plan(day)
                if job.kind in self._runners
                for asked in (self._by_hand.get((day, job.name)),)
            ]

    def under_way(self, kind: JobKind) -> Job | None:
        """Today's job of this kind, when it has begun and its last sensible moment has not passed."""
        now = self._clock.now()
        with self._lock:
            day = session_day(now, HOME_EXCHANGE)
            for job in self._plan(day):
                run = self._runs.get((day, job.name)) if job.kind is kind else None
                if run is not None and run.state is not RunState.SKIPPED and now < job.until:
                    return job
        return None

    # --- one job (the lock is held)

    def _record_of(self, job: Job, now: Timestamp) -> JobRun | None:
        """What is on record of a job. One that was never begun because its time had passed is as good as new when its time is still to come after all:
        somebody has changed the calendar, or the machine's clock was put forward and back."""
        run = self._runs.get((job.day, job.name))
        return None if run is not None and run.state is RunState.SKIPPED and now < job.until else run

    def _look(self, job: Job, now: Timestamp) -> None:
        run = self._record_of(job, now)
        if run is None:
            if now < job.at:
                return
            if now >= job.until:
                self._record(job, RunState.SKIPPED, self._runners[job.kind].missed(job))
            elif self._claim(job, now):
                self._go_on(job, now)
        elif run.state is RunState.STARTED or (run.state is RunState.DONE and self._runners[job.kind].stands and job.at <= now < job.until):
            self._go_on(job, now)

    def _claim(self, job: Job, now: Timestamp) -> bool:
        """On record before anything is done: whoever comes after a crash finds it and begins nothing a second time."""
        run = JobRun(job.day, job.name, RunState.STARTED, job.at, now)
        try:
            self._journal.commit(JobChanged(run))
        except JournalDown:
            return False  # nothing is done that is not on record; the page says that the journal is down
        self._runs[job.day, job.name] = run
        log.info("job begins", job=job.name, day=job.day)
        self._on_change(job, run)
        return True

    def _go_on(self, job: Job, now: Timestamp) -> None:
        key = (job.day, job.name)
        try:
            work = self._work.get(key)
            if work is None:
                work = self._work[key] = self._runners[job.kind].begin(job)
            ended = work.step(now)
        except JournalDown:
            return
        except Exception as error:  # told as an incident; the other jobs have their turn
            log.exception("a job failed", job=job.name)
            self._work.pop(key, None)
            self._record(job, RunState.FAILED, f"{type(error).__name__}: {error}")
            self._on_trouble("job_failed", "critical", f"{job.name} of {job.day} failed: {error}", job.account_id)
            return
        if ended is None:
            return
        run = self._runs[key]
        if run.state is RunState.STARTED or (ended.acted and (ended.state, ended.detail) != (run.state, run.detail)):
            self._record(job, ended.state, ended.detail)
        if not self._runners[job.kind].stands:
            del self._work[key]

    def _record(self, job: Job, state: RunState, detail: str) -> None:
        run = JobRun(job.day, job.name, state, job.at, self._clock.now(), detail)
        self._runs[job.day, job.name] = run
        self._journal.append(JobChanged(run))
        log.info("job ended", job=job.name, day=job.day, state=state.value, detail=detail)
        self._on_change(job, run)

    def _look_at_what_was_asked(self, now: Timestamp) -> None:
        for key, (job, work, asked) in list(self._by_hand.items()):
            if asked.state is not RunState.STARTED:
                continue
            try:
                ended = work.step(now)
            except JournalDown as error:
                ended = Ended(RunState.FAILED, str(error))
            except Exception as error:  # shown to whoever asked for it
                log.exception("a job failed", job=job.name, by_hand=True)
                ended = Ended(RunState.FAILED, f"{type(error).__name__}: {error}")
            if ended is None:
                continue
            done = JobRun(job.day, job.name, ended.state, asked.planned_at, now, f"by hand: {ended.detail}")
            self._by_hand[key] = (job, work, done)
            run = self._runs.get(key)
            if run is not None and ended.state is RunState.DONE:  # its time has come already: this is what became of it
                self._record(job, ended.state, done.detail)
            else:
                self._on_change(job, done)

    # --- the days

    def _plan(self, day: str) -> Sequence[Job]:
        plan = self._plans.get(day)
        if plan is None:
            plan = self._plans[day] = self._timetable(day)
        return plan

    def _days(self, today: str) -> list[str]:
        """Earlier days that have something left to be done, and today."""
        return [*sorted(day for day in self._open if day < today)[-_DAYS_BACK:], today]

    def _close_days(self, today: str) -> None:
        self._open.add(today)
        for day in [day for day in self._open if day < today]:
            runs = [self._runs.get((day, job.name)) for job in self._plan(day) if job.kind in self._runners]
            if all(run is not None and run.state is not RunState.STARTED for run in runs):
                self._open.discard(day)
                self._plans.pop(day, None)
                for key in [key for key in self._work if key[0] == day]:
                    del self._work[key]
                for key in [key for key in self._by_hand if key[0] == day]:
                    del self._by_hand[key]

    def _when(self, today: str, now: Timestamp) -> Timestamp:
        """When to look again: at the next planned moment, soon while something is under way, and at the turn of the day."""
        soonest = midnight(today, HOME_EXCHANGE) + DAY
        if any(asked.state is RunState.STARTED for _, _, asked in self._by_hand.values()):
            return now + LOOK_EVERY
        for day in self._days(today):
            for job in self._plan(day):
                runner, run = self._runners.get(job.kind), self._record_of(job, now)
                if runner is None:
                    continue
                if run is None:
                    soonest = min(soonest, job.at if job.at > now else now + LOOK_EVERY)
                elif run.state is RunState.STARTED:
                    soonest = min(soonest, now + LOOK_EVERY)
                elif run.state is RunState.DONE and runner.stands and now < job.until:
                    soonest = min(soonest, max(now + LOOK_EVERY, job.at))  # its time is to come when the clock was put back
        return soonest
