"""What a broker's price stream must be able to say and read, as one short Protocol. Everything that differs between brokers is behind it, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engines.brokers.socket import Heartbeat, Target
from engines.core.model import Tick, Timestamp
from engines.market.streams.book import Book
from engines.ports import Listing, StreamKey

HEARTBEAT = Heartbeat(ping_every=1.5, silent_after=4.0)
"""A frozen server is noticed within five seconds, whatever it last said."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What a broker allows and promises. `words_within`: seconds within which a healthy connection says something by itself (a frame, a heartbeat, a
    pong in words); None: it may be quiet for as long as nothing trades. `burst` messages may be sent each `every` seconds. Each share of instruments has one connection
    for each of the `channels`; the first of them tells the quotes, which are what makes a price fresh."""

    connections: int
    per_connection: int
    channels: tuple[str, ...] = ("",)
    heartbeat: Heartbeat = HEARTBEAT
    words_within: float | None = None
    burst: int = 50
    every: float = 0.2


class Dialect(Protocol):
    """One broker's stream. `name` is for people."""

    name: str
    manners: Manners

    def usable(self, key: StreamKey | None, /) -> bool:
        """Whether a stream can sign in with this."""
        ...

    def target(self, key: StreamKey | None, channel: str, /) -> Target: ...

    def enter(self, book: Book, listing: Listing) -> None:
        """From now on the book knows this instrument by the broker's number."""
        ...

    def leave(self, book: Book, listing: Listing) -> None: ...

    def subscribe(self, listings: Sequence[Listing], channel: str, /) -> list[str]:
        """The messages that ask for these instruments."""
        ...

    def unsubscribe(self, listings: Sequence[Listing], channel: str, /) -> list[str]: ...

    def decode(self, message: str | bytes, book: Book, now: Timestamp) -> list[Tick]:
        """The ticks of one message; complaints go to `book.notice`, what cannot be read is counted. Never raises, whatever the bytes."""
        ...
