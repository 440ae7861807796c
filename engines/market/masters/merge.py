"""Brings the brokers' lists together: one instrument for each key, one name, and how each broker lists it; in the order in which a search shows them.

Where two brokers differ the first list given wins, except that the coarser tick holds: a price on it lies on the finer one, too. A row that would take
another instrument's name is left out and counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from engines.core.model import Instrument
from engines.market.masters.rows import Key, Row
from engines.market.masters.spelling import contract_name
from engines.ports import Listing

_DATA = Path(__file__).parents[1] / "data" / "indices.json"
_TICK = Decimal("0.05")  # of an index, which has none of its own
_CASH = {"NFO": "NSE", "BFO": "BSE"}
_MAJOR = ("USDT", "USDC")


class Entry(NamedTuple):
    instrument: Instrument
    underlying: str
    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """`expired`: rows of contracts whose day is over. `clashes`: rows whose name another instrument has."""

    entries: list[Entry]
    expired: int = 0
    clashes: int = 0


def merge(lists: Sequence[Iterable[Row]], day: str) -> Merged:
    """`day`: today as an ISO date; contracts that expired before it are dropped. The order of `lists` is the order of trust."""
    groups: dict[Key, list[Row]] = {}
    shares: dict[tuple[str, str], Key] = {}  # (exchange, its own token) → the share that carries it
    expired = 0
    for rows in lists:
        for row in rows:
            key = row.key
            if key.expiry is not None and key.expiry < day:
                expired += 1
                continue
            if key.segment == "EQ" and row.exchange_token:
                key = key if key in groups else shares.setdefault((key.exchange, row.exchange_token), key)
            same = groups.setdefault(key, [])
            if all(other.broker != row.broker for other in same):
                same.append(row)
    named, clashes = _named(groups)
    with_futures = {f"NSE:{key.underlying}" for key in groups if key.segment == "FUT" and key.exchange == "NFO"}
    entries = (_entry(key, symbol, groups[key], day, auction=symbol in with_futures) for symbol, key in named.items())
    return Merged(_ordered(entries), expired, clashes)


def _named(groups: Mapping[Key, Sequence[Row]]) -> tuple[dict[str, Key], int]:
    """Symbol → key. A broker that spells as we do has the say; the others' contracts are spelled from their key."""
    named: dict[str, Key] = {}
    rest: list[Key] = []
    clashes = 0
    last_days = _last_days(groups)
    for key, rows in groups.items():
        here = next((row.name_here for row in rows if row.name_here is not None), None)
        if here is None:
            rest.append(key)
        elif named.setdefault(f"{key.exchange}:{here}", key) != key:
            clashes += 1
    for key in rest:
        if named.setdefault(f"{key.exchange}:{_name(key, groups[key][0], last_days)}", key) != key:
            clashes += 1
    return named, clashes


def _last_days(groups: Iterable[Key]) -> dict[tuple[str, str, str], str]:
    """(exchange, underlying, month) → the last expiry of its options in that month: the monthly one."""
    last: dict[tuple[str, str, str], str] = {}
    for key in groups:
        if key.segment == "OPT" and key.expiry is not None:
            month = (key.exchange, key.underlying, key.expiry[:7])
            last[month] = max(last.get(month, ""), key.expiry)
    return last


def _name(key: Key, row: Row, last_days: Mapping[tuple[str, str, str], str]) -> str:
    if key.expiry is None:
        return row.trading_symbol.upper() if key.segment == "INDEX" else key.underlying
    monthly = last_days.get((key.exchange, key.underlying, key.expiry[:7])) == key.expiry
    return contract_name(key.underlying, key.expiry, key.strike, key.option_type, monthly=monthly)


def _entry(key: Key, symbol: str, rows: Sequence[Row], day: str, *, auction: bool) -> Entry:
    """`auction`: the name has futures, so that as a share it closes with the auction."""
    first = rows[0]
    freeze = next((row.freeze_quantity for row in rows if row.freeze_quantity is not None), None)
    instrument = Instrument(
        symbol=symbol,
        name=_title(key, rows),
        exchange=key.exchange,
        tick_size=max((row.tick_size for row in rows if row.tick_size is not None), default=_TICK),
        lot_size=first.lot_size,
        freeze_quantity=freeze if freeze is not None or key.expiry is None else _dated("freeze", "quantities", day).get(key.underlying),
        segment=key.segment,
        expiry=key.expiry,
        strike=key.strike,
        option_type=key.option_type,
        quantity_step=first.quantity_step,
        band_pct=_band(key, rows, day),
        auction=auction and key.segment == "EQ",
    )
    listings = tuple(Listing(symbol, row.broker, row.token, row.broker_exchange, row.trading_symbol) for row in rows)
    return Entry(instrument, key.underlying, listings)


def _title(key: Key, rows: Sequence[Row]) -> str:
    if key.expiry is None:
        return rows[0].title
    kind = "future" if key.strike is None else f"{key.strike:f} {key.option_type}"
    return f"{key.underlying} {kind}, {int(key.expiry[8:])} {_MONTH_WORDS[int(key.expiry[5:7]) - 1]} {key.expiry[:4]}"


_MONTH_WORDS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _band(key: Key, rows: Sequence[Row], day: str) -> Decimal:
    told = [row.band_pct for row in rows if row.band_pct is not None]
    return told[0] if told else Decimal(_dated("bands", "percent", day).get(key.segment, "20"))


# --- dated data ----------------------------------------------------------------------------------------------------


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return facts


@cache
def _dated(table: str, values: str, day: str) -> Mapping[str, Any]:
    """The table that holds on this day; before the first one, the first."""
    tables = sorted(_facts()[table], key=lambda each: each["effective_from"])
    known: Mapping[str, Any] = next((each[values] for each in reversed(tables) if each["effective_from"] <= day), tables[0][values])
    return known


def index_names() -> Mapping[str, str]:
    """The name in contracts → the index that they are about: NIFTY → NSE:NIFTY 50."""
    names: Mapping[str, str] = _facts()["spot"]
    return names


# --- the order of a search -----------------------------------------------------------------------------------------


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Best first: indices and shares that have contracts, coins, futures by expiry, other shares, options by expiry from the middle strike outwards."""
    found = list(entries)
    with_contracts: set[str] = set()
    strikes: dict[tuple[str, str, str], set[Decimal]] = defaultdict(set)
    for instrument, underlying, _ in found:
        if instrument.expiry is not None:
            with_contracts.add(index_names().get(underlying) or f"{_CASH.get(instrument.exchange, '')}:{underlying}")
            if instrument.strike is not None:
                strikes[instrument.exchange, underlying, instrument.expiry].add(instrument.strike)
    middles = {chain: sorted(listed)[len(listed) // 2] for chain, listed in strikes.items()}

    known = {name: number for number, name in enumerate(index_names())}  # NIFTY before FINNIFTY before any share

    def place(entry: Entry) -> tuple[int, str, int, str, Decimal, str]:
        instrument, underlying, _ = entry
        expiry, strike = instrument.expiry or "", instrument.strike
        off = abs(strike - middles[instrument.exchange, underlying, expiry]) if strike is not None else Decimal(0)
        kind = _class(instrument, instrument.symbol in with_contracts)
        if not expiry:
            return kind, "", 0, "", off, instrument.symbol
        return kind, expiry, known.get(underlying, len(known)), underlying, off, instrument.symbol

    return sorted(found, key=place)


def _class(instrument: Instrument, has_contracts: bool) -> int:
    match instrument.segment:
        case "INDEX":
            return 0 if has_contracts else 6
        case "SPOT" | "PERP":
            return 2 if instrument.symbol.removesuffix(".P").endswith(_MAJOR) else 8
        case "FUT":
            return 3
        case "OPT":
            return 5
        case _ if has_contracts:
            return 1
        case _:
            return 4 if instrument.exchange == "NSE" else 7
