"""What a target has let go of is under no stop: where its exit is lost before it is made, it is asked for again, and by nobody twice."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, OrderState, OrderType, Role, TargetSpec
from engines.execution.leaving import Exit
from engines.ports import OrderReport, OrderRequest
from tests.execution.house import INFY, PATIENCE, House, WireBroker, account, books_balance

TWO = ExitSpec(stop_price=Decimal(95), targets=(TargetSpec(Decimal(50), price=Decimal(105)), TargetSpec(Decimal(30), price=Decimal(110))))


def sold(house: House) -> list[tuple[Role, Decimal]]:
    return [(order.role, order.quantity) for order in house.journal.orders().values() if order.role is not Role.ENTRY]


def lose_what_fires_at(house: House, price: float) -> None:
    desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
    desk.ready = False
    house.feed.price(INFY.symbol, price)
    house.until(lambda: lane.idle and any(isinstance(job, Exit) for job in lane.box.waiting()))
    lane.box.forget(lambda job: isinstance(job, Exit))
    desk.ready = True


def look(house: House, times: int = 10) -> None:
    for _ in range(times):
        house.system.aftermath._looked_at = 0.0
        house.system.aftermath.step()


def test_a_target_whose_exit_was_lost_on_its_way_is_asked_for_again() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=TWO)
        lose_what_fires_at(h, 105.0)
        h.until(lambda: h.held() == 5)
        assert sold(h) == [(Role.TARGET, 5)]
        assert "exit_failed" in h.notifier.incidents()
        h.feed.price(INFY.symbol, 110.0)
        h.until(lambda: h.held() == 2)
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: h.held() == 0 and h.system.roster.lane("A1").idle)
        assert sold(h) == [(Role.TARGET, 5), (Role.TARGET, 3), (Role.STOP, 2)]
        books_balance(h)


def test_a_stop_that_fires_after_a_lost_target_takes_all_of_it_out() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=TWO)
        lose_what_fires_at(h, 105.0)
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: h.held() == 0)
        assert sum(quantity for _, quantity in sold(h)) == 10


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_target_that_has_been_taken_is_asked_for_no_more(monkeypatch, forgotten: bool) -> None:
    """Also on a later day, when the orders that took it are not remembered any more."""
    monkeypatch.setattr("engines.execution.aftermath.LEFT_FOR", 0.0)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=TWO)
        h.feed.price(INFY.symbol, 105.0)
        h.until(lambda: h.held() == 5)
        if forgotten:
            h.system.roster.desk("A1")._forget_settled()
        look(h)
        h.until(lambda: h.system.roster.lane("A1").idle)
        assert (h.held(), h.system.aftermath._left, h.notifier.incidents()) == (5, {}, [])


def test_a_target_that_its_lane_is_still_at_is_asked_for_by_nobody_else(monkeypatch) -> None:
    monkeypatch.setattr("engines.execution.aftermath.LEFT_FOR", 0.0)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=TWO)
        h.script = lambda request: "open" if request.order_type is OrderType.LIMIT else "fill"
        h.send("SELL", 10, reduce_only=True, order_type=OrderType.LIMIT, price=Decimal(120))
        wire, lane, asked, go = h.wires["A1"], h.system.roster.lane("A1"), threading.Event(), threading.Event()

        def slow(broker_order_id: str, request: OrderRequest) -> OrderReport | None:
            asked.set()
            assert go.wait(PATIENCE)
            return WireBroker.cancel(wire, broker_order_id, request)

        wire.cancel = slow  # type: ignore[method-assign]
        h.feed.price(INFY.symbol, 105.0)
        assert asked.wait(PATIENCE)
        look(h)
        assert not any(isinstance(job, Exit) for job in lane.box.waiting())
        go.set()
        h.until(lambda: h.held() == 5 and lane.idle)
        look(h)
        assert sold(h)[1:] == [(Role.TARGET, 5)]


def test_a_target_that_fires_while_another_is_leaving_is_not_taken_for_lost(monkeypatch) -> None:
    """Between the moment in which it fires and the one in which its exit is handed over nobody seems to be on the way for it."""
    monkeypatch.setattr("engines.execution.aftermath.LEFT_FOR", 0.0)
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=TWO)
        h.script = lambda request: "open"
        h.feed.price(INFY.symbol, 105.0)
        h.until(lambda: any(o.role is Role.TARGET and o.state is OrderState.OPEN for o in h.journal.orders().values()))
        h.until(lambda: h.system.roster.lane("A1").idle)
        look(h)
        fire = h.system.guard._fire
        h.system.guard._fire = lambda *given: (look(h, 1), fire(*given))
        h.feed.price(INFY.symbol, 110.0)
        h.until(lambda: len(sold(h)) == 2 and h.system.roster.lane("A1").idle)
        look(h)
        h.until(lambda: h.system.roster.lane("A1").idle)
        assert sold(h) == [(Role.TARGET, 5), (Role.TARGET, 3)]
        assert not any(isinstance(job, Exit) for job in h.system.roster.lane("A1").box.at_work())
