"""The adapter of the stub broker: a Broker like any other, over the transport that real brokers use.

Serialising, permit, write, answer and the errors are those of a real adapter; only the broker behind it is made of nothing but delay.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import count

from engines.brokers.transport import Connection
from engines.core.model import OrderState
from engines.ports import Balance, BrokerFill, BrokerPosition, BrokerTraits, OrderReport, OrderRequest, Permit

OnWritten = Callable[[OrderRequest, float], None]
HEADERS = {"Content-Type": "application/json", "Authorization": "token stub:stub"}


class StubAdapter:
    """One account at the stub broker. `on_written(request, moment)` is told when the last byte of an order has been written."""

    traits = BrokerTraits(absent_after=1.0)

    def __init__(self, port: int, *, on_written: OnWritten | None = None) -> None:
        self._connection = Connection("127.0.0.1", port)
        self._trades = count(1)
        self._on_written = on_written

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
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
        return OrderReport(
            answer["order_id"],
            OrderState.FILLED,
            client_id=request.client_id,
            quantity=request.quantity,
            filled_quantity=request.quantity,
            average_price=Decimal(100),
            fills=(BrokerFill(f"{answer['order_id']}-{next(self._trades)}", request.quantity, Decimal(100), time.time()),),
        )

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        return None

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> OrderReport | None:
        return None

    def order_book(self) -> Sequence[OrderReport]:
        return ()

    def positions(self) -> Sequence[BrokerPosition]:
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


def _noting(permit: Permit, request: OrderRequest, told: OnWritten) -> Permit:
    """The permit, and the moment at which what was done under it had been done."""

    @contextmanager
    def noting() -> Iterator[None]:
        with permit():
            yield
            told(request, time.perf_counter())

    return noting
