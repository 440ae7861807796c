"""How numbers look to a person: Indian grouping, signs, currencies; the same on pages and in messages.

Pure. Every function takes a number or its decimal text and gives text; None is always a dash. Nothing here rounds a number that is stored or computed with.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

DASH = "–"
MINUS = "\u2212"
SYMBOLS = {"INR": "₹", "USD": "$"}
CENT = Decimal("0.01")
LEAST = Decimal("0.000000005")  # rounds to the eighth place, the last that coins have


def decimal(value: Any) -> Decimal | None:
    """The exact number, or None for whatever is not one."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def grouped(number: Decimal, places: int) -> str:
    """Digits of the absolute value in lakhs and crores: 1234567.5 → 12,34,567.50."""
    text = f"{abs(number).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):f}"
    whole, _, fraction = text.partition(".")
    head, tail = whole[:-3], whole[-3:]
    parts = [tail]
    while head:
        parts.insert(0, head[-2:])
        head = head[:-2]
    return ",".join(parts) + (f".{fraction}" if fraction else "")


def money(value: Any, currency: str = "INR", places: int = 2, signed: bool = False) -> str:
    """₹1,00,000.00; with `signed` a gain carries its plus. A sum in coins that two places would hide has as many as say something."""
    number = decimal(value)
    if number is None:
        return DASH
    if currency not in SYMBOLS and places == 2 and LEAST <= abs(number) < CENT:
        places = min(2 - number.adjusted(), _own_places(number), 8)
    shown = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    sign = MINUS if shown < 0 else "+" if signed and shown > 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{grouped(shown, places)}" if symbol else f"{sign}{grouped(shown, places)} {currency}"


def sign(currency: str) -> str:
    return SYMBOLS.get(currency, currency)


def price(value: Any) -> str:
    """Two places; below ten up to four that it has."""
    number = decimal(value)
    return _price(value, 2 if number is None or abs(number) >= 10 else 4)


def coin(value: Any) -> str:
    """The price of a coin: up to eight places that it has where it is small, as its exchange quotes it."""
    number = decimal(value)
    return _price(value, 2 if number is None or abs(number) >= 1000 else 4 if abs(number) >= 10 else 8)


def rate(value: Any) -> str:
    """The price of a currency, whose tick is a quarter of a paisa: up to four places that it has at any size."""
    return _price(value, 4)


def _price(value: Any, most: int) -> str:
    number = decimal(value)
    if number is None:
        return DASH
    return (MINUS if number < 0 else "") + grouped(number, max(2, min(_own_places(number), most)))


def _own_places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def priced(value: Any, shape: str) -> str:
    """A price in the shape that `price_shape` has found: one of the three, or `price4`, with all four places."""
    places = shape.removeprefix("price")
    if not places.isdecimal():
        return {"price": price, "coin": coin, "rate": rate}[shape](value)
    number = decimal(value)
    return DASH if number is None else (MINUS if number < 0 else "") + grouped(number, int(places))


def price_shape(symbol: str | None, tick: Decimal | None = None) -> str:
    """Which of the three an instrument's prices take; where its tick is known, the places of that, two at least."""
    if tick:
        return f"price{max(2, _own_places(tick))}"
    name = (symbol or "").upper()
    return "coin" if name.startswith("BINANCE") else "rate" if name.startswith(("CDS:", "BCD:")) else "price"


def quantity(value: Any, signed: bool = False) -> str:
    number = decimal(value)
    if number is None:
        return DASH
    sign = MINUS if number < 0 else "+" if signed and number > 0 else ""
    return sign + grouped(number, _own_places(number))


def percent(value: Any, places: int = 1, signed: bool = False) -> str:
    number = decimal(value)
    if number is None:
        return DASH
    sign = MINUS if number < 0 else "+" if signed and number > 0 else ""
    return f"{sign}{grouped(number, places)} %"


def plain(value: Any) -> str:
    """A number for an input field: no grouping, no trailing zeros, empty for None."""
    number = decimal(value)
    if number is None:
        return ""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def short_symbol(symbol: str | None) -> str:
    """NSE:INFY → INFY; the exchange is said beside it where it matters."""
    return (symbol or "").partition(":")[2] or symbol or ""
