"""What the books of one account say: its orders, positions and plans, what of them is on its way, and what they are worth and block.

Reading only: whatever changes is in `desk`. Hold the lock for more than one question at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from engines.core import orders as order_rules
from engines.core import positions as position_rules
from engines.core import risk as risk_rules
from engines.core.model import (
    ZERO,
    Account,
    AccountDay,
    ExitPlan,
    ExitSpec,
    Fill,
    Instrument,
    Order,
    OrderState,
    PlanState,
    Position,
    PositionKey,
    Side,
    Signal,
    Timestamp,
)
from engines.core.orders import EventKind
from engines.core.reconcile import Difference
from engines.execution.views import PnlRow
from engines.ports import Balance, OrderReport

COINS = frozenset({"binance_spot", "paper"})
"""Where coins are held: there a fee may leave less than can be sold."""


@dataclass(slots=True)
class Book:
    """One position with what is needed to fold it again when a late fill comes."""

    opening: Position
    position: Position
    fills: list[Fill] = field(default_factory=list)


class Ledger:
    def __init__(self, account: Account, instrument: Callable[[str], Instrument | None], mark: Callable[[str], Decimal | None]) -> None:
        self.lock = threading.RLock()
        self.account = account
        self._instrument = instrument
        self._mark = mark
        self.orders: dict[str, Order] = {}  # live ones, and the settled ones of the session
        self.books: dict[PositionKey, Book] = {}
        self.plans: dict[PositionKey, ExitPlan] = {}
        # Units that plans which have fired let go of and that are still held, by plan id: also of those that another plan has replaced since, or that are done.
        self.fired_units: dict[PositionKey, dict[str, Decimal]] = {}
        self.specs: dict[str, ExitSpec] = {}  # by signal key, for fills that are still to come
        self.deadlines: dict[str, Timestamp] = {}  # by signal key: when what it opened is to leave, from its first fill on
        self.references: dict[str, Decimal] = {}  # order id → the price it was valued at when it was admitted
        self.written: dict[str, Timestamp] = {}  # planned orders whose bytes leave or have left → since when; set by the lane alone
        self.behind: set[str] = set()  # exits at the market that wait until those which rest at a price have made way for them
        self.taken_back: set[str] = set()  # orders whose end was asked for here; what its broker or the chaser ends is not among them
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
        self._by_broker_id: dict[str, str] = {}

    def live_orders(self) -> list[Order]:
        """Safe without the lock, which only several questions that must agree with one another need."""
        return [order for order_id in tuple(self._live) if (order := self.orders.get(order_id)) is not None]

    def key_of(self, signal: Signal) -> PositionKey:
        """The position that a signal is about on this account."""
        return PositionKey(self.account.account_id, signal.symbol, signal.product, signal.strategy_id)

    def position(self, key: PositionKey) -> Position:
        book = self.books.get(key)
        return book.position if book else position_rules.empty(key)

    def open_positions(self) -> list[Position]:
        held = [book.position for book in tuple(self.books.values()) if book.position.quantity]
        return [position for position in held if not self._is_dust(position)] if self.account.broker in COINS else held

    def holds(self, key: PositionKey) -> bool:
        """Whether there is anything of it that can be sold."""
        position = self.position(key)
        return bool(position.quantity) and not (self.account.broker in COINS and self._is_dust(position))

    def _is_dust(self, position: Position) -> bool:
        """Less of a coin than can be sold: what fees taken in the coin itself leave behind. It counts as flat."""
        instrument = self._instrument(position.key.symbol)
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
        """Whether this exit, planned a while ago, would with the others on their way take out more than is there by now, or than is there of its plan's."""
        key = order.position_key
        held, left = self.position(key).quantity, self.left_of(key, order.plan_id)
        behind = sum(
            (o.remaining for o in self.live_orders() if o.order_id in self.behind and o.position_key == key and o is not order), ZERO
        )
        return held * order.side.sign >= 0 or self._room(key) + behind < 0 or (left is not None and left < 0)

    def left_of(self, key: PositionKey, plan_id: str | None) -> Decimal | None:
        """Units that a plan which has fired let go of and that are neither gone nor leaving for it: whatever else is held was added since. None for a plan
        that has not fired, or of which that is not known."""
        units = self.fired_units.get(key, {}).get(plan_id or "")
        return None if units is None else units - sum((o.remaining for o in self.live_orders() if o.plan_id == plan_id), ZERO)

    def _note_fired(self, plan: ExitPlan) -> None:
        if plan.state is PlanState.STOPPED:
            self.fired_units.setdefault(plan.key, {}).setdefault(plan.plan_id, plan.quantity)

    def _note_left(self, order: Order, moved: Decimal, position: Position) -> None:
        """What has left of the units that fired plans let go of: what their own exits took out, and whatever is not held any more."""
        held = ZERO if self._is_dust(position) else abs(position.quantity)
        for plan_id, units in self.fired_units.get(position.key, {}).items():
            own = moved if order.plan_id == plan_id else ZERO
            self.fired_units[position.key][plan_id] = max(ZERO, min(units - own, held))

    def _forget_gone(self) -> None:
        self.fired_units = {key: left for key, plans in self.fired_units.items() if (left := {name: u for name, u in plans.items() if u})}

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
            mark = self._mark(position.key.symbol)
            if mark is not None:
                total += position.unrealised(mark)
        return total

    def pnl(self) -> PnlRow:
        return PnlRow(self.realised, self.unrealised(), self.charges)

    def equity(self) -> Decimal:
        """Capital plus everything ever earned: cash and what is held, at the newest prices."""
        held = ZERO
        for position in self.open_positions():
            mark = self._mark(position.key.symbol)
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
            instrument = self._instrument(position.key.symbol)
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
        instrument = self._instrument(order.symbol)
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
