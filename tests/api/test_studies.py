"""The queue of studies with programs made for the purpose: what is told, how one ends, and what a stop or a crash leaves."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.data import Actor, Data, StudyState, UserRole, open_data
from app.studies import StudyQueue
from engines.ports import SystemClock

BY = Actor(None, "cli")
SPEC = {"asked": {}, "program": {"kind": "backtest", "job": {}}}
SAYS = "import json, sys, time, os, signal\nsay = lambda **told: print(json.dumps(told), flush=True)\n"
PROGRAMS = {
    "does": "say(progress=0.5, doing='playing'); print('not json'); say(summary={'net': '1.00'})",
    "cannot": "say(error='there is no file'); sys.exit(2)",
    "breaks": "say(progress=0.25, doing='playing'); raise RuntimeError('oh no')",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "says nothing": "sys.exit(0)",
    "waits": "say(progress=0.4, doing='playing')\nwhile True: time.sleep(0.01)",
    "is stubborn": "signal.signal(signal.SIGTERM, signal.SIG_IGN); say(progress=0.4, doing='playing')\nwhile True: time.sleep(0.01)",
}


class Turn:
    """What the thread of the queue is to it: it goes on until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    @property
    def stopping(self) -> bool:
        return self.stopped.is_set()

    def beat(self) -> None:
        pass

    def pause(self, seconds: float) -> bool:
        return self.stopped.wait(seconds)


class Bench:
    def __init__(self, data: Data, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.user = data.users.add("a@example.com", "correct horse battery", role=UserRole.OWNER, by=BY).user_id
        self.told: list[tuple[str, Mapping[str, Any]]] = []

    def queue(self, does: str) -> StudyQueue:
        program = self.folder / "program.py"
        program.write_text(SAYS + PROGRAMS[does])
        return StudyQueue(
            self.data, SystemClock(), lambda _user, kind, told: self.told.append((kind, told)), (sys.executable, str(program))
        )

    def ask(self) -> str:
        return self.data.studies.add(self.user, "x", "backtest", SPEC, by=BY).study_id


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("app.data.users.hash_password", lambda _: "nobody signs in here")
    with open_data(tmp_path / "data") as data:
        yield Bench(data, tmp_path)


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("does", "state", "progress", "error"),
    [
        ("does", StudyState.DONE, 1.0, ""),
        ("cannot", StudyState.FAILED, 0.0, "there is no file"),
        ("breaks", StudyState.FAILED, 0.25, "a fault of ours: RuntimeError: oh no"),
        ("is killed", StudyState.FAILED, 0.0, "the program was ended from outside (SIGKILL); with SIGKILL usually for want of memory"),
        ("says nothing", StudyState.FAILED, 0.0, "the program ended with 0"),
    ],
)
def test_what_becomes_of_a_study(bench: Bench, does: str, state: StudyState, progress: float, error: str) -> None:
    study, queue = bench.ask(), bench.queue(does)
    assert queue.turn(Turn())
    row = bench.data.studies.get(None, study)
    assert (row.state, row.progress, row.error) == (state, progress, error)
    assert queue.progress(study) is None
    assert not queue.turn(Turn())
    assert [told["state"] for kind, told in bench.told if kind == "news"] == ["running", state.value]
    if does == "does":
        assert dict(row.summary) == {"net": "1.00"}
        assert [told["progress"] for kind, told in bench.told if kind == "pulse"] == [0.5]


@pytest.mark.parametrize("does", ["waits", "is stubborn"])
def test_a_running_study_is_ended_when_somebody_asks(bench: Bench, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.studies.PATIENCE", 0.2)
    study, queue = bench.ask(), bench.queue(does)
    thread = threading.Thread(target=queue.turn, args=(Turn(),))
    thread.start()
    until(lambda: (now := queue.progress(study)) is not None and now.part == 0.4)
    assert queue.cancel(bench.user, study, BY).state is StudyState.RUNNING
    thread.join(120)
    row = bench.data.studies.get(None, study)
    assert (row.state, row.progress) == (StudyState.CANCELLED, 0.4)


def test_a_stop_of_the_program_puts_the_study_back_and_the_next_start_does_it(bench: Bench) -> None:
    study, queue, turn = bench.ask(), bench.queue("waits"), Turn()
    thread = threading.Thread(target=queue.loop, args=(turn,))
    thread.start()
    until(lambda: (now := queue.progress(study)) is not None and now.part == 0.4)
    turn.stopped.set()
    thread.join(120)
    assert bench.data.studies.get(None, study).state is StudyState.QUEUED
    later, again = bench.queue("does"), Turn()
    thread = threading.Thread(target=later.loop, args=(again,))
    thread.start()
    until(lambda: bench.data.studies.get(None, study).state is StudyState.DONE)
    again.stopped.set()
    thread.join(120)


def test_files_go_with_a_study_and_a_sweep_asked_again_begins_with_what_it_had(bench: Bench) -> None:
    queue = bench.queue("does")
    first, second = bench.ask(), bench.ask()
    queue.folder_of(first).mkdir(parents=True)
    (queue.folder_of(first) / "results.jsonl").write_text("{}\n")
    queue.take_over(first, second)
    queue.delete(bench.user, first, BY)
    assert not queue.folder_of(first).exists()
    assert (queue.folder_of(second) / "results.jsonl").read_text() == "{}\n"
