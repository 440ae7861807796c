"""The statistics of a back-test: small tables worked out by hand, and a reference library where the conventions are the same."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from functools import lru_cache
from math import isclose, isnan
from random import Random
from types import ModuleType

import pytest

from engines.backtest import metrics
from engines.backtest.metrics import Curve, Spell
from engines.backtest.shuffle import Shuffle, deepest, shuffle

CAPITAL = 1000.0


def curve(*values: float, first: date = date(2024, 1, 1)) -> Curve:
    return [((first + timedelta(days=n)).isoformat(), value) for n, value in enumerate(values)]


def walk(seed: int, days: int, *, drift: float = 0.0005, wild: float = 0.01) -> list[float]:
    """A random equity of so many days."""
    chance, value, values = Random(seed), CAPITAL, []
    for _ in range(days):
        value *= 1 + chance.gauss(drift, wild)
        values.append(value)
    return values


# --- against a reference library -------------------------------------------------------------------------------------


@lru_cache
def reference() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        import empyrical
    return empyrical


WALKS = [(1, 2), (2, 5), (3, 40), (4, 252), (5, 600)]


@pytest.mark.parametrize(("seed", "days"), WALKS)
def test_figures_of_returns_agree_with_the_reference_library(seed: int, days: int) -> None:
    import numpy

    values = walk(seed, days)
    for returns in (metrics.daily_returns(values, CAPITAL), metrics.compounded_returns(values, CAPITAL)):
        theirs, array = reference(), numpy.array(returns)
        for ours, other in (
            (metrics.volatility(returns), theirs.annual_volatility(array)),
            (metrics.sharpe(returns), theirs.sharpe_ratio(array)),
            (metrics.sharpe(returns, 0.065), theirs.sharpe_ratio(array, risk_free=0.065 / 252)),  # theirs wants the daily rate
            (metrics.sortino(returns), theirs.sortino_ratio(array)),
            (metrics.sortino(returns, 0.0002), theirs.sortino_ratio(array, required_return=0.0002)),
            (metrics.value_at_risk(returns), theirs.value_at_risk(array)),
            (metrics.conditional_value_at_risk(returns), theirs.conditional_value_at_risk(array)),
        ):
            if ours is None:
                assert isnan(other) or abs(other) == float(
                    "inf"
                )  # two rising days have nothing below zero: they say infinity, we say nothing
            else:
                assert isclose(ours, other, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize(("seed", "days"), WALKS)
def test_the_drawdown_agrees_with_the_reference_library_on_compounded_returns(seed: int, days: int) -> None:
    """They rebuild the equity from returns; ours is the equity itself, so their returns must be shares of the equity before."""
    import numpy

    values = walk(seed, days, wild=0.03)
    theirs = reference().max_drawdown(numpy.array(metrics.compounded_returns(values, CAPITAL)))
    assert isclose(min(metrics.drawdowns(values, CAPITAL)), theirs, rel_tol=1e-9, abs_tol=1e-12)


def test_growth_counts_calendar_days_where_the_reference_library_counts_sessions() -> None:
    """504 sessions over 730 days: they take two years of 252; the same formula, asked with their count of years, agrees."""
    import numpy

    values = walk(6, 504)
    theirs = reference().annual_return(numpy.array(metrics.compounded_returns(values, CAPITAL)))
    assert isclose(metrics.cagr(CAPITAL, values[-1], 730) or 0, theirs, rel_tol=1e-9)
    assert metrics.cagr(CAPITAL, values[-1], 700) != pytest.approx(theirs)


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (metrics.cagr(1000, 1100, 365), pytest.approx(0.1)),
        (metrics.cagr(1000, 1100, 29), None),  # too short to speak of a year
        (metrics.cagr(1000, 0, 365), None),  # nothing left to grow
        (metrics.cagr(1000, -5, 365), None),
        (metrics.volatility([0.01]), None),
        (metrics.volatility([0.01, 0.01]), 0.0),
        (metrics.sharpe([0.1, 0.1, 0.1]), None),  # no spread: not infinitely good
        (metrics.sharpe([]), None),
        (metrics.sharpe([0.01, 0.03]), pytest.approx(0.02 / 0.0002**0.5 * 252**0.5)),
        (metrics.sortino([0.01, 0.02]), None),  # no day below
        (metrics.sortino([0.03, -0.01]), pytest.approx(0.01 / (0.0001 / 2) ** 0.5 * 252**0.5)),  # over both days, not only the bad one
        (metrics.value_at_risk([]), None),
        (metrics.value_at_risk([-0.05]), -0.05),
        (metrics.value_at_risk([n / 100 for n in range(-10, 11)]), pytest.approx(-0.09)),
        (metrics.conditional_value_at_risk([n / 100 for n in range(-10, 11)]), pytest.approx(-0.095)),
        (metrics.calendar_days(()), 0),
        (metrics.calendar_days([("2024-01-01", 1.0), ("2024-01-30", 1.0)]), 30),
        (metrics.longest_run([True, True, False, True]), 2),
        (metrics.longest_run([]), 0),
    ],
)
def test_a_figure_is_what_its_formula_says_and_none_where_it_says_nothing(figure: object, expected: object) -> None:
    assert figure == expected


@pytest.mark.parametrize(
    ("values", "spell"),
    [
        ((1000, 1010, 1020), None),
        ((), None),
        ((900, 950, 1000), Spell(0.1, "", "2024-01-01", "2024-01-03", 3)),  # from the capital itself
        ((1100, 990, 1045, 1100, 1200), Spell(0.1, "2024-01-01", "2024-01-02", "2024-01-04", 3)),
        ((1100, 1045, 1200, 1080, 1150), Spell(0.1, "2024-01-03", "2024-01-04", None, 2)),  # still open
    ],
)
def test_the_worst_spell_has_a_peak_a_trough_and_a_recovery_or_none(values: tuple[float, ...], spell: Spell | None) -> None:
    found = metrics.worst_spell(curve(*values), CAPITAL)
    assert found == (spell and Spell(pytest.approx(spell.depth), *[getattr(spell, name) for name in Spell.__slots__[1:]]))  # type: ignore[arg-type]


def test_the_figures_of_a_curve_stand_together() -> None:
    found = metrics.daily(curve(1010, 1000, 990, 1020, 1020), CAPITAL)
    assert (found.sessions, found.up_days, found.down_days) == (5, 2, 2)
    assert found.total_return == pytest.approx(0.02)
    assert found.best_day == ("2024-01-04", pytest.approx(0.03))
    assert found.worst_day == ("2024-01-02", pytest.approx(-0.01))
    assert found.max_drawdown == pytest.approx(990 / 1010 - 1)
    assert found.underwater_share == pytest.approx(2 / 5)
    assert (found.cagr, found.calmar) == (None, None)
    long = metrics.daily(curve(*[1000 + n for n in range(20)], 1000, *[1000 + n for n in range(344)]), CAPITAL)
    assert long.calendar_days == 365
    assert long.cagr == pytest.approx(0.343)
    assert long.calmar == pytest.approx(0.343 / (1 - 1000 / 1019))


def test_a_day_counts_on_the_capital_not_on_the_equity() -> None:
    assert metrics.daily_returns([2000, 2100], CAPITAL) == [1.0, 0.1]
    assert metrics.compounded_returns([2000, 2100], CAPITAL) == [1.0, pytest.approx(0.05)]


def test_months_add_up_to_the_whole() -> None:
    days = [("2024-01-30", 1010.0), ("2024-01-31", 990.0), ("2024-02-01", 1000.0), ("2024-04-01", 1100.0)]
    found = metrics.by_month(days, CAPITAL)
    assert found == [("2024-01", -10.0), ("2024-02", 10.0), ("2024-04", 100.0)]
    assert metrics.by_month((), CAPITAL) == []


@pytest.mark.parametrize(
    ("results", "figures"),
    [
        ([], {"trades": 0, "win_rate": None, "profit_factor": None, "expectancy": None, "payoff": None, "largest_win": None}),
        ([0.0], {"trades": 1, "zeros": 1, "win_rate": None, "expectancy": 0.0}),
        ([5.0], {"win_rate": 1.0, "profit_factor": None, "payoff": None, "expectancy": 5.0, "largest_loss": None}),  # no losses
        ([-5.0], {"win_rate": 0.0, "profit_factor": 0.0, "payoff": None, "losses_in_a_row": 1}),
        (
            [6.0, 2.0, 0.0, -1.0, -3.0, -2.0, 4.0],
            {
                "wins": 3,
                "losses": 3,
                "zeros": 1,
                "win_rate": 0.5,
                "total": 6.0,
                "won": 12.0,
                "lost": 6.0,
                "profit_factor": 2.0,
                "average_win": 4.0,
                "average_loss": 2.0,
                "payoff": 2.0,
                "largest_win": 6.0,
                "largest_loss": -3.0,
                "wins_in_a_row": 2,
                "losses_in_a_row": 3,
            },
        ),
    ],
)
def test_trades_add_up(results: list[float], figures: dict[str, object]) -> None:
    found = metrics.sums(results)
    assert {name: getattr(found, name) for name in figures} == figures


# --- the shuffle -----------------------------------------------------------------------------------------------------


def shuffled(results: list[float], seed: int = 7, runs: int = 200) -> Shuffle:
    found = shuffle(results, CAPITAL, seed=seed, runs=runs)
    assert found is not None
    return found


def test_too_few_trades_make_no_band() -> None:
    assert shuffle([1.0] * 9, CAPITAL) is None
    assert shuffle([1.0] * 10, 0.0) is None


def test_the_same_seed_gives_the_same_band_and_another_seed_another() -> None:
    results = [Random(3).gauss(1, 20) for _ in range(40)]
    chance = Random(3)
    results = [chance.gauss(1, 20) for _ in range(40)]
    assert shuffled(results) == shuffled(results)
    assert shuffled(results) != shuffled(results, seed=8)


def test_the_band_is_ordered_begins_at_the_capital_and_holds_what_happened() -> None:
    chance = Random(5)
    results = [chance.gauss(0.5, 10) for _ in range(150)]
    found = shuffled(results)
    assert (found.at[0], found.at[-1], found.trades) == (0, 150, 150)
    assert {found.equity[0].p05, found.equity[0].p95, found.actual[0]} == {CAPITAL}
    assert all(point.p05 <= point.p25 <= point.p50 <= point.p75 <= point.p95 for point in found.equity)
    assert found.end == found.equity[-1]
    assert found.actual[-1] == pytest.approx(CAPITAL + sum(results))
    assert found.end.p05 < CAPITAL + sum(results) < found.end.p95
    assert 0 < found.loss_share < 1
    assert 0 <= found.deeper_share <= 1
    assert found.drawdown_reordered.p05 <= found.drawdown_actual * 3


def test_equal_trades_leave_nothing_to_chance() -> None:
    found = shuffled([-10.0] * 20)
    assert found.end.p05 == found.end.p95 == pytest.approx(800)
    assert found.drawdown_drawn.p50 == found.drawdown_reordered.p50 == found.drawdown_actual == pytest.approx(0.2)
    assert (found.loss_share, found.deeper_share) == (1.0, 0.0)


def test_reordering_moves_the_drawdown_and_not_the_end() -> None:
    """Ten losses in a row are the worst of all orders: no other order falls deeper."""
    found = shuffled([*[20.0] * 10, *[-20.0] * 10])
    assert found.drawdown_actual == pytest.approx(200 / 1200)
    assert found.deeper_share == 0
    assert found.drawdown_reordered.p50 < found.drawdown_actual
    best_first = shuffled([20.0, -20.0] * 10)
    assert best_first.deeper_share > 0.9


def test_the_deepest_fall_of_a_path() -> None:
    assert deepest([100, 120, 90, 130, 117]) == pytest.approx(0.25)
    assert deepest([100]) == 0
