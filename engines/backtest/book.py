"""One account of a backtest: turns signals into orders, orders into fills, fills into positions and exit plans, by the rules that trade live.

Sizing, limits, exits, matching, charges and positions are those of `engines.core`; here is only the order in which they are asked, which is that of
`engines.execution`. It runs when something trades, in exact numbers, and never on a quiet bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import inf
from random import Random

from engines.backtest.entries import Entries
from engines.backtest.exchange import Exchange, Order
from engines.backtest.ledger import Ledger
from engines.backtest.records import MOST_REFUSALS, AccountLog, Move, Refusal
from engines.backtest.settings import Seat, Settings
from engines.backtest.track import LeftBy, Slot, Track
from engines.core import exits as exit_rules
from engines.core import positions as position_rules
from engines.core.matching import Outcome, OutcomeKind
from engines.core.model import (
    ZERO,
    Denial,
    ExitPlan,
    ExitSpec,
    OrderType,
    PlanState,
    PositionKey,
    Product,
    Role,
    Side,
    Signal,
    Tick,
    Timestamp,
)
from engines.core.positions import empty
from engines.core.prices import exact, is_lot_multiple
from engines.core.sessions import DAY, Calendar, day_start
from engines.core.sizing import Sized, SizingInput, size
from engines.core.slicing import slices

MOST_EXIT_SLICES = 1000  # as live
NO_EXITS = ExitSpec()


class Book:
    def __init__(
        self,
        seat: Seat,
        settings: Settings,
        strategy_id: str,
        tracks: Mapping[str, Track],
        calendar: Calendar,
        *,
        prefix: str = "B",
    ) -> None:
        self.account, self.mapping, self.log = seat.account, seat.mapping, AccountLog()
        self._exchange = Exchange(self.account.paper.slippage_ticks, self.account.leverage)
        self._chance = Random(0)  # asked for nothing: neither rejects nor partial fills are simulated here
        self._calendar, self._prefix, self._count = calendar, prefix, 0
        account_id, self.slots = self.account.account_id, list[Slot]()
        for track in tracks.values():
            slot = Slot(self, track, empty(PositionKey(account_id, track.symbol, Product.MIS, strategy_id)))
            track.slots.append(slot)
            self.slots.append(slot)
        self.ledger = Ledger(self.account, self.slots, self.log)
        self.entries = Entries(self.account, settings.max_price_age, self.ledger, self._exchange, calendar)

    # --- from a signal to orders ----------------------------------------------------------------------------------

    def trade(self, slot: Slot, signal: Signal, tick: Tick, now: Timestamp, closed: Timestamp) -> None:
        """What this account makes of a signal at this price. `closed`: when the candle that it follows from was over."""
        held, price = slot.position.quantity, signal.price or self._exchange.value(signal.side, tick)
        if signal.reduce_only and signal.quantity is None:
            sized = _CLOSES
        else:
            sized = self._size(slot, signal, price)
        out, into = ZERO, ZERO if signal.reduce_only else sized.quantity
        if held * signal.side.sign < 0:
            pending = self._pending_exits(slot)
            free = max(ZERO, abs(held) - pending)
            if signal.quantity is None:
                out = free
            elif signal.reduce_only:
                out = min(free, sized.quantity)
            else:
                out, into = position_rules.split(held, pending, signal.side, sized.quantity)
        if out:
            self._send(slot, signal.side, out, Role.EXIT, "signal", tick, now, signal)
        if not signal.reduce_only and (into or not out):
            denial = self.entries.denial(slot, signal, into, price, tick, now, closed) or (sized.denial and (sized.denial, sized.detail))
            denial = denial or self.entries.too_many_slices(slot, into)
            if denial is None:
                self.entries.count()
                self.log.entries += 1
                self._send(slot, signal.side, into, Role.ENTRY, "signal", tick, now, signal)
            else:
                self._refuse(slot, now, signal.side, denial[0].value, denial[1])
        elif not out:
            self._refuse(slot, now, signal.side, Denial.ZERO_QUANTITY.value, "there is nothing to close")

    def _size(self, slot: Slot, signal: Signal, price: Decimal) -> Sized:
        instrument = slot.track.instrument
        stop = None if signal.exits is NO_EXITS else exit_rules.stop_for(signal.exits, signal.side, price, instrument.tick_size)
        return size(
            SizingInput(
                capital=self.account.capital,
                mapping=self.mapping,
                instrument=instrument,
                price=price,
                stop_price=stop,
                quantity=signal.quantity,
                closed_trades=self.ledger.closed,
            )
        )

    def _send(
        self,
        slot: Slot,
        side: Side,
        quantity: Decimal,
        role: Role,
        reason: str,
        tick: Tick,
        now: Timestamp,
        signal: Signal | None = None,
    ) -> None:
        """To the exchange, in as many orders as its freeze quantity asks for. Without a signal: an exit at the market."""
        instrument = slot.track.instrument
        parts: tuple[Decimal, ...] = (quantity,)
        if instrument.freeze_quantity is not None and is_lot_multiple(quantity, instrument.lot):
            parts = slices(quantity, instrument.lot, instrument.freeze_quantity, MOST_EXIT_SLICES)
        order_type, price, exits, note, entering = OrderType.MARKET, None, None, "", role is Role.ENTRY
        if signal is not None:
            order_type, price, note = signal.order_type, signal.price, signal.note
            if entering and signal.exits is not NO_EXITS:
                exits = signal.exits
        if entering and self.entries.bound:
            slot.leave_at = self.entries.square_off(slot.track, now)
        product, working = slot.position.key.product, slot.working
        for part in parts:
            name = self._next_id()
            order = Order(name, instrument, side, part, order_type, product, price, role, reason, exits, not entering, note)
            at_once = self._exchange.at_once(order, tick)
            if at_once is not None:
                self._fill(slot, order, part, at_once, now)
                continue
            working[name] = order
            for outcome in self._exchange.submit(order, name, tick, now, self._chance, held=slot.position.quantity):
                self._take(slot, outcome, now)
        if working:
            slot.expires = day_start(now, instrument.exchange) + DAY

    # --- what the exchange says -----------------------------------------------------------------------------------

    def _take(self, slot: Slot, outcome: Outcome, now: Timestamp) -> None:
        if outcome.kind is OutcomeKind.REJECTED:
            order = slot.working.pop(outcome.broker_order_id)
            self._refuse(slot, now, order.side, f"rejected: {outcome.message}", outcome.message)
        elif outcome.kind is OutcomeKind.FILL and outcome.price is not None:
            order = slot.working.pop(outcome.broker_order_id)  # every fill here is a whole one
            self._fill(slot, order, outcome.quantity, outcome.price, outcome.at)

    def _fill(self, slot: Slot, order: Order, quantity: Decimal, price: Decimal, at: Timestamp) -> None:
        role, average = order.role, slot.position.average_price if order.reason != "signal" else None
        self.ledger.fill(slot, order, quantity, price, at)
        if not slot.position.quantity:
            slot.plan = None
            slot.leave_at = inf if not slot.working else slot.leave_at
            if average is not None:
                leg = role.value if role in (Role.STOP, Role.TARGET) else "other"
                slot.track.left = LeftBy(leg, average, price)
        elif role is Role.ENTRY and (slot.plan is not None or order.exits is not None):
            self._guard(slot, order, quantity, at)

    # --- prices and the clock -------------------------------------------------------------------------------------

    def reach(self, slot: Slot, tick: Tick, now: Timestamp) -> None:
        """A price or a moment at which something may happen: what the clock ends, then resting orders, then the exit plan."""
        if now >= slot.alarm:
            self._on_clock(slot, tick, now)
        if slot.working:
            for outcome in self._exchange.on_tick(tick, now, self._chance):
                self._take(slot, outcome, now)
        plan = slot.plan
        if plan is not None and plan.state is PlanState.ARMED:
            changed, due = exit_rules.on_price(plan, exact(tick.last_price), now)
            if changed is not plan:
                slot.plan = changed
                self._note_changes(slot, plan, changed, now)
            for leaving in due:
                self._leave(slot, leaving, tick, now)

    def _on_clock(self, slot: Slot, tick: Tick, now: Timestamp) -> None:
        if now >= slot.expires:
            for order_id in list(slot.working):
                order = self._cancel(slot, order_id, now)
                self._refuse(slot, now, order.side, "expired", "the session of what rested was over")
            slot.expires = inf
        if now >= slot.leave_at:
            self.clear(slot, tick, now, "square_off")

    def clear(self, slot: Slot, tick: Tick, now: Timestamp, reason: str) -> None:
        """Take back whatever rests and close what is held, at the market."""
        for order_id in list(slot.working):
            self._cancel(slot, order_id, now)
        held = slot.position.quantity
        if held:
            slot.plan = None
            self._send(slot, Side.SELL if held > 0 else Side.BUY, abs(held), Role.SQUARE_OFF, reason, tick, now)
        slot.leave_at = inf

    # --- the exit plan --------------------------------------------------------------------------------------------

    def _guard(self, slot: Slot, order: Order, quantity: Decimal, at: Timestamp) -> None:
        """Arm or grow the plan of the position that an entry has opened or grown."""
        plan, position = slot.plan, slot.position
        entry = position.average_price
        if entry is None:
            return
        if plan is not None and plan.side is order.side and plan.state is PlanState.ARMED:
            slot.plan = exit_rules.grow(plan, quantity, entry, at)
            self._note_changes(slot, plan, slot.plan, at)
            return
        if order.exits is None:
            return
        try:
            slot.plan = exit_rules.make_plan(
                self._next_id(),
                position.key,
                self.account.user_id,
                order.side,
                entry,
                abs(position.quantity),
                order.exits,
                slot.track.instrument,
                at,
                at_fill=True,
                calendar=self._calendar,
            )
        except ValueError as error:
            self._refuse(slot, at, order.side, f"unguarded: {error}", str(error))
            return
        if slot.plan is not None:
            slot.first_stop = slot.plan.stop
            self.log.moves.append(Move(at, slot.track.symbol, "armed", slot.plan.stop))

    def _note_changes(self, slot: Slot, before: ExitPlan, after: ExitPlan, at: Timestamp) -> None:
        moves, symbol = self.log.moves, slot.track.symbol
        for number, (old, new) in enumerate(zip(before.targets, after.targets, strict=False), start=1):
            if new.fired and not old.fired:
                moves.append(Move(at, symbol, "target", after.stop, number))
        if after.stop != before.stop:
            moves.append(Move(at, symbol, "moved", after.stop))

    def _leave(self, slot: Slot, leaving: exit_rules.ExitOrder, tick: Tick, now: Timestamp) -> None:
        """A stop, a target or the deadline is due. All but a target take back entries that would build the position up again, and either what stands
        in its way."""
        if leaving.role is not Role.TARGET:
            for order_id in [name for name, order in slot.working.items() if order.role is Role.ENTRY]:
                self._cancel(slot, order_id, now)
        held = slot.position.quantity
        wanted = min(abs(held), leaving.quantity)
        if abs(held) - self._pending_exits(slot) < wanted:
            for order_id in [name for name, order in slot.working.items() if order.role is not Role.ENTRY]:
                self._cancel(slot, order_id, now)
        if not wanted:
            return
        reason = "time" if leaving.role is Role.SQUARE_OFF else leaving.role.value
        if leaving.role is Role.STOP and slot.plan is not None and slot.plan.stop != slot.first_stop:
            reason = "moved_stop"
        self._send(slot, Side.SELL if held > 0 else Side.BUY, wanted, leaving.role, reason, tick, now)

    # --- small ----------------------------------------------------------------------------------------------------

    def aim(self, slot: Slot) -> None:
        """The nearest prices and the next moment at which something happens, as floats for the loop; those of a trail matter to the loop only, for
        between two corners of a bar a trail that follows step by step ends where one that jumps does."""
        plan, working = slot.plan, slot.working
        buy_at, stop_sell, sell_at, stop_buy = self._exchange.levels(slot.track.symbol) or _NOTHING
        floor, ceiling, alarm = max(buy_at, stop_sell), min(sell_at, stop_buy), slot.leave_at
        if working:
            alarm = min(alarm, slot.expires)
        if plan is not None and plan.state is PlanState.ARMED:
            if plan.deadline is not None:
                alarm = min(alarm, plan.deadline)
            for level in exit_rules.levels(plan):
                down = level.direction == "down"
                floor, ceiling = (max(floor, level.price), ceiling) if down else (floor, min(ceiling, level.price))
                if level.leg == "stop":
                    stop_sell, stop_buy = (max(stop_sell, level.price), stop_buy) if down else (stop_sell, min(stop_buy, level.price))
                elif level.leg != "trail":
                    buy_at, sell_at = (max(buy_at, level.price), sell_at) if down else (buy_at, min(sell_at, level.price))
        slot.floor, slot.ceiling, slot.alarm, slot.levels = floor, ceiling, alarm, (buy_at, stop_sell, sell_at, stop_buy)

    def _pending_exits(self, slot: Slot) -> Decimal:
        if not slot.working:
            return ZERO
        return sum((order.quantity for order in slot.working.values() if order.role is not Role.ENTRY), ZERO)

    def _cancel(self, slot: Slot, order_id: str, now: Timestamp) -> Order:
        self._exchange.cancel(order_id, now)
        return slot.working.pop(order_id)

    def _refuse(self, slot: Slot, at: Timestamp, side: Side, reason: str, detail: str) -> None:
        self.log.refused[reason] += 1
        if len(self.log.refusals) < MOST_REFUSALS:
            self.log.refusals.append(Refusal(at, slot.track.symbol, side, reason, detail))

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:09d}"


_NOTHING = (0.0, -inf, inf, inf)
_CLOSES = Sized(ZERO, "closes what is there")
