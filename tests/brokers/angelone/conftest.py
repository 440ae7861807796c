"""One account in front of a scripted SmartAPI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers.angelone.rig import Rig
from tests.brokers.angelone.rig import rig as make


@pytest.fixture
def rig() -> Iterator[Rig]:
    with make() as made:
        yield made
