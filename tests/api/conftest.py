"""One running application for all tests that leave it as it was; a fresh one for those that stop it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.auth.throttle import Throttle
from engines.ports import SystemClock
from tests.api.rig import Person, Rig


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("api") / "data") as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Rig]:
    """An application of its own, for tests that stop engines or people."""
    with Rig(tmp_path / "data") as made:
        yield made


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted by the minute stays within it, however long a busy machine takes: time goes on by a hair each time that it is asked for."""
    began, asked, stopped = SystemClock().now(), itertools.count(), HandClock(SystemClock().monotonic())
    monkeypatch.setattr(SystemClock, "now", lambda _: began + next(asked) / 100_000)
    monkeypatch.setattr(Throttle, "_clock", property(lambda _: stopped, lambda made, clock: vars(made).update(_clock=clock)), raising=False)


class HandClock(SystemClock):
    def __init__(self, at: float) -> None:
        self.at = at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def trader(rig: Rig) -> Person:
    return rig.trader


@pytest.fixture
def owner(rig: Rig) -> Person:
    return rig.owner
