"""The dispatcher: a few threads that take what is due from the outbox, send it, and write down what came of it.

One request for each target at a time, in the order in which it was told; a target that is slow or gone holds up no other. Nothing is sent
that was not claimed durably, and nothing more for a target before the outcome is durable.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from engines.core.model import Timestamp
from engines.notify.answers import Answer, Fate, Sender
from engines.notify.backoff import Chance, settle
from engines.notify.outbox import MAILS, Batch, Channel, Due, Health, Outbox, Outcome, Verdict
from engines.ports import Clock, JournalDown

log = logging.getLogger("tandem.notify")

WORKERS = 6
"""One for each of those in _HELD_BY, and two that are left over."""
SPARES = 3
"""In place of as many workers whose requests hang: so the others of their provider need not wait until the time-out."""
HANGS = 3.0  # seconds after which a request is said to
GATHER = 1.0  # seconds that the first of a burst waits for the rest of it
POLL = 1.0  # seconds after which is looked in any case: a wake-up may be lost, a row may not
SWEEP = 60.0
TIDY = 3600.0
TROUBLED = 3  # failures in a row of the whole mail server after which the owner is told


_HELD_BY = {Channel.DISCORD: "discord", Channel.TELEGRAM: "telegram", Channel.EMAIL: "mail", Channel.MAIL: "mail", None: "errand"}
"""Who it is that hangs when one of this channel does: both kinds of mail go to one server, an errand asks whomever it asks."""
_ERRAND = ""  # the target of a worker on an errand


class Worker(Protocol):
    """What a thread is given by whoever watches it."""

    @property
    def stopping(self) -> bool: ...

    def beat(self) -> None: ...


class Errand:
    """Something asked of a messenger on behalf of a page, done by a worker: `result` or `error` once it is `done`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.result: Any = None
        self.error: Exception | None = None
        self._done = threading.Event()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, timeout: float) -> bool:
        return self._done.wait(timeout)

    def run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:
            self.error = error
        finally:
            self._done.set()


class _Turn(NamedTuple):
    """A request that is under way: by whom it may be held up, whether its target is well, and since when."""

    held_by: str
    well: bool
    since: float

    @property
    def place(self) -> tuple[str, bool]:
        return self.held_by, self.well


@dataclass(slots=True)
class _State:
    """What the workers share; only touched with the lock held."""

    agenda: dict[str, Due] = field(default_factory=dict)
    busy: dict[str, _Turn] = field(default_factory=dict)  # by target
    served: dict[str, int] = field(default_factory=dict)  # target → when it had its turn last, in turns
    singly: dict[str, int] = field(default_factory=dict)  # target → how many are to be sent one by one
    closed: dict[Channel, Timestamp] = field(default_factory=dict)  # the whole channel was asked to wait
    rests: dict[str, Timestamp] = field(default_factory=dict)  # target → there was nothing for it after all: until when it is not looked at
    orphaned: set[str] = field(default_factory=set)  # something of these was claimed, perhaps, and then it went wrong
    turns: int = 0
    looked_at: float | None = None
    swept_at: float | None = None
    tidied_at: float | None = None
    stale: bool = True


class Dispatcher:
    """`on_trouble(kind, severity, words)` and `on_clear(kind)`: told when mail cannot be sent at all."""

    def __init__(
        self,
        outbox: Outbox,
        senders: Mapping[Channel, Sender],
        clock: Clock,
        chance: Chance,
        *,
        gather: float = GATHER,
        poll: float = POLL,
        on_trouble: Callable[[str, str, str], None] | None = None,
        on_clear: Callable[[str], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._senders = senders
        self._clock = clock
        self._chance = chance
        self._gather = gather
        self._poll = poll
        self._on_trouble = on_trouble
        self._on_clear = on_clear
        self._lock = threading.Condition()
        self._state = _State()
        self._errands: deque[Errand] = deque()
        self._mails = Verdict()  # the health of the mails to addresses of their own: no row keeps it
        self._mail_failures = 0
        self._recovered = False

    # --- what others call -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something may be due; returns at once."""
        with self._lock:
            self._state.stale = True
            self._lock.notify_all()

    def ask(self, work: Callable[[], Any]) -> Errand:
        """Has a worker do it, one after the other, before anything else that waits."""
        errand = Errand(work)
        with self._lock:
            self._errands.append(errand)
            self._lock.notify()
        return errand

    def depth(self) -> int:
        """Targets with something due, as far as was looked."""
        return len(self._state.agenda)

    def close(self) -> None:
        for sender in set(self._senders.values()):
            sender.close()

    def loop(self, worker: Worker) -> None:
        """What each of the workers runs until it is to stop."""
        while not worker.stopping:
            worker.beat()
            try:
                if not self.step(worker):
                    self._wait(worker)
            except JournalDown:
                log.info("the outbox cannot be read or written at the moment")
                with self._lock:
                    if not worker.stopping:
                        self._lock.wait(min(self._poll, 0.5))

    def step(self, worker: Worker) -> bool:
        """One errand or one batch; False when nothing is due."""
        with self._lock:
            errand = self._errands.popleft() if self._errand_waits() else None
            if errand is not None:
                self._state.busy[_ERRAND] = _Turn(_HELD_BY[None], True, self._clock.monotonic())
        if errand is not None:
            try:
                errand.run()
            finally:
                with self._lock:
                    self._state.busy.pop(_ERRAND)
            return True
        self._care()
        due = self._take()
        if due is None:
            return False
        more, clean = False, False
        try:
            more = self._serve(due, worker)
            clean = True
        finally:
            with self._lock:
                self._state.busy.pop(due.target)
                if not clean:
                    self._state.orphaned.add(due.target)
        with self._lock:
            if more:
                self._state.agenda[due.target] = Due(due.target, due.channel, 0.0)
            else:
                self._state.stale = True  # is there more, and when?
        return True

    # --- whose turn it is ---------------------------------------------------------------------------------------------------

    def _wait(self, worker: Worker) -> None:
        with self._lock:
            if not worker.stopping and not self._errand_waits() and not self._state.stale:
                self._lock.wait(min(self._poll, self._until_next()))

    def _until_next(self) -> float:
        now, held = self._clock.now(), self._held()
        waits = [self._due_at(due) - now for due in self._state.agenda.values() if self._fits(due, held)]
        return max(0.02, min(waits, default=self._poll))

    def _errand_waits(self) -> bool:
        return bool(self._errands) and _ERRAND not in self._state.busy

    def _place(self, due: Due) -> tuple[str, bool]:
        return _HELD_BY[due.channel], not (self._mails.failures if due.target == MAILS else due.failing)

    def _held(self) -> list[_Turn]:
        """What keeps a worker from others: all that is under way, but for those that have hung the longest, as many as there are spares."""
        tick, busy = self._clock.monotonic(), sorted(self._state.busy.values(), key=lambda turn: turn.since)
        hanging = sum(tick - turn.since >= HANGS for turn in busy)
        return busy[min(hanging, SPARES) :]

    def _fits(self, due: Due, held: Sequence[_Turn]) -> bool:
        """Whoever hangs holds up no other: each provider keeps a worker for a target of its own that is well, and so do errands. Who failed
        last time, one of a provider at once, and a second one of a provider get what is left over."""
        busy, place = self._state.busy, self._place(due)
        if due.target in busy or (not place[1] and any(turn.place == place for turn in busy.values())):
            return False
        kept = len(set(_HELD_BY.values()) - {turn.held_by for turn in held if turn.well})
        free = place[1] and all(turn.place != place for turn in held)
        return free or WORKERS - len(held) > kept

    def _due_at(self, due: Due) -> Timestamp:
        gather = 0.0 if due.channel is Channel.MAIL else self._gather
        opens = max(self._state.closed.get(due.channel, 0.0), self._mails.not_before if due.target == MAILS else 0.0)
        return max(due.at + gather, due.opens, opens, self._state.rests.get(due.target, 0.0))

    def _take(self) -> Due | None:
        """Of all targets that are due and fit in now the one that waited longest for its turn."""
        with self._lock:
            state = self._state
            tick = self._clock.monotonic()
            if state.stale or state.looked_at is None or tick - state.looked_at >= self._poll:
                state.stale, state.looked_at = False, tick
                state.agenda = {due.target: due for due in self._outbox.agenda()}
            now = self._clock.now()
            held = self._held()
            ready = [due for due in state.agenda.values() if self._fits(due, held) and self._due_at(due) <= now]
            if not ready:
                return None
            chosen = min(ready, key=lambda due: (state.served.get(due.target, 0), due.at))
            state.turns += 1
            state.served[chosen.target] = state.turns
            state.busy[chosen.target] = _Turn(*self._place(chosen), tick)
            state.agenda.pop(chosen.target, None)
            return chosen

    def _care(self) -> None:
        """Once at the start: what was being sent when the program ended waits again. Once a minute: what is too late. Once an hour: what is old."""
        with self._lock:
            tick, now, state = self._clock.monotonic(), self._clock.now(), self._state
            first = not self._recovered
            sweep = state.swept_at is None or tick - state.swept_at >= SWEEP
            tidy = state.tidied_at is None or tick - state.tidied_at >= TIDY
            if first:
                self._outbox.recover()
                self._recovered = True
            if sweep:
                state.swept_at = tick
            if tidy:
                state.tidied_at = tick
        if sweep:
            self._outbox.sweep(now)
            for sender in set(self._senders.values()):
                sender.tidy()
        if tidy and not first:  # not while everybody is busy with starting
            self._outbox.tidy(now)

    # --- one batch ------------------------------------------------------------------------------------------------------------

    def _serve(self, due: Due, worker: Worker) -> bool:
        """True when more is due for this target at once."""
        now = self._clock.now()
        sender = self._senders.get(due.channel)
        most = 1 if sender is None or self._state.singly.get(due.target) else sender.most
        if due.target in self._state.orphaned:
            self._outbox.recover([due.target])
            with self._lock:
                self._state.orphaned.discard(due.target)
        batch = self._outbox.claim(due.target, 1 if due.target == MAILS else most, now)
        if batch is None:
            with self._lock:
                self._state.rests[due.target] = now + self._poll
            return False
        if batch.target == MAILS:
            batch = Batch(MAILS, batch.channel, batch.address, batch.items, self._mails.failures, more=batch.more)
        answer = self._send(batch)
        now = self._clock.now()
        outcomes, verdict = settle(batch, answer, now, self._chance)
        self._note(batch, answer, verdict, now)
        self._record(batch, outcomes, verdict, now, worker)
        left = batch.more or answer.taken < len(batch.items) or answer.fate in (Fate.SPLIT, Fate.MOVED)
        return left and verdict.health is Health.OK and verdict.not_before <= now and answer.fate is not Fate.BAD_TARGET

    def _send(self, batch: Batch) -> Answer:
        sender = self._senders.get(batch.channel)
        if sender is None:
            return Answer(Fate.FAILED, len(batch.items), "nothing is set up to send this with", wide=True)
        try:
            return sender.send(batch)
        except Exception as error:  # a fault of ours: told by its kind only, since its words may hold an address
            log.error("a sender failed: %s: %s", batch.channel, type(error).__name__)
            return Answer(Fate.FAILED, len(batch.items), f"a fault of Tandem's own ({type(error).__name__})")

    def _record(self, batch: Batch, outcomes: Sequence[Outcome], verdict: Verdict, now: Timestamp, worker: Worker) -> None:
        """Until it is durable: what went out must not go out again because the database was locked for a moment."""
        while True:
            try:
                self._outbox.record(batch, outcomes, verdict, now)
                return
            except JournalDown:
                worker.beat()
                with self._lock:
                    if worker.stopping:
                        log.warning("what became of %d messages could not be written down: they will be sent again", len(outcomes))
                        return
                    self._lock.wait(0.2)

    def _note(self, batch: Batch, answer: Answer, verdict: Verdict, now: Timestamp) -> None:
        with self._lock:
            state = self._state
            if answer.fate is Fate.SPLIT:
                state.singly[batch.target] = len(batch.items)
            elif left := state.singly.get(batch.target, 0):
                state.singly[batch.target] = left - 1
            if answer.fate is Fate.LIMITED and answer.wide:
                state.closed[batch.channel] = now + answer.wait
            if batch.target == MAILS:
                self._mails = verdict
        if batch.channel in (Channel.MAIL, Channel.EMAIL):
            self._note_mail(answer)

    def _note_mail(self, answer: Answer) -> None:
        if answer.wide and answer.fate is Fate.FAILED:
            self._mail_failures += 1
            if self._mail_failures == TROUBLED and self._on_trouble is not None:
                self._on_trouble("mail_down", "warning", f"Mail cannot be sent: {answer.reason}")
        else:
            if self._mail_failures >= TROUBLED and self._on_clear is not None:
                self._on_clear("mail_down")
            self._mail_failures = 0
