"""How moments look to a person, in the market's zone, and the numbers of `engines.core.figures`, as filters of the templates.

Every function takes what the API says (decimal strings, RFC 3339 times, None) and gives text; None is always a dash. Nothing here
rounds a number that is stored or computed with; `static/js/format.js` says the same things in the browser, and a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from engines.core.figures import (
    DASH,
    MINUS,
    decimal,
    money,
    percent,
    plain,
    price,
    price_shape,
    priced,
    quantity,
    short_symbol,
    sign,
)

__all__ = [
    "DASH",
    "FILTERS",
    "MINUS",
    "ZONE",
    "age",
    "clock",
    "date",
    "decimal",
    "filesize",
    "iso",
    "millis",
    "moment",
    "money",
    "percent",
    "plain",
    "price",
    "price_shape",
    "priced",
    "quantity",
    "short_id",
    "short_symbol",
    "sign",
    "tone",
    "unread",
    "unrounded",
    "when",
    "words",
]

ZONE = ZoneInfo("Asia/Kolkata")


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


def unread(value: Any) -> str:
    """A count that nobody reads to its end: 7, 99+."""
    return "99+" if (decimal(value) or 0) > 99 else quantity(value)


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
