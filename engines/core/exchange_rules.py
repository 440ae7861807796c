"""What an exchange or a broker's risk desk refuses, in the words in which the paper exchange says so.

Pure answers about one order; None means that nothing speaks against it. Fills and books are the matching core's business.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Protocol

from engines.core.model import ZERO, Instrument, OrderType, Product, Side, Tick
from engines.core.prices import is_lot_multiple, is_tick_multiple
from engines.core.risk import margin_required

DERIVATIVES = frozenset({"FUT", "OPT", "PERP"})
NEEDS_PRICE = frozenset({OrderType.LIMIT, OrderType.SL})
NEEDS_TRIGGER = frozenset({OrderType.SL, OrderType.SL_M})


class OrderTerms(Protocol):
    """What of an order matters to the exchange; `ports.OrderRequest` is one."""

    @property
    def instrument(self) -> Instrument: ...
    @property
    def side(self) -> Side: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def order_type(self) -> OrderType: ...
    @property
    def product(self) -> Product: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def trigger_price(self) -> Decimal | None: ...
    @property
    def reduce_only(self) -> bool: ...


def opposite_quote(side: Side, tick: Tick) -> float | None:
    """Where a market order trades: the ask for a buy, the bid for a sell; the last price where the feed quotes neither. None: nobody to trade with."""
    quote, other = (tick.ask, tick.bid) if side is Side.BUY else (tick.bid, tick.ask)
    if usable(quote):
        return quote
    return tick.last_price if usable(tick.last_price) and not usable(other) else None


def usable(price: float) -> bool:
    return 0.0 < price < math.inf


def refused_instrument(order: OrderTerms) -> str | None:
    instrument = order.instrument
    if not instrument.tradable:
        return f"{instrument.symbol} is an index and cannot be traded"
    if instrument.segment in DERIVATIVES and order.product is Product.CNC:
        return "CNC is for shares: derivatives take MIS or NRML"
    return None


def refused_terms(order: OrderTerms, tick: Tick | None) -> str | None:
    """Quantity, price and trigger, also of a modified order."""
    instrument, last = order.instrument, tick.last_price if tick else math.nan
    if not is_lot_multiple(order.quantity, instrument.lot):
        return f"quantity {order.quantity} is not a multiple of the lot {instrument.lot}"
    if instrument.freeze_quantity is not None and order.quantity > instrument.freeze_quantity:
        return f"quantity {order.quantity} exceeds the freeze quantity {instrument.freeze_quantity}"
    if order.order_type in NEEDS_PRICE:
        wrong = _refused_price("price", order.price, instrument, last)
        if wrong:
            return wrong
    if order.order_type in NEEDS_TRIGGER:
        wrong = _refused_price("trigger price", order.trigger_price, instrument, last)
        if wrong:
            return wrong
        return _refused_trigger(order, last)
    if order.order_type is OrderType.MARKET and (tick is None or opposite_quote(order.side, tick) is None):
        return f"{instrument.symbol} has no price to trade at"
    return None


def sells_what_is_owned(order: OrderTerms) -> bool:
    return order.side is Side.SELL and (order.product is Product.CNC or order.instrument.segment == "SPOT")


def refused_delivery(order: OrderTerms, free: Decimal) -> str | None:
    """Delivery and spot sell only what is owned and not already offered: `free` of it."""
    if order.quantity > free:
        return f"only {max(free, ZERO)} of {order.instrument.symbol} held: a delivery sale cannot go short"
    return None


def refused_funds(order: OrderTerms, margin: Decimal, available: Decimal) -> str | None:
    """An order that only reduces is never refused for money."""
    if order.reduce_only or margin == 0:
        return None
    if not available.is_finite() or margin > available:
        return f"insufficient funds: needs {margin:.2f}, available {available:.2f}"
    return None


def added_margin(order: OrderTerms, tick: Tick | None, held: Decimal, leverage: Decimal) -> Decimal:
    """What the order blocks: only the part that does not close what is held."""
    closing = min(order.quantity, abs(held)) if held * order.side.sign < 0 else ZERO
    opening = order.quantity - closing
    if opening <= 0:
        return ZERO
    quote = opposite_quote(order.side, tick) if tick else None
    price = order.price or order.trigger_price or Decimal(str(quote or 0))
    return margin_required(order.instrument, order.product, order.side, opening * price, leverage, quantity=opening)


def _refused_price(name: str, price: Decimal | None, instrument: Instrument, last: float) -> str | None:
    if price is None or not price.is_finite() or price <= 0:
        return f"the {name} is missing"
    if not is_tick_multiple(price, instrument.tick_size):
        return f"{name} {price} is not a multiple of the tick size {instrument.tick_size}"
    if usable(last) and abs(price - Decimal(str(last))) > Decimal(str(last)) * instrument.band_pct / 100:
        return f"{name} {price} is outside the band of {instrument.band_pct} % around {last}"
    return None


def _refused_trigger(order: OrderTerms, last: float) -> str | None:
    trigger, sign = order.trigger_price, order.side.sign
    if trigger is None:
        return "the trigger price is missing"
    if order.order_type is OrderType.SL and order.price is not None and (order.price - trigger) * sign < 0:
        return f"the limit {order.price} is {'below' if sign > 0 else 'above'} the trigger price {trigger}"
    if usable(last) and (float(trigger) - last) * sign < 0:
        return f"the trigger price {trigger} is {'below' if sign > 0 else 'above'} the last price {last}"
    return None
