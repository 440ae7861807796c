"""What waits for an account's lane, and the gate that its orders leave through: both belong to the account and outlive every connection of it.

A lane that is replaced leaves everything here, also what it still puts in while it ends; whoever serves the account next takes it from here. Only
one lane at a time takes, and while there is none, whatever comes waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from engines.execution.gate import Gate

if TYPE_CHECKING:
    from engines.execution.lane import Lane
    from engines.execution.work import Job


class Mailbox:
    def __init__(self) -> None:
        self.gate = Gate()
        self.lock = threading.Lock()
        self.reader: Lane | None = None
        self.urgent: deque[Job] = deque()
        self.normal: deque[Job] = deque()
        self.later: list[tuple[float, Job]] = []
        self._hands: dict[Lane, Job] = {}  # what a lane is at; one that was replaced may still be at its last
        self._placing: set[str] = set()
        self.askers = 0  # how often somebody has begun to ask the broker what became of orders

    def put(self, job: Job) -> None:
        with self.lock:
            (self.urgent if job.urgent else self.normal).append(job)
        self._wake()

    def put_later(self, job: Job, due: float) -> None:
        with self.lock:
            self.later.append((due, job))
        self._wake()

    def _wake(self) -> None:
        reader = self.reader  # read after the job is in: a lane that begins now looks into the box by itself
        if reader is not None:
            reader.wake()

    def take(self, reader: Lane, now: float) -> Job | None:
        """The next job, for the lane that serves the account now. Later jobs that are due first become ordinary ones."""
        with self.lock:
            if self.reader is not reader:
                return None
            if self.later:
                due = [entry for entry in self.later if entry[0] <= now]
                for entry in due:
                    self.later.remove(entry)
                    (self.urgent if entry[1].urgent else self.normal).append(entry[1])
            queue = self.urgent or self.normal
            if not queue:
                return None
            self._hands[reader] = queue[0]
            return queue.popleft()

    def put_down(self, reader: Lane) -> None:
        """The lane is done with what it took."""
        with self.lock:
            self._hands.pop(reader, None)

    def claim(self, order_id: str) -> bool:
        """An order is in the hands of one lane at a time: one that is replaced may still be at it."""
        with self.lock:
            if order_id in self._placing:
                return False
            self._placing.add(order_id)
            return True

    def release(self, order_id: str) -> None:
        with self.lock:
            self._placing.discard(order_id)

    def serve(self, reader: Lane, first: Job | None) -> None:
        """From now on this lane takes, `first` before all that waits."""
        with self.lock:
            self.reader = reader
            if first is not None:
                self.urgent.appendleft(first)
        reader.wake()

    def leave(self, reader: Lane) -> None:
        with self.lock:
            if self.reader is reader:
                self.reader = None

    def forget(self, whether: Callable[[Job], bool]) -> None:
        with self.lock:
            for waiting in (self.urgent, self.normal):
                kept = [job for job in waiting if not whether(job)]
                waiting.clear()
                waiting.extend(kept)
            self.later[:] = [entry for entry in self.later if not whether(entry[1])]

    def waiting(self) -> list[Job]:
        with self.lock:
            return [*self.urgent, *self.normal, *(job for _, job in self.later)]

    def at_work(self) -> list[Job]:
        """What waits and what lanes are at: a job that is neither has ended, or was lost."""
        with self.lock:
            return [*self._hands.values(), *self.urgent, *self.normal, *(job for _, job in self.later)]

    @property
    def soonest(self) -> float | None:
        with self.lock:
            return min((at for at, _ in self.later), default=None)

    def depth(self) -> int:
        return len(self.urgent) + len(self.normal)
