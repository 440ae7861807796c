"""The `backtest` command: a report on standard output or in files, and one line for what cannot be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.server import run_command


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Two days of one-minute candles that rise, fall and rise again."""
    rows = ["datetime,open,high,low,close"]
    for day in ("2024-01-01", "2024-01-02"):
        for minute in range(120):
            price = 100 + (minute if minute < 40 else 80 - minute if minute < 80 else minute - 80)
            rows.append(f"{day} {9 + (15 + minute) // 60:02d}:{(15 + minute) % 60:02d}:00,{price},{price + 1},{price - 1},{price}")
    path = tmp_path / "prices.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_the_report_goes_to_standard_output(prices: Path) -> None:
    done = run_command("backtest", "ema_cross", "--data", str(prices), "--param", "fast=3", "--param", "slow=8", "--symbol", "NSE:INFY")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["data"]["bars"] == 240
    assert report["strategy"]["params"]["fast"] == 3
    assert report["result"]["trades"] > 0


def test_only_the_days_asked_for_are_played_and_files_are_written(prices: Path, tmp_path: Path) -> None:
    files = {"--json": tmp_path / "out.json", "--html": tmp_path / "out.html"}
    given = [word for name, path in files.items() for word in (name, str(path))]
    days = ["--from", "2024-01-02", "--to", "2024-01-02", "--capital", "50000"]
    done = run_command("backtest", "ema_cross", "--data", str(prices), *days, *given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    report = json.loads(files["--json"].read_text())
    assert (report["data"]["bars"], report["assumptions"]["capital"]) == (120, "50000")
    assert "<html" in files["--html"].read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["martingale"], "martingale"),
        (["ema_cross", "--param", "fast=30", "--param", "slow=10"], "fast average"),
        (["ema_cross", "--param", "quick=1"], "quick"),
        (["ema_cross", "--from", "yesterday"], "YYYY-MM-DD"),
        (["ema_cross", "--from", "2024-01-02", "--to", "2024-01-01"], "before"),
        (["ema_cross", "--from", "2030-01-01"], "nothing of the time"),
        (["ema_cross", "--capital", "0"], "above zero"),
        (["ema_cross", "--json", "no/such/folder/out.json"], "cannot write"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_2(prices: Path, words: list[str], said: str) -> None:
    done = run_command("backtest", *words, "--data", str(prices))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr


def test_a_file_that_is_not_there_or_holds_no_prices_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("hello\nworld\n")
    for name in ("nothing.csv", "words.csv"):
        done = run_command("backtest", "ema_cross", "--data", str(tmp_path / name))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert name in done.stderr
