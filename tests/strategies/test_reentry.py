"""Re-entries through the runner and through the whole engines: what a stop takes out goes in again at a close, under its own name, once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engines.core.model import AccountMapping, Candle, ExitSpec, ReentrySpec, Sizing, SizingMode, Timeframe
from engines.ports import SystemClock
from engines.strategies import registry
from engines.strategies.base import Strategy, Wish
from tests.execution.house import House, account
from tests.market.making import OPEN
from tests.strategies.making import World, candles, config

D = Decimal
PLAN = ExitSpec(stop_points=D(5))
ASAP, COST = ReentrySpec(most=2), ReentrySpec(mode="cost")


class Once(Strategy):
    """Buys at the first close of 100, sells short at 200, leaves at 50; otherwise it says nothing."""

    kind = "once"
    name = "Once"

    def on_candle(self, candle: Candle) -> Wish | None:
        if self.stance == 0 and candle.close in (100, 200):
            return self.buy() if candle.close == 100 else self.sell()
        return self.close() if candle.close == 50 else None


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.found()
    monkeypatch.setattr(registry, "found", lambda: registry.Found({**found.kinds, "once": Once}, {}))


def told(spec: ReentrySpec | None, story: list[Any], restart: bool = False) -> list[str]:
    """`story`: closes, and (leg, exit price) for the news that the position is gone. Answers what went out."""
    world = World(config("once", params={}, exit_plan=PLAN, reentry=spec))
    for number, event in enumerate(story):
        if restart:
            world.restart()
        if isinstance(event, tuple):
            world.clock.pass_(1)
            world.runner.offer_flat("ST1", "NSE:INFY", float(event[1]), world.clock.now(), event[0], D(100))
            world.runner.step()
        else:
            world.close(candles([event], start=OPEN + 60 * number)[0])
    assert all(signal.reduce_only or signal.exits.stop_points == 5 for signal in world.signals)
    return [f"{'close ' if signal.reduce_only else ''}{signal.side.value} {signal.note}".strip() for signal in world.signals]


AGAIN = "BUY re-entry 1 of 2 after stop"


@pytest.mark.parametrize(
    ("spec", "story", "said"),
    [
        (None, [100, ("stop", 95), 95, 101], ["BUY"]),
        (ASAP, [100, ("stop", 95), 95, 94], ["BUY", AGAIN]),
        (ASAP, [100, ("other", 95), 95], ["BUY"]),  # a person, a limit or the clock
        (ASAP, [100, ("stop", 95), 95, ("stop", 90), 90, ("stop", 85), 85], ["BUY", AGAIN, "BUY re-entry 2 of 2 after stop"]),
        (ASAP, [100, ("stop", 95), 200, 199], ["BUY", "SELL"]),  # its own word comes first, and ends the waiting
        (ASAP, [100, ("stop", 95), 95, 50], ["BUY", AGAIN, "close SELL"]),  # what went in again is the strategy's to close
        (COST, [100, ("stop", 95), 96, 50, 99, 100.5], ["BUY", "BUY re-entry 1 of 1 after stop"]),
    ],
)
def test_what_goes_out(spec: ReentrySpec | None, story: list[Any], said: list[str]) -> None:
    assert told(spec, story) == told(spec, story, restart=True) == said


def test_a_re_entry_that_comes_too_late_is_not_made_and_not_tried_again() -> None:
    world = World(config("once", params={}, exit_plan=PLAN, reentry=ASAP))
    world.close(candles([100])[0])
    world.clock.pass_(1)
    world.runner.offer_flat("ST1", "NSE:INFY", 95.0, world.clock.now(), "stop", D(100))
    world.runner.step()
    world.clock.pass_(3600)
    for number in (1, 2):
        world.close(candles([95], start=OPEN + 60 * number)[0])
    assert (world.said(), world.runner.status()["ST1"].stances) == (["BUY"], {"NSE:INFY": 0})
    assert [incident.kind for incident in world.incidents()] == ["entry_missed"]


def test_a_real_stop_in_the_engines_is_followed_by_a_re_entry_with_its_own_plan() -> None:
    strategy = config("once", params={}, exit_plan=PLAN, reentry=ASAP)
    mapping = AccountMapping("M1", "A1", "ST1", sizing=Sizing(SizingMode.FIXED_QUANTITY, D(10)))
    with House(account("A1"), strategies=[strategy], mappings=[mapping]) as house:
        runner = house.system.runtime.runner
        assert runner is not None
        house.until(runner.watched)
        begun = SystemClock().now() - 60

        def close(price: float, second: int) -> None:
            runner.offer_candle(Timeframe.M1, Candle("NSE:INFY", begun + second, price, price, price, price))

        close(100, 0)
        house.until(lambda: house.held() == 10)
        house.feed.price("NSE:INFY", 94.0)
        house.until(lambda: not house.held() and runner.status()["ST1"].stances == {"NSE:INFY": 0})
        close(94, 1)
        house.until(lambda: house.held() == 10)
        desk = house.system.roster.desk("A1")
        assert desk is not None
        assert [plan.stop for plan in desk.plans.values()] == [D(89)]
