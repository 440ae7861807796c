"""Kite's binary market data: the bytes of one packet in each mode, and the frame around them. Pure functions."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import Decimal

from engines.core.model import Side
from tests.emulators.core.exchange import Quote
from tests.emulators.kite.shapes import depth
from tests.emulators.kite.words import token_of

HEARTBEAT = b"\x00"
MODES = ("ltp", "quote", "full")
_LTP = struct.Struct(">2I")
_QUOTE = struct.Struct(">11I")
_FULL = struct.Struct(">16I")
_LEVEL = struct.Struct(">2IHxx")
_INDEX_QUOTE = struct.Struct(">4I2Ii")
_INDEX_FULL = struct.Struct(">4I2IiI")
DIVISORS = {3: Decimal(10_000_000), 6: Decimal(10_000)}


def packet(quote: Quote, mode: str) -> bytes:
    token = token_of(quote.listed)
    scale = DIVISORS.get(token & 0xFF, Decimal(100))

    def whole(price: Decimal) -> int:
        return int(price * scale)

    if mode == "ltp":
        return _LTP.pack(token, whole(quote.last))
    last, opened, high, low, close = (whole(x) for x in (quote.last, quote.open, quote.high, quote.low, quote.close))
    if quote.instrument.segment == "INDEX":
        change = last - close
        if mode == "quote":
            return _INDEX_QUOTE.pack(token, last, high, low, opened, close, change)
        return _INDEX_FULL.pack(token, last, high, low, opened, close, change, int(quote.at))
    head = (token, last, 1, last, quote.volume, 5000, 5000, opened, high, low, close)
    if mode == "quote":
        return _QUOTE.pack(*head)
    levels = b"".join(
        _LEVEL.pack(quantity, whole(price), 3)
        for side in (Side.BUY, Side.SELL)
        for price, quantity in depth(quote, side, quote.instrument.tick_size)
    )
    return _FULL.pack(*head, int(quote.at), 0, 0, 0, int(quote.at)) + levels


def frame(packets: Sequence[bytes]) -> bytes:
    parts = [len(packets).to_bytes(2, "big")]
    for each in packets:
        parts += (len(each).to_bytes(2, "big"), each)
    return b"".join(parts)
