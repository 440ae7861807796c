"""Puts a backtest together: strategy instances warmed up on what came before, the account, the loop over bars or ticks, and the report.

It runs in the process and thread that call it (a subprocess of its own beside a running system) and touches no database, network or broker.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import Any

import pydantic

from engines.backtest.book import Book
from engines.backtest.history import History, read_history
from engines.backtest.ledger import ACCOUNT
from engines.backtest.play import play_bars, play_ticks
from engines.backtest.records import Log
from engines.backtest.report import Report, report_on
from engines.backtest.settings import Settings, Way
from engines.backtest.track import Track
from engines.core.candles import CandleBuilder, resample
from engines.core.model import Candle, Instrument, PositionKey, Product, StrategyConfig, Timeframe
from engines.core.positions import empty
from engines.market.files import BadFile
from engines.market.replay import ReplayFeed
from engines.ports import Clock, SystemClock, TandemError
from engines.strategies import registry

STRATEGY_ID = "backtest"
MOST_WARM_UP = 2_000  # candles, as live


class BadParameters(TandemError):
    """The strategy does not take these parameters."""


def run(
    kind: str,
    path: Path,
    *,
    params: Mapping[str, Any] | None = None,
    first: date | None = None,
    last: date | None = None,
    symbol: str | None = None,
    timeframe: Timeframe | None = None,
    settings: Settings | None = None,
    instruments: Sequence[Instrument] = (),
    clock: Clock | None = None,
) -> Report:
    """One strategy over one market file, from the first to the last of these days. TandemError, fit to show, when it cannot be run.

    `symbol` picks or names the instrument, `timeframe` is the strategy's (default: that of the file's candles), `instruments` describes what
    trades (lot, tick, segment) where the built-in list does not know it. `clock` only measures how long it took.
    """
    clock = clock or SystemClock()
    began = clock.monotonic()
    check(kind, params or {})  # a slip there should not wait for a large file
    history = read_history(path, symbol=symbol, first=first, last=last, instruments=instruments)
    reading = clock.monotonic() - began
    return play(kind, params or {}, history, timeframe=timeframe, settings=settings, clock=clock, reading=reading)


def play(
    kind: str,
    params: Mapping[str, Any],
    history: History,
    *,
    timeframe: Timeframe | None = None,
    settings: Settings | None = None,
    strategy_id: str = STRATEGY_ID,
    clock: Clock | None = None,
    reading: float = 0.0,
) -> Report:
    """The same over a history in hand. `strategy_id` goes into signal ids, so that they are those of a live strategy of this id."""
    clock, settings = clock or SystemClock(), settings or Settings()
    timeframe = _timeframe(history, timeframe)
    checked = check(kind, params)
    began = clock.monotonic()
    present = set(map(itemgetter(0), history.file.candles or history.file.ticks))  # both begin with their symbol
    symbols = tuple(instrument.symbol for instrument in history.instruments if instrument.symbol in present)
    config = StrategyConfig(strategy_id, ACCOUNT, kind, kind, timeframe, symbols, checked, active=True, exit_plan=settings.exits)
    known = {instrument.symbol: instrument for instrument in history.instruments}
    tracks = {symbol: _track(config, known[symbol], history) for symbol in symbols}
    log = Log()
    book = Book(settings, config, tracks, log)
    way = settings.way or _way_for(history, tracks)
    with _collector_at_rest():
        if way is Way.REPLAY:
            feed = ReplayFeed(history.path, instruments=history.instruments, file=history.file)
            play_ticks(feed.batches(), timeframe, tracks, book)
        elif history.file.ticks:
            raise BadFile(f"{history.path.name} holds ticks: they are played as they are, not as bars")
        else:
            play_bars(history.file.candles, tracks, book)
        return report_on(history, config, settings, way, list(tracks.values()), log, book.cash, lambda: clock.monotonic() - began, reading)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """A run makes no cycles, but the collector would walk through all of the file's candles again and again: a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def check(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with their defaults; BadParameters says which is wrong and why."""
    try:
        return registry.check_params(kind, params)
    except registry.UnknownKind as error:
        raise registry.UnknownKind(f"{error}; there are {', '.join(sorted(each.kind for each in registry.kinds()))}") from None
    except pydantic.ValidationError as error:
        wrong = "; ".join(": ".join([*map(str, each["loc"]), each["msg"].removeprefix("Value error, ")]) for each in error.errors())
        raise BadParameters(f"{kind} cannot run so: {wrong}") from None


def _timeframe(history: History, asked: Timeframe | None) -> Timeframe:
    timeframe = asked or history.timeframe
    seconds = history.file.seconds
    if seconds and timeframe.seconds % seconds:
        raise BadFile(f"candles of {timeframe} cannot be made of the {seconds:g}-second candles in {history.path.name}")
    return timeframe


def _way_for(history: History, tracks: Mapping[str, Track]) -> Way:
    listening = any(track.strategy.listens_to_ticks for track in tracks.values())
    return Way.REPLAY if history.file.ticks or listening else Way.STOP_FIRST


def _track(config: StrategyConfig, instrument: Instrument, history: History) -> Track:
    strategy = registry.create(config.kind, config.params, instrument.symbol, config.timeframe, instrument)
    longer = config.timeframe.seconds != history.file.seconds
    past: Sequence[Candle] = [candle for candle in history.earlier if candle.symbol == instrument.symbol]
    if longer:
        past = resample(past, config.timeframe)
    position = empty(PositionKey(ACCOUNT, instrument.symbol, Product.MIS, config.strategy_id))
    track = Track(instrument, strategy, position, CandleBuilder(instrument.symbol, config.timeframe) if longer else None)
    for candle in past[-min(strategy.warmup, MOST_WARM_UP) :] if strategy.warmup else ():
        try:
            strategy.on_candle(candle)  # what it wishes there is not heard, as when it is switched on live
        except Exception as error:
            raise track.failed(candle.start, error) from error
    return track
