"""One emulated Binance for the folder, and accounts at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.venues import SPOT, USDM, Station
from tests.emulators.binance.emulator import BinanceEmulator

Desk = Callable[..., Station]


@pytest.fixture(scope="package")
def binance() -> Iterator[BinanceEmulator]:
    with BinanceEmulator() as emulator:
        yield emulator


@pytest.fixture
def desk(binance: BinanceEmulator) -> Iterator[Desk]:
    """An account of its own, not yet connected: `desk("usdm")`."""
    binance.no_faults()
    stations: list[Station] = []

    def make(market: str, **given: Any) -> Station:
        venue = SPOT if market == "spot" else USDM
        binance.price(venue.symbol, venue.price)
        stations.append(Station(venue, binance, **given))
        return stations[-1]

    yield make
    for station in stations:
        station.close()
    binance.no_faults()
