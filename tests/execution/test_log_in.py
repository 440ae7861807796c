"""An exit whose session ends while it is being sent waits for the log-in in its account's mailbox, and leaves once, for no more than is held by then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

from engines.core.model import ExitSpec, HaltScope, Order, OrderState, OrderType, Role, Source
from engines.execution.connecting import Connect
from engines.execution.jobs import OUTGROWN, Send
from engines.execution.leaving import Exit
from engines.ports import NeedsLogin, OrderReport, OrderRequest, Permit
from tests.execution.house import INFY, PATIENCE, USER, House, account, books_balance


def before_the_write(request: OrderRequest, permit: Permit) -> OrderReport:
    raise NeedsLogin("the session is over")


def as_the_answer(request: OrderRequest, permit: Permit) -> OrderReport:
    with permit():
        pass
    raise NeedsLogin("the session is over")


def ends(house: House, how: Callable[[OrderRequest, Permit], OrderReport] = as_the_answer) -> None:
    """From now on the broker knows the session no more; whoever signs in gets another connection."""
    house.wires["A1"].place = how  # type: ignore[method-assign]


def close(house: House, quantity: int | None = None, **changes: object) -> Order:
    (order,) = house.send("SELL", quantity, reduce_only=True, wait=0.0, **changes)
    house.until(lambda: "needs_login" in house.notifier.incidents() and house.system.roster.lane("A1").idle)
    return order


def exits(house: House) -> list[tuple[Decimal, Decimal | None]]:
    return [(request.quantity, request.price) for request in house.books["A1"].placed if request.reduce_only]


def nothing_waits(house: House) -> bool:
    lane = house.system.roster.lane("A1")
    return lane.idle and not [job for job in lane.box.waiting() if isinstance(job, Send | Exit | Connect)]


@pytest.mark.parametrize("how", [before_the_write, as_the_answer])
@pytest.mark.parametrize("terms", [{}, {"order_type": OrderType.LIMIT, "price": Decimal(110)}])
def test_an_exit_that_finds_the_session_over_leaves_once_after_the_log_in_and_a_person_is_told_once(how, terms) -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        ends(h, how)
        out = close(h, **terms)
        assert h.journal.orders()[out.order_id].state is OrderState.PLANNED
        assert h.notifier.incidents() == ["needs_login", "exit_waits"]
        h.system.connect("A1")
        h.until(lambda: h.held() == 0)
        h.until(lambda: nothing_waits(h))
        assert exits(h) == [(10, terms.get("price"))]
        assert [request.client_id for request in h.books["A1"].placed][1:] == [out.client_id]
        assert h.notifier.incidents().count("exit_waits") == 1
        books_balance(h)


def test_an_exit_that_was_long_on_the_wire_when_the_session_was_over_is_made_anew() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        go = threading.Event()

        def slow(request: OrderRequest, permit: Permit) -> OrderReport:
            with permit():
                pass
            assert go.wait(PATIENCE)
            return as_the_answer(request, permit)

        ends(h, slow)
        (out,) = h.send("SELL", 4, reduce_only=True, wait=0.0)
        h.until(lambda: h.system.roster.desk("A1").orders[out.order_id].state is OrderState.SENDING)
        go.set()
        h.until(lambda: h.journal.orders()[out.order_id].state is OrderState.REJECTED)
        h.system.connect("A1")
        h.until(lambda: h.held() == 6)
        h.until(lambda: nothing_waits(h))
        assert exits(h) == [(4, None)]


@pytest.mark.parametrize(("sold", "left"), [(4, [(6, None)]), (10, [])])
def test_what_was_closed_at_the_broker_meanwhile_is_not_sold_a_second_time(sold: int, left: list[object]) -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        ends(h)
        out = close(h)
        h.system.roster.desk("A1").filled_at = 0.0  # the fill is long ago
        h.books["A1"].elsewhere[INFY.symbol] = Decimal(-sold)
        h.system.connect("A1")
        h.until(lambda: h.journal.orders()[out.order_id].reason == OUTGROWN)
        h.until(lambda: len(exits(h)) == len(left) and nothing_waits(h))
        assert exits(h) == left
        assert sum(position.quantity for position in h.books["A1"].positions()) == 0


def test_a_stop_that_fired_while_nobody_was_signed_in_sells_no_more_than_the_broker_has() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        h.system._on_needs_login(h.system.roster.desk("A1"), "the session is over")
        h.feed.price(INFY.symbol, 94.0)
        h.system.roster.desk("A1").filled_at = 0.0
        h.books["A1"].elsewhere[INFY.symbol] = Decimal(-4)
        h.system.connect("A1")
        h.until(lambda: exits(h) == [(6, None)])
        assert not h.books["A1"].positions()


def test_a_limit_that_waited_and_is_too_large_by_now_is_taken_back_and_told() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        ends(h)
        out = close(h, order_type=OrderType.LIMIT, price=Decimal(110), source=Source.WEBHOOK)
        h.system.roster.desk("A1").filled_at = 0.0
        h.books["A1"].elsewhere[INFY.symbol] = Decimal(-4)
        h.system.connect("A1")
        h.until(lambda: h.journal.orders()[out.order_id].reason == OUTGROWN)
        h.until(lambda: "exit_failed" in h.notifier.incidents())
        assert exits(h) == []


def test_an_exit_that_waits_for_the_log_in_and_is_taken_back_does_not_leave_after_it() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        ends(h)
        out = close(h)
        h.system.cancel_order(out.order_id)
        h.system.connect("A1")
        h.until(lambda: nothing_waits(h))
        assert (h.journal.orders()[out.order_id].state, exits(h)) == (OrderState.CANCELLED, [])


def test_an_emergency_stop_and_an_exit_that_waits_for_the_log_in_take_the_position_out_once() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        ends(h)
        close(h)
        halt, _ = h.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        h.system.connect("A1")
        h.until(lambda: h.system.halt_report(halt.halt_id).accounts[0].state == "flat")
        assert (h.held(), sum(quantity for quantity, _ in exits(h))) == (0, 10)


def test_a_stop_that_finds_the_session_over_leaves_once_after_the_log_in() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        ends(h)
        h.feed.price(INFY.symbol, 94.0)
        h.until(lambda: "exit_waits" in h.notifier.incidents())
        h.system.connect("A1")
        h.until(lambda: h.held() == 0)
        h.until(lambda: nothing_waits(h))
        assert exits(h) == [(10, None)]
        assert [o.state for o in h.journal.orders().values() if o.role is Role.STOP] == [OrderState.FILLED]
