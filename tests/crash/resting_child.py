"""The program that is killed while a close at the market waits for an exit that rests: `act` buys, rests an exit at a price and then reduces at the market (`close`: by the position's
button), to die at the given point of that alone; `recover` starts on the same folder, settles, and prints what a person is told and what there is as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from engines import crashpoints
from engines.core.model import UNSETTLED_STATES, OrderState, OrderType, Side
from engines.ports import OrderReport, OrderRequest, Permit
from tests.crash import child


class RestingBroker(child.LedgerBroker):
    """The ledger as it keeps what has a price: open until it is cancelled."""

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        rests = {"rests": "open"} if request.order_type is OrderType.LIMIT else {}
        order = {"client_id": request.client_id, "side": request.side.value, "quantity": str(request.quantity)} | rests
        return self._ask(order, permit)

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport:
        return self._ask({"cancel": broker_order_id})

    def order_book(self) -> list[OrderReport]:
        return [report(order) for order in json.loads(self._connection.request("GET", "/orders").body)]

    def _ask(self, order: Mapping[str, Any], permit: Permit | None = None) -> OrderReport:
        answer = self._connection.request("POST", "/orders", body=json.dumps(order).encode(), permit=permit)
        return report(json.loads(answer.body))


def report(order: Mapping[str, Any]) -> OrderReport:
    if order.get("rests"):
        return OrderReport(order["order_id"], OrderState(order["rests"]), client_id=order["client_id"])
    return child._report(order)


class Program(child.Program):
    broker = RestingBroker

    def sell(self, name: str, **terms: Any) -> None:
        self.system.submit(self.signal(name, Side.SELL, reduce_only=True, **terms), 30)

    def reduce(self, how: str, point: str) -> None:
        self.buy("one")
        self.sell("rests", order_type=OrderType.LIMIT, price=Decimal(110), quantity=Decimal(10))
        self.until(lambda: any(order.state is OrderState.OPEN for order in self.desk().live_orders()))
        crashpoints._ARMED = point
        if how == "reduce":
            self.sell("now", quantity=None)
        else:
            self.system.close_position(self.desk().open_positions()[0].position_id, None)
        self.until(self.flat)

    def after(self) -> dict[str, Any]:
        self.until(lambda: self.desk().ready and not any(o.state in UNSETTLED_STATES for o in self.desk().session_orders()))
        self.until(lambda: not self.desk().open_positions() or "exit_failed" in self.notifier.incidents())
        orders = self.written()
        return {
            "held": sum(int(position.quantity) for position in self.desk().open_positions()),
            "orders": {order.order_id: f"{order.order_type.value} {order.state.value}" for order in orders if not order.raises_exposure},
            "told": self.notifier.incidents(),
        }


def main(mode: str, folder: str, port: str, point: str = "") -> None:
    program = Program(Path(folder), int(port))
    answer = program.reduce(mode, point) if mode != "recover" else program.after()
    program.system.stop()
    program.data.close()
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
