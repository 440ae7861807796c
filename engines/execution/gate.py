"""The gate of one account: the last question before bytes leave, asked under the lock that a stop must take.

A stop first puts its halt on the board, then passes through every gate. Whoever enters a gate afterwards sees the halt; whoever was
inside has finished writing. So once the stop is acknowledged, no exposure-raising order is written to any socket (law 4).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from engines.ports import Halted

Question = Callable[[], str | None]
"""Why the order may not leave now, or None when it may."""


class Gate:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    def permit(
        self, question: Question, leaving: Callable[[], None], left: Callable[[], None]
    ) -> Callable[[], AbstractContextManager[None]]:
        """A `ports.Permit`: entering asks the question and raises Halted with its answer. `leaving` is told just before the bytes are written,
        `left` when they have been, or when writing them failed."""

        @contextmanager
        def enter() -> Iterator[None]:
            with self._lock:
                why = question()
                if why is not None:
                    raise Halted(why)
                leaving()
                try:
                    yield
                finally:
                    left()

        return enter

    def pass_through(self, patience: float) -> bool:
        """Wait until nobody is writing; False when somebody still is after `patience` seconds (then cut that connection)."""
        if not self._lock.acquire(timeout=patience):
            return False
        self._lock.release()
        return True
