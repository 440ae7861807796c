"""The money of one account in a backtest: what fills cost, what they make of positions and cash, and the trades that they add up to.

Charges and positions are those of `engines.core`, exact to the last digit; nothing here decides what trades.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from engines.backtest.exchange import Order
from engines.backtest.records import AccountLog, Change, Execution, Trade
from engines.backtest.track import Running, Slot
from engines.core.charges import kind_of, order_charges
from engines.core.model import ZERO, Account, Fill, Role, Side, Timestamp
from engines.core.positions import book
from engines.core.risk import margin_required
from engines.core.sessions import DAY, day_start, session_day


class Ledger:
    """`cash` is what all fills have moved, charges included; `closed` the net results of closed trades, oldest first (for Kelly)."""

    def __init__(self, account: Account, slots: Iterable[Slot], log: AccountLog) -> None:
        self.cash = ZERO
        self.closed: list[Decimal] = []
        self.held: dict[str, Slot] = {}
        self.rough_held = 0.0  # what is held at each instrument's `valued_at`; whoever moves that keeps this up, where P&L is watched
        self._account, self._log = account, log
        self._kinds = {slot.track.symbol: kind_of(slot.track.instrument, slot.position.key.product) for slot in slots}
        self._days: dict[str, tuple[Timestamp, Timestamp, str]] = {}  # exchange → begin and end of the newest session day, and its name
        self._session_began = ZERO  # cash and the cost of what was held then
        self._rough_began = self._rough_cash = 0.0

    def fill(self, slot: Slot, order: Order, quantity: Decimal, price: Decimal, at: Timestamp) -> None:
        """Book a fill; orders here fill whole, so it bears its order's name."""
        before, instrument, side = slot.position, slot.track.instrument, order.side
        key, exchange = before.key, instrument.exchange
        charges = order_charges(
            self._kinds[key.symbol], side, quantity, price, self._day(at, exchange), self._account.broker, exchange=exchange
        ).total
        name = order.order_id
        fill = Fill(name, name, key.account_id, key.symbol, side, key.product, quantity, price, charges, at, key.strategy_id)
        after = slot.position = book(before, fill)
        value = after.cash_flow - before.cash_flow
        self.cash += value - charges
        log, role = self._log, order.role
        log.fills.append(Execution(at, name, key.symbol, side, quantity, price, charges, role, order.reason, order.note))
        units, self._rough_cash = float(after.quantity), float(self.cash)
        self.rough_held += (units - slot.units) * slot.track.valued_at
        slot.units = units
        log.changes.append(Change(at, key.symbol, units, float(price), self._rough_cash))
        running = slot.trade
        if running is None:
            running = slot.trade = Running(side, at, order.note)
            slot.first_stop = None
        running.charges += charges
        if role is Role.ENTRY:
            running.bought += quantity
            running.paid += abs(value)
        else:
            running.got += abs(value)
        if after.quantity:
            self.held[key.symbol] = slot
            slot.blocked = margin_required(
                instrument,
                key.product,
                Side.BUY if after.quantity > 0 else Side.SELL,
                abs(after.open_cost),
                self._account.leverage,
                quantity=abs(after.quantity),
            )
        else:
            self._close(slot, running, at, order)

    def free_funds(self, now: Timestamp) -> Decimal:
        """Capital, what the fills moved and what is held at the newest prices, less the margin that positions block."""
        free = self._account.capital + self.cash
        for slot in self.held.values():
            free += self._worth(slot, now) - slot.blocked
        return free

    def surely_free(self, now: Timestamp) -> float:
        """The same in a twentieth of the time, and a rupee less than it: what this is enough for, the exact sum is."""
        free = float(self._account.capital) + self._rough_cash - 1.0
        for slot in self.held.values():
            mark = slot.track.mark(now)
            free += (float(slot.position.open_cost) if mark is None else slot.units * mark) - float(slot.blocked)
        return free

    # --- the session ------------------------------------------------------------------------------------------------

    def begin_session(self) -> None:
        """What is held is carried at cost: its whole unrealised result counts in every session that it is held in, as it does live."""
        self._session_began = self.cash + self._cost()
        self._rough_began = float(self._session_began)
        self.rough_held = sum(slot.units * slot.track.valued_at for slot in self.held.values())  # what was rounded away is forgotten daily

    def session_pnl(self, now: Timestamp) -> Decimal:
        """Realised of this session + unrealised − charges of this session, at the newest prices."""
        pnl = self.cash - self._session_began
        for slot in self.held.values():
            pnl += self._worth(slot, now)
        return pnl

    @property
    def rough_pnl(self) -> float:
        """The same to a hundredth of a paisa or so, at the prices that `rough_held` was kept up with."""
        return self._rough_cash + self.rough_held - self._rough_began

    def _worth(self, slot: Slot, now: Timestamp) -> Decimal:
        """What is held, at its newest price; at cost where there is none."""
        mark = slot.track.exact_mark(now)
        return slot.position.open_cost if mark is None else slot.position.quantity * mark

    def _cost(self) -> Decimal:
        return sum((slot.position.open_cost for slot in self.held.values()), ZERO)

    def _close(self, slot: Slot, running: Running, at: Timestamp, order: Order) -> None:
        slot.trade, slot.blocked = None, ZERO
        self.held.pop(slot.track.symbol, None)
        gross = running.got - running.paid if running.side is Side.BUY else running.paid - running.got
        trade = Trade(
            slot.track.symbol,
            running.side,
            running.bought,
            running.entry_at,
            running.paid / running.bought,
            at,
            running.got / running.bought,
            gross,
            running.charges,
            order.reason,
            self._account.account_id,
            slot.first_stop,
            running.note,
            order.note,
            self._day(at, slot.track.instrument.exchange),
        )
        self._log.trades.append(trade)
        self.closed.append(trade.net)

    def _day(self, at: Timestamp, exchange: str) -> str:
        begins, ends, name = self._days.get(exchange, (0.0, 0.0, ""))
        if not begins <= at < ends:
            begins, name = day_start(at, exchange), session_day(at, exchange)
            self._days[exchange] = begins, begins + DAY, name
        return name
