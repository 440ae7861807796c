"""Zerodha's price stream: big-endian frames of packets whose length says what they hold. It asks for full packets, the only ones with a bid and an ask.

Order news that may come over the same connection are not for here. Source: Kite Connect's WebSocket documentation and its Python client.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

from engines.brokers.socket import Target
from engines.brokers.tools import KiteEndpoints
from engines.core.model import Tick, Timestamp
from engines.market.streams.book import Book, Row
from engines.market.streams.dialect import Manners
from engines.ports import Listing, StreamKey

_CDS, _BCD, _NCO = 3, 6, 12
_DIVISORS = {_CDS: 10_000_000.0, _BCD: 10_000.0, _NCO: 10_000.0}
"""By the lowest byte of the token; all others tell paise."""
_CHUNK = 500

# With the two bytes of length before them, so that a frame of equal packets is read in one go:
# token, last price, volume of the day, last trade, exchange's stamp, best bid, best ask
_FULL = struct.Struct(">2x II 8x I 24x I 12x I 4x I 56x I 52x".replace(" ", ""))
_QUOTE = struct.Struct(">2x II 8x I 24x".replace(" ", ""))
_INDEX_FULL = struct.Struct(">2x II 20x I".replace(" ", ""))
_PAIR = struct.Struct(">2x II".replace(" ", ""))


class KiteStream:
    """Signs in with `api_key` and `access_token` of any account that has market data."""

    name = "Zerodha"
    manners = Manners(connections=3, per_connection=3000, words_within=8.0)

    def __init__(self, endpoints: KiteEndpoints) -> None:
        self._root = endpoints.ws_root

    def usable(self, key: StreamKey | None) -> bool:
        return key is not None and {"api_key", "access_token"} <= key.values.keys()

    def target(self, key: StreamKey | None, _channel: str) -> Target:
        values = key.values if key else {}
        query = urlencode({name: values.get(name, "") for name in ("api_key", "access_token")})
        return Target(f"{self._root}{'&' if '?' in self._root else '?'}{query}", {"X-Kite-Version": "3"})

    def enter(self, book: Book, listing: Listing) -> None:
        token = int(listing.token)
        book.add(token, listing.symbol, _DIVISORS.get(token & 0xFF, 100.0))

    def leave(self, book: Book, listing: Listing) -> None:
        book.drop(int(listing.token))

    def subscribe(self, listings: Sequence[Listing], _channel: str) -> list[str]:
        messages = []
        for tokens in _chunks(listings):
            messages += [_say("subscribe", tokens), _say("mode", ["full", tokens])]
        return messages

    def unsubscribe(self, listings: Sequence[Listing], _channel: str) -> list[str]:
        return [_say("unsubscribe", tokens) for tokens in _chunks(listings)]

    def decode(self, message: str | bytes, book: Book, now: Timestamp) -> list[Tick]:
        if isinstance(message, str):
            _read_words(message, book)
            return []
        return book.ticks(read_frame(message, book), now)


def read_frame(frame: bytes, book: Book) -> Iterator[Row] | Iterator[tuple[int, int, int, int, int, int, int]]:
    """The packets of a frame, whatever mixture; what is cut short or of no known length is counted in the book. One byte is a heartbeat."""
    if len(frame) < 4:
        if len(frame) != 1:
            book.errors += 1
        return iter(())
    return _packets(frame, book)


def _packets(frame: bytes, book: Book) -> Iterator[Row] | Iterator[tuple[int, int, int, int, int, int, int]]:
    left, place, end = int.from_bytes(frame[:2], "big"), 2, len(frame)
    view = memoryview(frame)
    while left:
        size = int.from_bytes(frame[place : place + 2], "big")
        after = place + 2 + size
        if after > end or place + 2 > end:
            book.errors += 1
            return
        if size == 184:  # the usual: a long row of them, read in one go
            row = min(left, _full_in_a_row(frame, place))
            after = place + row * _FULL.size
            yield from _FULL.iter_unpack(view[place:after])
            left -= row - 1
        elif size == 32:
            token, last, stamped = _INDEX_FULL.unpack_from(frame, place)
            yield Row(token, last, -1, 0, stamped, last, last)
        elif size == 44:
            token, last, volume = _QUOTE.unpack_from(frame, place)
            yield Row(token, last, volume, 0, 0, last, last)
        elif size in (8, 28):
            token, last = _PAIR.unpack_from(frame, place)
            yield Row(token, last, -1, 0, 0, last, last)
        else:
            book.errors += 1
        place, left = after, left - 1
    if place != end:
        book.errors += 1


def _full_in_a_row(frame: bytes, place: int) -> int:
    """How many full packets follow each other from here on: each begins where the one before it ends, with the length of a full one."""
    whole = (len(frame) - place) // _FULL.size
    end = place + whole * _FULL.size
    high, low = frame[place : end : _FULL.size], frame[place + 1 : end : _FULL.size]
    return min(whole - len(high.lstrip(b"\x00")), whole - len(low.lstrip(b"\xb8")))


def _read_words(message: str, book: Book) -> None:
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        book.errors += 1
        return
    if isinstance(said, dict) and said.get("type") == "error":
        book.notice = str(said.get("data"))[:200]


def _chunks(listings: Sequence[Listing]) -> Iterator[list[int]]:
    for start in range(0, len(listings), _CHUNK):
        yield [int(listing.token) for listing in listings[start : start + _CHUNK]]


def _say(act: str, value: object) -> str:
    return json.dumps({"a": act, "v": value}, separators=(",", ":"))
