"""One running application for all tests that leave it as it was; a fresh one for those that stop it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
def trader(rig: Rig) -> Person:
    return rig.trader


@pytest.fixture
def owner(rig: Rig) -> Person:
    return rig.owner
