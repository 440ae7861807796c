"""One share of a broker's instruments on connections of its own: it asks for what is wanted, asks again on every new link, and knows whose price is fresh.

After a break nothing is fresh until the new link has told a price of it. Which instruments it carries, and with whose sign-in, others decide.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random

from engines.brokers.socket import SocketClient, SocketState, Target
from engines.core.model import Tick
from engines.market.streams.book import Book
from engines.market.streams.dialect import Dialect
from engines.ports import Clock, Listing, StreamKey

OnTicks = Callable[[Sequence[Tick]], None]


class Shard:
    """`wanted` is set from outside; ticks leave on the threads of its connections."""

    def __init__(self, name: str, dialect: Dialect, key: StreamKey | None, clock: Clock, rng: Random, on_ticks: OnTicks) -> None:
        self.book = Book()
        self.wanted: dict[str, Listing] = {}
        self.refused_at: float | None = None
        """When the broker refused this connection although it accepts others of the same sign-in."""
        self._dialect = dialect
        self._clock = clock
        self._on_ticks = on_ticks
        self._fresh: set[str] = set()
        self._closed = False
        self.lines = tuple(_Line(f"{name}{channel}", self, dialect, channel, key, clock, rng) for channel in dialect.manners.channels)
        for line in self.lines:
            line.client.start()

    def carry(self, wanted: Mapping[str, Listing]) -> None:
        """These from now on; an instrument whose number has changed is asked for anew."""
        for symbol, listing in self.wanted.items():
            if wanted.get(symbol) != listing:
                self._dialect.leave(self.book, listing)
                self._fresh.discard(symbol)
        for symbol, listing in wanted.items():
            if self.wanted.get(symbol) != listing:
                self._dialect.enter(self.book, listing)
        self.wanted = dict(wanted)
        self.sync()

    def sync(self) -> None:
        for line in self.lines:
            line.sync()

    def take(self, message: str | bytes) -> None:
        ticks = self._dialect.decode(message, self.book, self._clock.now())
        if ticks and not self._closed:  # a successor may already tell newer prices
            if len(self._fresh) < len(self.wanted):
                self._fresh.update([tick[0] for tick in ticks])
            self._on_ticks(ticks)

    def begun(self, channel: str) -> None:
        """A connection is new: what came over the one before it is not fresh."""
        if channel == self._dialect.manners.channels[0]:
            self._fresh.clear()
            self.book.renew()
        else:
            self.book.doubt()

    def silence(self, symbol: str) -> float | None:
        return self.quiet() if symbol in self._fresh else None

    def quiet(self) -> float | None:
        """Seconds since the quietest of its connections spoke; None while one of them is down."""
        quiet = [line.quiet() for line in self.lines]
        return None if None in quiet else max(age for age in quiet if age is not None)

    @property
    def state(self) -> SocketState:
        """That of its worst connection."""
        order = (SocketState.REFUSED, SocketState.CLOSED, SocketState.WAITING, SocketState.CONNECTING, SocketState.OPEN)
        return min((line.client.state for line in self.lines), key=order.index)

    def reasons(self) -> list[tuple[SocketState, str]]:
        """What has gone wrong since this was last asked."""
        return [line.reasons.popleft() for line in self.lines for _ in range(len(line.reasons))]

    def tend(self) -> str | None:
        """Ask for what could not be asked for yet; drop a link that is open and yet says nothing. The answer is why."""
        why = None
        for line in self.lines:
            line.sync()
            why = line.drop_when_mute() or why
        return why

    def reconnect(self, why: str) -> None:
        for line in self.lines:
            line.client.reconnect(why)

    def close(self, wait: float = 0.0) -> None:
        self._closed = True
        for line in self.lines:
            line.client.close(0.0)
        for line in self.lines:
            line.client.close(wait)


class _Line:
    """One connection of a shard."""

    def __init__(self, name: str, shard: Shard, dialect: Dialect, channel: str, key: StreamKey | None, clock: Clock, rng: Random) -> None:
        self.reasons: deque[tuple[SocketState, str]] = deque(maxlen=20)
        self._shard, self._dialect, self._channel, self._key, self._clock = shard, dialect, channel, key, clock
        self._lock = threading.Lock()
        self._told: dict[str, Listing] = {}
        self._open = False
        self._spoke = 0.0
        self._rest: tuple[float, int] = (0.0, 0)  # since when, how many messages
        self.client = SocketClient(
            name,
            self._target,
            on_open=self._on_open,
            on_message=self._on_message,
            on_state=self._on_state,
            clock=clock,
            rng=rng,
            heartbeat=dialect.manners.heartbeat,
            source_address=key.source_address if key is not None else None,
        )

    def _target(self) -> Target:
        return self._dialect.target(self._key, self._channel)

    def _on_open(self) -> None:
        self._spoke = self._clock.monotonic()
        self._shard.begun(self._channel)
        with self._lock:
            self._told.clear()
            self._rest = (0.0, 0)
            self._open = True
        self.sync()

    def _on_message(self, message: str | bytes) -> None:
        self._spoke = self._clock.monotonic()
        self._shard.take(message)

    def _on_state(self, state: SocketState, detail: str) -> None:
        if state is not SocketState.OPEN:
            self._open = False
        if state in (SocketState.WAITING, SocketState.REFUSED):
            self.reasons.append((state, detail))

    def sync(self) -> None:
        """Say what is not yet said, as fast as the broker allows."""
        with self._lock:
            wanted = self._shard.wanted
            if not self._open or wanted == self._told:
                return
            gone = [listing for symbol, listing in self._told.items() if wanted.get(symbol) != listing]
            new = [listing for symbol, listing in wanted.items() if self._told.get(symbol) != listing]
            if self._say(self._dialect.unsubscribe(gone, self._channel) if gone else []):
                for listing in gone:
                    self._told.pop(listing.symbol, None)
                if self._say(self._dialect.subscribe(new, self._channel) if new else []):
                    self._told.update((listing.symbol, listing) for listing in new)

    def _say(self, messages: Sequence[str]) -> bool:
        """All of them or none. More than fits into one go leaves when nothing else has been said for the time that it takes."""
        manners, now = self._dialect.manners, self._clock.monotonic()
        since, said = self._rest
        if now - since >= manners.every * max(1.0, said / manners.burst):
            since, said = now, 0
        if messages and said and said + len(messages) > manners.burst:
            return False
        if not all(self.client.send(message) for message in messages):
            return False
        self._rest = (since, said + len(messages))
        return True

    def quiet(self) -> float | None:
        if not self._open:
            return None
        if self._dialect.manners.words_within is None:
            return self.client.silence()
        return max(0.0, self._clock.monotonic() - self._spoke)

    def drop_when_mute(self) -> str | None:
        """Pongs prove that somebody is there, not that prices are on their way."""
        patience, quiet = self._dialect.manners.words_within, self.quiet()
        if patience is None or quiet is None or quiet < patience:
            return None
        self._open = False
        why = f"open, but without a word for {quiet:.0f} s"
        self.client.reconnect(why)
        return why
