"""The command line: what is understood, and bad use answered by one clear line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import run_strategy_system as launcher
from app.launch.entry import COMMANDS
from tests.support.server import ROOT


def test_without_a_command_it_serves() -> None:
    assert launcher.parse([]).command == "serve"
    assert launcher.parse(["--port", "6000"]).port == 6000


def test_what_follows_test_belongs_to_pytest() -> None:
    assert launcher.parse(["test", "-k", "stop", "--lf", "tests/core"]).pytest_args == ["-k", "stop", "--lf", "tests/core"]


@pytest.mark.parametrize(
    "line",
    [
        "serve --host 127.0.0.1 --port 5000 --data-dir D --no-engines --no-browser",
        "demo --port 0 --data-dir D",
        "lint --data-dir D",
        "bench fanout-50 start --json F --data-dir D",
        "backtest ema_cross --data F --param fast=9 --param slow=21 --from 2024-01-01 --to 2024-01-05 --json F --html F --data-dir D",
        "user add a@example.com --password-stdin --role viewer --data-dir D",
        "user reset-second-factor a@example.com --data-dir D",
        "token add a@example.com --name laptop --data-dir D",
        "doctor --data-dir D",
        "backup F --data-dir D",
    ],
)
def test_every_command_of_the_contract_is_understood_and_takes_a_data_folder(line: str) -> None:
    args = launcher.parse(line.split())
    assert args.data_dir == Path("D")
    assert args.command in COMMANDS


def test_parameters_of_a_backtest_are_pairs() -> None:
    assert launcher.parse("backtest k --data F --param a=1 --param b=x=y".split()).param == [("a", "1"), ("b", "x=y")]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "serve extra",
        "serve --port nine",
        "serve --port 70000",
        "serve --por 5000",
        "--no-such-option",
        "user",
        "user add",
        "user add a@example.com",
        "user add a@example.com --password-stdin --role admin",
        "user remove a@example.com",
        "token add a@example.com",
        "backup",
        "backtest",
        "backtest ema_cross",
        "backtest ema_cross --data F --param fast",
        "bench --json",
    ],
)
def test_bad_use_is_one_line_and_exit_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        launcher.main(line.split())
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("tandem: ")


def test_the_launcher_needs_nothing_but_the_standard_library_to_understand_a_command() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import run_strategy_system as r; print(r.parse(['demo']).command)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("demo\n", "")
