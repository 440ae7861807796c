"""The official SDKs run here on the tests' own thread; what they change there must not last."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import localcontext

import pytest


@pytest.fixture(autouse=True)
def _own_decimal_context() -> Iterator[None]:
    """ccxt rounds half up by changing the rules of whatever thread it runs on."""
    with localcontext():
        yield
