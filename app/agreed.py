"""Looks each minute whether a consent has run out, and has the engines act on what was switched off. A thread that is watched like any other.

It decides nothing: whether somebody still agrees is said by `app.data`. Nothing is ever switched on here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from app.data import Data
from engines.execution.supervisor import Supervisor, Worker
from engines.ports import JournalDown

EVERY = 60.0
BEAT = 2.0
NAME = "consents"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsentWatch:
    """`taken_over` makes the engines read accounts again, before the next signal; `take_back` cancels the entries that still wait on an account."""

    data: Data
    taken_over: Callable[[], None]
    take_back: Callable[[str], object]
    ended: list[str] = field(default_factory=list)  # accounts that were switched off, until what waited on them is taken back

    def start(self, supervisor: Supervisor) -> None:
        supervisor.add(NAME, self.loop)

    def loop(self, worker: Worker) -> None:
        self.ended.extend(self.data.unagreed)  # ran out while nobody looked: it was switched off before the engines started
        self.data.unagreed = ()
        waited = EVERY
        while not worker.stopping:
            worker.beat()
            if waited >= EVERY:
                waited = 0.0
                self.look()
            worker.pause(BEAT)
            waited += BEAT

    def look(self) -> tuple[str, ...]:
        """The accounts that were switched off. While the database cannot be written entries are stopped anyway; the next look comes in a minute. Where
        taking over or taking back fails, the next look does it: a consent runs out only once."""
        before = len(self.ended)
        with suppress(JournalDown):
            for account_id in self.data.consents.run_out():
                self.ended.append(account_id)
        ended = tuple(self.ended[before:])
        if ended:
            log.warning("consents ran out: auto-trade is off on %d account(s)", len(ended))
        if self.ended:
            self.taken_over()
        while self.ended:
            self.take_back(self.ended[0])
            del self.ended[0]
        return ended
