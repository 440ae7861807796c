"""Angel One's price stream 2.0: one little-endian packet a message, of the length that its mode has. It asks for mode 3, the one with the best five.

Source: SmartAPI's WebSocket 2.0 documentation and its Python client.
"""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence

from engines.brokers.socket import Heartbeat, Target
from engines.brokers.tools import SmartApiEndpoints
from engines.core.model import Tick, Timestamp
from engines.market.streams.book import Book, Row
from engines.market.streams.dialect import HEARTBEAT, Manners
from engines.ports import Listing, StreamKey

_EXCHANGES = {"NSE": 1, "NFO": 2, "BSE": 3, "BFO": 4, "MCX": 5, "NCDEX": 7, "CDS": 13}
_CURRENCY = 13
_SUBSCRIBE, _UNSUBSCRIBE = 1, 0
_LTP, _QUOTE, _SNAP, _DEPTH = 1, 2, 3, 4
_LENGTHS = {_LTP: 51, _QUOTE: 123, _SNAP: 379, _DEPTH: 443}
_CHUNK = 250

_HEAD = struct.Struct("<BB25s8xqq")  # mode, exchange, token, exchange's stamp in ms, last price
_VOLUME = struct.Struct("<q")
_LEVEL = struct.Struct("<HqqH")  # 1: a buyer, quantity, price, orders


class SmartApiStream:
    """Signs in with `jwt`, `api_key`, `client_code` and `feed_token` of any account."""

    name = "Angel One"
    manners = Manners(
        connections=3,
        per_connection=1000,
        heartbeat=Heartbeat(ping_every=HEARTBEAT.ping_every, silent_after=HEARTBEAT.silent_after, text="ping", text_every=2.0),
        words_within=8.0,  # it answers our words with words
    )

    def __init__(self, endpoints: SmartApiEndpoints) -> None:
        self._root = endpoints.ws_root

    def usable(self, key: StreamKey | None) -> bool:
        return key is not None and {"jwt", "api_key", "client_code", "feed_token"} <= key.values.keys()

    def target(self, key: StreamKey | None, _channel: str) -> Target:
        values = key.values if key else {}
        jwt = values.get("jwt", "").removeprefix("Bearer ")
        headers = {
            "Authorization": f"Bearer {jwt}",
            "x-api-key": values.get("api_key", ""),
            "x-client-code": values.get("client_code", ""),
            "x-feed-token": values.get("feed_token", ""),
        }
        return Target(self._root, headers)

    def enter(self, book: Book, listing: Listing) -> None:
        exchange = _EXCHANGES.get(listing.exchange, 0)
        book.add((exchange, listing.token.encode()), listing.symbol, 10_000_000.0 if exchange == _CURRENCY else 100.0)

    def leave(self, book: Book, listing: Listing) -> None:
        book.drop((_EXCHANGES.get(listing.exchange, 0), listing.token.encode()))

    def subscribe(self, listings: Sequence[Listing], _channel: str) -> list[str]:
        return _ask(_SUBSCRIBE, listings)

    def unsubscribe(self, listings: Sequence[Listing], _channel: str) -> list[str]:
        return _ask(_UNSUBSCRIBE, listings)

    def decode(self, message: str | bytes, book: Book, now: Timestamp) -> list[Tick]:
        if isinstance(message, str):
            _read_words(message, book)
            return []
        return book.ticks(read_packet(message, book), now)


def read_packet(packet: bytes, book: Book) -> Iterator[Row]:
    """The row that a packet tells; none, and counted, when it is not of its mode's length. Twenty-deep books hold no last price: passed over."""
    if len(packet) < 2:
        book.errors += bool(packet != b"\x00")
        return
    mode = packet[0]
    if len(packet) != _LENGTHS.get(mode):
        book.errors += 1
        return
    if mode == _DEPTH:
        return
    _, exchange, token, stamped, last = _HEAD.unpack_from(packet)
    key = (exchange, token.partition(b"\0")[0])
    if mode == _LTP:
        yield Row(key, last, -1, 0, stamped / 1000, last, last)
        return
    (volume,) = _VOLUME.unpack_from(packet, 67)
    if mode == _QUOTE:
        yield Row(key, last, volume, 0, stamped / 1000, last, last)
        return
    (traded,) = _VOLUME.unpack_from(packet, 123)
    bid = ask = 0
    for flag, _, price, _ in _LEVEL.iter_unpack(packet[147:347]):
        if flag == 1:
            bid = bid or price
        else:
            ask = ask or price
    yield Row(key, last, volume, traded, stamped / 1000, bid, ask)


def _read_words(message: str, book: Book) -> None:
    if message == "pong":
        return
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        book.errors += 1
        return
    if isinstance(said, dict) and said.get("errorCode"):
        book.notice = f"{said['errorCode']} {said.get('errorMessage', '')}"[:200]


def _ask(action: int, listings: Sequence[Listing]) -> list[str]:
    messages = []
    for start in range(0, len(listings), _CHUNK):
        by_exchange: dict[int, list[str]] = defaultdict(list)
        for listing in listings[start : start + _CHUNK]:
            if listing.exchange in _EXCHANGES:
                by_exchange[_EXCHANGES[listing.exchange]].append(listing.token)
        tokens = [{"exchangeType": exchange, "tokens": names} for exchange, names in sorted(by_exchange.items())]
        if tokens:
            messages.append(json.dumps({"action": action, "params": {"mode": _SNAP, "tokenList": tokens}}))
    return messages
