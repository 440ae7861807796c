"""kill -9 at every named point, then start again: same books, no second order, no order lost, halts still hold (laws 1, 2 and 4)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engines.crashpoints import POINTS
from tests.crash.ledger import Ledger, serving

ROOT = Path(__file__).resolve().parents[2]


def run(mode: str, folder: Path, port: int, point: str = "", program: str = "child", *late: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"tests.crash.{program}", mode, str(folder), str(port), *late]
    environment = os.environ | {"TANDEM_CRASH_AT": point}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("point", POINTS)
def test_kill_minus_nine_at(point: str, tmp_path: Path) -> None:
    ledger = Ledger()
    with serving(ledger) as port:
        died = run("act", tmp_path / "data", port, point)
        assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
        at_the_broker = ledger.net()
        after = run("recover", tmp_path / "data", port)
        assert after.returncode == 0, after.stderr[-2000:]
        books = json.loads(after.stdout.splitlines()[-1])

    names = ledger.names()
    assert len(names) == len(set(names)), "an order was sent twice"
    assert set(names) <= set(books["orders"]), "an order is not in our books"
    assert [float(q) for q in books["held_at_start"]] in ([], [float(at_the_broker)])
    assert ledger.net() == 0, "what was held has left through its stop, once"
    assert all(float(quantity) == 0 for quantity in books["positions"])
    assert set(books["orders"].values()) <= {"filled", "not_placed", "denied"}
    assert bool(books["halts"]) == (point == "after-halt-before-flatten")


def test_without_a_crash_the_same_program_ends_by_itself(tmp_path: Path) -> None:
    ledger = Ledger()
    with serving(ledger) as port:
        done = run("act", tmp_path / "data", port)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (len(ledger.names()), ledger.net()) == (4, 0)


def test_a_shared_strategys_signal_is_recorded_for_everybody_or_for_nobody(tmp_path: Path) -> None:
    """Killed between the record and the first order: both people have theirs, none was sent, and the same signal sends nothing again."""
    ledger = Ledger()
    with serving(ledger) as port:
        died = run("act", tmp_path / "data", port, "after-commit-before-queue", "shared_child")
        assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
        after = run("recover", tmp_path / "data", port, program="shared_child")
        assert after.returncode == 0, after.stderr[-2000:]
    books = json.loads(after.stdout.splitlines()[-1])
    assert books["duplicate"] is True
    assert [[state for _, state in orders] for orders in books["orders"].values()] == [["not_placed"], ["not_placed"]]
    assert ledger.names() == []


@pytest.mark.parametrize(
    ("how", "point", "rests", "close"),
    [
        ("reduce", "after-commit-before-queue", "LIMIT open", "MARKET not_placed"),
        ("close", "in-lane-before-send", "LIMIT cancelled", "MARKET not_placed"),
        ("reduce", "in-lane-before-send", "LIMIT cancelled", "MARKET not_placed"),
        ("reduce", "after-answer-before-booking", "LIMIT cancelled", "MARKET filled"),
    ],
)
def test_a_close_that_goes_before_what_rests_is_not_lost_in_between(how: str, point: str, rests: str, close: str, tmp_path: Path) -> None:
    """Killed from the record of the close to its last byte: it has left once, or a person is told that it has not."""
    ledger = Ledger()
    with serving(ledger) as port:
        died = run(how, tmp_path / "data", port, "", "resting_child", point)
        assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
        after = run("recover", tmp_path / "data", port, "", "resting_child")
        assert after.returncode == 0, after.stderr[-2000:]
    books = json.loads(after.stdout.splitlines()[-1])
    names = ledger.names()
    assert len(names) == len(set(names)), "an order was sent twice"
    assert sorted(books["orders"].values()) == sorted([rests, close])
    assert books["held"] == ledger.net() == (0 if close == "MARKET filled" else 10)
    assert ("exit_failed" in books["told"]) == (books["held"] == 10)
