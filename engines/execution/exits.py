"""Exits that Tandem decides on itself: stops, targets, closes and square-offs, each planned in the lane of the account that holds the position.

An exit is a signal like any other, with its own id and outcome; it goes only to the account whose position it closes (law 8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.core.facts import Fact, SignalPlanned
from engines.core.model import Order, OrderState, Position, PositionKey, Role, Side, Signal, Source, Timestamp
from engines.core.reasons import MARKET_CHANGED
from engines.core.reconcile import Difference
from engines.crashpoints import crash
from engines.execution.desk import Desk
from engines.execution.lane import Lane
from engines.execution.outcomes import OutcomeBoard, Tracker
from engines.execution.planning import Market, PlanTools, plan
from engines.execution.views import SignalOutcome
from engines.ports import BrokerFill, Clock, Ids, Journal, JournalDown, OrderReport


@dataclass(frozen=True, slots=True)
class ExitDesk:
    """Makes, journals and hands out exit orders; shared by all lanes."""

    journal: Journal
    clock: Clock
    ids: Ids
    outcomes: OutcomeBoard
    market: Callable[[Desk, str], Market | None]
    plan_tools: PlanTools
    planned: Callable[[Tracker], None]  # told when an exit and its orders are durable

    def signal(
        self, desk: Desk, key: PositionKey, side: Side, quantity: Decimal | None, role: Role, source: Source, note: str = ""
    ) -> Signal:
        """A reduce-only wish for this position; its id is made here and never used again."""
        name = self.ids.new()
        return Signal(
            key=name,
            signal_id=f"{role.value}-{name}",
            user_id=desk.account.user_id,
            source=source,
            symbol=key.symbol,
            side=side,
            created_at=self.clock.now(),
            product=key.product,
            quantity=quantity,
            strategy_id=key.strategy_id,
            account_ids=(key.account_id,),
            reduce_only=True,
            role=role,
            note=note,
        )

    def open(self, desk: Desk, key: PositionKey, quantity: Decimal | None, role: Role, source: Source, note: str = "") -> Tracker:
        """Name the exit now, so that its asker can wait for it, and plan it later in the lane."""
        held = desk.position(key).quantity
        side = Side.SELL if held >= 0 else Side.BUY
        signal = self.signal(desk, key, side, quantity, role, source, note)
        tracker, _ = self.outcomes.open(signal, self.clock.monotonic())
        return tracker

    def book_elsewhere(self, desk: Desk, position: Position, difference: Difference, price: Decimal) -> SignalOutcome:
        """A fill of ours for what was closed without us, so that the position stays the fold of its fills. Nothing is sent."""
        key, now = position.key, self.clock.now()
        quantity = min(abs(position.quantity), abs(difference.ours - difference.theirs))
        tracker = self.open(desk, key, quantity, Role.SQUARE_OFF, Source.MANUAL, "closed elsewhere")
        signal = tracker.signal
        order = self._booked(signal, key, quantity, "closed elsewhere")
        desk.admit(order, price)
        try:
            self.journal.commit(SignalPlanned(signal, (order,)))
        except JournalDown:
            desk.forget([order])
            self.outcomes.discard(tracker)
            raise
        tracker.attach((order,))
        with desk.lock:
            desk.differences = {symbol: other for symbol, other in desk.differences.items() if symbol != key.symbol}
            desk.on_report(_filled(f"ELSEWHERE-{order.order_id}", order, price, now))
        return tracker.outcome()

    def book_left(self, desk: Desk, position: Position, price: Decimal) -> None:
        """Take a paper position out of a market that is gone, at its last price and free of charge. Hold the desk's lock. Nothing is sent, so it may become
        durable a moment later: after a crash in between the position is there again, and leaves again."""
        key, now = position.key, self.clock.now()
        quantity = abs(position.quantity)
        tracker = self.open(desk, key, quantity, Role.SQUARE_OFF, Source.SYSTEM, "market changed")
        order = self._booked(tracker.signal, key, quantity, MARKET_CHANGED)
        desk.admit(order, price)
        self.journal.append(SignalPlanned(tracker.signal, (order,)))
        tracker.attach((order,))
        desk.on_report(_filled(f"LEFT-{order.order_id}", order, price, now))

    def _booked(self, signal: Signal, key: PositionKey, quantity: Decimal, reason: str) -> Order:
        """The order behind a fill that nobody sends."""
        return Order(
            order_id=self.ids.new(),
            account_id=key.account_id,
            user_id=signal.user_id,
            signal_key=signal.key,
            symbol=key.symbol,
            side=signal.side,
            quantity=quantity,
            order_type=signal.order_type,
            product=key.product,
            role=Role.SQUARE_OFF,
            created_at=signal.created_at,
            updated_at=signal.created_at,
            strategy_id=key.strategy_id,
            reason=reason,
        )

    def plan(
        self,
        lane: Lane,
        key: PositionKey,
        quantity: Decimal | None,
        role: Role,
        tracker: Tracker | None,
        facts: tuple[Fact, ...],
        plan_id: str | None = None,
        *,
        goes_before: bool = False,
    ) -> Sequence[Order] | None:
        """Plan and journal the exit in one transaction with `facts`; the orders to send now. `plan_id`: of the exit plan that asks for it; `goes_before`:
        as `planning.plan` says. None while nothing of what is held is free to leave for a plan or for what follows a signal to close (nothing is journaled
        then). Raises JournalDown (nothing reserved)."""
        desk = lane.desk
        ours = tracker is None
        if tracker is None:
            if not desk.position(key).quantity:
                return ()
            tracker = self.open(desk, key, quantity, role, Source.SYSTEM)
        market = self.market(desk, key.symbol)
        if market is None:
            self.outcomes.discard(tracker)
            return ()
        orders = plan(desk, tracker.signal, None, market, self.plan_tools, plan_id, goes_before=goes_before)
        if ours and (plan_id is not None or role is Role.EXIT) and all(order.state is OrderState.DENIED for order in orders):
            self.outcomes.discard(tracker)
            return None if desk.holds(key) else ()
        tracker.stamp("planned", self.clock.monotonic())
        crash("after-fire-before-exit-commit")
        try:
            self.journal.commit(SignalPlanned(tracker.signal, orders), *facts)
        except JournalDown:
            desk.forget(orders)
            if ours:
                self.outcomes.discard(tracker)
            raise
        tracker.stamp("journaled", self.clock.monotonic())
        tracker.attach(orders)
        self.planned(tracker)
        return [order for order in orders if order.state is OrderState.PLANNED]


def _filled(name: str, order: Order, price: Decimal, at: Timestamp) -> OrderReport:
    fill = BrokerFill(name, order.quantity, price, at)
    return OrderReport(name, OrderState.FILLED, order.order_id, filled_quantity=order.quantity, average_price=price, fills=(fill,))
