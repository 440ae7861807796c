"""The runner: candles in, signals out once, whatever stops, raises or restarts in between."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from engines.core.facts import StrategyStateSaved
from engines.core.model import Candle, Side, Signal, Tick, Timeframe
from engines.strategies import registry
from engines.strategies.base import Strategy, Wish
from engines.strategies.runner import FRESH, MOST_WAITING
from tests.market.making import OPEN
from tests.strategies.making import M1, World, candles, config

CLOSES = [10, 9, 8, 7, 8, 9, 11, 12, 11, 9, 7, 6, 8, 10, 12, 13, 12, 10, 8, 9, 11, 13, 12, 9, 7]
BOTH = {"fast": 2, "slow": 4, "direction": "both"}


class Touchy(Strategy):
    """Buys each candle, raises at a close of 13 and answers nonsense at 14."""

    kind = "touchy"
    name = "Touchy"

    def on_candle(self, candle: Candle) -> Wish | None:
        if candle.close == 13:
            raise ZeroDivisionError("no luck")
        if candle.close == 14:
            return "buy"  # type: ignore[return-value]
        if candle.close == 15:
            self.thing = object()
        if candle.close == 16:
            return self.buy(stop=float("nan"))
        return self.buy()


@pytest.fixture(autouse=True)
def _touchy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.found()
    monkeypatch.setattr(registry, "found", lambda: registry.Found({**found.kinds, "touchy": Touchy}, {}))


def play(world: World, closes: list[float], symbol: str = "NSE:INFY", start: float = OPEN) -> None:
    for candle in candles(closes, symbol, start):
        world.close(candle)


def ids(world: World) -> list[str]:
    return [signal.signal_id for signal in world.signals]


# --- the plain way -------------------------------------------------------------------------------------------------


def test_closed_candles_become_signals_of_the_strategys_user() -> None:
    world = World(config(params=BOTH))
    play(world, CLOSES)
    assert world.said() == ["BUY", "close SELL", "SELL", "close BUY", "BUY", "close SELL", "SELL", "close BUY", "BUY", "close SELL", "SELL"]
    assert {signal.user_id for signal in world.signals} == {"U1"}
    assert len(set(ids(world))) == len(world.signals)
    assert world.watched == {("NSE:INFY", M1)}
    status = world.runner.status()["ST1"]
    assert (status.quarantined, status.stances, status.last_candle) == (None, {"NSE:INFY": -1}, OPEN + 24 * 60)


def test_the_same_candles_give_the_same_signals_and_names() -> None:
    one, other = World(config(params=BOTH)), World(config(params=BOTH))
    play(one, CLOSES)
    play(other, CLOSES)
    assert [replace(signal, key="") for signal in one.signals] == [replace(signal, key="") for signal in other.signals]


def test_each_instrument_has_its_own_instance_and_other_candles_are_not_heard() -> None:
    world = World(config(instruments=("NSE:INFY", "NSE:SBIN"), params=BOTH))
    play(world, CLOSES[:7], "NSE:SBIN")
    world.close(candles([5])[0], Timeframe.M5)
    play(world, [5], "NSE:TCS")
    assert [(signal.symbol, signal.side) for signal in world.signals] == [("NSE:SBIN", Side.BUY)]
    assert world.runner.status()["ST1"].stances == {"NSE:INFY": 0, "NSE:SBIN": 1}


def test_a_candle_offered_twice_or_late_counts_once() -> None:
    world = World(config("touchy", params={}))
    first, second = candles([1, 2])
    for candle in (first, second, second, first):
        world.close(candle)
    assert len(world.signals) == 2


def test_an_inactive_strategy_sees_nothing_and_one_switched_on_is_warmed_up_by_the_past() -> None:
    world = World(config(active=False, params=BOTH))
    play(world, CLOSES[:5])
    assert world.signals == []
    assert world.watched == frozenset()
    world.configs = (config(params=BOTH),)
    world.runner.configure(world.configs)
    world.runner.step()
    assert world.signals == []  # wishes of the past are not orders of today
    play(world, CLOSES[5:7], start=OPEN + 5 * 60)
    assert world.said() == ["BUY"]


def test_ticks_reach_only_strategies_that_listen_and_only_the_newest_waits() -> None:
    params = {"buy_pct": -1, "sell_pct": 1, "check": "tick"}
    world = World(config("threshold", params=params), config(strategy_id="ST2", instruments=("NSE:SBIN",)))

    def tick(last: float, at: float, symbol: str = "NSE:INFY") -> Tick:
        return Tick(symbol, last, last, last, at)

    world.runner.offer_ticks([tick(100, OPEN), tick(50, OPEN, "NSE:SBIN")])
    world.runner.step()
    world.runner.offer_ticks([tick(95, OPEN + 1), tick(99.5, OPEN + 2)])
    world.runner.offer_ticks([tick(98.5, OPEN + 3)])
    world.runner.step()
    assert [(signal.symbol, signal.side.value) for signal in world.signals] == [("NSE:INFY", "BUY")]


def test_wait_says_when_there_is_work() -> None:
    world = World(config("touchy", params={}))
    assert not world.runner.wait(0)
    world.runner.offer_candle(M1, candles([1])[0])
    assert world.runner.wait(0)
    assert world.runner.waiting() == 1
    assert world.runner.step() == 1
    assert not world.runner.wait(0)


# --- restarts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(len(CLOSES) + 1))
def test_a_restart_at_any_candle_gives_the_same_signals(cut: int) -> None:
    whole = World(config(params=BOTH))
    play(whole, CLOSES)
    world = World(config(params=BOTH))
    rows = candles(CLOSES)
    for candle in rows[:cut]:
        world.close(candle)
    world.restart()
    for candle in rows[cut:]:
        world.close(candle)
    assert ids(world) == ids(whole)


@pytest.mark.parametrize(("recorded", "went_out"), [(0, False), (1, False), (1, True), (2, True)])
@pytest.mark.parametrize("cut", range(1, len(CLOSES)))
def test_a_crash_around_recording_and_sending_neither_loses_nor_repeats_a_signal(cut: int, recorded: int, went_out: bool) -> None:
    """`recorded`: how many of the last candle's facts reached the disk; `went_out`: whether its signals did (they follow the first fact)."""
    whole = World(config(params=BOTH))
    play(whole, CLOSES)
    world, rows = World(config(params=BOTH)), candles(CLOSES)
    for candle in rows[: cut - 1]:
        world.close(candle)
    facts, signals = len(world.facts), list(world.signals)
    world.close(rows[cut - 1])
    world.facts = world.facts[: facts + recorded]
    if not went_out:
        world.signals = signals
    world.restart()
    for candle in rows[cut:]:
        world.close(candle)
    assert ids(world) == ids(whole)


def test_after_a_long_absence_missed_exits_still_go_out_and_missed_entries_do_not() -> None:
    world = World(config(params=BOTH))
    rows = candles(CLOSES)
    for candle in rows[:8]:
        world.close(candle)
    assert world.said() == ["BUY"]
    world.past[("NSE:INFY", M1)] = rows[:20]  # down while it turned short at 10, long at 13 and short again at 18
    world.clock.wall = OPEN + 20 * 60 + FRESH + 61
    world.restart()
    assert world.said() == ["BUY", "close SELL"]
    assert world.runner.status()["ST1"].stances == {"NSE:INFY": 0}
    (incident,) = world.incidents()
    assert (incident.kind, incident.message, incident.user_id) == ("entry_missed", "My cross: 3 entries came too late to be sent", "U1")
    world.restart()
    assert world.said() == ["BUY", "close SELL"]
    assert len(world.incidents()) == 1


def test_a_short_absence_loses_nothing() -> None:
    world = World(config(params=BOTH))
    rows = candles(CLOSES)
    for candle in rows[:6]:
        world.close(candle)
    world.past[("NSE:INFY", M1)] = rows[:7]
    world.clock.wall = rows[6].start + 60 + FRESH
    world.restart()
    assert world.said() == ["BUY"]


def test_what_is_recorded_is_plain_json_and_comes_before_the_signal() -> None:
    world = World(config(params=BOTH))
    order: list[str] = []
    world.facts = []
    runner = world.restart()
    runner._record = lambda fact: order.append("state " + str(len(fact.state["symbols"]["NSE:INFY"]["unsent"])))  # type: ignore[union-attr]
    runner._submit = lambda signal: order.append("signal")
    for candle in candles(CLOSES[:7]):
        world.close(candle)
    assert order == ["state 0"] * 5 + ["state 1", "signal", "state 0"] + ["state 0"]
    for fact in world.facts:
        assert isinstance(fact, StrategyStateSaved)
        assert json.loads(json.dumps(fact.state, allow_nan=False)) == fact.state


def test_edited_parameters_start_anew_but_what_is_held_can_still_be_closed() -> None:
    world = World(config(params={"fast": 2, "slow": 4}))
    play(world, CLOSES[:8])
    assert world.said() == ["BUY"]
    world.configs = (config(params={"fast": 1, "slow": 2}),)
    world.runner.configure(world.configs)
    world.runner.step()
    assert world.runner.status()["ST1"].stances == {"NSE:INFY": 1}
    play(world, CLOSES[8:10], start=OPEN + 8 * 60)
    assert world.said() == ["BUY", "close SELL"]


def test_too_many_waiting_candles_make_it_take_up_from_the_stored_ones() -> None:
    world = World(config(params=BOTH))
    rows = candles(CLOSES[:24])  # it turns at the last one
    for candle in rows[:7]:
        world.close(candle)
    for _ in range(MOST_WAITING):
        world.runner.offer_candle(M1, rows[7])
    for candle in rows[7:]:
        world.past[("NSE:INFY", M1)].append(candle)
        world.runner.offer_candle(M1, candle)
    world.clock.wall = rows[-1].start + 60
    world.runner.step()
    assert world.runner.waiting() == 0
    assert world.runner.status()["ST1"].last_candle == rows[-1].start
    assert world.said() == ["BUY", "close SELL", "SELL"]  # the exit, and of the entries only the one of the last candle


# --- a journal that is down ----------------------------------------------------------------------------------------


def test_while_the_journal_is_down_exits_wait_and_entries_only_as_long_as_they_are_fresh() -> None:
    world = World(config(params=BOTH))
    play(world, CLOSES[:8])
    world.journal_down = True
    play(world, CLOSES[8:10], start=OPEN + 8 * 60)  # turns: close and sell
    assert world.said() == ["BUY"]
    assert world.runner.wait(0)
    world.clock.pass_(FRESH + 1)
    world.journal_down = False
    assert world.runner.step() == 1
    assert world.said() == ["BUY", "close SELL"]
    assert [incident.kind for incident in world.incidents()] == ["entry_missed"]
    assert not world.runner.wait(0)


def test_a_crash_while_the_journal_is_down_still_closes() -> None:
    world = World(config(params={"fast": 2, "slow": 4}))
    play(world, CLOSES[:8])
    world.journal_down = True
    play(world, CLOSES[8:10], start=OPEN + 8 * 60)
    world.journal_down = False
    world.clock.pass_(3600)
    world.restart()
    assert world.said() == ["BUY", "close SELL"]


# --- told that it is flat ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds_after", "stance"), [(1, 0), (-1, 1)])
def test_a_strategy_whose_position_was_stopped_is_flat_unless_it_has_wished_since(seconds_after: float, stance: int) -> None:
    world = World(config(params=BOTH))
    play(world, CLOSES[:6])
    assert world.said() == ["BUY"]
    world.runner.offer_flat("ST1", "NSE:INFY", 9.0, world.clock.now() + seconds_after)
    world.runner.offer_flat("ST1", "NSE:SBIN", 9.0, world.clock.now() + 5)
    world.runner.offer_flat("ST9", "NSE:INFY", 9.0, world.clock.now() + 5)
    world.runner.step()
    assert world.runner.status()["ST1"].stances == {"NSE:INFY": stance}
    world.restart()
    assert world.runner.status()["ST1"].stances == {"NSE:INFY": stance}
    play(world, CLOSES[6:10], start=OPEN + 6 * 60)
    assert world.said() == (["BUY", "SELL"] if stance == 0 else ["BUY", "close SELL", "SELL"])


# --- quarantine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("close", "message"),
    [
        (13.0, "ZeroDivisionError: no luck (test_runner.py line"),
        (14.0, "TypeError: a strategy answers self.buy(), self.sell(), self.close() or None, not 'buy'"),
        (15.0, "TypeError: cannot remember thing: a object"),
        (16.0, "ValueError: "),
    ],
)
def test_a_strategy_that_raises_is_quarantined_told_and_the_rest_go_on(close: float, message: str) -> None:
    world = World(config("touchy", params={}), config("touchy", strategy_id="ST2", params={}, instruments=("NSE:SBIN",)))
    play(world, [1, close, 2])
    play(world, [1, 2], "NSE:SBIN", start=OPEN + 180)
    world.runner.step()
    (incident,) = world.incidents()
    assert (incident.kind, incident.severity, incident.user_id, incident.until) == ("strategy_quarantined", "critical", "U1", None)
    assert message in incident.message
    assert "/" not in incident.message
    assert [signal.symbol for signal in world.signals].count("NSE:SBIN") == 2
    quarantined = world.runner.status()["ST1"].quarantined
    assert quarantined is not None
    assert quarantined.startswith(message)
    last = [fact for fact in world.facts if isinstance(fact, StrategyStateSaved) and fact.strategy_id == "ST1"][-1]
    assert last.quarantined == quarantined


def test_an_instrument_or_kind_that_is_not_there_quarantines_too() -> None:
    world = World(
        config("magic", params={}), config("touchy", strategy_id="ST2", params={}, instruments=("NSE:GONE",)), config(strategy_id="ST3")
    )
    assert [incident.incident_id for incident in world.incidents()] == ["quarantine-ST1", "quarantine-ST2"]
    assert world.runner.status()["ST3"].quarantined is None


def broken_world() -> World:
    world = World(config("touchy", params={}))
    play(world, [1, 13])
    assert len(world.incidents()) == 1
    return world


def test_a_quarantine_survives_a_restart_without_being_told_again() -> None:
    world = broken_world()
    world.restart()
    play(world, [1, 2], start=OPEN + 600)
    assert len(world.signals) == 1
    assert len(world.incidents()) == 1


@pytest.mark.parametrize("how", ["release", "off and on", "edit", "edit while down"])
def test_a_quarantine_ends_when_a_person_has_looked(how: str) -> None:
    world = broken_world()
    world.past.clear()  # the candle that it stumbled over is not played again
    if how == "release":
        world.runner.release("ST1")
    elif how == "off and on":
        world.runner.configure([config("touchy", params={}, active=False)])
        world.runner.step()
        world.runner.configure(world.configs)
    elif how == "edit":
        world.runner.configure([config("touchy", params={}, timeframe=Timeframe.M5)])
    else:
        world.configs = (config("touchy", params={}, timeframe=Timeframe.M5),)
        world.restart()
    world.runner.step()
    assert world.runner.status()["ST1"].quarantined is None
    told = world.incidents()[-1]
    assert told.incident_id == "quarantine-ST1"
    assert told.until is not None
    assert how == "edit while down" or told.since == world.incidents()[0].since


def test_a_release_that_does_not_help_quarantines_again() -> None:
    world = broken_world()
    world.runner.release("ST1")
    world.runner.step()
    assert world.runner.status()["ST1"].quarantined is not None


def test_settings_that_change_what_is_traded_are_taken_up() -> None:
    world = World(config("touchy", params={}))
    play(world, [1])
    world.runner.configure([config("touchy", params={}, instruments=("NSE:INFY", "NSE:SBIN"))])
    world.runner.step()
    assert world.watched == {("NSE:INFY", M1), ("NSE:SBIN", M1)}
    play(world, [2], "NSE:SBIN", start=OPEN + 60)
    world.runner.configure([])
    world.runner.step()
    play(world, [3, 4], start=OPEN + 120)
    assert [signal.symbol for signal in world.signals] == ["NSE:INFY", "NSE:SBIN"]
    assert world.runner.status() == {}


def test_the_strategy_that_runs_is_named_while_it_runs() -> None:
    world = World(config("touchy", params={}))
    seen: list[Any] = []
    world.runner._instances["ST1"][0].strategy.on_candle = lambda candle: seen.append(world.runner.current)  # type: ignore[method-assign]
    play(world, [1])
    assert seen == ["ST1"]
    assert world.runner.current is None


def test_signals_stay_in_the_order_of_the_candles() -> None:
    world = World(config("touchy", params={}, instruments=("NSE:INFY", "NSE:SBIN")))
    rows = [candle for pair in zip(candles([1, 2, 3]), candles([1, 2, 3], "NSE:SBIN"), strict=True) for candle in pair]
    world.clock.wall = OPEN + 180
    for candle in rows:
        world.runner.offer_candle(M1, candle)
    world.clock.wall = OPEN + 61
    assert world.runner.step() == 6
    got: list[Signal] = world.signals
    assert [(signal.symbol, int(signal.signal_id.split("-")[1]) / 1e6) for signal in got] == [
        (candle.symbol, candle.start) for candle in rows
    ]
