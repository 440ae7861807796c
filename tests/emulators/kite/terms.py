"""What Kite refuses before an order comes near the exchange, and what it makes of market orders. Pure answers, in Kite's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import TypeVar

from engines.core.model import ZERO, Instrument, OrderType, Product, Side
from tests.emulators.core.exchange import Quote
from tests.emulators.core.http import Failed
from tests.emulators.kite.words import NO_PROTECTION, refuse

VARIETIES = ("regular", "amo", "co", "iceberg", "auction")
PRODUCTS = {"CNC": Product.CNC, "NRML": Product.NRML, "MIS": Product.MIS, "MTF": Product.CNC}
VALIDITIES = ("DAY", "IOC", "TTL")
T = TypeVar("T")
_TAG = re.compile(r"[A-Za-z0-9]{1,20}")
_SHARE_SLABS = ((Decimal(100), Decimal(2)), (Decimal("500.01"), Decimal(1)), (None, Decimal("0.5")))
_OPTION_SLABS = ((Decimal(10), Decimal(5)), (Decimal(100), Decimal(3)), (Decimal("500.01"), Decimal(2)), (None, Decimal(1)))


@dataclass(slots=True)
class Terms:
    """An order as asked for, checked and with its protection worked in."""

    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None
    trigger_price: Decimal | None
    validity: str
    tag: str | None
    system_tags: list[str]


def read_terms(variety: str, fields: Mapping[str, str], quotes: Mapping[str, Quote]) -> Terms:
    """The terms of a new order; raises Failed with Kite's refusal."""
    if variety not in VARIETIES:
        raise refuse("InputException", "Invalid `variety`.")
    for name in ("exchange", "tradingsymbol", "transaction_type", "quantity", "product", "order_type"):
        if not fields.get(name):
            raise refuse("InputException", f"Missing or empty field `{name}`")
    quote = quotes.get(f"{fields['exchange']}:{fields['tradingsymbol']}")
    if quote is None:
        raise refuse("InputException", "The instrument you are placing an order for has either expired or does not exist.")
    instrument = quote.instrument
    side = _one_of(fields, "transaction_type", {"BUY": Side.BUY, "SELL": Side.SELL})
    order_type = _one_of(fields, "order_type", {x.value: x for x in OrderType})
    product = _one_of(fields, "product", PRODUCTS)
    validity = _one_of(fields, "validity", {x: x for x in VALIDITIES}) if fields.get("validity") else "DAY"
    tag = fields.get("tag") or None
    if tag is not None and not _TAG.fullmatch(tag):
        raise refuse("InputException", "Invalid `tag`. It should be alphanumeric and max 8 characters.")
    quantity = check_quantity(fields["quantity"], instrument)
    price, trigger = amount(fields, "price"), amount(fields, "trigger_price")
    tags: list[str] = []
    if order_type in (OrderType.MARKET, OrderType.SL_M):
        percent = protection(fields, quote, trigger if order_type is OrderType.SL_M else None)
        start = trigger if order_type is OrderType.SL_M and trigger else quote.last
        price = protected_price(start, percent, side, instrument.tick_size)
        tags = ["mktp", f"mktp:{percent:.2f}"]
        order_type = OrderType.SL if order_type is OrderType.SL_M else OrderType.LIMIT
    else:
        check_price("Price", price, instrument)
    if order_type is OrderType.SL:
        check_price("Trigger price", trigger, instrument)
        check_trigger(side, trigger or ZERO, price or ZERO, quote.last)
    else:
        trigger = None
    return Terms(instrument, side, quantity, order_type, product, price, trigger, validity, tag, tags)


def check_quantity(text: str, instrument: Instrument) -> Decimal:
    try:
        quantity = Decimal(text)
    except InvalidOperation:
        quantity = ZERO
    if quantity <= 0 or quantity != quantity.to_integral_value():
        raise refuse("InputException", "Invalid `quantity`.")
    if quantity % instrument.lot_size:
        raise refuse("InputException", f"Order quantity should be in multiples of lot size {instrument.lot_size}.")
    return quantity


def over_freeze(quantity: Decimal, instrument: Instrument) -> Failed | None:
    freeze = instrument.freeze_quantity
    if freeze is None or quantity <= freeze:
        return None
    return refuse("InputException", f"Order quantity exceeds the freeze quantity of {freeze} for {instrument.symbol.partition(':')[2]}.")


def protection(fields: Mapping[str, str], quote: Quote, trigger: Decimal | None) -> Decimal:
    """The percent that a market order may give way."""
    text = fields.get("market_protection", "")
    try:
        percent = Decimal(text) if text else ZERO
    except InvalidOperation:
        raise refuse("InputException", "Invalid `market_protection`.") from None
    if percent == 0:
        raise refuse("InputException", NO_PROTECTION)
    if percent == -1:
        return automatic(trigger or quote.last, quote.instrument)
    if not 0 < percent <= 100:
        raise refuse("InputException", "Invalid `market_protection`.")
    return percent


def automatic(price: Decimal, instrument: Instrument) -> Decimal:
    slabs = _OPTION_SLABS if instrument.segment == "OPT" else _SHARE_SLABS
    return next(percent for below, percent in slabs if below is None or price < below)


def protected_price(start: Decimal, percent: Decimal, side: Side, tick: Decimal) -> Decimal:
    raw = start * (1 + side.sign * percent / 100)
    return max((raw / tick).to_integral_value(ROUND_FLOOR if side is Side.BUY else ROUND_CEILING) * tick, tick)


def check_price(name: str, price: Decimal | None, instrument: Instrument) -> None:
    if price is None or price <= 0:
        raise refuse("InputException", f"{name} should be greater than zero.")
    if price % instrument.tick_size:
        raise refuse(
            "InputException",
            f"Tick size for this script is {instrument.tick_size}. Kindly enter {name.lower()} in the multiple of tick size for this script.",
        )


def check_trigger(side: Side, trigger: Decimal, price: Decimal, last: Decimal) -> None:
    if (trigger - last) * side.sign < 0:
        word = "higher" if side is Side.BUY else "lower"
        raise refuse(
            "InputException", f"Trigger price for stoploss {side.value.lower()} orders should be {word} than the last traded price."
        )
    if (price - trigger) * side.sign < 0:
        word = "higher" if side is Side.BUY else "lower"
        raise refuse("InputException", f"Trigger price for stoploss {side.value.lower()} orders cannot be {word} than the price.")


def amount(fields: Mapping[str, str], name: str) -> Decimal | None:
    text = fields.get(name)
    if text in (None, "", "0", "0.0"):
        return None
    try:
        return Decimal(text or "")
    except InvalidOperation:
        raise refuse("InputException", f"Invalid `{name}`.") from None


def exchange_refusal(text: str) -> Failed:
    """What the exchange or the risk desk said, as Kite tells it."""
    found = re.match(r"insufficient funds: needs ([\d.]+), available (-?[\d.]+)", text)
    if found:
        message = (
            f"Insufficient funds. Required margin is {found[1]} but available margin is {found[2]}. Check the orderbook for open orders."
        )
        return refuse("MarginException", message)
    if "held: a delivery sale" in text:
        return refuse("HoldingException", f"Insufficient stock holding: {text}")
    if "is closed" in text:
        return refuse("InputException", "Markets are closed right now. Place an after market order (AMO) instead.")
    if "outside the band" in text:
        return refuse("InputException", "Your order price is outside the current circuit limits.")
    return refuse("InputException", text[:1].upper() + text[1:])


def _one_of(fields: Mapping[str, str], name: str, among: Mapping[str, T]) -> T:
    value = among.get(fields[name])
    if value is None:
        raise refuse("InputException", f"Invalid `{name}`.")
    return value
