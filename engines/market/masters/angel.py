"""Angel One's list: one JSON array of every exchange. Prices in it are paise: strike and tick are a hundred times ours.

Its names differ from ours (NIFTY25AUG26FUT, SBIN-EQ), so that only its fields are believed, never the form of its symbols.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engines.market.masters.rows import FOREIGN, INDIAN, BadList, Key, Parsed, Row, exact, index_name, positive, read_lines, whole
from engines.market.masters.spelling import MONTHS

BROKER = "angelone"
_PAISE = Decimal(100)


def read_angel(body: bytes) -> Parsed:
    """Raises BadList for what is not this list; an array that is cut off is not JSON."""
    try:
        lines = json.loads(body)
    except ValueError as error:
        raise BadList("it is not complete JSON") from error
    if not isinstance(lines, list):
        raise BadList("it is not a list")
    return read_lines(lines, _row)


def _row(line: dict[str, Any]) -> Any:
    exchange, kind, symbol, name = line["exch_seg"], line["instrumenttype"], line["symbol"], line["name"]
    if exchange not in INDIAN:
        return FOREIGN
    if not (line["token"].isdecimal() and symbol and name):
        raise ValueError("no token, symbol or name")
    freeze = whole(line.get("freeze_qty") or "0")
    return Row(
        key=_key(exchange, kind, symbol, name, line),
        broker=BROKER,
        token=line["token"],
        trading_symbol=symbol,
        broker_exchange=exchange,
        title=name,
        tick_size=positive(_rupees(line["tick_size"])),
        lot_size=max(1, whole(line["lotsize"])),
        freeze_quantity=freeze if freeze > 0 else None,
        exchange_token=line["token"],
    )


def _key(exchange: str, kind: str, symbol: str, name: str, line: dict[str, Any]) -> Key:
    if kind == "":
        return Key(exchange, "EQ", symbol.removesuffix("-EQ"), None, None, None)
    if kind == "AMXIDX":
        return Key(exchange, "INDEX", index_name(symbol), None, None, None)
    if kind.startswith("FUT"):
        return Key(exchange, "FUT", name, _iso_date(line["expiry"]), None, None)
    side, strike = symbol[-2:], positive(_rupees(line["strike"]))
    if not kind.startswith("OPT") or side not in ("CE", "PE") or strike is None:
        raise ValueError("neither share, index, future nor option")
    return Key(exchange, "OPT", name, _iso_date(line["expiry"]), strike, side)


@lru_cache(maxsize=50_000)
def _rupees(text: str) -> Decimal:
    return exact(str(exact(text) / _PAISE))


@lru_cache(maxsize=1_000)
def _iso_date(text: str) -> str:
    """25AUG2026 → 2026-08-25."""
    day, month, year = int(text[:2]), MONTHS.index(text[2:5].upper()) + 1, int(text[5:])
    if not (1 <= day <= 31 and 2000 <= year <= 2100):
        raise ValueError(f"{text[:20]!r} is not a date")
    return f"{year:04}-{month:02}-{day:02}"
