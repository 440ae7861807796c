"""The HTTP side of an emulated broker: requests as the handlers see them, answers, and a router that costs next to nothing.

Everything runs on the emulator's own event loop. A request is stamped when its bytes arrive, so that the latency of an answer counts from there.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

JSON = "application/json"


@dataclass(slots=True)
class Answer:
    """What goes back. `body` may be anything JSON can say; bytes and str go as they are."""

    body: Any
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else dumps(self.body)

    def response(self, request: web.BaseRequest | None = None) -> Ready:
        return Ready(self, request is None or bool(request.keep_alive))


class Ready(web.StreamResponse):
    """An answer whose bytes are made beforehand, so that a moment at which fifty are due costs fifty writes and nothing else.

    Without bytes nothing is written and the connection ends: for handlers that have broken it."""

    def __init__(self, answer: Answer | None, keep_alive: bool = True) -> None:
        super().__init__(status=200 if answer is None else answer.status)
        self._bytes = b"" if answer is None else _message(answer, keep_alive)
        self._keep = answer is not None and keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        if self._bytes:
            transport.write(self._bytes)

    async def write_eof(self, data: bytes = b"") -> None:
        """All of it was written already."""


def _message(answer: Answer, keep_alive: bool) -> bytes:
    body = answer.bytes()
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(body)}",
        f"Date: {_date(int(time.time()))}",
        "Server: emulator",
    ]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"Set-Cookie: {name}={value}; Path=/; HttpOnly" for name, value in answer.cookies.items()]
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + body


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class Pacer:
    """Wakes tasks at exact moments of the loop's time. The selector counts in milliseconds and rounds up, so the last one is looped away."""

    EARLY = 0.0015

    def __init__(self) -> None:
        self._due: list[tuple[float, int, asyncio.Future[None]]] = []
        self._asked = 0
        self._timer: asyncio.Handle | None = None
        self._timer_for = math.inf

    def until(self, moment: float) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        self._asked += 1
        heapq.heappush(self._due, (moment, self._asked, woken))
        self._set(loop)
        return woken

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._due or self._due[0][0] >= self._timer_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_for = self._due[0][0]
        early = self._timer_for - self.EARLY
        self._timer = loop.call_at(early, self._pump) if early > loop.time() else loop.call_soon(self._pump)

    def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timer, self._timer_for = None, math.inf
        while self._due and self._due[0][0] <= now:
            woken = heapq.heappop(self._due)[2]
            if not woken.done():
                woken.set_result(None)
        self._set(loop)


class Failed(Exception):
    """A handler's way to answer with an error at once."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class Call:
    """One request, read completely. `fields` are query and form together (of a repeated field the last), `pairs` all of them."""

    request: web.BaseRequest
    name: str  # "place", "cancel", "orders", ...
    method: str
    path: str
    query: str
    body: bytes
    params: dict[str, str]
    pairs: list[tuple[str, str]]
    arrived: float  # the loop's time
    account: Any = None
    fault: Any = None
    pushes: list[Any] | None = None
    _fields: dict[str, str] | None = None

    @property
    def fields(self) -> dict[str, str]:
        if self._fields is None:
            self._fields = dict(self.pairs)
        return self._fields

    @property
    def json(self) -> Any:
        """The body as JSON, numbers as Decimal; None when it is not JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal) if self.body else None
        except ValueError:
            return None

    def header(self, name: str) -> str:
        return self.request.headers.get(name, "")

    @property
    def peer(self) -> str:
        """The address that the client's connection comes from."""
        transport = self.request.transport
        name = transport.get_extra_info("peername") if transport else None
        return str(name[0]) if name else ""


Handler = Callable[[Call], Any]
"""Gives an Answer, or (a coroutine function) a prepared web.StreamResponse, or None when it has dealt with the connection itself."""


@dataclass(frozen=True, slots=True)
class Route:
    name: str
    handler: Handler
    parts: tuple[str, ...] = ()
    quick: bool = False  # answered at once: no latency, no faults


class Router:
    """(method, path) → route. Paths with {holes} are looked at by their length; a trailing slash does not matter."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._holes: dict[tuple[str, int], list[Route]] = {}

    def add(self, method: str, path: str, name: str, handler: Handler, *, quick: bool = False) -> None:
        path = path.rstrip("/") or "/"
        if "{" not in path:
            self._exact[method, path] = Route(name, handler, quick=quick)
            return
        parts = tuple(path.split("/"))
        self._holes.setdefault((method, len(parts)), []).append(Route(name, handler, parts, quick))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        path = path.rstrip("/") or "/"
        route = self._exact.get((method, path))
        if route is not None:
            return route, {}
        given = path.split("/")
        for route in self._holes.get((method, len(given)), ()):
            if all(part == value or part[:1] == "{" for part, value in zip(route.parts, given, strict=True)):
                return route, {part[1:-1]: unquote(value) for part, value in zip(route.parts, given, strict=True) if part[:1] == "{"}
        return None

    def knows(self, path: str) -> bool:
        return any(self.find(method, path) for method in ("GET", "POST", "PUT", "DELETE"))


async def read_call(request: web.BaseRequest) -> tuple[str, str, bytes, list[tuple[str, str]]]:
    """(path, query, body, pairs of query and form)."""
    path, _, query = request.raw_path.partition("?")
    path = unquote(path) if "%" in path else path
    body = await request.read() if request.can_read_body else b""
    pairs = parse_qsl(query, keep_blank_values=True) if query else []
    if body and b"json" not in request.headers.get("Content-Type", "").encode():
        try:
            pairs += parse_qsl(body.decode(), keep_blank_values=True)
        except UnicodeDecodeError:
            pass
    return path, query, body, pairs


class _Stamped(RequestHandler):
    """aiohttp's connection handler, which notes when bytes came."""

    __slots__ = ("arrived",)

    def data_received(self, data: bytes) -> None:
        self.arrived = asyncio.get_running_loop().time()
        super().data_received(data)


class StampedServer(web.Server):
    def __call__(self) -> RequestHandler:
        return _Stamped(self, loop=self._loop, access_log=None, keepalive_timeout=3630.0)  # type: ignore[arg-type]  # None: no access log


def arrived_at(request: web.BaseRequest) -> float:
    return getattr(request.protocol, "arrived", 0.0)


def plain(value: object) -> object:
    """How our own values become JSON in control answers and broker bodies."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode = json.JSONEncoder(separators=(",", ":"), default=plain).encode


def dumps(value: Any) -> bytes:
    return _encode(value).encode()
