"""The HTTP side of an emulated broker: requests as the handlers see them, answers, and a router that costs next to nothing.

Everything runs on the emulator's own event loop. A request is stamped when its bytes arrive, so that the latency of an answer counts from there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
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

    def response(self) -> web.Response:
        headers = {"Content-Type": self.content_type, **self.headers}
        response = web.Response(body=self.bytes(), status=self.status, headers=headers)
        for name, value in self.cookies.items():
            response.set_cookie(name, value)
        return response


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
        return _Stamped(self, loop=self._loop, access_log=None, keepalive_timeout=3630.0)


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
