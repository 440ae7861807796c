"""Two questions that every back-test should survive: would it have decided the same without knowing what came later, and after a restart?

Both are answered by playing the same job again: on data that ends earlier, and with strategies that are taken down and put up again on the way.
What is compared are decisions, one by one; nothing is concluded from results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from engines.backtest.breakdown import local
from engines.backtest.cutting import until
from engines.backtest.equity import Prices, prices_of
from engines.backtest.history import History
from engines.backtest.played import Played
from engines.backtest.records import Decision
from engines.backtest.settings import Job
from engines.core.model import Timestamp
from engines.core.sessions import Calendar, exchange_of

CUTS = (0.25, 0.5, 0.75)
"""Where the data ends, as shares of its bars."""
RESTARTS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Check:
    """`moments`: where the data was cut or the strategies restarted; `compared` decisions, of which the first that differs is `detail` (else empty)."""

    moments: tuple[Timestamp, ...]
    compared: int
    detail: str = ""

    @property
    def passed(self) -> bool:
        return not self.detail


@dataclass(frozen=True, slots=True)
class Checks:
    look_ahead: Check
    restart: Check

    @property
    def warnings(self) -> tuple[str, ...]:
        said = []
        if not self.look_ahead.passed:
            said.append(f"the strategy knows what comes later, so nothing here can be believed: {self.look_ahead.detail}")
        if not self.restart.passed:
            said.append(f"after a restart the strategy would decide otherwise: {self.restart.detail}")
        return tuple(said)


def check(
    job: Job,
    histories: Sequence[History],
    played: Played,
    *,
    calendar: Calendar | None = None,
    progress: Callable[[float], None] | None = None,
) -> Checks:
    """Play the job some three times more and compare it with what was `played` of it, on the same calendar.

    `progress` is told 0.0 to 1.0 and may raise to end it."""
    from engines.backtest.engine import play_job

    job = replace(job, timeframe=played.config.timeframe)  # the candles stay the same when a file falls away
    tell = progress or (lambda _: None)
    parts = [*CUTS, 1.0]  # of the whole, that is what each run takes
    total, done = sum(parts), 0.0

    def part(weight: float) -> Callable[[float], None]:
        return lambda share: tell(min((done + share * weight) / total, 1.0))

    prices = prices_of(histories, exchange_of(played.config.instruments[0]))
    moments = _moments(prices, CUTS)
    compared, detail = 0, ""
    for moment, weight in zip(moments, CUTS, strict=False):
        shorter = until(histories, moment)
        if shorter and not detail:
            again = play_job(job, shorter, calendar=calendar, progress=part(weight))
            known = _known(shorter, played.config.timeframe.seconds)
            full, cut = ([each for each in run.decisions if _knew(each, known)] for run in (played, again))
            compared += len(full)
            detail = difference(full, cut, f"with data up to {_clock(moment, played)} only")
        done += weight
    look_ahead = Check(moments, compared, detail)
    moments = _moments(prices, RESTARTS)
    again = play_job(job, histories, calendar=calendar, restart_at=moments, progress=part(1.0))
    return Checks(look_ahead, Check(moments, len(played.decisions), difference(played.decisions, again.decisions, "after restarts")))


def difference(first: Sequence[Decision], again: Sequence[Decision], how: str) -> str:
    """The first decision that is not the same in both, in words; empty when there is none."""
    for one, other in zip([*first, None], [*again, None], strict=False):
        if one != other:
            place = one or other
            assert place is not None
            when = f"{local(place.moment, place.symbol):%Y-%m-%d %H:%M:%S}"
            return f"{place.symbol} at {when}: {_said(one)} at first, {_said(other)} {how}"
    return ""


def _moments(prices: Prices, shares: Sequence[float]) -> tuple[Timestamp, ...]:
    """When this share of all bars (or ticks) was over, in order and each once."""
    return tuple(dict.fromkeys(prices.ends[int(len(prices.ends) * share)] for share in shares))


def _known(histories: Sequence[History], seconds: float) -> Mapping[str, Timestamp]:
    """For each instrument how late a decision may be for a run on these data to have known all that it rests on.

    The newest candle is closed by the first price after it, so what is decided on it may rest on that price, too."""
    newest = {row.symbol: row.start for history in histories for row in history.file.candles}
    newest |= {row.symbol: row.at for history in histories for row in history.file.ticks}
    return {symbol: at - seconds for symbol, at in newest.items()}


def _knew(decision: Decision, known: Mapping[str, Timestamp]) -> bool:
    return decision.moment <= known.get(decision.symbol, float("-inf"))


def _said(decision: Decision | None) -> str:
    return "nothing" if decision is None else f"{decision.side}{' to leave' if decision.reduce_only else ''}"


def _clock(moment: Timestamp, played: Played) -> str:
    return f"{local(moment, played.config.instruments[0]):%Y-%m-%d %H:%M}"
