"""What a lane does: connect, send, exit, cancel, modify, settle, flatten. Each job is one small object that runs on the lane's thread.

A job that cannot finish now puts itself back for later; none of them waits inside the lane. Exits, cancels and stops are urgent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

from engines.core.facts import PlanChanged
from engines.core.model import ZERO, ExitPlan, Order, OrderState, OrderType, PositionKey, Role, Timestamp
from engines.core.orders import EventKind
from engines.core.reconcile import reconcile
from engines.core.sessions import HOME_EXCHANGE, day_start
from engines.execution import refused
from engines.execution.compare import ComparePositions, compare_now
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.lane import Lane
from engines.execution.outcomes import Tracker
from engines.execution.views import BrokerAnswers, BrokerBook
from engines.execution.work import AfterDeath
from engines.ports import Halted, JournalDown, NeedsLogin, Refused, TandemError

SETTLE_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
FLATTEN_EVERY, FLATTEN_AT_LEAST = 0.3, 10.0
"""Seconds between two rounds: the first quickly one after the other, then ever less often, because what was refused ten times will be again."""
UNREADY_PAUSE = 2.0
"""Seconds between two looks while the account is not signed in or not reconciled."""
LOOK_EVERY = 10
"""Rounds between two looks at what the broker really holds, the first before the first close."""
LONGEST_WAIT, TOLD_AFTER = 1.0, 25
"""Seconds between two looks of an exit that waits for the answer to another, and the look with which a person is told (after some 20 seconds)."""
ABSENT, UNSENT = "the broker never had it: absent from two complete order books", "taken back before it was sent"
OUTGROWN = "taken back before it was sent: less is held by now"
LOOK_AGAIN = 60.0
"""Seconds after which the order book is read once more when an order was found not to have been placed: brokers have been seen to place late."""


@dataclass(slots=True)
class Send:
    """Place one planned order, trying again while the limiter or a broken connection holds it back."""

    order_id: str
    urgent: bool
    after_death: ClassVar[AfterDeath] = AfterDeath.GONE
    waited: bool = False  # for a session: what is held may have become less meanwhile

    def run(self, lane: Lane) -> None:
        desk = lane.desk
        if self.order_id in desk.written:
            return  # its bytes are out already
        if self.waited and desk.ready:
            self.waited = False
            if _taken_back_as_outgrown(desk, self.order_id):
                return
        pause = lane.send(self.order_id)
        if pause is not None:
            self.waited = self.waited or not desk.ready
            lane.put_later(self, pause)


def _taken_back_as_outgrown(desk: Desk, order_id: str) -> bool:
    """An exit that has waited never takes out more than is held by now; what is left of it is planned anew by whoever hears that it has ended."""
    with desk.lock:
        order = desk.orders.get(order_id)
        if order is None or order.raises_exposure or desk.may_have_left(order) or not desk.outgrown(order):
            return False
        desk.mark(order_id, EventKind.CANCELLED, {"message": OUTGROWN}, reason=OUTGROWN)
        return True


@dataclass(slots=True)
class Connect:
    """Sign in, find out what became of every order, and only then open the account for entries. Start and recovery are the same."""

    attempt: int = 0
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW
    done: threading.Event = field(default_factory=threading.Event)

    def run(self, lane: Lane) -> None:
        desk = lane.desk
        with desk.lock:
            for order in desk.live_orders():
                on_its_way = order.state in (OrderState.PLANNED, OrderState.SENDING) and desk.may_have_left(order)
                if not desk.ready and order.order_id != lane.current and on_its_way:
                    desk.mark(order.order_id, EventKind.LOST, {"message": "Tandem stopped before its outcome was known"})
        try:
            lane.broker.connect(lane.report)
        except (NeedsLogin, Refused) as error:
            lane.tools.on_needs_login(desk, str(error))
            self.done.set()
            return
        except (TandemError, OSError) as error:
            desk.state_detail = str(error)
            self._again(lane)
            return
        desk.needs_login = False
        if not settle(lane):
            self._again(lane)
            return
        _heed(lane)
        desk.ready, desk.state_detail = True, "ready"
        lane.tools.on_ready(desk)
        if desk.account.live:
            if any(isinstance(job, Send | Exit) and job.urgent for job in lane.box.waiting()):
                compare_now(lane, at_once=True)  # a person may have closed at the broker what these are to close
            lane.put(ComparePositions())
        if any(order.state is OrderState.UNKNOWN for order in desk.live_orders()):
            lane.put_later(Settle(), SETTLE_PAUSES[0])
        self.done.set()

    def _again(self, lane: Lane) -> None:
        lane.put_later(Connect(self.attempt + 1, done=self.done), min(0.5 * 2 ** min(self.attempt, 10), 30.0))


def _heed(lane: Lane) -> None:
    """What the broker's profile warns of; that it cannot be read is no reason not to trade."""
    if lane.desk.account.live:
        try:
            lane.desk.warnings = lane.broker.profile().warnings
        except (TandemError, OSError, ValueError):
            lane.desk.warnings = ()


@dataclass(slots=True)
class ReadBook:
    """Ask the broker for its own books, for a person to compare with ours; nothing of ours changes."""

    urgent: bool = False
    after_death: ClassVar[AfterDeath] = AfterDeath.GONE
    done: threading.Event = field(default_factory=threading.Event)
    book: BrokerBook | None = None
    error: str = ""

    def run(self, lane: Lane) -> None:
        try:
            self.book = BrokerBook(lane.broker.order_book(), lane.broker.positions())
        except (TandemError, OSError, ValueError) as error:
            self.error = str(error)
        self.done.set()


@dataclass(slots=True)
class Inspect:
    """Ask the broker for each thing that a trading day asks it for, so that a person sees which of them works; nothing of ours changes."""

    urgent: bool = False
    after_death: ClassVar[AfterDeath] = AfterDeath.GONE
    done: threading.Event = field(default_factory=threading.Event)
    answers: BrokerAnswers = field(default_factory=BrokerAnswers)

    def run(self, lane: Lane) -> None:
        broker = lane.broker
        for name, ask in (
            ("balance", broker.balance),
            ("orders", broker.order_book),
            ("positions", broker.positions),
            ("profile", broker.profile),
        ):
            try:
                setattr(self.answers, name, ask())
            except (TandemError, OSError, ValueError) as error:
                self.answers.errors[name] = str(error)
        self.done.set()


@dataclass(slots=True)
class Settle:
    """Ask the broker's order book what became of live orders, again and again while one of them is unknown.

    Only whoever asked last goes on asking: a stop that wants an order gone asks at each of its rounds, and must not bury the broker in questions."""

    attempt: int = 0
    urgent: bool = False
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW
    asker: int = 0

    def run(self, lane: Lane) -> None:
        if not self.attempt:
            self.asker = lane.box.askers = lane.box.askers + 1
        elif self.asker != lane.box.askers:
            return
        settle(lane)
        if any(order.state is OrderState.UNKNOWN for order in lane.desk.live_orders()):
            pause = SETTLE_PAUSES[min(self.attempt, len(SETTLE_PAUSES) - 1)]
            lane.put_later(Settle(self.attempt + 1, asker=self.asker), pause)


def settle(lane: Lane) -> bool:
    """One complete, healthy read of the order book applied to our orders; False when it could not be read (which proves nothing)."""
    desk = lane.desk
    with desk.lock:
        before = desk.session_orders()
    try:
        reports = lane.broker.order_book()
    except NeedsLogin as error:
        lane.tools.on_needs_login(desk, str(error))
        return False
    except (TandemError, OSError, ValueError) as error:
        if not desk.ready:  # one read that fails later is no state: whoever needs it asks again
            desk.state_detail = f"order book could not be read: {error}"
        return False
    now = lane.tools.clock.now()
    traits = lane.broker.traits
    since = day_start(now, HOME_EXCHANGE) if traits.daily_book else 0.0
    result = reconcile(before, reports, now, traits.absent_after, lane.absent_since, since, whole_day=traits.daily_book)
    lane.absent_since = dict(result.seen_absent)
    for _, report in result.updates:
        desk.on_report(report)
    for order in result.not_placed:
        desk.mark(order.order_id, EventKind.NOT_PLACED, {"message": ABSENT}, reason=ABSENT)
    if result.not_placed:
        lane.put_later(Settle(), LOOK_AGAIN)
    for order in result.missing:
        if traits.daily_book and order.created_at < since:  # day orders end with their session, and the new day's book begins without them
            desk.mark(order.order_id, EventKind.EXPIRED, {"message": "a day order of an earlier session"})
    for order, _ in result.contradictions:
        lane.tools.on_trouble(
            "contradiction", "critical", f"{order.symbol}: {order.state.value} with us, at work at the broker", order.account_id
        )
        lane.put(Cancel(order.order_id, anyway=True))
    for order, twins in result.doubles:
        lane.tools.on_trouble("double_order", "critical", f"{order.symbol}: {len(twins)} live orders carry one name", order.account_id)
    return True


@dataclass(slots=True)
class Cancel:
    """Ask the broker to cancel one order; the truth comes as a report."""

    order_id: str
    anyway: bool = False  # also when it is final with us: the broker still has it
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW
    done: threading.Event = field(default_factory=threading.Event)
    error: str = ""

    def run(self, lane: Lane) -> None:
        order = lane.desk.orders.get(self.order_id)
        if order is not None and (order.live or self.anyway):
            if (wait := lane.free_call()) > 0:
                lane.put_later(self, wait)
                return
            self.error = cancel_now(lane, order)
        self.done.set()


def cancel_now(lane: Lane, order: Order) -> str:
    """Cancel, in the lane. Empty when asked for, else the reason why not."""
    desk = lane.desk
    if order.state is OrderState.PLANNED and not desk.may_have_left(order):
        desk.mark(order.order_id, EventKind.CANCELLED, {"message": UNSENT}, reason=UNSENT)
        return ""
    request = lane.request_for(order)
    if order.broker_order_id is None or request is None:
        lane.put(Settle())
        return "the broker has not named this order yet; it is being looked for"
    try:
        lane.report(lane.broker.cancel(order.broker_order_id, request))
    except NeedsLogin as error:
        lane.tools.on_needs_login(desk, str(error))
        return str(error)
    except (TandemError, OSError) as error:
        lane.put(Settle())
        return str(error)
    return ""


def cancel_in_turn(lane: Lane, order: Order) -> str:
    """Cancel where the broker's rate allows it now; whoever asks looks again by itself."""
    return "waiting for the broker's order rate" if lane.free_call() > 0 else cancel_now(lane, order)


@dataclass(slots=True)
class Modify:
    order_id: str
    quantity: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.GONE
    done: threading.Event = field(default_factory=threading.Event)
    error: str = ""

    def run(self, lane: Lane) -> None:
        order = lane.desk.orders.get(self.order_id)
        request = lane.request_for(order) if order else None
        if order is None or request is None or not order.live or order.broker_order_id is None:
            self.error = "the order is no longer open"
        elif (wait := lane.free_call()) > 0:
            lane.put_later(self, wait)
            return
        else:
            self.error = self._ask(lane, order.broker_order_id, request_order=order)
        self.done.set()

    def _raises(self, order: Order) -> bool:
        """Whether an entry would be worth more than before."""
        before = order.quantity * (order.price or order.trigger_price or 1)
        after = (self.quantity or order.quantity) * (self.price or order.price or self.trigger_price or order.trigger_price or 1)
        return order.raises_exposure and after > before

    def _ask(self, lane: Lane, broker_order_id: str, request_order: Order) -> str:
        request = lane.request_for(request_order)
        if request is None:
            return "the instrument is not known"
        wanted = {"quantity": self.quantity, "price": self.price, "trigger_price": self.trigger_price}
        # A changed entry raises exposure as a new one does. How a broker changes an order is its adapter's business, so the gate is held for
        # the whole of it; a stop that comes meanwhile waits its moment and then cuts the connection.
        gate = lane.gate.permit(lambda: lane.why_not(request_order), _nothing, _nothing)() if self._raises(request_order) else nullcontext()
        try:
            with gate:
                report = lane.broker.modify(
                    broker_order_id, request, quantity=self.quantity, price=self.price, trigger_price=self.trigger_price
                )
        except Halted as error:
            return f"a stop forbids it ({error})"
        except (TandemError, OSError) as error:
            lane.put(Settle())
            return str(error)
        changes = {name: value for name, value in wanted.items() if value is not None}
        detail = {name: str(value) for name, value in changes.items()}
        lane.desk.mark(self.order_id, EventKind.ACCEPTED, {"modified": detail}, **changes)
        lane.report(report)
        return ""


def _nothing() -> None:
    """Nobody asks when the bytes of a change left."""


@dataclass(slots=True)
class Exit:
    """Take a position out, in whole or in part: a stop, a target, a close. It is planned here, at the last moment, so that it never exceeds
    what is held (law 7), journaled, and sent at once."""

    desk_exits: ExitDesk
    key: PositionKey
    role: Role
    quantity: Decimal | None = None
    plan: ExitPlan | None = None  # the plan as it is after firing: durable together with the exit it caused
    tracker: Tracker | None = None
    attempt: int = 0
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW_IF_UNMADE
    plan_id: str | None = None  # the exit plan that asks for it
    once: bool = False  # whoever asks looks again by itself
    not_before: float = 0.0  # monotonic; holds while the market is shut: it was refused a moment ago
    opened_at: Timestamp | None = (
        None  # since when the position is open that is to be taken out; where a plan asks for it, from the first look on
    )

    def run(self, lane: Lane) -> None:
        desk = lane.desk
        if self._is_over(desk):
            return
        if not desk.ready:
            lane.put_later(self, 0.2)
            return
        if lane.tools.clock.monotonic() < self.not_before and refused.is_shut(self.desk_exits.market(desk, self.key.symbol)):
            lane.put_later(self, refused.LOOK_EVERY)
            return
        if self.role is Role.EXIT and self.plan is None and not self.attempt:
            compare_now(lane, at_once=True)  # a person has the time to ask what is really there; a stop has not, its watch asks beforehand
        if not self.once and self._makes_way(lane):
            self._again(lane, 0.1)
            return
        if self._is_short(desk):
            self._wait(lane)
            return
        try:
            orders = self.desk_exits.plan(lane, self.key, self.quantity, self.role, self.tracker, self._facts(desk), self.plan_id)
        except JournalDown:
            self._again(lane, 0.25)  # nothing is sent that is not journaled; the gate is closed and the page says so
            return
        if orders is None:
            self._wait(lane)
            return
        for order in orders:
            Send(order.order_id, urgent=True).run(lane)

    def _is_over(self, desk: Desk) -> bool:
        """The position that was meant has ended while this exit waited: what is held since is another."""
        if self.plan_id is None and self.opened_at is None:
            return False
        with desk.lock:
            opened_at, held = desk.position(self.key).opened_at, desk.holds(self.key)
        before = self.opened_at
        self.opened_at = before or opened_at
        return before is not None and (not held or (opened_at is not None and opened_at > before))

    def _facts(self, desk: Desk) -> tuple[PlanChanged, ...]:
        """The plan that fired, as it is by now; one that has been replaced or has ended meanwhile says nothing any more."""
        now = desk.plans.get(self.key)
        return (PlanChanged(now),) if self.plan is not None and now is not None and now.plan_id == self.plan.plan_id else ()

    def _makes_way(self, lane: Lane) -> bool:
        """Asks what rests to be taken back; whether something of it is still in the way."""
        for order in (*self._resting_entries(lane.desk), *self._in_the_way(lane.desk)):
            cancel_in_turn(lane, order)
        return bool(self._in_the_way(lane.desk)) and self.attempt < 20

    def _resting_entries(self, desk: Desk) -> list[Order]:
        """A stop or square-off also takes back entries that would build the position up again."""
        if self.role not in (Role.STOP, Role.SQUARE_OFF):
            return []
        with desk.lock:
            mine = [order for order in desk.live_orders() if order.position_key == self.key and order.raises_exposure]
        return [order for order in mine if order.state is not OrderState.UNKNOWN]  # it is being looked for already

    def _in_the_way(self, desk: Desk) -> list[Order]:
        """Resting exits that hold what this one needs: they are cancelled first, so that both can never fill (law 9). One that follows a signal to close
        leaves alone what is at the market: that may be the signal's own."""
        follows = self.role is Role.EXIT and self.tracker is None
        with desk.lock:
            held = abs(desk.position(self.key).quantity)
            wanted = held if self.quantity is None else min(held, self.quantity)
            if held - desk.pending_exits(self.key) >= wanted:
                return []
            return [
                order
                for order in desk.live_orders()
                if order.position_key == self.key
                and not order.raises_exposure
                and order.state in (OrderState.OPEN, OrderState.PARTLY_FILLED)
                and (order.plan_id is None or order.plan_id != self.plan_id)  # what leaves for the same plan is leaving already
                and not (follows and order.order_type is OrderType.MARKET)
            ]

    def _is_short(self, desk: Desk) -> bool:
        """A target takes all of its share at once, or its rest would be neither sent nor under the stop again."""
        if self.role is not Role.TARGET or self.quantity is None:
            return False
        with desk.lock:
            held = abs(desk.position(self.key).quantity)
            return held - desk.pending_exits(self.key) < min(held, self.quantity)

    def _wait(self, lane: Lane) -> None:
        """What is held is promised to exits without an answer. A plan that has fired fires no second time, so this one stays until they have theirs."""
        if self.attempt == TOLD_AFTER:
            message = f"{self.key.symbol}: a {self.role.value} has fired and waits: what is held is promised to an exit without an answer"
            lane.tools.on_trouble("exit_failed", "critical", message, self.key.account_id)
        self._again(lane, min(0.1 * 1.3 ** min(self.attempt, 10), LONGEST_WAIT))

    def _again(self, lane: Lane, pause: float) -> None:
        if not self.once:
            lane.put_later(replace(self, attempt=self.attempt + 1), pause)


@dataclass(slots=True)
class Progress:
    """How far one account has come in a stop; read by the report, written only by the lane."""

    cancels: set[str] = field(default_factory=set)  # order ids
    closes: set[PositionKey] = field(default_factory=set)
    rounds: int = 0
    detail: str = ""


def pause_after(rounds: int) -> float:
    """Seconds until a flattening looks again: soon at first, then ever less often."""
    return min(FLATTEN_EVERY * 1.3 ** min(max(0, rounds - LOOK_EVERY), 20), FLATTEN_AT_LEAST)


@dataclass(slots=True)
class Flatten:
    """Cancel everything, then close everything, and look again until the account is verifiably flat.

    While `holds` says yes (a halt or kill switch) whatever else turns up is cancelled and closed too; a plain square-off (`holds` None) ends
    what was there when it began and nothing that came later. `strategy_id` narrows it to one strategy's orders and positions.
    """

    desk_exits: ExitDesk
    progress: Progress
    close: bool
    holds: Callable[[], bool] | None = None
    strategy_id: str | None = None
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW
    _orders: frozenset[str] | None = None
    _keys: frozenset[PositionKey] | None = None

    def run(self, lane: Lane) -> None:
        if self.holds is not None and not self.holds():
            return  # lifted by a person
        if self.holds is None and self._orders is None:
            self._orders = frozenset(order.order_id for order in lane.desk.live_orders())
            self._keys = frozenset(position.key for position in lane.desk.open_positions())
        if not lane.desk.needs_login:
            self._round(lane)
        if self._to_cancel(lane.desk) or self._to_close(lane.desk):
            lane.put_later(self, pause_after(self.progress.rounds) if lane.desk.ready else UNREADY_PAUSE)

    def _round(self, lane: Lane) -> None:
        for order in self._to_cancel(lane.desk):
            self._cancel(lane, order)
        if not lane.desk.ready:
            return  # what an unready lane is asked to close now it would do later, and then once too often
        self.progress.rounds += 1
        if self.close and self.progress.rounds % LOOK_EVERY == 1:
            compare_now(lane, at_once=True)
        for key in self._to_close(lane.desk):
            self._close(lane, key)

    def _to_cancel(self, desk: Desk) -> list[Order]:
        """Entries always; exits too when everything is to be closed, except our own square-offs on their way."""
        with desk.lock:
            return [
                order
                for order in desk.live_orders()
                if (order.raises_exposure or (self.close and order.role is not Role.SQUARE_OFF))
                and (self._orders is None or order.order_id in self._orders)
                and self.strategy_id in (None, order.strategy_id)
            ]

    def _to_close(self, desk: Desk) -> list[PositionKey]:
        if not self.close:
            return []
        with desk.lock:
            return [
                position.key
                for position in desk.open_positions()
                if (self._keys is None or position.key in self._keys) and self.strategy_id in (None, position.key.strategy_id)
            ]

    def _cancel(self, lane: Lane, order: Order) -> None:
        self.progress.detail = cancel_in_turn(lane, order)
        self.progress.cancels.add(order.order_id)

    def _close(self, lane: Lane, key: PositionKey) -> None:
        with lane.desk.lock:
            free = lane.desk.free_to_exit(key)
        self.progress.closes.add(key)
        if free > ZERO and refused.is_early(
            lane.desk, key, Role.SQUARE_OFF, self.desk_exits.market(lane.desk, key.symbol), lane.tools.clock.now()
        ):
            self.progress.detail = f"{key.symbol}: refused while its market is shut; asked for again when it opens"
        elif free > ZERO:
            Exit(self.desk_exits, key, Role.SQUARE_OFF, once=True).run(lane)
