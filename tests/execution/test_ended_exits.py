"""An exit of a strategy or a web hook that nobody here has ended is asked for anew: they ask once and go on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import Order, OrderState, OrderType, Source, StrategyConfig, Timeframe
from engines.execution import chase, refused
from tests.execution.house import INFY, USER, House, account, books_balance

STRATEGY = StrategyConfig("S1", USER, "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,), active=True)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "pause_after", lambda count, *, shut: 0.0)


def resting(house: House, source: Source, **terms: object) -> Order:
    """An exit that rests at the broker."""
    house.send("BUY", 10, strategy_id="S1", source=Source.WEBHOOK)
    house.script = lambda request: "open"
    (order,) = house.send("SELL", None, reduce_only=True, strategy_id="S1", source=source, wait=0.0, **terms)
    house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.OPEN)
    house.script = lambda request: "fill"
    return house.journal.orders()[order.order_id]


def broker_ends(house: House, order: Order) -> None:
    report = replace(house.books["A1"].reports[order.client_id], state=OrderState.CANCELLED, message="no counter order")
    house.books["A1"].reports[order.client_id] = report
    house.wires["A1"].on_report(report)


def ended(house: House, order: Order) -> None:
    lane = house.system.roster.lane("A1")
    house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.CANCELLED)
    house.until(lambda: lane.idle and not lane.box.waiting())
    books_balance(house)


def told(house: House) -> list[str]:
    return [kind for kind in house.notifier.incidents() if kind == "exit_failed"]


def wired() -> House:
    return House(account("A1", broker="wire"), strategies=[STRATEGY])


@pytest.mark.parametrize("source", [Source.STRATEGY, Source.WEBHOOK])
def test_an_exit_that_its_broker_cancels_leaves_anew_and_a_person_is_told(source: Source) -> None:
    with wired() as house:
        order = resting(house, source)
        broker_ends(house, order)
        house.until(lambda: house.held() == 0)
        ended(house, order)
        assert [request.quantity for request in house.books["A1"].placed if request.reduce_only] == [10, 10]
        assert told(house)


def test_an_exit_that_the_chaser_gives_up_leaves_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chase, "EXIT_RESTS", 0.0)
    monkeypatch.setattr(chase, "MOST_CHASES", 0)
    with wired() as house:
        order = resting(house, Source.STRATEGY)
        house.until(lambda: house.held() == 0)
        ended(house, order)


def test_an_exit_that_a_person_takes_back_does_not_leave_again() -> None:
    with wired() as house:
        order = resting(house, Source.STRATEGY)
        house.system.cancel_order(order.order_id)
        ended(house, order)
        assert (house.held(), told(house)) == (10, [])


def test_a_persons_own_close_that_its_broker_cancels_is_theirs_to_ask_for_again() -> None:
    with wired() as house:
        order = resting(house, Source.MANUAL)
        broker_ends(house, order)
        ended(house, order)
        assert (house.held(), told(house)) == (10, [])


def test_an_exit_at_a_price_that_its_broker_cancels_is_told() -> None:
    with wired() as house:
        order = resting(house, Source.STRATEGY, order_type=OrderType.LIMIT, price=Decimal(110))
        broker_ends(house, order)
        ended(house, order)
        assert (house.held(), told(house)) == (10, ["exit_failed"])


def test_an_exit_of_an_earlier_run_that_has_been_cancelled_is_told_because_it_may_have_been_taken_back() -> None:
    with wired() as house:
        order = resting(house, Source.STRATEGY)
        house.system.stop()
        house.books["A1"].reports[order.client_id] = replace(house.books["A1"].reports[order.client_id], state=OrderState.CANCELLED)
        with house.restart() as then:
            ended(then, order)
            assert (then.held(), told(then)) == (10, ["exit_failed"])
