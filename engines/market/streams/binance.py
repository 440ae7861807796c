"""Binance's public market streams: the best bid and ask, and every trade put together. They need no sign-in, so any account may use them.

Spot tells both over one connection; USD-M futures route quotes and trades over two. Source: Binance's WebSocket market stream documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from engines.brokers.socket import Target
from engines.brokers.tools import BinanceEndpoints
from engines.core.model import Tick, Timestamp
from engines.market.streams.book import Book, Quote
from engines.market.streams.dialect import Manners
from engines.ports import Listing, StreamKey

_QUOTES, _TRADES = "@bookTicker", "@aggTrade"
_CHUNK = 350
_STREAMS = 1024  # that one connection may carry


class BinanceStream:
    """`market` is spot or usdm. A quote tells no trade and a trade tells no quote: the book remembers both."""

    def __init__(self, endpoints: BinanceEndpoints, market: Literal["spot", "usdm"]) -> None:
        spot = market == "spot"
        self.name = "Binance" if spot else "Binance USD-M"
        self._root = endpoints.spot_ws_root if spot else endpoints.futures_ws_root
        self._kinds: Mapping[str, tuple[str, ...]] = {"": (_QUOTES, _TRADES)} if spot else {"/public": (_QUOTES,), "/market": (_TRADES,)}
        most = min(_STREAMS // len(kinds) for kinds in self._kinds.values())
        # five messages a second are allowed on a connection, our pings and pongs included
        self.manners = Manners(connections=10, per_connection=most, channels=tuple(self._kinds), burst=2, every=1.0)

    def usable(self, _key: StreamKey | None) -> bool:
        return True

    def target(self, _key: StreamKey | None, channel: str) -> Target:
        return Target(f"{self._root}{channel}/stream")

    def enter(self, book: Book, listing: Listing) -> None:
        book.add(listing.token.upper(), listing.symbol)

    def leave(self, book: Book, listing: Listing) -> None:
        book.drop(listing.token.upper())

    def subscribe(self, listings: Sequence[Listing], channel: str) -> list[str]:
        return self._ask("SUBSCRIBE", listings, channel)

    def unsubscribe(self, listings: Sequence[Listing], channel: str) -> list[str]:
        return self._ask("UNSUBSCRIBE", listings, channel)

    def _ask(self, method: str, listings: Sequence[Listing], channel: str) -> list[str]:
        streams = [listing.token.lower() + kind for listing in listings for kind in self._kinds[channel]]
        return [
            json.dumps({"method": method, "params": streams[start : start + _CHUNK], "id": start + 1})
            for start in range(0, len(streams), _CHUNK)
        ]

    def decode(self, message: str | bytes, book: Book, now: Timestamp) -> list[Tick]:
        try:
            said = json.loads(message)
            stream, data = said.get("stream"), said.get("data", said)
            if not stream:
                _read_words(said, book)
                return []
            name, _, kind = stream.partition("@")
            symbol = book.symbol(name.upper())
            if symbol is None:
                book.strays += 1
                return []
            if kind == _QUOTES[1:]:
                return _quote(book, name.upper(), symbol, data, now)
            if kind == _TRADES[1:]:
                return _trade(book, name.upper(), symbol, data, now)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            book.errors += 1
        return []


def _quote(book: Book, name: str, symbol: str, data: Mapping[str, Any], now: Timestamp) -> list[Tick]:
    """A tick only when a price moved: most quotes change a quantity. Before the first trade, the middle is the last price."""
    bid, ask = float(data["b"]), float(data["a"])
    known = book.quotes.get(name) or Quote(round((bid + ask) / 2, 10), now, sure=False)
    if (bid, ask) == (known.bid, known.ask):
        return []
    last = known.last if known.sure else min(max(known.last, bid), ask)
    book.quotes[name] = Quote(last, known.at, bid, ask, known.sure)
    return [Tick(symbol, last, bid, ask, known.at, 0.0)]


def _trade(book: Book, name: str, symbol: str, data: Mapping[str, Any], now: Timestamp) -> list[Tick]:
    last, quantity, at = float(data["p"]), float(data["q"]), float(data["T"]) / 1000
    if not 0 < at < now + 60:
        at = now
    known = book.quotes.get(name)
    bid, ask = (known.bid, known.ask) if known is not None else (0.0, 0.0)
    book.quotes[name] = Quote(last, at, bid, ask)
    return [Tick(symbol, last, bid or last, ask or last, at, quantity)]


def _read_words(said: Mapping[str, Any], book: Book) -> None:
    """Answers to our requests, and what the server announces of itself."""
    error = said.get("error")
    if isinstance(error, dict):
        book.notice = f"{error.get('code')} {error.get('msg')}"[:200]
    elif "result" not in said and said.get("e") != "serverShutdown":
        book.errors += 1
