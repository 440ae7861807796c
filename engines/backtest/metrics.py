"""The statistics of a back-test, as functions of its daily equity and of its closed trades: what they return is None wherever a figure is not defined.

Daily returns are on the configured capital (the day's profit after charges / capital), for sizes here follow the capital and not the equity.
A year has 252 sessions. The formulas are those of `docs/backtesting.md`; a test holds them against a reference library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, groupby, pairwise
from math import fsum, sqrt

SESSIONS_A_YEAR = 252
FEWEST_DAYS = 30
"""Of the calendar: a growth rate of a year made from less would be a guess."""
TAIL = 0.05

Curve = Sequence[tuple[str, float]]
"""(session day as an ISO date, value at its end), oldest first."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A fall from a peak of the daily curve: `depth` as a share of the peak (0.1 = a tenth), `sessions` from the peak to the recovery or the end.

    `peak_day` is empty when the fall began at the capital itself; `recovered_day` None while it is open."""

    depth: float
    peak_day: str
    trough_day: str
    recovered_day: str | None
    sessions: int


@dataclass(frozen=True, slots=True)
class Daily:
    """Figures of the daily curve. Rates and returns are shares (0.01 = one per cent); `var` and `cvar` are returns, so a loss is below zero."""

    sessions: int
    calendar_days: int
    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    worst_spell: Spell | None
    underwater_share: float
    ulcer: float
    best_day: tuple[str, float] | None
    worst_day: tuple[str, float] | None
    up_days: int
    down_days: int
    var: float | None
    cvar: float | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Figures of closed trades, by one reckoning (gross or net); money is in the account's currency, times in seconds."""

    trades: int
    wins: int
    losses: int
    zeros: int
    win_rate: float | None
    total: float
    won: float
    lost: float
    profit_factor: float | None
    average_win: float | None
    average_loss: float | None
    payoff: float | None
    expectancy: float | None
    largest_win: float | None
    largest_loss: float | None
    wins_in_a_row: int
    losses_in_a_row: int


# --- of the daily curve ----------------------------------------------------------------------------------------------


def daily(curve: Curve, capital: float, *, risk_free: float = 0.0, least_acceptable: float = 0.0) -> Daily:
    """All figures of a curve. `risk_free` is a yearly rate (0.065), spread evenly over 252 sessions; `least_acceptable` is a daily return."""
    values = [value for _, value in curve]
    returns = daily_returns(values, capital)
    days = [day for day, _ in curve]
    growth = cagr(capital, values[-1], calendar_days(curve)) if values else None
    depths = drawdowns(values, capital)
    deepest = min(depths, default=0.0)
    spell = worst_spell(curve, capital)
    by_return = sorted(zip(returns, days, strict=True))
    return Daily(
        sessions=len(curve),
        calendar_days=calendar_days(curve),
        total_return=values[-1] / capital - 1 if values else 0.0,
        cagr=growth,
        volatility=volatility(returns),
        sharpe=sharpe(returns, risk_free),
        sortino=sortino(returns, least_acceptable),
        calmar=growth / -deepest if growth is not None and deepest < 0 else None,
        max_drawdown=deepest,
        worst_spell=spell,
        underwater_share=sum(depth < 0 for depth in depths) / len(depths) if depths else 0.0,
        ulcer=sqrt(fsum(depth * depth for depth in depths) / len(depths)) if depths else 0.0,
        best_day=(by_return[-1][1], by_return[-1][0]) if by_return else None,
        worst_day=(by_return[0][1], by_return[0][0]) if by_return else None,
        up_days=sum(each > 0 for each in returns),
        down_days=sum(each < 0 for each in returns),
        var=value_at_risk(returns),
        cvar=conditional_value_at_risk(returns),
    )


def daily_returns(values: Sequence[float], capital: float) -> list[float]:
    """What each day earned, as a share of the configured capital."""
    return [(after - before) / capital for before, after in pairwise([capital, *values])]


def compounded_returns(values: Sequence[float], capital: float) -> list[float]:
    """What each day earned, as a share of the equity it began with; other libraries take this for "returns"."""
    return [after / before - 1 for before, after in pairwise([capital, *values])]


def calendar_days(curve: Curve) -> int:
    """From the first session to the last, both counted: the capital is what was there before the first."""
    return (date.fromisoformat(curve[-1][0]) - date.fromisoformat(curve[0][0])).days + 1 if curve else 0


def cagr(start: float, end: float, days: int) -> float | None:
    """The yearly growth that leads from one value to the other; None below thirty days, and when nothing is left to grow."""
    if days < FEWEST_DAYS or start <= 0 or end <= 0:
        return None
    return float((end / start) ** (365 / days) - 1)


def volatility(returns: Sequence[float]) -> float | None:
    spread = _deviation(returns)
    return None if spread is None else spread * sqrt(SESSIONS_A_YEAR)


def sharpe(returns: Sequence[float], risk_free: float = 0.0) -> float | None:
    """Mean return above the risk-free rate for each unit of its spread (ddof 1), a year; None when there is no spread."""
    above = [each - risk_free / SESSIONS_A_YEAR for each in returns]
    spread = _deviation(above)
    return fsum(above) / len(above) / spread * sqrt(SESSIONS_A_YEAR) if spread else None


def sortino(returns: Sequence[float], least_acceptable: float = 0.0) -> float | None:
    """Mean return above the least acceptable one for each unit of the spread below it, taken over ALL days; None when no day was below."""
    above = [each - least_acceptable for each in returns]
    below = sqrt(fsum(min(each, 0.0) ** 2 for each in above) / len(above)) if above else 0.0
    return fsum(above) / len(above) / below * sqrt(SESSIONS_A_YEAR) if below else None


def drawdowns(values: Sequence[float], capital: float) -> list[float]:
    """For each day how far it ended below the highest value before it, the capital being the first: 0 or a negative share."""
    peaks = accumulate(values, max, initial=capital)
    next(peaks)
    return [value / peak - 1 if peak > 0 else 0.0 for value, peak in zip(values, peaks, strict=True)]


def worst_spell(curve: Curve, capital: float) -> Spell | None:
    """The deepest fall from a peak, and how long it lasted; None when no day ended below a peak."""
    depths = drawdowns([value for _, value in curve], capital)
    if not depths or min(depths) >= 0:
        return None
    trough = min(range(len(depths)), key=depths.__getitem__)
    before = next((n for n in range(trough, -1, -1) if depths[n] >= 0), -1)
    after = next((n for n in range(trough, len(depths)) if depths[n] >= 0), None)
    return Spell(
        depth=-depths[trough],
        peak_day=curve[before][0] if before >= 0 else "",
        trough_day=curve[trough][0],
        recovered_day=None if after is None else curve[after][0],
        sessions=(len(depths) - 1 if after is None else after) - before,
    )


def value_at_risk(returns: Sequence[float], tail: float = TAIL) -> float | None:
    """The return that a day in twenty fell short of (historical, interpolated between the two nearest days)."""
    return percentile(sorted(returns), tail) if returns else None


def conditional_value_at_risk(returns: Sequence[float], tail: float = TAIL) -> float | None:
    """The mean return of the worst days, up to the one at the cut."""
    if not returns:
        return None
    worst = sorted(returns)[: int((len(returns) - 1) * tail) + 1]
    return fsum(worst) / len(worst)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in ascending order, of which there is at least one; linear between neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def by_month(curve: Curve, capital: float) -> list[tuple[str, float]]:
    """(YYYY-MM, what the month earned in money), in order; the first begins with the capital."""
    ends = [(month, list(days)[-1][1]) for month, days in groupby(curve, key=lambda point: point[0][:7])]
    return [(month, after - before) for before, (month, after) in zip([capital, *(value for _, value in ends)], ends, strict=False)]


# --- of trades -------------------------------------------------------------------------------------------------------


def sums(results: Sequence[float]) -> Sums:
    """Figures of what trades made, in the order in which they ended. A trade of exactly zero is neither a win nor a loss."""
    wins, losses = [each for each in results if each > 0], [each for each in results if each < 0]
    won, lost = fsum(wins), -fsum(losses)
    mean_win, mean_loss = won / len(wins) if wins else None, lost / len(losses) if losses else None
    counted = len(wins) + len(losses)
    return Sums(
        trades=len(results),
        wins=len(wins),
        losses=len(losses),
        zeros=len(results) - counted,
        win_rate=len(wins) / counted if counted else None,
        total=fsum(results),
        won=won,
        lost=lost,
        profit_factor=won / lost if losses else None,
        average_win=mean_win,
        average_loss=mean_loss,
        payoff=mean_win / mean_loss if mean_win is not None and mean_loss is not None else None,
        expectancy=fsum(results) / len(results) if results else None,
        largest_win=max(wins, default=None),
        largest_loss=min(losses, default=None),
        wins_in_a_row=longest_run(each > 0 for each in results),
        losses_in_a_row=longest_run(each < 0 for each in results),
    )


def longest_run(flags: Iterable[bool]) -> int:
    return max((sum(1 for _ in run) for wanted, run in groupby(flags) if wanted), default=0)


def mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample; None of fewer than two values, 0.0 when all are equal (however they are rounded)."""
    if len(values) < 2:
        return None
    if min(values) == max(values):
        return 0.0
    middle = fsum(values) / len(values)
    return sqrt(fsum((each - middle) ** 2 for each in values) / (len(values) - 1))
