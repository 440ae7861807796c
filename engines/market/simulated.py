"""The built-in simulated market: open at any hour of any day, seeded, with prices on the tick and believable spreads.

Every price, quote and volume is a function of (seed, symbol, time), so a restart goes on in the same market and the past can be asked for.
It knows nothing of orders, and no order ever moves it: its book is as deep as anyone asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from math import ceil, exp, sqrt

from engines.core.model import Candle, Instrument, Tick, Timeframe, Timestamp
from engines.core.sessions import bucket_offset, exchange_of
from engines.market.names import Name, known_names
from engines.market.walk import Path, key_of, scramble
from engines.ports import Clock

_MARKET_VOLATILITY_PCT = 12.0  # of the common factor that moves all names together
_ACTIVITY = 180  # of 256: how often a share trades in a step
_SPREADS = (1,) * 11 + (2,) * 4 + (3,)  # in ticks, drawn anew every few seconds
_SPREAD_HOLDS = 5.0  # seconds
_BATCH = 200  # ticks handed over at once, so that one tick never waits for three thousand others
_LOOKS = 6  # at a candle of the past


class SimulatedMarket:
    """What every name trades at, at any moment. Pure apart from a cache; one thread at a time."""

    def __init__(self, seed: int = 0, names: Sequence[Name] | None = None, step: float = 0.25) -> None:
        self._step = step
        self._common = Path(key_of(seed, "market"), _MARKET_VOLATILITY_PCT)
        self._shares = {name.instrument.symbol: _Share(seed, name) for name in (known_names() if names is None else names)}

    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(share.instrument for share in self._shares.values())

    def tick(self, symbol: str, at: Timestamp, volume: bool = True) -> Tick:
        """The tick of this name at this moment; its volume is what traded in one step."""
        share = self._shares[symbol]
        return share.tick(at, self._common.at(at), share.dice(at, self._step), volume)

    def candle(self, symbol: str, start: Timestamp, seconds: int) -> Candle:
        """What trading from `start` on for so many seconds looked like, from a few looks at it."""
        return self.candles((symbol,), start, seconds)[0]

    def candles(self, symbols: Sequence[str], start: Timestamp, seconds: int) -> list[Candle]:
        """The same for several names: what moves them all is looked at once."""
        looks = [start + (seconds - self._step) * look / (_LOOKS - 1) for look in range(_LOOKS)]
        common = [(at, self._common.at(at)) for at in looks]
        return [self._candle(symbol, start, seconds, common) for symbol in symbols]

    def _candle(self, symbol: str, start: Timestamp, seconds: int, looks: Sequence[tuple[Timestamp, float]]) -> Candle:
        share = self._shares[symbol]
        prices = [share.fair(at, common) for at, common in looks]
        first, high, low, last = (share.on_tick(price) for price in (prices[0], max(prices), min(prices), prices[-1]))
        volume = share.volume(share.dice(start, self._step)) * round(seconds / self._step * _ACTIVITY / 256)
        return Candle(symbol, float(start), first, high, low, last, volume)

    def ticks(self, at: Timestamp) -> Iterator[Tick]:
        """Ticks of the names that trade in the step that holds this moment; indices always do."""
        common, step = self._common.at(at), self._step
        for share in self._shares.values():
            dice = share.dice(at, step)
            if share.is_index or dice & 0xFF < _ACTIVITY:
                yield share.tick(at, common, dice, True)


class _Share:
    __slots__ = ("_anchor", "_digits", "_key", "_lot_volume", "_path", "_tick_size", "instrument", "is_index")

    def __init__(self, seed: int, name: Name) -> None:
        self.instrument = name.instrument
        self.is_index = not name.instrument.tradable
        self._key = key_of(seed, name.instrument.symbol)
        own = sqrt(max(name.volatility_pct**2 - _MARKET_VOLATILITY_PCT**2, 4.0))
        self._path = Path(key_of(seed, name.instrument.symbol, "path"), own)
        self._anchor = name.price
        self._tick_size = float(name.instrument.tick_size)
        self._digits = max(0, -int(name.instrument.tick_size.as_tuple().exponent))
        self._lot_volume = 0.0 if self.is_index else max(1.0, 40_000 / name.price)

    def dice(self, at: Timestamp, step: float) -> int:
        return scramble(self._key ^ int(at // step))

    def fair(self, at: Timestamp, common: float) -> float:
        """The price in ticks, not yet on one."""
        return self._anchor * exp(common + self._path.at(at)) / self._tick_size

    def on_tick(self, ticks: float) -> float:
        return round(max(1, round(ticks)) * self._tick_size, self._digits)

    def volume(self, dice: int) -> float:
        return float(int(self._lot_volume * (1 + (dice >> 9 & 0x3FF) / 32)))

    def tick(self, at: Timestamp, common: float, dice: int, with_volume: bool) -> Tick:
        fair, symbol = self.fair(at, common), self.instrument.symbol
        if self.is_index:
            last = self.on_tick(fair)
            return Tick(symbol, last, last, last, at, 0.0)
        spread = _SPREADS[scramble(self._key + int(at // _SPREAD_HOLDS)) & 15]
        bid = max(1, int(fair - (spread - 1) / 2))
        last = bid + (spread if dice & 0x100 else 0)  # a buyer lifted the offer or a seller hit the bid
        volume = self.volume(dice) if with_volume else 0.0
        return Tick(symbol, self.on_tick(last), self.on_tick(bid), self.on_tick(bid + spread), at, volume)


class SimulatedFeed:
    """The simulated market as a Feed: a batch of ticks every `interval` seconds from its own thread."""

    source = "simulated"

    def __init__(self, clock: Clock, *, seed: int = 0, interval: float = 0.25, names: Sequence[Name] | None = None) -> None:
        self._clock = clock
        self._seed = seed
        self._interval = interval
        self._names = tuple(known_names() if names is None else names)
        self._market = SimulatedMarket(seed, self._names, interval)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def instruments(self) -> tuple[Instrument, ...]:
        return self._market.instruments()

    def prime(self) -> tuple[Tick, ...]:
        now = self._clock.now()
        market = SimulatedMarket(self._seed, self._names, self._interval)
        return tuple(market.tick(instrument.symbol, now, volume=False) for instrument in market.instruments())

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        if self.alive:
            raise RuntimeError("the feed is already running")
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(on_ticks,), name="feed-simulated", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2)
        self._thread = None

    @property
    def finished(self) -> bool:
        return False

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def step(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        """One batch for the clock's present moment; the thread does this all the time, tests and benches may do it by hand."""
        batch: list[Tick] = []
        for tick in self._market.ticks(self._clock.now()):
            batch.append(tick)
            if len(batch) == _BATCH:
                on_ticks(batch)
                batch = []
        if batch:
            on_ticks(batch)

    def history(self, symbol: str, timeframe: Timeframe, start: Timestamp, end: Timestamp) -> tuple[Candle, ...]:
        """The candles that began at or after `start` and closed by `end`, as if the market had been watched; unknown symbols have none.

        They are built from a few samples each, so they resemble, but do not equal, candles built from every tick."""
        market = SimulatedMarket(self._seed, [name for name in self._names if name.instrument.symbol == symbol], self._interval)
        if not market.instruments():
            return ()
        seconds = timeframe.seconds
        offset = bucket_offset(exchange_of(symbol), timeframe)
        first = ceil((start - offset) / seconds) * seconds + offset
        return tuple(market.candle(symbol, at, seconds) for at in range(first, int(end) - seconds + 1, seconds))

    def _run(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        due = self._clock.monotonic()
        while not self._stopping.is_set():
            self.step(on_ticks)
            now = self._clock.monotonic()
            due = max(due + self._interval, now)  # a slow machine skips steps, it never bunches them
            self._stopping.wait(due - now)
