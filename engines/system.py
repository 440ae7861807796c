"""The trading system: wires every engine to what it was handed, recovers, starts, supervises and stops them, and answers the app.

It is the only door through which pages and programs reach the engines. It holds no trading rule itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from engines.brokers.makers import currency_of
from engines.brokers.paper import PaperBroker, PaperExchange
from engines.core import exits as exit_rules
from engines.core.bars import Levels, nearest
from engines.core.facts import Fact
from engines.core.model import (
    Account,
    Candle,
    Denial,
    ExitPlan,
    ExitSpec,
    Halt,
    HaltScope,
    Incident,
    Order,
    OrderType,
    PlanState,
    Position,
    PositionKey,
    Role,
    Side,
    Signal,
    Source,
    Tick,
    Timeframe,
    Timestamp,
)
from engines.core.prices import to_tick
from engines.core.sessions import Calendar, load_calendar
from engines.execution import reads
from engines.execution.aftermath import Aftermath
from engines.execution.chase import Chaser
from engines.execution.combined import CombinedView, CombinedWatch
from engines.execution.compare import PositionWatch
from engines.execution.connecting import Connect, Inspect, ReadBook
from engines.execution.desk import Desk, DeskTools
from engines.execution.exits import ExitDesk
from engines.execution.fanout import FanOut
from engines.execution.guard import Guard
from engines.execution.halts import HaltBoard
from engines.execution.hours import TradingHours
from engines.execution.incidents import IncidentLog
from engines.execution.jobs import Cancel, Modify, Settle
from engines.execution.lane import LaneTools
from engines.execution.latency import LatencyBoard
from engines.execution.leaving import Exit, Flatten, Progress
from engines.execution.monitor import Monitor
from engines.execution.news import News
from engines.execution.outcomes import OutcomeBoard, Tracker
from engines.execution.planning import Market, PlanTools, check_change, reference_price
from engines.execution.roster import LANE, Roster
from engines.execution.sessions import SessionWatch
from engines.execution.stopper import Stopper
from engines.execution.supervisor import Death, Supervisor
from engines.execution.views import AccountView, BrokerAnswers, BrokerBook, HaltReport, Pnl, PositionView, SignalOutcome, SystemStatus
from engines.execution.wanted import withdrawn
from engines.live_prices import LiveMarketMaker, LivePrices
from engines.market.candle_store import CandleStore, combined_past
from engines.market.instruments import InstrumentTable
from engines.market.prices import PriceTable
from engines.market_turn import MarketTurn
from engines.ports import Broker, Clock, Directory, Feed, Ids, Journal, Latch, Master, Notifier
from engines.runtime import Runtime
from engines.trading_day import day_of

BrokerMaker = Callable[[Account, Mapping[str, str]], Broker]
"""(account, its decrypted credentials) → a broker; one for each kind other than paper."""


class NotFound(LookupError):
    """There is no such order, position or account."""


class Conflict(ValueError):
    """It exists, but what was asked cannot be done with it now; the text says why."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`lockstep`: the feed waits after each batch until strategies and lanes are done (a replay at full speed decides the same each time)."""

    max_price_age: float = 10.0
    stall_after: float = 5.0
    lockstep: bool = False
    connect_patience: float = 5.0
    ask_patience: float = 2.0  # how long a cancel or modify waits for the broker's word before it answers anyway
    own_hours: frozenset[str] = (
        frozenset()
    )  # kinds of broker that keep hours of their own (emulators): the calendar does not bind their accounts


class TradingSystem:
    def __init__(
        self,
        *,
        journal: Journal,
        latch: Latch,
        directory: Directory,
        notifier: Notifier,
        clock: Clock,
        ids: Ids,
        feed: Feed,
        brokers: Mapping[str, BrokerMaker] | None = None,
        settings: EngineSettings | None = None,
        calendar: Calendar | None = None,
        master: Master | None = None,
        live_market: LiveMarketMaker | None = None,
    ) -> None:
        """`live_market` builds the brokers' price streams: with it, accounts at real brokers act on real prices only (and on what `master` lists)."""
        self.journal, self.latch, self.directory, self.notifier = journal, latch, directory, notifier
        self.clock, self.ids, self.feed = clock, ids, feed
        self.settings = settings or EngineSettings()
        self._makers = dict(brokers or {})
        self.hours = TradingHours(calendar or load_calendar(), self.settings.own_hours)
        self.master = master
        self.instruments = InstrumentTable(feed.instruments(), master)
        self.prices = PriceTable(clock, self.instruments)
        self.board = HaltBoard()
        self.outcomes = OutcomeBoard()
        self.latency = LatencyBoard()
        self.exchange = PaperExchange(self.prices.get, clock, lambda: self.hours.calendar)
        self.supervisor = Supervisor(clock, self._on_death)
        self.roster: Roster = self._make_roster()
        self.incident_log = IncidentLog(journal, notifier, clock, ids, self.roster.owner_of)
        self.combined = CombinedWatch(
            journal,
            clock,
            self.incident_log,
            self.roster.desks,
            lambda desk: currency_of(desk.account.broker),
            self._leave,
            self._strategy_name,
            self.roster.trades,
        )
        self.news = News(journal, notifier, self.outcomes, self.latency, self._position_told)
        self._plan_tools = PlanTools(
            ids.new,
            clock.now,
            self.board.denial,
            self._closed_trades,
            combined_denial=self.combined.denial,
            settings_exits=self._settings_exits,
        )
        self.exit_desk = ExitDesk(journal, clock, ids, self.outcomes, self.market, self._plan_tools, self.news.planned)
        self.guard = Guard(clock.now, self._exact_price, self._fire, self._market_open)
        self.fanout = self._make_fan_out()
        self.stopper = Stopper(self.board, latch, journal, clock, ids, self.exit_desk, self.roster.lanes, notifier.publish, self.trouble)
        self.monitor = Monitor(journal, clock, self.incident_log, self.roster.desks, lambda desk: self._flatten(desk, None))
        self.candle_store = CandleStore(clock, combined_past(directory.candles, getattr(feed, "history", None), clock, self.prices.is_live))
        self.day = day_of(self)
        self.runtime = Runtime(self)
        self.position_watch = PositionWatch(clock, self.roster.lanes, self.incident_log)
        self.session_watch = SessionWatch(clock, self.roster.lanes, self.incident_log)
        self.chaser = Chaser(clock, self.roster.lanes, self._quote, self.instruments.get, self.trouble)
        self.live: LivePrices | None = None
        if live_market is not None:
            streams = live_market(self.runtime.on_live_ticks, self._stream_trouble, self._stream_clear)
            self.live = LivePrices(streams, self.prices, self.roster, clock)
            self.live.always(instrument.symbol for instrument in feed.instruments())
        self.market_turn = self._make_market_turn()
        self.aftermath = Aftermath(
            clock,
            self.outcomes,
            self.roster.desks,
            self.roster.lane,
            self.exit_desk,
            self.runtime.tell_flat,
            self.trouble,
            self.incident_log,
        )

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover, reconcile each account, and begin: one path for a first start, a restart and a crash."""
        self.runtime.start()

    def stop(self) -> None:
        """Stop every thread; what is on the wire gets its answer or becomes unknown at the next start. Positions stay as they are."""
        self.runtime.stop()

    # --- signals and orders --------------------------------------------------------------------------------------------

    def submit(self, signal: Signal, wait: float = 0.0) -> SignalOutcome:
        """Send a signal to its accounts. Raises JournalDown (nothing was sent); every other refusal is an outcome of an order."""
        if self.live is not None:
            self.live.await_price(signal, [desk for desk, _ in self.roster.routes(signal)])
        return self.fanout.submit(signal, wait)

    def preview(self, signal: Signal) -> tuple[Order, ...]:
        return self.fanout.preview(signal)

    def cancel_order(self, order_id: str) -> None:
        order = self._order(order_id)
        if not order.live:
            raise Conflict(f"the order is already {order.state.value}")
        self._ask(order, Cancel(order_id))

    def modify_order(
        self,
        order_id: str,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
    ) -> None:
        order = self._order(order_id)
        if not order.live:
            raise Conflict(f"the order is already {order.state.value}")
        if order.raises_exposure:
            self._check_change(order, quantity, price, trigger_price)
        self._ask(order, Modify(order_id, quantity, price, trigger_price))

    def _check_change(self, order: Order, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None) -> None:
        """An entry with new terms passes the same limits as a new one, or nothing is asked of the broker."""
        desk = self._desk(order.account_id)
        market = self.market(desk, order.symbol)
        if market is None:
            raise Conflict(f"{order.symbol} is not known any more")
        changed = replace(
            order,
            quantity=order.quantity if quantity is None else quantity,
            price=order.price if price is None else price,
            trigger_price=order.trigger_price if trigger_price is None else trigger_price,
        )
        failed = check_change(desk, order, changed, market, self._plan_tools)
        if failed is not None:
            raise Conflict(f"{failed.name}: {failed.detail}")

    def _ask(self, order: Order, job: Cancel | Modify) -> None:
        lane = self.roster.lane(order.account_id)
        if lane is None:
            raise Conflict("the account is not connected")
        lane.put(job)
        if job.done.wait(self.settings.ask_patience) and job.error:
            raise Conflict(job.error)

    def close_position(self, position_id: str, quantity: Decimal | None) -> SignalOutcome:
        """Exit one position, in whole or in part; a quantity above what is held is capped."""
        desk, position = self._position(position_id)
        if not position.quantity:
            raise Conflict("the position is flat")
        tracker = self._exit(desk, position.key, quantity, Role.EXIT)
        tracker.settled.wait(self.settings.ask_patience)
        return tracker.outcome()

    def closed_elsewhere(self, position_id: str) -> SignalOutcome:
        """Book what the broker's own books prove was closed outside of Tandem, at the last price: no order is sent. Conflict when they prove nothing."""
        desk, position = self._position(position_id)
        difference = desk.differences.get(position.key.symbol)
        if difference is None or not difference.less or not position.quantity:
            raise Conflict("the broker has all of what this position says")
        price = self.prices.mark(position.key.symbol) or position.average_price
        if price is None:
            raise Conflict("there is no price to book it at")
        return self.exit_desk.book_elsewhere(desk, position, difference, price)

    def close_all(self, account_ids: Sequence[str]) -> list[SignalOutcome]:
        """Exit every position of these accounts at once."""
        trackers = [
            self._exit(desk, position.key, None, Role.SQUARE_OFF)
            for desk in (self._desk(account_id) for account_id in account_ids)
            for position in desk.open_positions()
        ]
        for tracker in trackers:
            tracker.settled.wait(self.settings.ask_patience)
        return [tracker.outcome() for tracker in trackers]

    def square_off(self, account_id: str) -> list[SignalOutcome]:
        """Cancel what is pending and close what is open, on one account."""
        desk = self._desk(account_id)
        lane = self.roster.lane(account_id)
        if lane is None:
            raise Conflict("the account is not connected")
        for order in desk.live_orders():
            if order.raises_exposure:
                lane.put(Cancel(order.order_id))
        outcomes = self.close_all([account_id])
        self._flatten(desk, None)
        return outcomes

    def cancel_entries(self, account_id: str) -> int:
        """Take back what would still raise exposure on one account; how many orders that is. Does not wait. Positions, stops and targets stay."""
        waiting = sum(order.raises_exposure for order in self.live_orders(account_id))
        lane = self.roster.lane(account_id)
        if waiting and lane is not None:
            lane.put(Flatten(self.exit_desk, Progress(), close=False))
        return waiting

    def set_exit_plan(self, position_id: str, spec: ExitSpec, seen: str | None = None) -> ExitPlan | None:
        """Guard an open position as a person wants it; an empty spec takes the plan away. ValueError with the reason when it makes no sense. `seen`: the
        version that was looked at; Conflict when it is another by now."""
        desk, position = self._position(position_id)
        instrument, entry = self.instruments.get(position.key.symbol), position.average_price
        if not position.quantity or instrument is None or entry is None:
            raise Conflict("the position is flat")
        mark = self.prices.mark(position.key.symbol)
        with desk.lock:
            plan = desk.plans.get(position.key)
            if seen is not None and seen != exit_rules.version_of(plan):
                raise Conflict("the exit plan was changed since you opened it: look at what guards the position now before you replace it")
            now = self.clock.now()
            if plan is not None and plan.state is PlanState.ARMED:
                changed: ExitPlan | None = exit_rules.edit(plan, spec, now, mark, calendar=self.hours.calendar)
            else:
                side = Side.BUY if position.quantity > 0 else Side.SELL
                user = desk.account.user_id
                size = abs(position.quantity)
                changed = exit_rules.make_plan(
                    self.ids.new(), position.key, user, side, entry, size, spec, instrument, now, market=mark, calendar=self.hours.calendar
                )
            if changed is not None:
                desk.replace_plan(changed)
        return changed if changed is not None and changed.state is PlanState.ARMED else None

    # --- stopping --------------------------------------------------------------------------------------------------------

    def emergency_stop(self, scope: HaltScope, scope_id: str | None, reason: str, by: str, flatten: bool = True) -> tuple[Halt, bool]:
        """Halt, then cancel, then flatten, every account in parallel; returns when the halt holds. Trading resumes only after lift and start."""
        return self.stopper.stop(scope, scope_id, reason, by, flatten)

    def lift(self, halt_id: str, by: str) -> bool:
        return self.stopper.lift(halt_id, by) is not None

    def halts(self) -> Sequence[Halt]:
        return self.board.halts

    def halt_report(self, halt_id: str) -> HaltReport | None:
        return self.stopper.report(halt_id)

    def set_engines(self, on: bool, user_id: str | None, by: str) -> None:
        """Raises Conflict where a stop holds and they were to go on."""
        holds = self.stopper.switch_engines(on, user_id, by)
        if holds is not None:
            raise Conflict(f"A stop holds ({holds.scope.value}, {holds.halt_id}). Lift it first, then start.")

    def engines_on(self, user_id: str | None) -> bool:
        return self.board.engines_on(user_id)

    def kill_switch(self, account_id: str, on: bool, reason: str, by: str, flatten: bool = False) -> None:
        desk = self._desk(account_id)
        self.stopper.switch_kill(desk.account, self.roster.lane(account_id), on, reason, by, flatten)

    def connect(self, account_id: str) -> AccountView:
        """Sign in again and reconcile; waits a moment for the answer, which the view then shows."""
        desk = self._desk(account_id)
        lane = self.roster.lane(account_id)
        if desk.account.broker != "paper" or lane is None:
            lane = self.roster.restart_lane(desk)  # credentials may be new, and they live inside the broker's client
            if lane is not None:
                lane.connecting.done.wait(self.settings.connect_patience)
        else:
            job = Connect()
            lane.put(job)
            job.done.wait(self.settings.connect_patience)
        return self.account(account_id)

    def broker_book(self, account_id: str) -> BrokerBook:
        """What the broker says, asked through the lane; Conflict with the reason when it does not say."""
        self._desk(account_id)
        lane = self.roster.lane(account_id)
        job = ReadBook()
        if lane is None:
            raise Conflict("the account is not connected")
        lane.put(job)
        job.done.wait(self.settings.connect_patience)
        if job.book is None:
            raise Conflict(job.error or "the broker does not answer")
        return job.book

    def inspect(self, account_id: str) -> BrokerAnswers:
        """What the broker answers, thing by thing, asked through the lane; Conflict when the account is not connected or nothing comes back."""
        self._desk(account_id)
        lane = self.roster.lane(account_id)
        if lane is None:
            raise Conflict("the account is not connected")
        job = Inspect()
        lane.put(job)
        if not job.done.wait(self.settings.connect_patience):
            raise Conflict("the broker does not answer")
        job.answers.streams = lane.broker.stream_key() is not None
        return job.answers

    # --- reads -----------------------------------------------------------------------------------------------------------

    def account(self, account_id: str) -> AccountView:
        desk = self._desk(account_id)
        lane = self.roster.lane(account_id)
        return reads.account_view(desk, self.board, lane)

    def accounts(self) -> Sequence[AccountView]:
        return [self.account(desk.account.account_id) for desk in self.roster.desks()]

    def positions(self, account_ids: Sequence[str], *, flat: bool = False) -> Sequence[PositionView]:
        return reads.position_views(self._known(account_ids), self.prices.mark, flat=flat)

    def pnl(self, account_ids: Sequence[str]) -> Pnl:
        return reads.pnl(self._known(account_ids), self.prices.mark, self.clock.now())

    def order(self, order_id: str, account_id: str) -> Order | None:
        """As people are told of it: `sending` from the moment its bytes leave. None for an order that is neither live nor of this session."""
        desk = self.roster.desk(account_id)
        order = desk.orders.get(order_id) if desk else None
        return desk.as_it_is(order) if desk and order else order

    def live_orders(self, account_id: str) -> Sequence[Order]:
        """The account's orders that have not ended; none for an account nobody knows."""
        desk = self.roster.desk(account_id)
        if desk is None:
            return ()
        with desk.lock:
            return desk.live_orders()

    def quotes(self, symbols: Sequence[str]) -> Sequence[Tick]:
        if self.live is not None:
            self.live.watch(symbols)
        return self.prices.many(symbols)

    def levels(self, symbol: str) -> Levels:
        """The nearest prices at which something of any account fires: a replay that waits for the engines walks its bars through them."""
        return nearest(self.exchange.levels(symbol), self.guard.levels(symbol))

    def deadline(self, symbol: str) -> Timestamp:
        """When the next exit plan of any account ends by the clock: such a replay shows a price at that very moment."""
        return self.guard.deadline(symbol)

    def candles(self, symbol: str, timeframe: str, start: float | None = None, end: float | None = None) -> Sequence[Candle]:
        """Closed candles and the forming one that begin in [start, end), oldest first."""
        return self.candle_store.between(symbol, Timeframe(timeframe), start or 0.0, end or float("inf"))

    def combined_rules(self) -> Sequence[CombinedView]:
        """Every combined P&L rule as it stands now."""
        return self.combined.views()

    def incidents(self) -> Sequence[Incident]:
        return self.incident_log.open()

    def status(self) -> SystemStatus:
        return self.runtime.status()

    # --- what the engines ask each other through here -----------------------------------------------------------------------

    def market(self, desk: Desk, symbol: str) -> Market | None:
        """What an order of this account is planned against; None for an instrument nobody knows. An index is listed nowhere: it is denied by name."""
        instrument = self.instruments.get(symbol)
        if instrument is None:
            return None
        account, now = desk.account, self.clock.now()
        opened, no_entry = self.hours.open_for(account, instrument, now), self.hours.no_entry(account, instrument, now)
        tick, age = self.prices.get(symbol), self.prices.age(symbol)
        listed = instrument.tradable
        if self.live is not None and account.live:
            listed = listed and (self.master is None or self.master.listing(account.broker, symbol) is not None)
            if not self.prices.is_live(symbol):
                tick, age = None, None  # the simulated market is never a price for real money
        elif (
            self.live is not None
            and self.prices.is_live(symbol)
            and not account.paper.session_hours
            and not self.hours.is_open(instrument, now)
        ):
            age = 0.0  # a paper account is open at any hour: at night it trades at the last real price
        return Market(instrument, tick, age, self.settings.max_price_age, opened, listed, no_entry)

    def _market_open(self, symbol: str) -> bool:
        instrument = self.instruments.get(symbol)
        return instrument is None or self.hours.is_open(instrument, self.clock.now())

    def any_market_open(self) -> bool:
        now = self.clock.now()
        return any(self.hours.is_open(instrument, now) for instrument in {each.exchange: each for each in self.instruments}.values())

    def make_broker(self, account: Account, desk: Desk) -> Broker:
        if account.broker == "paper":
            return PaperBroker(account, self.exchange, reads.paper_books(desk, self.instruments.get))
        maker = self._makers.get(account.broker)
        if maker is None:
            raise LookupError(f"this version has no connection to {account.broker}")
        return maker(account, self.directory.credentials(account.account_id))

    def _make_roster(self) -> Roster:
        desk_tools = DeskTools(
            journal=self.journal,
            clock=self.clock,
            ids=self.ids,
            instrument=self.instruments.get,
            mark=self.prices.mark,
            on_durable=self._on_durable,
            on_plan=self._on_plan,
            on_exit_failed=self._on_exit_failed,
            on_flat=self._on_flat,
            on_trouble=self.trouble,
            calendar=lambda: self.hours.calendar,
        )
        lane_tools = LaneTools(
            clock=self.clock,
            outcomes=self.outcomes,
            denial=self._denial,
            on_trouble=self.trouble,
            on_needs_login=self._on_needs_login,
            on_ready=self._on_ready,
            quote=self._quote,
            latency=lambda seconds: self.latency.add("broker", round(seconds * 1000, 3)),
            settle=Settle,
        )
        return Roster(self.directory, desk_tools, lane_tools, self.make_broker, self.supervisor)

    def _make_fan_out(self) -> FanOut:
        return FanOut(
            self.journal,
            self.clock,
            self.outcomes,
            self.roster.routes,
            self.roster.lane,
            self.market,
            self._plan_tools,
            self._prepare,
            self.news.planned,
            self.trouble,
            self.exit_desk,
        )

    def _make_market_turn(self) -> MarketTurn:
        return MarketTurn(
            journal=self.journal,
            clock=self.clock,
            directory=self.directory,
            master=self.master,
            instruments=self.instruments,
            prices=self.prices,
            roster=self.roster,
            exchange=self.exchange,
            exits=self.exit_desk,
            incidents=self.incident_log,
            may_come=self.live is not None,
            only_real=self.feed.source == "live",
        )

    def _prepare(self, signal: Signal) -> Signal:
        """A signal without exits of its own takes those of its strategy's settings."""
        if signal.reduce_only or not signal.exits.empty or signal.strategy_id is None:
            return signal
        settings = self._settings_exits(signal.strategy_id)
        return replace(signal, exits=settings) if settings else signal

    def _settings_exits(self, strategy_id: str) -> ExitSpec | None:
        strategy = self.roster.strategy(strategy_id)
        return strategy.exit_plan if strategy is not None else None

    def _closed_trades(self, account_id: str, strategy_id: str) -> Sequence[Decimal]:
        return self.runtime.closed_trades.get((account_id, strategy_id), ())

    def _fire(self, desk: Desk, plan: ExitPlan, exits: Sequence[exit_rules.ExitOrder]) -> None:
        lane = self.roster.lane(desk.account.account_id)
        if lane is None:
            self.trouble("unguarded", "critical", f"{plan.key.symbol}: a stop fired, but the account has no lane", desk.account.account_id)
            return
        for exit_order in exits:
            lane.put(Exit(self.exit_desk, plan.key, exit_order.role, exit_order.quantity, plan, plan_id=plan.plan_id))

    def _exit(self, desk: Desk, key: PositionKey, quantity: Decimal | None, role: Role) -> Tracker:
        lane = self.roster.lane(desk.account.account_id)
        if lane is None:
            raise Conflict("the account is not connected")
        tracker = self.exit_desk.open(desk, key, quantity, role, Source.MANUAL, "closed by hand")
        lane.put(Exit(self.exit_desk, key, role, quantity, tracker=tracker))
        return tracker

    def _flatten(self, desk: Desk, strategy_id: str | None) -> None:
        lane = self.roster.lane(desk.account.account_id)
        if lane is not None:
            lane.put(Flatten(self.exit_desk, Progress(), close=True, strategy_id=strategy_id))

    def _leave(self, desk: Desk, strategy_id: str | None, wanted: Callable[[], bool]) -> None:
        """What a combined P&L rule has left: cancelled and closed, again and again until it is flat."""
        lane = self.roster.lane(desk.account.account_id)
        if lane is not None:
            lane.put(Flatten(self.exit_desk, Progress(), close=True, holds=wanted, strategy_id=strategy_id))

    def _denial(self, account: Account, order: Order) -> Denial | None:
        """Asked under the gate of every entry."""
        denial = self.board.denial(account, order.strategy_id) or self.combined.forbids(account, order.strategy_id)
        if denial is not None:
            return denial
        tracker = self.outcomes.get(order.signal_key)
        return withdrawn(account, order, tracker.signal if tracker is not None else None, self.roster.trades, self.roster.runs)

    def _strategy_name(self, strategy_id: str) -> str:
        strategy = self.roster.strategy(strategy_id)
        return strategy.name if strategy is not None else strategy_id

    def _on_durable(self, desk: Desk, facts: Sequence[Fact]) -> None:
        self.news.on_durable(desk, facts)

    def _on_plan(self, desk: Desk, plan: ExitPlan) -> None:
        self.guard.watch(desk, plan)

    def _on_exit_failed(self, desk: Desk, order: Order) -> None:
        self.aftermath.exit_failed(desk, order)

    def _on_flat(self, order: Order, price: Decimal, entry_price: Decimal | None) -> None:
        self.aftermath.flat(order, price, entry_price)

    def _on_needs_login(self, desk: Desk, why: str) -> None:
        desk.ready, desk.needs_login, desk.state_detail = False, True, why
        self.incident_log.raise_("needs_login", "critical", f"{desk.account.name}: {why}", desk.account.account_id)

    def _on_ready(self, desk: Desk) -> None:
        for kind in ("needs_login", "cannot_connect"):
            self.incident_log.resolve(kind, desk.account.account_id)

    def _stream_trouble(self, kind: str, severity: str, message: str) -> None:
        self.incident_log.raise_(kind, severity, message)

    def _stream_clear(self, kind: str) -> None:
        self.incident_log.resolve(kind)

    def _quote(self, symbol: str, side: Side) -> Decimal | None:
        """What an order on this side would trade at now, on the tick."""
        return reference_price(side, OrderType.MARKET, None, None, self.prices.get(symbol))

    def _on_death(self, death: Death) -> None:
        kind = "thread_stuck" if death.stuck else "thread_died"
        account_id = death.name.removeprefix(LANE) if death.name.startswith(LANE) else None
        if death.over:
            self.incident_log.resolve(kind, account_id, about=death.name)
        else:
            what = "the account's lane" if account_id else death.name
            self.incident_log.raise_(kind, "critical", f"{what}: {death.detail}", account_id, about=death.name)

    def trouble(self, kind: str, severity: str, message: str, account_id: str | None) -> None:
        self.incident_log.raise_(kind, severity, message, account_id)

    def _exact_price(self, tick: Tick) -> Decimal | None:
        instrument = self.instruments.get(tick.symbol)
        return None if instrument is None else to_tick(tick.last_price, instrument.tick_size)

    def _position_told(self, desk: Desk, position: Position) -> PositionView:
        return reads.position_view(desk, position, self.prices.mark)

    # --- finding -----------------------------------------------------------------------------------------------------------

    def _desk(self, account_id: str) -> Desk:
        desk = self.roster.desk(account_id)
        if desk is None:
            raise NotFound(f"there is no account {account_id}")
        return desk

    def _known(self, account_ids: Sequence[str]) -> list[Desk]:
        return [desk for key in account_ids if (desk := self.roster.desk(key)) is not None]

    def _order(self, order_id: str) -> Order:
        for desk in self.roster.desks():
            order = desk.orders.get(order_id)
            if order is not None:
                return order
        raise NotFound(f"there is no order {order_id} of this session")

    def _position(self, position_id: str) -> tuple[Desk, Position]:
        for desk in self.roster.desks():
            with desk.lock:
                for book in desk.books.values():
                    if book.position.position_id == position_id:
                        return desk, book.position
        raise NotFound(f"there is no position {position_id}")
