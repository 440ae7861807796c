"""The same application as the API's tests."""

from __future__ import annotations

from tests.api.conftest import fresh, rig

__all__ = ["fresh", "rig"]
