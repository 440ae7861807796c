"""The simulated market: seeded, on the tick, deep in the night, and the same after a restart."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from decimal import Decimal

import pytest

from engines.core.model import Tick
from engines.market.names import known_names, synthetic_names
from engines.market.simulated import SimulatedFeed, SimulatedMarket
from engines.ports import SystemClock
from tests.market.making import OPEN, HandClock

STEP = 0.25


def minutes_of_ticks(seed: int, start: float = OPEN, minutes: float = 2) -> list[Tick]:
    market = SimulatedMarket(seed)
    return [tick for n in range(int(minutes * 60 / STEP)) for tick in market.ticks(start + n * STEP)]


def test_same_seed_and_time_give_the_same_ticks_another_seed_gives_others() -> None:
    assert minutes_of_ticks(1) == minutes_of_ticks(1)
    assert minutes_of_ticks(1) != minutes_of_ticks(2)


def test_a_restart_goes_on_in_the_same_market() -> None:
    whole = minutes_of_ticks(4, minutes=2)
    later = minutes_of_ticks(4, start=OPEN + 60, minutes=1)
    assert [tick for tick in whole if tick.at >= OPEN + 60] == later


def test_every_price_is_on_the_tick_and_inside_a_spread_of_one_to_three_ticks() -> None:
    instruments = {name.instrument.symbol: name.instrument for name in known_names()}
    spreads = set()
    for tick in minutes_of_ticks(3):
        size = instruments[tick.symbol].tick_size
        last, bid, ask = (Decimal(repr(price)) for price in (tick.last_price, tick.bid, tick.ask))
        assert last % size == bid % size == ask % size == 0, tick
        assert 0 < bid <= last <= ask
        if instruments[tick.symbol].tradable:
            spreads.add((ask - bid) / size)
    assert spreads == {1, 2, 3}


def test_indices_have_no_book_and_no_volume() -> None:
    index = [tick for tick in minutes_of_ticks(0) if tick.symbol == "NSE:NIFTY 50"]
    assert all(tick.bid == tick.last_price == tick.ask and tick.volume == 0 for tick in index)
    assert len({tick.last_price for tick in index}) > 50


def test_all_names_trade_within_a_few_seconds_at_any_hour_of_any_day() -> None:
    symbols = {name.instrument.symbol for name in known_names()}
    for hours in (0, 9, 14, 18, 24 * 4, 24 * 5 + 3):
        ticks = minutes_of_ticks(0, start=OPEN + hours * 3600, minutes=0.1)
        assert {tick.symbol for tick in ticks} == symbols


def test_prices_stay_within_a_band_of_a_fifth_for_a_year() -> None:
    market = SimulatedMarket(9)
    for name in known_names():
        for week in range(52):
            last = market.tick(name.instrument.symbol, OPEN + week * 7.3 * 86400).last_price
            assert abs(last / name.price - 1) < 0.2, name


def test_prime_gives_a_first_tick_for_every_instrument_that_the_feed_then_goes_on_from() -> None:
    clock = HandClock()
    feed = SimulatedFeed(clock, seed=2)
    primed = {tick.symbol: tick for tick in feed.prime()}
    assert set(primed) == {instrument.symbol for instrument in feed.instruments()}
    assert all(tick.volume == 0 and tick.at == clock.now() for tick in primed.values())
    got: list[Tick] = []
    feed.step(got.extend)
    assert all(tick.last_price == primed[tick.symbol].last_price for tick in got)


def test_thousands_of_instruments_come_in_small_batches_so_that_none_waits_for_all() -> None:
    batches: list[Sequence[Tick]] = []
    feed = SimulatedFeed(HandClock(), names=synthetic_names(3000))
    feed.step(batches.append)
    assert 1800 < sum(map(len, batches)) < 2400
    assert max(map(len, batches)) <= 200


def test_the_feed_ticks_from_its_own_thread_until_it_is_stopped_and_may_start_again() -> None:
    feed = SimulatedFeed(SystemClock(), interval=0.01)
    for _ in range(2):
        enough = threading.Event()
        seen: list[Tick] = []

        def take(batch: Sequence[Tick], seen: list[Tick] = seen, enough: threading.Event = enough) -> None:
            seen.extend(batch)
            if len(seen) > 100:
                enough.set()

        feed.start(take)
        assert feed.alive
        assert enough.wait(30)
        with pytest.raises(RuntimeError):
            feed.start(take)
        feed.stop()
        assert not feed.alive
        assert [tick.at for tick in seen] == sorted(tick.at for tick in seen)
    assert not feed.finished
