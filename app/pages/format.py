"""How numbers and moments look to a person: Indian grouping, signs, the market's zone.

Every function takes what the API says (decimal strings, RFC 3339 times, None) and gives text; None is always a dash. Nothing here
rounds a number that is stored or computed with; `static/js/format.js` says the same things in the browser, and a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

DASH = "–"
MINUS = "\u2212"
ZONE = ZoneInfo("Asia/Kolkata")
SYMBOLS = {"INR": "₹", "USD": "$"}


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
    """₹1,00,000.00; with `signed` a gain carries its plus."""
    number = decimal(value)
    if number is None:
        return DASH
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


def signed_price(value: Any) -> str:
    """A change of a price."""
    number = decimal(value)
    return f"+{price(value)}" if number is not None and number > 0 else price(value)


def coin(value: Any) -> str:
    """The price of a coin: up to eight places that it has where it is small, as its exchange quotes it."""
    number = decimal(value)
    return _price(value, 2 if number is None or abs(number) >= 1000 else 4 if abs(number) >= 10 else 8)


def _price(value: Any, most: int) -> str:
    number = decimal(value)
    if number is None:
        return DASH
    exponent = number.normalize().as_tuple().exponent
    own = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return (MINUS if number < 0 else "") + grouped(number, max(2, min(own, most)))


def price_shape(symbol: str | None) -> str:
    """Which of the two an instrument's prices take."""
    return "coin" if (symbol or "").upper().startswith("BINANCE") else "price"


def unrounded(value: Any, shown: str) -> str:
    """The whole number where what is shown leaves digits out, else nothing."""
    number = decimal(value)
    if number is None or number == decimal(shown.replace(",", "").replace(MINUS, "-")):
        return ""
    return plain(value)


def short_id(value: str | None, most: int = 20) -> str:
    """A long id by its two ends: idem-9f31c2…77ab."""
    text = value or ""
    return text if len(text) <= most else f"{text[:11]}…{text[-4:]}"


def quantity(value: Any, signed: bool = False) -> str:
    number = decimal(value)
    if number is None:
        return DASH
    exponent = number.normalize().as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    sign = MINUS if number < 0 else "+" if signed and number > 0 else ""
    return sign + grouped(number, places)


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


def tone(value: Any) -> str:
    """The class that colours a signed number: up, down or flat."""
    number = decimal(value)
    if number is None or number == 0:
        return "flat"
    return "up" if number > 0 else "down"


def moment(value: Any) -> datetime | None:
    """An aware time in the market's zone, from RFC 3339 text, a datetime or epoch seconds."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        at = value
    elif isinstance(value, int | float):
        at = datetime.fromtimestamp(value, UTC)
    else:
        at = datetime.fromisoformat(str(value))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(ZONE)


def clock(value: Any, seconds: bool = True, millis: bool = False) -> str:
    """09:15:03 in the market's zone."""
    at = moment(value)
    if at is None:
        return DASH
    text = at.strftime("%H:%M:%S" if seconds else "%H:%M")
    return f"{text}.{at.microsecond // 1000:03d}" if millis else text


def date(value: Any) -> str:
    at = moment(value)
    return DASH if at is None else f"{at.day} {at:%b %Y}"


def when(value: Any) -> Markup:
    """A `<time>` with day and clock; the whole moment is in its title."""
    at = moment(value)
    if at is None:
        return Markup("–")
    return Markup('<time datetime="{}" title="{}"><span class="day">{} </span>{}</time>').format(
        at.astimezone(UTC).isoformat().replace("+00:00", "Z"), f"{at.day} {at:%b %Y %H:%M:%S} IST", f"{at.day} {at:%b}", f"{at:%H:%M:%S}"
    )


def iso(value: Any) -> str:
    """RFC 3339 UTC, for scripts and sorting."""
    at = moment(value)
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def age(milliseconds: Any) -> str:
    """How long ago, in the largest unit that says enough: 240 ms, 3.2 s, 5 min, 2 h, 3 d."""
    number = decimal(milliseconds)
    if number is None:
        return DASH
    ms = float(number)
    for limit, unit, size in ((1000, "ms", 1), (60_000, "s", 1000), (3_600_000, "min", 60_000), (86_400_000, "h", 3_600_000)):
        if ms < limit:
            return f"{ms / size:.1f} {unit}" if unit == "s" and ms < 10_000 else f"{ms // size:.0f} {unit}"
    return f"{ms // 86_400_000:.0f} d"


def millis(value: Any) -> str:
    """A latency: 0.4 ms, 12.3 ms, 140 ms."""
    number = decimal(value)
    if number is None:
        return DASH
    return f"{number:.1f} ms" if number < 100 else f"{number:.0f} ms"


def short_symbol(symbol: str | None) -> str:
    """NSE:INFY → INFY; the exchange is said beside it where it matters."""
    return (symbol or "").partition(":")[2] or symbol or ""


def filesize(value: Any) -> str:
    """340 B, 1.2 MB: in steps of a thousand, as file managers count."""
    size = float(decimal(value) or 0)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if 0 < size < 10 and unit != "B" else f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def words(code: Any) -> str:
    """order_value → order value."""
    return str(code or "").replace("_", " ")


FILTERS = {
    "money": money,
    "sign": sign,
    "price": price,
    "signed_price": signed_price,
    "coin": coin,
    "price_shape": price_shape,
    "unrounded": unrounded,
    "short_id": short_id,
    "quantity": quantity,
    "percent": percent,
    "plain": plain,
    "tone": tone,
    "clock": clock,
    "day": date,
    "when": when,
    "iso": iso,
    "age": age,
    "millis": millis,
    "short_symbol": short_symbol,
    "words": words,
    "filesize": filesize,
}
