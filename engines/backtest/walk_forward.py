"""Walk-forward: parameters chosen on some sessions are traded on the sessions that follow, again and again, and only these count.

It tells what choosing by past results would have made; the results of the choosing itself are shown beside it and never mixed in. Every window of test
sessions begins flat and ends at its last price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from engines.backtest.cutting import between
from engines.backtest.equity import Prices, prices_of
from engines.backtest.grid import LOW_IS_GOOD
from engines.backtest.history import History, common_timeframe
from engines.backtest.metrics import Daily, daily
from engines.backtest.settings import Job
from engines.core.model import ZERO, Timestamp
from engines.core.sessions import DAY, Calendar, exchange_of
from engines.ports import TandemError

if TYPE_CHECKING:
    from engines.backtest.report import Report


class BadWindows(TandemError):
    """The data is too short for these windows, or no parameters can be tried."""


@dataclass(frozen=True, slots=True)
class Window:
    """Sessions as ISO dates, both ends included. `score` is the ranked figure of the chosen parameters on the training sessions."""

    train_first: str
    train_last: str
    test_first: str
    test_last: str
    params: Mapping[str, Any]
    score: float
    tried: int
    train_net: Decimal
    test_net: Decimal
    train_sessions: int
    test_sessions: int
    test_trades: int


@dataclass(frozen=True, slots=True)
class WalkForward:
    """`curve` and `daily` are those of the test sessions, put together in order on one capital."""

    rank: str
    train_days: int
    test_days: int
    points: int
    windows: tuple[Window, ...]
    curve: tuple[tuple[str, float], ...]
    daily: Daily

    @property
    def net(self) -> Decimal:
        return sum((window.test_net for window in self.windows), ZERO)

    @property
    def trades(self) -> int:
        return sum(window.test_trades for window in self.windows)

    @property
    def efficiency(self) -> float | None:
        """What a test session made for each rupee that a training session made; None when training itself lost."""
        trained = sum(float(window.train_net) for window in self.windows) / sum(window.train_sessions for window in self.windows)
        tested = float(self.net) / sum(window.test_sessions for window in self.windows)
        return tested / trained if trained > 0 else None

    @property
    def warnings(self) -> tuple[str, ...]:
        trained = sum((window.train_net for window in self.windows), ZERO)
        if trained > 0 >= self.net:
            return ("walk-forward: parameters that won on the sessions they were chosen on lost on those that followed",)
        return ()


def walk_forward(
    job: Job,
    histories: Sequence[History],
    points: Sequence[Mapping[str, Any]],
    *,
    train_days: int,
    test_days: int,
    rank: str = "net",
    anchored: bool = False,
    calendar: Calendar | None = None,
    progress: Callable[[float], None] | None = None,
) -> WalkForward:
    """Windows of `train_days` sessions, each followed by `test_days`; `anchored` lets training always begin at the first session.

    `points` are parameters laid over the job's; `rank` is a figure of `Report.summary`, the higher the better (but a drawdown the lower). BadWindows
    when there is nothing to walk through. `progress` is told 0.0 to 1.0 and may raise to end it."""
    from engines.backtest.engine import play_job
    from engines.backtest.report import report_on

    prices, timeframe = _prices(histories), common_timeframe(histories, job.timeframe)
    windows = _windows(len(prices.sessions), train_days, test_days, anchored)
    if not windows:
        raise BadWindows(f"{len(prices.sessions)} sessions are too few for {train_days} to choose on and {test_days} to test on")
    tell = progress or (lambda _: None)
    plays, done = len(windows) * (len(points) + 1), 0

    def play(params: Mapping[str, Any], first: int, last: int) -> Report:
        nonlocal done
        begin, end = _span(prices, first, last)
        asked = replace(job, timeframe=timeframe, params={**job.params, **params})
        report = report_on(
            play_job(
                asked,
                between(histories, begin, end, timeframe),
                calendar=calendar,
                progress=lambda share: tell(min((done + share) / plays, 1.0)),
            )
        )
        done += 1
        return report

    found, curve = list[Window](), list[tuple[str, float]]()
    capital = value = 0.0
    for first, middle, last in windows:
        chosen = _choose(points, rank, partial(play, first=first, last=middle))
        test = play(chosen.params, middle, last)
        capital = capital or float(test.capital)
        value = value or capital
        curve += [(day, value + at - capital) for day, at in test.equity.curve]
        value += float(test.net)
        found.append(_window(prices, (first, middle, last), rank, chosen, test))
    return WalkForward(rank, train_days, test_days, len(points), tuple(found), tuple(curve), daily(curve, capital))


class _Chosen(NamedTuple):
    """The parameters that did best on the sessions they were chosen on; of equals the first."""

    score: float
    params: Mapping[str, Any]
    report: Report
    tried: int


def _choose(points: Sequence[Mapping[str, Any]], rank: str, play: Callable[[Mapping[str, Any]], Report]) -> _Chosen:
    """BadWindows when the strategy takes none of them."""
    from engines.backtest.engine import BadParameters

    best: _Chosen | None = None
    tried = 0
    for point in points:
        try:
            report = play(point)
        except BadParameters:
            continue
        tried += 1
        score = _score(report.summary().get(rank), rank)
        if best is None or score > best.score:
            best = _Chosen(score, point, report, tried)
    if best is None:
        raise BadWindows("none of the parameters can be tried")
    return best._replace(tried=tried)


def _window(prices: Prices, span: tuple[int, int, int], rank: str, chosen: _Chosen, test: Report) -> Window:
    days, (first, middle, last) = prices.sessions, span
    return Window(
        train_first=days[first].day,
        train_last=days[middle - 1].day,
        test_first=days[middle].day,
        test_last=days[last - 1].day,
        params=dict(chosen.params),
        score=-chosen.score if rank in LOW_IS_GOOD else chosen.score,
        tried=chosen.tried,
        train_net=chosen.report.net,
        test_net=test.net,
        train_sessions=middle - first,
        test_sessions=last - middle,
        test_trades=len(test.trades),
    )


def _windows(sessions: int, train: int, test: int, anchored: bool) -> list[tuple[int, int, int]]:
    """(first training session, first test session, end) of each window; the last may test fewer sessions than asked."""
    if train < 1 or test < 1:
        return []
    return [(0 if anchored else middle - train, middle, min(middle + test, sessions)) for middle in range(train, sessions, test)]


def _prices(histories: Sequence[History]) -> Prices:
    rows = histories[0].file.candles or histories[0].file.ticks
    return prices_of(histories, exchange_of(rows[0].symbol))


def _span(prices: Prices, first: int, last: int) -> tuple[Timestamp, Timestamp]:
    """From the midnight before one session to that after another (the end is not included in the range)."""
    return prices.sessions[first].ends - DAY, prices.sessions[last - 1].ends


def _score(figure: str | float | None, rank: str) -> float:
    if figure is None:
        return float("-inf")
    return -float(figure) if rank in LOW_IS_GOOD else float(figure)
