"""The system in motion: recovery, the way of a tick, the threads and their health. One start-up path for a first start, a restart and a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from engines.core.facts import CandleClosed, IncidentChanged, LevelsFixed, StrategyStateSaved
from engines.core.model import Candle, ExitSpec, Signal, Tick, Timeframe
from engines.core.sessions import HOME_EXCHANGE, day_start
from engines.day.waker import Waker
from engines.execution.desk import Desk
from engines.execution.halts import latched
from engines.execution.roster import LANE
from engines.execution.supervisor import Worker
from engines.execution.views import SystemStatus, ThreadStatus
from engines.live_prices import in_use
from engines.market.watchdog import Change, StallWatchdog
from engines.market_turn import source_of
from engines.ports import Recovered, SystemClock
from engines.strategies.runner import StrategyRunner

if TYPE_CHECKING:
    from engines.system import TradingSystem

log = structlog.get_logger(__name__)

MONITOR_EVERY = 0.25
SUPERVISE_EVERY = 0.5
SUPERVISOR = "supervisor"
STRATEGY_NAP = 0.1
WRITING_PATIENCE = 0.1
"""Seconds that a change of switches waits for an account in the middle of writing an order."""


class Runtime:
    def __init__(self, system: TradingSystem) -> None:
        self.system = system
        self.closed_trades: Mapping[tuple[str, str], Sequence[Decimal]] = {}
        self.counters: dict[str, int] = {}
        self.listeners: list[Callable[[Sequence[Tick], bool], None]] = []
        """Get every batch of accepted ticks, and whether they are real, after the engines; they must return quickly."""
        self.runner: StrategyRunner | None = None
        self._started_at = system.clock.monotonic()
        self._running = False
        self._ticked_at: float | None = None
        self._stall = StallWatchdog()
        self._changed = threading.Event()
        self._refreshing = threading.Lock()
        self._ticking = threading.Lock()
        self._wakes = not system.settings.lockstep and isinstance(system.clock, SystemClock)  # any other clock is stepped

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        system = self.system
        self._started_at = system.clock.monotonic()
        system.prices.update(system.feed.prime())
        recovered = system.journal.load(day_start(system.clock.now(), HOME_EXCHANGE))
        self._restore(recovered)
        self.runner = self._make_runner(recovered)
        system.candle_store.subscribe(self._on_candle)
        self._running = True
        for desk in system.roster.desks():
            system.roster.start_lane(desk)
        system.fanout.resume(recovered.overtaken)
        system.stopper.resume(system.board.halts, latched(system.latch.active()).killed)
        system.monitor.resume()
        system.combined.resume()
        self._start_threads()
        system.directory.on_change(self._changed.set)
        system.feed.start(self.on_ticks)
        self._await_lanes()
        log.info("engines started", accounts=len(system.roster.desks()), feed=system.feed.source)

    def _restore(self, recovered: Recovered) -> None:
        system = self.system
        there = latched(system.latch.active())
        held = {halt.halt_id: halt for halt in (*recovered.halts, *there.halts)}
        off = {*recovered.engines_off, *(halt.scope_id for halt in there.off)}
        killed = {**recovered.kill_switches, **{halt.scope_id: halt.reason for halt in there.killed if halt.scope_id}}
        closing = {halt.scope_id for halt in there.killed if halt.flatten}
        system.board.restore(tuple(held.values()), tuple(off), killed, closing)
        self.closed_trades = recovered.closed_trades
        system.combined.configure(system.directory.combined_rules(), system.directory.groups())
        system.roster.refresh(start_lanes=False)
        system.hours.take(system.directory.calendar_days())
        if not system.settings.lockstep:  # a replay begins its day anew each time
            system.day.restore(recovered.job_runs)
            system.combined.restore(recovered.combined)
        specs: dict[str, ExitSpec] = {signal.key: signal.exits for signal in recovered.signals if not signal.exits.empty}
        for desk in system.roster.desks():
            self._restore_desk(desk, recovered, specs)
        system.market_turn.restore(recovered.real_prices)
        system.aftermath.restore(recovered.incidents)

    def _restore_desk(self, desk: Desk, recovered: Recovered, specs: Mapping[str, ExitSpec]) -> None:
        key = desk.account.account_id
        desk.restore(
            orders=[order for order in recovered.live_orders if order.account_id == key],
            specs=specs,
            opening=[position for position in recovered.opening if position.key.account_id == key],
            fills=[fill for fill in recovered.fills if fill.account_id == key],
            booked=recovered.booked,
            plans=[plan for plan in recovered.plans if plan.key.account_id == key],
            day=next((day for day in recovered.days if day.account_id == key), None),
            cash=recovered.settled_cash.get(key, Decimal(0)),
        )
        desk.open_day(self.system.clock.now(), HOME_EXCHANGE)
        if self.system.live is not None and desk.account.live:
            self.system.prices.claim(in_use(desk))  # what real money holds is never valued or stopped at simulated prices
        for plan in list(desk.plans.values()):
            self.system.guard.watch(desk, plan)

    def _make_runner(self, recovered: Recovered) -> StrategyRunner:
        system = self.system
        runner = StrategyRunner(
            clock=system.clock,
            ids=system.ids,
            instrument=system.instruments.get,
            history=system.candle_store.history,
            watch=system.candle_store.watch,
            submit=self._submit,
            record=self._record,
            states=recovered.strategy_states,
            quarantined=recovered.quarantined,
            people=system.roster.people,
        )
        runner.configure(system.roster.strategies())
        if system.settings.lockstep:
            runner.step()  # else the strategies' own thread takes them up, and the first page need not wait for it
        return runner

    def _start_threads(self) -> None:
        add = self.system.supervisor.add
        runner = self.runner
        add("risk", self._loop(MONITOR_EVERY, self._look_after))
        add("strategy", self._strategy_loop, runner.waiting if runner else lambda: 0)
        if self._wakes:
            waker = Waker(self.system.day, self.system.clock)
            add("timetable", waker.run, wake=waker.wake)
        add(SUPERVISOR, self._loop(SUPERVISE_EVERY, self._supervise))

    def _await_lanes(self) -> None:
        """Most accounts are ready within milliseconds; one that is not goes on connecting while the rest trade."""
        deadline = self.system.clock.monotonic() + self.system.settings.connect_patience
        pause = threading.Event()
        while self.system.clock.monotonic() < deadline:
            if all(desk.ready or desk.needs_login or not desk.account.enabled for desk in self.system.roster.desks()):
                return
            pause.wait(0.005)

    def stop(self) -> None:
        """Feed first (nothing new fires), then the threads, then the journal has everything that they told."""
        if not self._running:
            return
        self._running = False
        system = self.system
        system.feed.stop()
        if system.live is not None:
            system.live.stop()
        system.supervisor.stop(2.5)
        for lane in system.roster.lanes():
            lane.broker.close()
        log.info("engines stopped")

    # --- the way of a tick -----------------------------------------------------------------------------------------------

    def on_ticks(self, ticks: Sequence[Tick]) -> None:
        """Called by the feed's thread."""
        with self._ticking:
            self._take(ticks, live=False)
        if self.system.settings.lockstep:
            self._in_step()

    def on_live_ticks(self, ticks: Sequence[Tick]) -> None:
        """Called by the threads of the brokers' streams, one batch at a time."""
        with self._ticking:
            self._take(ticks, live=True)

    def _take(self, ticks: Sequence[Tick], *, live: bool) -> None:
        """Each stage is guarded by itself: one that raises is told, and the others still see the tick."""
        system = self.system
        self._ticked_at = system.clock.monotonic()
        accepted = self._accept_live(ticks) if live else system.prices.update(ticks)
        if accepted and live:
            self._begin_anew(system.prices.newly_live())
        if accepted:
            self._stage("paper", system.exchange.on_ticks, accepted)
            self._stage("guard", system.guard.on_ticks, accepted)
            self._stage("candles", self._candles, accepted)
            for listener in self.listeners:
                self._stage("listener", lambda taken, listener=listener: listener(taken, live), accepted)  # type: ignore[misc]

    def _accept_live(self, ticks: Sequence[Tick]) -> list[Tick]:
        """Before the first real price of an instrument is seen by anybody, paper has left its simulated market. Real prices come whatever happens there."""
        system = self.system
        self._stage("market_turn", system.market_turn.before, ticks)
        try:
            return system.prices.update(ticks, live=True)
        finally:
            system.market_turn.after()

    def _begin_anew(self, symbols: Collection[str]) -> None:
        """Real prices have taken the place of the simulated ones: candles and strategies must not go on from a market that never was."""
        for symbol in symbols:
            self.system.candle_store.forget(symbol)
        if symbols and self.runner is not None:
            self.runner.renew(symbols)

    def _stage(self, name: str, stage: Callable[[Sequence[Tick]], object], ticks: Sequence[Tick]) -> None:
        try:
            stage(ticks)
        except Exception as error:  # told as an incident; a tick must reach the other stages
            log.exception("tick stage failed", stage=name)
            self._count(f"{name}_failed")
            self.system.incident_log.raise_("tick_stage_failed", "critical", f"{name}: {type(error).__name__}: {error}", about=name)

    def _candles(self, ticks: Iterable[Tick]) -> None:
        self.system.candle_store.on_ticks(ticks)
        if self.runner is not None:
            self.runner.offer_ticks(ticks)

    def _on_candle(self, timeframe: Timeframe, candle: Candle) -> None:
        """A closed candle is kept for charts and warm-up, and shown to the strategies."""
        self.system.journal.append(
            CandleClosed(candle.symbol, timeframe.value, *candle[1:], live=self.system.candle_store.is_live(candle.symbol))
        )
        if self.runner is not None:
            self.runner.offer_candle(timeframe, candle)

    def _in_step(self) -> None:
        """Lockstep: everything that this batch caused is finished before the next one comes."""
        runner = self.runner
        self._drain_lanes()  # a stop that this batch fired is over before strategies decide: else it would be a race who comes first
        self.system.candle_store.flush(self.system.clock.now())
        for _ in range(100):
            if runner is not None:
                runner.step()
            self._drain_lanes()
            if runner is None or not runner.waiting():
                break
        self.system.monitor.step()
        self.system.combined.step()
        self.system.day.step()
        self._drain_lanes()

    def _drain_lanes(self) -> None:
        pause = threading.Event()
        while self._running and not all(lane.idle for lane in self.system.roster.lanes()):
            pause.wait(0.0002)

    # --- threads -----------------------------------------------------------------------------------------------------------

    def _loop(self, every: float, step: Callable[[], None]) -> Callable[[Worker], None]:
        def loop(worker: Worker) -> None:
            while not worker.pause(every):
                worker.beat()
                step()

        return loop

    def _strategy_loop(self, worker: Worker) -> None:
        runner = self.runner
        while not worker.stopping and runner is not None:
            worker.beat()
            if self.system.settings.lockstep:
                worker.pause(0.5)  # the feed's thread runs the strategies itself
            elif runner.wait(STRATEGY_NAP):
                worker.detail = runner.current or ""
                runner.step()

    def _look_after(self) -> None:
        system = self.system
        system.supervisor.look_after(SUPERVISOR)  # it watches this thread, and this one watches it
        self._catch_up()
        system.roster.try_again()
        if not system.settings.lockstep:  # in lockstep a deadline comes with its instrument's next price, as in a backtest
            system.guard.on_clock(system.clock.now())
            system.candle_store.flush(system.clock.now())
            system.monitor.step()
            system.aftermath.step()
            system.combined.step()
            if not self._wakes:
                system.day.step()
        for lane in system.roster.lanes():
            lane.note_in_flight()
        system.exchange.on_clock(system.clock.now())
        system.session_watch.step()
        system.position_watch.step()
        system.chaser.step()
        if system.live is not None:
            system.live.step()
            with self._ticking:  # a first real price that comes at this moment is seen by it, or comes after it
                system.market_turn.step()
        self._watch_journal()
        self._watch_feed()

    def _catch_up(self) -> None:
        """Take over what a person changed; where that fails it is told and tried again at the next look, and the rest of the looking after goes on."""
        if not self._changed.is_set():
            return
        try:
            self._take_changes()
        except Exception as error:
            log.warning("changes not taken over", error=f"{type(error).__name__}: {error}")
            message = f"What was changed could not be read and does not hold yet; it is tried again ({type(error).__name__}: {error})"
            self.system.incident_log.raise_("changes_wait", "critical", message)
        else:
            self.system.incident_log.resolve("changes_wait")

    def _take_changes(self) -> None:
        self._changed.clear()
        try:
            self._refresh()
        except Exception:
            self._changed.set()  # or what was switched off would trade on, until somebody changes something else
            raise

    def _refresh(self) -> None:
        """Accounts, strategies or mappings were changed by a person: take them over; new accounts begin with their own recovery."""
        system = self.system
        with self._refreshing:  # the last to read must be the last to tell
            for desk in system.roster.refresh(start_lanes=False):
                desk.open_day(system.clock.now(), HOME_EXCHANGE)
                system.roster.start_lane(desk)
            system.combined.configure(system.directory.combined_rules(), system.directory.groups())
            if self.runner is not None:
                self.runner.configure(system.roster.strategies())
            system.hours.take(system.directory.calendar_days())
            system.day.changed()

    def refresh_now(self) -> None:
        """For whoever has just written: what is switched on trades at once, and no entry leaves for what is switched off once this returns."""
        self._take_changes()
        for lane in self.system.roster.lanes():
            lane.gate.pass_through(WRITING_PATIENCE)  # whoever asked before the change has written by then

    def _watch_journal(self) -> None:
        system = self.system
        down = not system.journal.healthy
        if down == system.board.journal_down:
            return
        system.board.set_journal_down(down)
        if down:
            system.stopper.barrier(system.roster.lanes())
            message = "The database cannot be written (disk full or locked): entries are stopped, nothing is sent that was not recorded"
            system.incident_log.raise_("journal_down", "critical", message)
        else:
            system.incident_log.resolve("journal_down")

    def _watch_feed(self) -> None:
        system = self.system
        self._stall.after = system.settings.stall_after
        change = self._stall.check(system.clock.monotonic(), system.prices.newest_age(), self._expects_ticks())
        if change is Change.SILENT:
            message = (
                f"No price from {system.feed.source} for {system.settings.stall_after:.0f} s: entries are denied while prices are stale"
            )
            system.incident_log.raise_("feed_silent", "critical", message)
        elif change is Change.BACK:
            system.incident_log.resolve("feed_silent")

    def _expects_ticks(self) -> bool:
        """The simulated market never closes; any other feed is expected to speak while one of its exchanges trades."""
        system = self.system
        if system.feed.finished:
            return False
        return system.feed.source == "simulated" or system.any_market_open()

    def _supervise(self) -> None:
        self.system.supervisor.check()

    def tell_flat(self, strategy_id: str, symbol: str, price: float, at: float, leg: str, entry_price: Decimal | None) -> None:
        if self.runner is not None:
            self.runner.offer_flat(strategy_id, symbol, price, at, leg, entry_price)

    # --- strategies ----------------------------------------------------------------------------------------------------------

    def _submit(self, signal: Signal) -> object:
        outcome = self.system.submit(signal)
        if self.system.settings.lockstep:
            self._drain_lanes()  # who turns round leaves before the way in is sized: else it would be a race for the account's money
        return outcome

    def _record(self, fact: StrategyStateSaved | IncidentChanged | LevelsFixed) -> None:
        self.system.journal.append(fact)
        if isinstance(fact, IncidentChanged):
            self.system.notifier.publish("incident", fact.incident.user_id, {"incident": fact.incident})

    # --- health --------------------------------------------------------------------------------------------------------------

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def status(self) -> SystemStatus:
        system = self.system
        on = system.board.engines_on(None)
        desks = system.roster.desks()
        now = system.clock.monotonic()
        tick_age = int((now - self._ticked_at) * 1000) if self._ticked_at is not None else None
        counters = dict(self.counters) | {"ticks_refused": system.prices.refused, "stops_fired": system.guard.fired}
        for desk in desks:
            for name, count in desk.counters.items():
                counters[name] = counters.get(name, 0) + count
        return SystemStatus(
            engines=self._threads(on, tick_age),
            on=on,
            feed_source=source_of(system.feed.source, real=system.prices.any_live),
            last_tick_age_ms=tick_age,
            accounts_total=len(desks),
            accounts_connected=sum(desk.ready for desk in desks),
            accounts_halted=sum(system.board.denial(desk.account, None) is not None for desk in desks),
            halts=system.board.halts,
            latency_ms=system.latency.percentiles(),
            journal=system.journal.stats(),
            counters=counters,
            uptime_s=int(now - self._started_at),
            extra={"armed_plans": system.guard.armed()},
        )

    def _threads(self, on: bool, tick_age: int | None) -> Mapping[str, ThreadStatus]:
        """The engines by name (strategy, execution, market, …) and every lane. Engines that a person switched off are `stopped`."""
        own = {name: worker.status() for name, worker in self.system.supervisor.workers().items()}
        lanes = {name: status for name, status in own.items() if name.startswith(LANE)}
        order = ("dead", "off", "restarting", "stuck", "running", "stopped")
        states = sorted((status.state for status in lanes.values()), key=order.index)
        depth = sum(status.queue_depth for status in lanes.values())
        ages = [status.heartbeat_age_ms for status in lanes.values() if status.heartbeat_age_ms is not None]
        engines = {
            "strategy": own.get("strategy", ThreadStatus("off", None)),
            "execution": ThreadStatus(states[0] if states else "running", max(ages, default=0), depth, f"{len(lanes)} lanes"),
            "market": ThreadStatus("stuck" if self._stall.silent else "running", tick_age, 0, self.system.feed.source),
        }
        if not on:
            engines = {name: ThreadStatus("stopped", s.heartbeat_age_ms, s.queue_depth, s.detail) for name, s in engines.items()}
        return engines | {name: status for name, status in own.items() if name not in engines}
