"""The money of a backtest: what fills cost, what they make of positions and cash, and the trades that they add up to.

Charges and positions are those of `engines.core`, exact to the last digit; nothing here decides what trades.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engines.backtest.records import Change, Log, Trade
from engines.backtest.settings import Settings
from engines.backtest.track import Running, Track
from engines.core.charges import kind_of, order_charges
from engines.core.model import ZERO, Fill, Side, Tick, Timestamp
from engines.core.positions import book
from engines.core.prices import exact
from engines.core.risk import margin_required
from engines.core.sessions import DAY, day_start, session_day

ACCOUNT = "backtest"


class Ledger:
    """`cash` is what all fills have moved, charges included; `closed` the net results of closed trades, oldest first (for Kelly)."""

    def __init__(self, settings: Settings, strategy_id: str, tracks: Mapping[str, Track], log: Log) -> None:
        self.cash = ZERO
        self.closed: list[Decimal] = []
        self._settings, self._strategy_id, self._log = settings, strategy_id, log
        self._kinds = {symbol: kind_of(track.instrument, track.position.key.product) for symbol, track in tracks.items()}
        self._held: dict[str, Track] = {}
        self._days: dict[str, tuple[Timestamp, Timestamp, str]] = {}  # exchange → begin and end of the newest session day, and its name

    def fill(
        self, track: Track, order_id: str, side: Side, quantity: Decimal, price: Decimal, at: Timestamp, leaves_for: str | None
    ) -> None:
        """Book a fill; orders here fill whole, so it bears its order's name. `leaves_for`: why it reduces what is held, None for an entry."""
        before, instrument = track.position, track.instrument
        key, exchange = before.key, instrument.exchange
        charges = order_charges(
            self._kinds[key.symbol], side, quantity, price, self._day(at, exchange), self._settings.broker, exchange=exchange
        ).total
        fill = Fill(order_id, order_id, ACCOUNT, key.symbol, side, key.product, quantity, price, charges, at, self._strategy_id)
        after = track.position = book(before, fill)
        value = after.cash_flow - before.cash_flow
        self.cash += value - charges
        self._log.fills += 1
        self._log.changes.append(Change(at, key.symbol, float(after.quantity), float(price), float(self.cash)))
        running = track.trade
        if running is None:
            running = track.trade = Running(side, at)
        running.charges += charges
        if leaves_for is None:
            running.bought += quantity
            running.paid += abs(value)
        else:
            running.got += abs(value)
        if after.quantity:
            self._held[key.symbol] = track
        else:
            self._close(track, running, at, leaves_for or "signal")

    def free_funds(self, here: Track, tick: Tick) -> Decimal:
        """Capital, what the fills moved and what is held at the newest prices, less the margin that positions block."""
        free = self._settings.capital + self.cash
        for track in self._held.values():
            position, mark = track.position, tick.last_price if track is here else track.mark
            side = Side.BUY if position.quantity > 0 else Side.SELL
            free += position.open_cost if mark is None else position.quantity * exact(mark)
            free -= margin_required(
                track.instrument,
                position.key.product,
                side,
                abs(position.open_cost),
                self._settings.leverage,
                quantity=abs(position.quantity),
            )
        return free

    def _close(self, track: Track, running: Running, at: Timestamp, reason: str) -> None:
        track.trade = None
        self._held.pop(track.symbol, None)
        gross = running.got - running.paid if running.side is Side.BUY else running.paid - running.got
        entry, leave = running.paid / running.bought, running.got / running.bought
        trade = Trade(track.symbol, running.side, running.bought, running.entry_at, entry, at, leave, gross, running.charges, reason)
        self._log.trades.append(trade)
        self.closed.append(trade.net)

    def _day(self, at: Timestamp, exchange: str) -> str:
        begins, ends, name = self._days.get(exchange, (0.0, 0.0, ""))
        if not begins <= at < ends:
            begins, name = day_start(at, exchange), session_day(at, exchange)
            self._days[exchange] = begins, begins + DAY, name
        return name
