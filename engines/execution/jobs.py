"""What a lane does with orders: send, look for, cancel, modify. Each job is one small object that runs on the lane's thread.

A job that cannot finish now puts itself back for later; none of them waits inside the lane. Exits, cancels and stops are urgent. What signs in is in
`connecting`, what takes positions out in `leaving`.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from engines.core.model import Order, OrderState, Timestamp
from engines.core.orders import EventKind
from engines.core.reconcile import reconcile
from engines.core.sessions import HOME_EXCHANGE, day_start
from engines.execution.compare import compare_now
from engines.execution.desk import Desk
from engines.execution.lane import NOT_READY_PAUSE, Lane
from engines.execution.planning import only_smaller
from engines.execution.resting import resting_exits
from engines.execution.work import AfterDeath
from engines.ports import Halted, NeedsLogin, TandemError

LONG_WAIT = 5.0
"""Seconds that an exit may wait until what its broker holds is looked at once more, and between two such looks."""
LONGEST_LOOK, TOLD_AFTER = 1.0, 25
"""Seconds between two looks of an exit at the market at those that rest before it, and the look with which a person is told (after some 20 seconds)."""
SETTLE_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
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
    waited: bool = False  # what is held may have become less meanwhile
    looked_at: float | None = None  # monotonic: since when nobody has asked the broker what it holds

    def run(self, lane: Lane) -> None:
        desk = lane.desk
        if self.order_id in desk.written:
            return  # its bytes are out already
        if self.waited and desk.ready:
            self.waited = False
            self._look_again(lane)
            if _taken_back_as_outgrown(desk, self.order_id):
                return
        pause = lane.send(self.order_id)
        if pause is not None:
            self.waited = True
            self.looked_at = lane.tools.clock.monotonic() if self.looked_at is None else self.looked_at
            lane.put_later(self, pause)

    def _look_again(self, lane: Lane) -> None:
        """An exit that waits long may find that a person has closed at the broker what it is to close."""
        now = lane.tools.clock.monotonic()
        with lane.desk.lock:
            order = lane.desk.orders.get(self.order_id)
        if order is not None and not order.raises_exposure and self.looked_at is not None and now - self.looked_at >= LONG_WAIT:
            self.looked_at = now
            compare_now(lane, at_once=True)


def _taken_back_as_outgrown(desk: Desk, order_id: str) -> bool:
    """An exit that has waited never takes out more than is held by now; what is left of it is planned anew by whoever hears that it has ended."""
    with desk.lock:
        order = desk.orders.get(order_id)
        if order is None or order.raises_exposure or desk.may_have_left(order) or not desk.outgrown(order):
            return False
        desk.mark(order_id, EventKind.CANCELLED, {"message": OUTGROWN}, reason=OUTGROWN)
        return True


@dataclass(slots=True)
class GoBefore:
    """Send a planned exit at the market once those that rest at a price have made way for it: they are taken back first, so that both can never fill. It is
    an order like any other meanwhile: on record, shown, and looked for after a crash."""

    order_id: str
    opened_at: Timestamp | None  # of the position that is meant
    looks: int = 0
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW

    def run(self, lane: Lane) -> None:
        desk = lane.desk
        with desk.lock:
            order = desk.orders.get(self.order_id)
        if order is None or self.order_id not in desk.behind:
            return
        if desk.position(order.position_key).opened_at != self.opened_at:
            cancel_now(lane, order)  # what is held since is another position
        elif not desk.ready:
            lane.put_later(self, NOT_READY_PAUSE)
        elif not self._is_next(lane, order):
            self._wait(lane, order)

    def _is_next(self, lane: Lane, order: Order) -> bool:
        """Whether nothing is before it any more; what is held by then it is weighed against as it leaves."""
        desk = lane.desk
        if desk.outgrown(order):
            with desk.lock:
                resting = resting_exits(desk, order.position_key)
            for other in resting:
                if other.state not in (OrderState.SENDING, OrderState.UNKNOWN):  # these are being looked for already
                    cancel_in_turn(lane, other)
        with desk.lock:
            if desk.outgrown(order) and resting_exits(desk, order.position_key):
                return False
            desk.behind.discard(self.order_id)
        lane.put(Send(self.order_id, urgent=True, waited=True))
        return True

    def _wait(self, lane: Lane, order: Order) -> None:
        self.looks += 1
        if self.looks == TOLD_AFTER:
            what = f"{order.symbol}: a close at the market waits: what rests at its price holds the same units and cannot be taken back"
            lane.tools.on_trouble("exit_failed", "critical", what, order.account_id)
        lane.put_later(self, min(0.1 * 1.3 ** min(self.looks, 10), LONGEST_LOOK))


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
    wanted: bool = True  # that it ends; False: what it was to do is to be asked for anew
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW
    done: threading.Event = field(default_factory=threading.Event)
    error: str = ""

    def run(self, lane: Lane) -> None:
        with lane.desk.lock:
            order = lane.desk.orders.get(self.order_id)
        if order is not None and (order.live or self.anyway):
            if (wait := lane.free_call()) > 0:
                lane.put_later(self, wait)
                return
            self.error = cancel_now(lane, order, wanted=self.wanted)
        self.done.set()


def cancel_now(lane: Lane, order: Order, *, wanted: bool = True) -> str:
    """Cancel, in the lane. Empty when asked for, else the reason why not."""
    desk = lane.desk
    if wanted:
        desk.taken_back.add(order.order_id)
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

    def _ask(self, lane: Lane, broker_order_id: str, request_order: Order) -> str:
        request = lane.request_for(request_order)
        if request is None:
            return "the instrument is not known"
        wanted = {"quantity": self.quantity, "price": self.price, "trigger_price": self.trigger_price}
        changes: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        # A changed entry raises exposure as a new one does. How a broker changes an order is its adapter's business, so the gate is held for
        # the whole of it; a stop that comes meanwhile waits its moment and then cuts the connection.
        asks = request_order.raises_exposure and not only_smaller(request_order, replace(request_order, **changes))
        gate = lane.gate.permit(lambda: lane.why_not(request_order), _nothing, _nothing)() if asks else nullcontext()
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
        detail = {name: str(value) for name, value in changes.items()}
        lane.desk.mark(self.order_id, EventKind.ACCEPTED, {"modified": detail}, **changes)
        lane.report(report)
        return ""


def _nothing() -> None:
    """Nobody asks when the bytes of a change left."""
