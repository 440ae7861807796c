"""The price table: only sane ticks get in, marks are exact, ages never go back."""

from __future__ import annotations

from dataclasses import replace
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


def test_the_first_real_price_ends_the_simulated_ones_for_good(table: PriceTable) -> None:
    table.update([tick(1500.0, OPEN)])
    assert not table.is_live("NSE:INFY")
    assert [t.last_price for t in table.update([tick(1480.0, OPEN + 1)], live=True)] == [1480.0]
    assert table.is_live("NSE:INFY")
    assert table.update([tick(1501.0, OPEN + 2), tick(800.0, OPEN + 2, "NSE:SBIN")]) == [tick(800.0, OPEN + 2, "NSE:SBIN")]
    assert table.mark("NSE:INFY") == Decimal("1480.0")
    assert table.refused == 0
    table.update([tick(1481.0, OPEN + 2)], live=True)
    assert table.newly_live() == ["NSE:INFY"]
    assert table.newly_live() == []


def test_what_is_claimed_has_no_price_until_a_real_one_comes(table: PriceTable) -> None:
    table.update([tick(1500.0, OPEN), tick(800.0, OPEN, "NSE:SBIN")])
    table.update([tick(801.0, OPEN, "NSE:SBIN")], live=True)
    assert table.mark("NSE:INFY") == 1500
    table.claim(["NSE:INFY", "NSE:SBIN"])
    assert table.update([tick(1501.0, OPEN)]) == []
    assert (table.get("NSE:INFY"), table.mark("NSE:INFY"), table.age("NSE:INFY")) == (None, None, None)
    assert not table.is_live("NSE:INFY")
    assert table.mark("NSE:SBIN") == 801, "a real price is not forgotten"
    table.update([tick(1499.0, OPEN)], live=True)
    assert table.mark("NSE:INFY") == 1499


def test_the_age_of_a_real_price_is_the_silence_of_its_connection(table: PriceTable, clock: HandClock) -> None:
    silence: dict[str, float | None] = {"NSE:INFY": 0.4}
    table.use_live(silence.get)
    table.update([tick(1500.0, OPEN)], live=True)
    table.update([tick(800.0, OPEN, "NSE:SBIN")])
    clock.pass_(600)  # a quiet instrument on a connection that speaks
    assert table.age("NSE:INFY") == 0.4
    assert table.age("NSE:SBIN") == 600, "the feed's own prices age as ever"
    silence["NSE:INFY"] = None
    assert table.age("NSE:INFY") == inf


def test_a_snapshot_of_yesterdays_last_trade_is_as_old_as_that_trade(clock: HandClock) -> None:
    coin = replace(INFY, symbol="BINANCE:BTCUSDT", exchange="BINANCE")
    table = PriceTable(clock, InstrumentTable([INFY, coin]))
    table.use_live(lambda _: 0.1)
    yesterday = OPEN - 18 * 3600
    table.update([tick(1500.0, yesterday), tick(60_000.0, yesterday, "BINANCE:BTCUSDT")], live=True)
    assert table.age("NSE:INFY") == 18 * 3600
    assert table.age("BINANCE:BTCUSDT") == 0.1, "a market that never closes has no yesterday"
    table.update([tick(1500.0, OPEN - 9 * 3600)], live=True)  # midnight: today
    assert table.age("NSE:INFY") == 0.1


def test_the_feeds_own_silence_is_not_hidden_by_real_prices(table: PriceTable, clock: HandClock) -> None:
    table.update([tick(1500.0, OPEN)])
    clock.pass_(3)
    table.update([tick(1500.0, OPEN)], live=True)
    assert table.newest_age() == 3
    table.update([tick(1500.0, OPEN)])  # passed over, and yet the feed has spoken
    assert table.newest_age() == 0
