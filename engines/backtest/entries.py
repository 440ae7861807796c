"""May an entry leave? What one account of a backtest asks before it: its day, its limits, what has locked it, and the money.

The questions and their order are those of live (`core.risk`, `core.timetable`, `core.combined`); an account without limits is asked the two that are left.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf

from engines.backtest.exchange import Exchange
from engines.backtest.ledger import Ledger
from engines.backtest.track import Slot, Track
from engines.core.exit_specs import unreachable
from engines.core.model import ZERO, Account, Denial, Limits, OrderType, PlanState, Role, Side, Signal, Tick, Timestamp
from engines.core.risk import RiskInput, check_entry, check_price, margin_required
from engines.core.sessions import DAY, Calendar, day_start, is_open, session_day
from engines.core.slicing import slices
from engines.core.timetable import binds, entry_window, hours_of, keeps_hours, square_off_at, why_no_entry

MOST_SLICES = 10  # as live
NO_LIMITS = Limits()

Denied = tuple[Denial, str]


class Entries:
    def __init__(self, account: Account, max_price_age: float, ledger: Ledger, exchange: Exchange, calendar: Calendar) -> None:
        self.account = account
        self.bound = binds(account)
        self.trades_today = 0
        self.locked: str | None = None  # the day limit that closed the account for the session
        self.left: Callable[[], Denied | None] | None = None  # whether a combined rule has left a scope that this account is in
        self._keeps_hours = keeps_hours(account)
        self._limited = account.limits != NO_LIMITS
        self._max_price_age = max_price_age
        self._ledger, self._exchange, self._calendar = ledger, exchange, calendar
        self._windows: dict[str, tuple[Timestamp, Timestamp, Timestamp, Timestamp]] = {}  # symbol → begin and end of a day, and its window

    @property
    def counts_sessions(self) -> bool:
        """Whether it matters to this account when a session begins."""
        return self._limited

    def open_day(self) -> None:
        self.trades_today, self.locked = 0, None

    def count(self) -> None:
        self.trades_today += 1

    # --- the questions ----------------------------------------------------------------------------------------------

    def denial(
        self, slot: Slot, signal: Signal, quantity: Decimal, price: Decimal, tick: Tick, now: Timestamp, closed: Timestamp
    ) -> Denied | None:
        """Why this entry may not leave, and the answer in words; None when it may. It was asked for at `closed`, and trades at `now`."""
        if (self.bound or self._keeps_hours) and (why := self._closed(slot.track, signal, closed, now)):
            return Denial.MARKET_CLOSED, why
        if signal.order_type is not OrderType.MARKET:
            wrong = check_price(slot.track.instrument, signal.order_type, signal.price, signal.trigger_price, tick.last_price, signal.side)
            if wrong is not None:
                return wrong, f"price {signal.price}, last {tick.last_price}"
        if not signal.exits.empty and (why := self._unguarded(slot, signal, price)):
            return Denial.PRICE_BAND, why
        if self.left is not None and (left := self.left()) is not None:
            return left
        if self._limited:
            return self._asked(slot, signal, quantity, price, tick, now)
        if now - tick.at > self._max_price_age:
            return Denial.STALE_PRICE, f"the price is {now - tick.at:.1f} s old"
        needed = self._margin(slot, signal, quantity, price)
        if not self._exchange.working and needed <= self._ledger.surely_free(now):
            return None
        available = self._available(now)
        return (Denial.INSUFFICIENT_FUNDS, f"needs {needed}, available {available}") if needed > available else None

    def _unguarded(self, slot: Slot, signal: Signal, price: Decimal) -> str:
        """Why its stop or targets could not guard what it opens; empty: they can, or an armed plan goes on."""
        plan = slot.plan
        if plan is not None and plan.state is PlanState.ARMED and plan.side is signal.side:
            return ""
        return unreachable(signal.exits, signal.side, price)

    def too_many_slices(self, slot: Slot, quantity: Decimal) -> Denied | None:
        instrument = slot.track.instrument
        if instrument.freeze_quantity is None:
            return None
        try:
            slices(quantity, instrument.lot, instrument.freeze_quantity, MOST_SLICES)
        except ValueError as error:
            return Denial.FREEZE_QUANTITY, str(error)
        return None

    def _asked(self, slot: Slot, signal: Signal, quantity: Decimal, price: Decimal, tick: Tick, now: Timestamp) -> Denied | None:
        """Every limit, as `execution.planning` asks them."""
        symbol, value, held = slot.track.symbol, quantity * price, self._ledger.held
        entries = [(other, order) for other in slot.book.slots for order in other.working.values() if order.role is Role.ENTRY]
        waiting = sum((order.quantity * (order.price or price) for other, order in entries if other is slot), ZERO)
        denial, checks = check_entry(
            RiskInput(
                limits=self.account.limits,
                capital=self.account.capital,
                day_pnl=self._ledger.session_pnl(now),
                trades_today=self.trades_today,
                symbol=symbol,
                open_symbols=held.keys() | {other.track.symbol for other, _ in entries},
                price=price,
                price_age=max(0.0, now - tick.at),
                order_value=value,
                position_value_after=abs(slot.position.open_cost) + waiting + value,
                available_funds=self._available(now),
                required_margin=self._margin(slot, signal, quantity, price),
                max_price_age=self._max_price_age,
                locked=self.locked,
            )
        )
        return None if denial is None else (denial, next(check.detail for check in checks if not check.passed))

    def _margin(self, slot: Slot, signal: Signal, quantity: Decimal, price: Decimal) -> Decimal:
        side: Side = signal.side
        return margin_required(slot.track.instrument, signal.product, side, quantity * price, self.account.leverage, quantity=quantity)

    def _available(self, now: Timestamp) -> Decimal:
        return self._ledger.free_funds(now) - self._exchange.blocked_margin

    # --- the account's own day --------------------------------------------------------------------------------------

    def square_off(self, track: Track, now: Timestamp) -> Timestamp:
        """When a position that begins now is squared off; infinite: never."""
        instrument = track.instrument
        at = square_off_at(self.account.day_rules, instrument, session_day(now, instrument.exchange), self._calendar)
        return inf if at is None else at

    def _closed(self, track: Track, signal: Signal, closed: Timestamp, now: Timestamp) -> str:
        """Why the day allows no entry, either when it was asked for or when there is a price for it; empty: it does."""
        return self._outside(track, signal, now) or (self._outside(track, signal, closed) if closed < now else "")

    def _outside(self, track: Track, signal: Signal, at: Timestamp) -> str:
        instrument = track.instrument
        if self._keeps_hours and not is_open(at, hours_of(instrument), self._calendar):
            return "the market is closed"
        if not self.bound:
            return ""
        begins, ends, first, end = self._windows.get(track.symbol, (inf, inf, inf, inf))
        if not begins <= at < ends:
            begins = day_start(at, instrument.exchange)
            day = session_day(at, instrument.exchange)
            first, end = entry_window(self.account.day_rules, instrument, day, self._calendar) or (inf, inf)
            self._windows[track.symbol] = begins, begins + DAY, first, end
        return "" if first <= at < end else why_no_entry(self.account.day_rules, instrument, signal.product, at, self._calendar)
