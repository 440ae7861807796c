"""One line of a broker's list in our words, and the key under which the lines of different brokers meet.

Values only. Exact numbers come from the broker's text and never pass through a float.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

INDIAN = frozenset({"NSE", "BSE", "NFO", "BFO"})
"""Exchanges whose rows are taken; currencies and commodities have other hours and other lots and are left out."""

MOST_BROKEN = 20
"""So many unreadable lines say nothing about a list; more than a tenth of them do."""


class BadList(ValueError):
    """The body is not a usable instrument list: not the format, cut off, or empty. The text says which."""


class Key(NamedTuple):
    """What an instrument is, whoever lists it. `underlying`: of a contract its name (NIFTY), of a share or coin pair its own symbol, of an index
    its name without blanks."""

    exchange: str
    segment: str
    underlying: str
    expiry: str | None
    strike: Decimal | None
    option_type: str | None


class Row(NamedTuple):
    """A named tuple, because a morning's lists hold 300,000 of them. `name_here`: the part after EXCHANGE: where the broker spells as we do."""

    key: Key
    broker: str
    token: str
    trading_symbol: str
    broker_exchange: str
    title: str
    tick_size: Decimal | None
    lot_size: int
    name_here: str | None = None
    freeze_quantity: int | None = None
    quantity_step: Decimal = Decimal(1)
    band_pct: Decimal | None = None
    exchange_token: str | None = None  # the exchange's own number, where the broker tells it


@dataclass(frozen=True, slots=True)
class Parsed:
    """`broken`: lines that could not be read. `foreign`: lines of exchanges and kinds that we do not trade."""

    rows: list[Row]
    broken: int = 0
    foreign: int = 0


FOREIGN = object()
"""What a reader of lines answers for a line that is sound and not for us."""


def read_lines(lines: Any, read: Callable[[Any], Any]) -> Parsed:
    """Every line through `read`; one that cannot be understood is counted, never guessed and never the end of the list."""
    rows: list[Row] = []
    broken = foreign = 0
    for line in lines:
        try:
            row = read(line)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError):
            broken += 1
            continue
        if row is FOREIGN:
            foreign += 1
        else:
            rows.append(row)
    if not rows:
        raise BadList(f"it holds no instrument that can be traded here ({foreign} others, {broken} unreadable lines)")
    if broken > max(MOST_BROKEN, len(rows) // 10):
        raise BadList(f"{broken} of its lines cannot be read")
    return Parsed(rows, broken, foreign)


@lru_cache(maxsize=50_000)
def exact(text: str) -> Decimal:
    """A finite number, without trailing zeros and never in exponent form. ValueError otherwise."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:20]!r} is not a number") from None
    if not value.is_finite():
        raise ValueError(f"{text[:20]!r} is not a number")
    value = value.normalize()
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def whole(text: str) -> int:
    """`65`, `65.0`; ValueError for what is not a whole number."""
    value = exact(text)
    if value != value.to_integral_value():
        raise ValueError(f"{text[:20]!r} is not a whole number")
    return int(value)


def positive(value: Decimal) -> Decimal | None:
    return value if value > 0 else None


def index_name(name: str) -> str:
    """`Nifty Bank` and `NIFTY BANK` are one index."""
    return "".join(name.split()).upper()
