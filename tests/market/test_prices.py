"""The price table: only sane ticks get in, marks are exact, ages never go back."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan

import pytest

from engines.market.instruments import InstrumentTable
from engines.market.prices import PriceTable
from tests.market.making import INFY, OPEN, SBIN, HandClock, tick


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def table(clock: HandClock) -> PriceTable:
    return PriceTable(clock, InstrumentTable([INFY, SBIN]))


def test_the_newest_tick_is_held(table: PriceTable) -> None:
    table.update([tick(1500.0, OPEN), tick(1500.5, OPEN), tick(800.0, OPEN, "NSE:SBIN")])
    held = table.get("NSE:INFY")
    assert held is not None
    assert held.last_price == 1500.5
    assert [t.symbol for t in table.many(["NSE:SBIN", "NSE:NONE", "NSE:INFY"])] == ["NSE:SBIN", "NSE:INFY"]
    assert table.get("NSE:NONE") is None


@pytest.mark.parametrize("price", [nan, inf, -inf, 0.0, -1.0])
def test_what_is_not_a_price_is_refused_and_the_old_one_stays(table: PriceTable, price: float) -> None:
    table.update([tick(1500.0, OPEN)])
    assert table.update([tick(price, OPEN + 1)]) == []
    assert table.mark("NSE:INFY") == Decimal(1500)
    assert table.refused == 1


def test_an_unknown_instrument_is_refused(table: PriceTable) -> None:
    assert table.update([tick(10.0, OPEN, "NSE:WHAT")]) == []
    assert table.refused == 1


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 0.0), (nan, 1500.1), (1499.9, nan), (1500.2, 1500.1), (-1.0, 1500.1), (1499.0, inf)])
def test_a_missing_or_crossed_quote_becomes_the_last_price(table: PriceTable, bid: float, ask: float) -> None:
    (taken,) = table.update([tick(1500.0, OPEN, bid=bid, ask=ask)])
    assert (taken.bid, taken.ask) == (1500.0, 1500.0)


@pytest.mark.parametrize("volume", [nan, inf, -5.0])
def test_a_volume_that_is_none_becomes_zero(table: PriceTable, volume: float) -> None:
    (taken,) = table.update([tick(1500.0, OPEN, volume=volume)])
    assert taken.volume == 0.0


def test_a_mark_is_exact_and_on_the_tick(table: PriceTable) -> None:
    table.update([tick(1500.1 + 1e-9, OPEN), tick(812.35, OPEN, "NSE:SBIN")])
    assert table.mark("NSE:INFY") == Decimal("1500.10")
    assert table.mark("NSE:SBIN") == Decimal("812.35")
    assert table.mark("NSE:NONE") is None
    table.update([tick(1500.2, OPEN)])
    assert table.mark("NSE:INFY") == Decimal("1500.2")


def test_age_is_the_longer_of_since_arrival_and_since_the_trade(table: PriceTable, clock: HandClock) -> None:
    assert table.age("NSE:INFY") is None
    assert table.newest_age() is None
    table.update([tick(1500.0, clock.now()), tick(800.0, clock.now() - 60, "NSE:SBIN")])
    assert table.age("NSE:INFY") == 0.0
    assert table.age("NSE:SBIN") == 60.0
    clock.pass_(2.0)
    assert table.age("NSE:INFY") == 2.0
    clock.wall -= 3600  # the machine's clock is set back: the price does not become young again
    assert table.age("NSE:INFY") == 2.0
    assert table.newest_age() == 2.0
