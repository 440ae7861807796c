"""What follows when an exit of our own fails, and when a strategy's position is gone without the strategy having said so.

Called under the lock of the desk where it happened, so everything here only hands over: to the plan, to a lane, to the strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.core import exits as exit_rules
from engines.core import reentry
from engines.core.model import Order, OrderState, PlanState, Role, Source, Timestamp
from engines.core.reasons import MARKET_CHANGED
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.jobs import Exit
from engines.execution.lane import Lane
from engines.execution.outcomes import OutcomeBoard
from engines.ports import Clock

_LEGS = {Role.STOP: reentry.STOP, Role.TARGET: reentry.TARGET}
LONGEST_PAUSE = 30.0
"""Seconds between two tries of a stop that the broker goes on refusing; the first come after half a second."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    clock: Clock
    outcomes: OutcomeBoard
    desks: Callable[[], Sequence[Desk]]
    lane: Callable[[str], Lane | None]
    exits: ExitDesk
    tell_flat: Callable[[str, str, float, Timestamp, str, Decimal | None], None]  # strategy, symbol, price, moment, leg, entry price
    on_trouble: Callable[[str, str, str, str | None], None]

    def exit_failed(self, desk: Desk, order: Order) -> None:
        """An exit ended without filling: a target goes back under its stop; a stop, or what had left when the stop fired, is tried again as a stop."""
        plan = desk.plans.get(order.position_key)
        if order.role is Role.EXIT and (order.state is OrderState.CANCELLED or plan is None or plan.state is not PlanState.STOPPED):
            return  # a stop that takes a resting exit back leaves in its place
        if not order.remaining or order.reason == MARKET_CHANGED:
            return
        what = f"{order.symbol}: an exit ended as {order.state.value}: {order.reason or ''}"
        self.on_trouble("exit_failed", "critical", what, order.account_id)
        if order.role is Role.TARGET and plan is not None and plan.state is PlanState.ARMED:
            desk.replace_plan(exit_rules.give_back(plan, order.remaining, self.clock.now()))
            return
        lane, opened_at = self.lane(order.account_id), desk.position(order.position_key).opened_at
        # A square-off of the account looks again by itself until it is flat; one by the deadline of a plan is tried again here.
        if lane is None or opened_at is None or (order.role is Role.SQUARE_OFF and order.plan_id is None):
            return
        role = Role.SQUARE_OFF if order.role is Role.SQUARE_OFF else Role.STOP
        failures = sum(o.position_key == order.position_key and o.role is role and not o.live for o in desk.session_orders())
        plan_id = order.plan_id or (plan.plan_id if plan is not None else None)
        again = Exit(self.exits, order.position_key, role, order.remaining, plan_id=plan_id, opened_at=opened_at)
        lane.put_later(again, min(0.5 * 2 ** min(failures, 10), LONGEST_PAUSE))

    def flat(self, order: Order, price: Decimal, entry_price: Decimal | None) -> None:
        """A stop, a target or a person has closed what a strategy held: once no account holds any of it, the strategy is told."""
        strategy_id, tracker = order.strategy_id, self.outcomes.get(order.signal_key)
        if strategy_id is None or (tracker is not None and tracker.signal.source is Source.STRATEGY):
            return
        mine = (strategy_id, order.symbol)
        for desk in self.desks():
            held = any(book.position.quantity for key, book in list(desk.books.items()) if (key.strategy_id, key.symbol) == mine)
            if held or any((o.strategy_id, o.symbol) == mine for o in desk.live_orders()):
                return
        leg = _LEGS.get(order.role, reentry.OTHER)
        self.tell_flat(strategy_id, order.symbol, float(price), self.clock.now(), leg, entry_price)
