"""The newest tick of every instrument: what positions are valued at and what a price check reads.

One thread at a time writes, any thread reads, and no lock is needed because a tick is replaced as a whole. What it accepts is sane: finite positive
prices and bid ≤ ask; anything else is refused and counted, so that nobody further on has to ask again. An instrument that has once had a real price
never takes a simulated one again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from math import inf

from engines.core.model import Tick
from engines.core.prices import to_tick
from engines.core.sessions import INDIAN, day_start, exchange_of
from engines.market.instruments import InstrumentTable
from engines.ports import Clock

Silence = Callable[[str], float | None]
"""symbol → seconds since the open connection that carries it last spoke; None: none does, or it has told no price of this symbol yet."""


class PriceTable:
    def __init__(self, clock: Clock, instruments: InstrumentTable) -> None:
        self._clock = clock
        self._instruments = instruments
        self._held: dict[str, tuple[Tick, float]] = {}  # symbol → (tick, monotonic time of its arrival)
        self._marks: dict[str, tuple[float, Decimal]] = {}
        self._newest: float | None = None
        self._live: set[str] = set()  # have had a real price
        self._claimed: set[str] = set()  # wait for one
        self._newly_live: list[str] = []
        self._silence: Silence | None = None
        self.refused = 0
        """Ticks that were not prices (NaN, zero, negative, infinite) or not of a known instrument."""

    def update(self, ticks: Iterable[Tick], *, live: bool = False) -> list[Tick]:
        """Take a batch; the answer is the accepted ticks in order, made sane: a missing or crossed quote becomes the last price.

        `live`: from a broker. The first such tick of an instrument makes it live for as long as this process runs; ticks of the feed for it are
        passed over from then on."""
        arrived = self._clock.monotonic()
        accepted: list[Tick] = []
        held, real = self._held, self._live
        spoken = False
        for tick in ticks:
            symbol, last, bid, ask, _, volume = tick
            if not 0.0 < last < inf or (symbol not in held and symbol not in self._instruments):
                self.refused += 1
                continue
            if live:
                if symbol not in real:
                    self._begin(symbol)
            else:
                spoken = True
                if symbol in real or symbol in self._claimed:
                    continue
            if not 0.0 < bid <= ask < inf:
                tick = tick._replace(bid=last, ask=last)
            if not 0.0 <= volume < inf:
                tick = tick._replace(volume=0.0)
            held[symbol] = (tick, arrived)
            accepted.append(tick)
        if spoken:
            self._newest = arrived
        return accepted

    def _begin(self, symbol: str) -> None:
        self._live.add(symbol)
        self._claimed.discard(symbol)
        self._newly_live.append(symbol)

    # --- real prices -------------------------------------------------------------------------------------------------

    def claim(self, symbols: Collection[str]) -> None:
        """These wait for real prices: the simulated ones they may have are forgotten, and no more are taken."""
        for symbol in symbols:
            if symbol not in self._live:
                self._claimed.add(symbol)
                self._held.pop(symbol, None)
                self._marks.pop(symbol, None)

    def release(self, symbol: str) -> None:
        """It waits for real prices no longer: simulated ones are taken again."""
        self._claimed.discard(symbol)

    def is_live(self, symbol: str) -> bool:
        """Whether its newest price is a real one."""
        return symbol in self._live

    @property
    def any_live(self) -> bool:
        """Whether any instrument has had a real price in this run."""
        return bool(self._live)

    def newly_live(self) -> list[str]:
        """Those that became live since this was last asked."""
        fresh, self._newly_live = self._newly_live, []
        return fresh

    def use_live(self, silence: Silence) -> None:
        """A price on an open connection holds until the next one, however quiet the instrument: from now on the age of live prices is `silence`."""
        self._silence = silence

    # --- reads -------------------------------------------------------------------------------------------------------

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
        """How old the price of this instrument is, in seconds; None: there never was one.

        Of the feed: since it arrived or, when that is longer, since the exchange says it traded. Arrival alone would call a late snapshot fresh, the
        exchange's stamp alone would be fooled by a jump of our own clock. Of a broker: since the connection that carries it last spoke, infinite when
        none does; but what last traded before today is as old as its stamp (a snapshot before the first trade of the morning is yesterday's price).
        """
        held = self._held.get(symbol)
        if held is None:
            return None
        tick, arrived = held
        now = self._clock.now()
        if self._silence is None or symbol not in self._live:
            return max(self._clock.monotonic() - arrived, now - tick.at)
        silence = self._silence(symbol)
        age = inf if silence is None else silence
        exchange = exchange_of(symbol)
        return max(age, now - tick.at) if exchange in INDIAN and tick.at < day_start(now, exchange) else age

    def newest_age(self) -> float | None:
        """Seconds since the feed last spoke (brokers' streams watch over themselves)."""
        return None if self._newest is None else self._clock.monotonic() - self._newest

    def snapshot(self) -> dict[str, Tick]:
        return {symbol: held[0] for symbol, held in list(self._held.items())}
