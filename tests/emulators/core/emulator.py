"""An emulated broker: one thread with an event loop, one port for HTTP and WebSockets, one exchange behind it, and a control for tests.

Subclasses add routes, shapes and words. The control may be used from any thread and, as JSON under `/_emulator/`, from any process; it is
never part of what a broker client can reach by its own means.
"""

from __future__ import annotations

import asyncio
import inspect
import socket as sockets_of_system
import struct
import threading
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar, Self

from aiohttp import web

from engines.ports import Clock, SystemClock
from tests.emulators.core.control import AccountLike, Booked, Control, MovedClock, Seen, answer_control, booked
from tests.emulators.core.exchange import EmulatedAccount, EmulatedExchange, Event
from tests.emulators.core.faults import ORDER_FAULTS, REQUEST_FAULTS, Armed, Fault, Switchboard
from tests.emulators.core.http import Answer, Call, Failed, Handler, Pacer, Ready, Router, StampedServer, arrived_at, read_call
from tests.emulators.core.listing import Listed, indian_market
from tests.emulators.core.pushes import Pushes
from tests.emulators.core.rates import Rate, Rates
from tests.emulators.core.sockets import Sockets

GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
READ_FIRST = 0.004
QUIET = 30.0
"""Seconds for which an answer is withheld when a fault names none."""


class Emulator(Control):
    kind: ClassVar[str] = ""
    rate_table: ClassVar[Sequence[Rate]] = ()
    writes: ClassVar[frozenset[str]] = frozenset({"place", "modify", "cancel"})

    def __init__(
        self,
        *,
        seed: int = 0,
        latency: float = 0.0,
        instruments: Sequence[Listed] | None = None,
        clock: Clock | None = None,
        rates: bool = False,
        hours: bool = False,
        port: int = 0,
    ) -> None:
        self.rng = Random(seed)
        self.clock = MovedClock(clock or SystemClock())
        self.latency = latency
        self.exchange = EmulatedExchange(
            self.default_instruments() if instruments is None else instruments,
            now=self.clock.now,
            rng=self.rng,
            hours=hours,
            on_event=self._on_event,
        )
        self.faults = Switchboard()
        self.rates = Rates(self.rate_table) if rates else None
        self.open_sockets = Sockets()
        self.pacer = Pacer()
        self.pushes = Pushes(self)
        self.router = Router()
        self.port = port
        self._seen: list[Seen] = []
        self._call: Call | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self.routes()

    # --- what a broker adds ----------------------------------------------------------------------------------------

    def default_instruments(self) -> Sequence[Listed]:
        return indian_market(self.clock.now())

    def routes(self) -> None:
        """Adds its routes with `self.route`."""

    def on_start(self) -> None:
        """On the emulator's thread, before the first request."""

    def endpoints(self) -> dict[str, str]:
        raise NotImplementedError

    def identify(self, call: Call) -> EmulatedAccount | None:
        """Whose request this is, without judging whether it may. Asked before faults are looked up."""
        return None

    def order_push(self, event: Event) -> Any:
        """What is pushed for an event (anything; given to `send_push` later), or None for nothing. Made when the event happens."""
        return None

    def send_push(self, account: EmulatedAccount, push: Any) -> None:
        """Writes one push to the account's order sockets."""

    def unknown_path(self, call: Call) -> Answer:
        return Answer("404: Not Found", 404, "text/plain")

    def rate_limited(self, call: Call) -> Answer:
        return Answer("Too many requests", 429, "text/plain")

    def server_error(self, call: Call) -> Answer:
        """An error in the broker's own shape, after the order was booked."""
        return Answer({"message": "unavailable"}, 503)

    def book_failed(self, call: Call) -> Answer:
        return Answer({"message": "internal error"}, 500)

    def empty_book(self, call: Call) -> Answer:
        return Answer([])

    def timed_out(self, call: Call) -> Answer:
        """What the client reads although its order comes later."""
        return self.server_error(call)

    def clock_skew(self, call: Call) -> Answer:
        return self.book_failed(call)

    # --- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        started = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve(started))
            except BaseException as error:
                failure.append(error)
            finally:
                started.set()

        self._thread = threading.Thread(target=run, name=f"emulator-{self.kind}", daemon=True)
        self._thread.start()
        started.wait(30)
        if failure:
            raise RuntimeError("the emulator did not start") from failure[0]
        return self

    def stop(self) -> None:
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is not None and stop is not None and thread is not None:
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def _serve(self, started: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        server = StampedServer(self._handle)
        listener = await loop.create_server(server, "127.0.0.1", self.port, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        self._stop = asyncio.Event()
        self._loop = loop
        self.pacer, self.pushes = Pacer(), Pushes(self)
        self.on_start()
        started.set()
        await self._stop.wait()
        self._loop = None
        listener.close()
        for connection in server.connections:
            transport = connection.transport
            if transport is not None:
                transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await server.shutdown(0.5)

    # --- requests --------------------------------------------------------------------------------------------------

    def route(self, method: str, path: str, name: str, handler: Handler, *, quick: bool = False) -> None:
        """`quick` routes (sockets, pages, control) know neither latency nor faults."""
        self.router.add(method, path, name, handler, quick=quick)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        arrived = arrived_at(request)
        path, query, body, pairs = await read_call(request)
        if path.startswith("/_emulator/"):
            return answer_control(self, path, pairs, body).response(request)
        found = self.router.find(request.method, path)
        route, params = found or (None, {})
        call = Call(request, route.name if route else "unknown", request.method, path, query, body, params, pairs, arrived)
        call.account = self.identify(call)
        name = call.account.name if call.account else None
        if route is None:
            self._note(call, name)
            return self.unknown_path(call).response(request)
        if route.quick:
            self._note(call, name)
            return await self._answer_quickly(route.handler, call)
        armed = call.fault = self.faults.take(name, call.name, REQUEST_FAULTS)
        self._note(call, name)
        call.pushes = []
        if self.latency > 2 * READ_FIRST:
            # Requests that come at the same moment are all read, and stamped, before the first of them is worked on.
            await self.pacer.until(arrived + READ_FIRST)
        answer = self._answer(route.handler, call, armed)
        ready = answer.response(request)
        if self.pushes.are_early(call):
            self._release(call, at_once=True)
        if armed is not None and await self._break(call, armed):
            return Ready(None)
        due = arrived + self.latency + (armed.seconds if armed is not None and armed.fault is Fault.SLOW else 0.0)
        if due > asyncio.get_running_loop().time():
            await self.pacer.until(due)
        self._release(call)  # the answer is written when this returns, pushes a moment later
        return ready

    async def _answer_quickly(self, handler: Handler, call: Call) -> web.StreamResponse:
        try:
            result = handler(call)
            if inspect.isawaitable(result):
                result = await result
        except Failed as failed:
            result = failed.answer
        if isinstance(result, Answer):
            return result.response(call.request)
        return Ready(None) if result is None else result

    def _answer(self, handler: Handler, call: Call, armed: Armed | None) -> Answer:
        fault = armed.fault if armed else None
        if fault is Fault.RATE_LIMITED:
            return self.rate_limited(call)
        if fault is Fault.SERVER_ERROR_HTML:
            return Answer(GATEWAY_PAGE, 502, "text/html")
        if fault is Fault.CLOCK_SKEW:
            return self.clock_skew(call)
        if fault is Fault.BOOK_FAILS:
            return self.book_failed(call)
        if fault is Fault.EMPTY_ORDER_BOOK:
            return self.empty_book(call)
        if fault is Fault.LOST:
            return Answer(b"")
        if fault is Fault.SESSION_ENDS and call.account is not None:
            self.expire_session(call.account)
        if fault is Fault.TIMED_OUT_BOOKED_LATER:
            assert armed is not None
            self.later(armed.seconds, lambda: self._run(handler, call))
            return self.timed_out(call)
        answer = self._run(handler, call)
        if fault is Fault.SERVER_ERROR_BOOKED and answer.status < 300:
            return self.server_error(call)
        if fault is Fault.MALFORMED_JSON:
            whole = answer.bytes()
            return Answer(whole[: len(whole) * 2 // 3], answer.status, answer.content_type)
        return answer

    def _run(self, handler: Handler, call: Call) -> Answer:
        """The handler, after the limits; pushes it causes are kept with the call."""
        if self.rates is not None:
            scope = call.account.name if call.account else call.peer
            if self.rates.refused(scope, call.name, self.clock.now()):
                return self.rate_limited(call)
        self._call = call if call.pushes is not None else None
        try:
            answer = handler(call)
            assert isinstance(answer, Answer)
            return answer
        except Failed as failed:
            return failed.answer
        finally:
            self._call = None

    async def _break(self, call: Call, armed: Armed) -> bool:
        """The faults that leave a request without an answer; True when this was one."""
        if armed.fault not in (Fault.LOST, Fault.BOOKED_THEN_RESET, Fault.BOOKED_NO_ANSWER):
            return False
        self._release(call)
        transport = call.request.transport
        if transport is None:
            return True
        if armed.fault is Fault.LOST:
            transport.close()
            return True
        if armed.fault is Fault.BOOKED_THEN_RESET:
            reset(transport)
            return True
        await self._silence(transport, armed.seconds or QUIET)
        return True

    async def _silence(self, transport: asyncio.Transport, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while not transport.is_closing() and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(min(0.02, seconds))
        transport.abort()

    def _note(self, call: Call, account: str | None) -> None:
        given: dict[str, Any] = dict(call.fields)
        if not given and call.body:
            parsed = call.json
            given = parsed if isinstance(parsed, dict) else {"": parsed}
        fault = call.fault.fault.value if call.fault else None
        self._seen.append(Seen(self.clock.now(), account, call.name, call.method, call.path, {**given, **call.params}, call.peer, fault))

    def order_fault(self, account: EmulatedAccount) -> Armed | None:
        """For a handler that is about to book an order."""
        return self.faults.take(account.name, "place", ORDER_FAULTS)

    # --- pushes ----------------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        push = self.order_push(event)
        if push is not None:
            self.queue_push(event.account, push)

    def queue_push(self, account: EmulatedAccount, push: Any) -> None:
        """To be pushed in its turn: after the answer of the request that causes it, where there is one."""
        kept = self._call.pushes if self._call is not None else None
        if kept is not None:
            kept.append((account, push))
        else:
            self.pushes.put([(account, push)])

    def _release(self, call: Call, *, at_once: bool = False) -> None:
        if call.pushes:
            self.pushes.put(call.pushes)
            if at_once:
                self.pushes.flush()
        call.pushes = None


def reset(transport: asyncio.Transport) -> None:
    """Ends a connection with RST instead of FIN."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(sockets_of_system.SOL_SOCKET, sockets_of_system.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


__all__ = ["AccountLike", "Booked", "EmulatedAccount", "Emulator", "MovedClock", "Seen", "booked"]
