"""When something is tried again, and what an answer means for each delivery and for its target.

Pure. A target that fails waits as a whole, so that what was told first arrives first; a mail to an address of its own waits alone.
"""

from __future__ import annotations

from collections.abc import Callable

from engines.core.model import Timestamp
from engines.notify.answers import Answer, Fate
from engines.notify.outbox import MAILS, Batch, Claimed, Health, Outcome, Status, Verdict

DELAYS = (2.0, 10.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""Seconds after the first, second, … failure; the last one for all that follow."""
SPREAD = 0.2  # ± so much of it by chance, so that not everybody comes back at the same moment
BREAKS = 10  # failures in a row after which a target is said to be paused
PAUSE = 600.0
"""Seconds that a target waits at most: a stop that is told an hour late is told too late."""

MAIL_PAUSE = 120.0
"""Seconds that all codes and links wait at most: a code is good for ten minutes."""

Chance = Callable[[], float]
"""From 0 up to 1."""


def delay(failures: int, chance: Chance, most: float = DELAYS[-1]) -> float:
    """Seconds to wait after so many failures in a row (one or more)."""
    wait = min(DELAYS[min(max(failures, 1), len(DELAYS)) - 1], most)
    return wait * (1 + SPREAD * (2 * chance() - 1))


def settle(batch: Batch, answer: Answer, now: Timestamp, chance: Chance) -> tuple[tuple[Outcome, ...], Verdict]:
    """What is recorded of a batch after its answer. What was not part of the request waits as before."""
    taken, rest = batch.items[: answer.taken], batch.items[answer.taken :]
    again = tuple(_wait(item, item.attempts, now, "") for item in rest)
    match answer.fate:
        case Fate.ACCEPTED:
            sent = tuple(_sent(item, answer.provider_id) for item in taken)
            return sent + again, Verdict(not_before=_after(now, answer.wait))
        case Fate.BAD_MESSAGE:
            dead = tuple(Outcome(item.delivery_id, Status.DEAD, item.attempts + 1, error=answer.reason) for item in taken)
            return dead + again, Verdict(not_before=_after(now, answer.wait))
        case Fate.FAILED:
            return _failed(batch, answer, now, chance)
        case Fate.BAD_TARGET:
            kept = tuple(_wait(item, item.attempts + 1, now, answer.reason) for item in taken)
            return kept + again, Verdict(Health.REFUSED, answer.reason, batch.failures + 1)
        case Fate.LIMITED:
            until = now + answer.wait
            kept = tuple(_wait(item, item.attempts, until, answer.reason) for item in batch.items)
            return kept, Verdict(detail=answer.reason, failures=batch.failures, not_before=until)
        case Fate.SPLIT | Fate.MOVED:
            kept = tuple(_wait(item, item.attempts, now, answer.reason) for item in batch.items)
            return kept, Verdict(failures=batch.failures, address=answer.address)


def _failed(batch: Batch, answer: Answer, now: Timestamp, chance: Chance) -> tuple[tuple[Outcome, ...], Verdict]:
    failures = batch.failures + 1
    taken, rest = batch.items[: answer.taken], batch.items[answer.taken :]
    if batch.target == MAILS and not answer.wide:  # one mailbox says "later": that is no news about the next one
        kept = tuple(_wait(item, item.attempts + 1, now + delay(item.attempts + 1, chance), answer.reason) for item in taken)
        return kept + tuple(_wait(item, item.attempts, now, "") for item in rest), Verdict(failures=batch.failures)
    until = now + max(delay(failures, chance, MAIL_PAUSE if batch.target == MAILS else PAUSE), answer.wait)
    kept = tuple(_wait(item, item.attempts + 1, until, answer.reason) for item in taken)
    kept += tuple(_wait(item, item.attempts, until, "") for item in rest)
    health = Health.PAUSED if failures >= BREAKS else Health.OK
    return kept, Verdict(health, answer.reason, failures, until)


def _sent(item: Claimed, provider_id: str) -> Outcome:
    return Outcome(item.delivery_id, Status.SENT, item.attempts + 1, provider_id=provider_id)


def _wait(item: Claimed, attempts: int, until: Timestamp, error: str) -> Outcome:
    if until >= item.expires_at:
        return Outcome(item.delivery_id, Status.DEAD, attempts, error=f"not sent in time: {error}" if error else "not sent in time")
    return Outcome(item.delivery_id, Status.PENDING, attempts, until, error)


def _after(now: Timestamp, wait: float) -> Timestamp:
    return now + wait if wait > 0 else 0.0
