"""What a provider said to one request, in the words that the rules of sending need, and what a sender is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from engines.notify.outbox import Batch


class Fate(StrEnum):
    ACCEPTED = "accepted"
    LIMITED = "limited"  # too fast: wait, it is no failure
    FAILED = "failed"  # may work later; it may even have been taken
    SPLIT = "split"  # one of several is not acceptable: one by one
    MOVED = "moved"  # the same again, to another address
    BAD_MESSAGE = "bad_message"  # never acceptable
    BAD_TARGET = "bad_target"  # nothing will ever be accepted there, until a person changes it


@dataclass(frozen=True, slots=True)
class Answer:
    """`taken`: about how many of the batch, from its front, this is; the rest was not part of the request. `reason` is plain words without a
    secret. `wait`: seconds before the next request (with ACCEPTED: the provider's limit is used up). `wide`: not about this target but about
    the whole channel."""

    fate: Fate
    taken: int
    reason: str = ""
    wait: float = 0.0
    provider_id: str = ""
    address: Mapping[str, str] | None = field(default=None, repr=False)
    wide: bool = False


class Sender(Protocol):
    """Sends one request for one batch. Never raises for what a provider or a network does; used by several threads, never for the same target
    at once."""

    most: int
    """How many messages fit into one request at best."""

    def send(self, batch: Batch) -> Answer: ...

    def tidy(self) -> None:
        """Now and then: leaves connections that nobody has used for a while."""
        ...

    def close(self) -> None: ...
