"""Real prices for the accounts that trade real money: which accounts lend their session to a broker's stream, and which instruments are wanted.

It carries no tick itself: the streams hand theirs to the runtime like any other feed. Nothing here knows a broker's protocol.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from engines.core.model import Signal, Tick
from engines.execution.desk import Desk
from engines.execution.lane import Lane
from engines.ports import Clock, StreamKey

if TYPE_CHECKING:
    from engines.execution.roster import Roster
    from engines.market.prices import PriceTable
    from engines.market.streams.live import LiveMarket

WATCHED_FOR = 300.0
"""Seconds for which an instrument that somebody looked at stays subscribed."""
FIRST_PRICE = 2.0
"""Seconds to wait for the first price of an instrument nobody has watched before."""


class LiveMarketMaker(Protocol):
    """Builds the streams; they call back from threads of their own."""

    def __call__(
        self, on_ticks: Callable[[Sequence[Tick]], None], on_trouble: Callable[[str, str, str], None], on_clear: Callable[[str], None]
    ) -> LiveMarket: ...


class LivePrices:
    def __init__(self, market: LiveMarket, prices: PriceTable, roster: Roster, clock: Clock) -> None:
        self.market = market
        self._prices = prices
        self._roster = roster
        self._clock = clock
        self._lent: dict[
            str, tuple[str, Lane, StreamKey | None]
        ] = {}  # account id → (broker, the lane whose session was lent, what was lent)
        self._watched: dict[str, float] = {}  # symbol → monotonic time of the last look
        self._always: frozenset[str] = frozenset()
        self._wanted: frozenset[str] = frozenset()
        self._stepping = threading.Lock()
        prices.use_live(market.silence)

    def watch(self, symbols: Iterable[str]) -> None:
        """Somebody looks at these: keep them coming for a while."""
        now = self._clock.monotonic()
        for symbol in symbols:
            self._watched[symbol] = now

    def always(self, symbols: Iterable[str]) -> None:
        """Wanted for as long as nobody says otherwise."""
        self._always = frozenset(symbols)

    def step(self) -> None:
        """Called a few times a second: lend and take back sessions, and say what is wanted now."""
        with self._stepping:  # the engines' own look, and whoever waits for a first price
            self._follow_sessions()
            if self._lent:
                self._want()

    def _follow_sessions(self) -> None:
        live = {lane.desk.account.account_id: lane for lane in self._roster.lanes() if lane.desk.account.live}
        for account_id, (broker, lane, key) in list(self._lent.items()):
            renewed = lane.desk.ready and lane.broker.stream_key() != key  # signed in again meanwhile: the old session's streams are dead
            if live.get(account_id) is not lane or not lane.desk.ready or renewed:
                del self._lent[account_id]
                self.market.withdraw(broker, account_id)
        for account_id, lane in live.items():
            if account_id not in self._lent and lane.desk.ready:
                broker, key = lane.desk.account.broker, lane.broker.stream_key()
                self._lent[account_id] = (broker, lane, key)
                self.market.offer(broker, key, account_id)

    def _want(self) -> None:
        oldest = self._clock.monotonic() - WATCHED_FOR
        for symbol in [symbol for symbol, at in list(self._watched.items()) if at < oldest]:
            self._watched.pop(symbol, None)
        wanted = {symbol for config in self._roster.strategies() if config.active for symbol in config.instruments}
        wanted |= self._always | self._watched.keys()
        for desk in self._roster.desks():
            wanted |= in_use(desk)
        self._wanted = frozenset(wanted)
        self.market.want(self._wanted)

    def await_price(self, signal: Signal, desks: Sequence[Desk]) -> None:
        """The first order in an instrument that nobody has watched waits a moment for its price, instead of being denied for want of one."""
        symbol = signal.symbol
        if symbol in self._wanted and self._prices.is_live(symbol):
            self._watched[symbol] = self._clock.monotonic()
            return
        if not any(desk.account.live and desk.ready for desk in desks):
            return
        self.watch([symbol])
        self.step()
        pause, deadline = threading.Event(), self._clock.monotonic() + FIRST_PRICE
        while not (self._prices.is_live(symbol) and self.market.silence(symbol) is not None) and self._clock.monotonic() < deadline:
            pause.wait(0.005)

    def stop(self) -> None:
        self.market.stop()


def in_use(desk: Desk) -> set[str]:
    """Instruments in which an account holds, orders or guards something."""
    with desk.lock:
        return (
            {position.key.symbol for position in desk.open_positions()}
            | {order.symbol for order in desk.live_orders()}
            | {plan.key.symbol for plan in desk.plans.values()}
        )
