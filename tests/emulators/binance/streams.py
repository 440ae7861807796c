"""The WebSockets of the emulated Binance: the spot WS API with its signed subscriptions, market streams, and the futures' listen keys.

Neither keeps anything for a client that is away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.emulators.binance import rows
from tests.emulators.binance.errors import Api, refusal
from tests.emulators.binance.markets import SPOT, USDM, Market, eight, plain, table
from tests.emulators.binance.signing import check_key, check_window, sign, socket_payload
from tests.emulators.core.exchange import EmulatedAccount, Event, Quote
from tests.emulators.core.http import Call
from tests.emulators.core.sockets import Socket, close_soon

if TYPE_CHECKING:
    from tests.emulators.binance.emulator import BinanceEmulator

MOST_STREAMS = 1024
MOST_MESSAGES = {SPOT: 5, USDM: 10}  # a second, from one client; beyond, it is cut off
POLICY = 1008
LISTEN_SECONDS = 3600.0
WHAT = {"placed": "NEW", "fill": "TRADE", "cancelled": "CANCELED", "rejected": "REJECTED", "expired": "EXPIRED"}


class Streams:
    def __init__(self, emulator: BinanceEmulator) -> None:
        self._emulator = emulator
        self._markets = {SPOT: table(SPOT), USDM: table(USDM)}
        self._listen: dict[str, tuple[str, float]] = {}  # listen key → (account, when it ends)
        self._subscription = 0

    # --- user data: spot -------------------------------------------------------------------------------------------

    async def ws_api(self, call: Call) -> web.StreamResponse:
        def begin(socket: Socket) -> None:
            socket.state["users"] = {}

        return await self._emulator.open_sockets.serve(call.request, "", frozenset({"orders"}), self._on_request, on_open=begin)

    def _on_request(self, socket: Socket, message: str | bytes) -> None:
        try:
            asked = json.loads(message)
            method, params, name = str(asked["method"]), dict(asked.get("params") or {}), asked.get("id")
        except (ValueError, KeyError, TypeError):
            socket.send(json.dumps({"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}}))
            return
        try:
            result = self._result(socket, method, params)
        except Api as error:
            socket.send(json.dumps({"id": name, "status": error.status, "error": error.body()}))
            return
        socket.send(json.dumps({"id": name, "status": 200, "result": result, "rateLimits": []}))

    def _result(self, socket: Socket, method: str, params: dict[str, Any]) -> Any:
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self._emulator.now_ms()}
        if method == "userDataStream.subscribe.signature":
            return self._subscribe_user(socket, params)
        if method == "userDataStream.unsubscribe":
            wanted = params.get("subscriptionId")
            users: dict[str, int] = socket.state["users"]
            socket.state["users"] = {} if wanted is None else {k: v for k, v in users.items() if v != wanted}
            return {}
        if method == "session.subscriptions":
            return [{"subscriptionId": x} for x in socket.state["users"].values()]
        raise Api(-1000, f"Unknown method {method}", 400)

    def _subscribe_user(self, socket: Socket, params: dict[str, Any]) -> Any:
        fields = {name: str(value) for name, value in params.items()}
        account = self._emulator.of_key(check_key(fields.get("apiKey")), SPOT)
        if account is None:
            raise refusal(-2015)
        if not fields.get("signature"):
            raise refusal(-1102, name="signature")
        if sign(account.credentials["api_secret"], socket_payload(params)) != fields["signature"].lower():
            raise refusal(-1022)
        check_window(fields, self._emulator.now_ms())
        users: dict[str, int] = socket.state["users"]
        if account.name in users:
            raise Api(-2035, "Already subscribed to the user data stream on this connection.", 400)
        users[account.name] = self._subscription
        self._subscription += 1
        socket.account = socket.account or account.name
        return {"subscriptionId": users[account.name]}

    # --- user data: futures ----------------------------------------------------------------------------------------

    def listen_key(self, account: EmulatedAccount) -> str:
        """The one there is, or a new one; either way good for an hour from now."""
        found = self._key_of(account) or "".join(
            self._emulator.rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=64)
        )
        self._listen[found] = (account.name, self._emulator.clock.now() + LISTEN_SECONDS)
        account.secrets.append(found)
        return found

    def keep_listening(self, account: EmulatedAccount) -> str:
        if self._key_of(account) is None:
            raise refusal(-1125)
        return self.listen_key(account)

    def stop_listening(self, account: EmulatedAccount) -> None:
        self._listen = {key: x for key, x in self._listen.items() if x[0] != account.name}

    def expire(self, account: EmulatedAccount) -> None:
        """What a user's stream says last."""
        key = self._key_of(account)
        self.stop_listening(account)
        at = self._emulator.now_ms()
        for socket in self._users(account):
            if account.market == USDM:
                socket.send(json.dumps({"e": "listenKeyExpired", "E": at, "listenKey": key or ""}))
                close_soon(socket)
            else:
                socket.send(self._wrapped(socket, account, {"e": "eventStreamTerminated", "E": at}))
                del socket.state["users"][account.name]

    def _key_of(self, account: EmulatedAccount) -> str | None:
        now = self._emulator.clock.now()
        return next((key for key, (name, ends) in self._listen.items() if name == account.name and now < ends), None)

    async def private(self, call: Call) -> web.StreamResponse:
        name, ends = self._listen.get(call.params.get("key") or call.fields.get("streams", ""), ("", 0.0))
        if self._emulator.clock.now() >= ends:
            return web.Response(status=400, text="invalid listen key")

        def begin(socket: Socket) -> None:
            socket.state.update(users={name: 0}, wrapped="key" not in call.params, key=call.fields.get("streams", ""))

        return await self._emulator.open_sockets.serve(call.request, name, frozenset({"orders"}), lambda *_: None, on_open=begin)

    # --- user data: what is told -----------------------------------------------------------------------------------

    def events(self, event: Event) -> list[dict[str, Any]] | None:
        """An event as its account's stream tells it; money changes follow a trade."""
        what = WHAT.get(event.kind)
        account, order, at = event.account, event.order, self._emulator.clock.now()
        if account.market == USDM:
            what = what or ("AMENDMENT" if event.kind == "modified" else None)
            if what is None:
                return None
            market = self._markets[USDM][order.extra["symbol"]]
            told = [rows.futures_report(order, market, self._word(what, order), event.trade, at)]
            if event.trade is not None:
                told.append(self._account_update(account, market, at))
            return told
        if what is None:
            return None
        market = self._markets[SPOT][order.extra["symbol"]]
        told = [rows.spot_report(order, market, self._word(what, order), event.trade, at)]
        if event.trade is not None:
            told.append(self._balances(account, market, at))
        return told

    def _word(self, what: str, order: Any) -> str:
        """A market order's rest does not get cancelled, it expires."""
        return "EXPIRED" if what == "CANCELED" and rows.status(order) == "EXPIRED" else what

    def _balances(self, account: EmulatedAccount, market: Market, at: float) -> dict[str, Any]:
        found = self._emulator.spot.balances(account)
        told = [{"a": x, "f": eight(found[x][0]), "l": eight(found[x][1])} for x in ("USDT", market.base)]
        return {"e": "outboundAccountPosition", "E": rows.ms(at), "u": rows.ms(at), "B": told}

    def _account_update(self, account: EmulatedAccount, market: Market, at: float) -> dict[str, Any]:
        wallet = account.cash + self._emulator.exchange.realised(account) - account.fees
        positions = [
            {
                "s": x["symbol"],
                "pa": x["positionAmt"],
                "ep": x["entryPrice"],
                "bep": x["breakEvenPrice"],
                "cr": "0",
                "up": x["unRealizedProfit"],
                "mt": "cross",
                "iw": "0",
                "ps": x["positionSide"],
            }
            for x in self._emulator.futures.position_rows(account, market)
        ]
        money = [{"a": "USDT", "wb": eight(wallet), "cw": eight(wallet), "bc": "0"}]
        return {"e": "ACCOUNT_UPDATE", "E": rows.ms(at), "T": rows.ms(at), "a": {"m": "ORDER", "B": money, "P": positions}}

    def send(self, account: EmulatedAccount, told: Sequence[dict[str, Any]]) -> None:
        for socket in self._users(account):
            for event in told:
                socket.send(self._wrapped(socket, account, event))

    def _users(self, account: EmulatedAccount) -> list[Socket]:
        return [x for x in self._emulator.open_sockets.fitting(None, "orders") if account.name in x.state.get("users", ())]

    def _wrapped(self, socket: Socket, account: EmulatedAccount, event: dict[str, Any]) -> str:
        if account.market == SPOT:
            return json.dumps({"subscriptionId": socket.state["users"][account.name], "event": event})
        return json.dumps({"stream": socket.state["key"], "data": event} if socket.state.get("wrapped") else event)

    # --- the market ------------------------------------------------------------------------------------------------

    def market(self, kind: str, *, combined: bool) -> Callable[[Call], Any]:
        async def serve(call: Call) -> web.StreamResponse:
            names = call.fields.get("streams", "") if combined else call.params.get("streams", "")

            def begin(socket: Socket) -> None:
                socket.state.update(kind=kind, combined=combined, wanted=set())
                self._want(socket, [x for x in names.split("/") if x])

            return await self._emulator.open_sockets.serve(call.request, "", frozenset({"ticks"}), self._on_order, on_open=begin)

        return serve

    def _hasty(self, socket: Socket) -> bool:
        """Whether the client talks more than it may; counted only where limits are enforced."""
        now = self._emulator.clock.monotonic()
        recent = [x for x in socket.state.get("heard", ()) if x > now - 1] + [now]
        socket.state["heard"] = recent
        return self._emulator.weights.enforced and len(recent) > MOST_MESSAGES[socket.state["kind"]]

    def _on_order(self, socket: Socket, message: str | bytes) -> None:
        if self._hasty(socket):
            close_soon(socket, POLICY)
            return
        try:
            asked = json.loads(message)
            method, names = asked["method"], [str(x) for x in asked.get("params", [])]
        except (ValueError, KeyError, TypeError):
            socket.send(json.dumps({"error": {"code": 2, "msg": "Invalid request: invalid JSON"}}))
            return
        result = None
        if method == "SUBSCRIBE":
            if len(socket.state["wanted"] | set(names)) > MOST_STREAMS:
                socket.send(json.dumps({"error": {"code": 2, "msg": "Invalid request: too many streams"}, "id": asked.get("id")}))
                return
        elif method == "UNSUBSCRIBE":
            socket.state["wanted"].difference_update(names)
        elif method == "LIST_SUBSCRIPTIONS":
            result = sorted(socket.state["wanted"])
        socket.send(json.dumps({"result": result, "id": asked.get("id")}))
        if method == "SUBSCRIBE":
            self._want(socket, names)

    def _want(self, socket: Socket, names: Sequence[str]) -> None:
        """Best prices are told at once: at the real place they never stand still for long."""
        socket.state["wanted"].update(names)
        for name in names:
            symbol, _, what = name.partition("@")
            market = self._markets[socket.state["kind"]].get(symbol.upper())
            if market is not None and what.startswith(("bookTicker", "markPrice")):
                self._tell(socket, name, market, self._emulator.exchange.quotes[market.ours])

    def push(self, changed: Sequence[Quote]) -> None:
        sockets = list(self._emulator.open_sockets.fitting(None, "ticks"))
        if not sockets:
            return
        for quote in changed:
            market = self._emulator.by_ours[quote.instrument.symbol]
            for socket in sockets:
                if socket.state["kind"] != market.kind:
                    continue
                for name in sorted(socket.state["wanted"]):
                    if name.startswith(market.symbol.lower() + "@"):
                        self._tell(socket, name, market, quote)

    def _tell(self, socket: Socket, name: str, market: Market, quote: Quote) -> None:
        data = self._said(name.partition("@")[2], market, quote)
        if data is not None:
            socket.send(json.dumps({"stream": name, "data": data} if socket.state["combined"] else data))

    def _said(self, what: str, market: Market, quote: Quote) -> dict[str, Any] | None:
        at, write = rows.ms(quote.at), eight if market.kind == SPOT else plain
        number = self._emulator.next_number("update")
        if what == "bookTicker":
            best: dict[str, Any] = {"u": number, "s": market.symbol, "b": write(quote.bid), "B": "10", "a": write(quote.ask), "A": "10"}
            return best if market.kind == SPOT else {"e": "bookTicker", **best, "T": at, "E": at}
        if what in ("trade", "aggTrade"):
            name = {"trade": "t", "aggTrade": "a"}[what]
            return {"e": what, "E": at, "s": market.symbol, name: number, "p": write(quote.last), "q": "1", "T": at, "m": False, "M": True}
        if what == "miniTicker":
            day = {"c": quote.last, "o": quote.open, "h": quote.high, "l": quote.low}
            told = {name: write(x) for name, x in day.items()}
            return {"e": "24hrMiniTicker", "E": at, "s": market.symbol, **told, "v": str(quote.volume), "q": "0"}
        if what.startswith("markPrice"):
            mark = write(quote.last)
            return {"e": "markPriceUpdate", "E": at, "s": market.symbol, "p": mark, "i": mark, "P": mark, "r": "0.0001", "T": at}
        return None
