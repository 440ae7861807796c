"""The names of the built-in simulated market: about thirty well-known NSE shares and two indices, with prices near those of mid 2026.

The rows and the dated tick-size table are data files beside this module. They make a market to learn and test in; they are never a source
of real prices, lots or limits.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from engines.core.model import Instrument

_DATA = Path(__file__).parent / "data"
_INDEX_TICK = Decimal("0.05")
_FREEZE_VALUE = 90_000_000
"""Shares freeze near nine crore rupees an order in the brokers' scrip masters (ICICIBANK: 64,561 units at about 1,390)."""


@dataclass(frozen=True, slots=True)
class Name:
    """One simulated name: what it is, the price it wanders around, and how restless it is (yearly volatility in percent)."""

    instrument: Instrument
    price: float
    volatility_pct: float


@cache
def known_names() -> tuple[Name, ...]:
    with (_DATA / "names.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_name(row["symbol"], row["name"], row["segment"], row["price"], row["volatility_pct"]) for row in csv.DictReader(file))


def known_instruments() -> tuple[Instrument, ...]:
    return tuple(name.instrument for name in known_names())


def synthetic_names(count: int) -> tuple[Name, ...]:
    """`count` invented shares NSE:SYN0001…, spread over all price levels: for load tests of a whole exchange's worth of instruments."""
    levels = ("48.50", "182.40", "410.25", "1290.00", "2745.50", "8120.00", "13400")
    return tuple(
        _name(f"NSE:SYN{number:04d}", f"Synthetic {number}", "EQ", levels[number % len(levels)], str(18 + number % 20))
        for number in range(1, count + 1)
    )


def tick_size(price: Decimal, day: str = "9999-12-31") -> Decimal:
    """The exchange's smallest price step for a cash share at this price on this ISO date (a day before the first table takes the first)."""
    tables = _tick_tables()
    steps = next((steps for effective_from, steps in tables if effective_from <= day), tables[-1][1])
    return next(tick for up_to, tick in steps if up_to is None or price <= up_to)


@cache
def _tick_tables() -> tuple[tuple[str, tuple[tuple[Decimal | None, Decimal], ...]], ...]:
    """Newest first: (effective_from, ((up_to, tick), …))."""
    tables = json.loads((_DATA / "tick_sizes.json").read_text(encoding="utf-8"))["tables"]
    parsed = [
        (
            str(table["effective_from"]),
            tuple((None if step["up_to"] is None else Decimal(step["up_to"]), Decimal(step["tick"])) for step in table["steps"]),
        )
        for table in tables
    ]
    return tuple(sorted(parsed, reverse=True))


def _name(symbol: str, title: str, segment: str, price_text: str, volatility_text: str) -> Name:
    price = Decimal(price_text)
    index = segment == "INDEX"
    instrument = Instrument(
        symbol=symbol,
        name=title,
        exchange=symbol.partition(":")[0],
        tick_size=_INDEX_TICK if index else tick_size(price),
        segment=segment,
        freeze_quantity=None if index else int(_FREEZE_VALUE / price),
        auction=not index,  # every share of this size has futures
    )
    return Name(instrument, float(price), float(volatility_text))
