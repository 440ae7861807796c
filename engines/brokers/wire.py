"""The transport under the brokers' SDKs: each speaks to what it takes for `requests`, and the bytes go over our own warm connections.

A wire belongs to one account and to one thread; it reaches only the hosts it was made for, resends nothing, follows no redirect, keeps no
cookies and asks neither proxies nor .netrc. It knows for the one order write whether its bytes have left.
"""

from __future__ import annotations

import json
import re
import ssl
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from engines.brokers import traffic
from engines.brokers.tools import Timing
from engines.brokers.transport import Connection, Response
from engines.ports import Permit, Unknown

_READS = frozenset({"GET", "HEAD"})
_OURS = frozenset({"host", "content-length", "connection", "transfer-encoding"})
_USUAL = Timing()
_MAX_INFLATED = 256 * 1024 * 1024
_JSON = json.JSONDecoder(parse_float=Decimal)
_PLAIN = frozenset({str, int, bool, Decimal})
_AS_IT_IS = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


class Writing:
    """What became of the one write inside `Wire.permitted`: `sent` from the moment its first byte may have left. Entered around the write itself;
    a plain class, because every order goes through it."""

    __slots__ = ("_inner", "permit", "sent", "used")

    def __init__(self, permit: Permit) -> None:
        self.permit = permit
        self.used = False
        self.sent = False

    def enter(self) -> AbstractContextManager[None]:
        return self

    def __enter__(self) -> None:
        self._inner: AbstractContextManager[None] = self.permit()
        self._inner.__enter__()
        self.sent = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        return self._inner.__exit__(kind, error, trace)


class _Permitted:
    """Inside it the wire knows of the permit, and the process of an order on its way."""

    __slots__ = ("_wire", "_writing")

    def __init__(self, wire: Wire, writing: Writing) -> None:
        self._wire, self._writing = wire, writing

    def __enter__(self) -> Writing:
        self._wire._writing = self._writing
        traffic.begin()
        return self._writing

    def __exit__(self, *_: object) -> None:
        traffic.end()
        self._wire._writing = None


class Wire:
    """HTTP/1.1 for one account to the hosts of `roots`, one kept-alive connection for each. Raises what `transport.Connection` raises: Retry (nothing
    left), Unknown (sent, no complete answer), and whatever the permit raises; ValueError for a host it does not know.

        with wire.permitted(permit) as writing:
            sdk.place_order(...)
        writing.sent    # whether a byte may have left

    Used by one thread at a time; only `abort` may come from another.
    """

    def __init__(
        self,
        *roots: str,
        source_address: str | None = None,
        timing: Timing = _USUAL,
        tls: ssl.SSLContext | None = None,
        observe: Callable[[Response], None] | None = None,
        whose: str = "the broker",
    ) -> None:
        """`tls`: certificates are checked against this context in place of the system's authorities. `observe` sees every answer (used weight, dates). `whose`: the
        broker's name in what is told to people."""
        self._connections: dict[str, Connection] = {}
        self._writing: Writing | None = None
        self._observe = observe
        self._given: dict[str, str] = {}
        self._kept: dict[str, str] = {}
        for root in roots:
            origin, host, port, secure = _origin(root)
            self._connections[origin] = Connection(
                host,
                port,
                tls=(tls or True) if secure else False,
                connect_timeout=timing.connect,
                read_timeout=timing.read,
                source_address=source_address,
                whose=whose,
            )

    def permitted(self, permit: Permit) -> AbstractContextManager[Writing]:
        """The first request inside that is not a read is written under `permit`; a second one is an error before anything leaves. Reads pass."""
        return _Permitted(self, Writing(permit))

    def request(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        """One request to an absolute URL; the body of the answer comes unpacked (gzip, deflate)."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        connection = self._connections.get(f"{scheme}://{authority}") or self._connections.get(_origin(url)[0])
        if connection is None:
            raise ValueError(f"not a host of this broker: {urlsplit(url).hostname}")
        if not slash:
            authority, mark, path = rest.partition("?")
            path = mark + path
        if headers and headers != self._given:  # an account says the same of itself in every request
            self._given, self._kept = dict(headers), {name: value for name, value in headers.items() if name.lower() not in _OURS}
        kept = self._kept if headers else {}
        permit = None if method in _READS else self._take_permit()
        response = connection.request(method, "/" + path.partition("#")[0], headers=kept, body=body, permit=permit)
        if "content-encoding" in response.headers:
            response = Response(response.status, response.headers, _unpacked(response))
        if self._observe is not None:
            self._observe(response)
        return response

    def _take_permit(self) -> Permit | None:
        writing = self._writing
        if writing is None:
            return None
        if writing.used:
            raise RuntimeError("one permit is for one write")
        writing.used = True
        return writing.enter

    def abort(self) -> None:
        """Cut every connection, from any thread: what is on its way ends as Unknown."""
        for connection in self._connections.values():
            connection.abort()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


class Headers(dict[str, str]):
    """Answer headers: kept in lower case, found by any."""

    def __missing__(self, name: str) -> str:
        lowered = name.lower()
        if lowered == name:
            raise KeyError(name)
        return self[lowered]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class Answer:
    """What an SDK takes for `requests.Response`. Fractions in its JSON are Decimals."""

    __slots__ = ("content", "encoding", "headers", "status_code", "url")

    def __init__(self, response: Response, url: str = "") -> None:
        self.status_code = response.status
        self.headers = Headers(response.headers)
        self.content = response.body
        self.encoding = "utf-8"
        self.url = url.partition("?")[0]  # what is behind it may be secret

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def reason(self) -> str:
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def text(self) -> str:
        return self.content.decode(self.encoding or "utf-8", "replace")

    def json(self, **options: Any) -> Any:
        if options:
            return json.loads(self.content, **{"parse_float": Decimal, **options})
        return _JSON.decode(self.content.decode(json.detect_encoding(self.content), "surrogatepass"))

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            from requests.exceptions import HTTPError

            raise HTTPError(f"{self.status_code} {self.reason}")


class _NoCookies:
    def clear(self) -> None:
        """There is never anything in it."""


class RequestsLikeSession:
    """The part of `requests.Session` (and of the `requests` module) that the SDKs use, over a wire. Time-outs, proxies, `verify` and redirects that
    a caller asks for are ignored: the wire has its own."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.cookies = _NoCookies()
        self.trust_env = False

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | str | None = None,
        data: Mapping[str, Any] | str | bytes | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        **_ignored: Any,
    ) -> Answer:
        named = dict(headers) if headers else {}
        body, kind = _body(data, json)
        if kind and not _names_its_type(named):
            named["Content-Type"] = kind
        if params and (query := params if isinstance(params, str) else urlencode(_told(params), doseq=True)):
            url = f"{url}{'&' if '?' in url else '?'}{query}"
        return Answer(self.wire.request(method.upper(), url, headers=named, body=body), url)

    def get(self, url: str, **options: Any) -> Answer:
        return self.request("GET", url, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Any) -> Answer:
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Any) -> Answer:
        return self.request("PUT", url, data=data, **options)

    def delete(self, url: str, **options: Any) -> Answer:
        return self.request("DELETE", url, **options)

    def close(self) -> None:
        self.wire.close()


def _origin(url: str) -> tuple[str, str, int, bool]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"not an address of a broker: {parts.scheme}://{parts.hostname}")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    return f"{parts.scheme}://{parts.netloc.lower()}", parts.hostname, port, secure


def _body(data: Mapping[str, Any] | str | bytes | None, as_json: Any) -> tuple[bytes, str]:
    """Bytes and content type, as `requests` makes them."""
    if as_json is not None:
        return json.dumps(as_json).encode(), "application/json"
    if isinstance(data, Mapping):
        return _form(data).encode(), "application/x-www-form-urlencoded"
    if isinstance(data, str):
        return data.encode(), ""
    return data or b"", ""


def _names_its_type(headers: Mapping[str, str]) -> bool:
    for name in headers:  # noqa: SIM110 - a generator costs more than what it would look at
        if len(name) == 12 and name.lower() == "content-type":
            return True
    return False


def _form(data: Mapping[str, Any]) -> str:
    """`urlencode`, quicker for what orders are made of: words and numbers with nothing in them to quote."""
    pairs = _told(data)
    if not _PLAIN.issuperset([type(value) for _, value in pairs]):
        return urlencode(pairs, doseq=True)
    words = [f"{word}" for pair in pairs for word in pair]
    if not _AS_IT_IS("".join(words)):
        words = [quote_plus(word) for word in words]
    return "&".join([f"{name}={value}" for name, value in zip(words[::2], words[1::2], strict=True)])


def _told(pairs: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in (pairs.items() if isinstance(pairs, Mapping) else pairs) if value is not None]


def _unpacked(response: Response) -> bytes:
    coding = response.headers.get("content-encoding", "").lower()
    if coding not in ("gzip", "x-gzip", "deflate") or not response.body:
        return response.body
    try:
        data, whole = _inflate(response.body, zlib.MAX_WBITS | 32)  # gzip or zlib, by its head
    except zlib.error:
        try:
            data, whole = _inflate(response.body, -zlib.MAX_WBITS)  # deflate as some servers mean it
        except zlib.error:
            raise Unknown("no complete answer: it cannot be unpacked") from None
    if not whole:
        raise Unknown("no complete answer: it ends too early or is too long")
    return data


def _inflate(packed: bytes, bits: int) -> tuple[bytes, bool]:
    stream = zlib.decompressobj(wbits=bits)
    data = stream.decompress(packed, _MAX_INFLATED)
    return data, stream.eof
