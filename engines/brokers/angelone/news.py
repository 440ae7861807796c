"""News of an Angel One account's orders: its order socket, and the books that are read beside it on a connection of their own.

The socket only hastens what the books tell: it replays nothing and is silent about some orders, so every message is a row like the book's, made whole
with its trades by the worker, and each new connection is followed by a read of the book.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import structlog

from engines.brokers import traffic
from engines.brokers.angelone import rows, sdk
from engines.brokers.angelone.rows import Malformed
from engines.brokers.socket import Heartbeat, SocketClient, SocketState, Target
from engines.brokers.tools import BrokerTools
from engines.brokers.updates import OrderMemory, Updates
from engines.ports import BrokerFill, NeedsLogin, OrderReport, Session

log = structlog.get_logger(__name__)

ReadBook = Callable[[], Sequence[rows.Row]]


class News:
    """`order_book` and `trade_book` read over a connection that only the worker uses; `report` makes a report of a row."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        session: Callable[[], Session | None],
        api_key: str,
        order_book: ReadBook,
        trade_book: ReadBook,
        report: Callable[[rows.Row], OrderReport],
        fills: Callable[[Sequence[rows.Row]], Mapping[str, list[BrokerFill]]],
        deliver: Callable[[OrderReport], None],
        memory: OrderMemory,
        tools: BrokerTools,
        source_address: str | None,
    ) -> None:
        self.odd_messages = 0
        self._url, self._session, self._api_key = url, session, api_key
        self._order_book, self._trade_book = order_book, trade_book
        self._report, self._fills = report, fills
        self._signed_with: Session | None = None
        self._started = threading.Lock()
        self._running = False
        timing = tools.timing
        self.updates = Updates(
            name, self, deliver, memory=memory, clock=tools.clock, rng=tools.rng, timing=timing, on_needs_login=self._on_needs_login
        )
        self.socket = SocketClient(
            f"{name}-orders",
            self._target,
            on_message=self._on_message,
            on_state=self._on_state,
            clock=tools.clock,
            rng=tools.rng,
            heartbeat=Heartbeat(ping_every=timing.silent_after / 2, silent_after=timing.silent_after),
            source_address=source_address,
        )

    def begin(self) -> None:
        """There is a session: start, or go on with the new one."""
        with self._started:
            first, self._running = not self._running, True
        if first:
            self.updates.start()
            self.socket.start()
            return
        self.updates.resume()
        if self._session() is not self._signed_with:
            self.socket.reconnect("a new session")

    def close(self) -> None:
        self.socket.close()
        self.updates.close()

    # --- updates.Reads, on the worker's thread

    def rows(self) -> Sequence[OrderReport]:
        return [self._report(row) for row in self._order_book()]

    def fills(self, broker_order_ids: Collection[str]) -> Mapping[str, Sequence[BrokerFill]]:  # noqa: ARG002 - one read tells all
        return self._fills(self._trade_book())

    # --- the socket's thread

    def _target(self) -> Target:
        session = self._session()
        if session is None:
            raise NeedsLogin("not signed in")
        self._signed_with = session
        headers = {
            "Authorization": f"Bearer {session.tokens['jwt']}",
            "x-api-key": self._api_key,
            "x-client-code": session.user_id,
            "x-feed-token": session.tokens.get("feed", ""),
        }
        return Target(self._url, headers)

    def _on_state(self, state: SocketState, _detail: str) -> None:
        if state is SocketState.CLOSED:
            return
        self.updates.pushes(state is SocketState.OPEN)
        if state is SocketState.REFUSED:
            self.updates.look()  # the books will say whether it is the session that is over

    def _on_message(self, message: str | bytes) -> None:
        """Bytes are the other side's heart beat. AB00 is the greeting; whatever carries an order is taken at its row's word."""
        if isinstance(message, bytes):
            return
        traffic.give_way()
        try:
            told: Any = sdk.loads(message)
            row = told.get("orderData") if isinstance(told, Mapping) else None
            if isinstance(row, Mapping) and rows.text(row, "orderid"):
                self.updates.push(self._report(row))
        except (ValueError, RecursionError, Malformed) as error:
            self.odd_messages += 1
            log.warning("order message not understood", socket=self.socket.name, error=type(error).__name__)
            self.updates.look()

    def _on_needs_login(self, _error: NeedsLogin) -> None:
        """The worker has stopped reading. Somebody else may have signed in anew just before it did."""
        if self._session() is not None:
            self.updates.resume()
        else:
            log.info("order updates wait for a sign-in", socket=self.socket.name)
