"""One WebSocket kept open by a thread of its own: connects, notices silence, backs off, connects again with a fresh sign-in.

Everything that touches the link happens on that thread (TLS bears no two at once), so `send` from anywhere only hands over. It knows no broker's words, never
tries again after a refused sign-in until told to, and no exception text, log line or repr of it holds the address or the headers.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import structlog

from engines.brokers.transport import connect_from
from engines.ports import Clock, NeedsLogin, Refused, TandemError

log = structlog.get_logger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
STEADY = 10.0
"""Seconds a link must have lived for the next failure to be counted as the first one."""
_MOST_WAITING = 10_000
_PATIENCE = 0.2  # for the rest of a frame
_WRITE_PATIENCE = 3.0
_CHUNK, _A_TURN = 16_384, 256  # bytes fetched, messages handed over, before the thread looks at its other duties
_REFUSALS = frozenset({401, 403})


class SocketState(StrEnum):
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"  # for the next attempt
    REFUSED = "refused"  # the sign-in was not accepted: no attempt until `reconnect`
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, and what the upgrade request carries. Both may hold secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Seconds. A ping frame leaves every `ping_every`, and `text` (where a server wants words) every `text_every`; a link on which not one
    byte has arrived for `silent_after` is dead, whatever the operating system believes."""

    ping_every: float = 2.5
    text: str | None = None
    silent_after: float = 5.0
    text_every: float = 10.0


class _Denied(Exception):
    """The server refused the sign-in."""


class SocketClient:
    """`target` is asked anew before each attempt. All callbacks run on the socket's thread and must return quickly; one that raises is counted in
    `callback_failures`, logged by type and place, and told to `on_failure` (where, error); the link lives on. Messages sent before an `on_open` are gone:
    whoever subscribes does it there."""

    def __init__(
        self,
        name: str,
        target: Callable[[], Target],
        *,
        on_message: Callable[[str | bytes], None],
        clock: Clock,
        rng: Random,
        on_open: Callable[[], None] | None = None,
        on_state: Callable[[SocketState, str], None] | None = None,
        on_failure: Callable[[str, Exception], None] | None = None,
        heartbeat: Heartbeat = Heartbeat(),  # frozen
        source_address: str | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        self.name = name
        self.state = SocketState.CLOSED
        self.callback_failures = 0
        self.attempts = 0
        self._target, self._on_message, self._on_open = target, on_message, on_open
        self._on_state, self._on_failure = on_state, on_failure
        self._clock, self._rng, self._heartbeat = clock, rng, heartbeat
        self._source_address, self._connect_timeout = source_address, connect_timeout
        self._outbox: deque[str | bytes] = deque(maxlen=_MOST_WAITING)
        self._bell = _Bell()
        self._closing = threading.Event()
        self._again: str | None = None
        self._heard: float | None = None
        self._thread: threading.Thread | None = None

    # --- for any thread ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect, now and for ever; once only."""
        if self._thread is not None or self._closing.is_set():
            raise RuntimeError(f"{self.name} was started before")
        self._thread = threading.Thread(target=self._run, name=f"socket-{self.name}", daemon=True)
        self._thread.start()

    def send(self, message: str | bytes) -> bool:
        """Hand over for sending; False when no link is open. True is no receipt: a link that breaks loses it, and its successor begins with `on_open`."""
        if self.state is not SocketState.OPEN or len(self._outbox) >= _MOST_WAITING:
            return False
        self._outbox.append(message)
        self._bell.ring()
        return True

    def reconnect(self, why: str) -> None:
        """Drop what there is and connect at once; also the way out of REFUSED."""
        self._again = why
        self._bell.ring()

    def close(self, wait: float = 2.0) -> None:
        """For good. Waits so many seconds for the thread, unless called from it."""
        self._closing.set()
        self._bell.ring()
        thread = self._thread
        if thread is None:
            self._bell.close()
        elif thread is not threading.current_thread():
            thread.join(wait)

    def silence(self) -> float | None:
        """Seconds since the last byte of the open link; None while none is open."""
        heard = self._heard
        return None if heard is None or self.state is not SocketState.OPEN else max(0.0, self._clock.monotonic() - heard)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        try:
            while not self._closing.is_set():
                self._again = None
                failures = self._once(failures)
        finally:
            self._tell(SocketState.CLOSED, "")
            self._bell.close()

    def _once(self, failures: int) -> int:
        """One attempt, the life of the link that came of it, and the wait after; how many failures in a row that makes."""
        self._tell(SocketState.CONNECTING, "")
        began: float | None = None
        try:
            link = self._connect()
            began = self._clock.monotonic()
            why = self._live(link)
        except (_Denied, NeedsLogin, Refused) as error:
            self._heard = None
            self._tell(SocketState.REFUSED, str(error))
            self._pause(None)
            return 0
        except TandemError as error:  # whoever makes the target says why there is none yet
            why = str(error)
        except Exception as error:  # told; what a library or a socket raises here must not end the thread
            why = _plainly(error)
        self._heard = None
        if self._closing.is_set():
            return failures
        if began is not None and self._clock.monotonic() - began >= STEADY:
            failures = 0
        if self._again is not None:
            return failures
        self._tell(SocketState.WAITING, why)
        self._pause(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10)) * self._rng.uniform(0.5, 1.0))
        return failures + 1

    def _pause(self, seconds: float | None) -> None:
        """Until then, or until somebody calls `reconnect` or `close`; None: only those."""
        until = None if seconds is None else self._clock.monotonic() + seconds
        while not self._closing.is_set() and self._again is None:
            left = None if until is None else until - self._clock.monotonic()
            if left is not None and left <= 0:
                return
            self._bell.wait(left)

    def _connect(self) -> _Link:
        self.attempts += 1
        target = self._target()
        link = _Link(target, self._source_address, self._connect_timeout, self._hear)
        self._hear()
        self._outbox.clear()
        return link

    def _hear(self) -> None:
        self._heard = self._clock.monotonic()

    def _live(self, link: _Link) -> str:
        """Serve the link until it is over; the answer is why."""
        selector = selectors.DefaultSelector()
        try:
            selector.register(link.socket, selectors.EVENT_READ)
            selector.register(self._bell.listener, selectors.EVENT_READ)
            self._tell(SocketState.OPEN, "")
            if self._on_open is not None:
                self._call("on_open", self._on_open)
            return self._serve(link, selector)
        finally:
            self._heard = None
            selector.close()
            link.close()

    def _serve(self, link: _Link, selector: selectors.BaseSelector) -> str:
        beat = self._heartbeat
        ping_due = self._clock.monotonic() + beat.ping_every
        text_due = self._clock.monotonic() if beat.text is not None else float("inf")
        while not self._closing.is_set():
            if self._again is not None:
                return self._again
            while self._outbox:
                link.write(self._outbox.popleft())
            now, heard = self._clock.monotonic(), self._heard or 0.0
            if now >= ping_due:
                link.ping()
                ping_due = now + beat.ping_every
            if beat.text is not None and now >= text_due:
                link.write(beat.text)
                text_due = now + beat.text_every
            wait = 0.0 if link.holds_more else min(ping_due, text_due, heard + beat.silent_after) - now
            ready = [key.fileobj for key, _ in selector.select(max(0.0, wait))]
            if self._bell.listener in ready:
                self._bell.drain()
            if link.socket in ready or link.holds_more:  # before silence is judged: we may be the ones who slept
                ending = self._read(link)
                if ending is not None:
                    return ending
            silent = self._clock.monotonic() - (self._heard or 0.0)
            if silent >= beat.silent_after:
                return f"nothing heard for {silent:.1f} s"
        return "closed"

    def _read(self, link: _Link) -> str | None:
        """Take what has arrived; an answer when the peer has said goodbye."""
        for message in link.messages():
            if message is None:
                return "the other side closed the connection"
            self._call("on_message", self._on_message, message)
            if self._again is not None or self._closing.is_set():
                break
        return None

    def _tell(self, state: SocketState, detail: str) -> None:
        self.state = state
        if self._on_state is not None:
            self._call("on_state", self._on_state, state, detail)

    def _call(self, where: str, callback: Callable[..., None], *args: Any) -> None:
        try:
            callback(*args)
        except Exception as error:  # counted and told: one odd message must not cost the link
            self.callback_failures += 1
            log.error("socket callback failed", socket=self.name, where=where, error=type(error).__name__, at=_place(error))
            if self._on_failure is not None:
                with contextlib.suppress(Exception):
                    self._on_failure(where, error)


class _Bell:
    """Wakes a thread that waits for a socket."""

    def __init__(self) -> None:
        self.listener, self._ringer = socket.socketpair()
        self.listener.setblocking(False)
        self._ringer.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody listens any more
            self._ringer.send(b"!")

    def drain(self) -> None:
        with contextlib.suppress(OSError):
            while self.listener.recv(4096):
                pass

    def wait(self, seconds: float | None) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.select(seconds)
        self.drain()

    def close(self) -> None:
        self.listener.close()
        self._ringer.close()


class _Link:
    """One open connection. websocket-client does the handshake and the framing; the socket below it is ours, so that it is bound to the address it
    should leave from, checks the certificate and knows no proxy."""

    def __init__(self, target: Target, source_address: str | None, timeout: float, hear: Callable[[], None]) -> None:
        websocket = _library()
        self._timeouts = (websocket.WebSocketTimeoutException,)
        self._text, self._binary, self._goodbye = websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_CLOSE
        self.socket = _dial(target.url, source_address, timeout)
        self._web = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
        try:
            self._web.connect(
                target.url, socket=self.socket, timeout=timeout, header=dict(target.headers), suppress_origin=True, redirect_limit=0
            )
        except websocket.WebSocketBadStatusException as error:
            self.socket.close()
            why = _answer(error.status_code, error.resp_headers or {}, target)
            raise (_Denied(why) if error.status_code in _REFUSALS else ConnectionError(why)) from None
        except BaseException:
            self.socket.close()
            raise
        self.socket.settimeout(_PATIENCE)
        self._rest = b""
        self._receive, self._hear = self._web.frame_buffer.recv, hear
        self._web.frame_buffer.recv = self._some

    def _some(self, size: int) -> bytes:
        """At most so many bytes; many small frames are fetched from the system at once. Any byte is life, also one in the middle of a frame."""
        if not self._rest:
            self._rest = self._receive(_CHUNK)
            self._hear()
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def write(self, message: str | bytes) -> None:
        self.socket.settimeout(_WRITE_PATIENCE)
        self._web.send(message, self._text if isinstance(message, str) else self._binary)
        self.socket.settimeout(_PATIENCE)

    def ping(self) -> None:
        self.socket.settimeout(_WRITE_PATIENCE)
        self._web.ping()
        self.socket.settimeout(_PATIENCE)

    def messages(self) -> Iterable[str | bytes | None]:
        """What has arrived whole, up to a number that leaves time for other duties; None when the peer closes. The rest of a frame that is still on its
        way is waited for only a moment."""
        for _ in range(_A_TURN):
            try:
                opcode, frame = self._web.recv_data_frame(control_frame=True)
            except self._timeouts:
                return
            if opcode == self._goodbye:
                yield None
                return
            if opcode == self._text:
                yield frame.data.decode("utf-8", "replace")
            elif opcode == self._binary:
                yield bytes(frame.data)
            if not self.holds_more:
                return

    @property
    def holds_more(self) -> bool:
        """Bytes that have left the system's socket: nobody else will call for them."""
        return bool(self._rest) or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0)

    def close(self) -> None:
        with contextlib.suppress(Exception):  # a goodbye is politeness; the link may be long gone
            if self._web.connected:
                self._web.send_close()
        self._web.shutdown()
        self.socket.close()


@lru_cache(maxsize=1)
def _library() -> Any:
    """websocket-client, with its cookie jar emptied for good: it is one for the whole process, and accounts must not share cookies."""
    import websocket
    from websocket import _cookiejar, _handshake

    class NoCookies(_cookiejar.SimpleCookieJar):
        def add(self, set_cookie: str | None) -> None:
            """Kept nowhere."""

    _handshake.CookieJar = NoCookies()
    return websocket


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _dial(url: str, source_address: str | None, timeout: float) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConnectionError("not the address of a WebSocket")
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    plain = connect_from(source_address, (parts.hostname, port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if parts.scheme == "ws":
        return plain
    try:
        return _tls().wrap_socket(plain, server_hostname=parts.hostname)
    except BaseException:
        plain.close()
        raise


def _answer(status: int, headers: Mapping[str, str], target: Target) -> str:
    """What the server said to the upgrade, without any secret that it may have echoed."""
    words = headers.get("x-error-message", "")
    for secret in (*target.headers.values(), *(value for _, value in parse_qsl(urlsplit(target.url).query))):
        for part in (secret, *secret.split()):
            if len(part) >= 4:
                words = words.replace(part, "…")
    return f"HTTP {status}" + (f": {words[:120]}" if words else "")


_LIBRARY_WORDS = {
    "WebSocketConnectionClosedException": "the connection was closed",
    "WebSocketTimeoutException": "no answer in time",
    "WebSocketProtocolException": "what came is no WebSocket",
    "WebSocketPayloadException": "what came is no text",
}


def _plainly(error: Exception) -> str:
    """By type, and the text only of what comes from the operating system or from us: libraries quote addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "the server's name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or (str(error) if type(error) is ConnectionError else type(error).__name__)
    return _LIBRARY_WORDS.get(type(error).__name__, type(error).__name__)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
