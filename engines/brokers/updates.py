"""What a broker tells of an account's orders, made whole and told once: pushes where they come, the order book where they do not, trades for both.

Fills carry the broker's own trade ids, always: a row that says "more has traded" is told only with its trades, and looked at again until they
add up. One thread for each account does the reading; it places nothing and changes nothing.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Protocol

import structlog

from engines.brokers import traffic
from engines.brokers.tools import Timing
from engines.core.model import FINAL_STATES, ZERO, OrderState
from engines.ports import BrokerFill, Clock, NeedsLogin, OrderReport, TandemError

log = structlog.get_logger(__name__)

KEPT_ORDERS = 4000
SHORT_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.0)
"""Seconds until trades are asked for again while they do not add up to what the order's row says."""
LOOK_AFTER = 2.5
"""Polls after which an order that was just placed or changed is looked at although pushes work."""
_STUCK_READ = 2.0


@dataclass(slots=True)
class _Known:
    client_id: str | None = None
    fills: dict[str, BrokerFill] = field(default_factory=dict)
    told: tuple[object, ...] | None = None


class OrderMemory:
    """What is known of each order of an account: the name we gave it, its trades, and what was last told. For the lane and the worker alike, from any
    thread; the oldest orders are forgotten beyond `KEPT_ORDERS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: OrderedDict[str, _Known] = OrderedDict()

    def name(self, broker_order_id: str, client_id: str) -> bool:
        """`place` has learned which order is ours. True when it was told before without its name, and must be told again."""
        with self._lock:
            known = self._of(broker_order_id)
            nameless = known.told is not None and known.client_id is None
            known.client_id = client_id
            if nameless:
                known.told = None
            return nameless

    def client_id(self, broker_order_id: str) -> str | None:
        with self._lock:
            known = self._orders.get(broker_order_id)
            return known.client_id if known else None

    def named(self) -> frozenset[str]:
        """Broker ids of the orders whose name we know."""
        with self._lock:
            return frozenset(i for i, known in self._orders.items() if known.client_id is not None)

    def add(self, fills: Mapping[str, Iterable[BrokerFill]]) -> None:
        """Trades by broker order id; a trade id that was seen before is the same trade."""
        with self._lock:
            for broker_order_id, news in fills.items():
                known = self._of(broker_order_id)
                for fill in news:
                    known.fills[fill.trade_id] = fill

    def short(self, rows: Iterable[OrderReport]) -> frozenset[str]:
        """Broker ids of the rows that say more has traded than the trades that are known."""
        with self._lock:
            return frozenset(
                row.broker_order_id
                for row in rows
                if row.filled_quantity > ZERO and self._filled(row.broker_order_id, row.fills) < row.filled_quantity
            )

    def whole(self, row: OrderReport) -> tuple[OrderReport, bool]:
        """The row as it may be told, with its name and all its trades, and whether they are all that it speaks of. While they are not, its end is not
        told either."""
        with self._lock:
            known = self._of(row.broker_order_id)
            for fill in row.fills:
                known.fills[fill.trade_id] = fill
            if known.client_id is None:
                known.client_id = row.client_id
            fills = tuple(known.fills.values())
            client_id = known.client_id
        filled = sum((fill.quantity for fill in fills), ZERO)
        complete = filled >= row.filled_quantity
        state = row.state if complete else OrderState.PARTLY_FILLED
        if state in (OrderState.OPEN, OrderState.PARTLY_FILLED):
            state = OrderState.PARTLY_FILLED if filled else OrderState.OPEN
            if complete and row.quantity is not None and filled >= row.quantity:
                state = OrderState.FILLED  # the trade book is quicker than the order book
        paid = sum((fill.quantity * fill.price for fill in fills), ZERO)
        average = paid / filled if filled else None
        return replace(row, client_id=client_id, state=state, filled_quantity=filled, average_price=average, fills=fills), complete

    def is_news(self, report: OrderReport) -> bool:
        """Whether it says something that was not told. An end that was told is the end: an older "at work" that comes later is not news."""
        with self._lock:
            known = self._orders.get(report.broker_order_id)
            if known is None or known.told is None:
                return True
            ended = known.told[0] in FINAL_STATES and report.state not in FINAL_STATES
            return known.told != _signature(report) and not ended

    def told(self, report: OrderReport) -> None:
        with self._lock:
            self._of(report.broker_order_id).told = _signature(report)

    def tell_again(self) -> None:
        """Somebody new listens: everything is news."""
        with self._lock:
            for known in self._orders.values():
                known.told = None

    def _of(self, broker_order_id: str) -> _Known:
        known = self._orders.get(broker_order_id)
        if known is None:
            known = self._orders[broker_order_id] = _Known()
            if len(self._orders) > KEPT_ORDERS:
                self._orders.popitem(last=False)
        return known

    def _filled(self, broker_order_id: str, more: Iterable[BrokerFill]) -> Decimal:
        known = self._orders.get(broker_order_id)
        fills = {**(known.fills if known else {}), **{fill.trade_id: fill for fill in more}}
        return sum((fill.quantity for fill in fills.values()), ZERO)


def _signature(report: OrderReport) -> tuple[object, ...]:
    return report.state, report.client_id, report.filled_quantity, len(report.fills), report.quantity, report.message


class Reads(Protocol):
    """What a worker asks of its adapter, on the worker's thread and over a wire of its own."""

    def rows(self) -> Sequence[OrderReport]:
        """The complete order book without trades: `filled_quantity` as its rows say it, `fills` empty (or what a row itself names)."""
        ...

    def fills(self, broker_order_ids: Collection[str]) -> Mapping[str, Sequence[BrokerFill]]:
        """The trades of these orders by broker order id; those of others may be among them."""
        ...


def tell_whole(
    memory: OrderMemory, rows: Sequence[OrderReport], fills: Callable[[Collection[str]], Mapping[str, Sequence[BrokerFill]]]
) -> list[OrderReport]:
    """A whole order book with its trades, which are read once where any are missing: what `order_book()` of an adapter answers."""
    if short := memory.short(rows):
        memory.add(fills(short))
    return [memory.whole(row)[0] for row in rows]


class Updates:
    """The order-update worker of one account.

    `push(row)` comes from a socket, `pushes(up)` says whether there is one that works; without it the book is read every `timing.poll` seconds while
    orders are at work, with it every `timing.safety_poll`. `watch` names an order that was placed or changed. News go to `deliver`, each once.
    A read that needs a sign-in ends the reading (`on_needs_login` is told) until `resume`.
    """

    def __init__(
        self,
        name: str,
        reads: Reads,
        deliver: Callable[[OrderReport], None],
        *,
        memory: OrderMemory,
        clock: Clock,
        rng: Random,
        timing: Timing,
        on_needs_login: Callable[[NeedsLogin], None] | None = None,
    ) -> None:
        self._name = name
        self._reads = reads
        self._deliver = deliver
        self._memory = memory
        self._clock = clock
        self._rng = rng
        self._timing = timing
        self._on_needs_login = on_needs_login
        self._inbox: queue.SimpleQueue[OrderReport | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self._look_at = float("inf")
        self._safety_at = 0.0
        self._up = False
        self._failures = 0
        self._stalled = False
        self._stopping = threading.Event()
        self._short: dict[str, OrderReport] = {}
        self._short_at = float("inf")
        self._short_tries = 0
        self._thread: threading.Thread | None = None

    # --- from any thread

    def start(self) -> None:
        self._look_at = self._clock.monotonic() + self._pause()
        self._thread = threading.Thread(target=self._run, name=f"updates-{self._name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; whoever owns the wire aborts it first, so that a read in progress ends too."""
        self._stopping.set()
        self._inbox.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STUCK_READ)

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def due(self) -> float:
        """When, by the clock's `monotonic`, the worker reads something by itself."""
        return min(self._look_at, self._short_at) if self._short else self._look_at

    def push(self, row: OrderReport) -> None:
        """A row as a socket told it, its trades not yet looked up."""
        self._inbox.put(row)

    def pushes(self, up: bool) -> None:
        """Whether a socket tells us news. What happened while there was none is looked up at once."""
        with self._lock:
            changed, self._up = up != self._up, up
        if changed:
            self.look(0.0 if up else self._timing.poll)

    def watch(self, broker_order_id: str) -> None:
        """An order is at work or on its way to change: news of it are expected."""
        with self._lock:
            self._at_work.add(broker_order_id)
        self.look(self._timing.poll * (LOOK_AFTER if self._up else 1))

    def look(self, after: float = 0.0) -> None:
        """Read the order book within so many seconds."""
        at = self._clock.monotonic() + after
        with self._lock:
            if at >= self._look_at:
                return
            self._look_at = at
        # The worker looks at its clock that often anyway: fifty orders at once must not wake fifty more threads.
        if after < self._timing.poll:
            self._inbox.put(None)

    def resume(self) -> None:
        """There is a session again."""
        self._stalled, self._failures = False, 0
        self.look()
        self._inbox.put(None)  # also where a look had been asked for meanwhile: whoever is stalled waits without an end

    # --- the worker's thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            rows = self._next_rows()
            if self._stopping.is_set():
                return
            try:
                self._step(rows)
            except Exception as error:  # told; one odd row must not end the news of an account
                log.error("order update failed", account=self._name, error=type(error).__name__)
                self._failed()

    def _next_rows(self) -> list[OrderReport]:
        """Waits for a push or until something is due; everything that has come meanwhile is taken together."""
        wait = float("inf") if self._stalled else self.due - self._clock.monotonic()
        rows: list[OrderReport] = []
        try:
            first = self._inbox.get(timeout=None if wait == float("inf") else min(max(0.0, wait), self._timing.poll))
            if first is not None:
                traffic.give_way()
            while True:
                if first is not None:
                    rows.append(first)
                first = self._inbox.get_nowait()
        except queue.Empty:
            return rows

    def _step(self, rows: list[OrderReport]) -> None:
        if rows:
            self._take(rows)
        now = self._clock.monotonic()
        if self._stalled:
            return
        try:
            if now >= self._look_at:
                if self._up and not self._at_work and now < self._safety_at:
                    self._look_at = self._safety_at  # what it was to look for has been told meanwhile
                else:
                    self._look()
            elif self._short and now >= self._short_at:
                self._look_for_trades(list(self._short.values()))
        except NeedsLogin as error:
            self._stall(error)
        except (TandemError, OSError, ValueError) as error:
            log.info("order updates could not be read", account=self._name, error=type(error).__name__)
            self._failed()

    def _look(self) -> None:
        with self._lock:
            self._look_at = float("inf")
            before = frozenset(self._at_work)
        rows = self._reads.rows()
        self._failures = 0
        self._take(rows)
        with self._lock:
            self._at_work -= before - {row.broker_order_id for row in rows if row.state not in FINAL_STATES} - self._short.keys()
            now = self._clock.monotonic()
            self._safety_at = now + self._timing.safety_poll
            self._look_at = min(self._look_at, now + self._pause())

    def _take(self, rows: Sequence[OrderReport]) -> None:
        """Tell rows; those whose trades are not known yet get them first."""
        news = [row for row in rows if self._is_news(row)]
        short = self._memory.short(news)
        if short and not self._stalled:
            self._short_tries = 0
            self._look_for_trades(news, short)
            return
        for row in news:
            self._tell(row)

    def _is_news(self, row: OrderReport) -> bool:
        """A row that, with the trades that are known, says nothing new needs no trades."""
        return self._memory.is_news(self._memory.whole(row)[0]) or bool(self._memory.short((row,)))

    def _look_for_trades(self, rows: Sequence[OrderReport], short: Collection[str] | None = None) -> None:
        asked = frozenset(self._short) if short is None else frozenset(short)
        try:
            self._memory.add(self._reads.fills(asked))
        except NeedsLogin as error:
            self._stall(error)
        except (TandemError, OSError, ValueError) as error:
            log.info("trades could not be read", account=self._name, error=type(error).__name__)
        for row in rows:
            self._tell(row)
        pause = SHORT_PAUSES[min(self._short_tries, len(SHORT_PAUSES) - 1)]
        self._short_tries = self._short_tries + 1 if self._short else 0
        self._short_at = self._clock.monotonic() + pause if self._short else float("inf")

    def _tell(self, row: OrderReport) -> None:
        report, complete = self._memory.whole(row)
        if complete:
            kept = self._short.get(row.broker_order_id)
            if kept is None or kept.filled_quantity <= report.filled_quantity:
                self._short.pop(row.broker_order_id, None)
        else:
            self._short[row.broker_order_id] = row
            self._short_at = min(self._short_at, self._clock.monotonic() + SHORT_PAUSES[0])
        with self._lock:
            if report.state in FINAL_STATES:
                self._at_work.discard(row.broker_order_id)
            else:
                self._at_work.add(row.broker_order_id)
        if not self._memory.is_news(report):
            return
        self._deliver(report)
        self._memory.told(report)

    def _pause(self) -> float:
        if self._failures:
            steps = self._timing.poll * 2 ** min(self._failures, 6)
            return float(min(steps, self._timing.safety_poll) * self._rng.uniform(0.7, 1.0))
        return self._timing.poll if self._at_work and not self._up else self._timing.safety_poll

    def _failed(self) -> None:
        self._failures += 1
        with self._lock:
            self._look_at = self._clock.monotonic() + self._pause()
            if self._short:
                self._short_at = self._look_at

    def _stall(self, error: NeedsLogin) -> None:
        self._stalled = True
        if self._on_needs_login is not None:
            self._on_needs_login(error)
