"""Histories cut shorter, for what plays the same run again on part of its data: look-ahead checks and walk-forward windows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from engines.backtest.history import History
from engines.core.model import Candle, Timeframe, Timestamp

MOST_WARM_UP = 2_000
"""Candles of a strategy, as live."""


def until(histories: Sequence[History], end: Timestamp) -> tuple[History, ...]:
    """What was over by then: bars that end later are not there, and a file that has nothing before is left out."""
    return between(histories, float("-inf"), end)


def between(histories: Sequence[History], start: Timestamp, end: Timestamp, timeframe: Timeframe | None = None) -> tuple[History, ...]:
    """Bars (or ticks) that begin at `start` or later and are over by `end`; what came before only warms up strategies on candles of `timeframe`."""
    found = (_part(history, start, end, timeframe or history.timeframe) for history in histories)
    return tuple(history for history in found if history.file.candles or history.file.ticks)


def _part(history: History, start: Timestamp, end: Timestamp, timeframe: Timeframe) -> History:
    file = history.file
    if not file.candles:
        ticks = file.ticks[_first(file.ticks, start, _AT) : _first(file.ticks, end, _AT)]
        return replace(history, file=replace(file, ticks=ticks))
    first, last = _first(file.candles, start, _START), _first(file.candles, end - file.seconds + 1e-6, _START)
    earlier: Sequence[Candle] = history.earlier
    if first:
        enough = int(MOST_WARM_UP * max(timeframe.seconds / file.seconds, 1)) * max(len(history.instruments), 1)
        earlier = [*history.earlier, *file.candles[:first]][-enough:] if first < enough else file.candles[first - enough : first]
    return replace(history, file=replace(file, candles=file.candles[first:last]), earlier=earlier)


def _first(rows: Sequence[Any], moment: Timestamp, key: Callable[[Any], float]) -> int:
    """The first row at or after a moment."""
    return bisect_left(rows, moment, key=key)


_START, _AT = attrgetter("start"), attrgetter("at")
