"""One signal, every account: plan on each desk, make all of it durable at once, then hand it to all lanes.

Nothing here reads a database between the signal and the sockets. A repeated signal id is answered with the first outcome and sends nothing (law 10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.core.facts import SignalPlanned
from engines.core.model import AccountMapping, Order, OrderState, Signal
from engines.crashpoints import crash
from engines.execution.desk import Desk
from engines.execution.jobs import Send
from engines.execution.lane import Lane
from engines.execution.outcomes import OutcomeBoard, Tracker
from engines.execution.planning import Market, PlanTools, plan, preview
from engines.execution.views import SignalOutcome
from engines.ports import Clock, DuplicateSignal, Journal, JournalDown

Route = tuple[Desk, AccountMapping | None]

PLAN_PATIENCE = 10.0
"""Seconds a repeated signal waits for the first of its name to be planned."""


@dataclass(frozen=True, slots=True)
class FanOut:
    journal: Journal
    clock: Clock
    outcomes: OutcomeBoard
    routes: Callable[[Signal], Sequence[Route]]
    lane: Callable[[str], Lane | None]
    market: Callable[[Desk, str], Market | None]
    plan_tools: PlanTools
    prepare: Callable[[Signal], Signal]  # fills in what the strategy's own settings say (exit plan)
    planned: Callable[[Tracker], None]  # told when a signal and its orders are durable

    def submit(self, signal: Signal, wait: float = 0.0) -> SignalOutcome:
        """Plan, journal, send; waits up to `wait` seconds until no order is planned, sending or unknown. Raises JournalDown: nothing was sent."""
        tracker, new = self.outcomes.open(signal, self.clock.monotonic())
        if not new:
            return self._repeat(tracker, wait)
        try:
            orders = self._plan(self.prepare(signal), tracker)
        except DuplicateSignal:
            self.outcomes.discard(tracker)
            return self._answered_before(signal)
        except BaseException:
            self.outcomes.discard(tracker)
            raise
        crash("after-commit-before-queue")
        self._dispatch(orders)
        self.planned(tracker)
        if wait > 0:
            tracker.settled.wait(wait)
        return tracker.outcome()

    def preview(self, signal: Signal) -> tuple[Order, ...]:
        """The orders that this signal would make now; nothing is reserved, journaled or sent."""
        ready = self.prepare(signal)
        orders: list[Order] = []
        for desk, mapping in self.routes(ready):
            market = self.market(desk, ready.symbol)
            if market is not None:
                orders += preview(desk, ready, mapping, market, self.plan_tools)
        return tuple(orders)

    def _plan(self, signal: Signal, tracker: Tracker) -> list[Order]:
        routes = self.routes(signal)
        orders: list[Order] = []
        planned: list[tuple[Desk, tuple[Order, ...]]] = []
        for desk, mapping in routes:
            market = self.market(desk, signal.symbol)
            if market is None:
                continue
            made = plan(desk, signal, mapping, market, self.plan_tools)
            planned.append((desk, made))
            orders += made
        tracker.stamp("planned", self.clock.monotonic())
        crash("before-commit")
        try:
            self.journal.commit(SignalPlanned(signal, tuple(orders)))
        except (JournalDown, DuplicateSignal):
            for desk, made in planned:
                desk.forget(made)
            raise
        tracker.stamp("journaled", self.clock.monotonic())
        tracker.attach(orders)
        return orders

    def _dispatch(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if order.state is OrderState.PLANNED:
                lane = self.lane(order.account_id)
                if lane is not None:
                    lane.put(Send(order.order_id, urgent=not order.raises_exposure))

    def _repeat(self, tracker: Tracker, wait: float) -> SignalOutcome:
        tracker.planned.wait(PLAN_PATIENCE)
        if tracker.failed:
            raise JournalDown("the first signal of this name could not be recorded; send it again")
        tracker.settled.wait(max(wait, 0.0))
        return tracker.outcome(duplicate=True)

    def _answered_before(self, signal: Signal) -> SignalOutcome:
        """The signal of an earlier run or session: its orders are in the database."""
        found = self.journal.find_signal(signal.user_id, signal.signal_id)
        key, orders = found if found is not None else (signal.key, ())
        tracker = Tracker(signal, self.clock.monotonic())
        tracker.attach(orders)
        outcome = tracker.outcome(duplicate=True)
        return SignalOutcome(key, outcome.signal_id, outcome.received_at, outcome.orders, outcome.timing, True, outcome.settled)
