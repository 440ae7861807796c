"""The account of a backtest: turns wishes into orders, orders into fills, fills into positions and exit plans, by the rules that trade live.

Sizing, exits, matching, charges and positions are those of `engines.core`; here is only the order in which they are asked, which is that of
`engines.execution`. It runs when something trades, in exact numbers, and never on a quiet bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from math import inf
from random import Random

from engines.backtest.exchange import Exchange, Order
from engines.backtest.ledger import ACCOUNT, Ledger
from engines.backtest.records import Decision, Log
from engines.backtest.settings import Settings
from engines.backtest.track import Track
from engines.core import exits as exit_rules
from engines.core import positions as position_rules
from engines.core.bars import ticks_within
from engines.core.matching import Outcome, OutcomeKind
from engines.core.model import (
    ZERO,
    AccountMapping,
    Candle,
    Denial,
    ExitSpec,
    OrderType,
    PlanState,
    Role,
    Side,
    Signal,
    StrategyConfig,
    Tick,
    Timestamp,
)
from engines.core.prices import exact, is_lot_multiple
from engines.core.risk import margin_required
from engines.core.sessions import DAY, day_start
from engines.core.sizing import Sized, SizingInput, size
from engines.core.slicing import slices
from engines.strategies.base import Wish
from engines.strategies.signals import make_signal

MOST_SLICES, MOST_EXIT_SLICES = 10, 1000  # as live
NO_EXITS = ExitSpec()
_PLAIN = (None, ())  # neither stop nor targets
_NOTHING_MORE = (None, None, None)  # neither price, exits nor quantity


class Book:
    def __init__(self, settings: Settings, config: StrategyConfig, tracks: Mapping[str, Track], log: Log) -> None:
        self._settings, self._config, self._tracks, self._log = settings, config, tracks, log
        self._mapping = AccountMapping(
            "",
            ACCOUNT,
            config.strategy_id,
            settings.allocation_pct,
            settings.sizing,
            settings.risk_per_trade_pct,
            settings.multiplier,
        )
        self._matching = Exchange(settings.slippage_ticks, settings.leverage)
        self._chance = Random(0)  # asked for nothing: neither rejects nor partial fills are simulated here
        self._working: dict[str, dict[str, Order]] = {}  # symbol → what rests at the exchange
        self._ledger = Ledger(settings, config.strategy_id, tracks, log)
        self._count = 0
        self._plain: dict[tuple[str, Side, bool], Signal] = {}

    @property
    def cash(self) -> Decimal:
        """What all fills have moved, charges included."""
        return self._ledger.cash

    # --- what the players say -------------------------------------------------------------------------------------

    def wish(self, track: Track, wish: Wish, moment: Timestamp, tick: Tick | None, now: Timestamp) -> None:
        """Decide and, when there is a price to trade at, trade. `moment` names the candle or tick that the wish follows from."""
        for signal in self._signals(track, wish, moment, now):
            self._log.decisions.append(Decision(moment, signal.symbol, signal.side, signal.reduce_only, self._config.strategy_id))
            if tick is None:
                self._log.unfilled += 1
            else:
                self._trade(track, signal, tick, now)
        self.refresh(track)

    def reach(self, track: Track, tick: Tick, now: Timestamp) -> None:
        """A price at which something may happen: resting orders first, then the exit plan, then the strategy hears whether it is flat."""
        for outcome in self._matching.on_tick(tick, now, self._chance):
            self._take(track, outcome)
        plan = track.plan
        if plan is not None and plan.state is PlanState.ARMED:
            track.plan, due = exit_rules.on_price(plan, exact(tick.last_price), now)
            for leaving in due:
                self._leave(track, leaving, tick, now)
        self.refresh(track)
        self._tell_flat(track, now)

    def walk(self, track: Track, candle: Candle) -> None:
        """Through the rest of a bar whose open was seen, along the declared way."""
        before, low, high = track.plan, candle.low, candle.high
        hangs = low <= track.floor and high >= track.ceiling
        ticks = ticks_within(candle, lambda: track.levels)
        next(ticks)
        for tick in ticks:
            self.reach(track, tick, candle.start)
        # A stop that this bar has moved into itself would have been hit had the extremes come the other way round.
        moved = track.plan is not None and before is not None and track.plan.plan_id == before.plan_id
        if hangs or (moved and (low <= track.floor or high >= track.ceiling)):
            self._log.ambiguous += 1

    def expire(self, track: Track, now: Timestamp) -> None:
        """The session of what still rests is over."""
        for order_id in list(self._working.get(track.symbol, ())):
            self._cancel(track, order_id, now)
            self._refuse("expired")
        self.refresh(track)

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
        name = (track.symbol, part.side, part.reduce_only)
        signal = self._plain.get(name)
        if signal is None:
            signal = self._plain[name] = self._made(track, part, moment, now)
        return signal

    def _made(self, track: Track, part: Wish, moment: Timestamp, now: Timestamp) -> Signal:
        signal = make_signal(part, self._config, track.instrument, moment, key=self._next_id(), now=now)
        return replace(signal, exits=NO_EXITS) if signal.exits.empty else signal

    # --- from a signal to orders ----------------------------------------------------------------------------------

    def _trade(self, track: Track, signal: Signal, tick: Tick, now: Timestamp) -> None:
        held, price = track.position.quantity, signal.price or self._matching.value(signal.side, tick)
        opposite = held * signal.side.sign < 0
        if signal.reduce_only and signal.quantity is None:
            sized = _CLOSES
        else:
            sized = self._size(track, signal, price)
        out, into = ZERO, ZERO if signal.reduce_only else sized.quantity
        if opposite:
            pending = self._pending_exits(track)
            free = max(ZERO, abs(held) - pending)
            if signal.quantity is None:
                out = free
            elif signal.reduce_only:
                out = min(free, sized.quantity)
            else:
                out, into = position_rules.split(held, pending, signal.side, sized.quantity)
        if out:
            self._send(track, signal.side, out, Role.EXIT, "signal", tick, now, signal)
        if not signal.reduce_only and (into or not out):
            denial = sized.denial or self._denial(track, signal, into, price, tick, now)
            if denial is None:
                self._send(track, signal.side, into, Role.ENTRY, "signal", tick, now, signal)
            else:
                self._refuse(denial.value)
        elif not out:
            self._refuse(Denial.ZERO_QUANTITY.value)

    def _size(self, track: Track, signal: Signal, price: Decimal) -> Sized:
        return size(
            SizingInput(
                capital=self._settings.capital,
                mapping=self._mapping,
                instrument=track.instrument,
                price=price,
                stop_price=None
                if signal.exits is NO_EXITS
                else exit_rules.stop_for(signal.exits, signal.side, price, track.instrument.tick_size),
                quantity=signal.quantity,
                closed_trades=self._ledger.closed,
            )
        )

    def _denial(self, track: Track, signal: Signal, quantity: Decimal, price: Decimal, tick: Tick, now: Timestamp) -> Denial | None:
        """Why this entry may not leave; None when it may."""
        if now - tick.at > self._settings.max_price_age:
            return Denial.STALE_PRICE
        instrument, leverage = track.instrument, self._settings.leverage
        if instrument.freeze_quantity is not None:
            try:
                slices(quantity, instrument.lot, instrument.freeze_quantity, MOST_SLICES)
            except ValueError:
                return Denial.FREEZE_QUANTITY
        needed = margin_required(instrument, signal.product, signal.side, quantity * price, leverage, quantity=quantity)
        return Denial.INSUFFICIENT_FUNDS if needed > self._ledger.free_funds(track, tick) - self._matching.blocked_margin else None

    def _send(
        self,
        track: Track,
        side: Side,
        quantity: Decimal,
        role: Role,
        reason: str,
        tick: Tick,
        now: Timestamp,
        signal: Signal | None = None,
    ) -> None:
        """To the exchange, in as many orders as its freeze quantity asks for. Without a signal: an exit at the market."""
        instrument = track.instrument
        parts: tuple[Decimal, ...] = (quantity,)
        if instrument.freeze_quantity is not None and is_lot_multiple(quantity, instrument.lot):
            parts = slices(quantity, instrument.lot, instrument.freeze_quantity, MOST_EXIT_SLICES)
        order_type, price, exits = OrderType.MARKET, None, None
        if signal is not None:
            order_type, price = signal.order_type, signal.price
            if role is Role.ENTRY and signal.exits is not NO_EXITS:
                exits = signal.exits
        product, working = track.position.key.product, self._working.setdefault(track.symbol, {})
        for part in parts:
            name = self._next_id()
            order = Order(name, instrument, side, part, order_type, product, price, role, reason, exits, role is not Role.ENTRY)
            at_once = self._matching.at_once(order, tick)
            if at_once is not None:
                self._fill(track, order, part, at_once, now)
                continue
            working[name] = order
            for outcome in self._matching.submit(order, name, tick, now, self._chance, held=track.position.quantity):
                self._take(track, outcome)
        if working:
            track.expires = day_start(now, instrument.exchange) + DAY

    # --- what the exchange says -----------------------------------------------------------------------------------

    def _take(self, track: Track, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.REJECTED:
            del self._working[track.symbol][outcome.broker_order_id]
            self._refuse(f"rejected: {outcome.message}")
        elif outcome.kind is OutcomeKind.FILL and outcome.price is not None:
            order = self._working[track.symbol].pop(outcome.broker_order_id)  # every fill here is a whole one
            self._fill(track, order, outcome.quantity, outcome.price, outcome.at)

    def _fill(self, track: Track, order: Order, quantity: Decimal, price: Decimal, at: Timestamp) -> None:
        role = order.role
        self._ledger.fill(track, order.order_id, order.side, quantity, price, at, None if role is Role.ENTRY else order.reason)
        if not track.position.quantity:
            track.plan = None
            if role is not Role.ENTRY and role is not Role.EXIT:
                track.flat_by, track.flat_at = role, float(price)
        elif role is Role.ENTRY and (track.plan is not None or order.exits is not None):
            self._guard(track, order, quantity, at)

    # --- the exit plan --------------------------------------------------------------------------------------------

    def _guard(self, track: Track, order: Order, quantity: Decimal, at: Timestamp) -> None:
        """Arm or grow the plan of the position that an entry has opened or grown."""
        plan, position = track.plan, track.position
        entry = position.average_price
        if entry is None:
            return
        if plan is not None and plan.side is order.side and plan.state is PlanState.ARMED:
            track.plan = exit_rules.grow(plan, quantity, entry, at)
            return
        if order.exits is None:
            return
        try:
            track.plan = exit_rules.make_plan(
                self._next_id(),
                position.key,
                self._config.user_id,
                order.side,
                entry,
                abs(position.quantity),
                order.exits,
                track.instrument,
                at,
                at_fill=True,
            )
        except ValueError as error:
            self._refuse(f"unguarded: {error}")
            return
        track.first_stop = None if track.plan is None else track.plan.stop

    def _leave(self, track: Track, leaving: exit_rules.ExitOrder, tick: Tick, now: Timestamp) -> None:
        """A stop or target is due. A stop takes back entries that would build the position up again, and either what stands in its way."""
        working = self._working.get(track.symbol, {})
        if leaving.role is Role.STOP:
            for order_id in [name for name, order in working.items() if order.role is Role.ENTRY]:
                self._cancel(track, order_id, now)
        held = track.position.quantity
        wanted = min(abs(held), leaving.quantity)
        if abs(held) - self._pending_exits(track) < wanted:
            for order_id in [name for name, order in working.items() if order.role is not Role.ENTRY]:
                self._cancel(track, order_id, now)
        if not wanted:
            return
        reason = leaving.role.value
        if leaving.role is Role.STOP and track.plan is not None and track.plan.stop != track.first_stop:
            reason = "moved_stop"
        self._send(track, Side.SELL if held > 0 else Side.BUY, wanted, leaving.role, reason, tick, now)

    def _tell_flat(self, track: Track, now: Timestamp) -> None:
        """The strategy hears of an exit that was not its own, as its runner would tell it."""
        by, track.flat_by = track.flat_by, None
        if by is None or track.position.quantity or self._working.get(track.symbol):
            return
        if track.strategy.stance:
            track.strategy.stance = 0
            try:
                track.strategy.on_flat(track.flat_at)
            except Exception as error:
                raise track.failed(now, error) from error

    # --- small ----------------------------------------------------------------------------------------------------

    def refresh(self, track: Track) -> None:
        """The nearest prices at which something happens, as floats for the loop; those of a trail matter to the loop only, for between two
        corners of a bar a trail that follows step by step ends where one that jumps does."""
        if track.plan is None and not self._working.get(track.symbol):
            track.watched, track.floor, track.ceiling, track.expires, track.levels = False, -inf, inf, inf, _NOTHING
            return
        track.watched = True
        buy_at, stop_sell, sell_at, stop_buy = self._matching.levels(track.symbol) or _NOTHING
        floor, ceiling = max(buy_at, stop_sell), min(sell_at, stop_buy)
        if not self._working.get(track.symbol):
            track.expires = inf
        if track.plan is not None:
            for level in exit_rules.levels(track.plan):
                down = level.direction == "down"
                floor, ceiling = (max(floor, level.price), ceiling) if down else (floor, min(ceiling, level.price))
                if level.leg == "stop":
                    stop_sell, stop_buy = (max(stop_sell, level.price), stop_buy) if down else (stop_sell, min(stop_buy, level.price))
                elif level.leg != "trail":
                    buy_at, sell_at = (max(buy_at, level.price), sell_at) if down else (buy_at, min(sell_at, level.price))
        track.floor, track.ceiling, track.levels = floor, ceiling, (buy_at, stop_sell, sell_at, stop_buy)

    def _pending_exits(self, track: Track) -> Decimal:
        working = self._working.get(track.symbol)
        if not working:
            return ZERO
        return sum((order.quantity for order in working.values() if order.role is not Role.ENTRY), ZERO)

    def _cancel(self, track: Track, order_id: str, now: Timestamp) -> None:
        self._matching.cancel(order_id, now)
        self._working[track.symbol].pop(order_id, None)

    def _refuse(self, reason: str) -> None:
        self._log.refused[reason] += 1

    def _next_id(self) -> str:
        self._count += 1
        return f"B{self._count:09d}"


_NOTHING = (0.0, -inf, inf, inf)
_CLOSES = Sized(ZERO, "closes what is there")
