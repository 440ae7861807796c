"""The same application as the API's tests, and a workspace of this folder's own that is looked at from outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.conftest import fresh, rig, still
from tests.api.rig import Rig
from tests.auth.front import Front

__all__ = ["fresh", "rig", "still"]


@pytest.fixture(scope="session")
def _front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with Rig(tmp_path_factory.mktemp("front") / "data") as made:
        yield Front(made)


@pytest.fixture
def front(_front: Front) -> Front:
    """Sign-up is open, and nobody's address was asked about in the last hour."""
    _front.open(True)
    return _front
