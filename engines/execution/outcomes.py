"""What became of each signal: its orders as they are now, when they settled, and how the milliseconds were spent.

Keeps the signals of the present session in memory, so that a repeated signal is answered without a query and a person who waits is
woken the moment the last order settles. It decides nothing about orders.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice

from engines.core.facts import SignalTimed
from engines.core.model import UNSETTLED_STATES, Order, Signal
from engines.execution.views import SignalOutcome


class Tracker:
    """One signal on its way. All moments are milliseconds since it was received (monotonic clock)."""

    def __init__(self, signal: Signal, received: float) -> None:
        self.signal = signal
        self.received = received
        self.planned = threading.Event()  # its orders are known and durable
        self.settled = threading.Event()
        self.failed = False
        self.orders: dict[str, Order] = {}
        self._unsettled: set[str] = set()
        self._lock = threading.Lock()
        self._ms: dict[str, float] = {}
        self._timed = False

    def stamp(self, name: str, monotonic: float) -> None:
        """Note a moment; `first_…` keeps the earliest, everything else the latest (lanes race to stamp)."""
        ms = round((monotonic - self.received) * 1000, 3)
        keep = min if name.startswith("first_") else max
        with self._lock:
            self._ms[name] = keep(ms, self._ms.get(name, ms))

    def attach(self, orders: Iterable[Order]) -> None:
        with self._lock:
            for order in orders:
                if order.order_id not in self.orders:  # a lane that is quick may have told of it already
                    self._keep(order)
            self._settle()
        self.planned.set()

    def update(self, order: Order) -> None:
        """Keep the newest state of an order; called after it is durable, so that nobody is told what a crash could take back."""
        with self._lock:
            held = self.orders.get(order.order_id)
            if held is None or order.updated_at >= held.updated_at:
                self._keep(order)
            self._settle()

    def _keep(self, order: Order) -> None:
        self.orders[order.order_id] = order
        if order.state in UNSETTLED_STATES:
            self._unsettled.add(order.order_id)
        else:
            self._unsettled.discard(order.order_id)

    def _settle(self) -> None:
        if self._unsettled:
            self.settled.clear()
        else:
            self.settled.set()

    def timing(self) -> SignalTimed:
        ms = self._ms.get
        return SignalTimed(self.signal.key, ms("planned"), ms("journaled"), ms("first_sent"), ms("last_sent"), ms("last_acknowledged"))

    def take_timing(self) -> SignalTimed | None:
        """The timing, once, when the signal has settled (so that it is journaled a single time)."""
        with self._lock:
            if self._timed or not self.settled.is_set():
                return None
            self._timed = True
        return self.timing()

    def outcome(self, *, duplicate: bool = False) -> SignalOutcome:
        with self._lock:
            orders = tuple(self.orders.values())
        return SignalOutcome(
            key=self.signal.key,
            signal_id=self.signal.signal_id,
            received_at=self.signal.created_at,
            orders=orders,
            timing=self.timing(),
            duplicate=duplicate,
            settled=self.settled.is_set(),
        )


class OutcomeBoard:
    """Trackers by their two names. Bounded: the oldest settled ones go, the database still knows them."""

    def __init__(self, keep: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._keep = keep
        self._by_key: OrderedDict[str, Tracker] = OrderedDict()
        self._by_id: dict[tuple[str, str], Tracker] = {}

    def open(self, signal: Signal, received: float) -> tuple[Tracker, bool]:
        """The tracker of this signal and whether it is new; the same (user, signal id) always meets the same tracker."""
        with self._lock:
            existing = self._by_id.get((signal.user_id, signal.signal_id))
            if existing is not None:
                return existing, False
            tracker = Tracker(signal, received)
            self._by_key[signal.key] = tracker
            self._by_id[(signal.user_id, signal.signal_id)] = tracker
            self._trim()
            return tracker, True

    def discard(self, tracker: Tracker) -> None:
        """Forget a signal that never became durable; whoever waits for it is woken and told so."""
        with self._lock:
            self._by_key.pop(tracker.signal.key, None)
            self._by_id.pop((tracker.signal.user_id, tracker.signal.signal_id), None)
        tracker.failed = True
        tracker.planned.set()
        tracker.settled.set()

    def get(self, key: str) -> Tracker | None:
        return self._by_key.get(key)

    def _trim(self) -> None:
        """One that never settles keeps only itself."""
        excess = len(self._by_key) - self._keep
        if excess <= 0:
            return
        settled = (tracker for tracker in self._by_key.values() if tracker.settled.is_set())
        for tracker in list(islice(settled, excess)):
            del self._by_key[tracker.signal.key]
            self._by_id.pop((tracker.signal.user_id, tracker.signal.signal_id), None)
