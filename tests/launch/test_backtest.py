"""The `backtest` command: a report on standard output or in files, and one line for what cannot be run."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import run_strategy_system as launcher
from app.launch.backtest import job_of, run
from app.launch.errors import CannotRun
from engines.ports import TandemError
from engines.strategies.range_params import PRESETS
from tests.support.server import ROOT, run_command

NIFTY = ROOT.parent / "shared" / "data" / "nifty50_1min_2024.csv.gz"


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


def test_a_report_may_be_checked_and_walked_forward(prices: Path, tmp_path: Path) -> None:
    more = ["--check", "--walk-forward", "1:1", "--grid", "fast=2:4"]
    report = asked(tmp_path / "report.json", "--data", str(prices), "--symbol", "NSE:INFY", *more)
    assert (report["checks"]["look_ahead"]["passed"], report["checks"]["restart"]["passed"]) == (True, True)
    assert (report["walk_forward"]["points"], len(report["walk_forward"]["windows"])) == (3, 1)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--walk-forward", "60"], "60:20"),
        (["--walk-forward", "1:0"], "60:20"),
        (["--walk-forward", "1:1"], "--grid"),
        (["--walk-forward", "5:1", "--grid", "fast=2:4"], "sessions are too few"),
    ],
)
def test_windows_that_cannot_be_walked_through_say_so(prices: Path, tmp_path: Path, more: list[str], said: str) -> None:
    with pytest.raises((CannotRun, TandemError), match=said):
        asked(tmp_path / "report.json", "--data", str(prices), *more)


WRONG = [
    (["martingale"], "martingale"),
    (["ema_cross", "--param", "fast=30", "--param", "slow=10"], "fast average"),
    (["ema_cross", "--param", "quick=1"], "quick"),
    (["ema_cross", "--from", "yesterday"], "YYYY-MM-DD"),
    (["ema_cross", "--from", "2024-01-02", "--to", "2024-01-01"], "before"),
    (["ema_cross", "--from", "2030-01-01"], "nothing of the time"),
    (["ema_cross", "--capital", "0"], "above zero"),
    (["ema_cross", "--json", "no/such/folder/out.json"], "cannot write"),
]


def test_what_cannot_be_run_is_one_line_and_exit_2(prices: Path) -> None:
    words, said = WRONG[0]
    done = run_command("backtest", *words, "--data", str(prices))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_cannot_be_run_says_why_and_nothing_else(prices: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((CannotRun, TandemError)) as told:  # what the launcher makes one line and exit 2 of
        run(launcher.parse(["backtest", *words, "--data", str(prices)]))
    assert said in str(told.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["nothing.csv", "words.csv"])
def test_a_file_that_is_not_there_or_holds_no_prices_is_named(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.csv").write_text("hello\nworld\n")
    with pytest.raises((CannotRun, TandemError)) as told:
        run(launcher.parse(["backtest", "ema_cross", "--data", str(tmp_path / name)]))
    assert name in str(told.value)
    assert capfd.readouterr() == ("", "")


# --- many files and accounts, in this process ---------------------------------------------------------------------------


def asked(out: Path, *words: str) -> dict[str, Any]:
    assert run(launcher.parse(["backtest", "ema_cross", "--param", "fast=3", "--param", "slow=8", "--json", str(out), *words])) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_several_files_on_the_accounts_of_a_file(prices: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(prices.read_text())
    accounts = tmp_path / "accounts.json"
    accounts.write_text(
        json.dumps(
            {
                "seats": [
                    {"account": {"name": "Asha", "capital": "500000", "limits": {"max_trades_per_day": 1}}},
                    {"account": {"name": "Bina"}, "mapping": {"multiplier": "2", "sizing": {"mode": "fixed_quantity", "value": "10"}}},
                ],
                "exits": {"stop_loss": {"pct": "1"}},
                "rules": [{"scope": "account", "scope_id": "Bina", "stop": "100000"}],
            }
        )
    )
    report = asked(tmp_path / "out.json", "--data", f"{prices}=NSE:ONE", "--data", f"{other}=NSE:TWO", "--accounts", str(accounts))
    assert report["data"]["symbols"] == ["NSE:ONE", "NSE:TWO"]
    assert report["data"]["bars"] == 480
    assert report["result"]["equity_start"] == "1500000.00"
    assert {trade["account_id"] for trade in report["trades"]} == {"Asha", "Bina"}
    assert report["refused"]["max_trades"] > 0


def test_positions_are_squared_off_or_carried(prices: Path, tmp_path: Path) -> None:
    late = prices.read_text().replace(" 09:", " 14:").replace(" 10:", " 15:").replace(" 11:", " 16:")
    prices.write_text("\n".join(row for row in late.splitlines() if row[0] == "d" or row[11:16] < "15:30") + "\n")
    reasons = [
        {trade["exit_reason"] for trade in asked(tmp_path / "out.json", "--data", str(prices), "--param", "direction=both", word)["trades"]}
        for word in ("--square-off", "--carry")
    ]
    assert ["square_off" in each for each in reasons] == [True, False]


def _seat(**account: Any) -> str:
    return json.dumps([{"account": {"name": "Asha", **account}}])


@pytest.mark.parametrize(
    ("accounts", "words", "said"),
    [
        ("[]", [], "names no seats"),
        ("[{}", [], "Expecting"),
        ('[{"account": {"capital": "much"}}]', [], "seat 1: account.capital: must be a plain number"),
        ('[{"money": 3}]', [], "seat 1: money: is not a known field"),
        ("[3]", [], "seat 1: must be an object"),
        ('{"seats": {"a": 1}}', [], "seats: must be a list"),
        ('{"seats": [{}], "rule": []}', [], "rule: is not a known field"),
        ('[{"account": {"name": "A"}}, {"account": {"name": "A"}}]', [], "seat 2: the account A has two seats"),
        (
            _seat(day_rules={"keep": True, "square_off_cash": "77:00"}),
            [],
            "seat 1 .Asha.: account.day_rules.square_off_cash: '77:00' is not a time",
        ),
        (_seat(day_rules={"first_entry": "9 o'clock"}), [], "seat 1 .Asha.: account.day_rules.first_entry"),
        (_seat(day_rules={"keep": "yes"}), [], "account.day_rules.keep: must be true or false"),
        (_seat(broker="robinhood"), [], "account.broker: must be one of paper"),
        (_seat(max_daily_loss="NaN"), [], "account.max_daily_loss: must be a plain number"),
        (_seat(leverage=0), [], "account.leverage: must be above 0"),
        ('[{}, {"mapping": {"sizing": {"mode": "fixed_quantity"}}}]', [], "seat 2: mapping.sizing.value: is required"),
        ('{"seats": [{}], "exit_plan": {"stop_loss": {"pct": 1, "points": 2}}}', [], "exit_plan.stop_loss: give exactly one"),
        ('{"seats": [{}], "reentry": {"mode": "momentum"}}', [], "reentry.move_pct: is required"),
        ('{"seats": [{}], "rules": [{"scope": "account"}]}', [], "rule 1: stop: the rule asks for nothing"),
        ('{"seats": [{}], "rules": [{"scope": "group", "stop": 1}]}', [], "rule 1: scope_id: is required; there is none"),
        ('{"seats": [{}, {}], "rules": [{"scope": "account", "stop": 1}]}', [], "scope_id: is required; there are account-1, account-2"),
        ('{"seats": [{}], "groups": [{"name": "Us", "accounts": ["X"]}]}', [], "group Us: accounts: X has no seat, only account-1"),
        ("[{}]", ["--capital", "5"], "each has its own"),
        ("[{}]", ["--data", "run_strategy_system.py", "--symbol", "NSE:X"], "one file"),
    ],
)
def test_accounts_that_cannot_be_read_say_where(prices: Path, tmp_path: Path, accounts: str, words: list[str], said: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(accounts)
    with pytest.raises(CannotRun, match=said):
        asked(tmp_path / "out.json", "--data", str(prices), "--accounts", str(path), *words)


def test_the_accounts_file_of_the_documents_is_read_and_played(prices: Path, tmp_path: Path) -> None:
    """Every part of it arrives: an account for each seat, its day, its exits, its groups and its rules."""
    page = (ROOT / "docs" / "backtesting.md").read_text()
    path = tmp_path / "accounts.json"
    path.write_text(page.partition("```json\n")[2].partition("```")[0])
    job = job_of(launcher.parse(["backtest", "ema_cross", "--data", str(prices), "--accounts", str(path)]))
    small, large = job.seats
    sized = (small.account.limits.max_daily_loss, small.account.paper.slippage_ticks, small.mapping.sizing.value)
    assert sized == (Decimal(5000), Decimal(2), Decimal(25))
    assert (large.account.broker, large.account.day_rules.keep, large.account.day_rules.square_off_cash) == ("zerodha", True, "15:05")
    assert job.exits is not None
    first, second = job.exits.targets
    assert (job.exits.stop_pct, first.then_pct, second.share_pct) == (Decimal("0.5"), Decimal(0), Decimal(50))
    assert job.exits.trailing is not None
    assert job.reentry is not None
    assert [(group.name, group.account_ids) for group in job.groups] == [("Family", ("Small", "Large"))]
    assert [(rule.scope.value, rule.scope_id) for rule in job.rules] == [
        ("strategy", "backtest"),
        ("account", "Small"),
        ("group", "Family"),
    ]
    assert asked(tmp_path / "out.json", "--data", str(prices), "--accounts", str(path))["result"]["trades"] > 0


def test_a_preset_gives_the_parameters_that_are_not_given_one_by_one(prices: Path) -> None:
    words = ["backtest", "range_level", "--data", str(prices), "--preset"]
    assert job_of(launcher.parse([*words, "B", "--param", "n=4"])).params == {**PRESETS["B"].params, "n": "4"}
    with pytest.raises(CannotRun, match="range_level has no preset 'Q'; there are A, A2, B, C, D"):
        job_of(launcher.parse([*words, "Q"]))


def test_the_table_of_range_level_is_what_its_commands_print(tmp_path: Path) -> None:
    """One row of it, that of the quickest preset."""
    page = (ROOT / "docs" / "range-level.md").read_text()
    accounts, out = tmp_path / "ladder.json", tmp_path / "D.json"
    accounts.write_text(page.partition("```json\n")[2].partition("```")[0])
    words = ["backtest", "range_level", "--preset", "D", "--data", str(NIFTY), "--accounts", str(accounts), "--json", str(out)]
    assert run(launcher.parse(words)) == 0
    result = json.loads(out.read_text())["result"]
    cells = next(line for line in page.splitlines() if line.startswith("| D | 11 |")).replace(",", "").replace("−", "-").split(" | ")
    assert [str(result[name]) for name in ("trades", "gross", "charges", "net")] == cells[1:5]
    each = [Decimal(result[name]) / 750 / result["trades"] for name in ("gross", "net")]
    assert [f"{points:+.2f}" for points in each] == [cells[5], cells[6].removesuffix(" |")]
