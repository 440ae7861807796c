"""Replay: a file played as a live feed, the same every time, on a clock of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.bars import ticks_within
from engines.core.candles import CandleBuilder
from engines.core.model import Candle, Instrument, Tick, Timeframe
from engines.market.files import BadFile, read_market_file
from engines.market.replay import LevelWalk, ReplayClock, ReplayFeed
from tests.market.making import INFY, OPEN, HandClock
from tests.market.ws_server import until

DAILY = Path("../shared/data/nse_stocks_daily_2008_2021.csv.gz")
DAY = 86_400
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(rows: str, head: str = "datetime,open,high,low,close,volume") -> Path:
        path = tmp_path / "replay.csv"
        path.write_text(f"{head}\n{rows}", encoding="utf-8")
        return path

    return put


RISE = "2024-01-02 09:15:00,10,13,9,12,10\n"
FALL = "2024-01-02 09:16:00,12,13,9,10,7\n"


def played(feed: ReplayFeed) -> list[tuple[float, list[float]]]:
    """(seconds since the open, prices) of every batch, with the replay's clock checked on the way."""
    got: list[tuple[float, list[float]]] = []

    def take(batch: Sequence[Tick]) -> None:
        assert all(tick.at == feed.clock.now() for tick in batch)
        got.append((feed.clock.now() - OPEN, [tick.last_price for tick in batch]))

    feed.play(take)
    return got


def test_a_candle_is_walked_open_low_high_close_when_it_rose_and_open_high_low_close_when_it_fell(write: Write) -> None:
    feed = ReplayFeed(write(RISE + FALL), "NSE:INFY", speed=0)
    got = played(feed)
    assert [prices for _, prices in got if prices] == [[10], [9], [13], [12], [12], [13], [9], [10]]
    assert [round(at, 3) for at, prices in got if prices] == [0, 19.667, 39.333, 59, 60, 79.667, 99.333, 119]
    assert feed.finished


def test_volume_is_shared_out_in_whole_units_and_adds_up(write: Write) -> None:
    feed = ReplayFeed(write(RISE + FALL), "NSE:INFY", speed=0)
    assert [tick.volume for _, batch in feed.batches() for tick in batch] == [2, 2, 2, 4, 1, 1, 1, 4]


def test_without_quotes_bid_and_ask_are_the_last_price(write: Write) -> None:
    feed = ReplayFeed(write(RISE), "NSE:INFY", speed=0)
    assert all(tick.bid == tick.last_price == tick.ask for _, batch in feed.batches() for tick in batch)


@pytest.mark.parametrize("legs", [1, 5])
def test_candles_built_from_a_replay_are_those_of_the_file(legs: int, nifty_fortnight: Path) -> None:
    end = OPEN + 2 * DAY
    feed = ReplayFeed(nifty_fortnight, "NSE:NIFTY 50", speed=0, start=OPEN - 3600, end=end, ticks_per_leg=legs)
    builder = CandleBuilder("NSE:NIFTY 50", Timeframe.M1)
    built: list[Candle | None] = []

    def take(batch: Sequence[Tick]) -> None:
        built.append(builder.flush(feed.clock.now()))
        built.extend(builder.add(tick) for tick in batch)

    feed.play(take)
    whole = read_market_file(nifty_fortnight, "NSE:NIFTY 50").candles
    assert [candle for candle in built if candle is not None] == [candle for candle in whole if OPEN - 3600 <= candle.start < end]


def test_prices_between_the_corners_are_on_the_tick(write: Write) -> None:
    feed = ReplayFeed(write(RISE), "NSE:INFY", speed=0, instruments=[INFY], ticks_per_leg=7)
    prices = [tick.last_price for _, batch in feed.batches() for tick in batch]
    assert len(prices) == 22
    assert all(Decimal(repr(price)) % INFY.tick_size == 0 for price in prices)


def test_time_passes_before_a_night_and_at_the_end_so_that_candles_close_by_the_clock(write: Write) -> None:
    rows = "2024-01-02 15:28:00,10,10,10,10,1\n2024-01-02 15:29:00,10,10,10,10,1\n2024-01-03 09:15:00,11,11,11,11,1\n"
    feed = ReplayFeed(write(rows), "NSE:INFY", speed=0)
    close = (15 * 60 + 30 - 9 * 60 - 15) * 60
    quiet = [at for at, prices in played(feed) if not prices]
    midnight = DAY - 9.25 * 3600
    assert quiet == [
        close,
        close + 45 * 60,
        midnight,
        DAY + 60,
        DAY + 300,
        DAY + 900,
        DAY + 3600,
    ]  # 15:30, 16:15, 00:00; 09:16 09:20 09:30 10:15
    assert feed.clock.now() == OPEN + DAY + 3600  # still the last session


def test_a_hole_stays_a_hole(write: Write) -> None:
    feed = ReplayFeed(write(RISE + FALL + "2024-01-02 10:46:00,10,10,10,10,1\n"), "NSE:INFY", speed=0)
    starts = {tick.at // 60 * 60 - OPEN for _, batch in feed.batches() for tick in batch}
    assert starts == {0, 60, 91 * 60}


def test_many_instruments_tick_together_and_all_have_a_first_price(write: Write) -> None:
    head = "symbol,datetime,open,high,low,close"
    rows = "INFY,2024-01-02 09:15,1,1,1,1\nSBIN,2024-01-02 09:15,2,2,2,2\nSBIN,2024-01-02 09:16,3,3,3,3\nTCS,2024-01-02 09:16,4,4,4,4\n"
    path = write(rows)
    path.write_text(f"{head}\n{rows}", encoding="utf-8")
    feed = ReplayFeed(path, speed=0)
    assert [(tick.symbol, tick.last_price, tick.at, tick.volume) for tick in feed.prime()] == [
        ("NSE:INFY", 1, OPEN, 0),
        ("NSE:SBIN", 2, OPEN, 0),
        ("NSE:TCS", 4, OPEN, 0),
    ]
    assert [prices for _, prices in played(feed) if prices] == [[1, 2]] * 4 + [[3, 4]] * 4
    assert feed.instruments()[0].name == "Infosys"


def test_a_day_is_played_in_the_exchanges_hours() -> None:
    feed = ReplayFeed(DAILY, "NSE:INFY", speed=0, start=OPEN - 5000 * DAY)
    days = [at for at, batch in feed.batches() if batch]
    assert days[3] - days[0] == 6.25 * 3600 - 1
    assert (days[0] + 19_800) % DAY == (9 * 60 + 15) * 60
    assert feed.bad_row_count > 0
    assert " of the same time as line " in feed.bad_rows[0].reason


def test_ticks_of_one_moment_are_one_batch_in_the_files_order(write: Write) -> None:
    path = write("")
    path.write_text("timestamp,symbol,ltp\n1704167100,INFY,1\n1704167100,SBIN,5\n1704167100,INFY,2\n1704167103,INFY,3\n", encoding="utf-8")
    feed = ReplayFeed(path, speed=0)
    assert [(at, prices) for at, prices in played(feed) if prices] == [(0, [1, 5, 2]), (3, [3])]


def test_an_undescribed_instrument_gets_the_coarsest_tick_its_prices_are_on_and_a_given_one_stays(write: Write) -> None:
    path = write("2024-01-02 09:15:00,10.05,10.10,10.05,10.1,1\n2024-01-02 09:16:00,10.15,10.15,10.15,10.15,1\n")
    (guessed,) = ReplayFeed(path, "NFO:NIFTY24JANFUT").instruments()
    assert (guessed.tick_size, guessed.exchange, guessed.tradable) == (Decimal("0.05"), "NFO", True)
    given = Instrument("NFO:NIFTY24JANFUT", "NIFTY JAN", "NFO", Decimal("0.10"), lot_size=50, segment="FUT")
    assert ReplayFeed(path, "NFO:NIFTY24JANFUT", instruments=[given]).instruments() == (given,)
    assert ReplayFeed(path, "NSE:INFY").instruments()[0].freeze_quantity is not None  # a known name is what it is


@pytest.mark.parametrize("bad", [{"speed": -1.0}, {"speed": float("nan")}, {"ticks_per_leg": 0}])
def test_bad_settings_are_refused(write: Write, bad: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        ReplayFeed(write(RISE), "NSE:INFY", **bad)  # type: ignore[arg-type]


def test_a_time_that_the_file_does_not_have_is_told(write: Write) -> None:
    with pytest.raises(BadFile, match="nothing of the time that was asked for"):
        ReplayFeed(write(RISE), "NSE:INFY", start=OPEN + DAY)


def test_the_clock_of_a_replay_never_goes_back_and_its_monotonic_time_is_the_machines() -> None:
    base = HandClock()
    clock = ReplayClock(100.0, base)
    clock.set(200.0)
    clock.set(150.0)
    assert clock.now() == 200.0
    base.pass_(5)
    assert clock.monotonic() == base.monotonic()


def test_a_paced_replay_waits_in_proportion_and_skips_nights(write: Write) -> None:
    """A base clock that jumps whenever the feed would wait shows how long it would have waited."""
    rows = RISE + FALL + "2024-01-03 09:15:00,11,11,11,11,1\n"
    base = HandClock()
    feed = ReplayFeed(write(rows), "NSE:INFY", speed=2.0, base=base)
    waits: list[float] = []

    class Waiting(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waits.append(round(timeout, 3))
            base.pass_(timeout)
            return False

    feed.pace._changed = Waiting()
    feed.play(lambda _: None)
    assert waits[:4] == [9.834, 9.833, 9.834, 0.5]  # 19.667 s, and 1 s from candle to candle, at twice the speed
    assert sum(waits) < 120


def test_at_full_speed_the_next_moment_comes_only_when_the_engines_are_done_and_a_stop_ends_it(write: Write) -> None:
    feed = ReplayFeed(write(RISE + FALL), "NSE:INFY", speed=0)
    arrived, go_on = threading.Semaphore(0), threading.Semaphore(0)
    seen: list[Sequence[Tick]] = []

    def take(batch: Sequence[Tick]) -> None:
        seen.append(batch)
        arrived.release()
        go_on.acquire()

    feed.start(take)
    for count in (1, 2, 3):
        assert arrived.acquire(timeout=30)
        assert len(seen) == count
        if count < 3:
            go_on.release()
    with pytest.raises(RuntimeError):
        feed.start(take)
    feed.pace.stop()
    go_on.release()
    feed.stop()
    assert not feed.finished
    assert len(seen) == 3
    rest = played(feed)  # a second start goes on where it stopped
    assert rest[0] == (59, [12])
    assert feed.finished


def test_the_same_file_plays_the_same_ticks_in_order(nifty_fortnight: Path) -> None:
    one, other = (ReplayFeed(nifty_fortnight, "NSE:NIFTY 50", speed=0, end=OPEN + DAY) for _ in range(2))
    batches = list(one.batches())
    assert batches == list(other.batches())
    assert all(before < after for (before, _), (after, _) in pairwise(batches))


LEVELS = st.lists(st.one_of(st.just(-1.0), st.integers(90, 110).map(float)), min_size=4, max_size=4)


@given(corners=st.lists(st.integers(95, 105).map(float), min_size=4, max_size=4), wanted=LEVELS)
def test_a_candle_that_is_walked_through_levels_meets_what_a_backtests_bar_meets(corners: list[float], wanted: list[float]) -> None:
    candle = Candle("NSE:INFY", OPEN, corners[0], max(corners), min(corners), corners[3], 10.0)
    below, above = [level - 0.5 if level > 0 else -inf for level in wanted[:2]], [level + 0.5 if level > 0 else inf for level in wanted[2:]]
    levels = (*below, *above)
    walk = LevelWalk(candle, lambda _: levels)
    met = [walk.opening(OPEN).last_price]
    for leg in range(3):
        shares = []
        for share, tick in walk.leg(last=leg == 2):
            shares.append(share)
            met.append(tick.last_price)
        assert shares[-1] == 1.0
        assert all(0 <= share <= 1 for share in shares)
    bar = [tick.last_price for tick in ticks_within(candle, lambda: levels)]
    assert [price for price, _ in groupby(met)] == [price for price, _ in groupby(bar)]


def test_the_past_of_a_replayed_day_is_the_file_before_it(nifty_fortnight: Path) -> None:
    start = OPEN + DAY
    feed = ReplayFeed(nifty_fortnight, "NSE:NIFTY 50", speed=0, start=start, end=start + DAY)
    minutes = feed.history("NSE:NIFTY 50", Timeframe.M1, start - 60, start)
    assert len(minutes) == 750  # two whole sessions, though only a minute was asked for: nights do not shorten a past
    assert minutes[-1].start == start - DAY + 374 * 60
    hours = feed.history("NSE:NIFTY 50", Timeframe.H1, 0.0, start)
    assert len(hours) == 14
    assert hours[-1].close == minutes[-1].close


def test_a_paused_replay_stands_still_steps_to_a_moment_and_goes_on(write: Write) -> None:
    feed = ReplayFeed(write(RISE + FALL), "NSE:INFY", speed=0)
    seen: list[float] = []
    arrived = threading.Semaphore(0)

    def take(batch: Sequence[Tick]) -> None:
        seen.append(feed.clock.now() - OPEN)
        arrived.release()

    feed.pace.pause()
    feed.pace.step(OPEN, 20)
    feed.pace.step(OPEN, 39)
    feed.start(take)
    for _ in range(4):
        assert arrived.acquire(timeout=30)
    assert not arrived.acquire(timeout=0.05)
    assert (seen[-1], feed.pace.paused, feed.finished) == (59.0, True, False)
    feed.pace.go_on()
    until(lambda: feed.finished)
    feed.stop()
    assert seen == sorted(seen)
    assert len(seen) >= 8
