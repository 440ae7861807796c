"""The books of one account in memory: orders, fills, positions, exit plans and what its limits have used up.

A desk is changed only under its own lock, which is never held during I/O, and every change leaves as facts for the journal in the
order in which it happened. It knows no broker and no thread; the lane and the feed call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from engines.core import exits as exit_rules
from engines.core import orders as order_rules
from engines.core import positions as position_rules
from engines.core.facts import DayChanged, Fact, FillBooked, OrderChanged, PlanChanged
from engines.core.model import (
    FINAL_STATES,
    ZERO,
    Account,
    AccountDay,
    ExitPlan,
    ExitSpec,
    Fill,
    Instrument,
    Order,
    OrderEvent,
    OrderState,
    PlanState,
    Position,
    Role,
    Timestamp,
)
from engines.core.orders import EventKind
from engines.core.sessions import DAY, Calendar, load_calendar, session_day
from engines.crashpoints import crash
from engines.execution.ledger import Book, Ledger
from engines.execution.reported import news_of, with_charges
from engines.ports import Clock, Ids, Journal, OrderReport

_LEFT = frozenset({EventKind.SENT, EventKind.ACCEPTED, EventKind.PARTLY_FILLED, EventKind.FILLED})
"""Events that show that an order has left; the first of them counts its trade (after a crash that may be the broker's word)."""
_Closed = tuple[Order, Decimal, Decimal | None]
"""The exit that closed a position, its price and what the position had cost."""


@dataclass(frozen=True, slots=True)
class DeskTools:
    """What every desk is handed: where facts go, where prices and instruments come from, and who wants to hear of changes."""

    journal: Journal
    clock: Clock
    ids: Ids
    instrument: Callable[[str], Instrument | None]
    mark: Callable[[str], Decimal | None]
    on_durable: Callable[[Desk, Sequence[Fact]], None]
    on_plan: Callable[[Desk, ExitPlan], None]
    on_exit_failed: Callable[[Desk, Order], None]
    on_flat: Callable[[Order, Decimal, Decimal | None], None]  # as in `_Closed`, once it is journaled
    on_trouble: Callable[[str, str, str, str | None], None]  # kind, severity, message, account id
    calendar: Callable[[], Calendar] = load_calendar


class Desk(Ledger):
    def __init__(self, account: Account, tools: DeskTools) -> None:
        super().__init__(account, tools.instrument, tools.mark)
        self.tools = tools
        self._unsaid: list[Fact] = []
        self._seen: set[tuple[str, str]] = set()

    # --- recovery

    def restore(
        self,
        *,
        orders: Iterable[Order],
        specs: Mapping[str, ExitSpec],
        opening: Iterable[Position],
        fills: Iterable[Fill],
        booked: Iterable[tuple[str, str]],
        plans: Iterable[ExitPlan],
        day: AccountDay | None,
        cash: Decimal,
    ) -> None:
        """Take over what the journal knows. Orders that were on their way become unknown when the lane starts, not here."""
        with self.lock:
            self.specs.update(specs)
            self.cash = cash
            self.day = day or self.day
            for position in opening:
                self.books[position.key] = Book(position, position)
            self._seen.update(booked)
            for fill in fills:
                self._seen.add((fill.order_id, fill.trade_id))
                self._book(fill)
            orders = list(orders)
            self.earlier = frozenset(order.order_id for order in orders)
            for order in orders:
                self._keep(order)
                if order.raises_exposure and order.sent_at is not None:
                    self.counted.add(order.signal_key)
            for plan in plans:
                if plan.state is PlanState.ARMED or exit_rules.still_leaving(plan, self.position(plan.key)):
                    self.plans[plan.key] = plan
                    self._note_deadline(plan)
                    self._note_fired(plan)

    def open_day(self, now: Timestamp, exchange: str = "NSE") -> bool:
        """Begin a new session's counts when a new day has come; True when it did. A clock that jumps back begins nothing a second time."""
        today = session_day(now, exchange)
        with self.lock:
            if today <= self.day.day:
                return False
            first = not self.day.day
            self.day = AccountDay(self.account.account_id, today)
            self.counted.clear()
            self.realised = self.charges = ZERO if not first else self.realised
            for key, book in list(self.books.items()):
                self.books[key] = Book(book.position, book.position)
            self._forget_settled()
            self._forget_gone()
            self.deadlines = {key: deadline for key, deadline in self.deadlines.items() if deadline > now - DAY}
            self.tools.journal.append(DayChanged(self.day))
            return True

    def _forget_settled(self) -> None:
        for order_id in [key for key in self.orders if key not in self._live]:
            order = self.orders.pop(order_id)
            self.taken_back.discard(order_id)
            self.references.pop(order_id, None)
            if order.broker_order_id:
                self._by_broker_id.pop(order.broker_order_id, None)

    # --- admitting

    def admit(self, order: Order, reference: Decimal) -> None:
        """Reserve: from now on this order counts in every limit, until it ends."""
        with self.lock:
            self.references[order.order_id] = reference
            self._keep(order)

    def forget(self, orders: Iterable[Order]) -> None:
        """Release what was reserved for orders that never became durable."""
        with self.lock:
            for order in orders:
                self.orders.pop(order.order_id, None)
                self._live.discard(order.order_id)
                self.behind.discard(order.order_id)
                self.references.pop(order.order_id, None)

    def trades_today(self) -> int:
        """Entries that were sent, and those on their way: what max_trades_per_day is measured against."""
        waiting = {
            o.signal_key
            for o in self.live_orders()
            if o.raises_exposure and o.state is OrderState.PLANNED and o.signal_key not in self.counted
        }
        return self.day.trades + len(waiting)

    # --- events

    def mark(self, order_id: str, kind: EventKind, detail: Mapping[str, Any] | None = None, **changes: Any) -> Order | None:
        """Apply an event that is not a fill; None when the table does not allow it (then nothing changes and it is counted)."""
        with self.lock:
            order = self.orders.get(order_id)
            if order is None:
                return None
            facts: list[Fact] = []
            try:
                return self._apply(order, kind, facts, detail or {}, changes)
            finally:
                self._publish(facts)

    def sent(self, order_id: str) -> None:
        """The order's bytes have been written, at the moment that the lane has noted. Journaled with whatever comes next: see `say`."""
        with self.lock:
            order = self.orders.get(order_id)
            if order is not None and order.state is OrderState.PLANNED:
                self._apply(order, EventKind.SENT, self._unsaid, {}, {})

    def on_report(self, report: OrderReport) -> Order | None:
        """What the broker says: fills first, then its state. Repeats and late news change nothing twice (law 3)."""
        with self.lock:
            order = self.find(report)
            if order is None:
                self._count("strangers")
                if report.filled_quantity:
                    self._count("strangers_traded")
                return None
            facts: list[Fact] = []
            flat: list[_Closed] = []
            try:
                order = self._heed(order, report, facts, flat)
                crash("after-booking-before-durable")
            finally:
                self._publish(facts)  # whoever listens may fail: what is booked is journaled all the same
            for closed in flat:
                self.tools.on_flat(*closed)
            return order

    def _heed(self, order: Order, report: OrderReport, facts: list[Fact], flat: list[_Closed]) -> Order:
        if order.state is OrderState.PLANNED:  # a push that is quicker than the lane: it proves that the order has left
            order = self._apply(order, EventKind.SENT, facts, {}, {}) or order
        if order.broker_order_id is None:
            order = self._adopt(order, report, facts)
        for fill in news_of(order, report, self._seen, self.tools.clock.now()):
            order = self._fill(order, fill, facts, flat)
        kind = order_rules.from_report(order, report)
        if kind is not None:
            changes = {"reason": report.message} if report.message and kind is not EventKind.ACCEPTED else {}
            order = self._apply(order, kind, facts, {"message": report.message} if report.message else {}, changes) or order
        return order

    def _adopt(self, order: Order, report: OrderReport, facts: list[Fact]) -> Order:
        """The first time the broker names our order: keep its id, and leave sending/unknown by evidence."""
        now = self.tools.clock.now()
        changed = self._apply(
            order,
            EventKind.ACCEPTED,
            facts,
            {"broker_order_id": report.broker_order_id},
            {"broker_order_id": report.broker_order_id, "acknowledged_at": order.acknowledged_at or now},
        )
        if changed is None:
            changed = replace(order, broker_order_id=report.broker_order_id)
            self._keep(changed)
        return changed

    def _fill(self, order: Order, fill: Fill, facts: list[Fact], flat: list[_Closed]) -> Order:
        """Book a fill that is new. Nobody is called between the books and `facts`: whoever fails would part them."""
        if (fill.order_id, fill.trade_id) in self._seen:
            return order
        applied = order_rules.apply_fill(order, fill)
        if applied is None:
            self._count("illegal_events")
            return order
        self._seen.add((fill.order_id, fill.trade_id))
        self.fills_booked += 1
        self.filled_at = self.tools.clock.monotonic()
        self._account_for(fill)
        fill = with_charges(fill, order, self.tools.instrument(fill.symbol), self.account.broker)
        changed, kind = applied
        self._keep(changed)
        entry_price = self.position(fill.position_key).average_price
        position = self._book(fill)
        detail = {"quantity": str(fill.quantity), "price": str(fill.price), "trade_id": fill.trade_id}
        facts.append(FillBooked(fill, changed, position, OrderEvent(order.order_id, kind.value, self.tools.clock.now(), detail)))
        if order_rules.overfilled(changed):
            self.tools.on_trouble("overfill", "critical", f"{order.symbol}: more was filled than ordered", order.account_id)
        self._guard(changed, fill, position, facts)
        if not position.quantity or self._is_dust(position):
            flat.append((changed, fill.price, entry_price))
        return changed

    def _account_for(self, fill: Fill) -> None:
        """What of ours traded at the broker has moved its position too: a known difference stays what it is."""
        moved = self.differences.get(fill.symbol)
        if moved is not None:
            changed = replace(moved, ours=moved.ours + fill.moved, theirs=moved.theirs + fill.moved)
            self.differences = {**self.differences, fill.symbol: changed}

    def _book(self, fill: Fill) -> Position:
        """Fold the fill into its position; a fill older than the newest one folds the session again, so that order never matters."""
        key = fill.position_key
        book = self.books.get(key)
        if book is None:
            flat = position_rules.empty(key)
            book = self.books[key] = Book(flat, flat)
        before = book.position
        order = position_rules.fill_order
        late = bool(book.fills) and order(fill) < order(book.fills[-1])
        book.fills.append(fill)
        if late:
            book.fills.sort(key=order)
            book.position = position_rules.fold(book.opening, book.fills)
        else:
            book.position = position_rules.book(before, fill)
        after = book.position
        self.cash += (after.cash_flow - after.charges) - (before.cash_flow - before.charges)
        self.realised += after.realised - before.realised
        self.charges += after.charges - before.charges
        return after

    def _guard(self, order: Order, fill: Fill, position: Position, facts: list[Fact]) -> None:
        """Arm, grow or close the exit plan of the position that this fill has changed."""
        self._note_left(order, abs(fill.moved), position)
        plan = self.plans.get(position.key)
        if plan is not None and plan.state is PlanState.DONE:
            plan = None
        if not position.quantity or self._is_dust(position):
            if plan is not None:
                self._set_plan(exit_rules.close(plan, self.tools.clock.now()), facts)
            return
        spec = self.specs.get(order.signal_key)
        if plan is not None and not order.raises_exposure:
            self._let_go(plan, order, abs(fill.moved), abs(position.quantity), facts)
        if order.role is not Role.ENTRY or (plan is None and (spec is None or spec.empty)):
            return
        try:
            changed = self._plan_for(plan, order, fill, position, spec)
        except ValueError as error:
            self.tools.on_trouble("unguarded", "critical", f"{order.symbol}: no exit plan, {error}", order.account_id)
            return
        if changed is not None:
            self._set_plan(changed, facts)

    def _let_go(self, plan: ExitPlan, order: Order, moved: Decimal, held: Decimal, facts: list[Fact]) -> None:
        """Less is held: a plan that has fired asks for less by that, and one that is armed guards what is left. What its own targets take out it has let go
        of when they fired."""
        now, own = self.tools.clock.now(), order.plan_id == plan.plan_id
        if plan.state is PlanState.STOPPED:
            changed = exit_rules.gone(plan, moved if own else ZERO, held, now)
        elif own or order.role is Role.TARGET:
            return
        else:
            changed = exit_rules.shrink(plan, moved, now)
        if changed is not plan:
            self._set_plan(changed, facts)

    def _plan_for(self, plan: ExitPlan | None, order: Order, fill: Fill, position: Position, spec: ExitSpec | None) -> ExitPlan | None:
        now = self.tools.clock.now()
        instrument = self.tools.instrument(order.symbol)
        entry = position.average_price
        if instrument is None or entry is None:
            return None
        if plan is not None and plan.side is order.side and plan.state is PlanState.ARMED:
            return exit_rules.grow(plan, abs(fill.moved), entry, now)
        return exit_rules.make_plan(
            self.tools.ids.new(),
            position.key,
            order.user_id,
            order.side,
            entry,
            abs(position.quantity),
            spec or ExitSpec(),
            instrument,
            now,
            order.signal_key,
            at_fill=True,
            deadline=self.deadlines.get(order.signal_key),  # more of an entry whose plan has fired: its time runs on
            calendar=self.tools.calendar(),
        )

    def _set_plan(self, plan: ExitPlan, facts: list[Fact]) -> None:
        before = self.plans.get(plan.key)
        if before is not None and before.plan_id != plan.plan_id:  # the new one guards all that is held: the old one never comes back
            self._tell_plan(exit_rules.close(before, self.tools.clock.now()), facts)
        elif before is not None and before.state is PlanState.ARMED and plan.state is PlanState.STOPPED:
            held = abs(self.position(plan.key).quantity)  # what its targets have taken out already it does not ask for
            plan = exit_rules.gone(plan, ZERO, held, plan.updated_at) if held else plan
        self.plans[plan.key] = plan
        self._note_deadline(plan)
        self._note_fired(plan)
        if plan.state is not PlanState.ARMED:
            self.plans.pop(plan.key) if plan.state is PlanState.DONE else None
        self._tell_plan(plan, facts)

    def _tell_plan(self, plan: ExitPlan, facts: list[Fact]) -> None:
        facts.append(PlanChanged(plan))
        self.tools.on_plan(self, plan)

    def _note_deadline(self, plan: ExitPlan) -> None:
        if plan.deadline is not None and plan.signal_key:
            self.deadlines[plan.signal_key] = plan.deadline
        else:
            self.deadlines.pop(plan.signal_key, None)

    def replace_plan(self, plan: ExitPlan, *, journal: bool = True) -> None:
        """Keep a plan that moved (trailing, a person's edit); `journal=False` when its fact travels with the exit it caused."""
        with self.lock:
            facts: list[Fact] = []
            self._set_plan(plan, facts)
            if journal:
                self._publish(facts)

    def _apply(
        self, order: Order, kind: EventKind, facts: list[Fact], detail: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Order | None:
        now = self.tools.clock.now()
        if kind is EventKind.SENT:  # booked when there is time for it or proof of it, and told with the moment at which it was so
            now = self.written.pop(order.order_id, now)
        changed = order_rules.apply(order, kind, now, **changes)
        if changed is None:
            self._count("illegal_events")
            return None
        self._keep(changed)
        facts.append(OrderChanged(changed, OrderEvent(order.order_id, kind.value, now, dict(detail))))
        self._count_trade(changed, kind, facts)
        if changed.state in FINAL_STATES and changed.state is not OrderState.FILLED and not changed.raises_exposure:
            self.tools.on_exit_failed(self, changed)
        return changed

    def _count_trade(self, order: Order, kind: EventKind, facts: list[Fact]) -> None:
        """max_trades_per_day counts entries that were sent; one the broker refused or never got is given back."""
        if not order.raises_exposure:
            return
        if kind in _LEFT and order.signal_key not in self.counted:
            self.counted.add(order.signal_key)
            self.day = replace(self.day, trades=self.day.trades + 1)
        elif kind in (EventKind.REJECTED, EventKind.NOT_PLACED) and order.signal_key in self.counted:
            if any(o.signal_key == order.signal_key and o.order_id != order.order_id for o in self.orders.values()):
                return
            self.counted.discard(order.signal_key)
            self.day = replace(self.day, trades=max(0, self.day.trades - 1))
        else:
            return
        facts.append(DayChanged(self.day))

    def set_day(self, day: AccountDay) -> None:
        with self.lock:
            self.day = day
            self.tools.journal.append(DayChanged(day))

    def _keep(self, order: Order) -> None:
        self.orders[order.order_id] = order
        if order.broker_order_id:
            self._by_broker_id[order.broker_order_id] = order.order_id
        if order.live:
            self._live.add(order.order_id)
        else:
            self._live.discard(order.order_id)
            self.behind.discard(order.order_id)
            self.references.pop(order.order_id, None)
            self.written.pop(order.order_id, None)

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def say(self) -> None:
        """Journal what was held back. That an order is on the wire need not be durable by itself (a planned order and a sending one are recovered
        alike), so it waits for the answer, or for the next look of the monitor: the disk is left to those who must not send before it."""
        with self.lock:
            self._publish([])

    def _publish(self, facts: list[Fact]) -> None:
        facts = self._unsaid + facts
        self._unsaid = []
        if facts:
            told = tuple(facts)
            self.tools.journal.append(*told, then=lambda: self.tools.on_durable(self, told))
