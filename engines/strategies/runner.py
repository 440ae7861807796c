"""Feeds candles and ticks to the active strategies and turns their wishes into signals, on one thread that the system owns.

Any thread may offer candles, ticks and new settings; only `step` runs strategy code. A strategy that raises is quarantined and told; the others go on.
What a strategy remembers is recorded before its signals go out, and signals carry names that follow from the candle, so that a crash at any moment
neither loses an exit nor sends anything twice. It knows no accounts and sends no orders.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import structlog

from engines.core import reentry
from engines.core.codec import dumps, from_plain, to_plain
from engines.core.facts import IncidentChanged, LevelsFixed, StrategyStateSaved
from engines.core.model import Candle, ChartLevel, Incident, Instrument, Signal, StrategyConfig, Tick, Timeframe, Timestamp
from engines.core.prices import exact
from engines.core.sessions import session_day
from engines.ports import Clock, Ids, JournalDown
from engines.strategies import incidents, registry
from engines.strategies.base import Strategy, Wish
from engines.strategies.signals import make_signal

log = structlog.get_logger(__name__)

FRESH = 30.0
"""Seconds after its candle's close for which an entry may still go out (a restart, a slow database). Exits go out however late."""
CATCH_UP = 2_000
"""Candles played after a restart, at most."""
MOST_WAITING = 20_000
"""Candles that may wait. Beyond that the strategies take up from the stored candles instead, as after a restart."""

Pair = tuple[str, Timeframe]
Record = Callable[[StrategyStateSaved | IncidentChanged | LevelsFixed], None]
History = Callable[[str, Timeframe, int], Sequence[Candle]]


@dataclass(slots=True)
class _Instance:
    """One strategy on one instrument. `last` is the start of the newest candle it has seen."""

    config: StrategyConfig
    strategy: Strategy
    instrument: Instrument
    last: Timestamp = 0.0
    wished_at: Timestamp = 0.0
    again: reentry.ReentryState = reentry.NOTHING
    unsent: tuple[Signal, ...] = ()  # recorded, not yet taken by `submit`: said again after a crash
    drawn: tuple[ChartLevel, ...] = ()  # the levels and words that were told last
    said: str = ""


class _Flat(NamedTuple):
    """What took out the last of what a strategy held, and its prices."""

    price: float
    leg: str
    entry_price: Decimal | None


@dataclass(frozen=True, slots=True)
class StrategyStatus:
    """What a page shows of a running strategy. `stances`: symbol → 1 long, −1 short, 0 flat, as the strategy last wished."""

    strategy_id: str
    quarantined: str | None
    last_candle: Timestamp | None
    stances: Mapping[str, int]


class StrategyRunner:
    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        instrument: Callable[[str], Instrument | None],
        history: History,
        watch: Callable[[frozenset[Pair]], object],
        submit: Callable[[Signal], object],
        record: Record,
        states: Mapping[str, Mapping[str, Any]] | None = None,
        quarantined: Mapping[str, str] | None = None,
        people: Callable[[str], Iterable[str]] = lambda strategy_id: (),  # noqa: ARG005 - a strategy that only its owner trades
    ) -> None:
        """`people`: who else trades a strategy and is told of its troubles. `watch` is told which candles are needed from now on; `history` gives their newest closed ones, oldest first.

        `submit` may raise JournalDown, then it is asked again at the next step."""
        self._clock, self._ids = clock, ids
        self._instrument, self._history, self._watch, self._submit, self._record = instrument, history, watch, submit, record
        self._people = people
        self._states: dict[str, dict[str, Any]] = {key: dict(value) for key, value in (states or {}).items()}
        self._quarantined: dict[str, str] = dict(quarantined or {})
        self._since: dict[str, Timestamp] = {}  # of those that this run took out
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._candles: deque[tuple[Timeframe, Candle]] = deque()
        self._ticks: dict[str, Tick] = {}
        self._wanted: tuple[StrategyConfig, ...] | None = None
        self._released: set[str] = set()
        self._renewed: set[str] = set()
        self._flats: list[tuple[str, str, Timestamp, _Flat]] = []
        self._overflowed = False
        # below: only the stepping thread writes
        self._configs: dict[str, StrategyConfig] = {}
        self._instances: dict[str, list[_Instance]] = {}
        self._by_pair: dict[Pair, list[_Instance]] = {}
        self._by_tick: dict[str, list[_Instance]] = {}
        self._pairs: frozenset[Pair] = frozenset()
        self._changed: dict[str, None] = {}  # ordered set of strategy ids whose state is to be recorded
        self._outbox: list[tuple[_Instance, Signal]] = []
        self._told: dict[str, frozenset[str]] = {}  # strategy id → who else was told that it is quarantined
        self._missed: dict[str, int] = {}  # strategy id → entries that came too late
        self.current: str | None = None
        """The strategy whose code is running now: the one to blame when the thread hangs."""

    # --- from any thread ------------------------------------------------------------------------------------------

    def configure(self, strategies: Iterable[StrategyConfig]) -> None:
        """These are all strategies now; active ones run from the next step on. Switching one off and on lifts its quarantine."""
        with self._lock:
            self._wanted = tuple(strategies)
        self._work.set()

    def release(self, strategy_id: str) -> None:
        """Lift a quarantine: the strategy takes up again at the next step."""
        with self._lock:
            self._released.add(strategy_id)
        self._work.set()

    def renew(self, symbols: Iterable[str]) -> None:
        """What these instruments' candles told so far was of another market: strategies on them forget it at the next step and begin anew."""
        with self._lock:
            self._renewed.update(symbols)
        self._work.set()

    def offer_candle(self, timeframe: Timeframe, candle: Candle) -> None:
        """A candle has closed. Those that no strategy watches cost nothing."""
        if (candle.symbol, timeframe) not in self._pairs:
            return
        with self._lock:
            if len(self._candles) >= MOST_WAITING:
                self._candles.clear()
                self._overflowed = True
            self._candles.append((timeframe, candle))
        self._work.set()

    def offer_ticks(self, ticks: Iterable[Tick]) -> None:
        """The newest prices; of several ticks of an instrument that wait, only the newest is seen."""
        listening = self._by_tick
        if not listening:
            return
        heard = {tick.symbol: tick for tick in ticks if tick.symbol in listening}
        if heard:
            with self._lock:
                self._ticks.update(heard)
            self._work.set()

    def offer_flat(
        self, strategy_id: str, symbol: str, price: float, at: Timestamp, leg: str = reentry.OTHER, entry_price: Decimal | None = None
    ) -> None:
        """Every account that held this for the strategy is flat by a stop, a target or a person, and nothing of it is under way.

        Without this a strategy goes on believing that it is in. Told late (it has wished something after `at`), it changes nothing. `leg` is what took out
        the last of it and `entry_price` what that had cost: a re-entry may follow."""
        with self._lock:
            self._flats.append((strategy_id, symbol, at, _Flat(price, leg, entry_price)))
        self._work.set()

    def wait(self, timeout: float) -> bool:
        """Until there is something to do, at most `timeout` seconds. True: call `step`."""
        return self._work.wait(timeout) or bool(self._outbox)

    def waiting(self) -> int:
        return len(self._candles)

    def watched(self) -> frozenset[Pair]:
        """The candles that active strategies need, as of the last step."""
        return self._pairs

    def status(self) -> dict[str, StrategyStatus]:
        return {
            config.strategy_id: StrategyStatus(
                config.strategy_id,
                self._quarantined.get(config.strategy_id),
                max((instance.last for instance in instances), default=0.0) or None,
                {instance.instrument.symbol: instance.strategy.stance for instance in instances},
            )
            for config in list(self._configs.values())
            for instances in [list(self._instances.get(config.strategy_id, ()))]
        }

    # --- on the strategies' thread --------------------------------------------------------------------------------

    def step(self) -> int:
        """Do everything that waits: settings, candles in the order they closed, then ticks. Answers how many signals went out."""
        with self._lock:
            self._work.clear()
            wanted, self._wanted = self._wanted, None
            released, self._released = self._released, set()
            overflowed, self._overflowed = self._overflowed, False
            renewed, self._renewed = self._renewed, set()
            candles, self._candles = self._candles, deque()
            ticks, self._ticks = self._ticks, {}
            flats, self._flats = self._flats, []
        if wanted is not None or released or overflowed:
            self._reconfigure(tuple(self._configs.values()) if wanted is None else wanted, released, everything=overflowed)
        if renewed:
            self._renew(renewed)
            candles = deque(entry for entry in candles if entry[1].symbol not in renewed)
        for strategy_id, symbol, at, flat in flats:
            for instance in self._instances.get(strategy_id, ()):
                if instance.instrument.symbol == symbol and instance.wished_at < at:
                    self._run(instance, self._on_flat, flat)
        for timeframe, candle in candles:
            for instance in self._by_pair.get((candle.symbol, timeframe), ()):
                if candle.start > instance.last:
                    self._run(instance, self._on_candle, candle)
        for tick in ticks.values():
            for instance in self._by_tick.get(tick.symbol, ()):
                self._run(instance, self._on_tick, tick)
        self._record_changed()
        sent = self._send()
        self._record_changed()
        self._tell_missed()
        return sent

    def _on_candle(self, instance: _Instance, candle: Candle) -> None:
        instance.last = candle.start
        self._changed[instance.config.strategy_id] = None
        closed = candle.start + instance.config.timeframe.seconds
        wish = instance.strategy.on_candle(candle)
        if wish is None and instance.again.waiting:
            wish = self._in_again(instance, candle, closed)
        if wish is not None:
            self._say(instance, wish, candle.start, closed)
        self._tell_levels(instance)

    def _tell_levels(self, instance: _Instance) -> None:
        """What the strategy has worked out for the day, when it has changed: once for all accounts, for charts and lists."""
        drawn, said = instance.strategy.levels(), instance.strategy.says()
        if (drawn is instance.drawn and said == instance.said) or not instance.last:  # without a candle there is no day either
            return
        instance.drawn, instance.said = drawn, said
        day = session_day(instance.last, instance.instrument.exchange)
        self._record(LevelsFixed(instance.config.strategy_id, instance.instrument.symbol, day, drawn, said, self._clock.now()))

    def _in_again(self, instance: _Instance, candle: Candle, closed: Timestamp) -> Wish | None:
        """The re-entry that is due at this close, as if the strategy had wished it."""
        spec, exchange = instance.config.reentry, instance.instrument.exchange
        instance.again, due = reentry.on_close(spec, instance.again, candle.close, candle.start, closed, exchange)
        return None if due is None else Wish(due.side, note=due.note, exits=due.exits)

    def _on_tick(self, instance: _Instance, tick: Tick) -> None:
        wish = instance.strategy.on_tick(tick)
        if wish is not None:
            self._say(instance, wish, tick.at, closed=tick.at)

    def _on_flat(self, instance: _Instance, flat: _Flat) -> None:
        if instance.strategy.stance:
            instance.strategy.stance = 0
            self._changed[instance.config.strategy_id] = None
            exit_price = exact(flat.price)
            instance.again = reentry.taken_out(instance.config.reentry, instance.again, flat.leg, flat.entry_price, exit_price)
            instance.strategy.on_flat(flat.price)

    def _say(self, instance: _Instance, wish: Wish, moment: Timestamp, closed: Timestamp) -> None:
        """Turn a wish into signals, which go out after the state is recorded. What comes too late closes, but opens nothing."""
        if not isinstance(wish, Wish):
            raise TypeError(f"a strategy answers self.buy(), self.sell(), self.close() or None, not {wish!r}")
        strategy, config = instance.strategy, instance.config
        now = instance.wished_at = self._clock.now()
        before = strategy.stance
        said = strategy.accept(wish)
        if now - closed > FRESH and not wish.reduce_only:
            self._missed[config.strategy_id] = self._missed.get(config.strategy_id, 0) + 1
            said = tuple(part for part in said if part.reduce_only)
            strategy.stance = 0 if said else before
        for part in said:
            signal = make_signal(part, config, instance.instrument, moment, key=self._ids.new(), now=now)
            instance.unsent += (signal,)
            self._outbox.append((instance, signal))
            if config.reentry is not None and not part.reduce_only:
                instance.again = reentry.entered(instance.again, part.side, signal.exits)
        if strategy.stance == 0:
            instance.again = reentry.closed(instance.again)
        self._changed[config.strategy_id] = None

    def _run(self, instance: _Instance, call: Callable[[_Instance, Any], None], given: Any) -> None:
        """Strategy code is other people's code: whatever it raises ends in its quarantine and nowhere else."""
        strategy_id = instance.config.strategy_id
        if strategy_id in self._quarantined:
            return
        self.current = strategy_id
        try:
            call(instance, given)
        except Exception as error:
            self._quarantine(instance.config, error)
        finally:
            self.current = None

    # --- quarantine -----------------------------------------------------------------------------------------------

    def _quarantine(self, config: StrategyConfig, error: Exception) -> None:
        log.warning("strategy quarantined", strategy=config.strategy_id, kind=config.kind, exc_info=error)
        message = self._quarantined[config.strategy_id] = incidents.failure(error)
        self._changed[config.strategy_id] = None
        others = self._told[config.strategy_id] = frozenset(self._people(config.strategy_id))
        now = self._since[config.strategy_id] = self._clock.now()
        self._tell(incidents.quarantine(config, message, now), others)

    def _tell(self, incident: Incident, others: Iterable[str]) -> None:
        """Its owner first, then everybody else who trades it."""
        self._record(IncidentChanged(incident))
        for user_id in sorted(others):
            self._record(IncidentChanged(incidents.of(incident, user_id)))

    def _part(self, known: StrategyConfig, config: StrategyConfig) -> None:
        """For those who were told of its failure and whose share has ended since, that is over: in the words that they know, and nothing later."""
        told = self._told.get(config.strategy_id, frozenset())
        gone = told.difference(config.shared_with)
        if not gone:
            return
        self._told[config.strategy_id] = told - gone
        now = self._clock.now()
        words = f"{known.name} had failed when its share ended: what becomes of it is told no more"
        over = replace(incidents.quarantine(known, "", self._since.get(config.strategy_id, now)), message=words, until=now)
        for user_id in sorted(gone):
            self._record(IncidentChanged(incidents.of(over, user_id)))

    def _lift(self, config: StrategyConfig) -> None:
        message = self._quarantined.pop(config.strategy_id, None)
        if message is not None:
            self._changed[config.strategy_id] = None
            now = self._clock.now()
            others = self._told.pop(config.strategy_id, frozenset()).union(self._people(config.strategy_id))
            since = self._since.pop(config.strategy_id, now)  # what an earlier run took out: nobody here knows since when
            self._tell(replace(incidents.quarantine(config, message, since), until=now), others)

    # --- settings -------------------------------------------------------------------------------------------------

    def _reconfigure(self, wanted: Sequence[StrategyConfig], released: set[str], *, everything: bool) -> None:
        # Before the past is read: a candle that closes meanwhile then waits in the queue.
        self._pairs = frozenset((symbol, config.timeframe) for config in wanted if config.active for symbol in config.instruments)
        self._watch(self._pairs)
        before = self._configs
        self._configs = {config.strategy_id: config for config in wanted}
        for config in wanted:
            known = before.get(config.strategy_id)
            touched = known is not None and (known.active, _print(known)) != (config.active, _print(config))
            if known is not None:
                self._part(known, config)
            edited = known is None and self._states.get(config.strategy_id, {}).get("print", _print(config)) != _print(config)
            if touched or edited or config.strategy_id in released:
                self._lift(config)
            if not config.active:
                self._instances.pop(config.strategy_id, None)
            elif known != config or everything or config.strategy_id in released:
                self._build(config)
        for gone in before.keys() - self._configs.keys():
            self._instances.pop(gone, None)
        self._index()

    def _renew(self, symbols: set[str]) -> None:
        for config in self._configs.values():
            if config.active and not symbols.isdisjoint(config.instruments):
                known = self._states.get(config.strategy_id, {}).get("symbols", {})
                for symbol in symbols & known.keys():
                    del known[symbol]
                self._build(config)
        self._index()

    def _index(self) -> None:
        by_pair: dict[Pair, list[_Instance]] = {}
        by_tick: dict[str, list[_Instance]] = {}
        for strategy_id in self._configs:
            for instance in self._instances.get(strategy_id, ()):
                by_pair.setdefault((instance.instrument.symbol, instance.config.timeframe), []).append(instance)
                if instance.strategy.listens_to_ticks:
                    by_tick.setdefault(instance.instrument.symbol, []).append(instance)
        self._by_pair, self._by_tick = by_pair, by_tick

    def _build(self, config: StrategyConfig) -> None:
        """New instances for a strategy, brought up to date; with a state they go on where they were."""
        self._instances[config.strategy_id] = instances = []
        self._changed[config.strategy_id] = None
        if config.strategy_id in self._quarantined:
            return
        self.current = config.strategy_id
        try:
            for symbol in config.instruments:
                instrument = self._instrument(symbol)
                if instrument is None:
                    raise LookupError(f"there is no instrument {symbol}")
                instance = _Instance(config, registry.create(config.kind, config.params, symbol, config.timeframe, instrument), instrument)
                instances.append(instance)
                self._take_up(instance)
        except Exception as error:
            self._quarantine(config, error)
        finally:
            self.current = None

    def _take_up(self, instance: _Instance) -> None:
        """After a restart: restore, say again what may not have gone out, and play what was missed (late exits count, late entries do not)."""
        config, strategy = instance.config, instance.strategy
        saved = self._states.get(config.strategy_id, {})
        own = saved.get("symbols", {}).get(instance.instrument.symbol)
        past = self._history(instance.instrument.symbol, config.timeframe, CATCH_UP)
        if own is not None:
            instance.unsent = tuple(from_plain(Signal, plain) for plain in own["unsent"])
            self._outbox.extend((instance, signal) for signal in instance.unsent)
        if own is None or saved.get("print") != _print(config):
            for candle in past[-strategy.warmup :] if strategy.warmup else ():
                strategy.on_candle(candle)
            instance.last = past[-1].start if past else 0.0
            strategy.stance = 0 if own is None else int(own["state"].get("stance", 0))
            self._tell_levels(instance)
            return
        strategy.restore(own["state"])
        instance.last, instance.wished_at = own["last"], own["wished_at"]
        if own.get("again") is not None:
            instance.again = from_plain(reentry.ReentryState, own["again"])
        for candle in past:
            if candle.start > instance.last:
                self._on_candle(instance, candle)
        self._tell_levels(instance)

    # --- out ------------------------------------------------------------------------------------------------------

    def _record_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for strategy_id in changed:
            config = self._configs.get(strategy_id)
            if config is None:
                continue
            state = self._states[strategy_id] = self._state(config)
            self._record(StrategyStateSaved(strategy_id, state, self._quarantined.get(strategy_id), self._clock.now()))

    def _state(self, config: StrategyConfig) -> dict[str, Any]:
        symbols = dict(self._states.get(config.strategy_id, {}).get("symbols", {}))
        if config.strategy_id not in self._quarantined:
            try:
                for instance in self._instances.get(config.strategy_id, ()):
                    symbols[instance.instrument.symbol] = {
                        "last": instance.last,
                        "wished_at": instance.wished_at,
                        "state": instance.strategy.state(),
                        "unsent": [to_plain(signal) for signal in instance.unsent],
                        "again": to_plain(instance.again),
                    }
            except Exception as error:
                self._quarantine(config, error)
        return {"print": _print(config), "symbols": {symbol: symbols[symbol] for symbol in config.instruments if symbol in symbols}}

    def _send(self) -> int:
        """Submit in order. While the journal is down exits wait for ever, entries as long as they are fresh."""
        waiting, self._outbox = self._outbox, []
        sent = 0
        for number, (instance, signal) in enumerate(waiting):
            strategy_id = instance.config.strategy_id
            if signal.reduce_only or self._clock.now() - signal.created_at <= FRESH:
                try:
                    self._submit(signal)
                except JournalDown:
                    self._outbox = waiting[number:]
                    return sent
                sent += 1
            else:
                self._missed[strategy_id] = self._missed.get(strategy_id, 0) + 1
            instance.unsent = tuple(other for other in instance.unsent if other is not signal)
            self._changed[strategy_id] = None
        return sent

    def _tell_missed(self) -> None:
        missed, self._missed = self._missed, {}
        for strategy_id, count in missed.items():
            config = self._configs.get(strategy_id)
            if config is not None:
                self._tell(incidents.missed(config, count, self._clock.now(), self._ids.new()), self._people(strategy_id))


def _print(config: StrategyConfig) -> str:
    """What a remembered state depends on: another kind, timeframe or parameter makes it worthless."""
    return dumps([config.kind, config.timeframe, dict(sorted(config.params.items()))])
