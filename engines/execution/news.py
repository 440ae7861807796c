"""What is told once it is durable: waiting callers, the live stream, latency and the timing of each signal.

Called on the journal's writer thread, so everything here returns at once. Nobody is told what a crash could still take back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engines.core.facts import Fact, FillBooked, OrderChanged, PlanChanged
from engines.core.model import Order, OrderState, Position
from engines.execution.desk import Desk
from engines.execution.latency import LatencyBoard
from engines.execution.outcomes import OutcomeBoard, Tracker
from engines.ports import Journal, Notifier


class PositionTold(Protocol):
    def __call__(self, desk: Desk, position: Position) -> object: ...


@dataclass(slots=True)
class News:
    journal: Journal
    notifier: Notifier
    outcomes: OutcomeBoard
    latency: LatencyBoard
    position_view: PositionTold

    def on_durable(self, desk: Desk, facts: Sequence[Fact]) -> None:
        user = desk.account.user_id
        # Of several changes at once only the last is told: whoever waits must not be woken by an "open" that is filled already.
        newest = {fact.order.order_id: fact.order for fact in facts if isinstance(fact, OrderChanged | FillBooked)}
        for order in newest.values():
            self._order(user, order)
        for fact in facts:
            if isinstance(fact, FillBooked):
                self.notifier.publish("position", user, {"position": self.position_view(desk, fact.position)})
            elif isinstance(fact, PlanChanged):
                self.notifier.publish("position", user, {"position": self.position_view(desk, desk.position(fact.plan.key))})

    def _order(self, user: str, order: Order) -> None:
        tracker = self.outcomes.get(order.signal_key)
        if tracker is not None:
            tracker.update(order)
            self._settled(tracker)
        signal_id = tracker.signal.signal_id if tracker else None
        self.notifier.publish("order", user, {"order": order, "signal_id": signal_id})

    def planned(self, tracker: Tracker) -> None:
        """A signal and its orders are durable: tell of it, and of the orders that ended there and then."""
        outcome = tracker.outcome()
        user = tracker.signal.user_id
        self.notifier.publish("signal", user, {"signal": tracker.signal, "outcome": outcome})
        for order in outcome.orders:
            if order.state is OrderState.DENIED:
                self.notifier.publish("order", order.user_id, {"order": order, "signal_id": tracker.signal.signal_id})
        self._settled(tracker)

    def _settled(self, tracker: Tracker) -> None:
        timing = tracker.take_timing()
        if timing is None:
            return
        for name in ("planned_ms", "journaled_ms", "first_sent_ms", "last_sent_ms", "last_acknowledged_ms"):
            ms = getattr(timing, name)
            if ms is not None:
                self.latency.add(name.removesuffix("_ms"), ms)
        self.journal.append(timing)
        self.notifier.publish("signal", tracker.signal.user_id, {"signal": tracker.signal, "outcome": tracker.outcome()})
