"""The candles of the instruments that somebody watches: built from ticks, closed by tick or clock, the newest 2,000 of each kept in memory.

A candle whose beginning nobody saw is not a candle: it is filled from one-minute candles of the past or dropped. Missing minutes stay missing. It
never writes to a database; whoever wants to keep candles subscribes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engines.core.candles import CandleBuilder
from engines.core.model import Candle, Tick, Timeframe, Timestamp
from engines.core.sessions import bucket_offset, exchange_of
from engines.ports import Clock

KEEP = 2_000
IDLE = 900.0
"""Seconds after which candles that only a page looked at are let go."""
_SEEN_FROM_START = 1.0  # seconds after its beginning at which a candle still counts as seen whole
_MOST_MADE = (
    480  # candles of a feed's own past: a chart, a warm-up, at five minutes the whole of the session before; quick enough for a start
)
_ON_ITS_WAY = 1.5
"""Seconds after a candle's end for which the last real trades of it may still be on their way."""

Pair = tuple[str, Timeframe]
Past = Callable[[str, Timeframe, int], Sequence[Candle]]
Made = Callable[[str, Timeframe, Timestamp, Timestamp], Sequence[Candle]]
Subscriber = Callable[[Timeframe, Candle], None]


class Stored(Protocol):
    """What was kept (`Directory.candles`); `live` chooses the candles of real prices or the others."""

    def __call__(self, symbol: str, timeframe: str, limit: int, *, live: bool = False) -> Sequence[Candle]: ...


@dataclass(slots=True)
class _Series:
    builder: CandleBuilder
    timeframe: Timeframe
    whole_from: Timestamp  # candles that begin earlier were not seen whole
    read_at: float
    closed: deque[Candle] = field(default_factory=lambda: deque(maxlen=KEEP))


class CandleStore:
    """`past` answers the newest closed candles of a pair, oldest first (what is stored, what a feed can tell of its past, or nothing)."""

    def __init__(self, clock: Clock, past: Past) -> None:
        self._clock = clock
        self._past = past
        self._lock = threading.Lock()
        self._telling = threading.Lock()  # taken before _lock: candles are told in the order in which they closed, whoever closed them
        self._loading = threading.Lock()
        self._series: dict[Pair, _Series] = {}
        self._by_symbol: dict[str, tuple[_Series, ...]] = {}
        self._pinned: frozenset[Pair] = frozenset()
        self._live: set[str] = set()
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Called with every closed candle, in order, on the thread that closed it. It must return quickly."""
        self._subscribers += (subscriber,)

    def watch(self, pairs: Iterable[Pair]) -> None:
        """Build these candles until told otherwise; what was watched before and is not among them may go. Minutes always come with them."""
        wanted = frozenset(pairs)
        self._pinned = wanted | {(symbol, Timeframe.M1) for symbol, _ in wanted}
        for pair in sorted(self._pinned):
            self._get(pair)

    def forget(self, symbol: str) -> None:
        """Real prices have taken the place of the simulated ones: what was built of this instrument is no past of it. What is watched begins anew,
        with the real past where there is one; nothing that was open is told."""
        with self._telling, self._lock:
            self._live.add(symbol)
            gone = [pair for pair in self._series if pair[0] == symbol]
            for pair in gone:
                del self._series[pair]
            if gone:
                self._index()
        for pair in sorted(pair for pair in self._pinned if pair[0] == symbol):
            self._get(pair)

    def is_live(self, symbol: str) -> bool:
        """Whether the candles of this instrument are built from real prices."""
        return symbol in self._live

    def pairs(self) -> frozenset[Pair]:
        """What is being built now."""
        return frozenset(self._series)

    def on_ticks(self, ticks: Iterable[Tick]) -> None:
        """Take a batch, in time order."""
        closed: list[tuple[Timeframe, Candle]] = []
        by_symbol = self._by_symbol
        with self._telling:
            with self._lock:
                for tick in ticks:
                    for series in by_symbol.get(tick.symbol, ()):
                        candle = series.builder.add(tick)
                        if candle is not None and _keep(series, candle):
                            closed.append((series.timeframe, candle))
            self._tell(closed)

    def flush(self, now: Timestamp) -> None:
        """Close what is over by the clock although no tick came, and let go of what nobody looks at. Once a second is enough."""
        closed: list[tuple[Timeframe, Candle]] = []
        idle = self._clock.monotonic() - IDLE
        with self._telling:
            with self._lock:
                for (symbol, _), series in self._series.items():
                    candle = series.builder.flush(now - _ON_ITS_WAY if symbol in self._live else now)
                    if candle is not None and _keep(series, candle):
                        closed.append((series.timeframe, candle))
                self._let_go(idle)
            self._tell(closed)

    def history(self, symbol: str, timeframe: Timeframe, limit: int) -> tuple[Candle, ...]:
        """The newest closed candles, oldest first. Asking begins the building of a pair that nobody watched yet."""
        series = self._get((symbol, timeframe))
        with self._lock:
            return tuple(series.closed)[-limit:] if limit > 0 else ()

    def forming(self, symbol: str, timeframe: Timeframe) -> Candle | None:
        """The candle that is still open, as it is now (also one that was not seen whole)."""
        series = self._get((symbol, timeframe))
        with self._lock:
            return series.builder.forming

    def between(self, symbol: str, timeframe: Timeframe, start: Timestamp, end: Timestamp) -> tuple[Candle, ...]:
        """Closed candles and the forming one that begin in [start, end)."""
        forming = self.forming(symbol, timeframe)
        candles = self.history(symbol, timeframe, KEEP)
        if forming is not None and (not candles or forming.start > candles[-1].start):
            candles = (*candles, forming)
        return tuple(candle for candle in candles if start <= candle.start < end)

    def _get(self, pair: Pair) -> _Series:
        series = self._series.get(pair)
        if series is None:
            with self._loading:
                series = self._series.get(pair) or self._load(pair)
        series.read_at = self._clock.monotonic()
        return series

    def _load(self, pair: Pair) -> _Series:
        while True:
            was_live = pair[0] in self._live
            series = self._begin(*pair)
            with self._lock:
                if was_live == (pair[0] in self._live):  # else real prices came while the simulated past was read
                    self._series[pair] = series
                    self._index()
                    return series

    def _begin(self, symbol: str, timeframe: Timeframe) -> _Series:
        now = self._clock.now()
        begins = bucket_start(symbol, timeframe, now)
        series = _Series(CandleBuilder(symbol, timeframe), timeframe, now, self._clock.monotonic())
        series.closed.extend(candle for candle in self._past(symbol, timeframe, KEEP) if candle.start < begins)
        if now - begins <= _SEEN_FROM_START or (timeframe is not Timeframe.M1 and self._fill(series, symbol, begins, now)):
            series.whole_from = begins
        return series

    def _fill(self, series: _Series, symbol: str, begins: Timestamp, now: Timestamp) -> bool:
        """Play the minutes since the candle began into its builder; False when there are none."""
        minutes = [
            candle for candle in self._past(symbol, Timeframe.M1, int((now - begins) // 60) + 1) if begins <= candle.start < now - 60
        ]
        for minute in minutes:
            series.builder.merge(minute)
        return bool(minutes)

    def _let_go(self, idle: float) -> None:
        unread = [pair for pair, series in self._series.items() if series.read_at < idle and pair not in self._pinned]
        for pair in unread:
            del self._series[pair]
        if unread:
            self._index()

    def _index(self) -> None:
        by_symbol: dict[str, tuple[_Series, ...]] = {}
        for (symbol, _), series in self._series.items():
            by_symbol[symbol] = (*by_symbol.get(symbol, ()), series)
        self._by_symbol = by_symbol

    def _tell(self, closed: Sequence[tuple[Timeframe, Candle]]) -> None:
        for timeframe, candle in closed:
            for subscriber in self._subscribers:
                subscriber(timeframe, candle)


def _keep(series: _Series, candle: Candle) -> bool:
    """Whether this closed candle is whole and new; then it is kept."""
    if candle.start < series.whole_from or (series.closed and candle.start <= series.closed[-1].start):
        return False
    series.closed.append(candle)
    return True


def bucket_start(symbol: str, timeframe: Timeframe, at: Timestamp) -> Timestamp:
    """The beginning of the candle that `at` falls into, on the exchange's clock."""
    offset = bucket_offset(exchange_of(symbol), timeframe)
    return (at - offset) // timeframe.seconds * timeframe.seconds + offset


def combined_past(stored: Stored, made: Made | None, clock: Clock, is_live: Callable[[str], bool] = lambda _symbol: False) -> Past:
    """A past from what is stored and, where that has holes, from what the feed can tell (a `history` method). An instrument with real prices has
    only its real past: simulated candles are never mixed in."""

    def past(symbol: str, timeframe: Timeframe, limit: int) -> Sequence[Candle]:
        live = is_live(symbol)
        kept = stored(symbol, timeframe.value, limit, live=True) if live else stored(symbol, timeframe.value, limit)
        if made is None or live:
            return kept
        now = clock.now()
        by_start = {candle.start: candle for candle in made(symbol, timeframe, now - (min(limit, _MOST_MADE) + 1) * timeframe.seconds, now)}
        by_start.update((candle.start, candle) for candle in kept)
        return [by_start[start] for start in sorted(by_start)][-limit:]

    return past
