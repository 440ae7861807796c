"""A plan that has fired lets go of its own units once, whatever is added to the position meanwhile: over restarts, and in the next session."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, Order, OrderState, PlanState, Role, TargetSpec
from engines.execution.aftermath import rest_of
from engines.ports import BrokerFill, OrderReport
from tests.execution.house import INFY, House, account, books_balance
from tests.execution.test_targets import look

STOP = ExitSpec(stop_price=Decimal(95))
HALF = ExitSpec(stop_price=Decimal(95), targets=(TargetSpec(Decimal(50), price=Decimal(105)),))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody is on the way for is asked for at the first look."""
    monkeypatch.setattr("engines.execution.aftermath.LEFT_FOR", 0.0)
    monkeypatch.setattr("engines.execution.aftermath.UNSURE_FOR", 0.0)


def rests(house: House, price: float, role: Role = Role.STOP) -> Order:
    """The plan fires, and its exit is at work at the broker."""
    house.script = lambda request: "open" if request.reduce_only else "fill"
    house.feed.price(INFY.symbol, price)

    def found() -> list[Order]:
        return [order for order in house.journal.orders().values() if order.role is role and order.state is OrderState.OPEN]

    house.until(found)
    return found()[0]


def trades(house: House, order: Order, quantity: int = 10) -> None:
    """The broker says that the exit has filled; the next one it fills at once."""
    house.script = lambda request: "fill"
    fill = BrokerFill(f"F{order.order_id}{quantity}", Decimal(quantity), Decimal(94), house.clock.now())
    state = OrderState.FILLED if quantity == order.quantity else OrderState.PARTLY_FILLED
    made = house.books["A1"].reports[order.client_id]
    report = replace(made, state=state, filled_quantity=Decimal(quantity), average_price=Decimal(94), fills=(fill,))
    house.books["A1"].reports[order.client_id] = report
    house.wires["A1"].on_report(report)


def sold(house: House) -> list[Decimal]:
    """Once everybody has looked at what is left."""
    lane = house.system.roster.lane("A1")
    house.until(lambda: house.system.roster.desk("A1").ready)
    look(house)
    house.until(lambda: lane.idle)
    books_balance(house)
    return [request.quantity for request in house.books["A1"].placed if request.reduce_only]


def later(house: House, how: str) -> House:
    if how == "after a restart":
        return house.restart()
    if how == "in the next session":
        assert house.system.roster.desk("A1").open_day(house.clock.now() + 7 * 86400)
    return house


LATER = pytest.mark.parametrize("how", ["at once", "after a restart", "in the next session"])


@LATER
def test_a_stop_that_has_filled_does_not_sell_what_was_added_while_it_left(how: str) -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        stop = rests(house, 94.0)
        house.send("BUY", 10)
        trades(house, stop)
        with later(house, how) as then:
            assert (sold(then), then.held(), then.system.roster.desk("A1").plans) == ([10], 10, {})


@LATER
def test_a_stop_after_a_target_asks_for_no_more_than_the_target_has_left(how: str) -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=HALF)
        house.feed.price(INFY.symbol, 105.0)
        house.until(lambda: house.held() == 5)
        stop = rests(house, 94.0)
        house.send("BUY", 5)
        trades(house, stop, 5)
        with later(house, how) as then:
            assert (sold(then), then.held()) == ([5, 5], 5)


@LATER
def test_a_target_that_has_filled_sells_nothing_of_what_is_added_later(how: str) -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=HALF)
        house.feed.price(INFY.symbol, 105.0)
        house.until(lambda: house.held() == 5)
        house.send("BUY", 10)
        with later(house, how) as then:
            assert (sold(then), then.held()) == ([5], 15)


def test_while_a_stop_is_leaving_nobody_asks_for_what_is_added() -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        stop = rests(house, 94.0)
        house.send("BUY", 5)
        assert sold(house) == [10]
        trades(house, stop, 4)
        (plan,) = house.system.roster.desk("A1").plans.values()
        assert (plan.state, plan.quantity, sold(house)) == (PlanState.STOPPED, 6, [10])
        with house.restart() as then:
            (plan,) = then.system.roster.desk("A1").plans.values()
            assert (plan.quantity, rest_of(then.system.roster.desk("A1"), plan), sold(then)) == (6, 0, [10])


def test_what_a_person_closes_of_it_meanwhile_is_asked_for_no_more() -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        stop = rests(house, 94.0)
        trades(house, stop, 2)
        lane.put_later = lambda job, seconds: None  # type: ignore[method-assign]  # whoever would try again is lost
        desk.on_report(OrderReport(stop.broker_order_id or "", OrderState.CANCELLED, stop.client_id))
        house.send("SELL", 3)
        house.send("BUY", 5)
        (plan,) = desk.plans.values()
        assert (plan.quantity, rest_of(desk, plan), house.held()) == (5, 5, 10)


def test_a_plan_that_another_has_replaced_does_not_come_back_after_a_restart() -> None:
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=STOP)
        stop = rests(house, 94.0)
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(90)))
        trades(house, stop)
        desk = house.system.roster.desk("A1")
        (plan,) = desk.plans.values()
        assert (plan.state, plan.quantity) == (PlanState.ARMED, 10)
        (position,) = desk.open_positions()
        house.system.set_exit_plan(position.position_id, ExitSpec())
        with house.restart() as then:
            assert (then.system.roster.desk("A1").plans, sold(then), then.held()) == ({}, [10], 10)
