"""The newest tick of every instrument: what positions are valued at and what a price check reads.

One thread writes (the feed's), any thread reads, and no lock is needed because a tick is replaced as a whole. What it accepts is sane: finite
positive prices and bid ≤ ask; anything else is refused and counted, so that nobody further on has to ask again.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import inf

from engines.core.model import Tick
from engines.core.prices import to_tick
from engines.market.instruments import InstrumentTable
from engines.ports import Clock


class PriceTable:
    def __init__(self, clock: Clock, instruments: InstrumentTable) -> None:
        self._clock = clock
        self._instruments = instruments
        self._held: dict[str, tuple[Tick, float]] = {}  # symbol → (tick, monotonic time of its arrival)
        self._marks: dict[str, tuple[float, Decimal]] = {}
        self._newest: float | None = None
        self.refused = 0
        """Ticks that were not prices (NaN, zero, negative, infinite) or not of a known instrument."""

    def update(self, ticks: Iterable[Tick]) -> list[Tick]:
        """Take a batch; the answer is the accepted ticks in order, made sane: a missing or crossed quote becomes the last price."""
        arrived = self._clock.monotonic()
        accepted: list[Tick] = []
        for tick in ticks:
            symbol, last, bid, ask, _, volume = tick
            if not 0.0 < last < inf or symbol not in self._instruments:
                self.refused += 1
                continue
            if not 0.0 < bid <= ask < inf:
                tick = tick._replace(bid=last, ask=last)
            if not 0.0 <= volume < inf:
                tick = tick._replace(volume=0.0)
            self._held[symbol] = (tick, arrived)
            accepted.append(tick)
        if accepted:
            self._newest = arrived
        return accepted

    def get(self, symbol: str) -> Tick | None:
        held = self._held.get(symbol)
        return held[0] if held is not None else None

    def many(self, symbols: Iterable[str]) -> list[Tick]:
        """The newest ticks of those symbols that have one."""
        return [held[0] for symbol in symbols if (held := self._held.get(symbol)) is not None]

    def mark(self, symbol: str) -> Decimal | None:
        """The last price, exact and on the instrument's tick: what positions are valued at."""
        held = self._held.get(symbol)
        if held is None:
            return None
        last = held[0].last_price
        known = self._marks.get(symbol)
        if known is not None and known[0] == last:
            return known[1]
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return None
        mark = to_tick(last, instrument.tick_size)
        self._marks[symbol] = (last, mark)
        return mark

    def age(self, symbol: str) -> float | None:
        """Seconds since the newest tick of this instrument arrived or, when that is longer, since the exchange says it traded; None: never.

        Arrival alone would call a late snapshot fresh, the exchange's stamp alone would be fooled by a jump of our own clock."""
        held = self._held.get(symbol)
        return None if held is None else max(self._clock.monotonic() - held[1], self._clock.now() - held[0].at)

    def newest_age(self) -> float | None:
        """Seconds since any tick arrived."""
        return None if self._newest is None else self._clock.monotonic() - self._newest

    def snapshot(self) -> dict[str, Tick]:
        return {symbol: held[0] for symbol, held in list(self._held.items())}
