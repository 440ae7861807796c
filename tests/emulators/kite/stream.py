"""Kite's WebSocket: who may connect, what each connection subscribed to, ticks in its mode, heartbeats, and order updates as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.emulators.core.exchange import EmulatedAccount, Quote
from tests.emulators.core.http import Call, Failed, dumps
from tests.emulators.core.sockets import Socket
from tests.emulators.kite.packets import HEARTBEAT, MODES, frame, packet
from tests.emulators.kite.words import BAD_SESSION, error, refuse, token_of

if TYPE_CHECKING:
    from tests.emulators.kite.emulator import KiteEmulator

CONNECTIONS = 3
TOKENS = 3000


class StreamDesk:
    def __init__(self, emulator: KiteEmulator, heartbeat: float) -> None:
        self.emulator = emulator
        self.heartbeat = heartbeat

    def routes(self) -> None:
        self.emulator.route("GET", "/", "stream", self.connect, quick=True)

    async def connect(self, call: Call) -> web.StreamResponse:
        emulator = self.emulator
        account = emulator.by_key.get(call.fields.get("api_key", ""))
        call.account = account
        if call.header("Upgrade").lower() != "websocket":
            raise refuse("InputException", "a WebSocket is expected here", 400)
        if account is None or not emulator.session_holds(account, call.fields.get("access_token", "")):
            raise Failed(error("TokenException", BAD_SESSION))
        if emulator.open_sockets.count(account.name) >= CONNECTIONS:
            raise Failed(error("NetworkException", "Too many connections", 429))
        return await emulator.open_sockets.serve(
            call.request, account.name, frozenset({"orders"}), self.message, on_open=self._greet, beat=(self.heartbeat, HEARTBEAT)
        )

    def _greet(self, socket: Socket) -> None:
        socket.state["modes"] = {}
        socket.send(dumps({"type": "instruments_meta", "data": {"count": len(self.emulator.exchange.quotes), "etag": '"1"'}}).decode())

    def message(self, socket: Socket, text: str | bytes) -> None:
        try:
            asked = json.loads(text)
            action, value = asked["a"], asked["v"]
            if action == "subscribe":
                self._subscribe(socket, [int(x) for x in value])
            elif action == "unsubscribe":
                for token in value:
                    socket.state["modes"].pop(int(token), None)
            elif action == "mode":
                self._mode(socket, value[0], [int(x) for x in value[1]])
        except (ValueError, KeyError, TypeError, IndexError):
            _complain(socket, "Invalid message.")

    def _subscribe(self, socket: Socket, tokens: Sequence[int]) -> None:
        modes = socket.state["modes"]
        if len(set(modes) | set(tokens)) > TOKENS:
            _complain(socket, f"Maximum of {TOKENS} instruments per connection exceeded.")
            return
        for token in tokens:
            modes[token] = "quote"
        socket.kinds = frozenset({"ticks"})
        self._snapshot(socket, tokens)

    def _mode(self, socket: Socket, mode: str, tokens: Sequence[int]) -> None:
        if mode not in MODES:
            _complain(socket, "Invalid mode.")
            return
        known = [x for x in tokens if x in socket.state["modes"]]
        for token in known:
            socket.state["modes"][token] = mode
        self._snapshot(socket, known)

    def _snapshot(self, socket: Socket, tokens: Sequence[int]) -> None:
        emulator, modes = self.emulator, socket.state["modes"]
        known = [(token, emulator.symbols[token]) for token in tokens if token in emulator.symbols]
        if known:
            socket.send(frame([packet(emulator.exchange.quotes[symbol], modes[token]) for token, symbol in known]))

    def tell_ticks(self, changed: Sequence[Quote]) -> None:
        made: dict[tuple[int, str], bytes] = {}
        for socket in self.emulator.open_sockets.fitting(None, "ticks"):
            modes, packets = socket.state["modes"], []
            for quote in changed:
                token = token_of(quote.listed)
                mode = modes.get(token)
                if mode is None:
                    continue
                key = (token, mode)
                if key not in made:
                    made[key] = packet(quote, mode)
                packets.append(made[key])
            if packets:
                socket.send(frame(packets))

    def tell_order(self, account: EmulatedAccount, row: dict[str, Any]) -> None:
        text = dumps({"type": "order", "data": row}).decode()
        for socket in self.emulator.open_sockets.fitting(account.name):
            socket.send(text)

    def tell_error(self, account: EmulatedAccount, text: str) -> None:
        for socket in self.emulator.open_sockets.fitting(account.name):
            _complain(socket, text)


def _complain(socket: Socket, text: str) -> None:
    socket.send(dumps({"type": "error", "data": text}).decode())
