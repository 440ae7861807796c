"""The adapter of the stub broker: a Broker like any other, over the transport that real brokers use.

Serialising, permit, write, answer and the errors are those of a real adapter; only the broker behind it is made of nothing but delay. As with real
brokers the answer to an order is its id, and what traded is pushed a little later, by a thread that belongs to no lane.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from engines.brokers.transport import Connection
from engines.core.model import OrderState
from engines.ports import Balance, BrokerFill, BrokerTraits, OrderReport, OrderRequest, Permit
from tests.support.broker import QuietBroker

OnReport = Callable[[OrderReport], None]
OnWritten = Callable[[OrderRequest, float], None]
HEADERS = {"Content-Type": "application/json", "Authorization": "token stub:stub"}
PRICE = Decimal(100)


class Pushes:
    """Order updates on their way: each is delivered `after` seconds after it was given, in order, by one thread."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._waiting: deque[tuple[float, OnReport, OrderReport]] = deque()
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._deliver, name="stub pushes")
        self._thread.start()

    def give(self, to: OnReport, report: OrderReport) -> None:
        self._waiting.append((time.perf_counter() + self._after, to, report))
        self._wake.set()

    def close(self) -> None:
        self._ending = True
        self._wake.set()
        self._thread.join()

    def _deliver(self) -> None:
        while not self._ending:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                due, to, report = self._waiting.popleft()
                time.sleep(max(0.0, due - time.perf_counter()))
                to(report)


class StubAdapter(QuietBroker):
    """One account at the stub broker. `on_written(request, moment)` is told when the last byte of an order has been written."""

    traits = BrokerTraits(absent_after=1.0)

    def __init__(self, port: int, pushes: Pushes, *, on_written: OnWritten | None = None) -> None:
        self._connection = Connection("127.0.0.1", port)
        self._pushes = pushes
        self._on_report: OnReport = _nobody
        self._on_written = on_written

    def connect(self, on_report: OnReport) -> None:
        self._on_report = on_report
        self.keep_alive()

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        body = json.dumps(
            {
                "client_id": request.client_id,
                "symbol": request.instrument.symbol,
                "side": request.side,
                "quantity": str(request.quantity),
                "order_type": request.order_type,
                "product": request.product,
            }
        ).encode()
        noted = permit if self._on_written is None else _noting(permit, request, self._on_written)
        answer = json.loads(self._connection.request("POST", "/orders", headers=HEADERS, body=body, permit=noted).body)
        self._pushes.give(self._on_report, _filled(answer["order_id"], request))
        return OrderReport(answer["order_id"], OrderState.OPEN, client_id=request.client_id)

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        return None

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None:
        return None

    def order_book(self) -> Sequence[OrderReport]:
        return ()

    def balance(self) -> Balance:
        money = Decimal(1_000_000_000)
        return Balance(money, Decimal(0), money, money)

    def keep_alive(self) -> None:
        self._connection.request("GET", "/orders", headers=HEADERS)

    def abort(self) -> None:
        self._connection.abort()

    def close(self) -> None:
        self._connection.close()


def _nobody(_report: OrderReport) -> None:
    """Who hears of orders before anybody has connected."""


def _filled(order_id: str, request: OrderRequest) -> OrderReport:
    return OrderReport(
        order_id,
        OrderState.FILLED,
        client_id=request.client_id,
        quantity=request.quantity,
        filled_quantity=request.quantity,
        average_price=PRICE,
        fills=(BrokerFill(f"T{order_id}", request.quantity, PRICE, time.time()),),
    )


def _noting(permit: Permit, request: OrderRequest, told: OnWritten) -> Permit:
    """The permit, and the moment at which what was done under it had been done."""

    @contextmanager
    def noting() -> Iterator[None]:
        with permit():
            yield
            told(request, time.perf_counter())

    return noting
