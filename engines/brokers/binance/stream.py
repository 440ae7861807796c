"""The order news of one account as Binance pushes them: one WebSocket, signed in over the WS API (spot) or named by a listen key (USD-M).

It turns events into rows and hands them on; what a gap may have swallowed is read again by the update worker. A socket that is open and not signed in
counts as none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import structlog

from engines.brokers import traffic
from engines.brokers.binance.client import Client
from engines.brokers.binance.errors import CLOCK
from engines.brokers.binance.rows import AlgoRow, Market, OrderRow, TradeRow, stream_algo, stream_order
from engines.brokers.socket import Heartbeat, SocketClient, SocketState, Target
from engines.brokers.tools import BinanceEndpoints, BrokerTools
from engines.ports import Refused, Retry

log = structlog.get_logger(__name__)

SUBSCRIBE = "userDataStream.subscribe.signature"
RENEW_AFTER = 1800.0
"""Seconds; a listen key lives for an hour."""
SIGNED_IN_WITHIN = 10.0
_OVER = frozenset({"eventStreamTerminated", "listenKeyExpired", "serverShutdown"})


class UserStream:
    """`on_order` and `on_algo` get rows on the socket's thread, `on_up` whether news come. `client` belongs to the update worker: `guarded` runs what uses
    it."""

    def __init__(
        self,
        name: str,
        client: Client,
        endpoints: BinanceEndpoints,
        tools: BrokerTools,
        key: str,
        *,
        on_order: Callable[[OrderRow, TradeRow | None], None],
        on_algo: Callable[[AlgoRow], None],
        on_up: Callable[[bool], None],
        guarded: Callable[[Callable[[], Any]], Any],
        source_address: str | None,
    ) -> None:
        self._market: Market = client.market
        self._client, self._endpoints, self._key, self._clock = client, endpoints, key, tools.clock
        self._on_order, self._on_algo, self._on_up, self._guarded = on_order, on_algo, on_up, guarded
        self._signed_in = False
        self._opened_at: float | None = None
        self._renewed_at = 0.0
        self._requests = 0
        beat = tools.timing.silent_after
        self._socket = SocketClient(
            name,
            self._target,
            on_open=self._open,
            on_message=self._message,
            on_state=self._state,
            clock=tools.clock,
            rng=tools.rng,
            heartbeat=Heartbeat(ping_every=beat / 2, silent_after=beat),
            source_address=source_address,
        )

    def start(self) -> None:
        self._socket.start()

    def close(self) -> None:
        self._socket.close()

    def tend(self) -> None:
        """Called now and then by the update worker, under its guard: keeps the listen key alive and begins again where a sign-in got lost."""
        now = self._clock.monotonic()
        if self._socket.state is SocketState.REFUSED:
            self._socket.reconnect("trying again")
        elif self._socket.state is SocketState.OPEN and not self._signed_in and now - (self._opened_at or now) > SIGNED_IN_WITHIN:
            self._socket.reconnect("the sign-in was not answered")
        elif self._market == "usdm" and self._signed_in and now - self._renewed_at > RENEW_AFTER:
            self._renewed_at = now
            try:
                self._client.ask("fapiPrivate", "PUT", "listenKey")
            except Refused:
                self._socket.reconnect("the listen key has expired")

    # --- the socket's thread

    def _target(self) -> Target:
        if self._market == "spot":
            return Target(self._endpoints.spot_ws_api_root)
        answer = self._guarded(lambda: self._client.ask("fapiPrivate", "POST", "listenKey"))
        self._renewed_at = self._clock.monotonic()
        try:
            return Target(f"{self._endpoints.futures_ws_root}/private/ws/{answer['listenKey']}")
        except (KeyError, TypeError):
            raise Retry("Binance gave no listen key") from None

    def _open(self) -> None:
        self._opened_at = self._clock.monotonic()
        if self._market == "usdm":
            self._up(True)
        else:
            self._subscribe()

    def _subscribe(self) -> None:
        self._requests += 1
        params: dict[str, Any] = {"apiKey": self._key, "timestamp": self._client.house.stamp_ms(self._clock)}
        payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
        params["signature"] = signature(self._client.sdk, payload)
        self._socket.send(json.dumps({"id": str(self._requests), "method": SUBSCRIBE, "params": params}))

    def _state(self, state: SocketState, _detail: str) -> None:
        if state is not SocketState.OPEN:
            self._up(False)

    def _up(self, up: bool) -> None:
        if up is not self._signed_in:
            self._signed_in = up
            self._on_up(up)

    def _message(self, message: str | bytes) -> None:
        traffic.give_way()
        try:
            told = json.loads(message)
        except ValueError:
            log.warning("an update of Binance was not JSON")
            return
        if not isinstance(told, dict):
            return
        if "status" in told and "event" not in told:
            self._answered(told)
            return
        event = told.get("event", told)
        if isinstance(event, dict):
            self._event(event)

    def _answered(self, told: dict[str, Any]) -> None:
        if told["status"] == 200:
            self._up(True)
            return
        error = told.get("error") or {}
        log.warning("Binance refused the order-update sign-in", status=told["status"], code=error.get("code"))
        if error.get("code") == CLOCK:
            self._guarded(self._client.sync_clock)
            self._subscribe()

    def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("e")
        if kind in _OVER:
            self._socket.reconnect(str(kind))
        elif kind == "executionReport":
            self._on_order(*stream_order(event))
        elif kind == "ORDER_TRADE_UPDATE":
            self._on_order(*stream_order(event["o"]))
        elif kind == "ALGO_UPDATE":
            self._on_algo(stream_algo(event["o"], event.get("T") or event.get("E")))


def signature(sdk: Any, payload: str) -> str:
    """As Binance wants it for this kind of key: HMAC, Ed25519 or RSA."""
    secret: str = sdk.secret
    signed: str
    if "PRIVATE KEY" not in secret:
        signed = sdk.hmac(payload.encode(), secret.encode(), hashlib.sha256)
    elif len(secret) > 120:
        signed = sdk.rsa(payload, secret, "sha256")
    else:
        signed = sdk.eddsa(payload.encode(), secret, "ed25519")
    return signed
