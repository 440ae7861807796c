"""One signal, every account: plan on each desk, make all of it durable at once, then hand it to all lanes.

Nothing here reads a database between the signal and the sockets. A repeated signal id is answered with the first outcome and sends nothing (law 10).
Where a strategy is shared each person's accounts get a signal of that person's own, so that nobody sees another's orders; all of them are durable in one
transaction or none is (law 12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import structlog

from engines.core.facts import SignalPlanned
from engines.core.model import AccountMapping, Order, OrderState, OrderType, Signal, Source
from engines.crashpoints import crash
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.jobs import GoBefore, Send
from engines.execution.lane import Lane
from engines.execution.outcomes import OutcomeBoard, Tracker
from engines.execution.overtaken import TakeBack, still_under_way, under_way
from engines.execution.planning import Market, PlanTools, plan, preview
from engines.execution.resting import resting_exits
from engines.execution.views import SignalOutcome
from engines.ports import Clock, DuplicateSignal, Journal, JournalDown

log = structlog.get_logger(__name__)

Route = tuple[Desk, AccountMapping | None]

PLAN_PATIENCE = 10.0
"""Seconds a repeated signal waits for the first of its name to be planned."""


@dataclass(slots=True)
class _Part:
    """What a signal means for one person: their own signal, and the orders planned on their accounts."""

    signal: Signal
    tracker: Tracker
    orders: list[Order] = field(default_factory=list)
    overtaken: list[tuple[Desk, Mapping[str, Decimal]]] = field(default_factory=list)  # entries under way that its exits come after


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
    on_trouble: Callable[[str, str, str, str | None], None]  # kind, severity, message, account id
    exits: ExitDesk  # closes what comes of entries that an exit has overtaken

    def submit(self, signal: Signal, wait: float = 0.0) -> SignalOutcome:
        """Plan, journal, send; waits up to `wait` seconds until no order is planned, sending or unknown. Raises JournalDown: nothing was sent.

        The outcome holds the orders of the signal's own user and nobody else's."""
        tracker, new = self.outcomes.open(signal, self.clock.monotonic())
        if not new:
            return self._repeat(tracker, wait)
        parts: list[_Part] = []
        try:
            orders = self._plan(self.prepare(signal), tracker, parts)
        except DuplicateSignal:
            self._discard(tracker, parts)
            return self._answered_before(signal)
        except BaseException:
            self._discard(tracker, parts)
            raise
        crash("after-commit-before-queue")
        for part in parts:
            for desk, entries in part.overtaken:
                self._take_back(desk, part.signal, entries)
        self._dispatch(orders)
        for part in parts:
            self.planned(part.tracker)
            self._tell_what_stays(part)
        if wait > 0:
            tracker.settled.wait(wait)
        return tracker.outcome()

    def resume(self, overtaken: Sequence[tuple[Order, Signal]]) -> None:
        """After a restart: entries, as they were when Tandem stopped, that may come all the same though an exit came after them."""
        for order, signal in overtaken:
            lane = self.lane(order.account_id)
            if lane is not None and still_under_way(lane.desk, order, signal):
                self._take_back(lane.desk, signal, {order.order_id: order.filled_quantity})

    def _tell_what_stays(self, part: _Part) -> None:
        """A close at a price that finds everything promised to an exit which rests closes nothing, and whoever sent it may not be a person who sees
        that."""
        if part.signal.source is Source.MANUAL or not part.signal.reduce_only or part.signal.order_type is OrderType.MARKET:
            return
        for order in part.orders:
            lane = self.lane(order.account_id)
            if lane is None or order.state is not OrderState.DENIED:
                continue
            with lane.desk.lock:
                resting = resting_exits(lane.desk, order.position_key)
            if resting:
                message = f"{order.symbol}: a signal to close finds all that is held promised to an exit that rests at its price: nothing closes it now"
                self.on_trouble("exit_failed", "critical", message, order.account_id)

    def preview(self, signal: Signal) -> tuple[Order, ...]:
        """The orders that this signal would make now on its own user's accounts; nothing is reserved, journaled or sent."""
        ready = self.prepare(signal)
        orders: list[Order] = []
        for desk, mapping in self.routes(ready):
            market = self.market(desk, ready.symbol) if desk.account.user_id == ready.user_id else None
            if market is not None:
                orders += preview(desk, ready, mapping, market, self.plan_tools)
        return tuple(orders)

    def _plan(self, signal: Signal, tracker: Tracker, parts: list[_Part]) -> list[Order]:
        """Every order on every account, in the order of the routes; `parts` gets what each person's own share of it is, the asker's first."""
        own = _Part(signal, tracker)
        parts.append(own)
        mine, planned = signal.user_id, []
        try:
            for desk, mapping in self.routes(signal):
                market = self.market(desk, signal.symbol)
                if market is None:
                    continue
                user_id = desk.account.user_id
                part = own if user_id == mine else self._part_of(user_id, parts)
                if signal.reduce_only and (entries := under_way(desk, part.signal)):
                    part.overtaken.append((desk, entries))
                try:
                    connected = self.lane(desk.account.account_id) is not None
                    made = plan(desk, part.signal, mapping, market, self.plan_tools, goes_before=connected)
                except Exception as error:
                    if part is own:
                        raise
                    self._leave_out(desk, error)
                    continue
                planned.append((desk, made))
                part.orders += made
            self._stamp("planned", parts)
            crash("before-commit")
            self.journal.commit(*[SignalPlanned(part.signal, tuple(part.orders)) for part in parts])
        except Exception:
            for desk, made in planned:
                desk.forget(made)
            raise
        self._stamp("journaled", parts)
        for part in parts:
            part.tracker.attach(part.orders)
        return own.orders if len(parts) == 1 else [order for _, made in planned for order in made]

    def _part_of(self, user_id: str, parts: list[_Part]) -> _Part:
        """The share of somebody to whom the strategy is shared, begun when the first of their accounts is met."""
        for part in parts:
            if part.signal.user_id == user_id:
                return part
        own = parts[0]
        signal = _copy(own.signal, user_id, self.plan_tools.new_id())
        tracker, _ = self.outcomes.open(signal, own.tracker.received)
        parts.append(_Part(signal, tracker))
        return parts[-1]

    def _leave_out(self, desk: Desk, error: Exception) -> None:
        """Nobody's account may keep a shared strategy's signal from its owner and everybody else: it alone goes without, and its owner is told."""
        log.error("a shared signal could not be planned", account=desk.account.account_id, exc_info=error)
        message = f"{desk.account.name}: a signal of a shared strategy could not be planned: {type(error).__name__}: {error}"
        self.on_trouble("signal_failed", "critical", message, desk.account.account_id)

    def _stamp(self, name: str, parts: Sequence[_Part]) -> None:
        now = self.clock.monotonic()
        for part in parts:
            part.tracker.stamp(name, now)

    def _discard(self, tracker: Tracker, parts: Sequence[_Part]) -> None:
        """Nothing of it became durable: neither the signal nor what it was to be for others."""
        self.outcomes.discard(tracker)
        for part in parts[1:]:
            self.outcomes.discard(part.tracker)

    def _take_back(self, desk: Desk, signal: Signal, entries: Mapping[str, Decimal]) -> None:
        lane = self.lane(desk.account.account_id)
        if lane is not None:
            lane.put(TakeBack(self.exits, signal, entries))

    def _dispatch(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if order.state is OrderState.PLANNED:
                lane = self.lane(order.account_id)
                if lane is None:
                    continue
                if order.order_id in lane.desk.behind:
                    lane.put(GoBefore(order.order_id, lane.desk.position(order.position_key).opened_at))
                else:
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


def _copy(signal: Signal, user_id: str, key: str) -> Signal:
    """The same wish as another person's own signal. Its name is its key, which nobody can have chosen; what was sent by hand is not by *their* hand, so
    their auto-trade switch is asked; and the words of a person or a web hook stay with whoever wrote them."""
    by_strategy = signal.source is Source.STRATEGY
    return replace(
        signal,
        key=key,
        signal_id=key,
        user_id=user_id,
        source=Source.COPY if signal.source is Source.MANUAL else signal.source,
        account_ids=(),
        note=signal.note if by_strategy else "",
    )
