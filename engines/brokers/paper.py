"""The paper broker: an account at the built-in exchange, open at any hour and without any log-in.

It speaks the same port as real brokers, through the same lane, gate and order life; only the wire is missing. Its books do not survive the process: after
a restart it takes its resting orders back from ours, and whatever was on its way then was never placed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from engines.core.bars import Levels, nearest
from engines.core.matching import MatchingEngine, Outcome, OutcomeKind
from engines.core.model import ZERO, Account, Instrument, Order, OrderState, Product, Tick, Timestamp
from engines.core.reasons import MARKET_CHANGED
from engines.core.sessions import Calendar, is_open, load_calendar
from engines.core.timetable import hours_of
from engines.crashpoints import crash
from engines.ports import (
    Balance,
    BrokerFill,
    BrokerPosition,
    BrokerTrade,
    BrokerTraits,
    Clock,
    Holding,
    OrderReport,
    OrderRequest,
    Permit,
    Profile,
    Refused,
    StreamKey,
)

KEPT_ORDERS = 5000


@dataclass(frozen=True, slots=True)
class PaperBooks:
    """What the exchange may know of the account: it keeps no ledger of its own."""

    held: Callable[[str, Product], Decimal]  # net quantity over all strategies
    free_funds: Callable[[], Decimal]  # before what resting orders block
    balance: Callable[[], Balance]
    positions: Callable[[], Sequence[BrokerPosition]]
    open_orders: Callable[[], Sequence[Order]]  # acknowledged and live: they rest again after a restart
    instrument: Callable[[str], Instrument | None]


class PaperExchange:
    """Where the ticks come in: hands each one to the accounts that have orders resting in its instrument."""

    def __init__(self, quote: Callable[[str], Tick | None], clock: Clock, calendar: Callable[[], Calendar] = load_calendar) -> None:
        self.quote = quote
        self.clock = clock
        self.calendar = calendar  # as it is now: people change it
        self._lock = threading.Lock()
        self._resting: dict[str, tuple[PaperBroker, ...]] = {}
        self._shut: frozenset[str] = frozenset()  # symbols whose market changes at this moment
        self._left: set[str] = set()  # client ids that were on their way to a market that is gone

    def shut(self, symbols: Iterable[str]) -> None:
        """No order in these is taken; `shut(())` ends it."""
        self._shut = frozenset(symbols)

    def turn_away(self, client_id: str) -> None:
        """This order was meant for a market that is gone: it is refused whenever it comes."""
        self._left.add(client_id)

    def check(self, request: OrderRequest) -> None:
        """Refused when the market that the order was meant for is gone. Asked under the lock of the order's account."""
        if request.instrument.symbol in self._shut or request.client_id in self._left:
            raise Refused(MARKET_CHANGED)

    def on_ticks(self, ticks: Iterable[Tick]) -> None:
        if not self._resting:
            return
        now = self.clock.now()
        for tick in ticks:
            for broker in self._resting.get(tick.symbol, ()):
                if not broker.on_tick(tick, now):
                    self._leave(tick.symbol, broker)

    def on_clock(self, now: Timestamp) -> None:
        """Time has passed: what must end at an exchange's close ends."""
        for broker in {broker for brokers in list(self._resting.values()) for broker in brokers}:
            broker.on_clock(now)

    def levels(self, symbol: str) -> Levels:
        """The next prices at which an order of any account that rests here fires."""
        return nearest(*(broker.levels(symbol) for broker in self._resting.get(symbol, ())))

    def join(self, symbol: str, broker: PaperBroker) -> None:
        with self._lock:
            present = self._resting.get(symbol, ())
            if broker not in present:
                self._resting[symbol] = (*present, broker)

    def _leave(self, symbol: str, broker: PaperBroker) -> None:
        with self._lock:
            if broker.rests_in(symbol):
                return  # an order came while we looked
            rest = tuple(other for other in self._resting.get(symbol, ()) if other is not broker)
            if rest:
                self._resting[symbol] = rest
            else:
                self._resting.pop(symbol, None)


@dataclass(slots=True)
class _Known:
    """An order as the exchange tells of it."""

    request: OrderRequest
    state: OrderState = OrderState.OPEN
    filled: Decimal = ZERO
    paid: Decimal = ZERO
    message: str = ""
    fills: tuple[BrokerFill, ...] = ()


class PaperBroker:
    traits = BrokerTraits(orders_per_second=None, burst=1, absent_after=0.0)

    def __init__(self, account: Account, exchange: PaperExchange, books: PaperBooks) -> None:
        self._account = account
        self._exchange = exchange
        self._books = books
        self._clock = exchange.clock
        self._lock = threading.Lock()
        self._matching = MatchingEngine(account.paper, account.leverage, exchange.calendar)
        self._rng = Random(f"{account.paper.seed}:{account.name}")  # not the id: the same account made anew behaves the same
        self._known: dict[str, _Known] = {}
        self._on_report: Callable[[OrderReport], None] = _nobody
        self._restored = False

    # --- ports.Broker

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        self._on_report = on_report
        if self._restored:
            return
        self._restored = True
        with self._lock:
            for order in self._books.open_orders():
                self._restore(order)

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        if self._account.paper.latency_ms:
            threading.Event().wait(self._account.paper.latency_ms / 1000)
        symbol = request.instrument.symbol
        held = self._books.held(symbol, request.product)
        funds = self._books.free_funds()
        broker_order_id = f"P{request.client_id}"
        with self._lock:
            self._exchange.check(request)
            tick = self._exchange.quote(symbol)
            with permit():
                outcomes = self._matching.submit(request, broker_order_id, tick, self._clock.now(), self._rng, held=held, available=funds)
            crash("after-send-before-answer")
            self._known[broker_order_id] = _Known(request)
            report = self._take(outcomes)
            if self._matching.has_resting(symbol):
                self._exchange.join(symbol, self)
            self._trim()
        if report.state is OrderState.REJECTED:
            raise Refused(report.message)
        return report

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:  # noqa: ARG002 - others need the request
        with self._lock:
            outcomes = self._matching.cancel(broker_order_id, self._clock.now())
            if not outcomes:
                return self._report(broker_order_id, self._clock.now()) if broker_order_id in self._known else None
            return self._take(outcomes)

    def modify(
        self,
        broker_order_id: str,
        request: OrderRequest,
        *,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> OrderReport | None:
        held = self._books.held(request.instrument.symbol, request.product)
        funds = self._books.free_funds()
        with self._lock:
            tick = self._exchange.quote(request.instrument.symbol)
            try:
                outcomes = self._matching.modify(
                    broker_order_id,
                    tick,
                    self._clock.now(),
                    self._rng,
                    quantity=quantity,
                    price=price,
                    trigger_price=trigger_price,
                    held=held,
                    available=funds,
                )
            except ValueError as error:
                raise Refused(str(error)) from None
            if quantity is not None:
                known = self._known[broker_order_id]
                known.request = replace(known.request, quantity=quantity)
            return self._take(outcomes)

    def order_book(self) -> Sequence[OrderReport]:
        now = self._clock.now()
        with self._lock:
            return [self._report(broker_order_id, now) for broker_order_id in self._known]

    def positions(self) -> Sequence[BrokerPosition]:
        return self._books.positions()

    def balance(self) -> Balance:
        return self._books.balance()

    @property
    def session_expires_at(self) -> Timestamp | None:
        return None

    def stream_key(self) -> StreamKey | None:
        return None

    def profile(self) -> Profile:
        return Profile(user_id=self._account.account_id, name=self._account.name)

    def holdings(self) -> Sequence[Holding]:
        """Delivery positions: the paper exchange settles nothing overnight, so they stay positions too."""
        return [Holding(p.symbol, p.quantity, p.average_price) for p in self._books.positions() if p.product is Product.CNC]

    def trades(self) -> Sequence[BrokerTrade]:
        with self._lock:
            return [
                BrokerTrade(broker_order_id, known.request.instrument.symbol, known.request.side, fill)
                for broker_order_id, known in self._known.items()
                for fill in known.fills
            ]

    def keep_alive(self) -> None:
        return None

    def abort(self) -> None:
        return None

    def close(self) -> None:
        return None

    # --- the market's side

    def on_tick(self, tick: Tick, now: Timestamp) -> bool:
        """Match what rests; False when nothing of this account rests in the instrument any more."""
        with self._lock:
            outcomes = self._matching.on_tick(tick, now, self._rng)
            reports = [self._take([outcome]) for outcome in outcomes]
            rests = self._matching.has_resting(tick.symbol)
        for report in reports:
            self._on_report(report)
        return rests

    def on_clock(self, now: Timestamp) -> None:
        """An account that keeps the exchange's hours loses its day orders at the close."""
        if not self._account.paper.session_hours:
            return
        with self._lock:
            over = {hours_of(k.request.instrument) for i, k in self._known.items() if self._matching.is_open(i)}
            closed = [name for name in over if not is_open(now, name, self._exchange.calendar())]
            reports = [self._take([outcome]) for name in closed for outcome in self._matching.expire(now, name)]
        for report in reports:
            self._on_report(report)

    def leave(self, symbol: str) -> Sequence[OrderReport]:
        """Take back all that rests in an instrument whose market is gone; what became of every order in it (also those that nobody was told of yet)."""
        now = self._clock.now()
        with self._lock:
            mine = [(key, known) for key, known in self._known.items() if known.request.instrument.symbol == symbol]
            for key, known in mine:
                outcomes = self._matching.cancel(key, now)
                if outcomes:
                    known.message = MARKET_CHANGED
                    self._take(outcomes)
            return [self._report(key, now) for key, _ in mine]

    def rests_in(self, symbol: str) -> bool:
        return self._matching.has_resting(symbol)

    def levels(self, symbol: str) -> Levels:
        with self._lock:
            return self._matching.levels(symbol)

    # --- shapes (the lock is held)

    def _restore(self, order: Order) -> None:
        instrument = self._books.instrument(order.symbol)
        if instrument is None or order.broker_order_id is None:
            return
        request = OrderRequest(
            order.client_id, instrument, order.side, order.quantity, order.order_type, order.product, order.price, order.trigger_price
        )
        self._matching.restore(request, order.broker_order_id, order.filled_quantity)
        known = _Known(request, filled=order.filled_quantity, paid=order.filled_quantity * (order.average_price or ZERO))
        known.state = OrderState.PARTLY_FILLED if known.filled else OrderState.OPEN
        self._known[order.broker_order_id] = known
        self._exchange.join(order.symbol, self)

    def _take(self, outcomes: Sequence[Outcome]) -> OrderReport:
        """Outcomes of one order, kept and told as one report."""
        fills: list[BrokerFill] = []
        first = outcomes[0]
        known = self._known[first.broker_order_id]
        for outcome in outcomes:
            if outcome.kind is OutcomeKind.FILL and outcome.price is not None:
                fills.append(BrokerFill(outcome.trade_id, outcome.quantity, outcome.price, outcome.at))
                known.filled += outcome.quantity
                known.paid += outcome.quantity * outcome.price
                known.state = OrderState.FILLED if known.filled >= known.request.quantity else OrderState.PARTLY_FILLED
            elif outcome.kind is OutcomeKind.REJECTED:
                known.state, known.message = OrderState.REJECTED, outcome.message
            elif outcome.kind is OutcomeKind.CANCELLED:
                known.state = OrderState.CANCELLED
            elif outcome.kind is OutcomeKind.EXPIRED:
                known.state = OrderState.EXPIRED
        known.fills += tuple(fills)
        return self._report(first.broker_order_id, first.at)

    def _report(self, broker_order_id: str, at: Timestamp) -> OrderReport:
        known = self._known[broker_order_id]
        return OrderReport(
            broker_order_id=broker_order_id,
            state=known.state,
            client_id=known.request.client_id,
            symbol=known.request.instrument.symbol,
            side=known.request.side,
            quantity=known.request.quantity,
            filled_quantity=known.filled,
            average_price=known.paid / known.filled if known.filled else None,
            message=known.message,
            at=at,
            fills=known.fills,
        )

    def _trim(self) -> None:
        if len(self._known) > KEPT_ORDERS:
            done = [key for key, known in self._known.items() if not self._matching.is_open(key)]
            for key in done[: len(self._known) - KEPT_ORDERS // 2]:
                del self._known[key]


def _nobody(_report: OrderReport) -> None:
    """Who hears of reports before the account has connected."""
