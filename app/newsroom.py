"""The newsroom: puts what has happened into words and sets it on its ways, in a thread of its own, off the order path.

It waits until there is a last word (or an honest "unknown"), freezes what is said, and never sends anything: that is the dispatcher's. What is not put
into words when the program ends is when it starts again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Protocol

from app.data import Data, NotFound, Wanting
from app.data.outbox import EVERYBODY, OWNERS, NewMessage, Send
from app.data.reporting import NamedAccount
from engines.brokers.makers import currency_of
from engines.core.messages import Event, Message, Tone
from engines.core.model import (
    FINAL_STATES,
    ExitPlan,
    Halt,
    HaltScope,
    Order,
    OrderState,
    OrderType,
    PlanState,
    Role,
    Signal,
    Source,
    Timestamp,
)
from engines.core.sessions import HOME_EXCHANGE, midnight
from engines.execution.supervisor import Supervisor, Worker
from engines.notify import notices, words
from engines.notify.quiet import expires_at, not_before
from engines.notify.words import AccountNews
from engines.ports import Clock, JournalDown
from engines.system import TradingSystem

log = logging.getLogger("tandem.newsroom")

NAME = "newsroom"
POLL = 0.5
PAGE = 500
CALM, HURRY = (10, 0.002), (50, 0.0005)
"""Messages that are frozen in one transaction, and the rest after each of them: whoever sends orders needs the interpreter and the journal's writer more.
So an hour's worth of news does not slow down one order, and ten thousand at once are told in some ten seconds."""
GATHER = 0.5  # seconds after the last word of an order
UNKNOWN_FOR = 2.0  # seconds an order must be unknown before that is told
SIGNAL_WAITS = 30.0  # seconds after which a summary does not wait any longer
RESTS_AFTER = 2.0  # seconds after which a limit order counts as resting
LASTS = 5.0  # seconds that trouble must last to be worth telling
ONE_TIME = 60.0  # seconds by which the engines' clock and the wall may differ while both tell the time of now
OLD_DAY = 31 * 86_400.0  # a day further back has no year in its title, and is told no more; that it is told once is on record for longer
_AT_ONCE = frozenset({"limit_warning", "limit_reached", "combined_left"})
_STATE_OF = {
    "f": OrderState.FILLED,
    "c": OrderState.CANCELLED,
    "r": OrderState.REJECTED,
    "u": OrderState.UNKNOWN,
    "e": OrderState.EXPIRED,
    "n": OrderState.NOT_PLACED,
}


Rest = Callable[[float], bool]
"""Waits so many seconds and says whether to leave it at that."""


def _no_rest(_: float) -> bool:
    return False


class Books(Protocol):
    """What the engines know of accounts, from memory."""

    def balance(self, account_id: str) -> Decimal | None:
        """Its equity now; None when the account is not there."""
        ...

    def segment(self, symbol: str) -> str:
        """Of an instrument; empty when nobody knows it."""
        ...

    def tick(self, symbol: str) -> Decimal | None:
        """The smallest step of an instrument's price; None when nobody knows it."""
        ...

    def guard(self, order: Order) -> tuple[Decimal | None, tuple[Decimal, ...]]:
        """Stop and targets that guard what this order opened; nothing where that cannot be said for sure."""
        ...


@dataclass(frozen=True, slots=True)
class LiveBooks:
    system: TradingSystem

    def balance(self, account_id: str) -> Decimal | None:
        desk = self.system.roster.desk(account_id)
        if desk is None:
            return None
        with desk.lock:
            return desk.equity()

    def segment(self, symbol: str) -> str:
        instrument = self.system.instruments.get(symbol)
        return instrument.segment if instrument is not None else ""

    def tick(self, symbol: str) -> Decimal | None:
        instrument = self.system.instruments.get(symbol)
        return instrument.tick_size if instrument is not None else None

    def guard(self, order: Order) -> tuple[Decimal | None, tuple[Decimal, ...]]:
        desk = self.system.roster.desk(order.account_id)
        if desk is None:
            return None, ()
        with desk.lock:
            plan = desk.plans.get(order.position_key)
            if plan is None or plan.state is not PlanState.ARMED or not _of_its_trade(plan, order, desk.orders.values()):
                return None, ()
        return plan.stop, tuple(target.price for target in plan.targets if not target.fired)


def _of_its_trade(plan: ExitPlan, order: Order, orders: Iterable[Order]) -> bool:
    """It was armed for this order, or this order added to what it guards. What is older than the plan, or of the other side, was another trade."""
    if plan.signal_key == order.signal_key:
        return True
    since = min((each.created_at for each in orders if each.signal_key == plan.signal_key), default=None)
    return plan.side is order.side and since is not None and since <= order.created_at


@dataclass(slots=True)
class Newsroom:
    """`clock`: that of the engines, by which facts are ripe; `wall`: the real one, by which messages travel (a replay lives in the past)."""

    data: Data
    books: Books
    clock: Clock
    wall: Clock
    _awake: threading.Event = field(default_factory=threading.Event)

    def start(self, supervisor: Supervisor) -> Worker:
        return supervisor.add(NAME, self._loop, patience=30.0, wake=self._awake.set)

    def _loop(self, worker: Worker) -> None:
        while not worker.stopping:
            worker.beat()
            try:
                self.step(lambda seconds: _rests(worker, seconds))
            except (JournalDown, sqlite3.Error) as error:  # the journal itself tells of that; what is new stays new
                log.warning("messages wait: %s", error)
            self._awake.wait(POLL)

    def step(self, rest: Rest = _no_rest) -> int:
        """Tells everything that is ripe; how many messages that were."""
        told, after = 0, 0
        while rows := self.data.outbox.new(PAGE, after=after):
            size, pause = HURRY if len(rows) == PAGE else CALM
            edition = _Edition(self, rows)
            for chunk in edition.chunks(size, partial(rest, pause)):
                told += edition.publish(chunk)
            if len(rows) < PAGE or rest(0):
                break
            after = rows[-1].message_id
        return told


def _rests(worker: Worker, seconds: float) -> bool:
    worker.beat()
    return worker.pause(seconds)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """`message` None: not worth telling."""

    message_id: int
    message: Message | None
    sends: tuple[Send, ...] = ()


class _Edition:
    """One reading of new rows, with everything that has to be looked up for them."""

    def __init__(self, room: Newsroom, rows: Sequence[NewMessage]) -> None:
        self.room, self.data, self.now = room, room.data, room.clock.now()
        report = self.data.reporting
        self.newest = self.data.outbox.newest()  # before the orders are read: what was written down by now is in what they say
        self.wanting = self.data.destinations.wanting()
        self.accounts = report.accounts()
        self._news: dict[str, AccountNews | None] = {}
        self._strategies: dict[tuple[str, str], str] = {}
        of_orders = [row for row in rows if row.dedupe.startswith("o:")]
        of_signals = [row for row in rows if row.dedupe.startswith("s:")]
        self.orders = report.orders({row.ref for row in of_orders})
        self.costs = report.costs({row.ref for row in of_orders})
        self.signal_ids = report.signal_ids({order.signal_key for order in self.orders.values()})
        self.signals = report.signals({row.ref for row in of_signals})
        self.signal_orders = report.orders_of({row.ref for row in of_signals})
        self.incidents = report.incidents({row.ref for row in rows if row.dedupe.startswith("i:")})
        self.halts = report.halts({row.ref for row in rows if row.dedupe.startswith("h:")})
        self._newest = {(row.ref, row.dedupe.split(":")[2]): row.message_id for row in of_orders}
        self._rows = rows

    def chunks(self, size: int, rest: Callable[[], bool]) -> Iterator[list[_Verdict]]:
        """What is ripe, so many at a time."""
        chunk: list[_Verdict] = []
        for row in self._rows:
            verdict = self._judge(row)
            if verdict is None:
                continue
            chunk.append(verdict)
            over = rest()
            if over or len(chunk) == size:
                yield chunk
                chunk = []
            if over:
                return
        if chunk:
            yield chunk

    def publish(self, chunk: Sequence[_Verdict]) -> int:
        told = [(verdict.message, verdict.sends) for verdict in chunk if verdict.message is not None]
        self.data.outbox.told(told, [verdict.message_id for verdict in chunk if verdict.message is None])
        return len(told)

    # --- one row ------------------------------------------------------------------------------------------------------

    def _judge(self, row: NewMessage) -> _Verdict | None:
        """None: it is not ripe."""
        try:
            ripe = self._ripe(row)
            message = self._say(row) if ripe else None
        except Exception:  # a fact that nobody has words for must neither hold up the others nor be lost without a word
            log.exception("message %d (%s) could not be put into words", row.message_id, row.kind)
            ripe, message = True, _speechless(row)
        if ripe is None:
            return None
        if message is None:
            return _Verdict(row.message_id, None)
        return _Verdict(row.message_id, message, self._sends(row, message))

    def _ripe(self, row: NewMessage) -> bool | None:
        """True: tell it now; False: never; None: not yet."""
        age = self.now - row.at
        match row.dedupe[:2]:
            case "o:":
                return self._order_ripe(row, age)
            case "s:":
                return self._signal_ripe(row, age)
            case "i:":
                return self._incident_ripe(row, age)
            case "d:":
                return self.now - midnight(row.ref, HOME_EXCHANGE) < OLD_DAY
        return True

    def _order_ripe(self, row: NewMessage, age: float) -> bool | None:
        order = self.orders.get(row.ref)
        letter = row.dedupe.split(":")[2]
        state = _STATE_OF[letter]
        if order is None or order.state is not state or self._newest[(row.ref, letter)] != row.message_id:
            return False  # it has gone on since: its next state has a row of its own
        wait = UNKNOWN_FOR if state is OrderState.UNKNOWN else GATHER
        return True if age >= wait or age < 0 else None

    def _signal_ripe(self, row: NewMessage, age: float) -> bool | None:
        signal, orders = self.signals.get(row.ref), self.signal_orders.get(row.ref, ())
        if signal is None or (not orders and signal.source is Source.STRATEGY):
            return False  # a strategy that runs on no account yet signals all day
        waiting = [order for order in orders if order.state not in FINAL_STATES]
        if age >= SIGNAL_WAITS or age < 0:
            return True
        if not waiting:
            return True if age >= GATHER else None
        resting = all(order.state is OrderState.OPEN and order.order_type is not OrderType.MARKET for order in waiting)
        return True if resting and age >= RESTS_AFTER else None

    def _incident_ripe(self, row: NewMessage, age: float) -> bool | None:
        incident = self.incidents.get(row.ref)
        if incident is None:
            return False
        over = row.kind.endswith(notices.OVER)
        at_once = incident.until == incident.since or incident.kind in _AT_ONCE
        if not at_once and incident.until is not None and incident.until - incident.since < LASTS:
            return False
        if over:
            still = (incident.kind, incident.user_id, incident.account_id) in self.data.reporting.open_incidents()
            return notices.says_when_over(incident.kind) and not still
        return True if at_once or age >= LASTS or age < 0 else None

    # --- its words ------------------------------------------------------------------------------------------------------

    def _say(self, row: NewMessage) -> Message | None:
        match row.dedupe[:2]:
            case "o:":
                return self._order(row, self.orders[row.ref])
            case "s:":
                return self._signal(row, self.signals[row.ref])
            case "i:":
                account = self.account(row.account_id)
                return notices.of_incident(row.message_id, row.at, self.incidents[row.ref], account, over=row.kind.endswith(notices.OVER))
            case "h:":
                return self._halt(row)
            case "k:":
                return self._kill(row)
            case "e:":
                on, everybody = row.kind == "engines_on", row.user_id == EVERYBODY
                held = self._held(row) if on else notices.Held()
                return notices.of_engines(row.message_id, row.at, on=on, everybody=everybody, by=self._by(row, row.ref), held=held)
            case "d:":
                return self._day(row)
            case "t:":
                name = next((each.name for each in self.wanting if each.destination_id == row.ref), "")
                return notices.of_test(row.message_id, row.at, name) if name else None
        return notices.of_people(row.message_id, row.at, row.kind, self._fields(row), row.ref)

    def _order(self, row: NewMessage, order: Order) -> Message | None:
        account = self.account(order.account_id)
        if account is None:
            return None
        cost = self.costs.get(order.order_id)
        entry = order.role is Role.ENTRY
        stop, targets = self.room.books.guard(order) if entry and order.filled_quantity else (None, ())
        news = words.OrderNews(
            order,
            account,
            self.strategy(row, order.strategy_id),
            self.signal_ids.get(order.signal_key, ""),
            self.room.books.segment(order.symbol),
            **({"charges": cost.charges, "realised": cost.realised} if cost else {}),
            stop=stop,
            targets=targets,
            tick=self.room.books.tick(order.symbol),
        )
        return words.of_order(row.message_id, row.at, news)

    def _signal(self, row: NewMessage, signal: Signal) -> Message:
        orders = self.signal_orders.get(row.ref, ())
        accounts = {key: account for key in {order.account_id for order in orders} if (account := self.account(key)) is not None}
        news = words.SignalNews(signal, orders, accounts, self.strategy(row, signal.strategy_id), self.room.books.tick(signal.symbol))
        said = words.of_signal(row.message_id, row.at, news)
        return replace(said, covers=self.newest) if all(order.state in FINAL_STATES for order in orders) else said

    def _halt(self, row: NewMessage) -> Message | None:
        halt = self.halts.get(row.ref)
        if halt is None:
            return None
        account = self.accounts.get(halt.scope_id or "")
        name = account.name if account else self.strategy(row, halt.scope_id)
        lifted = row.kind == "lift"
        by = self._by(row, halt.lifted_by if lifted else halt.by)
        held = self._held(row, halt) if lifted else notices.Held()
        return notices.of_halt(row.message_id, row.at, halt, lifted=lifted, name=name, by=by, held=held)

    def _kill(self, row: NewMessage) -> Message | None:
        account = self.account(row.account_id)
        if account is None:
            return None
        reason, by = json.loads(row.ref)
        on = row.kind == "kill_on"
        held = notices.Held() if on else self._held(row)
        return notices.of_kill(row.message_id, row.at, account, on=on, reason=reason, by=self._by(row, by), held=held)

    def _held(self, row: NewMessage, lifted: Halt | None = None) -> notices.Held:
        """What keeps entries back now, seen by whoever this is told."""
        of_account, of_strategy = (lifted is not None and lifted.scope is scope for scope in (HaltScope.ACCOUNT, HaltScope.STRATEGY))
        account_id = lifted.scope_id if lifted is not None and of_account else row.account_id
        strategy_id = lifted.scope_id if lifted is not None and of_strategy else None
        stops, killed, off = self.data.reporting.held(row.user_id, account_id, strategy_id)
        everybody = row.user_id == EVERYBODY
        return notices.Held(stops, killed, row.user_id in off and not everybody, EVERYBODY in off, everybody)

    def _day(self, row: NewMessage) -> Message | None:
        books = self.data.reporting.day_books(row.user_id, row.ref)
        told = [(account, book) for book in books if (account := self.account(book.account_id)) is not None]
        return notices.of_day(row.message_id, row.at, row.ref, told) if told else None

    def _fields(self, row: NewMessage) -> Mapping[str, str]:
        report = self.data.reporting
        found: dict[str, str] = {}
        if name := self.strategy(row, row.ref):
            found["name"] = name
        if row.kind.startswith("consent"):
            found |= report.consent(row.ref)
        if row.kind == "new_sign_in":
            found |= report.sign_in(row.ref)
        account = self.accounts.get(row.account_id or found.get("account_id", ""))
        if account is not None:
            found["account"] = account.name
        return found | dict(row.fields)

    def _by(self, row: NewMessage, user_id: str | None) -> str:
        """Who did it, for those who may know: a person is told of themselves, nobody is named to the whole workspace."""
        if row.user_id in (EVERYBODY, OWNERS) or not user_id:
            return ""
        return "you" if user_id == row.user_id else ""

    def strategy(self, row: NewMessage, strategy_id: str | None) -> str:
        """What whoever is told calls it: its name, or the one that it had when their share ended; '' for one that they never had."""
        if strategy_id is None:
            return ""
        key = row.user_id, strategy_id
        if key not in self._strategies:
            try:
                self._strategies[key] = self.data.strategies.seen(*key).strategy.name
            except NotFound:
                self._strategies[key] = self.data.shares.ended_for(row.user_id).get(strategy_id, "")
        return self._strategies[key]

    def account(self, account_id: str | None) -> AccountNews | None:
        if account_id is None:
            return None
        if account_id not in self._news:
            self._news[account_id] = self._account(self.accounts.get(account_id))
        return self._news[account_id]

    def _account(self, named: NamedAccount | None) -> AccountNews | None:
        if named is None:
            return None
        books = self.room.books
        balance = books.balance(named.account_id)
        return AccountNews(named.name, named.broker != "paper", currency_of(named.broker), named.leverage, balance)

    # --- its ways -------------------------------------------------------------------------------------------------------

    def _sends(self, row: NewMessage, message: Message) -> tuple[Send, ...]:
        """Whoever it is for and wants it, except for what happened before they asked to be told. In a replay that cannot be said: it happens in the past."""
        now = self.room.wall.now()
        at = row.at if abs(now - self.now) < ONE_TIME else now
        return tuple(_send(wish, message.event, now) for wish in self.wanting if _wants(wish, row, message.event, at))


def _wants(wish: Wanting, row: NewMessage, event: Event | None, at: Timestamp) -> bool:
    """`at`: when it happened, by the clock that says when destinations were made."""
    if event is None:
        return wish.destination_id == row.ref
    mine = row.user_id in (EVERYBODY, wish.user_id) or (row.user_id == OWNERS and wish.owner)
    return mine and event in wish.events and wish.created_at <= at and wish.destination_id != row.ref  # that it is refused it cannot hear


def _send(wish: Wanting, event: Event | None, now: Timestamp) -> Send:
    start = not_before(event, wish.quiet, now)
    return Send(wish.destination_id, start, expires_at(event, start))


def _speechless(row: NewMessage) -> Message:
    """Better than silence: what kind of thing happened, and where to look."""
    title = f"Something happened: {row.kind.replace('_', ' ')}"
    return Message(row.message_id, row.kind, Event.TROUBLE, row.at, title, Tone.WARN, "It could not be put into words; look at the pages.")
