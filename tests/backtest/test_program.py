"""The program that runs one study: the files that it leaves, what it says while it runs, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.backtest import program
from engines.backtest.pictures import MOST_BARS, chart_name, thinned
from engines.core.model import Candle

SAMPLE = {"symbols": ["NSE:INFY", "NSE:SBIN"], "timeframe": "15m", "days": 12, "seed": 3}
JOB = {"kind": "ema_cross", "params": {"fast": 3, "slow": 8, "direction": "both"}}


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The program is called in this process: it must not stay polite, and the signal must be ours again."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def run(
    folder: Path, spec: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[dict[str, Any]]]:
    monkeypatch.setattr(program.os, "nice", lambda _: 0)
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    code = program.main([str(path), str(folder)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_backtest_leaves_its_report_its_trades_and_its_charts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = {"grid": {"fast": "3,5"}, "train_days": 4, "test_days": 2}
    code, said = run(
        tmp_path, {"kind": "backtest", "job": JOB, "sample": SAMPLE, "checks": True, "walk_forward": forward}, capsys, monkeypatch
    )
    assert code == program.DONE
    parts = [each["progress"] for each in said[:-1]]
    assert parts == sorted(parts)
    assert {"making the sample market", "playing", "checking for look-ahead", "walking forward", "writing the results"} <= {
        each["doing"] for each in said[:-1]
    }
    report = json.loads((tmp_path / "report.json").read_text())
    trades = [json.loads(line) for line in (tmp_path / "trades.jsonl").read_text().splitlines()]
    summary = said[-1]["summary"]
    assert summary["trades"] == len(trades) == report["result"]["trades"] > 5
    assert summary["net"] == report["result"]["net"]
    assert report["checks"]["look_ahead"]["passed"]
    assert report["checks"]["restart"]["passed"]
    assert len(report["walk_forward"]["windows"]) == 4
    assert {path.name for path in (tmp_path / "charts").iterdir()} == {"NSE_INFY.json", "NSE_SBIN.json"}
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    rows = (tmp_path / "trades.csv").read_text().splitlines()
    assert len(rows) == len(trades) + 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_sweep_leaves_a_line_for_each_point_and_says_how_all_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"grid": {"fast": "3,5,9", "slow": "5,12"}, "rank": "net", "workers": 1}
    spec = {"kind": "sweep", "job": JOB, "sample": SAMPLE, "sweep": asked}
    code, said = run(tmp_path, spec, capsys, monkeypatch)
    assert code == program.DONE
    summary = said[-1]["summary"]
    assert (summary["tried"], summary["unusable"], summary["rank"]) == (6, 2, "net")
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 7
    (tmp_path / "results.jsonl").write_text('{"sweep": "of another job"}\n')
    assert run(tmp_path, spec, capsys, monkeypatch)[1][-1]["summary"] == summary


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"job": {"kind": "nobody"}}, "there is no strategy of kind 'nobody'"),
        ({"job": {**JOB, "params": {"fast": 0}}}, "fast"),
        ({"job": {**JOB, "sources": [{"path": "/nowhere.csv"}]}, "sample": None}, "nowhere.csv cannot be read"),
        ({"sample": {**SAMPLE, "symbols": ["NSE:NOBODY"]}}, "the simulated market has no NSE:NOBODY"),
        ({"job": JOB, "sample": None}, "there is no market data"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    spec = {"kind": "backtest", "job": JOB, "sample": {**SAMPLE, "days": 2}} | changes
    code, said = run(tmp_path, spec, capsys, monkeypatch)
    assert code == program.CANNOT
    assert words in said[-1]["error"]
    assert "\n" not in said[-1]["error"]


def test_it_ends_where_it_is_when_it_is_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes in the middle of the run; at the next progress it is over and nothing half-made is left."""
    at = program.Told.at

    def asked(self: program.Told, progress: float, doing: str) -> None:
        if doing == "playing":
            signal.raise_signal(signal.SIGTERM)
        at(self, progress, doing)

    monkeypatch.setattr(program.Told, "at", asked)
    code, _ = run(tmp_path, {"kind": "backtest", "job": JOB, "sample": SAMPLE}, capsys, monkeypatch)
    assert code == program.CANCELLED
    assert not (tmp_path / "report.json").exists()


def test_a_chart_is_thinned_within_sessions_only() -> None:
    day = [Candle("NSE:INFY", 1_704_253_500.0 + 60 * n, 100 + n % 7, 110 + n, 90 - n, 101 + n % 5) for n in range(375)]
    bars = [Candle(c.symbol, c.start + 86_400 * d, c.open, c.high, c.low, c.close) for d in range(40) for c in day]
    told = thinned(bars, 60.0)
    assert len(told["bars"]) == 40 * 125 <= MOST_BARS
    assert told["seconds"] == 180.0
    assert told["bars"][0] == [day[0].start, day[0].open, day[2].high, day[2].low, day[2].close]
    assert all(any(bar[0] == day[0].start + 86_400 * d for bar in told["bars"]) for d in range(40))
    assert thinned([], 60.0)["bars"] == []
    assert chart_name("NSE:M&M") == "NSE_M&M.json"
