"""Fetches one list over HTTP, whole or not at all: with a limit on its size and on the time, no redirects, and no word of what was sent in an error."""

from __future__ import annotations

import http.client
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_CHUNK = 1 << 18


class Failed(Exception):
    """Why there is no list, in words for a person; holds neither the address's query nor any header."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes."""

    connect: float = 10.0
    read: float = 20.0
    whole: float = 150.0
    on_the_wire: int = 200 << 20
    unpacked: int = 600 << 20


def fetch(url: str, headers: Mapping[str, str], limits: Limits) -> bytes:
    """The body, unpacked. Raises Failed."""
    try:
        return _fetch(url, headers, limits)
    except TimeoutError:
        raise Failed(f"{_host(url)} did not answer in time") from None
    except ssl.SSLError as error:
        raise Failed(f"{_host(url)}: no secure connection ({error.reason})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # its text may quote what was sent
        raise Failed(f"{_host(url)} cannot be reached, or broke off ({type(error).__name__})") from None


def _fetch(url: str, headers: Mapping[str, str], limits: Limits) -> bytes:
    parts = urlsplit(url)
    deadline = time.monotonic() + limits.whole
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.netloc, timeout=limits.connect, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=limits.connect)
    try:
        connection.connect()
        connection.sock.settimeout(limits.read)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept-Encoding": "gzip", "User-Agent": "tandem", **headers})
        answer = connection.getresponse()
        if answer.status != 200:
            raise Failed(f"{_host(url)} answered {answer.status}")
        body = _read(answer, deadline, limits, url)
    finally:
        connection.close()
    return _unpacked(body, limits, url) if body[:2] == b"\x1f\x8b" else body


def _read(answer: http.client.HTTPResponse, deadline: float, limits: Limits, url: str) -> bytes:
    promised = answer.length  # before anything is read: the Content-Length
    body = bytearray()
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > limits.on_the_wire:
            raise Failed(f"{_host(url)} sends more than {limits.on_the_wire >> 20} MB")
        if time.monotonic() > deadline:
            raise TimeoutError
    if promised is not None and len(body) < promised:
        raise Failed(f"{_host(url)} broke off after {len(body)} of {promised} bytes")
    return bytes(body)


def _unpacked(body: bytes, limits: Limits, url: str) -> bytes:
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = packed.decompress(body, limits.unpacked)
    except zlib.error:
        raise Failed(f"{_host(url)} sent what cannot be unpacked") from None
    if packed.unconsumed_tail:
        raise Failed(f"{_host(url)} sends more than {limits.unpacked >> 20} MB")
    if not packed.eof:
        raise Failed(f"{_host(url)} broke off before the end")
    return plain


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the address"
