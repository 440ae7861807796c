"""How many orders of all accounts are on their way to their brokers in this process: what is less urgent gives way to them.

A hint, not a lock: it is read without waiting and nothing depends on its being exact.
"""

from __future__ import annotations

import threading

_lock = threading.Lock()
busy = 0


def begin() -> None:
    global busy  # noqa: PLW0603 - one number for one process
    with _lock:
        busy += 1


def end() -> None:
    global busy  # noqa: PLW0603
    with _lock:
        busy -= 1
