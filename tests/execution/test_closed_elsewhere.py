"""What a person has closed at the broker while nobody looked is not sold once more by a stop or an exit that waited: it would open a short (law 7)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, OrderState, PlanState, Role
from engines.execution.compare import ComparePositions
from engines.execution.jobs import OUTGROWN, Send
from engines.execution.leaving import Exit
from engines.ports import NeedsLogin
from tests.execution.house import INFY, House, account

STOP = ExitSpec(stop_price=Decimal(95))


def sold(house: House) -> list[Decimal]:
    return [request.quantity for request in house.books["A1"].placed if request.reduce_only]


def fires(house: House) -> None:
    """The stop fires, and its exit has been looked at."""
    house.feed.price(INFY.symbol, 94.0)
    lane = house.system.roster.lane("A1")
    house.until(lambda: lane.idle and any(isinstance(job, Exit) for job in lane.box.waiting()))
    (plan,) = lane.desk.plans.values()
    assert plan.state is PlanState.STOPPED


@pytest.mark.parametrize("how", ["a restart", "a log-in"])
def test_law_7_after_a_restart_or_a_log_in_the_first_stop_sells_nothing_that_the_broker_no_longer_has(how: str) -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        if how == "a restart":
            house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
            then = house.restart()
        else:
            house.system._on_needs_login(house.system.roster.desk("A1"), "the session is over")
            house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
            house.system.connect("A1")
            then = house
        with then:
            then.until(lambda: then.system.roster.desk("A1").ready)
            fires(then)
            assert (sold(then), then.books["A1"].positions()) == ([], [])


def test_a_session_that_ends_while_it_is_looked_at_what_is_held_opens_nothing() -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10)

        def over() -> None:
            raise NeedsLogin("the session is over")

        desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        house.until(lambda: lane.idle)
        house.wires["A1"].positions = over  # type: ignore[assignment,method-assign]
        lane.connecting.done.clear()
        lane.put(lane.connecting)
        assert lane.connecting.done.wait(30)
        assert (desk.ready, desk.needs_login) == (False, True)


@pytest.mark.parametrize("known", [True, False])
def test_law_7_an_exit_that_waits_for_its_broker_is_weighed_anew_before_it_leaves(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was found out meanwhile or is to be found out by the exit, which has waited long."""
    monkeypatch.setattr("engines.execution.jobs.LONG_WAIT", 3600.0 if known else 0.0)
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        desk.filled_at = 0.0  # long ago
        house.script = lambda request: "retry"
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: any(isinstance(job, Send) for job in lane.box.waiting()))
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
        if known:
            lane.put(ComparePositions())
            lane.put(ComparePositions())
            house.until(lambda: desk.differences)
        house.script = lambda request: "fill"
        house.until(lambda: any(order.reason == OUTGROWN for order in house.journal.orders().values()))
        stop = next(order for order in house.journal.orders().values() if order.role is Role.STOP)
        assert (stop.state, sold(house), house.books["A1"].positions()) == (OrderState.CANCELLED, [], [])
