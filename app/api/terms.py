"""The terms of an order that no exchange would take, said by field: prices off the tick or the band, quantities off the lot or too large.

Only what the sender can put right is answered here; limits, halts and funds are the engines' to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from app.api.wire import show_decimal
from app.problems import Problem
from engines.core.exchange_rules import NEEDS_PRICE, NEEDS_TRIGGER
from engines.core.model import Instrument, Order, OrderType
from engines.core.prices import is_lot_multiple, is_tick_multiple

Prices = Mapping[str, Decimal | None]


def check_ticks(instrument: Instrument, price: Decimal | None, trigger_price: Decimal | None) -> None:
    """Raises a 422 naming the tick for each price that is off it."""
    refuse(_off_tick(instrument, {"price": price, "trigger_price": trigger_price}))


def check_change(
    order: Order,
    instrument: Instrument,
    last: Decimal | None,
    *,
    quantity: Decimal | None,
    price: Decimal | None,
    trigger_price: Decimal | None,
) -> None:
    """Raises a 422 with a message for each field of a change that the order does not use or the exchange would not take."""
    prices = {"price": price, "trigger_price": trigger_price}
    errors = _unused(order.order_type, prices)
    refuse(errors)
    errors |= _beyond_band(instrument, last, prices) | _off_tick(instrument, prices) | _about_quantity(instrument, quantity)
    refuse(errors)
    changed = replace(order, price=price or order.price, trigger_price=trigger_price or order.trigger_price)
    refuse(_crossed(changed, "price" if price is not None else "trigger_price"))


def refuse(errors: Mapping[str, str]) -> None:
    if errors:
        detail = "; ".join(f"{name}: {message}" for name, message in errors.items())
        raise Problem(422, detail, errors={name: [message] for name, message in errors.items()})


def _unused(order_type: OrderType, prices: Prices) -> dict[str, str]:
    used = {"price": order_type in NEEDS_PRICE, "trigger_price": order_type in NEEDS_TRIGGER}
    return {name: f"is not used by a {order_type.value} order" for name, value in prices.items() if value is not None and not used[name]}


def _off_tick(instrument: Instrument, prices: Prices) -> dict[str, str]:
    tick = instrument.tick_size
    off = {name for name, value in prices.items() if value is not None and not is_tick_multiple(value, tick)}
    return {name: f"is not a multiple of the tick size {show_decimal(tick)}" for name in sorted(off)}


def _beyond_band(instrument: Instrument, last: Decimal | None, prices: Prices) -> dict[str, str]:
    if last is None:
        return {}
    reach = last * instrument.band_pct / 100
    message = f"is outside the band of {show_decimal(instrument.band_pct)} % around {show_decimal(last)}"
    return {name: message for name, value in prices.items() if value is not None and abs(value - last) > reach}


def _about_quantity(instrument: Instrument, quantity: Decimal | None) -> dict[str, str]:
    if quantity is None:
        return {}
    if not is_lot_multiple(quantity, instrument.lot):
        return {"quantity": f"is not a multiple of the lot size {show_decimal(instrument.lot)}"}
    if instrument.freeze_quantity is not None and quantity > instrument.freeze_quantity:
        return {"quantity": f"is above the freeze quantity {instrument.freeze_quantity}"}
    return {}


def _crossed(order: Order, name: str) -> dict[str, str]:
    """The limit of a stop order may not lie on the wrong side of its trigger: it could never trade."""
    price, trigger = order.price, order.trigger_price
    if order.order_type is not OrderType.SL or price is None or trigger is None or (price - trigger) * order.side.sign >= 0:
        return {}
    above = (order.side.sign > 0) is (name == "price")
    other, value = ("trigger price", trigger) if name == "price" else ("price", price)
    return {name: f"must not be {'below' if above else 'above'} the {other} {show_decimal(value)} of a {order.side.value}"}
