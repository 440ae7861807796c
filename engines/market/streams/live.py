"""All brokers' price streams as one market: each wanted instrument is carried by one broker that lists it and has an account signed in.

It places no order and keeps no price. `want`, called a few times a second, is its only heartbeat; what happens on connections is told from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from random import Random

from engines.brokers.makers import BrokerEndpoints
from engines.core.model import Tick
from engines.market.streams.binance import BinanceStream
from engines.market.streams.dialect import Dialect
from engines.market.streams.kite import KiteStream
from engines.market.streams.smartapi import SmartApiStream
from engines.market.streams.stream import Stream, StreamStatus
from engines.ports import Clock, Listing, Master, StreamKey

StreamEndpoints = BrokerEndpoints


class LiveMarket:
    """`on_ticks` gets batches from the connections' threads. `on_trouble` (kind, severity, message) and `on_clear` (kind) come from `want`."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: Random,
        master: Master,
        endpoints: StreamEndpoints,
        on_ticks: Callable[[Sequence[Tick]], None],
        on_trouble: Callable[[str, str, str], None],
        on_clear: Callable[[str], None],
    ) -> None:
        self._master = master
        self._on_trouble, self._on_clear = on_trouble, on_clear
        self._lock = threading.Lock()
        dialects: dict[str, Dialect] = {  # in the order in which they are preferred
            "zerodha": KiteStream(endpoints.kite),
            "angelone": SmartApiStream(endpoints.smartapi),
            "binance_spot": BinanceStream(endpoints.binance, "spot"),
            "binance_usdm": BinanceStream(endpoints.binance, "usdm"),
        }
        self._streams = {broker: Stream(broker, dialect, clock, rng, on_ticks) for broker, dialect in dialects.items()}
        self._wanted: frozenset[str] = frozenset()
        self._placed: dict[str, str] = {}  # symbol → broker
        self._listings: dict[tuple[str, str], Listing | None] = {}
        self._health: tuple[tuple[bool, bool], ...] = ()
        self._stale = threading.Event()  # something but the wish has changed
        self._full = self._told_full = False
        self._stopped = False
        master.on_change(self._on_new_master)

    def offer(self, broker: str, key: StreamKey | None, account_id: str) -> None:
        """An account of this broker is signed in: its stream may use the session. An account without the right to data lends nothing."""
        stream = self._streams.get(broker)
        with self._lock:
            if stream is not None and not self._stopped:
                stream.offer(account_id, key)
                self._stale.set()

    def withdraw(self, broker: str, account_id: str) -> None:
        """That session is over: the stream goes on with another account's, or closes."""
        stream = self._streams.get(broker)
        with self._lock:
            if stream is not None:
                stream.withdraw(account_id)
                self._stale.set()

    def want(self, symbols: Collection[str]) -> None:
        """Everything that is wanted, each time; costs next to nothing when nothing has changed."""
        wanted = frozenset(symbols)
        with self._lock:
            if self._stopped:
                return
            events = [event for stream in self._streams.values() for event in stream.tend()]
            health = tuple((stream.signed_in, stream.healthy) for stream in self._streams.values())
            if self._stale.is_set() or wanted != self._wanted or health != self._health:
                self._stale.clear()
                self._wanted, self._health = wanted, health
                self._place()
            full, was_full = self._full, self._told_full
            self._told_full = full
        for event in events:
            kind = f"prices_{event.broker}"
            if event.trouble is None:
                self._on_clear(kind)
            else:
                self._on_trouble(kind, event.severity, event.trouble)
        if full and not was_full:
            self._on_trouble("prices_full", "warning", "More instruments are wanted than the brokers' price streams may carry")
        elif was_full and not full:
            self._on_clear("prices_full")

    def silence(self, symbol: str) -> float | None:
        """Seconds since the connection that carries this instrument last spoke; None: none does, or it has told no price of it since it was opened."""
        stream = self._streams.get(self._placed.get(symbol, ""))
        return None if stream is None else stream.silence(symbol)

    def status(self) -> Sequence[StreamStatus]:
        """One row for each broker that has an account signed in."""
        return [stream.status() for stream in self._streams.values() if stream.signed_in]

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for stream in self._streams.values():
                stream.stop()

    # --- who carries what ----------------------------------------------------------------------------------------------

    def _on_new_master(self) -> None:
        self._listings = {}
        self._stale.set()

    def _place(self) -> None:
        """Whoever carries an instrument keeps it while it can; else the first broker that lists it and is well, has room and is signed in."""
        signed_in = [broker for broker, stream in self._streams.items() if stream.signed_in]
        well = {broker for broker in signed_in if self._streams[broker].healthy}
        shares: dict[str, dict[str, Listing]] = {broker: {} for broker in self._streams}
        placed: dict[str, str] = {}
        full = False
        before = self._placed
        for symbol in sorted(self._wanted, key=lambda symbol: (symbol not in before, symbol)):
            able = [(broker, listing) for broker in signed_in if (listing := self._listing(broker, symbol)) is not None]
            fit = [(broker, listing) for broker, listing in able if broker in well] or able
            fit.sort(key=lambda pair: pair[0] != before.get(symbol))
            for broker, listing in fit:
                if len(shares[broker]) < self._streams[broker].room:
                    shares[broker][symbol] = listing
                    placed[symbol] = broker
                    break
            else:
                full = full or bool(fit)
        self._placed, self._full = placed, full
        for broker in signed_in:
            self._streams[broker].carry(shares[broker])

    def _listing(self, broker: str, symbol: str) -> Listing | None:
        key = (broker, symbol)
        known = self._listings
        if key not in known:
            known[key] = self._master.listing(broker, symbol)
        return known[key]
