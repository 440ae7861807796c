"""The laws that strategies answer for, in the words of the design, on real minutes and on chance."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.core.model import Candle, Tick
from engines.market.candle_store import CandleStore
from engines.market.files import read_market_file
from engines.market.replay import ReplayFeed
from engines.strategies import registry
from tests.market.making import INFY, OPEN, SBIN
from tests.strategies.making import M1, World, candles, config

DAY = 86_400
KINDS = [
    ("ema_cross", {"fast": 5, "slow": 13, "direction": "both"}),
    ("threshold", {"reference": "last_exit", "buy_pct": -0.1, "sell_pct": 0.1, "direction": "both"}),
    ("range_level", {"range_source": "first_bar", "k_buy": 1.2, "k_sell": 1.3, "max_entries_per_side": 5, "min_range_pct": 0}),
]
closes = st.lists(st.floats(90, 110).map(lambda price: round(price, 1)), min_size=5, max_size=40)


@pytest.fixture(scope="module")
def week(nifty_fortnight: Path) -> list[Candle]:
    rows = read_market_file(nifty_fortnight, "NSE:INFY").candles
    return [candle for candle in rows if candle.start < OPEN + 3 * DAY]


def direct(kind: str, params: dict[str, object], rows: Sequence[Candle]) -> list[tuple[float, str]]:
    """What a backtest's loop gets from the same class."""
    strategy = registry.create(kind, params, rows[0].symbol, M1)
    said: list[tuple[float, str]] = []
    for candle in rows:
        wish = strategy.on_candle(candle)
        if wish is not None:
            said += [(candle.start, ("close " if part.reduce_only else "") + part.side.value) for part in strategy.accept(wish)]
    return said


def told(world: World) -> list[tuple[float, str]]:
    moments = [int(signal.signal_id.split("-")[1]) / 1e6 for signal in world.signals]
    return list(zip(moments, world.said(), strict=True))


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_law_11_same_ticks_same_decisions_in_replay_and_backtest(
    kind: str, params: dict[str, object], week: list[Candle], nifty_fortnight: Path
) -> None:
    """File → replay → ticks → candles → runner gives what the bare class gives on the file's candles, the last candle of each day included."""
    feed = ReplayFeed(nifty_fortnight, "NSE:INFY", speed=0, end=OPEN + 3 * DAY)
    world = World(config(kind, params=params))
    world.clock = feed.clock  # type: ignore[assignment]
    store = CandleStore(feed.clock, lambda symbol, timeframe, limit: [])
    world.restart()
    store.subscribe(world.runner.offer_candle)
    store.watch(world.runner.watched())

    def on_ticks(batch: Sequence[Tick]) -> None:
        store.flush(feed.clock.now())
        store.on_ticks(batch)
        world.runner.offer_ticks(batch)
        world.runner.step()

    feed.play(on_ticks)
    expected = direct(kind, params, week)
    assert told(world) == expected
    assert len(expected) >= 5
    assert not world.incidents()


@pytest.mark.parametrize("every", [7, 97])
@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_restarts_in_a_week_of_real_minutes_change_nothing(kind: str, params: dict[str, object], every: int, week: list[Candle]) -> None:
    rows = week[: 375 if every == 7 else 1500]
    world = World(config(kind, params=params), now=week[0].start)
    for number, candle in enumerate(rows):
        if number % every == 0:
            world.restart()
        world.close(candle)
    assert told(world) == direct(kind, params, rows)


@settings(max_examples=60)
@given(
    closes=closes,
    crashes=st.lists(st.tuples(st.integers(0, 40), st.sampled_from([(0, False), (1, False), (1, True), (2, True)])), max_size=6),
)
def test_law_10_no_crash_loses_or_repeats_a_signal(closes: list[float], crashes: list[tuple[int, tuple[int, bool]]]) -> None:
    """Before some candles the machine dies at any point around the recording and sending of the candle before it."""
    params: dict[str, object] = {"fast": 1, "slow": 3, "direction": "both"}
    world, rows, deaths = World(config(params=params)), candles(closes), dict(crashes)
    for number, candle in enumerate(rows):
        facts, signals = len(world.facts), list(world.signals)
        world.close(candle)
        if number in deaths:
            recorded, went_out = deaths[number]
            world.facts = world.facts[: facts + recorded]
            if not went_out:
                world.signals = signals
            world.restart()
    assert told(world) == direct("ema_cross", params, rows)


@settings(max_examples=60)
@given(closes=closes, gap=st.integers(2, 30), length=st.integers(1, 30))
def test_after_any_absence_it_is_never_left_in_what_the_strategy_has_left(closes: list[float], gap: int, length: int) -> None:
    """Down for some candles and long beyond them: whoever follows the signals holds nothing that the strategy itself would not hold."""
    params: dict[str, object] = {"fast": 1, "slow": 3, "direction": "both"}
    rows = candles(closes)
    world = World(config(params=params))
    for candle in rows[:gap]:
        world.close(candle)
    world.past[("NSE:INFY", M1)] = rows[: gap + length]
    world.clock.wall = rows[-1].start + 7200
    world.restart()
    held = 0
    for signal in world.signals:
        held = 0 if signal.reduce_only else held + signal.side.sign
    alone = registry.create("ema_cross", params, "NSE:INFY", M1)
    stances = []
    for candle in rows[: gap + length]:
        wish = alone.on_candle(candle)
        if wish is not None:
            alone.accept(wish)
        stances.append(alone.stance)
    before, after = stances[min(gap, len(stances)) - 1], stances[-1]
    assert held == world.runner.status()["ST1"].stances["NSE:INFY"]
    assert held in {before, 0}
    if after != before:
        assert held == 0


def test_candles_offered_from_several_threads_are_each_seen_once() -> None:
    """The feed and the clock close candles while the strategies' thread steps."""
    world = World(config("ema_cross", instruments=(INFY.symbol, SBIN.symbol), params={"fast": 1, "slow": 2, "direction": "both"}))
    closes = [10.0 + (number * 7919 % 13) for number in range(600)]
    world.clock.wall = OPEN + 600 * 60  # all are of the past, but fresh enough for this: only the count matters
    done = threading.Event()

    def step() -> None:
        while not done.is_set() or world.runner.waiting():
            if world.runner.wait(0.05):
                world.runner.step()

    def offer(symbol: str) -> None:
        for candle in candles(closes, symbol):
            world.runner.offer_candle(M1, candle)

    stepping = threading.Thread(target=step)
    offering = [threading.Thread(target=offer, args=(symbol,)) for symbol in (INFY.symbol, SBIN.symbol)]
    for thread in (stepping, *offering):
        thread.start()
    for thread in offering:
        thread.join(120)
    done.set()
    stepping.join(120)
    assert not stepping.is_alive()
    one = registry.create("ema_cross", {"fast": 1, "slow": 2, "direction": "both"}, INFY.symbol, M1)
    for candle in candles(closes):
        one.on_candle(candle)
    for instance in world.runner._instances["ST1"]:
        assert instance.last == OPEN + 599 * 60
        assert instance.strategy.state()["fast"] == one.state()["fast"]
