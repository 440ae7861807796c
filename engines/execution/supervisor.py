"""Threads that are watched: each has a name, a heartbeat and a place where its death is noticed and told.

A thread that dies is started again with growing pauses, and every death is an incident; no exception ends a loop silently. The
supervisor never decides about orders: a lane that comes back finds its in-flight order as unknown and asks the broker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from engines.execution.views import ThreadStatus
from engines.ports import Clock

log = structlog.get_logger(__name__)

Loop = Callable[["Worker"], None]
"""Runs until `worker.stopping`; calls `worker.beat()` at least every second or two."""


class Worker:
    """One watched thread."""

    def __init__(
        self,
        name: str,
        loop: Loop,
        clock: Clock,
        depth: Callable[[], int] = lambda: 0,
        patience: float = 10.0,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.depth = depth
        self._wake = wake
        self.patience = patience
        self.deaths = 0
        self.detail = ""
        self.stuck = False
        self._loop = loop
        self._clock = clock
        self._beat_at = clock.monotonic()
        self._stop = threading.Event()
        self._start_lock = threading.Lock()
        self.starting = True  # until its first start has come to something, and during each later one: neither alive nor dead
        self._thread: threading.Thread | None = None
        self.restart_at = 0.0

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def beat(self) -> None:
        self._beat_at = self._clock.monotonic()

    def pause(self, seconds: float) -> bool:
        """Wait, but not past a stop; True when stopping."""
        return self._stop.wait(seconds)

    def start(self) -> None:
        """RuntimeError when the machine has no thread to give. One that runs is not started a second time."""
        with self._start_lock:
            if self.alive:
                return
            self.starting = True
            try:
                self.beat()
                thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                thread.start()
                self._thread = thread  # only now: nobody can wait for the end of one that never began
            finally:
                self.starting = False

    def ask_to_stop(self) -> None:
        self._stop.set()
        self._wake()

    def join(self, timeout: float) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def age(self) -> float:
        return self._clock.monotonic() - self._beat_at

    def status(self) -> ThreadStatus:
        if self.stopping:
            state = "stopped"
        elif not self.alive:
            state = "restarting" if self.deaths else "off"
        else:
            state = "stuck" if self.stuck else "running"
        return ThreadStatus(state, int(self.age() * 1000), self.depth(), self.detail)

    def _run(self) -> None:
        try:
            self._loop(self)
        except Exception as error:  # the one place where a thread's death is caught: it is counted, told and mended
            self.deaths += 1
            self.detail = f"{type(error).__name__}: {error}"
            log.exception("thread died", thread=self.name)


@dataclass(frozen=True, slots=True)
class Death:
    """A thread that died or stopped beating, as told to whoever raises incidents."""

    name: str
    stuck: bool
    detail: str
    over: bool = False


class Supervisor:
    """Starts workers, restarts the dead, and reports each death and each stuck thread once."""

    def __init__(self, clock: Clock, on_death: Callable[[Death], None]) -> None:
        self._clock = clock
        self._on_death = on_death
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}
        self._reported: set[str] = set()

    def add(
        self,
        name: str,
        loop: Loop,
        depth: Callable[[], int] = lambda: 0,
        patience: float = 10.0,
        wake: Callable[[], None] = lambda: None,
    ) -> Worker:
        """`wake` ends a wait of the loop early, so that a stop does not have to sit it out. A worker of the same name is replaced. One that cannot be
        started now counts as dead, and is started again like any other."""
        worker = Worker(name, loop, self._clock, depth, patience, wake)
        with self._lock:
            before = self._workers.get(name)
            self._workers[name] = worker
        self._let_go(before)
        try:
            worker.start()
        except RuntimeError as error:  # the machine has no thread to give
            worker.detail = str(error)
        return worker

    def remove(self, name: str) -> None:
        with self._lock:
            worker = self._workers.pop(name, None)
        self._let_go(worker)

    def _let_go(self, worker: Worker | None) -> None:
        """Its death or its hanging is over with it."""
        if worker is None:
            return
        worker.ask_to_stop()
        self._tell_back(worker)
        if worker.stuck:
            worker.stuck = False
            self._on_death(Death(worker.name, stuck=True, detail="", over=True))

    def workers(self) -> dict[str, Worker]:
        with self._lock:
            return dict(self._workers)

    def check(self) -> None:
        """Look after every thread once; called about twice a second by the supervisor's own thread."""
        for worker in self.workers().values():
            self._look_after(worker)

    def look_after(self, name: str) -> None:
        """As `check`, after one thread: for whoever watches the supervisor's own."""
        worker = self.workers().get(name)
        if worker is not None:
            self._look_after(worker)

    def _look_after(self, worker: Worker) -> None:
        """Whatever fails here is the matter of one thread, and is tried at the next look."""
        if worker.stopping or worker.starting:
            return
        try:
            if not worker.alive:
                self._mend(worker, self._clock.monotonic())
            else:
                self._watch(worker)
                self._tell_back(worker)  # it was replaced while it was dead
        except Exception:
            log.exception("thread not looked after", thread=worker.name)

    def _mend(self, worker: Worker, now: float) -> None:
        if worker.name not in self._reported:
            self._reported.add(worker.name)
            worker.restart_at = now + min(0.1 * 2 ** min(worker.deaths, 8), 30.0)
            self._on_death(Death(worker.name, stuck=False, detail=worker.detail))
        elif now >= worker.restart_at:
            worker.start()
            self._tell_back(worker)

    def _tell_back(self, worker: Worker) -> None:
        if worker.name in self._reported:
            self._reported.discard(worker.name)
            self._on_death(Death(worker.name, stuck=False, detail=worker.detail, over=True))

    def _watch(self, worker: Worker) -> None:
        stuck = worker.age() > worker.patience
        if stuck != worker.stuck:
            worker.stuck = stuck
            self._on_death(Death(worker.name, stuck=True, detail=f"no heartbeat for {worker.age():.0f} s", over=not stuck))

    def stop(self, patience: float) -> None:
        workers = list(self.workers().values())
        for worker in workers:
            worker.ask_to_stop()
        deadline = self._clock.monotonic() + patience
        for worker in workers:
            worker.join(max(0.0, deadline - self._clock.monotonic()))
