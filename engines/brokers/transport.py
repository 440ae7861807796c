"""One warm keep-alive HTTP/1.1 connection for one account: thin, because the order path pays for every line of it.

It knows exactly when the first byte left: a failure before that is `Retry` (nothing can have been booked), a failure after it is `Unknown`.
It never resends anything, follows no redirect and keeps no cookies.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from engines.crashpoints import crash
from engines.ports import Permit, Retry, Unknown

_MAX_HEAD = 64 * 1024
_MAX_BODY = 64 * 1024 * 1024
_SURELY_OPEN = 1.0
"""Seconds after an answer during which nobody closes a keep-alive connection, so that looking costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  # lower-cased names
    body: bytes


class Unreached(Retry):
    """There is no connection: not a byte has left."""


class Connection:
    """Used by one thread at a time (the lane); only `abort` may be called from another."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: bool | ssl.SSLContext = False,
        connect_timeout: float = 3.0,
        read_timeout: float = 7.0,
        source_address: str | None = None,
        whose: str = "the broker",
    ) -> None:
        """`tls` True: certificates and names are checked against the system's authorities. `source_address`: the local address to leave from.
        `whose`: what people call the other side."""
        self._whose = whose
        self._address = (host, port)
        self._host = _in_url(host) if port in (80, 443) else f"{_in_url(host)}:{port}"
        self._context = tls if isinstance(tls, ssl.SSLContext) else _checking() if tls else None
        self._source = source_address
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._socket: socket.socket | None = None
        self._cuts = 0  # how often somebody has called `abort`
        self._made_at = 0  # the cuts there had been when the connection was made
        self._buffer = b""
        self._used_at = 0.0
        self._said: dict[str, str] = {}
        self._head = self._lines_of({})

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        permit: Permit | None = None,
    ) -> Response:
        """Send one request and read its answer. Raises Retry (not sent), Unknown (sent, answer lost) or what `permit` raises."""
        message = self._serialise(method, path, headers or {}, body)
        cuts = self._cuts
        connection = self._ready(cuts)
        self._uncut(cuts)
        try:
            if permit is None:
                connection.sendall(message)
            else:
                with permit():
                    self._uncut(cuts)
                    connection.sendall(message)
        except OSError as error:
            self.close()
            raise Unknown(f"the connection to {self._whose} broke while sending: {_in_words(error)}") from error
        crash("after-send-before-answer")
        try:
            response, reusable = self._read(connection, method)
        except (OSError, ValueError) as error:
            self.close()
            raise Unknown(f"no complete answer from {self._whose}: {_in_words(error)}") from error
        self._used_at = time.monotonic()
        if not reusable:
            self.close()
        return response

    def _uncut(self, cuts: int) -> None:
        """A cut that came while the connection was made, while the permit was waited for or between two requests holds for the request that is next
        to leave: a stop that cuts a change of several steps ends it. The one after that finds a new connection."""
        if self._cuts != cuts:
            self.close()
            raise Unreached(f"the connection to {self._whose} was cut before anything left")

    def abort(self) -> None:
        self._cuts += 1
        _shut(self._socket)

    def close(self) -> None:
        connection, self._socket, self._buffer = self._socket, None, b""
        if connection is not None:
            _shut(connection)  # closing alone would leave whoever reads from it waiting for the time-out
            with contextlib.suppress(OSError):
                connection.close()

    def _serialise(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        if headers != self._said:  # nearly always the same as the last time
            self._head, self._said = self._lines_of(headers), dict(headers)
        if "\r" in path or "\n" in path:
            raise ValueError("line break in a request header")
        length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT", "PATCH") else ""
        return f"{method} {path} HTTP/1.1\r\n{self._head}{length}\r\n".encode("latin-1") + body

    def _lines_of(self, headers: Mapping[str, str]) -> str:
        lines = [f"Host: {self._host}", *(f"{name}: {value}" for name, value in headers.items()), ""]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("line break in a request header")
        return "\r\n".join(lines)

    def _ready(self, cuts: int) -> socket.socket:
        """The open connection, or a new one where the old was closed by the other side: found out before a byte of the order leaves."""
        connection = self._socket
        if connection is not None:
            self._uncut(self._made_at)
            if time.monotonic() - self._used_at < _SURELY_OPEN or not _readable(connection):
                return connection
        self.close()
        self._made_at = cuts
        try:
            connection = self._connect()
        except OSError as error:
            raise Unreached(f"{self._whose} cannot be reached: {_in_words(error)}") from error
        self._socket = connection
        return connection

    def _connect(self) -> socket.socket:
        connection = connect_from(self._source, self._address, self._connect_timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_hostname=self._address[0])
                connection.settimeout(self._read_timeout)  # TLS takes the kernel's time-out for "try again" and would wait for ever
            else:
                connection.settimeout(None)
                _limit_waits(connection, self._read_timeout)
        except OSError:
            connection.close()
            raise
        return connection

    def _read(self, connection: socket.socket, method: str) -> tuple[Response, bool]:
        head = self._read_until(connection, b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status_text, *_ = status_line.split(" ", 2)
        status = int(status_text)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        if 100 <= status < 200:
            return self._read(connection, method)
        reusable = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1"
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._read_chunks(connection)
        elif "content-length" in headers:
            body = self._read_exactly(connection, int(headers["content-length"]))
        else:
            body, reusable = self._read_to_end(connection), False
        return Response(status, headers, body), reusable

    def _read_until(self, connection: socket.socket, mark: bytes) -> bytes:
        while (found := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise ValueError("answer head too long")
            self._fill(connection)
        part, self._buffer = self._buffer[:found], self._buffer[found + len(mark) :]
        return part

    def _read_exactly(self, connection: socket.socket, length: int) -> bytes:
        if not 0 <= length <= _MAX_BODY:
            raise ValueError("answer length out of range")
        while len(self._buffer) < length:
            self._fill(connection)
        part, self._buffer = self._buffer[:length], self._buffer[length:]
        return part

    def _read_chunks(self, connection: socket.socket) -> bytes:
        parts = []
        while size := int(self._read_until(connection, b"\r\n").split(b";")[0], 16):
            parts.append(self._read_exactly(connection, size))
            self._read_exactly(connection, 2)
        while self._read_until(connection, b"\r\n"):
            pass  # trailers
        return b"".join(parts)

    def _read_to_end(self, connection: socket.socket) -> bytes:
        while len(self._buffer) <= _MAX_BODY:
            data = connection.recv(65536)
            if not data:
                break
            self._buffer += data
        part, self._buffer = self._buffer, b""
        return part

    def _fill(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if not data:
            raise ConnectionError("closed by the other side")
        self._buffer += data


def connect_from(source: str | None, address: tuple[str, int], timeout: float) -> socket.socket:
    """A TCP connection, by IPv4 where there is one: brokers know their customers by a registered address, and a machine with both would leave by
    the other. `source`: the local address to leave from, of either kind."""
    family = socket.AF_UNSPEC if source is None else socket.AF_INET6 if ":" in source else socket.AF_INET
    found = socket.getaddrinfo(*address, family, socket.SOCK_STREAM)
    last: OSError = ConnectionError("no address")
    for kind, type_, protocol, _, target in sorted(found, key=lambda entry: entry[0] != socket.AF_INET):
        connection = socket.socket(kind, type_, protocol)
        try:
            connection.settimeout(timeout)
            if source is not None:
                connection.bind((source, 0))
            connection.connect(target)
        except OSError as error:
            connection.close()
            last = error
        else:
            return connection
    raise last


@functools.cache
def _checking() -> ssl.SSLContext:
    """One for the process: reading the authorities costs milliseconds and a megabyte each time."""
    return ssl.create_default_context()


def _in_words(error: OSError | ValueError) -> str:
    """Why there is no connection or no answer, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return "no secure connection comes about"
    if isinstance(error, socket.gaierror):
        return "its name is not found (is this machine on the internet?)"
    if isinstance(error, TimeoutError | BlockingIOError):  # the kernel's time-out comes as "would block"
        return "it did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectionError):
        return "the connection was closed"
    if not isinstance(error, OSError):
        return "what came is no answer that can be read"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have the address that the call should leave from"
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def _shut(connection: socket.socket | None) -> None:
    """End reads and writes of any thread: not TLS's own way, after which a racing write would leave in the clear."""
    if connection is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _limit_waits(connection: socket.socket, seconds: float) -> None:
    """Let the kernel end a wait. Python's own time-out asks before every call whether it may go through, and each asking gives the interpreter away
    to forty other lanes that are about to send."""
    if sys.platform == "win32":
        limit: int | bytes = int(seconds * 1000)
    else:
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _readable(connection: socket.socket) -> bool:
    """An idle connection with something to read is a closed one (or one out of step): either way not to be used again."""
    poller = select.poll() if hasattr(select, "poll") else None
    if poller is None:
        return bool(select.select([connection], [], [], 0)[0])
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(0))
