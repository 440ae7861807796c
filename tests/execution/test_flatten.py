"""Flattening looks again by itself: an account that is not ready is asked for nothing that it would do later, and its own exits are left to leave."""

from __future__ import annotations

from collections import Counter

import pytest

from engines.core.model import HaltScope, OrderState, Role
from engines.execution.jobs import Settle
from engines.execution.leaving import Exit, Flatten
from engines.ports import OrderRequest
from tests.execution.house import INFY, USER, House, account


def waiting(house: House) -> Counter[type]:
    lane = house.system.roster.lane("A1")
    return Counter(type(job) for job in lane.box.waiting())


def rounds(house: House, count: int) -> None:
    """As if the flattening had looked so often already."""
    lane = house.system.roster.lane("A1")
    house.until(lambda: lane.idle and waiting(house)[Flatten])
    ((_, job),) = [entry for entry in lane.box.later if isinstance(entry[1], Flatten)]
    for _ in range(count):
        job.run(lane)
        lane.box.later.pop()


def test_an_account_without_a_session_is_asked_for_nothing_twice_and_its_exit_is_left_to_leave_after_the_log_in() -> None:
    with House(account("A1", broker="wire")) as h:
        h.send("BUY", 10)
        h.system._on_needs_login(h.system.roster.desk("A1"), "the session is over")
        h.system.emergency_stop(HaltScope.SYSTEM, None, "x", USER)
        rounds(h, 50)
        assert waiting(h) == {Flatten: 1}
        h.script = lambda request: "open"  # brokers let a market order rest at its protection price
        h.system.connect("A1")
        h.until(lambda: len(h.books["A1"].placed) == 2)
        progress = next(iter(h.system.stopper.running.values())).progress["A1"]
        h.until(lambda: progress.rounds >= 3)
        exits = [(order.role, order.state) for order in h.journal.orders().values() if order.role is not Role.ENTRY]
        assert (exits, waiting(h)[Exit]) == ([(Role.SQUARE_OFF, OrderState.OPEN)], 0)


@pytest.mark.parametrize("how", ["by a person", "by the day's limit"])
def test_a_square_off_closes_what_an_entry_without_an_answer_turns_out_to_have_bought(how: str) -> None:
    with House(account("A1", broker="wire"), script=lambda request: "fill" if request.reduce_only else "lose_after") as h:
        lane = h.system.roster.lane("A1")
        h.wires["A1"].book_fails = True
        (entry,) = h.send("BUY", 10, wait=0.0)
        h.until(lambda: h.journal.orders()[entry.order_id].state is OrderState.UNKNOWN)
        if how == "by a person":
            h.system.square_off("A1")
        else:
            h.system.monitor.flatten(h.system.roster.desk("A1"))
        h.until(lambda: lane.idle and waiting(h)[Flatten])
        h.wires["A1"].book_fails = False
        lane.put(Settle())
        h.until(lambda: h.journal.orders()[entry.order_id].state is OrderState.FILLED and h.held() == 0)
        h.until(lambda: lane.idle and not waiting(h)[Flatten])


def test_what_turns_up_after_the_account_was_flat_is_closed_while_the_stop_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.execution.leaving.FLATTEN_AT_LEAST", 0.01)
    with House(account("A1", broker="wire"), script=lambda request: "fill" if request.reduce_only else "lose_before") as h:
        lane = h.system.roster.lane("A1")
        (entry,) = h.send("BUY", 10, wait=0.0)
        h.until(lambda: h.journal.orders()[entry.order_id].state is OrderState.NOT_PLACED)
        halt, _ = h.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        h.until(lambda: lane.idle and h.system.halt_report(halt.halt_id).accounts[0].state == "flat")
        wire = h.wires["A1"]
        late = OrderRequest(entry.client_id, INFY, entry.side, entry.quantity, entry.order_type, entry.product)
        h.books["A1"].reports[entry.client_id] = wire._report(late, "fill")  # placed late, as brokers have been seen to do
        lane.put(Settle())
        h.until(lambda: [request.quantity for request in h.books["A1"].placed] == [10] and h.held() == 0)
        h.system.stopper.lift(halt.halt_id, USER)
        h.until(lambda: lane.idle and not waiting(h)[Flatten])
