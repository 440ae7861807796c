"""A small keep-alive HTTP client on the standard library, so that what the tests say of the server does not depend on a library's manners."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Self

from tests.support import canaries


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `json` parses the body anew each time it is asked."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """One connection to one server, with an API token when it has one. Not for use by two threads at once."""

    def __init__(self, port: int, token: str | None = None, *, host: str = "127.0.0.1", timeout: float = 120.0) -> None:
        self.host, self.port, self.token, self.timeout = host, port, token, timeout
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("POST", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PATCH", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PUT", path, body, headers)

    def delete(self, path: str, **headers: str) -> Answer:
        return self.request("DELETE", path, headers=headers)

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """`body`: bytes and str go as they are, anything else as JSON. Header names may be written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data: bytes | str | None = body if isinstance(body, bytes | str) or body is None else json.dumps(body, default=str)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        reused = self._connection is not None
        try:
            return self._send(method, path, data, sent)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if not reused or method != "GET":  # only a read may be asked twice
                raise
            return self._send(method, path, data, sent)

    def _send(self, method: str, path: str, data: bytes | str | None, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        if self.token:  # our own server; an emulated broker may well tell its secrets
            canaries.saw(answer.body)
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
