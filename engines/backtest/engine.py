"""Puts a backtest together: strategy instances warmed up on what came before, the accounts, the loop over bars or ticks, and what it leaves behind.

It runs in the process and thread that call it (a subprocess of its own beside a running system) and touches no database, network or broker.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import chain
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from engines.backtest.book import Book
from engines.backtest.history import History, check_distinct, common_timeframe, merged, merged_batches, read_history
from engines.backtest.house import House
from engines.backtest.play import Progress, play_bars, play_ticks
from engines.backtest.played import AccountPlayed, Holding, Played
from engines.backtest.settings import ACCOUNT, STRATEGY_ID, Job, Settings, Source, Way
from engines.backtest.track import StrategyFailed, Track
from engines.core.candles import CandleBuilder, resample
from engines.core.model import ZERO, Candle, Instrument, StrategyConfig, Tick, Timeframe, Timestamp
from engines.core.sessions import Calendar, utc_offset
from engines.market.files import BadFile
from engines.ports import Clock, SystemClock, TandemError
from engines.strategies import registry

if TYPE_CHECKING:
    from engines.backtest.report import Report

__all__ = [
    "STRATEGY_ID",
    "BadParameters",
    "Cancelled",
    "Progress",
    "StrategyFailed",
    "check",
    "play",
    "play_job",
    "read_job",
    "run",
    "run_job",
]

MOST_WARM_UP = 2_000  # candles, as live
READING = 0.2
"""The part of a job's progress that reading its files counts for."""


class BadParameters(TandemError):
    """The strategy does not take these parameters, or the job does not make sense."""


class Cancelled(TandemError):
    """Somebody has asked to end the run; raised by whoever listens to its progress."""


# --- a job ---------------------------------------------------------------------------------------------------------


def run_job(
    job: Job,
    *,
    instruments: Sequence[Instrument] = (),
    calendar: Calendar | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Played:
    """Read the job's files and play it. TandemError, fit to show, when it cannot be run. `progress` hears 0 to 1 about 200 times and may raise.

    `instruments` describes what trades (lot, tick, segment) where the built-in list does not know it, `calendar` (default: the one that ships) when.
    `clock` only measures how long it took.
    """
    clock = clock or SystemClock()
    began = clock.monotonic()
    check(job.kind, job.params)  # a slip there should not wait for large files
    reading = None if progress is None else lambda share: progress(share * READING)
    histories = read_job(job, instruments, progress=reading)
    playing = None if progress is None else lambda share: progress(READING + share * (1 - READING))
    played = play_job(job, histories, calendar=calendar, clock=clock, progress=playing)
    return replace(played, reading_seconds=clock.monotonic() - began - played.running_seconds)


def read_job(job: Job, instruments: Sequence[Instrument] = (), *, progress: Progress | None = None) -> tuple[History, ...]:
    """The job's files, cut to its days. BadFile when one cannot be read, is not there or holds nothing of the time."""
    if not job.sources:
        raise BadFile("there is no market data to play: name a file")
    first, last = _day(job.first), _day(job.last)
    histories = []
    for number, source in enumerate(job.sources):
        if progress is not None:
            progress(number / len(job.sources))
        path = Path(source.path)
        histories.append(read_history(path, symbol=source.symbol, first=first, last=last, instruments=instruments, name=source.name))
    check_distinct(histories)
    return tuple(histories)


def play_job(
    job: Job,
    histories: Sequence[History],
    *,
    calendar: Calendar | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    restart_at: Collection[Timestamp] = (),
) -> Played:
    """The same over histories in hand, which are not changed. `restart_at`: when each strategy is replaced by a new one that takes up its state."""
    clock = clock or SystemClock()
    began = clock.monotonic()
    histories = tuple(histories)
    timeframe = common_timeframe(histories, job.timeframe)
    check_distinct(histories)
    _check_seats(job)
    config = _config(job, histories, timeframe)
    tracks = _tracks(config, histories)
    settings = job.settings
    with _collector_at_rest():
        way = settings.way or _way_for(histories, tracks)
        house = House(
            job.all_seats,
            settings,
            config,
            tracks,
            rules=job.rules,
            groups=job.groups,
            calendar=calendar,
            restart_at=restart_at,
        )
        if way is Way.REPLAY:
            batches = merged_batches(histories)
            play_ticks(batches if progress is None else _told_by_time(batches, histories, progress), timeframe, tracks, house)
        elif any(history.file.ticks for history in histories):
            names = ", ".join(history.name for history in histories if history.file.ticks)
            raise BadFile(f"{names} holds ticks: they are played as they are, not as bars")
        else:
            play_bars(merged(histories), tracks, house, progress)
        if progress is not None:
            progress(1.0)
        played = _played(replace(job, params=config.params, timeframe=timeframe), config, way, histories, house, clock.monotonic() - began)
        house.close()
        return played


def check(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with their defaults; BadParameters says which is wrong and why."""
    try:
        return registry.check_params(kind, params)
    except registry.UnknownKind as error:
        raise registry.UnknownKind(f"{error}; there are {', '.join(sorted(each.kind for each in registry.kinds()))}") from None
    except pydantic.ValidationError as error:
        wrong = "; ".join(": ".join([*map(str, each["loc"]), each["msg"].removeprefix("Value error, ")]) for each in error.errors())
        raise BadParameters(f"{kind} cannot run so: {wrong}") from None


# --- one file on one account -----------------------------------------------------------------------------------------


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
    """One strategy over one market file on one account, as `settings` describe it, and the report of what came of it."""
    from engines.backtest.report import report_on

    job = Job(
        kind,
        (Source(str(path), symbol),),
        params or {},
        timeframe,
        None if first is None else first.isoformat(),
        None if last is None else last.isoformat(),
        settings=settings or Settings(),
    )
    return report_on(run_job(job, instruments=instruments, clock=clock), clock=clock)


def play(
    kind: str,
    params: Mapping[str, Any],
    history: History,
    *,
    timeframe: Timeframe | None = None,
    settings: Settings | None = None,
    strategy_id: str = STRATEGY_ID,
    clock: Clock | None = None,
) -> Report:
    """The same over a history in hand. `strategy_id` goes into signal ids, so that they are those of a live strategy of this id."""
    from engines.backtest.report import report_on

    job = Job(kind, params=params, timeframe=timeframe, settings=settings or Settings(), strategy_id=strategy_id)
    return report_on(play_job(job, (history,), clock=clock), clock=clock)


# --- parts -----------------------------------------------------------------------------------------------------------


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """A run makes next to no cycles, but the collector would walk through all of the files' candles again and again: a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadParameters(f"{text!r} is not a day of the form YYYY-MM-DD") from None


def _check_seats(job: Job) -> None:
    ids = [seat.account.account_id for seat in job.seats]
    twice = next((each for each in ids if ids.count(each) > 1), None)
    if twice is not None:
        raise BadParameters(f"the account {twice} has two seats")
    known = {job.strategy_id, *(ids or (ACCOUNT,)), *(group.group_id for group in job.groups)}
    stray = next((rule for rule in job.rules if rule.scope_id not in known), None)
    if stray is not None:
        raise BadParameters(f"the {stray.scope.value} {stray.scope_id} of a combined rule is not part of the back-test")


def _config(job: Job, histories: Sequence[History], timeframe: Timeframe) -> StrategyConfig:
    symbols: list[str] = []
    for history in histories:
        present = set(map(itemgetter(0), history.file.candles or history.file.ticks))  # both begin with their symbol
        symbols += [instrument.symbol for instrument in history.instruments if instrument.symbol in present]
    return StrategyConfig(
        job.strategy_id,
        job.all_seats[0].account.user_id,
        job.kind,
        job.kind,
        timeframe,
        tuple(symbols),
        check(job.kind, job.params),
        active=True,
        exit_plan=job.exits or job.settings.exits,
        reentry=job.reentry,
    )


def _way_for(histories: Sequence[History], tracks: Mapping[str, Track]) -> Way:
    listening = any(track.strategy.listens_to_ticks for track in tracks.values())
    return Way.REPLAY if listening or any(history.file.ticks for history in histories) else Way.STOP_FIRST


def _tracks(config: StrategyConfig, histories: Sequence[History]) -> dict[str, Track]:
    tracks = {}
    for history in histories:
        past: dict[str, list[Candle]] = {}
        for candle in history.earlier:
            past.setdefault(candle.symbol, []).append(candle)
        for instrument in history.instruments:
            if instrument.symbol in config.instruments:
                tracks[instrument.symbol] = _track(config, instrument, history, past.get(instrument.symbol, ()))
    return tracks


def _track(config: StrategyConfig, instrument: Instrument, history: History, past: Sequence[Candle]) -> Track:
    try:
        strategy = registry.create(config.kind, config.params, instrument.symbol, config.timeframe, instrument)
    except ValueError as error:
        raise BadParameters(f"{config.kind} cannot run so on {instrument.symbol}: {error}") from None
    seconds = history.file.seconds
    longer = config.timeframe.seconds != seconds
    if longer and past:
        past = resample(past, config.timeframe)
    builder = CandleBuilder(instrument.symbol, config.timeframe) if longer else None
    track = Track(instrument, strategy, builder, seconds)
    for candle in past[-min(strategy.warmup, MOST_WARM_UP) :] if strategy.warmup else ():
        try:
            strategy.on_candle(candle)  # what it wishes there is not heard, as when it is switched on live
        except Exception as error:
            raise track.failed(candle.start, error) from error
    strategy.stance = 0
    return track


def _told_by_time(
    batches: Iterator[tuple[Timestamp, list[Tick]]], histories: Sequence[History], progress: Progress
) -> Iterator[tuple[Timestamp, list[Tick]]]:
    first, last = _span(histories)
    step = max((last - first) / 160, 1e-9)
    due = first
    for batch in batches:
        if batch[0] >= due:
            progress(min(1.0, max(0.0, (batch[0] - first) / (last - first or 1.0))))
            due = batch[0] + step
        yield batch


def _span(histories: Sequence[History]) -> tuple[Timestamp, Timestamp]:
    firsts = [rows[0][1] if history.file.candles else rows[0].at for history in histories for rows in (_rows(history),)]
    lasts = [rows[-1][1] if history.file.candles else rows[-1].at for history in histories for rows in (_rows(history),)]
    return min(firsts), max(lasts)


def _rows(history: History) -> Sequence[Any]:
    return history.file.candles or history.file.ticks


def _played(job: Job, config: StrategyConfig, way: Way, histories: tuple[History, ...], house: House, seconds: float) -> Played:
    first, last = _span(histories)
    log = house.log
    return Played(
        job=job,
        config=config,
        way=way,
        histories=histories,
        instruments=tuple(track.instrument for track in house.tracks.values()),
        decisions=tuple(log.decisions),
        flats=tuple(log.flats),
        accounts=tuple(map(_account, house.books)),
        bars=sum(len(_rows(history)) for history in histories),
        first=first,
        last=last,
        ambiguous=log.ambiguous,
        unfilled=log.unfilled,
        marks={symbol: mark for symbol, track in house.tracks.items() if (mark := track.mark(inf)) is not None},
        running_seconds=seconds,
        reading_seconds=0.0,
        notes=tuple(dict.fromkeys((*chain.from_iterable(history.notes for history in histories), *_notes(job, histories)))),
    )


def _notes(job: Job, histories: Sequence[History]) -> Iterator[str]:
    """What a reader must know of files and accounts that were put together."""
    lengths = {history.file.seconds for history in histories}
    watched = job.rules or any(seat.account.limits.watch_the_day for seat in job.all_seats)
    if len(lengths) > 1 and watched:
        yield "the files' bars differ in length: limits of the day's P&L see a longer bar as a whole when it begins"
    zones = {utc_offset(symbol) for history in histories for symbol in history.file.symbols}
    if len(zones) > 1:
        yield "instruments of different currencies are added up as if they were of one"


def _account(book: Book) -> AccountPlayed:
    log = book.log
    held = [(slot, mark) for slot in book.slots if slot.position.quantity and (mark := slot.track.exact_mark(inf)) is not None]
    return AccountPlayed(
        account=book.account,
        mapping=book.mapping,
        trades=log.trades,
        fills=log.fills,
        moves=log.moves,
        changes=log.changes,
        refused=dict(sorted(log.refused.items())),
        refusals=log.refusals,
        locks=log.locks,
        holdings=tuple(
            Holding(slot.track.symbol, slot.position.quantity, slot.position.average_price or ZERO, last, slot.position.unrealised(last))
            for slot, last in held
        ),
        entries=log.entries,
        cash=book.ledger.cash,
        charges=sum((slot.position.charges for slot in book.slots), ZERO),
    )
