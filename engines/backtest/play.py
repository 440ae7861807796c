"""The two loops of a backtest: over bars, quick, and over the ticks of a replay, exactly as live sees them.

At every moment things happen in the order in which they do live: what rests and what guards sees the price, the strategy hears what was closed
for it, then the candle that has just closed, and what it then wishes trades at this price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf

from engines.backtest.house import House
from engines.backtest.track import Track
from engines.core.candles import CandleBuilder
from engines.core.model import Candle, Tick, Timeframe, Timestamp
from engines.strategies.base import Wish

STEPS = 160
"""How often `progress` is told during a run, about."""

Progress = Callable[[float], None]  # 0 to 1; may raise to end the run


def play_bars(candles: Sequence[Candle], tracks: Mapping[str, Track], house: House, progress: Progress | None = None) -> None:
    """`candles` of all instruments, in time order. A quiet bar costs a few comparisons of floats besides what the strategy needs, for any number of accounts.

    Instruments of one moment open together: no order of one sees what the bar of another still holds."""
    now = -inf
    eventful: list[tuple[Track, Candle]] = []
    step = max(1, len(candles) // STEPS) if progress is not None else len(candles) or 1
    for begin in range(0, len(candles), step):
        if progress is not None:
            progress(begin / len(candles))
        for candle in candles[begin : begin + step] if step < len(candles) else candles:
            start = candle.start
            if start != now:
                if eventful:
                    house.walk(eventful)
                    eventful.clear()
                now = start
                if start >= house.turn:
                    house.begin(start)
            track = tracks[candle.symbol]
            if track.watched and (candle.open <= track.floor or candle.open >= track.ceiling or start >= track.alarm):
                house.reach(track, _opening(candle), start)
            closed = track.previous if track.builder is None else track.builder.merge(candle)
            track.previous = candle
            if closed is not None:
                try:
                    wish = track.on_candle(closed)
                except Exception as error:
                    raise track.failed(closed.start, error) from error
                if wish is not None:
                    house.wish(track, wish, closed.start, _opening(candle), start)
            if track.watched and (candle.low <= track.floor or candle.high >= track.ceiling or start > track.soon):
                eventful.append((track, candle))
    if eventful:
        house.walk(eventful)
    _close_last(tracks, house)


def _opening(candle: Candle) -> Tick:
    return Tick(candle.symbol, candle.open, candle.open, candle.open, candle.start)


def _close_last(tracks: Mapping[str, Track], house: House) -> None:
    """The end of the data closes every candle; what is decided then finds no price any more."""
    for track in tracks.values():
        candle = track.previous if track.builder is None else track.builder.forming
        if candle is not None:
            wish = _shown(track, candle)
            if wish is not None:
                house.wish(track, wish, candle.start, None, candle.start)


def play_ticks(
    batches: Iterable[tuple[Timestamp, Sequence[Tick]]], timeframe: Timeframe, tracks: Mapping[str, Track], house: House
) -> None:
    """Moments with their ticks, as a replay feed gives them: without ticks where only time passes and closes candles."""
    builders = {symbol: CandleBuilder(symbol, timeframe) for symbol in tracks}
    for now, ticks in batches:
        if now >= house.turn:
            house.begin(now)
        for tick in ticks:
            house.meet(tracks[tick.symbol], tick, now)
        closed = [candle for tick in ticks if (candle := builders[tick.symbol].add(tick)) is not None]
        closed += [candle for builder in builders.values() if (candle := builder.flush(now)) is not None]
        for candle in closed:
            track = tracks[candle.symbol]
            wish = _shown(track, candle)
            if wish is not None:
                house.wish(track, wish, candle.start, track.tick, now)
        for tick in ticks:
            track = tracks[tick.symbol]
            if track.strategy.listens_to_ticks:
                wish = _told(track, tick)
                if wish is not None:
                    house.wish(track, wish, tick.at, tick, now)
        house.look(now)


def _shown(track: Track, candle: Candle) -> Wish | None:
    try:
        return track.on_candle(candle)
    except Exception as error:
        raise track.failed(candle.start, error) from error


def _told(track: Track, tick: Tick) -> Wish | None:
    try:
        return track.strategy.on_tick(tick)
    except Exception as error:
        raise track.failed(tick.at, error) from error
