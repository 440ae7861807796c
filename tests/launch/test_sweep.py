"""The `sweep` command: the best points as a table, all of them in a file, gone on with where it was, one line for what cannot be swept."""

from __future__ import annotations

from pathlib import Path

import pytest

import run_strategy_system as launcher
from app.launch.errors import CannotRun
from app.launch.sweep import run
from engines.backtest import Job, Source, run_job
from engines.backtest.report import report_on
from engines.backtest.sample import make_sample
from engines.backtest.told import RANKED, summary
from engines.core.model import Timeframe
from engines.ports import TandemError


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("market") / "sample.csv.gz"
    make_sample(path, symbols=("NSE:INFY",), timeframe=Timeframe.M15, days=6)
    return path


def sweep(market: Path, *words: str) -> int:
    return run(launcher.parse(["sweep", "ema_cross", "--data", str(market), "--workers", "1", *words]))


def test_the_best_points_are_printed_and_all_are_kept(market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, table = tmp_path / "r.jsonl", tmp_path / "all.csv"
    words = ("--grid", "fast=3,5,9", "--grid", "slow=5:15:5", "--results", str(kept), "--csv", str(table), "--top", "2")
    assert sweep(market, *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["fast", "slow", "net"]
    assert len(lines) == 4
    assert lines[-1].startswith("9 points tried, 2 of them not allowed;")
    rows = table.read_text().splitlines()
    assert len(rows) == 10
    assert rows[0].startswith("fast,slow,")
    assert rows[-1].endswith("fewer candles than the slow one")
    before = kept.read_text()
    assert sweep(market, *words) == 0
    assert kept.read_text() == before
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--grid", "fast=9:1"), "goes backwards"),
        (("--grid", "fast=0.5:1.5"), "give a step"),
        (("--grid", "fast=30", "--param", "slow=10"), "none of the points"),
        (("--grid", "nobody=1:3"), "--grid nobody: ema_cross has no such parameter; there are fast, slow"),
        (("--grid", "fast=a:b"), "--grid fast: 'a:b': must be a whole number"),
        (("--grid", "fast=0,3"), "--grid fast: 0: must be"),
        (("--grid", "fast=3", "--grid", "fast=5"), "given twice"),
        (("--grid", "fast=3", "--rank", "luck", "--results", "no/such/folder/r"), "--rank 'luck' is not a figure .* net, .*sharpe"),
        (("--grid", "fast=3", "--preset", "Z"), "ema_cross has no preset 'Z'; it has none"),
        (("--grid", "fast=3", "--from", "2030-01-01"), "nothing of the time"),
    ],
)
def test_what_cannot_be_swept_is_one_line(market: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises((CannotRun, TandemError), match=said):
        sweep(market, *words)


def test_every_figure_that_may_rank_is_in_a_summary(market: Path) -> None:
    made = summary(report_on(run_job(Job("ema_cross", (Source(str(market)),)))))
    assert set(RANKED) <= made.keys()
