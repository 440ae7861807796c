"""The control of an emulated broker: what tests and programs do to it and read from it, from any thread or, as JSON, from any process.

It changes the exchange, the faults and the sockets on the emulator's own thread, and tells the ground truth that no broker client can see.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from engines.core.model import Side, Timestamp
from engines.ports import Clock
from tests.emulators.core.exchange import EmulatedAccount, EmulatedExchange, EmulatedOrder, Held, Quote, Trade
from tests.emulators.core.faults import Armed, Fault, Switchboard
from tests.emulators.core.http import Answer
from tests.emulators.core.pushes import Pushes
from tests.emulators.core.sockets import Sockets

AccountLike = EmulatedAccount | str
T = TypeVar("T")


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


class Control:
    """What `Emulator` offers to those who run it; the emulator itself brings the rest."""

    rng: Random
    clock: MovedClock
    latency: float
    exchange: EmulatedExchange
    faults: Switchboard
    open_sockets: Sockets
    pushes: Pushes
    _seen: list[Seen]
    _loop: asyncio.AbstractEventLoop | None
    _thread: threading.Thread | None

    def make_account(self, name: str | None, cash: Decimal, **more: Any) -> EmulatedAccount:
        """A new customer with credentials."""
        raise NotImplementedError

    def place_by_hand(self, account: EmulatedAccount, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> EmulatedOrder:
        """An order from the broker's own app."""
        raise NotImplementedError

    def end_session(self, account: EmulatedAccount) -> None:
        """The account's sign-ins are over; its sockets are closed by the caller."""

    def tick_push(self, changed: Sequence[Quote]) -> None:
        """Writes new prices to whoever subscribed to them."""

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Runs `act` on the emulator's thread after so many seconds."""
        loop = self._loop
        assert loop is not None, "the emulator is not running"
        loop.call_later(seconds, act)

    def do(self, act: Callable[[], T]) -> T:
        """Runs `act` on the emulator's thread and gives its result; at once when that is here, or when nothing runs yet."""
        loop, thread = self._loop, self._thread
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
        self.do(lambda: setattr(self.pushes, "muted", on))

    def set_latency(self, seconds: float) -> None:
        """How long after its arrival each request is answered, from now on."""
        self.latency = float(seconds)

    def wait_idle(self) -> None:
        """Returns when what was pushed so far has been written."""
        self.do(self.pushes.flush)


CONTROLS = frozenset(
    """add_account price walk fault no_faults book fills position hold requests by_hand cancel_by_hand reject expire_day expire_session revoke
    set_address advance sockets cut_sockets freeze_sockets mute_updates wait_idle endpoints url ws_url set_latency
    sign_in set_login_page set_redirect tell_error
    permit overload hide_orders block""".split()
)


def answer_control(control: Control, path: str, pairs: list[tuple[str, str]], body: bytes) -> Answer:
    """One request under /_emulator/."""
    name = path.removeprefix("/_emulator/")
    known = sorted(each for each in CONTROLS if hasattr(control, each))
    if name not in known:
        return Answer({"error": f"there is no control {name!r}; there are {', '.join(known)}", "controls": known}, 404)
    try:
        given = json.loads(body, parse_float=Decimal) if body else dict(pairs)
        found = getattr(control, name)
        result = found(**given) if callable(found) else found
    except Exception as error:
        return Answer({"error": f"{type(error).__name__}: {error}"}, 400)
    return Answer({"result": told(result)})


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
