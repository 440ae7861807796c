"""The two WebSockets of the emulated SmartAPI: market packets by subscription, and order updates without any.

Neither keeps anything for a client that is away: what happens during a disconnection is not told again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.emulators.core.exchange import Event, Quote, Status
from tests.emulators.core.http import Call, dumps
from tests.emulators.core.sockets import Socket
from tests.emulators.smartapi import answers, packets, rows
from tests.emulators.smartapi.packets import DEPTH, DEPTH_EXCHANGE, EXCHANGE_TYPES

if TYPE_CHECKING:
    from tests.emulators.smartapi.emulator import SmartApiEmulator

MOST_CONNECTIONS, MOST_SUBSCRIPTIONS, MOST_DEPTHS = 3, 1000, 50
PONG = b"\x00"  # what the order server's pong carries
Key = tuple[int, str]  # exchange type, token


class Streams:
    def __init__(self, emulator: SmartApiEmulator) -> None:
        self._emulator = emulator
        self._sequence = 0

    # --- the market ------------------------------------------------------------------------------------------------

    async def ticks(self, call: Call) -> web.StreamResponse:
        account = self._market_client(call)
        if isinstance(account, web.StreamResponse):
            return account
        if self._emulator.open_sockets.count(account, "ticks") >= MOST_CONNECTIONS:
            return _refused(429, "Connection Limit Exceeded")
        return await self._emulator.open_sockets.serve(
            call.request, account, frozenset({"ticks"}), self._on_message, on_open=lambda socket: socket.state.update(wanted={})
        )

    def _market_client(self, call: Call) -> str | web.StreamResponse:
        """The client's name, or what its handshake is refused with."""
        emulator, headers = self._emulator, call.request.headers
        code = headers.get("x-client-code") or call.fields.get("clientCode", "")
        account = emulator.exchange.accounts.get(code)
        token = headers.get("Authorization", "").removeprefix("Bearer ").strip()
        by_browser = not token and "feedToken" in call.fields
        found = emulator.sign_ins.valid(token)
        if not by_browser and (found is None or (account is not None and found.account != code)):
            return _refused(401, "Invalid Header - Invalid Auth token")
        if account is None:
            return _refused(401, "Invalid Header - Invalid Client Code")
        if account.revoked or (headers.get("x-api-key") or call.fields.get("apiKey")) != account.credentials["api_key"]:
            return _refused(401, "Invalid Header - Invalid API Key")
        if (headers.get("x-feed-token") or call.fields.get("feedToken")) not in emulator.sign_ins.feeds(code):
            return _refused(401, "Invalid Header - Invalid Feed Token")
        return code

    def _on_message(self, socket: Socket, message: str | bytes) -> None:
        if message in ("ping", b"ping"):
            socket.send("pong")
            return
        try:
            asked = json.loads(message)
            action, mode = int(asked["action"]), int(asked["params"]["mode"])
            keys = [(int(x["exchangeType"]), str(token)) for x in asked["params"]["tokenList"] for token in x["tokens"]]
        except (ValueError, KeyError, TypeError):
            _error(socket, None, "E1001", "Invalid Request Payload.")
            return
        correlation = asked.get("correlationID")
        if action not in (0, 1) or mode not in (1, 2, 3, 4) or (mode == DEPTH and any(x[0] != DEPTH_EXCHANGE for x in keys)):
            _error(socket, correlation, "E1001", "Invalid Request Payload.")
        elif action == 0:
            self._unsubscribe(socket, mode, keys)
        else:
            self._subscribe(socket, mode, keys, correlation)

    def _subscribe(self, socket: Socket, mode: int, keys: Sequence[Key], correlation: str | None) -> None:
        wanted: dict[Key, set[int]] = socket.state["wanted"]
        fresh = [key for key in dict.fromkeys(keys) if mode not in wanted.get(key, ())]
        others = sum(len(modes) for modes in wanted.values())
        depths = sum(DEPTH in modes for modes in wanted.values())
        if others + len(fresh) > MOST_SUBSCRIPTIONS or (mode == DEPTH and depths + len(fresh) > MOST_DEPTHS):
            _error(socket, correlation, "E1002", "Subscription limit exceeded.")
            return
        for key in fresh:
            wanted.setdefault(key, set()).add(mode)
            quote = self._quote_of(key)
            if quote is not None:
                socket.send(packets.packet(self._told(quote), mode))

    def _unsubscribe(self, socket: Socket, mode: int, keys: Sequence[Key]) -> None:
        wanted: dict[Key, set[int]] = socket.state["wanted"]
        for key in keys:
            modes = wanted.get(key)
            if modes is not None:
                modes.discard(mode)
                if not modes:
                    del wanted[key]

    def _quote_of(self, key: Key) -> Quote | None:
        exchange = next((name for name, number in EXCHANGE_TYPES.items() if number == key[0]), "")
        scrip = self._emulator.scrips.by_token(exchange, key[1])
        return None if scrip is None else self._emulator.exchange.quotes[scrip.instrument.symbol]

    def push(self, changed: Sequence[Quote]) -> None:
        """Each socket's packets of what moved, one frame for each token and mode."""
        sockets = list(self._emulator.open_sockets.fitting(None, "ticks"))
        if not sockets:
            return
        for quote in changed:
            self._sequence += 1
            key = self._key(quote)
            made: dict[int, bytes] = {}
            for socket in sockets:
                for mode in sorted(socket.state["wanted"].get(key, ())):
                    if mode not in made:
                        made[mode] = packets.packet(self._told(quote), mode)
                    socket.send(made[mode])

    def _key(self, quote: Quote) -> Key:
        scrip = self._emulator.scrips.of(quote.instrument.symbol)
        return EXCHANGE_TYPES[scrip.exchange], scrip.token

    def _told(self, quote: Quote) -> packets.Quote:
        kind, token = self._key(quote)
        paise, size, close = answers.paise, answers.paise(quote.instrument.tick_size) or 1, answers.paise(quote.close)
        bid, ask, last = paise(quote.bid), paise(quote.ask), paise(quote.last)
        return packets.Quote(
            token,
            kind,
            self._sequence,
            int(quote.at * 1000),
            last,
            average=last,
            volume=quote.volume,
            buy_quantity=5000.0,
            sell_quantity=5000.0,
            open=paise(quote.open),
            high=paise(quote.high),
            low=paise(quote.low),
            close=close,
            traded_at=int(quote.at),
            buys=[packets.Level(500 + n, bid - n * size, 2 + n) for n in range(20)],
            sells=[packets.Level(500 + n, ask + n * size, 2 + n) for n in range(20)],
            upper_circuit=close * 6 // 5,
            lower_circuit=close * 4 // 5,
            year_high=close * 7 // 5,
            year_low=close * 3 // 5,
        )

    # --- order updates ---------------------------------------------------------------------------------------------

    async def orders(self, call: Call) -> web.StreamResponse:
        emulator = self._emulator
        token = call.header("Authorization").removeprefix("Bearer ").strip()
        if emulator.sign_ins.expired(token):
            return _refused(403, "Token expired")
        found = emulator.sign_ins.valid(token)
        if found is None or emulator.exchange.accounts[found.account].revoked:
            return _refused(401, "Invalid token")
        if emulator.open_sockets.count(found.account, "orders") >= MOST_CONNECTIONS:
            return _refused(429, "Too many connections")

        def greet(socket: Socket) -> None:
            socket.state["pong"] = PONG
            socket.send(dumps(answers.update(found.account, None)).decode())

        return await emulator.open_sockets.serve(call.request, found.account, frozenset({"orders"}), lambda *_: None, on_open=greet)

    def messages(self, event: Event) -> list[str] | None:
        """What an event is told as: sometimes two states, sometimes nothing."""
        order, client = event.order, event.account.name
        if event.kind == "placed":
            return None
        scrip = self._emulator.scrips.of(order.instrument.symbol)
        told: list[dict[str, Any]] = []
        if event.kind == "opened":
            told.append(rows.order(order, scrip, next(x for x in order.history if x.status is Status.SENDING)))
        elif event.kind == "modified":
            told.append(rows.order(order, scrip, next(x for x in reversed(order.history) if x.status is Status.MODIFIED)))
        told.append(rows.order(order, scrip))
        return [dumps(answers.update(client, x)).decode() for x in told]


def _error(socket: Socket, correlation: str | None, code: str, message: str) -> None:
    socket.send(json.dumps({"correlationID": correlation or "", "errorCode": code, "errorMessage": message}))


def _refused(status: int, why: str) -> web.Response:
    return web.Response(status=status, headers={"x-error-message": why})
