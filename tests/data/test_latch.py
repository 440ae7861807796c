"""The halt latch: a small file that holds when all else fails."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.data import latch as module
from app.data.latch import UNREADABLE, FileLatch
from engines.core.model import Halt, HaltScope
from tests.data.making import NOON

HALT = Halt("H1", HaltScope.SYSTEM, None, "the market is on fire – stop", NOON + 0.123456, "U1", flatten=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "halts.json"


def test_a_halt_survives_the_process(path: Path) -> None:
    other = replace(HALT, halt_id="H2", scope=HaltScope.ACCOUNT, scope_id="A1")
    latch = FileLatch(path)
    assert latch.set(HALT)
    assert latch.set(other)
    assert FileLatch(path).active() == (HALT, other)


def test_only_a_lift_ends_it(path: Path) -> None:
    latch = FileLatch(path)
    latch.set(HALT)
    assert not latch.lift("H2")
    assert latch.active() == (HALT,)
    assert latch.lift("H1")
    assert latch.active() == FileLatch(path).active() == ()
    assert not latch.lift("H1")


@pytest.mark.parametrize(
    "content", ["", "{", "[{}]", '{"halt_id": 1}', '[{"halt_id": "H1", "scope": "galaxy"}]', "[1]", "null", "\x00" * 50]
)
def test_a_file_that_cannot_be_understood_halts_everything_until_a_person_lifts_it(path: Path, content: str) -> None:
    path.write_text(content)
    latch = FileLatch(path)
    assert latch.active() == (UNREADABLE,)
    latch.set(HALT)
    assert FileLatch(path).active() == (UNREADABLE, HALT)
    assert latch.lift(UNREADABLE.halt_id)
    assert FileLatch(path).active() == (HALT,)


def test_when_nothing_can_be_written_it_holds_in_memory_and_says_so(path: Path) -> None:
    latch = FileLatch(path)
    path.mkdir()
    (path / "in-the-way").touch()
    assert not latch.set(HALT)
    assert latch.active() == (HALT,)
    assert not latch.lift("H1"), "a lift that would not survive is none"
    assert latch.active() == (HALT,)


def test_on_a_full_disk_the_reserve_makes_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latch = FileLatch(path)
    reserve = path.with_name("halts.json.reserve")
    assert reserve.stat().st_size >= 4096
    real = os.fsync

    def full_while_reserved(handle: int) -> None:
        if reserve.exists():
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(module.os, "fsync", full_while_reserved)
    assert latch.set(HALT)
    assert FileLatch(path).active() == (HALT,)
