"""What is booked is journaled, whoever listens; and what is read of a desk while it trades is never half of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engines.core.model import ExitSpec, OrderState, OrderType
from engines.execution.jobs import Cancel, Send
from tests.execution.house import House, account, books_balance


@pytest.mark.parametrize("listener", ["on_flat", "on_plan", "on_trouble", "on_exit_failed"])
def test_a_fill_is_journaled_though_whoever_is_told_of_it_fails(listener: str) -> None:
    with House(account("A1", broker="wire"), script=lambda request: "open" if request.reduce_only else "fill") as h:
        h.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        (out,) = h.send("SELL", 10, reduce_only=True)
        desk, wire = h.system.roster.desk("A1"), h.wires["A1"]
        tools = desk.tools

        def fails(*_: Any) -> None:
            raise RuntimeError("a listener's own fault")

        desk.tools = replace(tools, **{listener: fails})
        quantity = 11 if listener == "on_trouble" else 4 if listener == "on_exit_failed" else 10
        state = OrderState.CANCELLED if listener == "on_exit_failed" else OrderState.FILLED
        made = wire._report(next(request for request in h.books["A1"].placed if request.reduce_only), "fill")
        fill = replace(made.fills[0], quantity=Decimal(quantity))
        with pytest.raises(RuntimeError, match="own fault"):
            desk.on_report(replace(made, state=state, filled_quantity=Decimal(quantity), fills=(fill,)))
        desk.tools = tools
        assert [fill.quantity for fill in h.journal.fills()] == [10, quantity]
        assert h.journal.orders()[out.order_id].filled_quantity == quantity
        books_balance(h)


def test_live_orders_may_come_and_go_while_they_are_looked_at() -> None:
    with House(account("A1", broker="wire"), script=lambda request: "open") as h:
        h.send("BUY", 1, order_type=OrderType.LIMIT, price=Decimal(90))
        desk = h.system.roster.desk("A1")

        class Busy(dict[str, Any]):
            def __getitem__(self, key: str) -> Any:
                desk._live.add("one more")
                return super().__getitem__(key)

            def get(self, key: str, default: Any = None) -> Any:
                desk._live.add("one more")
                return super().get(key, default)

        with desk.lock:
            desk.orders = Busy(desk.orders)
            try:
                assert [order.quantity for order in desk.live_orders()] == [1]
            finally:
                desk.orders = dict(desk.orders)
                desk._live.discard("one more")


class Watched:
    """A lock that says when this thread waits for it."""

    def __init__(self, lock: Any, by: threading.Thread) -> None:
        self.lock, self.by, self.asked = lock, by, threading.Event()

    def __enter__(self) -> None:
        if threading.current_thread() is self.by:
            self.asked.set()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@pytest.mark.parametrize(("job", "becomes"), [(Send, OrderState.OPEN), (Cancel, OrderState.CANCELLED)])
def test_an_order_that_is_out_of_the_books_for_a_moment_is_waited_for(job: type, becomes: OrderState) -> None:
    """So it is while somebody asks whether it may be changed."""
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        h.script = lambda request: "retry"
        (out,) = h.send("SELL", 10, reduce_only=True, order_type=OrderType.LIMIT, price=Decimal(110), wait=0.0)
        desk, lane = h.system.roster.desk("A1"), h.system.roster.lane("A1")
        lane.put_later = lambda job, seconds: None  # type: ignore[method-assign]
        h.until(lambda: lane.idle and not lane.box.waiting())
        h.script = lambda request: "open"
        order = desk.orders[out.order_id]
        wanted = Send(out.order_id, urgent=True) if job is Send else Cancel(out.order_id)
        asks = threading.Thread(target=wanted.run, args=(lane,))
        watched = Watched(desk.lock, asks)
        with desk.lock:
            desk.forget([order])
            desk.lock = watched  # type: ignore[assignment]
            asks.start()
            h.until(lambda: watched.asked.is_set() or not asks.is_alive())
            desk.orders[out.order_id] = order
            desk._live.add(out.order_id)
        asks.join()
        desk.lock = watched.lock
        assert h.journal.orders()[out.order_id].state is becomes
