"""A whole trading system for tests: the real engines on a memory journal, a hand-driven feed and brokers that do what a test tells them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Self

from engines.core.facts import (
    CombinedChanged,
    DayChanged,
    EngineSwitched,
    Fact,
    FillBooked,
    HaltChanged,
    JobChanged,
    KillSwitched,
    MarketChanged,
    OrderChanged,
    PlanChanged,
    SignalPlanned,
    StrategyStateSaved,
)
from engines.core.model import (
    Account,
    AccountDay,
    AccountMapping,
    Candle,
    CombinedRule,
    CombinedState,
    ExitPlan,
    ExitSpec,
    Fill,
    Group,
    Halt,
    Instrument,
    JobRun,
    Limits,
    Order,
    OrderState,
    OrderType,
    PlanState,
    Product,
    Side,
    Signal,
    Source,
    StrategyConfig,
    Tick,
    Timeframe,
)
from engines.core.positions import empty, fold
from engines.core.sessions import Calendar, CalendarDay
from engines.live_prices import LiveMarketMaker
from engines.ports import (
    Balance,
    BrokerFill,
    BrokerPosition,
    BrokerTraits,
    Clock,
    DuplicateSignal,
    Ids,
    JournalDown,
    OrderReport,
    OrderRequest,
    Permit,
    Recovered,
    SystemClock,
)
from engines.system import BrokerMaker, EngineSettings, TradingSystem
from tests.support.broker import QuietBroker

PATIENCE = 30.0
"""Seconds: for what happens at once unless the machine stands still, as a shared one does for moments."""
INFY = Instrument("NSE:INFY", "Infosys", "NSE", Decimal("0.05"))
NIFTY_FUT = Instrument("NFO:NIFTY26NOVFUT", "NIFTY", "NFO", Decimal("0.10"), lot_size=65, freeze_quantity=1800, segment="FUT")
USER = "U1"


class CountingIds:
    def __init__(self) -> None:
        self._count = itertools.count(1)

    def new(self) -> str:
        return f"T{next(self._count):08d}"


class MemoryJournal:
    """Durable the moment it is told; can be made to fail. Keeps everything, so that a second system can recover from it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.facts: list[Fact] = []
        self.waiting: list[tuple[tuple[Fact, ...], Callable[[], None] | None]] = []
        self.down = False
        self.on_commit: Callable[[tuple[Fact, ...]], None] = lambda facts: None
        self._signals: dict[tuple[str, str], str] = {}

    @property
    def healthy(self) -> bool:
        return not self.down

    def commit(self, *facts: Fact) -> None:
        self.on_commit(facts)
        with self.lock:
            if self.down:
                raise JournalDown("the test has taken the journal down")
            for fact in facts:
                if isinstance(fact, SignalPlanned):
                    name = (fact.signal.user_id, fact.signal.signal_id)
                    if name in self._signals:
                        raise DuplicateSignal(fact.signal.signal_id)
                    self._signals[name] = fact.signal.key
            self.facts.extend(facts)

    def append(self, *facts: Fact, then: Callable[[], None] | None = None) -> None:
        with self.lock:
            if self.down:
                self.waiting.append((facts, then))
                return
            self.facts.extend(facts)
        if then is not None:
            then()

    def mend(self) -> None:
        with self.lock:
            self.down = False
            waiting, self.waiting = self.waiting, []
        for facts, then in waiting:
            self.append(*facts, then=then)

    def orders(self) -> dict[str, Order]:
        found: dict[str, Order] = {}
        with self.lock:
            for fact in self.facts:
                if isinstance(fact, SignalPlanned):
                    found.update({order.order_id: order for order in fact.orders})
                elif isinstance(fact, OrderChanged | FillBooked):
                    found[fact.order.order_id] = fact.order
        return found

    def fills(self) -> list[Fill]:
        with self.lock:
            return [fact.fill for fact in self.facts if isinstance(fact, FillBooked)]

    def load(self, since: float) -> Recovered:
        orders = self.orders()
        plans: dict[str, ExitPlan] = {}
        days: dict[str, AccountDay] = {}
        halts: dict[str, Halt] = {}
        kills: dict[str, str] = {}
        off: dict[str | None, str] = {}
        states: dict[str, Mapping[str, Any]] = {}
        signals: dict[str, Signal] = {}
        jobs: dict[tuple[str, str], JobRun] = {}
        combined: dict[str, CombinedState] = {}
        real: set[str] = set()
        for fact in list(self.facts):
            match fact:
                case SignalPlanned():
                    signals[fact.signal.key] = fact.signal
                case PlanChanged():
                    plans[fact.plan.plan_id] = fact.plan
                case DayChanged():
                    days[fact.day.account_id] = fact.day
                case HaltChanged():
                    halts[fact.halt.halt_id] = fact.halt
                case KillSwitched():
                    kills.pop(fact.account_id, None)
                    if fact.on:
                        kills[fact.account_id] = fact.reason
                case EngineSwitched():
                    off.pop(fact.user_id, None)
                    if not fact.on:
                        off[fact.user_id] = fact.by
                case StrategyStateSaved():
                    states[fact.strategy_id] = fact.state
                case JobChanged():
                    jobs[fact.run.day, fact.run.job] = fact.run
                case MarketChanged():
                    (real.add if fact.live else real.discard)(fact.symbol)
                case CombinedChanged():
                    combined[fact.state.rule_id] = fact.state
                case _:
                    pass
        live = [order for order in orders.values() if order.live]
        return Recovered(
            live_orders=live,
            signals=[signals[order.signal_key] for order in live if order.signal_key in signals],
            fills=self.fills(),
            plans=[plan for state in (PlanState.STOPPED, PlanState.ARMED) for plan in plans.values() if plan.state is state],
            overtaken=_overtaken(live, list(signals.values())),
            days=list(days.values()),
            halts=[halt for halt in halts.values() if halt.lifted_at is None],
            kill_switches=kills,
            engines_off=off,
            strategy_states=states,
            job_runs=list(jobs.values()),
            combined=list(combined.values()),
            real_prices=sorted(real),
        )

    def find_signal(self, user_id: str, signal_id: str) -> tuple[str, Sequence[Order]] | None:
        key = self._signals.get((user_id, signal_id))
        if key is None:
            return None
        return key, [order for order in self.orders().values() if order.signal_key == key]

    def stats(self) -> Mapping[str, float]:
        return {"queue_depth": 0.0}


def _overtaken(live: Sequence[Order], signals: Sequence[Signal]) -> list[tuple[Order, Signal]]:
    found = []
    for order in live:
        after = signals[[signal.key for signal in signals].index(order.signal_key) :]
        exits = [s for s in after if (s.symbol, s.strategy_id) == (order.symbol, order.strategy_id) and s.side is not order.side]
        found += [(order, signal) for signal in exits if signal.reduce_only][:1] if order.raises_exposure else []
    return found


class MemoryLatch:
    def __init__(self) -> None:
        self.halts: dict[str, Halt] = {}
        self.works = True

    def active(self) -> Sequence[Halt]:
        return list(self.halts.values())

    def set(self, halt: Halt) -> bool:
        if self.works:
            self.halts[halt.halt_id] = halt
        return self.works

    def lift(self, halt_id: str) -> bool:
        self.halts.pop(halt_id, None)
        return self.works


@dataclass
class StaticDirectory:
    rows: list[Account] = field(default_factory=list)
    strategy_rows: list[StrategyConfig] = field(default_factory=list)
    mapping_rows: list[AccountMapping] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    secrets: dict[str, Mapping[str, str]] = field(default_factory=dict)
    group_rows: list[Group] = field(default_factory=list)
    rule_rows: list[CombinedRule] = field(default_factory=list)
    calendar_rows: list[CalendarDay] = field(default_factory=list)

    def accounts(self) -> Sequence[Account]:
        return self.rows

    def strategies(self) -> Sequence[StrategyConfig]:
        return self.strategy_rows

    def groups(self) -> Sequence[Group]:
        return self.group_rows

    def combined_rules(self) -> Sequence[CombinedRule]:
        return self.rule_rows

    def calendar_days(self) -> Sequence[CalendarDay]:
        return self.calendar_rows

    def mappings(self) -> Sequence[AccountMapping]:
        return self.mapping_rows

    def credentials(self, account_id: str) -> Mapping[str, str]:
        return self.secrets.get(account_id, {})

    def candles(self, symbol: str, timeframe: str, limit: int, *, live: bool = False) -> Sequence[Candle]:
        return ()

    def on_change(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


class ListNotifier:
    def __init__(self) -> None:
        self.told: list[tuple[str, str | None, Mapping[str, Any]]] = []

    def publish(self, kind: str, user_id: str | None, payload: Mapping[str, Any]) -> None:
        self.told.append((kind, user_id, payload))

    def incidents(self) -> list[str]:
        return [payload["incident"].kind for kind, _, payload in self.told if kind == "incident"]


class HandFeed:
    """Ticks come when the test says so, on the test's thread."""

    source = "by hand"
    finished = False

    def __init__(self, *instruments: Instrument, clock: Clock | None = None) -> None:
        self._instruments = instruments
        self._clock = clock or SystemClock()
        self._on_ticks: Callable[[Sequence[Tick]], None] = lambda ticks: None
        self.prices = {instrument.symbol: 100.0 for instrument in instruments}

    def instruments(self) -> Sequence[Instrument]:
        return self._instruments

    def prime(self) -> Sequence[Tick]:
        return [self.tick(symbol, price) for symbol, price in self.prices.items()]

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        self._on_ticks = on_ticks

    def stop(self) -> None:
        return None

    def tick(self, symbol: str, last: float, bid: float | None = None, ask: float | None = None) -> Tick:
        return Tick(symbol, last, bid or last, ask or last, self._clock.now())

    def batch(self, ticks: Sequence[Tick]) -> None:
        self._on_ticks(ticks)

    def price(self, symbol: str, last: float, bid: float | None = None, ask: float | None = None) -> None:
        self._on_ticks([self.tick(symbol, last, bid, ask)])


@dataclass
class WireBook:
    """What the broker of one account really has: survives a restart of the system, as a real broker does."""

    placed: list[OrderRequest] = field(default_factory=list)
    reports: dict[str, OrderReport] = field(default_factory=dict)

    elsewhere: dict[str, Decimal] = field(default_factory=dict)
    """symbol → what was traded in the broker's own app."""

    def positions(self) -> list[BrokerPosition]:
        held = dict(self.elsewhere)
        for report in list(self.reports.values()):
            if report.symbol and report.side:
                held[report.symbol] = held.get(report.symbol, Decimal(0)) + report.side.sign * report.filled_quantity
        return [BrokerPosition(symbol, Product.MIS, quantity) for symbol, quantity in held.items() if quantity]

    def live_named(self, client_id: str) -> int:
        return sum(request.client_id == client_id for request in self.placed)


class WireBroker(QuietBroker):
    """A broker that does what `script` says for each placed order: "fill", "open", "refuse", "lose_before", "lose_after", "hang", "retry", "odd"."""

    def __init__(self, book: WireBook, script: Callable[[OrderRequest], str], absent_after: float = 0.0) -> None:
        self.book = book
        self.script = script
        self.traits = BrokerTraits(absent_after=absent_after)
        self.on_report: Callable[[OrderReport], None] = lambda report: None
        self.hanging = threading.Event()
        self.released = threading.Event()
        self.writing = threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()
        self.book_fails = False
        self.aborted = False

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        self.on_report = on_report

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        from engines.ports import Refused, Retry, Unknown

        what = self.script(request)
        if what == "retry":
            raise Retry("not connected yet", after=0.01)
        with permit():
            self.writing.set()
            self.may_write.wait(PATIENCE)
            if what != "lose_before":
                self.book.placed.append(request)
        if what == "lose_before":
            raise Unknown("no answer")
        if what == "odd":
            raise ZeroDivisionError("a bug in an adapter")
        if what == "hang":
            self.hanging.set()
            self.released.wait(PATIENCE)
            raise Unknown("timeout")
        report = self._report(request, what)
        if what == "refuse":
            self.book.placed.remove(request)
            raise Refused("margin exceeds available funds")
        self.book.reports[request.client_id] = report
        if what == "lose_after":
            raise Unknown("answer lost")
        return report

    def _report(self, request: OrderRequest, what: str) -> OrderReport:
        filled = what in ("fill", "lose_after")
        fills = (BrokerFill(f"W{request.client_id}", request.quantity, Decimal(100), SystemClock().now()),) if filled else ()
        return OrderReport(
            broker_order_id=f"B{request.client_id}",
            state=OrderState.FILLED if filled else OrderState.OPEN,
            client_id=request.client_id,
            symbol=request.instrument.symbol,
            side=request.side,
            quantity=request.quantity,
            filled_quantity=request.quantity if filled else Decimal(0),
            average_price=Decimal(100) if filled else None,
            fills=fills,
            at=SystemClock().now(),
        )

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        report = self.book.reports[request.client_id]
        if report.state in (OrderState.OPEN, OrderState.PARTLY_FILLED):
            report = self.book.reports[request.client_id] = replace(report, state=OrderState.CANCELLED)
        return report

    def modify(self, broker_order_id: str, request: OrderRequest, **changes: Decimal | None) -> OrderReport | None:
        return self.book.reports[request.client_id]

    def order_book(self) -> Sequence[OrderReport]:
        if self.book_fails:
            raise OSError("the broker does not answer")
        return list(self.book.reports.values())

    def positions(self) -> Sequence[BrokerPosition]:
        return self.book.positions()

    def balance(self) -> Balance:
        return Balance(Decimal(0), Decimal(0), Decimal(0), Decimal(0))

    def keep_alive(self) -> None:
        return None

    def abort(self) -> None:
        self.aborted = True
        self.released.set()
        self.may_write.set()

    def close(self) -> None:
        return None


def account(name: str = "A1", **changes: Any) -> Account:
    given: dict[str, Any] = {
        "account_id": name,
        "user_id": USER,
        "name": name,
        "broker": "paper",
        "capital": Decimal(1_000_000),
        "auto_trade": True,
        "limits": Limits(),
    }
    return Account(**(given | changes))


class House:
    """The system with everything in hand. `wire` accounts use WireBroker; all others the paper exchange."""

    def __init__(
        self,
        *accounts: Account,
        strategies: Sequence[StrategyConfig] = (),
        mappings: Sequence[AccountMapping] = (),
        script: Callable[[OrderRequest], str] = lambda request: "fill",
        journal: MemoryJournal | None = None,
        latch: MemoryLatch | None = None,
        books: dict[str, WireBook] | None = None,
        absent_after: float = 0.0,
        instruments: Sequence[Instrument] = (INFY, NIFTY_FUT),
        brokers: Mapping[str, BrokerMaker] | None = None,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        live_market: LiveMarketMaker | None = None,
        ids: Ids | None = None,
        clock: Clock | None = None,
        calendar: Calendar | None = None,
        groups: Sequence[Group] = (),
        rules: Sequence[CombinedRule] = (),
        patience: float = PATIENCE,
        start: bool = True,
    ) -> None:
        self.journal = journal or MemoryJournal()
        self.latch = latch or MemoryLatch()
        self.books = books if books is not None else {}
        self.directory = StaticDirectory(list(accounts or (account(),)), list(strategies), list(mappings), secrets=dict(secrets or {}))
        self.more: dict[str, Any] = {
            "instruments": instruments,
            "brokers": brokers,
            "secrets": secrets,
            "live_market": live_market,
            "ids": ids,
            "clock": clock,
            "calendar": calendar,
        }
        self.clock = clock or SystemClock()
        self.directory.group_rows, self.directory.rule_rows = list(groups), list(rules)
        self.notifier = ListNotifier()
        self.feed = HandFeed(*instruments, clock=self.clock)
        self.wires: dict[str, WireBroker] = {}
        self.script = script
        self.absent_after = absent_after
        self.system = TradingSystem(
            journal=self.journal,
            latch=self.latch,
            directory=self.directory,
            notifier=self.notifier,
            clock=self.clock,
            ids=ids or _unused_ids(self.journal),
            feed=self.feed,
            brokers={"wire": self._wire, "binance_spot": self._wire, **(brokers or {})},
            settings=EngineSettings(max_price_age=600.0, connect_patience=patience, ask_patience=patience),
            calendar=calendar or Calendar(hours={}, holidays=frozenset(), special={}, years=frozenset()),  # open at any hour
            live_market=live_market,
        )
        if start:
            self.system.start()

    def _wire(self, account: Account, credentials: Mapping[str, str]) -> WireBroker:
        book = self.books.setdefault(account.account_id, WireBook())
        broker = self.wires[account.account_id] = WireBroker(book, lambda request: self.script(request), self.absent_after)
        return broker

    def signal(self, side: str = "BUY", quantity: int | None = 10, *, name: str | None = None, **changes: Any) -> Signal:
        key = self.system.ids.new()
        given: dict[str, Any] = {
            "key": key,
            "signal_id": name or f"s-{key}",
            "user_id": USER,
            "source": Source.MANUAL,
            "symbol": INFY.symbol,
            "side": Side(side),
            "created_at": self.clock.now(),
            "quantity": None if quantity is None else Decimal(quantity),
            "account_ids": tuple(row.account_id for row in self.directory.rows),
        }
        return Signal(**(given | changes))

    def send(self, side: str = "BUY", quantity: int | None = 10, *, wait: float = PATIENCE, **changes: Any) -> tuple[Order, ...]:
        return self.system.submit(self.signal(side, quantity, **changes), wait).orders

    def held(self, account_id: str = "A1") -> Decimal:
        desk = self.system.roster.desk(account_id)
        assert desk is not None
        return sum((position.quantity for position in desk.open_positions()), Decimal(0))

    def until(self, true: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait for something to become true; fails when it does not."""
        pause = threading.Event()
        deadline = SystemClock().monotonic() + patience
        while not true():
            assert SystemClock().monotonic() < deadline, "it did not come true in time"
            pause.wait(0.002)

    def restart(self) -> House:
        """Another system on the same journal, latch and brokers, as after a crash."""
        self.system.stop()
        return House(
            *self.directory.rows,
            strategies=self.directory.strategy_rows,
            mappings=self.directory.mapping_rows,
            script=self.script,
            journal=self.journal,
            latch=self.latch,
            books=self.books,
            absent_after=self.absent_after,
            groups=self.directory.group_rows,
            rules=self.directory.rule_rows,
            **self.more,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self.wires.values():
            wire.abort()
        self.system.stop()


_COUNTERS: dict[int, CountingIds] = {}


def _unused_ids(journal: MemoryJournal) -> CountingIds:
    """Ids that go on where the last system on this journal stopped."""
    return _COUNTERS.setdefault(id(journal), CountingIds())


def books_balance(house: House) -> None:
    """Law 3 on the whole journal: every position is the fold of its fills, and cash is what the fills moved."""
    for desk in house.system.roster.desks():
        with desk.lock:  # booked and journaled are one to whoever holds it
            mine = [fill for fill in house.journal.fills() if fill.account_id == desk.account.account_id]
            positions, cash = {key: book.position for key, book in desk.books.items()}, desk.cash
        for key, position in positions.items():
            expected = fold(empty(key), [fill for fill in mine if fill.position_key == key])
            assert (position.quantity, position.cash_flow, position.realised) == (
                expected.quantity,
                expected.cash_flow,
                expected.realised,
            )
        moved = sum((-fill.side.sign * fill.quantity * fill.price - fill.charges for fill in mine), Decimal(0))
        assert cash == moved


__all__ = ["ExitSpec", "House", "OrderType", "Product", "Timeframe", "WireBook", "account", "books_balance"]
