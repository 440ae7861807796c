"""All accounts of a backtest behind one strategy: what it decides once goes to each of them, and what happens to them all is told to it once.

It walks eventful bars leg by leg, all instruments together, as a replay does, and knows until when a bar needs nobody's attention. Orders, money and
limits are each account's own (`book`, `entries`, `watch`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf

from engines.backtest.book import NO_EXITS, Book
from engines.backtest.records import Decision, Flat, Log
from engines.backtest.settings import Seat, Settings
from engines.backtest.track import Slot, Track
from engines.backtest.watch import Watch
from engines.core import reentry
from engines.core.bars import nearest
from engines.core.codec import dumps, from_plain
from engines.core.model import Candle, CombinedRule, Group, Side, Signal, StrategyConfig, Tick, Timestamp
from engines.core.sessions import DAY, HOME_EXCHANGE, Calendar, day_start, load_calendar
from engines.market.replay import LevelWalk, trading_time
from engines.strategies import registry
from engines.strategies.base import Wish
from engines.strategies.signals import make_signal

_PLAIN = (None, ())  # neither stop nor targets
_NOTHING_MORE = (None, None, None)  # neither price, exits nor quantity
_MOST_PLAIN = 10_000  # a strategy may say something new every time


class House:
    def __init__(
        self,
        seats: Sequence[Seat],
        settings: Settings,
        config: StrategyConfig,
        tracks: Mapping[str, Track],
        *,
        rules: Sequence[CombinedRule] = (),
        groups: Sequence[Group] = (),
        calendar: Calendar | None = None,
        restart_at: Iterable[Timestamp] = (),
    ) -> None:
        self.config, self.tracks, self.log = config, tracks, Log()
        self._count = 0
        self._plain: dict[tuple[str, Side, bool, str], Signal] = {}
        calendar = calendar or load_calendar()
        self.books = [
            Book(seat, settings, config.strategy_id, tracks, calendar, prefix="B" if len(seats) == 1 else f"B{number}-")
            for number, seat in enumerate(seats, start=1)
        ]
        self._watch = Watch(self.books, config.strategy_id, rules, groups)
        self._sessions = self._watch.wanted or any(book.entries.counts_sessions for book in self.books)
        self._midnight = -inf if self._sessions else inf
        self._restarts = sorted(restart_at, reverse=True)
        self.turn = min(self._midnight, self._next_restart())
        """The next moment at which `begin` has something to do."""
        self._reentering = config.reentry is not None
        if self._reentering:
            for track in tracks.values():
                self._listen(track)

    def close(self) -> None:
        """Let go of everything: a sweep makes thousands of houses, and what refers to itself would wait for the collector."""
        for track in self.tracks.values():
            track.slots.clear()
            track.on_candle = track.strategy.on_candle
        for book in self.books:
            book.slots.clear()
            book.ledger.held.clear()
            book.entries.left = None

    # --- sessions ---------------------------------------------------------------------------------------------------

    def begin(self, now: Timestamp) -> None:
        """A session begins, or the strategies are to be started anew (to show that they can be)."""
        if now >= self._midnight:
            self._midnight = day_start(now, HOME_EXCHANGE) + DAY
            self._watch.open_day(now)
        while self._restarts and now >= self._restarts[-1]:
            self._restarts.pop()
            for track in self.tracks.values():
                self._restart(track, now)
        self.turn = min(self._midnight, self._next_restart())

    def _next_restart(self) -> Timestamp:
        return self._restarts[-1] if self._restarts else inf

    def _restart(self, track: Track, now: Timestamp) -> None:
        """A new strategy takes up what the old one would have stored."""
        config, old = self.config, track.strategy
        try:
            new = registry.create(config.kind, config.params, track.symbol, config.timeframe, track.instrument)
            new.restore(json.loads(json.dumps(old.state(), allow_nan=False)))
        except Exception as error:
            raise track.failed(now, error) from error
        track.strategy, track.on_candle = new, new.on_candle
        if self._reentering:
            track.reentry = from_plain(reentry.ReentryState, json.loads(dumps(track.reentry)))
            self._listen(track)

    # --- what is decided ----------------------------------------------------------------------------------------------

    def wish(self, track: Track, wish: Wish, moment: Timestamp, tick: Tick | None, now: Timestamp) -> None:
        """Decide and, when there is a price to trade at, trade. `moment` names the candle or tick that the wish follows from."""
        log, closed = self.log, moment + self.config.timeframe.seconds
        if tick is not None and self._watch.wanted:
            track.revalue(tick.last_price)
        for signal in self._signals(track, wish, moment, now):
            log.decisions.append(Decision(moment, signal.symbol, signal.side, signal.reduce_only, signal.strategy_id or "", wish.note))
            if self._reentering and not signal.reduce_only:
                track.reentry = reentry.entered(track.reentry, signal.side, signal.exits)
            if tick is None:
                log.unfilled += 1
                continue
            for slot in track.slots:
                slot.book.trade(slot, signal, tick, now, closed)
        if self._reentering and track.strategy.stance == 0:
            track.reentry = reentry.closed(track.reentry)
        self._aim(track, track.slots, traded=True)

    def _signals(self, track: Track, wish: Wish, moment: Timestamp, now: Timestamp) -> list[Signal]:
        try:
            if not isinstance(wish, Wish):
                raise TypeError(f"a strategy answers self.buy(), self.sell(), self.close() or None, not {wish!r}")
            return [self._signal(track, part, moment, now) for part in track.strategy.accept(wish)]
        except Exception as error:
            raise track.failed(moment, error) from error

    def _signal(self, track: Track, part: Wish, moment: Timestamp, now: Timestamp) -> Signal:
        """A wish that names neither price nor size asks for the same every time: such a signal is made once, and its name and moment are not read."""
        if part[2:4] != _PLAIN or part[5:] != _NOTHING_MORE:
            return self._made(track, part, moment, now)
        name = (track.symbol, part.side, part.reduce_only, part.note)
        signal = self._plain.get(name)
        if signal is None:
            signal = self._made(track, part, moment, now)
            if len(self._plain) < _MOST_PLAIN:
                self._plain[name] = signal
        return signal

    def _made(self, track: Track, part: Wish, moment: Timestamp, now: Timestamp) -> Signal:
        self._count += 1
        signal = make_signal(part, self.config, track.instrument, moment, key=f"S{self._count:09d}", now=now)
        return replace(signal, exits=NO_EXITS) if signal.exits.empty else signal

    def _listen(self, track: Track) -> None:
        """From now on a close at which the strategy itself wishes nothing may bring it in again."""
        on_candle, spec, exchange = track.strategy.on_candle, self.config.reentry, track.instrument.exchange
        lasts = self.config.timeframe.seconds

        def heard(candle: Candle) -> Wish | None:
            wish = on_candle(candle)
            if wish is not None or not track.reentry.waiting:
                return wish
            track.reentry, due = reentry.on_close(spec, track.reentry, candle.close, candle.start, candle.start + lasts, exchange)
            return None if due is None else Wish(due.side, note=due.note, exits=due.exits)

        track.on_candle = heard

    # --- prices -------------------------------------------------------------------------------------------------------

    def reach(self, track: Track, tick: Tick, now: Timestamp) -> None:
        """A price or a moment at which something may happen on some account; then the strategy hears whether it is flat."""
        price, met = tick.last_price, list[Slot]()
        if self._watch.wanted:
            track.revalue(price)
        for slot in track.slots:
            if price <= slot.floor or price >= slot.ceiling or now >= slot.alarm:
                slot.book.reach(slot, tick, now)
                met.append(slot)
        self._aim(track, met)
        if track.left is not None:
            self._tell_flat(track, now)

    def walk(self, bars: Sequence[tuple[Track, Candle]]) -> None:
        """Through the rest of bars of one moment whose opens were seen: leg by leg what each meets on its way, and then the corners of all.

        Bars of different lengths are walked through one length after the other, the shortest first."""
        lengths = sorted({track.seconds for track, _ in bars})
        for seconds in lengths:
            self._walk([(track, candle) for track, candle in bars if track.seconds == seconds] if len(lengths) > 1 else bars)

    def _walk(self, bars: Sequence[tuple[Track, Candle]]) -> None:
        track, candle = bars[0]
        begins, lasts = trading_time(candle, track.seconds)
        walks = [_Walk(track, candle, (begins, lasts)) for track, candle in bars]
        if self._watch.wanted:
            for track, candle in bars:
                track.revalue(candle.open)
        at = begins
        self.look(at)
        for leg in range(3):
            corners = []
            for walk in walks:
                for share, tick in walk.way.leg(last=leg == 2):
                    if share == 1.0:
                        corners.append((walk.track, tick))
                    else:
                        at = max(at, round(begins + lasts * (leg + share) / 3, 3))
                        self.meet(walk.track, tick._replace(at=at), at)
                        self.look(at)
            at = max(at, round(begins + lasts * (leg + 1) / 3, 3))
            for track, tick in corners:
                self.meet(track, tick._replace(at=at), at)
            self.look(at)
        for walk in walks:
            track, track.tick = walk.track, None
            self.log.ambiguous += walk.ambiguous
            if track.every_bar and not any(slot.position.quantity for slot in track.slots):
                self._aim(track, ())

    def meet(self, track: Track, tick: Tick, at: Timestamp) -> None:
        """The newest price of an instrument."""
        track.tick, price = tick, tick.last_price
        if price <= track.floor or price >= track.ceiling or at >= track.alarm:
            self.reach(track, tick, at)
        elif self._watch.wanted:
            track.revalue(price)

    def look(self, now: Timestamp) -> None:
        """After each batch of prices: has an account or a scope reached a limit of its P&L?"""
        if self._watch.wanted:
            for track in self._watch.look(now):
                self._aim(track, track.slots)
                if track.left is not None:
                    self._tell_flat(track, now)

    def _tell_flat(self, track: Track, now: Timestamp) -> None:
        """The strategy hears of an exit that was not its own, as its runner would tell it: once no account holds anything or waits for anything."""
        left, track.left = track.left, None
        if left is None or any(slot.position.quantity or slot.working for slot in track.slots):
            return
        if track.strategy.stance:
            track.strategy.stance = 0
            self.log.flats.append(Flat(now, track.symbol, float(left.exit_price)))
            if self._reentering:
                track.reentry = reentry.taken_out(self.config.reentry, track.reentry, left.leg, left.entry_price, left.exit_price)
            try:
                track.strategy.on_flat(float(left.exit_price))
            except Exception as error:
                raise track.failed(now, error) from error

    def _aim(self, track: Track, changed: Iterable[Slot], *, traded: bool = False) -> None:
        """Until where a bar of this instrument needs nobody's attention. `traded`: the accounts' P&L is to be looked at after this bar in any case."""
        watched = False
        for slot in changed:
            if slot.plan is not None or slot.working or slot.leave_at < inf:
                slot.book.aim(slot)
            else:
                slot.floor, slot.ceiling, slot.alarm, slot.levels = -inf, inf, inf, ()
        floor, ceiling, alarm, every = -inf, inf, inf, False
        levels = []
        for slot in track.slots:
            if slot.levels:
                watched = True
                floor, ceiling, alarm = max(floor, slot.floor), min(ceiling, slot.ceiling), min(alarm, slot.alarm)
                levels.append(slot.levels)
        if self._watch.wanted:
            every = traded or any(slot.position.quantity for slot in track.slots)
        track.watched, track.every_bar = watched or every, every
        track.floor, track.ceiling, track.alarm = floor, ceiling, alarm
        track.soon = -inf if every else alarm - track.seconds
        track.levels = nearest(*levels) if levels else ()


class _Walk:
    """One bar on its way, and whether its outcome hangs on which of its extremes came first."""

    def __init__(self, track: Track, candle: Candle, hours: tuple[Timestamp, float]) -> None:
        self.track, self._candle = track, candle
        self.way = LevelWalk(candle, lambda _symbol: track.levels, lambda _symbol: track.deadline, hours)
        self._hangs = any(candle.low <= slot.floor and candle.high >= slot.ceiling for slot in track.slots)
        self._plans = [(slot, slot.plan.plan_id) for slot in track.slots if slot.plan is not None]
        track.tick = self.way.opening(candle.start)

    @property
    def ambiguous(self) -> bool:
        """It held what fires on both sides, or reaches back to a stop that it has moved itself: that would have been hit the other way round."""
        low, high = self._candle.low, self._candle.high
        return self._hangs or any(
            slot.plan is not None and slot.plan.plan_id == plan_id and (low <= slot.floor or high >= slot.ceiling)
            for slot, plan_id in self._plans
        )
