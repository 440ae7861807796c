"""How many orders of all accounts are on their way to their brokers in this process: what is less urgent gives way to them.

A hint, not a lock: nothing depends on its being exact, and whoever gives way goes on after a moment whatever happens.
"""

from __future__ import annotations

import threading

PATIENCE = 0.06
"""Seconds for which news give way at most: they are told that much later in the worst case."""
_lock = threading.Lock()
_calm = threading.Event()
_calm.set()
_busy = 0


def begin() -> None:
    """An order leaves."""
    global _busy  # noqa: PLW0603 - one number for one process
    with _lock:
        _busy += 1
        if _busy == 1:
            _calm.clear()


def end() -> None:
    """Its answer is there, or will not come."""
    global _busy  # noqa: PLW0603
    with _lock:
        _busy -= 1
        if _busy == 0:
            _calm.set()


def give_way() -> None:
    """Of two things that happen at once, the answer to an order is booked first: fifty accounts' news must not stand between fifty answers."""
    _calm.wait(PATIENCE)
