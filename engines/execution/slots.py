"""Turns to prepare and write an order: how many lanes do so at the same moment."""

from __future__ import annotations

import queue

AT_ONCE = 6
"""Lanes that prepare and write an order at the same moment. Two hundred that are awake at once spend their time handing the interpreter round:
with a few at a time the last one has written sooner (measured: 4 to 6; with 8 and more the gain is gone, with 1 or 2 it is no better)."""
SLOT_PATIENCE = 0.05


class Slot:
    """One turn to write; given back once, however often that is asked."""

    def __init__(self, tokens: queue.SimpleQueue[None], taken: bool) -> None:
        self._tokens = tokens
        self._taken = taken

    def give_back(self) -> None:
        if self._taken:
            self._taken = False
            self._tokens.put(None)


class Slots:
    """Advisory: a lane that gets no turn in time goes on without one, so that one that hangs never delays another (law 5)."""

    def __init__(self, count: int) -> None:
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(count):
            self._tokens.put(None)

    def take(self) -> Slot:
        try:
            self._tokens.get(timeout=SLOT_PATIENCE)
        except queue.Empty:
            return Slot(self._tokens, taken=False)
        return Slot(self._tokens, taken=True)
