"""How an account becomes ready, and what a person asks its broker to see whether it is: jobs of the lane that send no order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

from engines.core.model import OrderState
from engines.core.orders import EventKind
from engines.execution.compare import ComparePositions, compare_now
from engines.execution.jobs import SETTLE_PAUSES, Settle, settle
from engines.execution.lane import Lane
from engines.execution.views import BrokerAnswers, BrokerBook
from engines.execution.work import AfterDeath
from engines.ports import NeedsLogin, Refused, TandemError


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
        _look_at_what_is_held(lane)
        if desk.needs_login:
            self.done.set()
            return
        desk.ready, desk.state_detail = True, "ready"
        lane.tools.on_ready(desk)
        if desk.account.live:
            lane.put(ComparePositions())
        if any(order.state is OrderState.UNKNOWN for order in desk.live_orders()):
            lane.put_later(Settle(), SETTLE_PAUSES[0])
        self.done.set()

    def _again(self, lane: Lane) -> None:
        lane.put_later(Connect(self.attempt + 1, done=self.done), min(0.5 * 2 ** min(self.attempt, 10), 30.0))


def _look_at_what_is_held(lane: Lane) -> None:
    """A person may have closed at the broker what our books still hold, while nobody looked: the first stop that fires must know of it."""
    desk = lane.desk
    if desk.account.live and desk.open_positions():
        compare_now(lane, at_once=True, opening=True)
        if desk.suspected.keys() - desk.differences.keys():  # something was booked a moment ago
            compare_now(lane, at_once=True, opening=True)


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
