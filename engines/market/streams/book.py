"""What a connection has been asked to tell, by the broker's own number, and how raw rows of a frame become ticks of ours.

It keeps the day volume last seen of each instrument, because brokers tell the sum of the day and a tick tells what is new. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from engines.core.model import Tick, Timestamp

_AHEAD = 60.0
"""Seconds by which a stamp may be ahead of our clock. One that is further ahead is nonsense, and would make every later tick seem late."""
_tick = tuple.__new__


class Row(NamedTuple):
    """One packet, still in the broker's units. `traded` and `stamped` are seconds since the epoch or 0: when it last traded, when the exchange told.
    `volume` is the day's, -1 where the packet tells none."""

    key: Hashable
    last: int
    volume: int
    traded: float
    stamped: float
    bid: int
    ask: int


class Quote(NamedTuple):
    """`at`: when the last price traded; `sure`: no trade since then can have been missed."""

    last: float
    at: Timestamp
    bid: float = 0.0
    ask: float = 0.0
    sure: bool = True


Rows = Iterable[Row] | Iterable[tuple[Hashable, int, int, float, float, int, int]]


class Book:
    """Used by the thread of its connection; `add` and `drop` may come from another."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[str, float]] = {}  # the broker's number → our symbol, the divisor that makes a price
        self._volumes: dict[Hashable, int] = {}
        self.quotes: dict[Hashable, Quote] = {}
        """For brokers that tell quotes and trades apart: what is known of both."""
        self.errors = 0
        """Frames or packets that were not what the broker says they are."""
        self.strays = 0
        """Packets of instruments that nobody asked for, or not any more."""
        self.notice = ""
        """What the broker last complained of in words."""

    def add(self, key: Hashable, symbol: str, divisor: float = 1.0) -> None:
        self._volumes.pop(key, None)
        self._known[key] = (symbol, divisor)

    def drop(self, key: Hashable) -> None:
        self._known.pop(key, None)
        self.quotes.pop(key, None)

    def symbol(self, key: Hashable) -> str | None:
        known = self._known.get(key)
        return known[0] if known else None

    def renew(self) -> None:
        """The connection is a new one: what traded in between belongs to no tick, and the next quote is news whatever it says."""
        self._volumes.clear()
        self.quotes = {key: quote._replace(bid=0.0, ask=0.0, sure=False) for key, quote in list(self.quotes.items())}

    def doubt(self) -> None:
        """Trades may have been missed: a last price is believed only between bid and ask, until the next one."""
        self.quotes = {key: quote._replace(sure=False) for key, quote in list(self.quotes.items())}

    def ticks(self, rows: Rows, now: Timestamp) -> list[Tick]:
        """Ours for those rows. A tick carries the time of its trade: a quote that moves without one must not look like one, so that candles hold
        trades only."""
        latest = now + _AHEAD
        known, volumes = self._known, self._volumes
        out: list[Tick] = []
        for key, last, volume, traded, stamped, bid, ask in rows:
            entry = known.get(key)
            if entry is None:
                self.strays += 1
                continue
            symbol, divisor = entry
            at = traded if 0 < traded < latest else stamped if 0 < stamped < latest else now
            fresh = 0
            if volume >= 0:
                before = volumes.get(key)
                if before != volume:
                    volumes[key] = volume
                    if before is not None and volume > before:
                        fresh = volume - before
            out.append(_tick(Tick, (symbol, last / divisor, bid / divisor, ask / divisor, float(at), float(fresh))))
        return out
