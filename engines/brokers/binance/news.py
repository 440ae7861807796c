"""Where the order news of one account come together: its own client for reading, the socket that pushes, and the worker that tells.

It places nothing and changes nothing; the socket's thread and the worker's take turns at the client.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from engines.brokers.binance.books import Books
from engines.brokers.binance.client import Client, Place, sorted_out
from engines.brokers.binance.errors import Answer
from engines.brokers.binance.register import Register
from engines.brokers.binance.rows import AlgoRow, OrderRow, TradeRow
from engines.brokers.binance.stream import UserStream
from engines.brokers.tools import BrokerTools
from engines.brokers.updates import OrderMemory, Updates
from engines.ports import BrokerFill, NeedsLogin, OrderReport


class News:
    def __init__(
        self,
        name: str,
        client: Client,
        books: Books,
        register: Register,
        memory: OrderMemory,
        place: Place,
        tools: BrokerTools,
        key: str,
        *,
        deliver: Callable[[OrderReport], None],
        on_needs_login: Callable[[NeedsLogin], None],
    ) -> None:
        self.client, self._books, self._register, self._clock = client, books, register, tools.clock
        self._lock = threading.RLock()
        self.updates = Updates(
            name, self, deliver, memory=memory, clock=tools.clock, rng=tools.rng, timing=tools.timing, on_needs_login=on_needs_login
        )
        self._stream = UserStream(
            name,
            client,
            place.endpoints,
            tools,
            key,
            on_order=self._on_order,
            on_algo=self._on_algo,
            on_up=self.updates.pushes,
            guarded=self._guarded,
            source_address=place.source_address,
        )

    def start(self) -> None:
        self.updates.start()
        self._stream.start()

    def resume(self) -> None:
        """The account has signed in again."""
        self.client.resume()
        self.updates.resume()

    def close(self) -> None:
        self.client.abort()
        self._stream.close()
        self.updates.close()
        self.client.close()

    # --- updates.Reads, on the worker's thread

    def rows(self) -> Sequence[OrderReport]:
        with self._lock:
            self._stream.tend()
            if not self.client.house.clock_known(self._clock):
                self._measure_clock()
            self._books.renew_rules()
            return self._books.rows()

    def fills(self, broker_order_ids: Collection[str]) -> Mapping[str, Sequence[BrokerFill]]:
        with self._lock:
            return self._books.fills(broker_order_ids)

    def _measure_clock(self) -> None:
        try:
            self.client.sync_clock()
        except Answer as answer:
            raise sorted_out("read", answer) from None

    # --- the socket's thread

    def _on_order(self, row: OrderRow, trade: TradeRow | None) -> None:
        report = self._register.take(row, self._books.fill(trade) if trade is not None else None)
        if report is not None:
            self.updates.push(report)
        elif self._register.may_become(row.symbol):
            self.updates.look()  # a conditional order of ours has become this one

    def _on_algo(self, row: AlgoRow) -> None:
        report = self._register.take_algo(row)
        if report is not None:
            self.updates.push(report)
        elif row.triggered:
            self.updates.look()

    def _guarded(self, what: Callable[[], Any]) -> Any:
        with self._lock:
            return what()
