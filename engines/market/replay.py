"""Plays a file of candles or ticks as a live feed: at real speed, N times as fast, or as fast as the engines take it.

The replay carries its own clock, which the engines use as theirs, so that they decide as they would have on that day. It invents nothing but the
declared way through a candle: open, low, high, close when it rose, open, high, low, close when it fell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby, pairwise
from math import inf
from pathlib import Path

from engines.core.bars import Levels, ticks_within
from engines.core.candles import resample
from engines.core.model import Candle, Instrument, Tick, Timeframe, Timestamp
from engines.core.prices import to_tick
from engines.core.sessions import DAY, day_start, exchange_of, load_calendar, session_day
from engines.market.candle_store import KEEP, bucket_start
from engines.market.files import BadFile, MarketFile, read_market_file
from engines.market.names import known_instruments
from engines.market.pace import Pace
from engines.ports import Clock, SystemClock

_QUIET = (60.0, 4 * 3600.0)  # a night or a hole is one candle without a tick, but at least and at most so many seconds
_NIGHT = 5.0  # seconds that a paced replay waits for a night, at most
_TICK_SIZES = tuple(map(Decimal, ("5", "1", "0.5", "0.1", "0.05", "0.01", "0.001", "0.0001", "0.000001")))

Batch = tuple[Timestamp, list[Tick]]


class ReplayClock:
    """Wall time is that of the replay and moves with its ticks; monotonic time is the machine's, so that waits and ages stay real."""

    def __init__(self, start: Timestamp, base: Clock | None = None) -> None:
        self._base = base or SystemClock()
        self._now = start

    def now(self) -> Timestamp:
        return self._now

    def monotonic(self) -> float:
        return self._base.monotonic()

    def set(self, now: Timestamp) -> None:
        self._now = max(self._now, now)


class ReplayFeed:
    """A market file as a Feed. `bad_rows` are the rows that were left out, each with its line.

    `on_ticks` is called with all ticks of one moment at a time; the next moment comes when it has returned, so whoever finishes its work in there
    gets the same replay every time. Before a night or a hole and at the end it is called without ticks at the moments when candles are over
    by the clock: only time has passed.
    """

    def __init__(
        self,
        path: Path,
        symbol: str | None = None,
        *,
        speed: float = 1.0,
        exchange: str = "NSE",
        start: Timestamp | None = None,
        end: Timestamp | None = None,
        instruments: Sequence[Instrument] = (),
        ticks_per_leg: int = 1,
        base: Clock | None = None,
        file: MarketFile | None = None,
    ) -> None:
        """`speed`: 1 real, N times as fast, 0 as fast as it is taken. `symbol`: of a file that names none, or one of several; `exchange`: of
        names without one. Only [start, end) is played. `instruments` describes what is traded; what it lacks is taken from the known names or
        from the prices. `ticks_per_leg`: ticks on each of a candle's three legs, for a smoother walk. `file`: what `path` holds, when it was
        read already. BadFile when there is nothing to play."""
        if ticks_per_leg < 1:
            raise ValueError("a leg has at least one tick")
        self._base = base or SystemClock()
        self.pace = Pace(speed, self._base)
        whole = file or read_market_file(path, symbol or None, exchange)
        self._file = cut(whole, start, end)
        self._earlier: Sequence[Candle] = () if start is None else [candle for candle in whole.candles if candle.start < start]
        self._legs = ticks_per_leg
        self._instruments = tuple(describe(self._file, instruments))
        self._tick_sizes = {instrument.symbol: instrument.tick_size for instrument in self._instruments}
        self.source = f"replay of {path.name}"
        self.bad_rows = self._file.bad
        self.bad_row_count = self._file.bad_count
        self._quiet = min(max(self._file.seconds, _QUIET[0]), _QUIET[1])
        self.clock = ReplayClock(_first_time(self._file), base)
        self._levels: Callable[[str], Levels] | None = None
        self._deadline: Callable[[str], Timestamp] = lambda _: inf
        self._finished = False
        self._left: Iterator[Batch] | None = None
        self._waiting: Batch | None = None  # was due when it was stopped
        self._thread: threading.Thread | None = None

    def instruments(self) -> tuple[Instrument, ...]:
        return self._instruments

    def prime(self) -> tuple[Tick, ...]:
        """The first price of each instrument, so that there is one before the first batch."""
        first: dict[str, float] = {}
        for candle in self._file.candles:
            first.setdefault(candle.symbol, candle.open)
        for tick in self._file.ticks:
            first.setdefault(tick.symbol, tick.last_price)
        now = self.clock.now()
        return tuple(Tick(symbol, price, price, price, now) for symbol, price in first.items())

    def walk_through(self, levels: Callable[[str], Levels], deadline: Callable[[str], Timestamp] = lambda _: inf) -> None:
        """Candles trade at every level on their way (as a backtest's bars do), not at their corners alone. `levels` says what fires next of an
        instrument, `deadline` when one of its plans ends; they are asked between ticks, so whoever takes the ticks must have finished with one
        before it asks for the next."""
        self._levels, self._deadline = levels, deadline

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        if self.alive:
            raise RuntimeError("the feed is already running")
        self._thread = threading.Thread(target=self.play, args=(on_ticks,), name="feed-replay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.pace.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2)
        self._thread = None

    @property
    def finished(self) -> bool:
        return self._finished

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def play(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        """Play to the end, or until `stop`, on the calling thread. A second time goes on where the first one stopped."""
        self.pace.begin()
        before = self.clock.now()
        if self._left is None:
            self._left = self.batches()
        while (batch := self._waiting or next(self._left, None)) is not None:
            at, ticks = self._waiting = batch
            gap = max(at - before, 0.0)
            if not self.pace.wait(at, gap if gap <= self._quiet else min(gap, _NIGHT)):
                return
            self._waiting = None
            self.clock.set(at)
            on_ticks(ticks)
            before = at
        self._finished = True

    def history(self, symbol: str, timeframe: Timeframe, start: Timestamp, end: Timestamp) -> Sequence[Candle]:  # noqa: ARG002
        """The newest candles of the file from before the part that is played, oldest first: the past of whoever warms up on it. Nights and holidays
        do not shorten it, so `start` is not asked."""
        if self._file.seconds > timeframe.seconds:
            return ()
        mine = [candle for candle in self._earlier if candle.symbol == symbol and candle.start < end]
        shorter = int(timeframe.seconds // self._file.seconds) if self._file.seconds else 1
        part = mine[-KEEP * shorter :]
        return part if timeframe.seconds == self._file.seconds else resample(part, timeframe)[-KEEP:]

    @property
    def base_seconds(self) -> float:
        """The length of the file's candles; 0 for ticks."""
        return self._file.seconds

    @property
    def progress(self) -> float:
        """How much of its time the replay has played, 0 to 1."""
        rows = self._file.candles or self._file.ticks
        first, last = _first_time(self._file), rows[-1][1] if self._file.candles else self._file.ticks[-1].at
        return (
            1.0 if self._finished or last <= first else min(1.0, max(0.0, (self.clock.now() - first) / (last + self._file.seconds - first)))
        )

    def batches(self) -> Iterator[Batch]:
        """Every moment of the replay with its ticks, from the beginning; an empty list where only time passes."""
        last: Timestamp | None = None
        for at, ticks in self._moments():
            if last is not None and at - last > self._quiet:
                yield from ((end, []) for end in self._ends_after(last) if end < at)
            yield at, ticks
            last = at
        if last is not None:
            yield from ((end, []) for end in self._ends_after(last)[:-1])  # the last session stays the present one

    def _ends_after(self, at: Timestamp) -> list[Timestamp]:
        """When the candles of each timeframe that were forming at that moment are over; the day's is the last."""
        symbol = self._instruments[0].symbol
        return sorted({bucket_start(symbol, timeframe, at) + timeframe.seconds for timeframe in Timeframe})

    def _moments(self) -> Iterator[Batch]:
        if self._file.ticks:
            for at, ticks in groupby(self._file.ticks, key=lambda tick: tick.at):
                yield at, list(ticks)
        walks = self._walks if self._levels is None else self._level_walks
        for _, candles in groupby(self._file.candles, key=lambda candle: candle.start):
            yield from walks(list(candles))

    def _level_walks(self, candles: Sequence[Candle]) -> Iterator[Batch]:
        """The opens of all, then leg by leg what each meets on its way, and at the end of a leg the corners of all."""
        assert self._levels is not None
        begins, lasts = trading_time(candles[0], self._file.seconds)
        walks = [LevelWalk(candle, self._levels, self._deadline, (begins, lasts)) for candle in candles]
        yield begins, [walk.opening(begins) for walk in walks]
        at = begins
        for leg in range(3):
            corners = []
            for walk in walks:
                for share, tick in walk.leg(last=leg == 2):
                    if share == 1.0:
                        corners.append(tick)
                    else:
                        at = max(at, round(begins + lasts * (leg + share) / 3, 3))
                        yield at, [tick._replace(at=at)]
            at = max(at, round(begins + lasts * (leg + 1) / 3, 3))
            volumes = [candle.volume if leg == 2 else 0.0 for candle in candles]
            yield at, [tick._replace(at=at, volume=volume) for tick, volume in zip(corners, volumes, strict=True)]

    def _walks(self, candles: Sequence[Candle]) -> Iterator[Batch]:
        """Candles of the same time, walked through together."""
        count = 3 * self._legs + 1
        begins, lasts = trading_time(candles[0], self._file.seconds)
        walks = [_walk(candle, self._legs, self._tick_sizes[candle.symbol]) for candle in candles]
        for number in range(count):
            at = round(begins + lasts * number / (count - 1), 3)
            yield (
                at,
                [
                    Tick(candle.symbol, walk[number], walk[number], walk[number], at, _share(candle.volume, number, count))
                    for candle, walk in zip(candles, walks, strict=True)
                ],
            )


class LevelWalk:
    """One candle on its way through whatever waits: the same ticks as a backtest's bar, with how far along its leg each lies.

    A `deadline` that falls between two of them gets a tick of its own, where the price is on the straight way by then. `hours`: when the candle's ticks
    begin and over how long they spread.
    """

    def __init__(
        self,
        candle: Candle,
        levels: Callable[[str], Levels],
        deadline: Callable[[str], Timestamp] = lambda _: inf,
        hours: tuple[Timestamp, float] = (0.0, 1.0),
    ) -> None:
        self._candle, self._deadline, self._hours = candle, deadline, hours
        self._ticks = ticks_within(candle, lambda: levels(candle.symbol))
        self._corners = {candle.low, candle.high} - {candle.open}
        self._at = candle.open
        self._leg = -1

    def opening(self, at: Timestamp) -> Tick:
        return next(self._ticks)._replace(at=at)

    def leg(self, *, last: bool) -> Iterator[tuple[float, Tick]]:
        """(share of the leg, tick) up to the next corner, or to the close. The end has share 1; told again where the price is there already, it
        costs nothing and keeps all candles in step."""
        begun = self._at
        self._leg += 1
        gone, before = 0.0, begun
        if self._corners or last:
            for tick in self._ticks:
                price = tick.last_price
                ends = price in self._corners and not last
                span = max((abs(corner - begun) for corner in self._corners), default=abs(self._candle.close - begun))
                share = 1.0 if ends else min(abs(price - begun) / span, 0.99) if span else 0.99
                while gone < (due := self._due()) < share:
                    before += (price - before) * (due - gone) / (share - gone)
                    gone = due
                    yield due, self._tick(before)
                self._at, gone, before = price, share, price
                if ends:
                    self._corners.discard(price)
                    break
                yield share, tick
        yield 1.0, self._tick(self._at)

    def _due(self) -> float:
        """How far along the present leg the deadline lies; below 0 or above 1: in none or another."""
        deadline, (begins, lasts) = self._deadline(self._candle.symbol), self._hours
        return (deadline - begins) / lasts * 3 - self._leg if deadline < inf else -1.0

    def _tick(self, price: float) -> Tick:
        return Tick(self._candle.symbol, price, price, price, self._candle.start)


def _walk(candle: Candle, legs: int, tick_size: Decimal) -> list[float]:
    """The prices on the declared way: the four corners, with straight legs of prices on the tick between them."""
    rose = candle.close >= candle.open
    corners = (candle.open, candle.low, candle.high, candle.close) if rose else (candle.open, candle.high, candle.low, candle.close)
    walk = [candle.open]
    for begin, end in pairwise(corners):
        between = (to_tick(begin + (end - begin) * step / legs, tick_size) for step in range(1, legs))
        walk += [*(min(max(float(price), candle.low), candle.high) for price in between), end]
    return walk


def _share(volume: float, number: int, count: int) -> float:
    """Whole units on every tick, what is left on the last, so that the shares add up to the candle's volume."""
    each = volume // count
    return each if number < count - 1 else volume - each * (count - 1)


def trading_time(candle: Candle, seconds: float) -> tuple[Timestamp, float]:
    """When a candle's ticks begin and over how long they spread; those of a day keep to the exchange's hours. The last second stays free."""
    if seconds < DAY:
        return candle.start, seconds - min(1.0, seconds / 60)
    exchange = exchange_of(candle.symbol)
    windows = load_calendar().windows(session_day(candle.start, exchange), exchange) or ((9 * 3600 + 15 * 60, 15 * 3600 + 30 * 60),)
    opens, closes = windows[0][0], windows[-1][1]
    return day_start(candle.start, exchange) + opens, closes - opens - 1.0


def cut(file: MarketFile, start: Timestamp | None, end: Timestamp | None) -> MarketFile:
    """What of the file lies in [start, end); BadFile when nothing does."""
    first, last = -float("inf") if start is None else start, float("inf") if end is None else end
    part = replace(
        file,
        candles=[candle for candle in file.candles if first <= candle.start < last],
        ticks=[tick for tick in file.ticks if first <= tick.at < last],
    )
    if not (part.candles or part.ticks):
        raise BadFile("the file holds nothing of the time that was asked for")
    return part


def _first_time(file: MarketFile) -> Timestamp:
    return trading_time(file.candles[0], file.seconds)[0] if file.candles else file.ticks[0].at


def describe(file: MarketFile, given: Sequence[Instrument]) -> Iterator[Instrument]:
    """The instruments of the file: as given, else as known by name, else as their prices show."""
    known = {instrument.symbol: instrument for instrument in (*known_instruments(), *given)}
    for symbol in file.symbols:
        yield known.get(symbol) or _guess(file, symbol)


def _guess(file: MarketFile, symbol: str) -> Instrument:
    """An instrument that nobody described: a plain share whose tick is the coarsest that all its (first 2,000) prices are on."""
    exchange, _, name = symbol.partition(":")
    closes = [candle.close for candle in file.candles if candle.symbol == symbol] or [
        t.last_price for t in file.ticks if t.symbol == symbol
    ]
    prices = [Decimal(repr(price)) for price in closes[:2_000]]
    tick = next((size for size in _TICK_SIZES if all(price % size == 0 for price in prices)), Decimal("1e-8"))
    return Instrument(symbol, name, exchange, tick)
