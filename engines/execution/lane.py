"""The one worker of an account: every broker call goes through it, in order, exits before entries.

A lane is also the bulkhead: a broker that hangs keeps only its own account waiting. It holds no rule about orders: it asks the gate, calls the
broker and tells the desk what came back; whatever is not proof is unknown, and an unknown order is looked for, never sent again (law 1).
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import structlog

from engines.core.limiter import Limiter
from engines.core.model import Account, Denial, Order, OrderState, Role, Side
from engines.core.orders import EventKind
from engines.crashpoints import crash
from engines.execution.desk import Desk
from engines.execution.mailbox import Mailbox
from engines.execution.outcomes import OutcomeBoard, Tracker
from engines.execution.slots import AT_ONCE, Slots
from engines.execution.supervisor import Worker
from engines.execution.work import AfterDeath, Connecting, Job
from engines.ports import (
    Broker,
    Clock,
    Halted,
    NeedsLogin,
    OrderReport,
    OrderRequest,
    Refused,
    Retry,
    TandemError,
)

log = structlog.get_logger(__name__)

MOST_TRIES = 3
LONGEST_WAIT = 3.0
"""Seconds between two tries of an exit that cannot leave."""
NOT_READY_PAUSE = 0.2
KEEP_ALIVE_AFTER = 25.0
BEAT = 1.0
LAST_WRITE = 0.5
"""Seconds that a lane which is replaced has for the end of a write, once its connection is cut."""
LONGEST_FALL = 60.0
"""Seconds until a job of which the lane has died again and again is tried once more; the others go before it."""


@dataclass(frozen=True, slots=True)
class LaneTools:
    clock: Clock
    outcomes: OutcomeBoard
    denial: Callable[[Account, Order], Denial | None]
    on_trouble: Callable[[str, str, str, str | None], None]
    on_needs_login: Callable[[Desk, str], None]
    on_ready: Callable[[Desk], None]  # signed in and reconciled
    latency: Callable[[float], None]  # send → answer, in seconds
    settle: Callable[[], Job]  # the job that asks the broker what became of unknown orders
    quote: Callable[[str, Side], Decimal | None]  # what an order on this side would trade at now
    slots: Slots = field(default_factory=lambda: Slots(AT_ONCE))


class Lane:
    def __init__(
        self, desk: Desk, broker: Broker, tools: LaneTools, connecting: Connecting, box: Mailbox | None = None, exit_reserve: int = 2
    ) -> None:
        """`box`: of the lane that this one replaces."""
        self.desk = desk
        self.connecting = connecting
        """The lane's first job: whoever has just made the lane may wait for it."""
        self.broker = broker
        self.tools = replace(tools, on_needs_login=self._on_needs_login, on_ready=self._on_ready)
        self._told = tools
        self.box = box or Mailbox()
        self.gate = self.box.gate
        self.open = False  # signed in and reconciled, and not since told to sign in again
        traits = broker.traits
        self.limiter = Limiter(traits.orders_per_second, traits.burst, min(exit_reserve, max(0, traits.burst - 1)), traits.windows)
        self.current: str | None = None  # the order that is being placed
        self.in_flight: str | None = None  # the order whose bytes have been written and whose answer is awaited
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._busy = False
        self._last_call = 0.0
        self._tries: dict[str, int] = {}
        self._falls: dict[int, int] = {}  # jobs of which this lane has died → how often, until they come to an end
        self._ended = False
        self.absent_since: dict[str, float] = {}  # unknown orders → when they were first missing from a healthy order book

    # --- from any thread

    def put(self, job: Job) -> None:
        self.box.put(job)

    def put_later(self, job: Job, seconds: float) -> None:
        """Run the job after a pause; only the lane's own jobs ask for this."""
        self.box.put_later(job, self.tools.clock.monotonic() + seconds)
        if self.retired:
            self._forget_connecting()

    @property
    def retired(self) -> bool:
        """Another lane serves the account, or none: what this one still does is the end of what it was at."""
        return self.box.reader is not self

    def serve(self, *, connect: bool = True) -> None:
        """Take over whatever waits for the account, behind signing in."""
        self.box.serve(self, self.connecting if connect else None)
        if not connect:
            self.connecting.done.set()

    def end(self) -> None:
        """Take nothing more and let no order out any more; what is on the wire is cut, and what this lane was at goes on in the next one."""
        self.box.leave(self)
        self._forget_connecting()
        if self._ended:
            return
        self._ended = True
        try:
            self.broker.abort()  # closing alone would leave a read that waits for its answer waiting on
            self.gate.pass_through(LAST_WRITE)
            self.broker.close()
        except Exception:  # whatever a client does when it is closed, the account gets its next lane
            log.exception("a connection could not be closed", account=self.desk.account.account_id)

    def _forget_connecting(self) -> None:
        """Signing in again and again is this connection's alone; the next one signs in by itself."""
        self.box.forget(lambda job: getattr(job, "done", None) is self.connecting.done)

    def wake(self) -> None:
        self._wake.put(None)

    def depth(self) -> int:
        return self.box.depth()

    @property
    def idle(self) -> bool:
        return not self._busy and not self.box.depth()

    # --- the lane's own thread

    def loop(self, worker: Worker) -> None:
        self._busy = False
        while not worker.stopping:
            worker.beat()
            try:
                self._wake.get(timeout=self._nap())
            except queue.Empty:
                pass
            while (job := self._next(worker)) is not None:
                worker.beat()
                try:
                    job.run(self)
                except Exception:
                    self._fell(job)
                    raise
                finally:
                    self.box.put_down(self)
                if self._falls:
                    self._falls.pop(id(job), None)
                self._busy = False
            self._keep_alive()
        self._busy = False

    def _next(self, worker: Worker) -> Job | None:
        """`_busy` is set before the job leaves its queue, so that `idle` never lies."""
        if worker.stopping:
            return None
        self._busy = True
        job = self.box.take(self, self.tools.clock.monotonic())
        if job is None:
            self._busy = False
        return job

    def _nap(self) -> float:
        soonest = self.box.soonest
        if soonest is None:
            return BEAT
        return min(BEAT, max(0.001, soonest - self.tools.clock.monotonic()))

    def _fell(self, job: Job) -> None:
        """This lane dies of the job. What was on the wire is unknown now; what can be begun anew is, by this lane when it is back or by the next."""
        order_id = self.current
        again = job.after_death is not AfterDeath.GONE
        lost = {order_id} if order_id is not None else set()
        if again:
            lost |= self._left_behind(order_id, job)
        if again and not (lost and job.after_death is AfterDeath.ANEW_IF_UNMADE):
            falls = self._falls[id(job)] = self._falls.get(id(job), 0) + 1
            self.put_later(job, 0.0 if falls == 1 else min(2.0**falls, LONGEST_FALL))
        for name in lost:
            self.lost(name, "the lane died while sending")
        self.current = None
        self.box.release(order_id or "")

    def _left_behind(self, order_id: str | None, job: Job) -> set[str]:
        """Exits that a job of the lane had planned and not come to send: nobody else would."""
        sent_on = {getattr(other, "order_id", None) for other in self.box.waiting() if type(other).__name__ in ("Send", "GoBefore")}
        tracker: Tracker | None = getattr(job, "tracker", None)
        with self.desk.lock:
            order = self.desk.orders.get(order_id or "")
            keys = {order.signal_key if order else None, tracker.signal.key if tracker else None}
            planned = [each for each in self.desk.live_orders() if each.state is OrderState.PLANNED and not each.raises_exposure]
        return {each.order_id for each in planned if each.signal_key in keys or each.role is not Role.EXIT} - sent_on

    def _keep_alive(self) -> None:
        now = self.tools.clock.monotonic()
        if self.retired or not self.desk.ready or now - self._last_call < KEEP_ALIVE_AFTER:
            return
        self._last_call = now
        try:
            self.broker.keep_alive()
        except NeedsLogin as error:
            self.tools.on_needs_login(self.desk, str(error))
        except (TandemError, OSError) as error:
            log.info("keep-alive failed", account=self.desk.account.account_id, error=str(error))

    def _on_needs_login(self, desk: Desk, why: str) -> None:
        if not self.retired:  # the session that has ended is that of a connection which is gone
            self.open = False
            self._told.on_needs_login(desk, why)

    def _on_ready(self, desk: Desk) -> None:
        with self.box.lock:
            self.open = not self.retired
            now = self.box.reader
            desk.ready = now is not None and now.open  # a lane that was replaced while it signed in opens nothing for the next
        if self.open:
            self._told.on_ready(desk)

    # --- sending

    def send(self, order_id: str) -> float | None:
        """Place one planned order. None when it is done with; else the seconds after which to try again (nothing has left)."""
        if self.retired:
            return 0.0  # the next lane places it, with the connection of now
        if not self.box.claim(order_id):
            return NOT_READY_PAUSE
        self.current = order_id
        with self.desk.lock:  # whoever asks whether it may be changed takes it out of the books for a moment
            order = self.desk.orders.get(order_id)
        pause = self._try(order) if order is not None and order.state is OrderState.PLANNED else None
        self.current = None  # not in `finally`: when this lane dies, it must know whose outcome is open
        self.box.release(order_id)
        if pause is None:
            self._tries.pop(order_id, None)
        return pause

    def _try(self, order: Order) -> float | None:
        if not self.desk.ready:
            return self._not_ready(order)
        wait = self.limiter.wait(self.tools.clock.monotonic(), exit=not order.raises_exposure)
        if wait > 0:
            return wait
        request = self.request_for(order)
        if request is None:
            self._denied(order, Denial.NOT_CONNECTED.value)
            return None
        crash("in-lane-before-send")
        return self._place(order, request)

    def _not_ready(self, order: Order) -> float | None:
        """Before the first reconciliation, or without a session: entries end here, exits wait for the account to come back."""
        if not order.raises_exposure:
            return NOT_READY_PAUSE
        self._denied(order, Denial.NOT_CONNECTED.value)
        return None

    def request_for(self, order: Order) -> OrderRequest | None:
        instrument = self.desk.tools.instrument(order.symbol)
        if instrument is None:
            return None
        return OrderRequest(
            client_id=order.client_id,
            instrument=instrument,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            product=order.product,
            price=order.price,
            trigger_price=order.trigger_price,
            reduce_only=not order.raises_exposure,
            quote=self.tools.quote(order.symbol, order.side),
        )

    def free_call(self) -> float:
        """Seconds until the broker's published rate allows one more change of an order; 0.0: now, and it is counted."""
        return self.limiter.wait(self.tools.clock.monotonic(), exit=True)

    def _place(self, order: Order, request: OrderRequest) -> float | None:
        clock = self.tools.clock
        self._last_call = clock.monotonic()
        sent_at: list[float] = []
        answered_at = 0.0
        slot = self.tools.slots.take()

        def leaving() -> None:
            if self.retired:
                raise Retry("the account connects anew", after=0.0)
            self.desk.written[order.order_id] = clock.now()
            sent_at.append(clock.monotonic())

        def left() -> None:
            # Nothing but the write: what is done here delays the bytes of every lane that waits for its turn.
            slot.give_back()
            self.in_flight = order.order_id

        try:
            report = self.broker.place(request, self.gate.permit(lambda: self.why_not(order), leaving, left))
        except Halted as error:
            self._denied(order, str(error))
        except Exception as error:  # sorted by what it proves; whatever proves nothing is unknown (law 1)
            if sent_at and not isinstance(error, Retry | NeedsLogin):
                self.desk.sent(order.order_id)
            pause = self._failed(order, error, sent=bool(sent_at))
            if pause is not None:
                return pause
        else:
            answered_at = clock.monotonic()
            crash("after-answer-before-booking")
            self._book(report)
        finally:
            slot.give_back()
            self.in_flight = None
        self._stamp(order, sent_at, answered_at or clock.monotonic())
        return None

    def _book(self, report: OrderReport) -> None:
        """Booking takes its turn as writing does: answers that arrive together are read at once, and the books follow."""
        slot = self.tools.slots.take()
        try:
            self.desk.on_report(report)
        finally:
            slot.give_back()

    def note_in_flight(self) -> None:
        """An order whose answer takes its time is shown as on the wire; asked by the monitor, because the lane itself is waiting."""
        if self.in_flight is None:
            return
        with self.desk.lock:  # or it was taken back just now, to leave once more: see `_again`
            order_id = self.in_flight
            if order_id is not None:
                self.desk.sent(order_id)

    def why_not(self, order: Order) -> str | None:
        """Asked under the gate: only exposure-raising orders can be stopped here (law 7)."""
        if not order.raises_exposure:
            return None
        denial = self.tools.denial(self.desk.account, order)
        return denial.value if denial else None

    def _denied(self, order: Order, reason: str) -> None:
        self.desk.mark(order.order_id, EventKind.DENIED, {"reason": reason}, reason=reason)

    def _failed(self, order: Order, error: Exception, *, sent: bool) -> float | None:
        """What an order that got no report has come to; the pause before another try when nothing has left."""
        match error:
            case Refused():
                self.desk.mark(order.order_id, EventKind.REJECTED if sent else EventKind.DENIED, {"message": str(error)}, reason=str(error))
            case Retry():
                return self._again(order, error, sent)
            case NeedsLogin():
                self.tools.on_needs_login(self.desk, str(error))
                return self._again(order, error, sent)
            case _:
                log.warning("order outcome unknown", order=order.order_id, error=type(error).__name__)
                self.lost(order.order_id, f"{type(error).__name__}: {error}")
        return None

    def _again(self, order: Order, error: Retry | NeedsLogin, sent: bool) -> float | None:
        """Nothing was booked. Try again while it is still planned: an entry a few times, then say so and end it (at once without a session); an exit
        until it leaves or somebody takes it back, because whoever asked for it asks only once."""
        tries = self._tries[order.order_id] = self._tries.get(order.order_id, 0) + 1
        signed_out = isinstance(error, NeedsLogin)
        with self.desk.lock:
            self.in_flight = None  # from here on nobody books it as sent; an answer that took its time has it booked so already
            now = self.desk.orders.get(order.order_id)
            again = (
                now is not None
                and now.state is OrderState.PLANNED
                and (not order.raises_exposure or (tries < MOST_TRIES and not signed_out))
            )
            if again:
                self.desk.written.pop(order.order_id, None)
        if again:
            if signed_out or tries == MOST_TRIES:
                what = (
                    f"waits for the log-in: {error}. It leaves after it"
                    if signed_out
                    else f"cannot leave: {error}. It is tried until it does"
                )
                message = f"{order.symbol}: an exit {what}; cancel it here if you close the position elsewhere"
                self.tools.on_trouble("exit_waits", "critical", message, order.account_id)
            after = error.after if isinstance(error, Retry) else NOT_READY_PAUSE
            return max(after, min(after * 2.0 ** min(max(0, tries - MOST_TRIES), 10), LONGEST_WAIT))
        if sent:
            self.desk.sent(order.order_id)
        kind = EventKind.REJECTED if sent else EventKind.DENIED
        reason = str(error) if sent and not signed_out else Denial.NOT_CONNECTED.value
        self.desk.mark(order.order_id, kind, {"message": str(error)}, reason=reason)
        return None

    def lost(self, order_id: str, why: str) -> None:
        """Nobody can say whether the order exists: unknown, until the broker's own books prove one or the other."""
        changed = self.desk.mark(order_id, EventKind.LOST, {"message": why})
        if changed is not None:
            self.tools.on_trouble("unknown_order", "warning", f"{changed.symbol}: {why}; asking the broker", changed.account_id)
            self.put_later(self.tools.settle(), 0.2)

    def _stamp(self, order: Order, sent_at: list[float], answered_at: float) -> None:
        tracker = self.tools.outcomes.get(order.signal_key)
        if tracker is None or not sent_at:
            return
        tracker.stamp("first_sent", sent_at[0])
        tracker.stamp("last_sent", sent_at[0])
        tracker.stamp("last_acknowledged", answered_at)
        self.tools.latency(answered_at - sent_at[0])

    def report(self, report: OrderReport | None) -> None:
        if report is not None:
            self.desk.on_report(report)
