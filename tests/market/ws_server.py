"""A WebSocket server on loopback that tests steer by hand: it refuses, speaks, falls silent, freezes and hangs up when told."""

from __future__ import annotations

import asyncio
import queue
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, Self

from aiohttp import WSMsgType, web

PATIENCE = 30.0
"""Seconds. Nothing here takes one; a machine with other work may stand still for several."""


def until(condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Wait for it; the loop is short because the suite's seconds are counted."""
    pause = threading.Event()
    for _ in range(int(patience / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it did not come true in time")


class Peer:
    """One accepted connection, seen from the server."""

    def __init__(self, server: WsServer, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.path = request.path_qs
        self.headers = dict(request.headers)
        self.remote = request.remote
        self.heard: queue.Queue[str | bytes] = queue.Queue()
        self.everything: list[str | bytes] = []
        self.gone = threading.Event()
        self._server, self._socket = server, socket
        self._transport: Any = request.transport

    def send(self, message: str | bytes) -> None:
        sending = self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message)
        self._server.call(sending)

    def raw(self, data: bytes) -> None:
        async def write() -> None:
            self._transport.write(data)

        self._server.call(write())

    def pause(self, on: bool) -> None:
        if not self._transport.is_closing():
            (self._transport.pause_reading if on else self._transport.resume_reading)()

    def next(self) -> str | bytes:
        return self.heard.get(timeout=PATIENCE)

    def close(self) -> None:
        self._server.call(self._socket.close())


class WsServer:
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.peers: list[Peer] = []
        self.refuse: tuple[int, Mapping[str, str]] | None = None
        self.refuse_where = ""  # only requests whose address holds this
        self.asked: list[str] = []
        self._arrived: queue.Queue[Peer] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.freeze(False)
        self.call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{self.port}"

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def peer(self) -> Peer:
        """The next connection that is made."""
        return self._arrived.get(timeout=PATIENCE)

    def freeze(self, on: bool = True) -> None:
        """From now on nothing is read or answered, and nothing is closed: like a stopped process."""

        async def apply() -> None:
            (self._thawed.clear if on else self._thawed.set)()
            for peer in self.peers:
                peer.pause(on)

        self.call(apply())

    def open(self) -> int:
        return sum(not peer.gone.is_set() for peer in self.peers)

    async def _open(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        await self._thawed.wait()
        if self.refuse is not None and self.refuse_where in request.path_qs:
            status, headers = self.refuse
            return web.Response(status=status, headers=headers, text="no")
        socket = web.WebSocketResponse(autoping=True, compress=False, timeout=0.2, max_msg_size=0)
        await socket.prepare(request)
        peer = Peer(self, request, socket)
        self.peers.append(peer)
        self._arrived.put(peer)
        try:
            while True:
                message = await socket.receive()
                if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                    return socket
                peer.everything.append(message.data)
                peer.heard.put(message.data)
        finally:
            peer.gone.set()
