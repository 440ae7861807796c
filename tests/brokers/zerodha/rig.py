"""One account at the emulated Kite, its adapter, and everything that it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any, cast

from engines.brokers.tools import BrokerTools, KiteEndpoints, Timing
from engines.brokers.zerodha import ZerodhaBroker
from engines.core.model import Account, Instrument, OrderState, OrderType, Product, Side
from engines.ports import Clock, Master, OrderReport, OrderRequest, RandomIds, Session, SystemClock
from tests.emulators.kite import KiteEmulator

INFY = "NSE:INFY"
PRICE = Decimal(1500)
PATIENCE = 30.0
"""Seconds: for what happens at once unless the machine stands still, as a shared one does for moments."""
QUICK = Timing(connect=PATIENCE, read=PATIENCE, poll=0.03, safety_poll=0.2, silent_after=PATIENCE)
IDS = RandomIds()


class Kept:
    """Sessions for one test, and how often one was thrown away."""

    def __init__(self) -> None:
        self.kept: dict[str, Session] = {}
        self.cleared = 0

    def load(self, account_id: str) -> Session | None:
        return self.kept.get(account_id)

    def save(self, account_id: str, session: Session) -> None:
        self.kept[account_id] = session

    def clear(self, account_id: str) -> None:
        self.cleared += 1
        self.kept.pop(account_id, None)


class Later:
    """The machine's clock, moved forward by a test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return SystemClock().now() + self.ahead

    def monotonic(self) -> float:
        return SystemClock().monotonic()


class Rig:
    def __init__(
        self, emulator: KiteEmulator, *, sessions: Kept | None = None, timing: Timing = QUICK, clock: Clock | None = None, **account: Any
    ) -> None:
        self.emulator = emulator
        self.emulated = emulator.add_account()
        self.sessions = sessions or Kept()
        self.tools = BrokerTools(clock or SystemClock(), self.sessions, cast(Master, None), Random(3), timing)
        given: dict[str, Any] = {"account_id": "Z1", "user_id": "U1", "name": "Z1", "broker": "zerodha", "capital": Decimal(1)}
        self.account = Account(**(given | account))
        self.broker = self.make(self.emulated.credentials)
        self.reports: list[OrderReport] = []
        self._told = threading.Condition()

    def make(self, credentials: dict[str, str]) -> ZerodhaBroker:
        at = self.emulator.endpoints()
        endpoints = KiteEndpoints(at["KITE_API_ROOT"], at["KITE_LOGIN_ROOT"], at["KITE_WS_ROOT"])
        return ZerodhaBroker(self.account, credentials, self.tools, endpoints)

    def without_token(self) -> dict[str, str]:
        return {name: value for name, value in self.emulated.credentials.items() if name != "access_token"}

    def connect(self) -> Rig:
        self.broker.connect(self.take)
        return self

    def pushed_to(self) -> Rig:
        """Connected, and its order socket is open."""
        self.connect()
        self.wait(lambda: self.emulator.sockets(self.emulated) == 1)
        return self

    def take(self, report: OrderReport) -> None:
        with self._told:
            self.reports.append(report)
            self._told.notify_all()

    def wait(self, true: Callable[[], object]) -> None:
        deadline = SystemClock().monotonic() + PATIENCE
        with self._told:
            while not true():
                assert SystemClock().monotonic() < deadline, f"it did not come true; told: {self.reports[-5:]}"
                self._told.wait(0.005)

    def told(self, broker_order_id: str, state: OrderState) -> bool:
        return any((r.broker_order_id, r.state) == (broker_order_id, state) for r in self.reports)

    @contextmanager
    def permit(self) -> Iterator[None]:
        yield

    def request(self, side: Side = Side.BUY, **changes: Any) -> OrderRequest:
        instrument = Instrument(INFY, "INFY", "NSE", Decimal("0.1"))
        given: dict[str, Any] = {
            "client_id": IDS.new(),
            "instrument": instrument,
            "side": side,
            "quantity": Decimal(10),
            "order_type": OrderType.MARKET,
            "product": Product.MIS,
        }
        return OrderRequest(**(given | changes))

    def resting(self, **changes: Any) -> OrderRequest:
        return self.request(order_type=OrderType.LIMIT, price=Decimal(1480), **changes)

    def place(self, request: OrderRequest) -> OrderReport:
        return self.broker.place(request, self.permit)

    def sent(self, on: str = "place") -> list[dict[str, Any]]:
        return [seen.fields for seen in self.emulator.requests(self.emulated, on)]

    def close(self) -> None:
        self.broker.abort()
        self.broker.close()
