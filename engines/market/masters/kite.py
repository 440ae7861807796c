"""Zerodha's list: one CSV of every exchange, with its header, regenerated each morning. Its spelling is ours.

Reads text and nothing else; `last_price` in it is stale by design and is never used.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

from engines.market.masters.rows import FOREIGN, INDIAN, BadList, Key, Parsed, Row, exact, index_name, positive, read_lines, whole
from engines.market.masters.spelling import read_name

BROKER = "zerodha"
HEADER = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange"


def read_kite(body: bytes) -> Parsed:
    """Raises BadList for what is not this list, also when its last line is cut off."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadList("it is not text") from error
    first, _, rest = text.partition("\n")
    if first.strip() != HEADER:
        raise BadList("it does not begin with the columns of an instrument list")
    if not rest.endswith("\n"):
        raise BadList("its last line is cut off")
    return read_lines(csv.reader(io.StringIO(rest)), _row)


def _row(line: list[str]) -> Any:
    token, exchange_token, symbol, name, _, expiry, strike, tick, lot, kind, segment, exchange = line
    if exchange not in INDIAN:
        return FOREIGN
    if not (token.isdecimal() and symbol):
        raise ValueError("no token or symbol")
    if segment == "INDICES":
        key = Key(exchange, "INDEX", index_name(symbol), None, None, None)
    elif kind == "EQ":
        key = Key(exchange, "EQ", symbol, None, None, None)
    else:
        key = _contract(exchange, kind, symbol, name, expiry, strike)
    return Row(
        key=key,
        broker=BROKER,
        token=token,
        trading_symbol=symbol,
        broker_exchange=exchange,
        title=name.strip() or symbol,
        tick_size=positive(exact(tick)),
        lot_size=max(1, whole(lot)),
        name_here=symbol,
        exchange_token=exchange_token,
    )


def _contract(exchange: str, kind: str, symbol: str, name: str, expiry: str, strike: str) -> Key:
    date.fromisoformat(expiry)
    if not name:
        spelled = read_name(symbol)
        if spelled is None:
            raise ValueError("a contract without a name")
        name = spelled.underlying
    if kind == "FUT":
        return Key(exchange, "FUT", name, expiry, None, None)
    if kind not in ("CE", "PE"):
        raise ValueError("neither future nor option")
    price = positive(exact(strike))
    if price is None:
        raise ValueError("an option without a strike")
    return Key(exchange, "OPT", name, expiry, price, kind)
