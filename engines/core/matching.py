"""The paper exchange's matching core: one account's orders against the market's ticks, for paper, replay, backtest and the broker emulators.

Buys pay the ask, sells get the bid, resting limits fill at their own price, stops wait for the last price. It has no clock, thread or chance of its own
and never fills beyond an order's quantity or limit. Ticks stay floats: a price becomes a Decimal only when something fills.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from random import Random

from engines.core.exchange_rules import (
    NEEDS_TRIGGER,
    OrderTerms,
    added_margin,
    opposite_quote,
    refused_delivery,
    refused_funds,
    refused_instrument,
    refused_terms,
    sells_what_is_owned,
    usable,
)
from engines.core.model import ONE, ZERO, Instrument, OrderType, PaperSettings, Product, Side, Tick, Timestamp
from engines.core.prices import round_lot_down, to_tick
from engines.core.sessions import Calendar, is_open, load_calendar
from engines.core.timetable import hours_of


class OutcomeKind(StrEnum):
    ACCEPTED = "accepted"  # also: modified as asked
    FILL = "fill"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that happened to an order. Quantity, price and trade id belong to fills; (order, trade id) never repeats."""

    broker_order_id: str
    kind: OutcomeKind
    at: Timestamp
    quantity: Decimal = ZERO
    price: Decimal | None = None
    trade_id: str = ""
    message: str = ""


@dataclass(slots=True)
class _Working:
    """An order at the exchange that is not yet done."""

    broker_order_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    sequence: int
    filled: Decimal = ZERO
    triggered: bool = False
    rested: bool = False  # has waited in the book short of the market, so that the market comes to its price
    margin: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def blocked(self) -> Decimal:
        return self.margin * self.remaining / self.quantity

    @property
    def waits_for_trigger(self) -> bool:
        return self.order_type in NEEDS_TRIGGER and not self.triggered


_Queue = list[tuple[float, int, _Working]]


class _Book:
    """The resting orders of one instrument. Each queue has first what fires first, and the four levels are the firsts' prices,
    so that a tick which fires nothing costs four comparisons however many orders rest."""

    __slots__ = ("buy_at", "buys", "hours", "markets", "sell_at", "sells", "stop_buy_at", "stop_buys", "stop_sell_at", "stop_sells")

    def __init__(self, hours: str) -> None:
        self.hours = hours  # the calendar's row
        self.buys: _Queue = []  # keyed on -price: the highest first
        self.sells: _Queue = []
        self.stop_buys: _Queue = []
        self.stop_sells: _Queue = []  # keyed on -trigger
        self.markets: _Queue = []  # what a thin market has left of market orders
        self._level()

    def quiet(self, tick: Tick) -> bool:
        """Whether nothing fires. Written so that a NaN or a missing quote (0) is not quiet and gets looked at closely."""
        return tick.ask > self.buy_at and tick.bid < self.sell_at and self.stop_sell_at < tick.last_price < self.stop_buy_at

    def rest(self, order: _Working) -> None:
        queue, key = self._place(order)
        insort(queue, (key, order.sequence, order))
        self._level()

    def remove(self, order: _Working) -> None:
        queue, key = self._place(order)
        del queue[bisect_left(queue, (key, order.sequence))]
        self._level()

    def take_fired(self, tick: Tick) -> list[_Working]:
        """Whatever the tick reaches, out of the book: limits, what is left of market orders, then stops."""
        fired: list[_Working] = []
        ask, bid = opposite_quote(Side.BUY, tick), opposite_quote(Side.SELL, tick)
        if ask is not None:
            fired += _take(self.buys, -ask)
        if bid is not None:
            fired += _take(self.sells, bid)
        if ask is not None or bid is not None:
            fired += _take(self.markets, math.inf)
        if usable(tick.last_price):
            fired += _take(self.stop_buys, tick.last_price)
            fired += _take(self.stop_sells, -tick.last_price)
        self._level()
        return fired

    def _place(self, order: _Working) -> tuple[_Queue, float]:
        if order.waits_for_trigger:
            trigger = float(order.trigger_price or ZERO)
            return (self.stop_buys, trigger) if order.side is Side.BUY else (self.stop_sells, -trigger)
        if order.price is None or order.order_type is OrderType.SL_M:
            return self.markets, 0.0
        return (self.buys, -float(order.price)) if order.side is Side.BUY else (self.sells, float(order.price))

    def _level(self) -> None:
        self.buy_at = math.inf if self.markets else -self.buys[0][0] if self.buys else 0.0
        self.sell_at = self.sells[0][0] if self.sells else math.inf
        self.stop_buy_at = self.stop_buys[0][0] if self.stop_buys else math.inf
        self.stop_sell_at = -self.stop_sells[0][0] if self.stop_sells else -math.inf


class MatchingEngine:
    """The exchange as one account sees it. Not thread-safe: its owner calls it from one thread at a time."""

    def __init__(self, settings: PaperSettings, leverage: Decimal = ONE, calendar: Callable[[], Calendar] = load_calendar) -> None:
        self._settings = settings
        self._leverage = leverage
        self._calendar = calendar
        self._books: dict[str, _Book] = {}
        self._working: dict[str, _Working] = {}
        self._sequence = 0

    def submit(
        self,
        request: OrderTerms,
        broker_order_id: str,
        tick: Tick | None,
        now: Timestamp,
        rng: Random,
        *,
        held: Decimal = ZERO,
        available: Decimal | None = None,
    ) -> Sequence[Outcome]:
        """A new order: rejected, or accepted and filled as far as the market allows at once.

        `held` is the account's net quantity in the instrument and product, `available` its free money without what orders here block (None: unlimited).
        """
        margin = ZERO
        wrong = refused_instrument(request) or refused_terms(request, tick) or self._refused_hours(request.instrument, now)
        if not wrong:
            margin = added_margin(request, tick, held, self._leverage)
            wrong = self._refused_means(request, margin, held, available) or self._refused_at_random(rng)
        if wrong:
            return [Outcome(broker_order_id, OutcomeKind.REJECTED, now, message=wrong)]
        order = self._enter(request, broker_order_id)
        order.margin = margin
        return [Outcome(broker_order_id, OutcomeKind.ACCEPTED, now), *self._execute(order, tick, now, rng)]

    def on_tick(self, tick: Tick, now: Timestamp, rng: Random) -> Sequence[Outcome]:
        book = self._books.get(tick.symbol)
        if book is None or book.quiet(tick):
            return ()
        if self._settings.session_hours and not is_open(now, book.hours, self._calendar()):
            return ()
        outcomes: list[Outcome] = []
        for order in book.take_fired(tick):
            outcomes += self._execute(order, tick, now, rng)
        return outcomes

    def cancel(self, broker_order_id: str, now: Timestamp) -> Sequence[Outcome]:
        """Empty when the order is unknown here or already done."""
        order = self._leave(broker_order_id)
        return () if order is None else [Outcome(broker_order_id, OutcomeKind.CANCELLED, now, quantity=order.remaining)]

    def modify(
        self,
        broker_order_id: str,
        tick: Tick | None,
        now: Timestamp,
        rng: Random,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
        held: Decimal = ZERO,
        available: Decimal | None = None,
    ) -> Sequence[Outcome]:
        """New terms (None: as it was); loses its place in the queue. ValueError when it is done or the terms are refused: it then rests unchanged."""
        order = self._working.get(broker_order_id)
        if order is None:
            raise ValueError("the order is no longer open")
        changed = replace(order, sequence=self._next(), rested=False)
        changed.quantity = order.quantity if quantity is None else quantity
        if order.price is not None and price is not None:
            changed.price = price
        if order.waits_for_trigger and trigger_price is not None:
            changed.trigger_price = trigger_price
        wrong = self._refused_change(order, changed, tick, now, held, available)
        if wrong:
            raise ValueError(wrong)
        self._leave(broker_order_id)
        self._working[broker_order_id] = changed
        return [Outcome(broker_order_id, OutcomeKind.ACCEPTED, now), *self._execute(changed, tick, now, rng)]

    def restore(self, request: OrderTerms, broker_order_id: str, filled_quantity: Decimal = ZERO, *, triggered: bool = False) -> None:
        """Puts an order back after a restart, without checks: it was accepted before. What has traded of a stop proves that it had fired.

        It blocks no margin any more, for the books it was measured against are gone."""
        order = self._enter(request, broker_order_id)
        order.filled = filled_quantity
        order.triggered = triggered or filled_quantity > 0
        self._book(order).rest(order)

    def expire(self, now: Timestamp, exchange: str | None = None) -> Sequence[Outcome]:
        """Ends the day's orders (of one exchange, or of the calendar's row of a part of it, or all) at the close."""
        ended = [x for x in self._working.values() if exchange is None or exchange in (x.instrument.exchange, hours_of(x.instrument))]
        for order in ended:
            self._leave(order.broker_order_id)
        return [Outcome(x.broker_order_id, OutcomeKind.EXPIRED, now, quantity=x.remaining) for x in ended]

    def is_open(self, broker_order_id: str) -> bool:
        return broker_order_id in self._working

    def has_resting(self, symbol: str) -> bool:
        return symbol in self._books

    def levels(self, symbol: str) -> tuple[float, ...]:
        """The next prices, below and above the market, at which something of this instrument fires (for walking through a bar)."""
        book = self._books.get(symbol)
        return () if book is None else (book.buy_at, book.stop_sell_at, book.sell_at, book.stop_buy_at)

    @property
    def blocked_margin(self) -> Decimal:
        """What the orders that still work have blocked."""
        return sum((x.blocked for x in self._working.values()), ZERO)

    # --- execution -------------------------------------------------------------------------------------------------

    def _execute(self, order: _Working, tick: Tick | None, now: Timestamp, rng: Random) -> Sequence[Outcome]:
        """Fills what the tick allows of an order that is in no queue, and queues what is left."""
        if tick is not None and order.waits_for_trigger and usable(tick.last_price):
            order.triggered = (tick.last_price - float(order.trigger_price or ZERO)) * order.side.sign >= 0
        price = None if tick is None or order.waits_for_trigger else self._fill_price(order, tick)
        if price is None:
            order.rested = not order.waits_for_trigger
            self._book(order).rest(order)
            return ()
        quantity = self._portion(order, rng)
        order.filled += quantity
        if order.remaining:
            self._book(order).rest(order)
        else:
            del self._working[order.broker_order_id]
            self._forget_empty(order.instrument.symbol)
        # Named by how much has traded, the trade id cannot repeat, not even after a restart.
        trade_id = f"{order.broker_order_id}-{order.filled.normalize():f}"
        return [Outcome(order.broker_order_id, OutcomeKind.FILL, now, quantity, price, trade_id)]

    def _fill_price(self, order: _Working, tick: Tick) -> Decimal | None:
        """Where the order trades on this tick; None: the market has not come to its limit, or there is no price."""
        quote = opposite_quote(order.side, tick)
        if quote is None:
            return None
        sign, size = order.side.sign, order.instrument.tick_size
        away = to_tick(quote, size, "up" if sign > 0 else "down")
        limit = None if order.order_type in (OrderType.MARKET, OrderType.SL_M) else order.price
        if limit is not None:
            if (away - limit) * sign > 0:
                return None
            if order.rested:
                return limit
        if self._settings.slippage_ticks:
            away = to_tick(away + sign * self._settings.slippage_ticks * size, size, "up" if sign > 0 else "down")
        if limit is not None and (away - limit) * sign > 0:
            return limit
        return max(away, size)

    def _portion(self, order: _Working, rng: Random) -> Decimal:
        """All that is left, or in a thin market a random number of its lots."""
        if not self._settings.partial_fills:
            return order.remaining
        lots = int(order.remaining / order.instrument.lot)
        return order.remaining if lots <= 1 else round_lot_down(rng.randint(1, lots) * order.instrument.lot, order.instrument.lot)

    # --- what works ------------------------------------------------------------------------------------------------

    def _enter(self, request: OrderTerms, broker_order_id: str) -> _Working:
        if broker_order_id in self._working:
            raise ValueError(f"{broker_order_id} is already open")
        order = self._working[broker_order_id] = _Working(
            broker_order_id,
            request.instrument,
            request.side,
            request.quantity,
            request.order_type,
            request.product,
            request.price,
            request.trigger_price,
            request.reduce_only,
            self._next(),
        )
        return order

    def _leave(self, broker_order_id: str) -> _Working | None:
        order = self._working.pop(broker_order_id, None)
        if order is not None:
            self._book(order).remove(order)
            self._forget_empty(order.instrument.symbol)
        return order

    def _book(self, order: _Working) -> _Book:
        return self._books.setdefault(order.instrument.symbol, _Book(hours_of(order.instrument)))

    def _forget_empty(self, symbol: str) -> None:
        book = self._books.get(symbol)
        if book is not None and not (book.buys or book.sells or book.markets or book.stop_buys or book.stop_sells):
            del self._books[symbol]

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _refused_means(
        self, order: OrderTerms, margin: Decimal, held: Decimal, available: Decimal | None, instead_of: _Working | None = None
    ) -> str | None:
        """Holdings and money, less what other working orders (all but `instead_of`) have already taken."""
        others = [x for x in self._working.values() if x is not instead_of]
        if sells_what_is_owned(order):
            same = (x for x in others if (x.side, x.product, x.instrument) == (order.side, order.product, order.instrument))
            return refused_delivery(order, held - sum((x.remaining for x in same), ZERO))
        if available is None:
            return None
        return refused_funds(order, margin, available - sum((x.blocked for x in others), ZERO))

    def _refused_change(
        self, order: _Working, changed: _Working, tick: Tick | None, now: Timestamp, held: Decimal, available: Decimal | None
    ) -> str | None:
        # A stop that has fired is a plain order now: its old trigger is behind the market and must not be held against it.
        plain = OrderType.LIMIT if order.order_type is OrderType.SL else OrderType.MARKET
        asked = replace(changed, order_type=plain) if order.triggered and order.order_type in NEEDS_TRIGGER else changed
        wrong = refused_terms(asked, tick) or self._refused_hours(order.instrument, now)
        if wrong:
            return wrong
        if changed.quantity <= order.filled:
            return f"{order.filled} have already traded"
        changed.margin = added_margin(changed, tick, held, self._leverage)
        if changed.blocked <= order.blocked and changed.quantity <= order.quantity:
            return None
        return self._refused_means(replace(changed, quantity=changed.remaining, filled=ZERO), changed.blocked, held, available, order)

    def _refused_hours(self, instrument: Instrument, now: Timestamp) -> str | None:
        if self._settings.session_hours and not is_open(now, hours_of(instrument), self._calendar()):
            return f"the market of {instrument.exchange} is closed"
        return None

    def _refused_at_random(self, rng: Random) -> str | None:
        share = self._settings.reject_pct
        return "rejected at random, as the account's paper settings ask" if share and rng.random() * 100 < share else None


def _take(queue: _Queue, reached: float) -> list[_Working]:
    """Removes and returns the orders at the front whose key is not above `reached`."""
    count = bisect_left(queue, (math.nextafter(reached, math.inf),))
    fired = [order for _, _, order in queue[:count]]
    del queue[:count]
    return fired
