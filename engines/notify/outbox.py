"""What the dispatcher needs of whoever keeps the outbox: which targets have something due, a batch of it, and a place for what came of it.

A batch is claimed durably before anything of it is sent, and its outcome is durable before the next one is claimed: only a crash between the
provider's acceptance and our record can send something twice, and then at most one request for each target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from engines.core.messages import Message
from engines.core.model import Timestamp

MAILS = "mail"
"""The target under which all mails to an address of their own (codes, links) are sent, one after the other."""


class Channel(StrEnum):
    DISCORD = "discord"
    TELEGRAM = "telegram"
    EMAIL = "email"
    MAIL = "mail"  # a mail to an address of its own


@dataclass(frozen=True, slots=True)
class SecretMail:
    """A mail with a code or a link in it; its words are made when it is sent, from `kind` and `fields`."""

    to: str = field(repr=False)
    kind: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Due:
    """A target with something to send: its first is due at `at`, and it may not be sent to before `opens`. `failing`: its last try failed."""

    target: str
    channel: Channel
    at: Timestamp
    opens: Timestamp = 0.0
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message on its way. `attempts`: how often it was tried before."""

    delivery_id: int
    attempts: int
    expires_at: Timestamp
    what: Message | SecretMail


@dataclass(frozen=True, slots=True)
class Batch:
    """What was claimed for one target, in the order in which it was told. `failures`: of this target, in a row, before this batch."""

    target: str
    channel: Channel
    address: Mapping[str, str] = field(repr=False)  # discord: url; telegram: token, chat, thread?; email: to; mail: nothing
    items: tuple[Claimed, ...]
    failures: int = 0
    version: int = 0  # of the target's settings: what is found out about an old address says nothing about a new one
    more: bool = False  # more is due at once


class Status(StrEnum):
    """What becomes of a delivery."""

    SENT = "sent"
    PENDING = "pending"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one claimed delivery. `next_at` matters while it is pending; `error` never holds a secret."""

    delivery_id: int
    status: Status
    attempts: int
    next_at: Timestamp = 0.0
    error: str = ""
    provider_id: str = ""


class Health(StrEnum):
    OK = "ok"
    PAUSED = "paused"  # ten failures in a row: tried again at `not_before`
    REFUSED = "refused"  # the provider says no for good: nothing is sent until a person has changed it


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about a target after a batch."""

    health: Health = Health.OK
    detail: str = ""
    failures: int = 0
    not_before: Timestamp = 0.0
    address: Mapping[str, str] | None = field(default=None, repr=False)  # it has moved


class Outbox(Protocol):
    """Every call is one durable transaction or one read; JournalDown when the database cannot be written."""

    def agenda(self) -> Sequence[Due]:
        """Every target with something that waits and may be sent to, and the moment of its first."""
        ...

    def claim(self, target: str, most: int, now: Timestamp) -> Batch | None:
        """The first `most` that are due, marked as being sent. None: nothing is due any more."""
        ...

    def record(self, batch: Batch, outcomes: Sequence[Outcome], verdict: Verdict, now: Timestamp) -> None:
        """What became of all that was claimed, and of the target."""
        ...

    def recover(self, targets: Sequence[str] | None = None) -> int:
        """What was claimed by somebody who is gone waits again (None: for every target); how many those were."""
        ...

    def sweep(self, now: Timestamp) -> int:
        """What nobody wants to know any more is dead; how many that were."""
        ...

    def tidy(self, now: Timestamp) -> int:
        """Deletes what is old."""
        ...
