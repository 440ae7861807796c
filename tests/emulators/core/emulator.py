"""An emulated broker: one thread with an event loop, one port for HTTP and WebSockets, one exchange behind it, and a control for tests.

Subclasses add routes, shapes and words. The control may be used from any thread and, as JSON under `/_emulator/`, from any process; it is
never part of what a broker client can reach by its own means.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import socket as sockets_of_system
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from random import Random
from typing import Any, ClassVar, Self, TypeVar

from aiohttp import web

from engines.core.model import Side, Timestamp
from engines.ports import Clock, SystemClock
from tests.emulators.core.exchange import EmulatedAccount, EmulatedExchange, EmulatedOrder, Event, Held, Quote, Trade
from tests.emulators.core.faults import NOT_BOOKED, ORDER_FAULTS, PUSH_FAULTS, REQUEST_FAULTS, Armed, Fault, Switchboard
from tests.emulators.core.http import Answer, Call, Failed, Handler, Pacer, Ready, Router, StampedServer, arrived_at, read_call
from tests.emulators.core.listing import Listed, indian_market
from tests.emulators.core.rates import Rate, Rates
from tests.emulators.core.sockets import Sockets

GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
READ_FIRST = 0.004
QUIET = 30.0
"""Seconds for which an answer is withheld when a fault names none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived, whatever became of it."""

    at: Timestamp
    account: str | None
    call: str
    method: str
    path: str
    fields: dict[str, Any]
    source: str  # the client's address
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """An order that the broker has, told by the ground truth."""

    client_id: str | None
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    average_price: Decimal | None
    status: str  # a Status value
    booked_at: Timestamp
    by_hand: bool


class MovedClock:
    """A clock that a test can push forward."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self.ahead = 0.0

    def now(self) -> Timestamp:
        return self._base.now() + self.ahead

    def monotonic(self) -> float:
        return self._base.monotonic() + self.ahead


AccountLike = EmulatedAccount | str
T = TypeVar("T")


class Emulator:
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
        self.push_delay = 0.003
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
        self.router = Router()
        self.port = port
        self._seen: list[Seen] = []
        self._outbox: list[tuple[EmulatedAccount, Any]] = []
        self._shuffling: dict[str, list[Any]] = {}
        self._call: Call | None = None
        self._flush_at: asyncio.TimerHandle | None = None
        self._muted = False
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

    def make_account(self, name: str | None, cash: Decimal, **more: Any) -> EmulatedAccount:
        raise NotImplementedError

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

    def tick_push(self, changed: Sequence[Quote]) -> None:
        """Writes new prices to whoever subscribed to them."""

    def end_session(self, account: EmulatedAccount) -> None:
        """The account's sign-ins are over; its sockets are closed by the caller."""

    def place_by_hand(self, account: EmulatedAccount, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> EmulatedOrder:
        raise NotImplementedError

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
        started.wait(10)
        if failure:
            raise RuntimeError("the emulator did not start") from failure[0]
        return self

    def stop(self) -> None:
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is not None and stop is not None and thread is not None:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)
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
            return self._control(request, path, pairs, body).response(request)
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
        if self._is_early(call):
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

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Runs `act` on the emulator's thread after so many seconds."""
        loop = self._loop
        assert loop is not None, "the emulator is not running"
        loop.call_later(seconds, act)

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
            self._outbox.append((account, push))
            self._flush_soon()

    def _is_early(self, call: Call) -> bool:
        if not call.pushes or not self.faults.waiting():
            return False
        return self.faults.take(call.account.name if call.account else None, "push", frozenset({Fault.EARLY_UPDATES})) is not None

    def _release(self, call: Call, *, at_once: bool = False) -> None:
        if call.pushes:
            self._outbox += call.pushes
            if at_once:
                self._flush()
            else:
                self._flush_soon()
        call.pushes = None

    def _flush_soon(self) -> None:
        if self._flush_at is None and self._loop is not None:
            self._flush_at = self._loop.call_later(self.push_delay, self._flush)

    def _flush(self) -> None:
        self._flush_at = None
        waiting, self._outbox = self._outbox, []
        for account, push in waiting:
            self._push(account, push)

    def _push(self, account: EmulatedAccount, push: Any) -> None:
        if self._muted:
            return
        armed = self.faults.take(account.name, "push", PUSH_FAULTS - {Fault.EARLY_UPDATES})
        fault = armed.fault if armed else None
        if fault is Fault.NO_UPDATES:
            return
        if armed is not None and fault is Fault.LATE_UPDATES:
            self.later(armed.seconds, lambda: self.send_push(account, push))
            return
        if armed is not None and fault is Fault.SHUFFLED_UPDATES:
            self._shuffle(account, push, armed.seconds or 0.1)
            return
        self.send_push(account, push)
        if fault is Fault.REPEATED_UPDATES:
            self.send_push(account, push)

    def _shuffle(self, account: EmulatedAccount, push: Any, seconds: float) -> None:
        kept = self._shuffling.setdefault(account.name, [])
        if not kept:
            self.later(seconds, lambda: self._deal(account))
        kept.append(push)

    def _deal(self, account: EmulatedAccount) -> None:
        kept = self._shuffling.pop(account.name)
        mixed = kept[::-1] if len(kept) == 2 else self.rng.sample(kept, len(kept))
        for push in mixed:
            self.send_push(account, push)

    # --- control ---------------------------------------------------------------------------------------------------

    def do(self, act: Callable[[], T]) -> T:
        """Runs `act` on the emulator's thread and gives its result; at once when that is here, or when nothing runs yet."""
        return _on_thread(self, act)

    def account(self, account: AccountLike) -> EmulatedAccount:
        return account if isinstance(account, EmulatedAccount) else self.exchange.accounts[account]

    def add_account(self, name: str | None = None, *, cash: Decimal | int = Decimal(10_000_000), **more: Any) -> EmulatedAccount:
        return self.do(lambda: self.make_account(name, Decimal(cash), **more))

    def price(self, symbol: str, last: Any, bid: Any = None, ask: Any = None) -> None:
        """Moves the market: fills what it reaches, pushes the tick and the orders. Without quotes, bid and ask are the last price."""
        prices = [None if x is None else Decimal(str(x)) for x in (last, bid, ask)]
        assert prices[0] is not None
        self.do(lambda: self._move(symbol, prices[0], prices[1], prices[2]))

    def _move(self, symbol: str, last: Decimal | None, bid: Decimal | None, ask: Decimal | None) -> None:
        assert last is not None
        self.tick_push([self.exchange.move(symbol, last, bid, ask)])

    def walk(self, every: float) -> None:
        """From now on prices move by themselves, a few ticks each time."""

        def step() -> None:
            moved = []
            for symbol, quote in self.exchange.quotes.items():
                size = quote.instrument.tick_size
                step_size = max(size, (quote.last / 5000 / size).to_integral_value() * size)
                last = max(quote.last + self.rng.randint(-3, 3) * step_size, size)
                moved.append(self.exchange.move(symbol, last, max(last - size, size), last + size, self.rng.randint(1, 50)))
            self.tick_push(moved)
            self.later(every, step)

        self.do(step)

    def fault(
        self, fault: Fault | str, *, account: AccountLike | None = None, on: str = "place", times: int = 1, seconds: float = 0.0
    ) -> None:
        name = account.name if isinstance(account, EmulatedAccount) else account
        self.do(lambda: self.faults.arm(Armed(Fault(fault), name, on, int(times), float(seconds))))

    def no_faults(self) -> None:
        """Whatever is armed and has not been used is forgotten."""
        self.do(self.faults.clear)

    def book(self, account: AccountLike) -> list[Booked]:
        """Every order that was ever booked, oldest first."""
        return self.do(lambda: [booked(x) for x in self.account(account).orders.values()])

    def fills(self, account: AccountLike) -> list[Trade]:
        return self.do(lambda: list(self.account(account).trades))

    def position(self, account: AccountLike, symbol: str) -> Decimal:
        return self.do(lambda: self.exchange.net(self.account(account), symbol))

    def hold(self, account: AccountLike, symbol: str, quantity: Any, average_price: Any) -> None:
        """Delivered before today."""
        instrument = self.exchange.quotes[symbol].instrument
        held = Held(instrument, Decimal(str(quantity)), Decimal(str(average_price)))
        self.do(lambda: self.account(account).holdings.__setitem__(symbol, held))

    def requests(self, account: AccountLike | None = None, on: str | None = None) -> list[Seen]:
        name = account.name if isinstance(account, EmulatedAccount) else account
        return [x for x in list(self._seen) if (name is None or x.account == name) and (on is None or x.call == on)]

    def by_hand(self, account: AccountLike, symbol: str, side: Side | str, quantity: Any, price: Any = None) -> str:
        """An order from the broker's own app; its id."""
        amount, limit = Decimal(str(quantity)), None if price is None else Decimal(str(price))
        return self.do(lambda: self.place_by_hand(self.account(account), symbol, Side(side), amount, limit).broker_order_id)

    def cancel_by_hand(self, account: AccountLike, broker_order_id: str) -> None:
        owner = self.account(account)
        self.do(lambda: self.exchange.cancel(owner, owner.orders[broker_order_id]))

    def reject(self, account: AccountLike, broker_order_id: str, message: str = "rejected by the exchange") -> None:
        self.do(lambda: self.exchange.reject(self.account(account).orders[broker_order_id], message))

    def expire_day(self) -> None:
        """The close: day orders that still work end."""
        self.do(self.exchange.expire)

    def expire_session(self, account: AccountLike) -> None:
        """The sign-in is over, and its sockets with it."""
        owner = self.account(account)

        def end() -> None:
            self.end_session(owner)
            self._cut(owner.name, None)

        self.do(end)

    def revoke(self, account: AccountLike) -> None:
        """The key is dead for good."""
        owner = self.account(account)

        def end() -> None:
            owner.revoked = True
            self.end_session(owner)
            self._cut(owner.name, None)

        self.do(end)

    def set_address(self, account: AccountLike, allowed: tuple[str, ...] | None) -> None:
        """The registered source addresses for writes; None: any."""
        self.do(lambda: setattr(self.account(account), "allowed", None if allowed is None else tuple(allowed)))

    def advance(self, seconds: float) -> None:
        """The emulator's wall clock goes forward."""
        self.clock.ahead += float(seconds)

    def sockets(self, account: AccountLike | None = None, kind: str | None = None) -> int:
        name = account.name if isinstance(account, EmulatedAccount) else account
        return self.do(lambda: self.open_sockets.count(name, kind))

    def cut_sockets(self, account: AccountLike | None = None, kind: str | None = None) -> None:
        name = account.name if isinstance(account, EmulatedAccount) else account
        self.do(lambda: self._cut(name, kind))

    def _cut(self, account: str | None, kind: str | None) -> None:
        for each in self.open_sockets.fitting(account, kind):
            each.cut()

    def freeze_sockets(self, on: bool = True, account: AccountLike | None = None, kind: str | None = None) -> None:
        """Those that are open now fall silent and stay open; new ones are well."""
        name = account.name if isinstance(account, EmulatedAccount) else account

        def freeze() -> None:
            for each in self.open_sockets.fitting(name, kind):
                each.frozen = on

        self.do(freeze)

    def mute_updates(self, on: bool = True) -> None:
        """No order pushes while it is on."""
        self.do(lambda: setattr(self, "_muted", on))

    def set_latency(self, seconds: float) -> None:
        """How long after its arrival each request is answered, from now on."""
        self.latency = float(seconds)

    def wait_idle(self) -> None:
        """Returns when what was pushed so far has been written."""
        self.do(self._flush)

    def _control(self, request: web.BaseRequest, path: str, pairs: list[tuple[str, str]], body: bytes) -> Answer:
        name = path.removeprefix("/_emulator/")
        if name not in CONTROLS:
            return Answer({"error": f"there is no {name}"}, 404)
        given = json.loads(body, parse_float=Decimal) if body else dict(pairs)
        try:
            found = getattr(self, name)
            result = found(**given) if callable(found) else found
        except Exception as error:
            return Answer({"error": f"{type(error).__name__}: {error}"}, 400)
        return Answer({"result": told(result)})


CONTROLS = frozenset(
    """add_account price walk fault no_faults book fills position hold requests by_hand cancel_by_hand reject expire_day expire_session revoke
    set_address advance sockets cut_sockets freeze_sockets mute_updates wait_idle endpoints url ws_url set_latency
    sign_in set_login_page set_redirect tell_error
    permit overload hide_orders block""".split()
)


def _on_thread(emulator: Emulator, act: Callable[[], T]) -> T:
    loop, thread = emulator._loop, emulator._thread
    if loop is None or thread is None or threading.get_ident() == thread.ident:
        return act()
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(act())
        except BaseException as error:
            result.set_exception(error)

    loop.call_soon_threadsafe(run)
    return result.result(10)


def booked(order: EmulatedOrder) -> Booked:
    return Booked(
        order.client_id,
        order.broker_order_id,
        order.instrument.symbol,
        order.side,
        order.quantity,
        order.filled,
        order.average_price,
        order.status.value,
        order.booked_at,
        order.by_hand,
    )


def told(value: Any) -> Any:
    """A control's result as JSON can say it; decimals as texts, so that nothing is lost."""
    if isinstance(value, EmulatedAccount):
        return {"name": value.name, "credentials": value.credentials, "market": value.market}
    if is_dataclass(value):
        return {x.name: told(getattr(value, x.name)) for x in fields(value)}
    if isinstance(value, dict):
        return {str(name): told(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [told(x) for x in value]
    return str(value) if isinstance(value, Decimal) else value


def reset(transport: asyncio.Transport) -> None:
    """Ends a connection with RST instead of FIN."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(sockets_of_system.SOL_SOCKET, sockets_of_system.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


__all__ = ["NOT_BOOKED", "AccountLike", "Answer", "Booked", "Call", "Emulator", "Failed", "Fault", "Listed", "MovedClock", "Seen"]
