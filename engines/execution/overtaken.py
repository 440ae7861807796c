"""Entries that an exit has overtaken: planned before it and not sent, or sent and not answered, when somebody wants to be out of the position.

Whatever has not left is taken back; what was on the wire is waited for, and what it brings is closed as it comes. Limit orders that rest at the broker are
left alone: they were meant to wait. It plans nothing by itself and asks only the account's lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from engines.core.model import UNSETTLED_STATES, ZERO, Order, OrderState, OrderType, Role, Signal
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.jobs import cancel_in_turn
from engines.execution.lane import Lane
from engines.execution.leaving import Exit, pause_after
from engines.execution.work import AfterDeath

_TAKEN_BACK = frozenset({OrderState.PLANNED, OrderState.OPEN, OrderState.PARTLY_FILLED})
"""What can be cancelled. Who has no answer yet is being looked for already: asking again at each round would only bury the broker in questions."""


def under_way(desk: Desk, signal: Signal) -> Mapping[str, Decimal]:
    """Order id → what has filled of it, of the entries that this exit overtakes on this desk. None for an exit that only trims what is held."""
    key = desk.key_of(signal)
    with desk.lock:
        if signal.quantity is not None and signal.quantity <= abs(desk.position(key).quantity):
            return {}
        return {
            order.order_id: order.filled_quantity
            for order in desk.live_orders()
            if order.position_key == key
            and order.raises_exposure
            and order.side is not signal.side
            and (order.state in UNSETTLED_STATES or order.order_type is OrderType.MARKET)
        }


def still_under_way(desk: Desk, order: Order, signal: Signal) -> bool:
    """Whether this exit of an earlier run has overtaken the entry, which is given as that run has left it; what it brings may be booked already."""
    key = desk.key_of(signal)
    if order.position_key != key or (signal.account_ids and key.account_id not in signal.account_ids):
        return False
    with desk.lock:
        now = desk.orders.get(order.order_id, order)
        held = abs(desk.position(key).quantity) - (now.filled_quantity - order.filled_quantity)
    trims = signal.quantity is not None and signal.quantity <= held
    return signal.reduce_only and not trims and (order.state in UNSETTLED_STATES or order.order_type is OrderType.MARKET)


@dataclass(slots=True)
class TakeBack:
    """A job of the lane: takes these entries back, and closes what comes of them all the same, until each has its last word."""

    exits: ExitDesk
    signal: Signal  # the exit that came after them
    entries: Mapping[str, Decimal]  # as `under_way` answers
    closed: Decimal = ZERO
    rounds: int = 0
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW

    def run(self, lane: Lane) -> None:
        desk, key = lane.desk, lane.desk.key_of(self.signal)
        self.rounds += 1
        for order_id in self.entries:
            order = desk.orders.get(order_id)
            if order is not None and order.state in _TAKEN_BACK:
                cancel_in_turn(lane, order)
        with desk.lock:
            orders = [(desk.orders[name], before) for name, before in self.entries.items() if name in desk.orders]
            came = sum((order.filled_quantity - before for order, before in orders), ZERO) - self.closed
            held = -desk.position(key).quantity * self.signal.side.sign  # not what has turned round since
        if came > 0:
            self.closed += came
            if held > 0:
                Exit(self.exits, key, Role.EXIT, min(came, held), attempt=1, opened_at=desk.position(key).opened_at).run(lane)
        if any(order.live for order, _ in orders):
            lane.put_later(self, pause_after(self.rounds))
