"""What follows when an exit of our own fails, and when a strategy's position is gone without the strategy having said so.

Called under the lock of the desk where it happened, so everything here only hands over: to the plan, to a lane, to the strategies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from engines.core import exits as exit_rules
from engines.core import reentry
from engines.core.model import (
    ZERO,
    Denial,
    ExitPlan,
    Incident,
    Order,
    OrderState,
    OrderType,
    PlanState,
    PositionKey,
    Role,
    Side,
    Source,
    Timestamp,
)
from engines.core.positions import position_id
from engines.core.reasons import MARKET_CHANGED
from engines.execution import refused
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.incidents import EXIT_MISSING, IncidentLog
from engines.execution.jobs import OUTGROWN
from engines.execution.lane import Lane
from engines.execution.leaving import Exit
from engines.execution.outcomes import OutcomeBoard
from engines.ports import Clock

_LEGS = {Role.STOP: reentry.STOP, Role.TARGET: reentry.TARGET}
_NUMBER = re.compile(r"\d[\d.,:]*")
_RESTS = frozenset({OrderState.OPEN, OrderState.PARTLY_FILLED})

LOOK_EVERY, LEFT_FOR, UNSURE_FOR = 0.5, 1.0, 15.0
"""Seconds between two looks at what has fired and is still there; for which nobody must be on the way for it, because an exit may just be being made;
and until it leaves though the broker does not say what it holds."""


@dataclass(slots=True)
class _Left:
    """A plan that has fired and still holds something."""

    since: float  # monotonic
    missed: Decimal = ZERO  # units that targets had let go of and nobody took out, at the last look


@dataclass(frozen=True, slots=True)
class _Unclosed:
    """What an exit was to take out and did not: one signal's, whose parts may fail one after the other."""

    message: str
    side: Side  # the exit's
    units: Decimal
    since: Timestamp
    signal_key: str = ""


@dataclass(slots=True)
class Aftermath:
    clock: Clock
    outcomes: OutcomeBoard
    desks: Callable[[], Sequence[Desk]]
    lane: Callable[[str], Lane | None]
    exits: ExitDesk
    tell_flat: Callable[[str, str, float, Timestamp, str, Decimal | None], None]  # strategy, symbol, price, moment, leg, entry price
    on_trouble: Callable[[str, str, str, str | None], None]
    incidents: IncidentLog
    _looked_at: float = 0.0
    _left: dict[str, _Left] = field(default_factory=dict)  # by plan id
    # How things stand, and why exits were said to have ended since they stand so.
    _told: dict[PositionKey, tuple[object, set[object]]] = field(default_factory=dict)
    _unclosed: dict[PositionKey, _Unclosed] = field(default_factory=dict)

    def restore(self, incidents: Sequence[Incident]) -> None:
        """After a restart, once the books are there: what was held without its exit still is, until a look says otherwise."""
        held = {position.position_id: position for desk in self.desks() for position in desk.open_positions()}
        for incident in incidents:
            about = self.incidents.take_up(incident)
            position = held.get(about)
            if position is None:
                self.incidents.resolve(EXIT_MISSING, about=about)
                continue
            side = Side.SELL if position.quantity > 0 else Side.BUY
            self._unclosed[position.key] = _Unclosed(incident.message, side, abs(position.quantity), incident.since)

    def step(self) -> None:
        """Called a few times a second: what has fired and is still there, with nobody on the way for it, is asked out anew. So it is after a restart,
        and where a job was lost."""
        now = self.clock.monotonic()
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        self._look_at_unclosed()
        left = {plan.plan_id: (desk, lane, plan) for desk in self.desks() for lane, plan in self._left_on(desk)}
        for plan_id in self._left.keys() - left.keys():
            self._left.pop(plan_id, None)
        for plan_id, (desk, lane, plan) in left.items():
            market = self.exits.market(desk, plan.key.symbol)
            seen = self._left.setdefault(plan_id, _Left(now))
            if now - seen.since < (LEFT_FOR if _is_sure(desk, plan.key.symbol) else UNSURE_FOR) or market is None or not market.open:
                continue
            with desk.lock:
                if desk.plans.get(plan.key) is not plan:
                    continue  # it has just changed
                rest = rest_of(desk, plan) if plan.state is PlanState.STOPPED else missed_by_targets(desk, plan)
            if plan.state is PlanState.ARMED:  # a target that fires at this moment is handed over in the next
                rest, seen.missed = min(rest, seen.missed), rest
            if rest <= 0:
                continue
            what = f"{plan.key.symbol}: its exit plan has fired and did not take everything out: asked for again"
            self.on_trouble("exit_failed", "critical", what, plan.key.account_id)
            role = Role.TARGET if plan.state is PlanState.ARMED else exit_rules.leaves_as(plan)
            opened_at = desk.position(plan.key).opened_at
            lane.put(Exit(self.exits, plan.key, role, rest, plan, plan_id=plan_id, opened_at=opened_at))

    def _left_on(self, desk: Desk) -> list[tuple[Lane, ExitPlan]]:
        lane = self.lane(desk.account.account_id)
        with desk.lock:
            fired = [plan for plan in desk.plans.values() if _is_left(desk, plan)]
            if not fired or lane is None or not desk.ready:
                return []
            asked = {job.plan_id for job in lane.box.at_work() if isinstance(job, Exit)}
            return [(lane, plan) for plan in fired if plan.plan_id not in asked]

    def _look_at_unclosed(self) -> None:
        """What an exit did not take out needs a person, told or not, until it has left, or is under a plan or an exit that rests."""
        desks = {desk.account.account_id: desk for desk in self.desks()}
        for key, unclosed in list(self._unclosed.items()):
            desk = desks.get(key.account_id)
            if desk is None:
                self._closed(key)
                continue
            with desk.lock:
                if self._unclosed.get(key) is not unclosed:
                    continue  # it has just changed
                if _is_over(desk, key, unclosed):
                    self._closed(key)
                else:
                    whose, about = desk.account.user_id, position_id(key)
                    self.incidents.raise_(EXIT_MISSING, "critical", unclosed.message, key.account_id, user_id=whose, about=about)

    def _closed(self, key: PositionKey) -> None:
        if self._unclosed.pop(key, None) is not None:
            self.incidents.resolve(EXIT_MISSING, about=position_id(key))

    def _note_unclosed(self, order: Order, message: str) -> None:
        if order.reason == OUTGROWN:
            return  # what it was for has gone
        key, before = order.position_key, self._unclosed.get(order.position_key)
        more = before.units if before is not None and before.signal_key == order.signal_key else ZERO
        self._unclosed[key] = _Unclosed(message, order.side, order.remaining + more, self.clock.now(), order.signal_key)

    def exit_failed(self, desk: Desk, order: Order) -> None:
        """An exit ended without filling: a target goes back under its stop; a stop, or what had left when the stop fired, is tried again as a stop."""
        plan = desk.plans.get(order.position_key)
        if order.role is Role.EXIT and (order.state is OrderState.CANCELLED or plan is None or plan.state is not PlanState.STOPPED):
            if not self._asked_anew(desk, order):
                self._tell_what_stays(desk, order)  # nobody tries it again
            return
        if not order.remaining or order.reason == MARKET_CHANGED:
            return
        market = self.exits.market(desk, order.symbol)
        if order.role is Role.TARGET and plan is not None and plan.state is PlanState.ARMED:
            self._tell(order)
            desk.replace_plan(exit_rules.give_back(plan, order.remaining, self.clock.now()))
            return
        shut, opened_at = refused.is_shut(market), desk.position(order.position_key).opened_at
        self._tell_once(desk, order, shut)
        lane = self.lane(order.account_id)
        # A square-off of the account looks again by itself until it is flat; one by the deadline of a plan is tried again here.
        if lane is None or opened_at is None or (order.role is Role.SQUARE_OFF and order.plan_id is None):
            return
        role = Role.SQUARE_OFF if order.role is Role.SQUARE_OFF else Role.STOP
        pause = refused.pause_after(len(refused.refusals(desk, order.position_key, role)), shut=shut)
        plan_id = order.plan_id or (plan.plan_id if plan is not None else None)
        again = Exit(self.exits, order.position_key, role, order.remaining, plan_id=plan_id, opened_at=opened_at)
        if shut:
            again.not_before = self.clock.monotonic() + pause
        lane.put_later(again, min(pause, refused.LOOK_EVERY) if shut else pause)

    def _tell(self, order: Order) -> None:
        self.on_trouble("exit_failed", "critical", _ended(order), order.account_id)

    def _tell_once(self, desk: Desk, order: Order, shut: bool) -> None:
        """What is tried again and again is told again when something has changed: the words of the refusal but for numbers in them, how much is held,
        whether the market is open."""
        standing = (desk.position(order.position_key).quantity, shut)
        cause = (order.role, order.state, _NUMBER.sub("", order.reason or ""))
        self._note_unclosed(order, f"{_ended(order)}; what it was to close is held until another leaves")
        told = self._told.get(order.position_key)
        if told is None or told[0] != standing:
            told = self._told[order.position_key] = (standing, set())
        if cause not in told[1]:
            told[1].add(cause)
            self._tell(order)

    def _asked_anew(self, desk: Desk, order: Order) -> bool:
        """An exit at the market that only the end of a session has kept from leaving, or that nobody here has ended: what of it can still leave does,
        after the log-in or in a moment."""
        signed_out = order.state is OrderState.REJECTED and order.reason == Denial.NOT_CONNECTED.value
        lane, position = self.lane(order.account_id), desk.position(order.position_key)
        left = min(order.remaining, desk.free_to_exit(order.position_key)) if position.quantity * order.side.sign < 0 else ZERO
        if lane is None or order.order_type is not OrderType.MARKET or not left:
            return False
        again = Exit(self.exits, order.position_key, Role.EXIT, left, attempt=1, opened_at=position.opened_at)
        if signed_out or order.reason == OUTGROWN:
            lane.put(again)
            return True
        shut = refused.is_shut(self.exits.market(desk, order.symbol))
        known = order.order_id not in desk.earlier  # else an earlier run may have asked for its end
        if order.state is not OrderState.CANCELLED or shut or not known or self._was_expected(desk, order):
            return False
        self._tell_once(desk, order, shut)
        ended = [each for each in desk.session_orders() if each.position_key == order.position_key and each.state is OrderState.CANCELLED]
        lane.put_later(again, refused.pause_after(len(ended), shut=False))
        return True

    def _was_expected(self, desk: Desk, order: Order) -> bool:
        """A person sees what becomes of their own close, and what is taken back here has been asked to be; a strategy asks once and goes on."""
        tracker = self.outcomes.get(order.signal_key)
        by_hand = tracker is not None and tracker.signal.source is Source.MANUAL
        return order.reason != OUTGROWN and (by_hand or (order.state is OrderState.CANCELLED and order.order_id in desk.taken_back))

    def _tell_what_stays(self, desk: Desk, order: Order) -> None:
        if self._was_expected(desk, order) or not order.remaining or not desk.holds(order.position_key):
            return
        what = f"{_ended(order)}; what it was to close is held, and nothing closes it"
        self.on_trouble("exit_failed", "critical", what, order.account_id)
        self._note_unclosed(order, what)

    def flat(self, order: Order, price: Decimal, entry_price: Decimal | None) -> None:
        """A stop, a target or a person has closed what a strategy held: once no account holds any of it, the strategy is told."""
        self._told.pop(order.position_key, None)
        self._closed(order.position_key)
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


def _ended(order: Order) -> str:
    return f"{order.symbol}: an exit ended as {order.state.value}: {order.reason or ''}"


def _is_over(desk: Desk, key: PositionKey, unclosed: _Unclosed) -> bool:
    """Whether what was to leave has left, by whatever exit, or is guarded again. What rests is known for sure once the broker has said so."""
    exits = [order for order in desk.session_orders() if order.position_key == key and not order.raises_exposure]
    since = [order for order in exits if order.created_at >= unclosed.since and order.signal_key != unclosed.signal_key]
    taken = sum((order.filled_quantity for order in since), ZERO)
    resting = sum((order.remaining for order in exits if desk.ready and order.state in _RESTS), ZERO)
    plan, instrument = desk.plans.get(key), desk.tools.instrument(key.symbol)
    guarded = exit_rules.guarded(plan) if plan is not None else ZERO
    held = -desk.position(key).quantity * unclosed.side.sign
    left = min(held, unclosed.units - taken) - resting - guarded
    return not desk.holds(key) or left <= 0 or (instrument is not None and left < instrument.lot)


def rest_of(desk: Desk, plan: ExitPlan) -> Decimal:
    """What of the plan's units nobody takes out: neither what leaves at the market already, nor what was added to the position after it had fired."""
    out = [order for order in desk.live_orders() if order.position_key == plan.key and not order.raises_exposure]
    leaving = sum((order.remaining for order in out if order.order_type is OrderType.MARKET), ZERO)
    own = sum((order.remaining for order in out if order.plan_id == plan.plan_id), ZERO)
    return min(abs(desk.position(plan.key).quantity) - leaving, plan.quantity - own)


def missed_by_targets(desk: Desk, plan: ExitPlan) -> Decimal:
    """What targets that have fired let go of, no order takes out, and the stop does not guard either."""
    mine = [order for order in desk.session_orders() if order.position_key == plan.key and not order.raises_exposure]
    leaving = sum((order.remaining for order in mine if order.live and order.order_type is OrderType.MARKET), ZERO)
    taken = sum(
        (order.filled_quantity + (order.remaining if order.live else ZERO) for order in mine if order.plan_id == plan.plan_id), ZERO
    )
    guarded = exit_rules.guarded(plan)
    missed = min(abs(desk.position(plan.key).quantity) - guarded - leaving, plan.quantity - guarded - taken)
    return missed if missed >= plan.lot else ZERO


def _is_left(desk: Desk, plan: ExitPlan) -> bool:
    """Whether the plan has let go of something that is still held; one look at the position where nothing of it has fired."""
    if plan.state is PlanState.STOPPED:
        return desk.holds(plan.key)
    return any(target.fired for target in plan.targets) and abs(desk.position(plan.key).quantity) > exit_rules.guarded(plan)


def _is_sure(desk: Desk, symbol: str) -> bool:
    """Whether the broker has said since the start that it holds what our books say, or how much of it: selling what is gone opens a short."""
    return not desk.account.live or (desk.funds is not None and (symbol in desk.differences or symbol not in desk.suspected))
