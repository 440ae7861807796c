"""Parameter sweeps: which points are tried, that each is tried once, in this process, on many cores and on a cluster alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pages import heat
from engines.backtest import sweep, walk_forward
from engines.backtest.grid import LOW_IS_GOOD, BadGrid, axes, count, points, read_axis
from engines.backtest.program import sweep_summary
from engines.backtest.sample import BadSample, make_sample, trading_days
from engines.backtest.settings import Job, Source
from engines.core.model import Timeframe
from engines.market.files import read_market_file


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("5:20:5", (5, 10, 15, 20)),
        ("5:8", (5, 6, 7, 8)),
        ("0.5:1.5:0.5", (0.5, 1.0, 1.5)),
        ("-1:1:1", (-1, 0, 1)),
        ("9, 12,21", (9, 12, 21)),
        ("long,both", ("long", "both")),
        ("true,false,none", (True, False, None)),
        ("3,3,3.0", (3, 3.0)),
        ([3, "long", True], (3, "long", True)),
        (7, (7,)),
        ("0.1:0.3:0.1", (0.1, 0.2, 0.3)),
    ],
)
def test_an_axis_reads_ranges_and_lists(said: Any, values: tuple[Any, ...]) -> None:
    assert read_axis("p", said).values == values


@pytest.mark.parametrize(
    ("grid", "draws", "words"),
    [
        ({}, None, "at least one"),
        ({"fast": "9:5"}, None, "backwards"),
        ({"fast": "1:9:0"}, None, "above 0"),
        ({"fast": " , "}, None, "no value"),
        ({"fast": "1:5000:1"}, None, "more than"),
        ({"a": "1:900", "b": "1:900"}, None, "combinations"),
        ({"pct": "0.1:0.9"}, None, "give a step"),
        ({"fast": "1:9"}, 0, "from 1 to"),
    ],
)
def test_a_grid_that_cannot_be_swept_says_why(grid: dict[str, Any], draws: int | None, words: str) -> None:
    with pytest.raises(BadGrid, match=words):
        points(axes(grid), draws=draws)


def test_all_combinations_or_so_many_different_ones_at_random() -> None:
    swept = axes({"fast": "1:10", "slow": "20:60:10", "pct": "0.5,1"})
    whole = points(swept)
    assert count(swept) == len(whole) == 100
    some = points(swept, draws=30, seed=7)
    assert len({str(each) for each in some}) == 30
    assert all(each in whole for each in some)
    assert some == points(swept, draws=30, seed=7) != points(swept, draws=30, seed=8)
    assert points(swept, draws=1000) == whole
    loose = points(axes({"pct": "0.5:2.5", "n": "1:5000"}), draws=20)
    assert all(0.5 <= each["pct"] <= 2.5 and each["n"] in range(1, 5001) for each in loose)


@settings(max_examples=60, deadline=None)
@given(low=st.integers(-50, 50), steps=st.integers(0, 40), width=st.integers(1, 9))
def test_a_range_holds_both_ends_when_the_step_fits(low: int, steps: int, width: int) -> None:
    values = read_axis("p", f"{low}:{low + steps * width}:{width}").values
    assert (values[0], values[-1], len(values)) == (low, low + steps * width, steps + 1)


# --- a sweep --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.csv.gz"
    assert make_sample(path, symbols=("NSE:INFY", "NSE:SBIN"), timeframe=Timeframe.M15, days=8) == 8 * 25 * 2
    return path


def plan(market: Path, grid: dict[str, Any], **changes: Any) -> sweep.Plan:
    job = Job("ema_cross", (Source(str(market)),), {"direction": "both", **changes})
    return sweep.Plan(job, points(axes(grid)))


GRID = {"fast": "3,5,9", "slow": "5,12"}


def test_the_sample_market_is_the_same_each_time(market: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv.gz"
    make_sample(again, symbols=("NSE:INFY", "NSE:SBIN"), timeframe=Timeframe.M15, days=8)
    assert again.read_bytes() == market.read_bytes()
    read = read_market_file(market)
    assert (read.bad_count, read.seconds, set(read.symbols)) == (0, 900.0, {"NSE:INFY", "NSE:SBIN"})
    assert len(trading_days(5)) == 5
    with pytest.raises(BadSample, match="has no NSE:NOBODY"):
        make_sample(again, symbols=("NSE:NOBODY",))
    with pytest.raises(BadSample, match="more than a sample"):
        make_sample(again, timeframe=Timeframe.M1, days=700)


def test_every_point_is_tried_once_and_what_does_not_fit_is_told(market: Path, tmp_path: Path) -> None:
    wanted, file, heard = plan(market, GRID), tmp_path / "r.jsonl", list[float]()
    assert sweep.run_sweep(wanted, file, workers=1, progress=heard.append) == 6
    tried = sweep.read_results(file, wanted.digest)
    assert sorted(str(each.params) for each in tried) == sorted(map(str, wanted.points))
    assert {str(each.params) for each in tried if each.wrong} == {"{'fast': 5, 'slow': 5}", "{'fast': 9, 'slow': 5}"}
    assert all("fewer candles" in each.wrong for each in tried if not each.summary)
    assert heard[-1] == 1.0
    assert heard == sorted(heard)
    order = sweep.best_first(tried, "net")
    nets = [float(each.summary["net"]) for each in order]
    assert nets == sorted(nets, reverse=True)
    falls = [float(each.summary["max_drawdown_pct"]) for each in sweep.best_first(tried, "max_drawdown_pct")]
    assert falls == sorted(falls)
    told = sweep_summary(wanted, file, "net")
    assert (told["tried"], told["unusable"], told["best"]) == (6, 2, dict(order[0].params))
    assert told["net"] == order[0].summary["net"]


class Enough(Exception):
    """Somebody has ended it."""


def test_an_ended_sweep_goes_on_where_it_was(market: Path, tmp_path: Path) -> None:
    wanted, whole, file = plan(market, GRID), tmp_path / "whole.jsonl", tmp_path / "r.jsonl"
    sweep.run_sweep(wanted, whole, workers=1)

    def stop(share: float) -> None:
        if share >= 0.5:
            raise Enough

    with pytest.raises(Enough):
        sweep.run_sweep(wanted, file, workers=1, progress=stop)
    had = file.read_text().count("\n")
    assert had < 7
    with file.open("a") as torn:
        torn.write('{"params": {"fast": 3')  # a crash in the middle of a line
    sweep.run_sweep(wanted, file, workers=1)
    assert sorted(file.read_text().splitlines()) == sorted(whole.read_text().splitlines())
    before = file.stat().st_mtime_ns, file.read_bytes()
    sweep.run_sweep(wanted, file, workers=1)
    assert file.read_bytes() == before[1]


def test_results_of_another_sweep_are_not_mixed_in(market: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    sweep.run_sweep(plan(market, {"fast": "3"}), file, workers=1)
    with pytest.raises(sweep.OtherSweep, match="another sweep"):
        sweep.run_sweep(plan(market, {"fast": "3"}, direction="long"), file, workers=1)


def test_many_cores_find_what_one_finds(market: Path, tmp_path: Path) -> None:
    wanted, one, many = plan(market, GRID), tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    sweep.run_sweep(wanted, one, workers=1)
    sweep.run_sweep(wanted, many, workers=2)
    assert sorted(many.read_text().splitlines()) == sorted(one.read_text().splitlines())


@pytest.fixture
def cluster() -> Iterator[str]:
    """A scheduler and one worker of Dask on this machine, within this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, host="127.0.0.1", protocol="tcp://"
    ) as here:
        yield here.scheduler_address


@pytest.mark.filterwarnings("ignore")  # of Dask's own
def test_a_cluster_finds_what_one_core_finds(market: Path, tmp_path: Path, cluster: str) -> None:
    wanted, one, far = plan(market, {"fast": "3,5", "slow": "12"}), tmp_path / "one.jsonl", tmp_path / "far.jsonl"
    sweep.run_sweep(wanted, one, workers=1)
    sweep.run_sweep(wanted, far, cluster=cluster)
    assert sorted(far.read_text().splitlines()) == sorted(one.read_text().splitlines())


def test_a_cluster_that_is_not_there_is_said_in_one_line(market: Path, tmp_path: Path) -> None:
    with pytest.raises(sweep.NoCluster, match="no Dask scheduler at"):
        sweep.run_sweep(plan(market, {"fast": "3"}), tmp_path / "r.jsonl", cluster="nonsense://x")


@pytest.mark.parametrize("figure", sorted(LOW_IS_GOOD))
def test_every_ranking_takes_the_lower_of_a_figure_that_is_a_cost(figure: str) -> None:
    """The command line, the map and the walk-forward must not call different points the best."""
    tried = [sweep.Tried({"fast": n}, {figure: value}) for n, value in ((1, 9.0), (2, 4.0))]
    assert [each.params["fast"] for each in sweep.best_first(tried, figure)] == [2, 1]
    assert walk_forward._score(4.0, figure) > walk_forward._score(9.0, figure)
    drawn = heat.heat_map(tried, rank=figure)
    assert drawn is not None
    assert [cell.best for _, cells in drawn.rows for cell in cells if cell is not None] == [False, True]
