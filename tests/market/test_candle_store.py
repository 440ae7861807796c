"""The candle store: whole candles only, closed by tick or clock, the newest kept, nothing told twice."""

from __future__ import annotations

import pytest

from engines.core.model import Candle, Timeframe
from engines.market.candle_store import IDLE, KEEP, CandleStore, bucket_start, combined_past
from engines.market.simulated import SimulatedFeed
from tests.market.making import DAY, OPEN, HandClock, candle, tick

M1, M5, H1, D1 = Timeframe.M1, Timeframe.M5, Timeframe.H1, Timeframe.D1
INFY = "NSE:INFY"


class World:
    def __init__(self, now: float = OPEN) -> None:
        self.clock = HandClock(now)
        self.stored: dict[tuple[str, Timeframe], list[Candle]] = {}
        self.asked: list[tuple[str, Timeframe]] = []
        self.told: list[tuple[Timeframe, Candle]] = []
        self.store = CandleStore(self.clock, self._past)
        self.store.subscribe(lambda timeframe, candle: self.told.append((timeframe, candle)))

    def _past(self, symbol: str, timeframe: Timeframe, limit: int) -> list[Candle]:
        self.asked.append((symbol, timeframe))
        return self.stored.get((symbol, timeframe), [])[-limit:]

    def tick(self, last: float, seconds: float, volume: float = 1.0) -> None:
        self.clock.wall = OPEN + seconds
        self.store.on_ticks([tick(last, OPEN + seconds, volume=volume)])


@pytest.fixture
def world() -> World:
    return World()


def test_candles_close_with_the_next_tick_and_are_told_in_order(world: World) -> None:
    world.store.watch([(INFY, M5)])
    for seconds, last in [(0, 10.0), (30, 12.0), (59, 11.0), (60, 9.0), (299, 10.5), (300, 10.0)]:
        world.tick(last, seconds)
    assert [told for timeframe, told in world.told if timeframe is M1] == [
        Candle(INFY, OPEN, 10, 12, 10, 11, 3),
        Candle(INFY, OPEN + 60, 9, 9, 9, 9, 1),
        Candle(INFY, OPEN + 240, 10.5, 10.5, 10.5, 10.5, 1),  # the minutes between had no trade: they stay missing
    ]
    assert [told for timeframe, told in world.told if timeframe is M5] == [Candle(INFY, OPEN, 10, 12, 9, 10.5, 5)]
    assert [candle.start - OPEN for candle in world.store.history(INFY, M1, 10)] == [0, 60, 240]
    forming = world.store.forming(INFY, M5)
    assert forming is not None
    assert forming.start == OPEN + 300


def test_candles_close_by_the_clock_when_no_tick_comes(world: World) -> None:
    world.store.watch([(INFY, M1)])
    world.tick(10, 5)
    world.store.flush(OPEN + 59.9)
    assert world.told == []
    world.store.flush(OPEN + 60)
    world.store.flush(OPEN + 61)
    assert [told.start for _, told in world.told] == [OPEN]
    world.tick(11, 59.5)  # too late for its candle
    world.tick(12, 125)
    world.store.flush(OPEN + 180)
    assert [(told.start - OPEN, told.close) for _, told in world.told] == [(0, 10), (120, 12)]


def test_a_candle_whose_beginning_nobody_saw_is_dropped() -> None:
    world = World(now=OPEN + 30)
    world.store.watch([(INFY, M1)])
    world.tick(10, 31)
    world.tick(11, 60)
    world.tick(12, 120)
    assert [told.start - OPEN for _, told in world.told] == [60]


def test_the_beginning_of_a_longer_candle_is_filled_from_the_minutes_of_the_past() -> None:
    world = World(now=OPEN + 130)
    world.stored[(INFY, M1)] = [candle(-1, 99.0), candle(0, 10.0), candle(1, 14.0)]
    world.store.watch([(INFY, M5)])
    world.tick(9.0, 131, volume=3)
    forming = world.store.forming(INFY, M5)
    assert forming == Candle(INFY, OPEN, 10, 14, 9, 9, 5)
    world.tick(12.0, 300)
    assert [(timeframe, told.start - OPEN) for timeframe, told in world.told if timeframe is M5] == [(M5, 0)]


def test_the_past_is_there_at_once_and_is_not_told_again(world: World) -> None:
    past = [candle(number - 5, 10.0 + number) for number in range(5)]
    world.stored[(INFY, M1)] = [*past, candle(0, 55.0)]  # of the present minute only the live one counts
    assert world.store.history(INFY, M1, 3) == tuple(past[-3:])
    assert world.store.history(INFY, M1, 100) == tuple(past)
    assert world.store.history(INFY, M1, 0) == ()
    world.tick(10, 1)
    world.tick(11, 61)
    assert len(world.told) == 1
    assert len(world.store.history(INFY, M1, 100)) == 6


def test_only_the_newest_are_kept(world: World) -> None:
    world.store.watch([(INFY, M1)])
    for minute in range(KEEP + 10):
        world.tick(10, minute * 60)
    assert len(world.store.history(INFY, M1, 10 * KEEP)) == KEEP
    assert world.store.history(INFY, M1, 10 * KEEP)[-1].start == OPEN + (KEEP + 8) * 60


def test_between_gives_closed_and_forming_candles_of_a_time(world: World) -> None:
    world.store.watch([(INFY, M1)])
    for minute in range(4):
        world.tick(10 + minute, minute * 60)
    inside = world.store.between(INFY, M1, OPEN + 60, OPEN + 240)
    assert [(c.start - OPEN, c.close) for c in inside] == [(60, 11), (120, 12), (180, 13)]
    assert world.store.between(INFY, M1, OPEN + 60, OPEN + 180) == inside[:2]
    assert world.store.between(INFY, M1, OPEN + 999, OPEN + 9999) == ()


def test_what_only_a_page_looked_at_is_let_go_and_what_is_watched_stays(world: World) -> None:
    world.store.watch([(INFY, M5)])
    world.store.history("NSE:SBIN", M1, 1)
    assert world.store.pairs() == {(INFY, M5), (INFY, M1), ("NSE:SBIN", M1)}
    world.clock.pass_(IDLE - 1)
    world.store.flush(world.clock.now())
    assert len(world.store.pairs()) == 3
    world.clock.pass_(2)
    world.store.flush(world.clock.now())
    assert world.store.pairs() == {(INFY, M5), (INFY, M1)}
    world.store.watch([])
    world.clock.pass_(IDLE + 1)
    world.store.flush(world.clock.now())
    assert world.store.pairs() == frozenset()


def test_other_instruments_cost_nothing_and_each_pair_is_loaded_once(world: World) -> None:
    world.store.watch([(INFY, M1)])
    world.store.watch([(INFY, M1)])
    world.store.on_ticks([tick(10, OPEN, "NSE:TCS")])
    assert world.asked == [(INFY, M1)]
    assert world.store.pairs() == {(INFY, M1)}


@pytest.mark.parametrize(
    ("symbol", "timeframe", "at", "expected"),
    [
        (INFY, M1, OPEN + 61, OPEN + 60),
        (INFY, M5, OPEN + 299, OPEN),
        (INFY, H1, OPEN + 3599, OPEN),
        (INFY, H1, OPEN + 3600, OPEN + 3600),
        (INFY, D1, OPEN, DAY - 9 * 3600),
        ("BINANCE:BTCUSDT", H1, OPEN, OPEN - 45 * 60),
        ("BINANCE:BTCUSDT", D1, OPEN, OPEN // 86_400 * 86_400),
    ],
)
def test_candles_begin_on_the_exchanges_clock(symbol: str, timeframe: Timeframe, at: float, expected: float) -> None:
    assert bucket_start(symbol, timeframe, at) == expected


# --- the past ------------------------------------------------------------------------------------------------------


def test_what_is_stored_wins_and_the_feed_fills_the_holes() -> None:
    clock = HandClock(OPEN + 300)
    kept = [candle(0, 1.0), candle(3, 1.0)]
    asked: list[tuple[float, float]] = []

    def made(symbol: str, timeframe: Timeframe, start: float, end: float) -> list[Candle]:
        asked.append((start - OPEN, end - OPEN))
        return [candle(number, 2.0) for number in range(5)]

    past = combined_past(lambda symbol, timeframe, limit: kept, made, clock)
    assert [c.close for c in past(INFY, M1, 5)] == [1, 2, 2, 1, 2]
    assert [c.start for c in past(INFY, M1, 2)] == [OPEN + 180, OPEN + 240]
    assert asked[0] == (-60, 300)
    assert combined_past(lambda symbol, timeframe, limit: kept, None, clock)(INFY, M1, 5) == kept


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_a_simulated_past_leads_up_to_the_present_price(timeframe: Timeframe) -> None:
    clock = HandClock(OPEN + 1234.5)
    feed = SimulatedFeed(clock, seed=3)
    past = combined_past(lambda symbol, timeframe, limit: [], feed.history, clock)(INFY, timeframe, 50)
    assert len(past) == 50
    now = bucket_start(INFY, timeframe, clock.now())
    assert [c.start for c in past] == [now - (50 - n) * timeframe.seconds for n in range(50)]
    assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high and c.volume > 0 for c in past)
    market = {t.symbol: t for t in SimulatedFeed(HandClock(now), seed=3).prime()}
    assert past[-1].close == pytest.approx(market[INFY].last_price, rel=0.001)
    assert feed.history("NSE:NOPE", timeframe, now - 1e6, now) == ()


def test_live_candles_of_the_simulated_market_go_on_from_its_past() -> None:
    """What a restart would make up for the minutes that were really seen is close to them."""
    clock = HandClock(OPEN)
    feed = SimulatedFeed(clock, seed=5)
    store = CandleStore(clock, combined_past(lambda symbol, timeframe, limit: [], feed.history, clock))
    store.watch([(INFY, M1)])
    for _ in range(4 * 60 * 5):
        feed.step(store.on_ticks)
        clock.pass_(0.25)
    store.flush(clock.now())
    seen = store.history(INFY, M1, 5)
    made = feed.history(INFY, M1, OPEN, OPEN + 300)
    assert [c.start for c in seen] == [c.start for c in made]
    for real, past in zip(seen, made, strict=True):
        assert past.close == pytest.approx(real.close, rel=0.0005)
        assert past.volume == pytest.approx(real.volume, rel=0.8)


def test_real_prices_make_an_instrument_begin_anew_with_its_real_past_only(world: World) -> None:
    world.stored[INFY, M1] = [candle(-2, 5.0), candle(-1, 6.0)]
    world.store.watch([(INFY, M5)])
    world.tick(10, 5)
    world.tick(11, 65)
    assert len(world.store.history(INFY, M1, 10)) == 3
    world.stored[INFY, M1] = [candle(-1, 90.0)]  # what `past` answers now: the real one
    world.told.clear()
    world.store.forget(INFY)
    assert world.store.is_live(INFY)
    assert not world.store.is_live("NSE:SBIN")
    assert world.told == []
    assert [c.close for c in world.store.history(INFY, M1, 10)] == [90.0]
    world.tick(91, 70)
    assert [tick_.close for tick_ in [world.store.forming(INFY, M5)] if tick_] == [91]
    assert world.store.pairs() == {(INFY, M1), (INFY, M5)}


def test_the_last_real_trades_of_a_candle_may_be_on_their_way(world: World) -> None:
    world.store.watch([(INFY, M1)])
    world.store.forget(INFY)
    world.tick(10, 0.5)
    world.store.flush(OPEN + 61)
    assert world.told == []
    world.tick(12, 59)
    world.store.flush(OPEN + 61.6)
    assert [told.high for _, told in world.told] == [12]


def test_a_series_that_was_being_read_when_real_prices_came_is_read_again(world: World) -> None:
    real = [candle(-1, 90.0)]

    def past(symbol: str, timeframe: Timeframe, limit: int) -> list[Candle]:
        if not store.is_live(symbol):
            store.forget(symbol)  # in between
            return [candle(-1, 6.0)]
        return real

    store = CandleStore(world.clock, past)
    assert list(store.history(INFY, M1, 5)) == real


def test_the_past_of_a_live_instrument_holds_nothing_simulated() -> None:
    clock = HandClock(OPEN + 300)
    kept = {False: [candle(0, 1.0)], True: [candle(1, 2.0)]}
    real: set[str] = set()
    past = combined_past(lambda symbol, timeframe, limit, live=False: kept[live], lambda *_: [candle(2, 3.0)], clock, real.__contains__)
    assert [c.close for c in past(INFY, M1, 5)] == [1, 3]
    real.add(INFY)
    assert [c.close for c in past(INFY, M1, 5)] == [2]
