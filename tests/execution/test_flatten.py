"""Flattening looks again by itself: an account that is not ready is asked for nothing that it would do later, and its own exits are left to leave."""

from __future__ import annotations

from collections import Counter

from engines.core.model import HaltScope, OrderState, Role
from engines.execution.leaving import Exit, Flatten
from tests.execution.house import USER, House, account


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
