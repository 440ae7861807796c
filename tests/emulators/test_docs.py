"""What may be done to an emulated broker is written down, all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulators.core.control import CONTROLS
from tests.emulators.core.faults import Fault

BROKERS = (Path(__file__).resolve().parents[2] / "docs" / "brokers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted({*CONTROLS, *(fault.value for fault in Fault)}))
def test_every_control_and_every_fault_is_written_down(name: str) -> None:
    assert f"`{name}`" in BROKERS
