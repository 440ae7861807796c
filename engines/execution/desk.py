"""The books of one account in memory: orders, fills, positions, exit plans and what its limits have used up.

A desk is changed only under its own lock, which is never held during I/O, and every change leaves as facts for the journal in the
order in which it happened. It knows no broker and no thread; the lane and the feed call it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from engines.core import exits as exit_rules
from engines.core import orders as order_rules
from engines.core import positions as position_rules
from engines.core import risk as risk_rules
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
    PositionKey,
    Role,
    Side,
    Signal,
    Timestamp,
)
from engines.core.orders import EventKind
from engines.core.reconcile import Difference
from engines.core.sessions import DAY, Calendar, load_calendar, session_day
from engines.crashpoints import crash
from engines.execution.reported import news_of, with_charges
from engines.execution.views import PnlRow
from engines.ports import Balance, Clock, Ids, Journal, OrderReport

_LEFT = frozenset({EventKind.SENT, EventKind.ACCEPTED, EventKind.PARTLY_FILLED, EventKind.FILLED})
"""Events that show that an order has left; the first of them counts its trade (after a crash that may be the broker's word)."""


COINS = frozenset({"binance_spot", "paper"})
"""Where coins are held: there a fee may leave less than can be sold."""


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
    on_flat: Callable[[Order, Decimal, Decimal | None], None]  # the exit that closed a position, its price and what the position had cost
    on_trouble: Callable[[str, str, str, str | None], None]  # kind, severity, message, account id
    calendar: Callable[[], Calendar] = load_calendar


@dataclass(slots=True)
class Book:
    """One position with what is needed to fold it again when a late fill comes."""

    opening: Position
    position: Position
    fills: list[Fill] = field(default_factory=list)


class Desk:
    def __init__(self, account: Account, tools: DeskTools) -> None:
        self.lock = threading.RLock()
        self.account = account
        self.tools = tools
        self.orders: dict[str, Order] = {}  # live ones, and the settled ones of the session
        self.books: dict[PositionKey, Book] = {}
        self.plans: dict[PositionKey, ExitPlan] = {}
        self.specs: dict[str, ExitSpec] = {}  # by signal key, for fills that are still to come
        self.deadlines: dict[str, Timestamp] = {}  # by signal key: when what it opened is to leave, from its first fill on
        self.references: dict[str, Decimal] = {}  # order id → the price it was valued at when it was admitted
        self.written: dict[str, Timestamp] = {}  # planned orders whose bytes leave or have left → since when; set by the lane alone
        self.earlier: frozenset[str] = frozenset()  # orders that an earlier run has planned: they may have left
        self.counted: set[str] = set()  # signal keys that count as a trade of the session
        self.day = AccountDay(account.account_id, "")
        self.cash = ZERO  # cash flow − charges of every fill ever
        self.realised = ZERO  # of the session
        self.charges = ZERO  # of the session
        self.ready = False  # reconciled with its broker in this run
        self.state_detail = "starting"
        self.needs_login = False
        self.warnings: tuple[str, ...] = ()  # of the broker's profile
        self.funds: Balance | None = None  # the broker's own figures, as of the last comparison
        self.differences: Mapping[str, Difference] = {}  # symbol → what the broker says otherwise, seen twice
        self.suspected: Mapping[str, Difference] = {}  # seen once
        self.fills_booked = 0
        self.filled_at = 0.0  # monotonic
        self.counters: dict[str, int] = {}
        self._live: set[str] = set()
        self._unsaid: list[Fact] = []
        self._by_broker_id: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()

    # --- reading (hold the lock for more than one)

    def live_orders(self) -> list[Order]:
        return [self.orders[order_id] for order_id in self._live]

    def key_of(self, signal: Signal) -> PositionKey:
        """The position that a signal is about on this account."""
        return PositionKey(self.account.account_id, signal.symbol, signal.product, signal.strategy_id)

    def position(self, key: PositionKey) -> Position:
        book = self.books.get(key)
        return book.position if book else position_rules.empty(key)

    def open_positions(self) -> list[Position]:
        held = [book.position for book in self.books.values() if book.position.quantity]
        return [position for position in held if not self._is_dust(position)] if self.account.broker in COINS else held

    def holds(self, key: PositionKey) -> bool:
        """Whether there is anything of it that can be sold."""
        position = self.position(key)
        return bool(position.quantity) and not (self.account.broker in COINS and self._is_dust(position))

    def _is_dust(self, position: Position) -> bool:
        """Less of a coin than can be sold: what fees taken in the coin itself leave behind. It counts as flat."""
        instrument = self.tools.instrument(position.key.symbol)
        return instrument is not None and instrument.segment == "SPOT" and abs(position.quantity) < instrument.lot

    def pending_exits(self, key: PositionKey) -> Decimal:
        """Units that live exit orders may still take out of this position; an unknown order counts in full (the worst case)."""
        return sum(
            (o.remaining for o in self.live_orders() if o.position_key == key and not o.raises_exposure),
            ZERO,
        )

    def may_have_left(self, order: Order) -> bool:
        """Of a planned order of this run it is known whether its bytes have begun to leave; of one of an earlier run only its broker knows."""
        return order.state is not OrderState.PLANNED or order.order_id in self.written or order.order_id in self.earlier

    def free_to_exit(self, key: PositionKey) -> Decimal:
        """Units of this position that an exit may take out now: what is held, less what is leaving already, and where the broker has less than our
        books say, no more than it has (law 7)."""
        return max(ZERO, self._room(key))

    def outgrown(self, order: Order) -> bool:
        """Whether this exit, planned a while ago, would with the others on their way take out more than is there by now."""
        held = self.position(order.position_key).quantity
        return held * order.side.sign >= 0 or self._room(order.position_key) < 0

    def _room(self, key: PositionKey) -> Decimal:
        """As `free_to_exit`; below zero where more is on its way out than is there."""
        held = self.position(key).quantity
        free = abs(held) - self.pending_exits(key)
        difference = self.differences.get(key.symbol)
        if difference is not None and difference.less:
            leaving = sum((o.remaining for o in self.live_orders() if o.symbol == key.symbol and not o.raises_exposure), ZERO)
            there = difference.theirs if held > 0 else -difference.theirs
            free = min(free, max(ZERO, there) - leaving)
        return free

    def unrealised(self) -> Decimal:
        total = ZERO
        for position in self.open_positions():
            mark = self.tools.mark(position.key.symbol)
            if mark is not None:
                total += position.unrealised(mark)
        return total

    def pnl(self) -> PnlRow:
        return PnlRow(self.realised, self.unrealised(), self.charges)

    def equity(self) -> Decimal:
        """Capital plus everything ever earned: cash and what is held, at the newest prices."""
        held = ZERO
        for position in self.open_positions():
            mark = self.tools.mark(position.key.symbol)
            held += position.quantity * mark if mark is not None else position.open_cost
        return self.account.capital + self.cash + held

    def used_margin(self) -> Decimal:
        """Margin blocked by what is held and by entries that may still fill."""
        pending = sum((self.margin_of(order, order.remaining) for order in self.live_orders() if order.raises_exposure), ZERO)
        return self.position_margin() + pending

    def position_margin(self) -> Decimal:
        """Margin blocked by what is held."""
        used = ZERO
        for position in self.open_positions():
            instrument = self.tools.instrument(position.key.symbol)
            if instrument is not None:
                side = Side.BUY if position.quantity > 0 else Side.SELL
                used += risk_rules.margin_required(
                    instrument,
                    position.key.product,
                    side,
                    abs(position.open_cost),
                    self.account.leverage,
                    quantity=abs(position.quantity),
                )
        return used

    def margin_of(self, order: Order, quantity: Decimal) -> Decimal:
        instrument = self.tools.instrument(order.symbol)
        if instrument is None:
            return ZERO
        value = quantity * self.references.get(order.order_id, order.price or ZERO)
        return risk_rules.margin_required(instrument, order.product, order.side, value, self.account.leverage, quantity=quantity)

    def as_it_is(self, order: Order) -> Order:
        """The order as people are told of it: one whose bytes are out is `sending` to them from that moment on. In the books it becomes so later
        (see `sent`), because nothing may delay the write, and what the broker throttled may leave once more only while it is planned there."""
        at = self.written.get(order.order_id) if order.state is OrderState.PLANNED else None
        return order if at is None else order_rules.apply(order, EventKind.SENT, at) or order

    def session_orders(self) -> list[Order]:
        """Live ones and those that settled in this session."""
        return list(self.orders.values())

    def find(self, report: OrderReport) -> Order | None:
        """Our order behind a report: by the broker's id, else by the client id it carries."""
        order_id = self._by_broker_id.get(report.broker_order_id)
        if order_id is None and report.client_id is not None and report.client_id in self.orders:
            order_id = report.client_id
        return self.orders.get(order_id) if order_id else None

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
            self.deadlines = {key: deadline for key, deadline in self.deadlines.items() if deadline > now - DAY}
            self.tools.journal.append(DayChanged(self.day))
            return True

    def _forget_settled(self) -> None:
        for order_id in [key for key in self.orders if key not in self._live]:
            order = self.orders.pop(order_id)
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
            changed = self._apply(order, kind, facts, detail or {}, changes)
            self._publish(facts)
            return changed

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
            if order.state is OrderState.PLANNED:  # a push that is quicker than the lane: it proves that the order has left
                order = self._apply(order, EventKind.SENT, facts, {}, {}) or order
            if order.broker_order_id is None:
                order = self._adopt(order, report, facts)
            for fill in news_of(order, report, self._seen, self.tools.clock.now()):
                order = self._fill(order, fill, facts)
            kind = order_rules.from_report(order, report)
            if kind is not None:
                changes = {"reason": report.message} if report.message and kind is not EventKind.ACCEPTED else {}
                order = self._apply(order, kind, facts, {"message": report.message} if report.message else {}, changes) or order
            crash("after-booking-before-durable")
            self._publish(facts)
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

    def _fill(self, order: Order, fill: Fill, facts: list[Fact]) -> Order:
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
        if order_rules.overfilled(changed):
            self.tools.on_trouble("overfill", "critical", f"{order.symbol}: more was filled than ordered", order.account_id)
        entry_price = self.position(fill.position_key).average_price
        position = self._book(fill)
        detail = {"quantity": str(fill.quantity), "price": str(fill.price), "trade_id": fill.trade_id}
        facts.append(FillBooked(fill, changed, position, OrderEvent(order.order_id, kind.value, self.tools.clock.now(), detail)))
        self._guard(changed, fill, position, facts)
        if not position.quantity or self._is_dust(position):
            self.tools.on_flat(changed, fill.price, entry_price)
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
        plan = self.plans.get(position.key)
        if plan is not None and plan.state is PlanState.DONE:
            plan = None
        if not position.quantity or self._is_dust(position):
            if plan is not None:
                self._set_plan(exit_rules.close(plan, self.tools.clock.now()), facts)
            return
        spec = self.specs.get(order.signal_key)
        if order.role is Role.EXIT and plan is not None and plan.state is PlanState.ARMED:
            self._set_plan(exit_rules.shrink(plan, abs(fill.moved), self.tools.clock.now()), facts)
        if order.role is not Role.ENTRY or (plan is None and (spec is None or spec.empty)):
            return
        try:
            changed = self._plan_for(plan, order, fill, position, spec)
        except ValueError as error:
            self.tools.on_trouble("unguarded", "critical", f"{order.symbol}: no exit plan, {error}", order.account_id)
            return
        if changed is not None:
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
        self.plans[plan.key] = plan
        self._note_deadline(plan)
        if plan.state is not PlanState.ARMED:
            self.plans.pop(plan.key) if plan.state is PlanState.DONE else None
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
