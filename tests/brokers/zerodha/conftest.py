"""One emulated Kite for the room; each test has an account of its own there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers.zerodha.rig import INFY, PRICE, Rig
from tests.emulators.kite import KiteEmulator


@pytest.fixture(scope="package")
def kite() -> Iterator[KiteEmulator]:
    with KiteEmulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(kite: KiteEmulator) -> Iterator[KiteEmulator]:
    kite.no_faults()
    kite.price(INFY, PRICE)
    yield kite
    kite.no_faults()
    kite.mute_updates(False)
    kite.order_desk.drops_tags = False


@pytest.fixture
def rig(emulator: KiteEmulator) -> Iterator[Rig]:
    made = Rig(emulator)
    yield made
    made.close()
