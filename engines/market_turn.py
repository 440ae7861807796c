"""The change of an instrument's market: real prices take the place of simulated ones, or are gone at the next start.

The two know nothing of each other, so the jump between them is nobody's profit or loss. Paper leaves the old market at its last price before anybody sees
the new one, free of charge: no stop, target, limit or rule is ever held against a price of the other market. Real money is never in the simulated one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from math import inf

from engines.brokers.paper import PaperBroker, PaperExchange
from engines.core.facts import MarketChanged
from engines.core.model import Order, OrderState, Tick, Timeframe
from engines.core.orders import EventKind
from engines.core.reasons import MARKET_CHANGED
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.incidents import IncidentLog
from engines.execution.roster import Roster
from engines.live_prices import in_use
from engines.market.instruments import InstrumentTable
from engines.market.prices import PriceTable
from engines.ports import Clock, Directory, Journal, Master

PATIENCE = 60.0
"""Seconds after a start in which real prices that were there before are simply waited for."""
_ON_ITS_WAY = frozenset({OrderState.PLANNED, OrderState.SENDING, OrderState.OPEN, OrderState.PARTLY_FILLED})


class MarketTurn:
    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        directory: Directory,
        master: Master | None,
        instruments: InstrumentTable,
        prices: PriceTable,
        roster: Roster,
        exchange: PaperExchange,
        exits: ExitDesk,
        incidents: IncidentLog,
        may_come: bool,
        only_real: bool,
    ) -> None:
        """`may_come`: this run has brokers' price streams. `only_real`: its feed makes no prices up, so real ones have nothing to give way to."""
        self._journal, self._clock, self._directory, self._master = journal, clock, directory, master
        self._instruments, self._prices, self._roster = instruments, prices, roster
        self._exchange, self._exits, self._incidents = exchange, exits, incidents
        self._may_come, self._only_real = may_come, only_real
        self._real: set[str] = set()  # of whose market paper is: known before this run's first real price
        self._awaited: dict[
            str, float
        ] = {}  # had real prices before this start, and none yet: until when (monotonic) nobody doubts that they come

    # --- at the start: which market did we leave?

    def restore(self, real: Collection[str]) -> None:
        """`real`: the instruments that had real prices when the program ended. Where they may come again, they are waited for, and no simulated price is
        taken meanwhile; where no account could bring them any more, paper leaves at the last real price. Before the lanes start."""
        for symbol in real:
            if self._comes_again(symbol):
                self._real.add(symbol)
                self._prices.claim([symbol])
                self._awaited[symbol] = self._clock.monotonic() + PATIENCE
            else:
                self._change(symbol, self._last_real(symbol), live=False)

    def _comes_again(self, symbol: str) -> bool:
        if not self._may_come:
            return False
        return self._only_real or any(
            self._lists(desk.account.broker, symbol) for desk in self._roster.desks() if desk.account.live and desk.account.enabled
        )

    def _lists(self, broker: str, symbol: str) -> bool:
        """Also when its list is not there yet: better to wait than to leave a market that is still there."""
        master = self._master
        return master is None or master.loaded_at(broker) is None or master.listing(broker, symbol) is not None

    def _last_real(self, symbol: str) -> Decimal | None:
        candles = self._directory.candles(symbol, Timeframe.M1.value, 1, live=True)
        return Decimal(str(candles[-1].close)) if candles else None

    def step(self) -> None:
        """Called a few times a second: what nobody has or has ordered need not wait for a sign-in that may not come today, and is simulated again."""
        if not self._awaited:
            return
        now = self._clock.monotonic()
        for symbol in [
            symbol for symbol, until in self._awaited.items() if self._prices.is_live(symbol) or (now >= until and self._is_free(symbol))
        ]:
            del self._awaited[symbol]
            if not self._prices.is_live(symbol) and not self._only_real:
                self._real.discard(symbol)
                self._prices.release(symbol)
                self._journal.append(MarketChanged(symbol, False, self._clock.now()))

    def _is_free(self, symbol: str) -> bool:
        return not any(symbol in in_use(desk) for desk in self._roster.desks())

    # --- while prices come

    def before(self, ticks: Sequence[Tick]) -> frozenset[str]:
        """The instruments whose first real prices these are: paper is out of their simulated market now, and orders wait outside until `after`."""
        fresh = frozenset(tick.symbol for tick in ticks if not self._prices.is_live(tick.symbol) and 0.0 < tick.last_price < inf)
        turning = frozenset(symbol for symbol in fresh - self._real if self._instruments.get(symbol) is not None)
        if turning:
            self._exchange.shut(turning)
            for symbol in turning:
                self._real.add(symbol)
                self._change(symbol, self._prices.mark(symbol), live=True)
        return turning

    def after(self) -> None:
        """The new prices are there."""
        self._exchange.shut(())

    # --- leaving

    def _change(self, symbol: str, price: Decimal | None, *, live: bool) -> None:
        self._journal.append(MarketChanged(symbol, live, self._clock.now()))
        for desk in self._roster.desks():
            if not desk.account.live:
                self._leave(desk, symbol, price, live=live)

    def _leave(self, desk: Desk, symbol: str, price: Decimal | None, *, live: bool) -> None:
        lane = self._roster.lane(desk.account.account_id)
        told = lane.broker.leave(symbol) if lane is not None and isinstance(lane.broker, PaperBroker) else ()
        with desk.lock:
            # What had filled before the door was shut is booked first, then what is held leaves, and only then what has waited is over: it guards nothing.
            orders = [order for order in desk.live_orders() if order.symbol == symbol]
            waiting = {order.client_id for order in orders}
            told = [report for report in told if report.client_id in waiting]
            for report in told:
                if report.fills:
                    desk.on_report(report)
            orders = [order for order in desk.live_orders() if order.symbol == symbol]
            held = [position for position in desk.open_positions() if position.key.symbol == symbol]
            for position in held:
                self._exits.book_left(desk, position, price or position.average_price or Decimal(0))
            for report in told:
                if not report.fills:
                    desk.on_report(report)
            for order in orders:
                self._end(desk, order)
        if held or orders:
            units = [f"{position.quantity.normalize():f} at {price or position.average_price:,.2f}" for position in held]
            self._tell(desk, symbol, units, len(orders), live=live)

    def _end(self, desk: Desk, order: Order) -> None:
        self._exchange.turn_away(order.client_id)
        now = desk.orders.get(order.order_id, order)
        if now.state in _ON_ITS_WAY:
            desk.mark(order.order_id, EventKind.CANCELLED, {"message": MARKET_CHANGED}, reason=MARKET_CHANGED)

    def _tell(self, desk: Desk, symbol: str, units: Sequence[str], orders: int, *, live: bool) -> None:
        old, new = ("simulated", "real") if live else ("real", "simulated")
        why = "an account at a broker brings them" if live else "no account at a broker brings real ones any more"
        parts = [f"what this paper account held is closed at its last {old} price ({', '.join(units)})"] if units else []
        parts += [f"{orders} waiting order{'s are' if orders > 1 else ' is'} cancelled"] if orders else []
        message = f"{desk.account.name}: {symbol} has {new} prices now, because {why}: {'; '.join(parts)}. Nothing of the jump counts"
        self._incidents.raise_("market_changed", "warning", message, desk.account.account_id)


def source_of(feed: str, *, real: bool) -> str:
    """Where prices come from, in words: the feed alone, or with real ones beside it."""
    return f"live + {feed}" if real and feed != "live" else feed
