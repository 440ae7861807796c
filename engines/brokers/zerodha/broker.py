"""One Zerodha account as `ports.Broker`: orders over the official SDK, news of them by socket and by reading, a session that ends each morning.

It holds no rule about what to trade and resends nothing. Calls come from the account's lane; the order-update worker reads over a second connection.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode

from engines.brokers import traffic
from engines.brokers.pacing import Budget, Limit
from engines.brokers.socket import Heartbeat, SocketClient, SocketState, Target
from engines.brokers.tools import BrokerTools, KiteEndpoints
from engines.brokers.updates import OrderMemory, Updates, tell_whole
from engines.brokers.zerodha import errors, rows
from engines.brokers.zerodha.client import KiteClient
from engines.brokers.zerodha.login import session as new_session
from engines.brokers.zerodha.lost import Lost
from engines.brokers.zerodha.orders import VARIETY, modifying, placing
from engines.core.model import Account, OrderState, Timestamp
from engines.core.sessions import HOME_EXCHANGE, session_day
from engines.ports import (
    Balance,
    BrokerFill,
    BrokerPosition,
    BrokerTrade,
    BrokerTraits,
    Holding,
    NeedsLogin,
    OrderReport,
    OrderRequest,
    Permit,
    Profile,
    Refused,
    Retry,
    Session,
    StreamKey,
    TandemError,
    Unknown,
)

ORDERS_PER_SECOND = 8.0
"""Of the ten that Zerodha counts in each second of its own clock (2026): what leaves within a second may arrive closer together."""
WINDOWS = ((390, 60.0), (4900, 86_400.0))
"""Below the published 400 orders a minute and 5,000 a day (2025)."""
ABSENT_AFTER = 60.0
"""Orders have appeared eight seconds after an answer that said "timed out"; this is well beyond."""
READS = {"quote": (Limit(1, 1.0),), "historical": (Limit(3, 1.0),)}
OTHER_READS = (Limit(10, 1.0),)
WORKER_RESERVE = 3
"""Reads of each second that the update worker leaves to the lane."""
SOCKET_REST = 60.0
"""Seconds after which a socket that was refused is tried again while the session is good (too many connections, a plan without them)."""

T = TypeVar("T")
Listed = list[Mapping[str, Any]]


class ZerodhaBroker:
    def __init__(self, account: Account, credentials: Mapping[str, str], tools: BrokerTools, endpoints: KiteEndpoints) -> None:
        self.traits = BrokerTraits(
            orders_per_second=ORDERS_PER_SECOND,
            burst=int(ORDERS_PER_SECOND),
            absent_after=ABSENT_AFTER,
            windows=WINDOWS,
            daily_book=True,
        )
        self._account = account
        self._credentials = dict(credentials)
        self._tools = tools
        self._endpoints = endpoints
        self._memory = OrderMemory()
        self._budget = Budget(READS if tools.paced else {}, tools.clock, others=OTHER_READS if tools.paced else ())
        self._lost = Lost(tools.clock)
        self._session: Session | None = None
        self._over: str | None = None
        self._client: KiteClient | None = None
        self._worker: _Worker | None = None
        self._shown_on = ""  # the day on which the order book has shown an order

    def __repr__(self) -> str:
        return f"<ZerodhaBroker {self._account.account_id}>"

    # --- the session

    @property
    def session_expires_at(self) -> Timestamp | None:
        """A session that Zerodha has ended early ended in the past."""
        session = self._session
        return None if session is None else session.expires_at

    def stream_key(self) -> StreamKey | None:
        session = self._session
        if session is None or self._over is not None:
            return None
        values = {"api_key": self._credentials["api_key"], "access_token": session.tokens["access_token"]}
        return StreamKey(self._account.account_id, values, self._account.source_address)

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        self.close()
        self._budget.open()
        self._over = None
        if not self._credentials.get("api_key"):
            raise Refused("this account has no API key of Zerodha's")
        session, stored = self._find_session()
        client = self._client = self._make_client(session)
        profile = self._read(client, "profile", lambda: rows.profile(client.sdk.profile()))
        self._check_owner(profile.user_id)
        if not stored:
            session = replace(session, user_id=profile.user_id)
            self._tools.sessions.save(self._account.account_id, session)
        self._session = session
        self._memory.tell_again()
        self._worker = _Worker(self, session, on_report)
        self._worker.start()

    def _find_session(self) -> tuple[Session, bool]:
        """The stored session, or one from a token that a person has given; and whether it was stored."""
        now = self._tools.clock.now()
        given = self._credentials.get("access_token", "")
        stored = self._tools.sessions.load(self._account.account_id)
        if stored is not None and stored.tokens.get("access_token"):
            if stored.expires_at is None or now < stored.expires_at:
                return stored, True
            if given in ("", stored.tokens["access_token"]):
                self._forget_session()
                raise NeedsLogin("the session at Zerodha ended at six in the morning: log in again")
        if not given:
            raise NeedsLogin("there is no session at Zerodha for today: log in")
        return new_session(self._credentials.get("user_id", ""), {"access_token": given}, now), False

    def _check_owner(self, user_id: str) -> None:
        """Another person's session in this account would trade another person's money."""
        expected = self._credentials.get("user_id", "").strip().upper()
        if expected and user_id.upper() != expected:
            self._forget_session()
            raise Refused(f"the log-in at Zerodha belongs to {user_id}, this account is {expected}: log in as {expected}")

    def _forget_session(self) -> None:
        with contextlib.suppress(TandemError):  # a session that stays stored is refused again and forgotten then
            self._tools.sessions.clear(self._account.account_id)

    def end_session(self, why: str) -> None:
        """Zerodha has ended the session, whoever found out: it ended now, and every call says so from here on."""
        if self._over is not None:
            return
        self._over = why
        session, now = self._session, self._tools.clock.now()
        if session is not None and (session.expires_at is None or session.expires_at > now):
            self._session = replace(session, expires_at=now)
        self._forget_session()

    def _make_client(self, session: Session) -> KiteClient:
        token = session.tokens["access_token"]
        secrets = [value for name, value in self._credentials.items() if name != "user_id"]
        return KiteClient(
            self._credentials["api_key"],
            token,
            self._endpoints.api_root,
            timing=self._tools.timing,
            source_address=self._account.source_address,
            secrets=secrets,
        )

    # --- orders

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        client = self._ready()
        arguments = placing(request)
        with client.wire.permitted(permit) as writing:
            try:
                broker_order_id = self._written(client, "place", lambda: client.sdk.place_order(**arguments), lambda: writing.sent)
            except Unknown:
                self._lost.add(request)
                raise
        self._shown_on = self._today()
        told_nameless = self._memory.name(broker_order_id, request.client_id)
        self._watch(broker_order_id, at_once=told_nameless)
        return OrderReport(
            broker_order_id=broker_order_id,
            state=OrderState.OPEN,
            client_id=request.client_id,
            symbol=request.instrument.symbol,
            side=request.side,
            quantity=request.quantity,
            at=self._tools.clock.now(),
        )

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:  # noqa: ARG002 - others need the request
        client = self._ready()
        self._changed(broker_order_id, "cancel", lambda: client.sdk.cancel_order(variety=VARIETY, order_id=broker_order_id))
        return None

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None:
        client = self._ready()
        arguments = modifying(request, quantity, price, trigger_price)
        self._changed(broker_order_id, "modify", lambda: client.sdk.modify_order(variety=VARIETY, order_id=broker_order_id, **arguments))
        return None

    def _changed(self, broker_order_id: str, kind: errors.Call, act: Callable[[], Any]) -> None:
        """An answer means that the change was asked for; what became of it is told by the order's news."""
        try:
            self._written(self._ready(), kind, act)
        except TandemError:
            self._watch(broker_order_id, at_once=True)  # it may have filled a moment ago, or changed all the same
            raise
        self._watch(broker_order_id)

    def _written(self, client: KiteClient, kind: errors.Call, act: Callable[[], Any], sent: Callable[[], bool] = lambda: True) -> str:
        try:
            broker_order_id = client.call(kind, act, sent=sent)
        except NeedsLogin as error:
            self.end_session(str(error))
            raise
        if not isinstance(broker_order_id, str) or not broker_order_id:
            raise Unknown("Zerodha's answer names no order")
        return broker_order_id

    # --- books

    def order_book(self) -> Sequence[OrderReport]:
        """Only here are lost orders looked for by their shape: no order of ours is on its way while the lane reads."""
        client = self._ready()
        found = self.order_rows(client, lambda data: self._lost.find(data, self._memory))
        return tell_whole(self._memory, found, lambda _: self.trade_fills(client))

    def order_rows(self, client: KiteClient, parse: Callable[[Listed], list[OrderReport]], *, reserve: int = 0) -> list[OrderReport]:
        """The whole day's rows. An empty book on a day that has seen orders is a failure that looks like an answer."""
        today = self._today()

        def read() -> tuple[bool, list[OrderReport]]:
            data = _listed(client.sdk.orders())
            return any(rows.text(row, "order_timestamp").startswith(today) for row in data), parse(data)

        shown, found = self._read(client, "orders", read, reserve=reserve)
        if shown:
            self._shown_on = today
        elif not found and self._shown_on == today:
            raise Retry(
                "Zerodha's order book came back empty although it has shown orders today: that is taken for a failed read", after=2.0
            )
        return found

    def trade_fills(self, client: KiteClient, *, reserve: int = 0) -> Mapping[str, Sequence[BrokerFill]]:
        return self._read(client, "trades", lambda: rows.fills(_listed(client.sdk.trades())), reserve=reserve)

    def fills_of(self, client: KiteClient, broker_order_id: str, *, reserve: int = 0) -> Mapping[str, Sequence[BrokerFill]]:
        return self._read(client, "trades", lambda: rows.fills(_listed(client.sdk.order_trades(broker_order_id))), reserve=reserve)

    def positions(self) -> Sequence[BrokerPosition]:
        client = self._ready()
        return self._read(client, "positions", lambda: rows.positions(client.sdk.positions()))

    def holdings(self) -> Sequence[Holding]:
        client = self._ready()
        return self._read(client, "holdings", lambda: rows.holdings(_listed(client.sdk.holdings())))

    def trades(self) -> Sequence[BrokerTrade]:
        client = self._ready()
        return self._read(client, "trades", lambda: [rows.trade(row) for row in _listed(client.sdk.trades())])

    def balance(self) -> Balance:
        client = self._ready()
        return self._read(client, "margins", lambda: rows.balance(client.sdk.margins()))

    def profile(self) -> Profile:
        client = self._ready()
        return self._read(client, "profile", lambda: rows.profile(client.sdk.profile()))

    def keep_alive(self) -> None:
        self.profile()
        if self._worker is not None:
            self._worker.tend()

    def abort(self) -> None:
        if (client := self._client) is not None:
            client.wire.abort()

    def close(self) -> None:
        self._budget.close()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
        client, self._client = self._client, None
        if client is not None:
            client.wire.close()

    # --- inside

    def _ready(self) -> KiteClient:
        if self._over is not None:
            raise NeedsLogin(self._over)
        if self._client is None or self._worker is None:
            raise Retry("not connected to Zerodha yet")
        return self._client

    def _read(self, client: KiteClient, name: str, act: Callable[[], T], *, reserve: int = 0) -> T:
        """A read in its turn; an answer that ends the session ends it for every call."""
        self._budget.take(name, reserve=reserve)
        try:
            return client.call("read", act)
        except NeedsLogin as error:
            self.end_session(str(error))
            raise
        except Retry as error:
            if client.status == 429:
                self._budget.hold(error.after)
            raise

    def _watch(self, broker_order_id: str, *, at_once: bool = False) -> None:
        if (worker := self._worker) is not None:
            worker.updates.watch(broker_order_id)
            if at_once:
                worker.updates.look()

    def _today(self) -> str:
        return session_day(self._tools.clock.now(), HOME_EXCHANGE)


class _Worker:
    """What runs beside the lane while the account is connected: the order socket, and the reading of books over a connection of its own."""

    def __init__(self, broker: ZerodhaBroker, session: Session, on_report: Callable[[OrderReport], None]) -> None:
        tools, account = broker._tools, broker._account
        self._broker = broker
        self._client = broker._make_client(session)
        self._clock = tools.clock
        self._refused_at: float | None = None
        self.updates = Updates(
            account.account_id,
            self,
            on_report,
            memory=broker._memory,
            clock=tools.clock,
            rng=tools.rng,
            timing=tools.timing,
            on_needs_login=lambda error: broker.end_session(str(error)),
        )
        query = urlencode({"api_key": broker._credentials["api_key"], "access_token": session.tokens["access_token"]})
        target = Target(f"{broker._endpoints.ws_root.rstrip('/')}/?{query}", {"X-Kite-Version": "3"})
        silent = tools.timing.silent_after
        self._socket = SocketClient(
            f"orders-{account.account_id}",
            lambda: target,
            on_message=self._on_message,
            on_state=self._on_state,
            clock=tools.clock,
            rng=tools.rng,
            heartbeat=Heartbeat(ping_every=silent / 2, silent_after=silent),
            source_address=account.source_address,
        )

    def start(self) -> None:
        self.updates.start()
        self._socket.start()

    def close(self) -> None:
        self._socket.close()
        self._client.wire.abort()
        self.updates.close()
        self._client.wire.close()

    def tend(self) -> None:
        """Called now and then: a socket that was refused although the session is good gets another chance."""
        refused = self._refused_at
        if refused is not None and self._clock.monotonic() - refused > SOCKET_REST:
            self._refused_at = None
            self._socket.reconnect("the session is good")

    # --- ports of the worker: on its thread

    def rows(self) -> Sequence[OrderReport]:
        return self._broker.order_rows(self._client, lambda data: [rows.order(row) for row in data], reserve=WORKER_RESERVE)

    def fills(self, broker_order_ids: Collection[str]) -> Mapping[str, Sequence[BrokerFill]]:
        if len(broker_order_ids) > 1:
            return self._broker.trade_fills(self._client, reserve=WORKER_RESERVE)
        (one,) = broker_order_ids
        return self._broker.fills_of(self._client, one, reserve=WORKER_RESERVE)

    # --- on the socket's thread

    def _on_message(self, message: str | bytes) -> None:
        """Bytes are prices and heartbeats; of the texts only news of orders matter."""
        if isinstance(message, bytes):
            return
        traffic.give_way()
        found = json.loads(message, parse_float=Decimal)
        if isinstance(found, dict) and found.get("type") == "order" and isinstance(found.get("data"), dict):
            self.updates.push(rows.order(found["data"]))

    def _on_state(self, state: SocketState, _detail: str) -> None:
        self.updates.pushes(state is SocketState.OPEN)
        if state is SocketState.REFUSED:
            self._refused_at = self._clock.monotonic()
            self.updates.look()  # a session that is over shows there, and what a plan without sockets does not push is read


def _listed(data: Any) -> Listed:
    """A book is a list, also when it is empty; anything else is no book."""
    if not isinstance(data, list):
        raise TypeError("not a list")
    return data
