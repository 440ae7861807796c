"""The WebSockets of an emulated broker: who is connected, and how they go silent or break when a test asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web


@dataclass(eq=False, slots=True)
class Socket:
    """One open connection. A frozen one stays open and says nothing more, not even a pong."""

    ws: web.WebSocketResponse
    account: str
    kinds: frozenset[str]  # of "ticks", "orders": what it is open for
    transport: asyncio.Transport
    frozen: bool = False
    state: dict[str, Any] = field(default_factory=dict)

    def send(self, data: str | bytes) -> None:
        """Writes at once, without waiting; a client that has gone does not matter."""
        if self.frozen or self.ws.closed:
            return
        writer = self.ws._writer
        if writer is None or self.transport.is_closing():
            return
        opcode = WSMsgType.TEXT if isinstance(data, str) else WSMsgType.BINARY
        coro = writer.send_frame(data.encode() if isinstance(data, str) else data, opcode)
        try:
            coro.send(None)  # frames that are not compressed are written without waiting
        except StopIteration:
            return
        except ConnectionError:
            return
        asyncio.get_running_loop().create_task(_finish(coro))

    def cut(self) -> None:
        self.transport.abort()


async def _finish(coro: Any) -> None:
    try:
        await coro
    except ConnectionError:
        pass


class Sockets:
    def __init__(self) -> None:
        self._open: list[Socket] = []

    def fitting(self, account: str | None = None, kind: str | None = None) -> Iterator[Socket]:
        return (x for x in list(self._open) if (account is None or x.account == account) and (kind is None or kind in x.kinds))

    def count(self, account: str | None = None, kind: str | None = None) -> int:
        return sum(1 for _ in self.fitting(account, kind))

    async def serve(
        self,
        request: web.BaseRequest,
        account: str,
        kinds: frozenset[str],
        on_message: Callable[[Socket, str | bytes], None],
        *,
        on_open: Callable[[Socket], None] | None = None,
        on_close: Callable[[Socket], None] | None = None,
        beat: tuple[float, str | bytes] | None = None,
    ) -> web.StreamResponse:
        """Upgrades and reads until the client goes. `beat`: (every so many seconds, what is sent)."""
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=0)
        await ws.prepare(request)
        assert request.transport is not None
        socket = Socket(ws, account, kinds, request.transport)
        self._open.append(socket)
        heart = asyncio.get_running_loop().create_task(_beat(socket, *beat)) if beat else None
        try:
            if on_open:
                on_open(socket)
            await self._read(socket, on_message)
        finally:
            if heart:
                heart.cancel()
            self._open.remove(socket)
            if on_close:
                on_close(socket)
        return ws

    async def _read(self, socket: Socket, on_message: Callable[[Socket, str | bytes], None]) -> None:
        async for message in socket.ws:
            if socket.frozen:
                continue
            if message.type is WSMsgType.PING:
                await socket.ws.pong(socket.state.get("pong", message.data))  # some brokers answer with bytes of their own
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                on_message(socket, message.data)


async def _beat(socket: Socket, every: float, data: str | bytes) -> None:
    while True:
        await asyncio.sleep(every)
        socket.send(data)


def close_soon(socket: Socket, code: int = 1000) -> Awaitable[object]:
    """Closes it in the proper way, with a close frame."""
    return asyncio.get_running_loop().create_task(socket.ws.close(code=code))
