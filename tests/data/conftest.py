"""A data service or a bare journal on a folder of its own, closed after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.data import Data, database, open_data
from app.data.journal import SqliteJournal
from engines.ports import SystemClock
from tests.data.house import House


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def data(folder: Path) -> Iterator[Data]:
    with open_data(folder) as made:
        yield made


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(**options: Any) -> House:
        path = tmp_path / f"{len(houses)}.db"
        database.create(path, "")
        readers = database.Readers(path)
        houses.append(House(path, readers, SqliteJournal(path, readers, SystemClock(), **options)))
        return houses[-1]

    yield make
    for house in houses:
        house.journal.close()
        house.readers.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    """Whoever commits waits for as long as a busy machine may take."""
    return make_house(wait=30.0)
