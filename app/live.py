"""Live events: one hub that the engines tell what happened, and many browsers that listen.

Publishing appends to a ring and wakes those whom the event concerns; it never waits, raises or formats. Listeners read the ring from where they
were, so nothing is queued for a slow browser, and a reconnecting one goes on behind its `Last-Event-ID`. It never shows a person what is another's.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from engines.core.model import Halt
from engines.ports import Clock

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
MOST_AGE = 15 * 60.0
"""Streams are ended after this many seconds (the browser comes back by itself), so that a lost client never pins a web thread for ever."""
GATHER = 0.03
"""After it was woken a stream waits this long for more, so that a burst of orders costs one write."""
UNWRITTEN = 2.0
"""Facts are told before they are in the database, some milliseconds as a rule."""
CHECK = 2.0
"""How often a stream asks whether its person may still listen."""
ONES_OWN = 8
"""So many streams one person may have at least: some browsers and screens, each of which needs one."""

Present = Callable[[str, Any], str]
"""(kind, payload) → one line of JSON."""


class TooManyStreams(Exception):
    """Every web thread that streams may have is taken, or as many as one person may."""


@dataclass(slots=True)
class Event:
    event_id: int
    kind: str
    user_id: str | None
    payload: Any
    everyone: bool = False
    topic: str | None = None  # only for those who asked for it (a symbol)
    owner: bool | None = None  # of a person's own: only for the streams that are (or are not) an owner's; None: for all of theirs
    text: str | None = None
    at: float = 0.0  # of a fact: when it was told, monotonic


@dataclass(slots=True, eq=False)
class Listener:
    """One open stream. `owner`: also hears of the machine's own health."""

    user_id: str
    owner: bool
    topics: frozenset[str]
    last: int
    opened: float
    awake: threading.Event = field(default_factory=threading.Event)
    lost: bool = False

    def hears(self, event: Event) -> bool:
        if event.topic is not None:
            return event.topic in self.topics
        if event.user_id is not None:
            return event.user_id == self.user_id and event.owner in (None, self.owner)
        return event.everyone or self.owner


class Hub:
    """The Notifier of the engines. `facts` (orders, signals, halts, …) are kept long for replay, `pulses` (P&L, prices) briefly."""

    def __init__(self, clock: Clock, *, facts: int = 8192, pulses: int = 1024, most_streams: int = 56) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._facts: deque[Event] = deque(maxlen=facts)
        self._pulses: deque[Event] = deque(maxlen=pulses)
        self._listeners: list[Listener] = []
        self._id = int(clock.now() * 1_000_000)  # ids go on rising after a restart
        self._forgotten = self._id  # the newest fact that can no longer be replayed
        self._end = threading.Event()
        self.most_streams = most_streams
        self.present: Present | None = None
        """How a payload becomes JSON; `create_app` sets it. Called in the stream's thread, once for each event."""
        self.whose_halt: Callable[[Halt], str | None] | None = None
        """Whom a stop concerns (None: everyone); `create_app` sets it."""

    # --- telling ---------------------------------------------------------------------------------------------------

    def publish(self, kind: str, user_id: str | None, payload: Mapping[str, Any]) -> None:
        """A fact of the engines; see `engines.ports.Notifier`. A halt of the system and the system's switch concern everyone."""
        everyone = False
        if user_id is None and kind == "halt":
            user_id = self._concerned(payload)
            everyone = user_id is None
        elif user_id is None and kind == "engine":
            everyone = "on" in payload
        with self._lock:
            facts = self._facts
            if len(facts) == facts.maxlen:
                self._forgotten = facts[0].event_id
            self._id += 1
            event = Event(self._id, kind, user_id, payload, everyone, at=self._clock.monotonic())
            facts.append(event)
            self._wake(event)

    def _concerned(self, payload: Any) -> str | None:
        halt = payload.get("halt") if isinstance(payload, Mapping) else payload
        return self.whose_halt(halt) if self.whose_halt is not None and isinstance(halt, Halt) else None

    def pulse(
        self, kind: str, user_id: str | None, payload: Any, *, topic: str | None = None, everyone: bool = False, owner: bool | None = None
    ) -> None:
        """A state that the next pulse replaces anyway."""
        with self._lock:
            self._id += 1
            event = Event(self._id, kind, user_id, payload, everyone, topic, owner)
            self._pulses.append(event)
            self._wake(event)

    def _wake(self, event: Event) -> None:
        for listener in self._listeners:
            if not listener.awake.is_set() and listener.hears(event):
                listener.awake.set()

    # --- listening -------------------------------------------------------------------------------------------------

    def open(self, user_id: str, *, owner: bool = False, topics: Collection[str] = (), last_event_id: int | None = None) -> Listener:
        """Raises TooManyStreams. The listener must be given back with `close_listener`; `stream` does that."""
        with self._lock:
            if self.closed or len(self._listeners) >= self.most_streams or self._has_enough(user_id):
                raise TooManyStreams
            last, lost = self._id, False
            if last_event_id is not None:
                lost = not self._forgotten <= last_event_id <= self._id
                last = last_event_id if not lost else self._forgotten
            listener = Listener(user_id, owner, frozenset(topics), last, self._clock.monotonic(), lost=lost)
            listener.awake.set()
            self._listeners.append(listener)
            return listener

    def _has_enough(self, user_id: str) -> bool:
        """A quarter of all for each person, so that nobody's programs keep everybody else's pages from being live."""
        return sum(listener.user_id == user_id for listener in self._listeners) >= max(ONES_OWN, self.most_streams // 4)

    def close_listener(self, listener: Listener) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def take(self, listener: Listener) -> list[Event]:
        """What it has not heard yet, oldest first."""
        with self._lock:
            listener.awake.clear()
            last = listener.last
            if last < self._forgotten:
                listener.lost = True
            news = [
                event
                for ring in (self._facts, self._pulses)
                for event in takewhile(lambda event: event.event_id > last, reversed(ring))
                if listener.hears(event)
            ]
            listener.last = self._id
        news.sort(key=lambda event: event.event_id)
        return news

    def stream(self, listener: Listener, allowed: Callable[[], bool]) -> Iterator[str]:
        """The text of server-sent events until the person may no longer listen, the stream is old, or the hub closes."""
        try:
            quiet_since = self._clock.monotonic()
            yield "retry: 2000\n: connected\n\n"
            while not self.closed and allowed() and self._clock.monotonic() - listener.opened < MOST_AGE:
                text = self._news(listener)
                now = self._clock.monotonic()
                if text or now - quiet_since >= HEARTBEAT:
                    quiet_since = now
                    yield text or ": heartbeat\n\n"
                if listener.awake.wait(CHECK):
                    self._end.wait(GATHER)
        finally:
            self.close_listener(listener)

    def _news(self, listener: Listener) -> str:
        news = self.take(listener)
        parts = []
        if listener.lost:
            listener.lost = False
            first = news[0].event_id - 1 if news else listener.last
            parts.append(f"id: {first}\nevent: reset\ndata: {{}}\n\n")
        for event in news:
            if event.text is None:
                event.text = self._text(event)
            if event.text:
                parts.append(f"id: {event.event_id}\nevent: {event.kind}\ndata: {event.text}\n\n")
        return "".join(parts)

    def _text(self, event: Event) -> str:
        assert self.present is not None, "create_app sets the presenter"
        try:
            return self.present(event.kind, event.payload)
        except Exception:  # one event that cannot be shown must not end the stream, or every reconnect would meet it again
            log.exception("an event of kind %s cannot be shown", event.kind)
            return ""

    # --- state -----------------------------------------------------------------------------------------------------

    def listeners(self) -> list[Listener]:
        with self._lock:
            return list(self._listeners)

    def known(self) -> int:
        """The id up to which a page that is drawn from now on knows all for sure: what was told a moment ago may not be written yet."""
        since = self._clock.monotonic() - UNWRITTEN
        with self._lock:
            fresh = [event.event_id for event in takewhile(lambda event: event.at > since, reversed(self._facts))]
            return fresh[-1] - 1 if fresh else self._id

    @property
    def closed(self) -> bool:
        return self._end.is_set()

    def close(self) -> None:
        """End every stream now."""
        with self._lock:
            self._end.set()
            for listener in self._listeners:
                listener.awake.set()
