"""Answers of Kite's, served as they are to the real SDK over the real wire."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engines.brokers.tools import KiteEndpoints, Timing
from engines.brokers.zerodha.client import KiteClient
from tests.brokers.peers import Peer, peer

MOCKS = Path(__file__).parents[3].parent / "shared" / "brokers" / "kite-mocks"
TOKEN, SECRET = "canary-token-51c9", "canary-secret-88d1"


def mock(name: str) -> Any:
    return json.loads((MOCKS / name).read_text())


@dataclass
class Page:
    body: bytes
    status: int = 200
    kind: str = "application/json"

    @classmethod
    def of(cls, data: Any, status: int = 200) -> Page:
        return cls(json.dumps(data).encode(), status)

    @classmethod
    def error(cls, status: int, kind: str, message: str) -> Page:
        return cls.of({"status": "error", "message": message, "error_type": kind, "data": None}, status)


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    fields: dict[str, str]


@dataclass
class Served:
    """What was asked of the server, and a client for it."""

    root: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def endpoints(self) -> KiteEndpoints:
        return KiteEndpoints(self.root, self.root, self.root.replace("http", "ws"))

    def client(self, token: str | None = TOKEN) -> KiteClient:
        return KiteClient("key1", token, self.root, timing=Timing(), secrets=(SECRET,))


@contextmanager
def serving(pages: Mapping[str, Page]) -> Iterator[Served]:
    """`pages` by "METHOD /path"; whatever else is asked for is 404."""
    told: list[Served] = []

    def behave(server: Peer, sock: socket.socket, _number: int) -> None:
        while True:
            head, _, body = server.read(sock).decode().partition("\r\n\r\n")
            line, *fields = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            while len(body) < int(headers.get("content-length", 0)):
                body += sock.recv(65536).decode()
            method, target, _ = line.split(" ")
            parts = urlsplit(target)
            told[0].asked.append(Asked(method, parts.path, dict(parse_qsl(parts.query)), headers, dict(parse_qsl(body))))
            page = pages.get(f"{method} {parts.path}") or Page.error(404, "GeneralException", "Route not found")
            answer = f"HTTP/1.1 {page.status} X\r\nContent-Type: {page.kind}\r\nContent-Length: {len(page.body)}\r\n\r\n"
            sock.sendall(answer.encode() + page.body)

    with peer(behave) as server:
        told.append(Served(f"http://127.0.0.1:{server.port}"))
        yield told[0]
