"""The binary packets of the market stream (modes 1 LTP, 2 quote, 3 snap quote, 4 depth of twenty): little endian, prices in paise.

Pure builders: they know the layout and nothing of who is subscribed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

LTP, QUOTE, SNAP_QUOTE, DEPTH = 1, 2, 3, 4
EXCHANGE_TYPES = {"NSE": 1, "NFO": 2, "BSE": 3, "BFO": 4, "MCX": 5, "NCDEX": 7, "CDS": 13}
DEPTH_EXCHANGE = 1  # only cash shares of NSE have a depth of twenty

_HEAD = struct.Struct("<BB25s")
_LTP = struct.Struct("<qqq")
_QUOTE = struct.Struct("<qqqddqqqq")
_SNAP = struct.Struct("<qqd")
_LEVEL = struct.Struct("<HqqH")
_BANDS = struct.Struct("<qqqq")
_DEPTH_TIMES = struct.Struct("<qq")
_DEPTH_LEVEL = struct.Struct("<iih")


@dataclass(frozen=True, slots=True)
class Level:
    quantity: int
    price: int
    orders: int


@dataclass(frozen=True, slots=True)
class Quote:
    """Everything a packet may tell; prices in paise, `exchange_ms` in milliseconds, `traded_at` in seconds."""

    token: str
    exchange_type: int
    sequence: int
    exchange_ms: int
    last: int
    last_quantity: int = 1
    average: int = 0
    volume: int = 0
    buy_quantity: float = 0.0
    sell_quantity: float = 0.0
    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    traded_at: int = 0
    open_interest: int = 0
    buys: Sequence[Level] = ()
    sells: Sequence[Level] = ()
    upper_circuit: int = 0
    lower_circuit: int = 0
    year_high: int = 0
    year_low: int = 0


def packet(quote: Quote, mode: int) -> bytes:
    """51, 123, 379 or 443 bytes by mode."""
    head = _HEAD.pack(mode, quote.exchange_type, quote.token.encode("ascii"))
    if mode == DEPTH:
        times = _DEPTH_TIMES.pack(quote.exchange_ms, quote.exchange_ms + 1)
        return head + times + _depth(quote.buys) + _depth(quote.sells)
    body = head + _LTP.pack(quote.sequence, quote.exchange_ms, quote.last)
    if mode == LTP:
        return body
    body += _QUOTE.pack(
        quote.last_quantity,
        quote.average,
        quote.volume,
        quote.buy_quantity,
        quote.sell_quantity,
        quote.open,
        quote.high,
        quote.low,
        quote.close,
    )
    if mode == QUOTE:
        return body
    best = _best_five(quote.buys, flag=1) + _best_five(quote.sells, flag=0)
    bands = _BANDS.pack(quote.upper_circuit, quote.lower_circuit, quote.year_high, quote.year_low)
    return body + _SNAP.pack(quote.traded_at, quote.open_interest, 0.0) + best + bands


def _best_five(levels: Sequence[Level], flag: int) -> bytes:
    five = (list(levels) + [Level(0, 0, 0)] * 5)[:5]
    return b"".join(_LEVEL.pack(flag, x.quantity, x.price, x.orders) for x in five)


def _depth(levels: Sequence[Level]) -> bytes:
    twenty = (list(levels) + [Level(0, 0, 0)] * 20)[:20]
    return b"".join(_DEPTH_LEVEL.pack(x.quantity, x.price, x.orders) for x in twenty)
