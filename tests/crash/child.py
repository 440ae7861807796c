"""The program that is killed: the real engines and the real database, trading at the ledger over HTTP.

`act` buys with a stop, lets the stop fire, buys again and stops everything; `recover` starts on the same folder, waits until all is settled, lets
what is guarded go, and prints the books as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.data import Actor, journal, open_data
from engines.brokers.transport import Connection
from engines.core.model import UNSETTLED_STATES, Account, ExitSpec, HaltScope, Order, OrderState, Side, Signal, Source
from engines.core.sessions import Calendar
from engines.ports import Balance, BrokerFill, BrokerTraits, OrderReport, OrderRequest, Permit, RandomIds, SystemClock
from engines.system import EngineSettings, TradingSystem
from tests.execution.house import INFY, HandFeed, ListNotifier
from tests.support.broker import QuietBroker

journal.WAIT = 30.0  # as in the rest of the suite: a shared machine may stand still for longer than the product waits


class LedgerBroker(QuietBroker):
    traits = BrokerTraits(absent_after=0.2)

    def __init__(self, port: int) -> None:
        self._connection = Connection("127.0.0.1", port)

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        return None

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        order = {"client_id": request.client_id, "side": request.side.value, "quantity": str(request.quantity)}
        answer = self._connection.request("POST", "/orders", body=json.dumps(order).encode(), permit=permit)
        return _report(json.loads(answer.body))

    def cancel(self, broker_order_id: str, request: OrderRequest) -> OrderReport | None:
        return None

    def modify(self, broker_order_id: str, request: OrderRequest, **changes: Decimal | None) -> OrderReport | None:
        return None

    def order_book(self) -> Sequence[OrderReport]:
        return [_report(order) for order in json.loads(self._connection.request("GET", "/orders").body)]

    def balance(self) -> Balance:
        return Balance(Decimal(0), Decimal(0), Decimal(0), Decimal(0))

    def keep_alive(self) -> None:
        return None

    def abort(self) -> None:
        self._connection.abort()

    def close(self) -> None:
        self._connection.close()


def _report(order: Mapping[str, Any]) -> OrderReport:
    quantity = Decimal(order["quantity"])
    fill = BrokerFill(f"F{order['order_id']}", quantity, Decimal(100), SystemClock().now())
    return OrderReport(
        order["order_id"],
        OrderState.FILLED,
        client_id=order["client_id"],
        quantity=quantity,
        filled_quantity=quantity,
        average_price=Decimal(100),
        fills=(fill,),
    )


class Program:
    broker: type[LedgerBroker] = LedgerBroker

    def __init__(self, folder: Path, port: int) -> None:
        self.data = open_data(folder, exclusive=True)
        actor = Actor(None, "tests")
        if self.data.users.count() == 0:
            user = self.data.users.add("owner@example.com", "correct horse battery", by=actor)
            account = Account("", user.user_id, "wire", "zerodha", Decimal(1_000_000), auto_trade=True)
            self.data.accounts.add(account, {}, by=actor)
        (self.row,) = self.data.accounts.list(None)
        self.feed = HandFeed(INFY)
        self.ids = RandomIds()
        self.notifier = ListNotifier()
        self.system = TradingSystem(
            journal=self.data.journal,
            latch=self.data.latch,
            directory=self.data.directory,
            notifier=self.notifier,
            clock=SystemClock(),
            ids=self.ids,
            feed=self.feed,
            brokers={"zerodha": lambda account, credentials: self.broker(port)},
            settings=EngineSettings(max_price_age=60.0),
            calendar=Calendar(hours={}, holidays=frozenset(), special={}, years=frozenset()),
        )
        self.system.start()

    def signal(self, name: str, side: Side, **terms: Any) -> Signal:
        account = self.row.account
        return Signal(
            key=self.ids.new(),
            signal_id=name,
            user_id=account.user_id,
            source=Source.MANUAL,
            symbol=INFY.symbol,
            side=side,
            created_at=SystemClock().now(),
            account_ids=(account.account_id,),
            **terms,
        )

    def buy(self, name: str) -> None:
        self.system.submit(self.signal(name, Side.BUY, quantity=Decimal(10), exits=ExitSpec(stop_price=Decimal(95))), 30)

    def desk(self) -> Any:
        return self.system.roster.desk(self.row.account.account_id)

    def until(self, true: Callable[[], object]) -> None:
        pause = threading.Event()
        for _ in range(6000):
            if true():
                return
            pause.wait(0.005)
        raise SystemExit("it did not come true in time")

    def flat(self) -> bool:
        return not self.desk().open_positions() and not self.desk().live_orders()

    def act(self) -> None:
        self.buy("one")
        self.feed.price(INFY.symbol, 94.0)
        self.until(self.flat)
        self.feed.price(INFY.symbol, 100.0)
        self.buy("two")
        self.system.emergency_stop(HaltScope.SYSTEM, None, "drill", self.row.account.user_id)
        self.until(self.flat)

    def written(self) -> Sequence[Order]:
        """The orders of the books, once what is settled in memory has come to be written."""

        def orders() -> Sequence[Order]:
            self.data.journal.commit()
            return self.data.books.orders(None, limit=500).items

        self.until(lambda: not any(order.state in UNSETTLED_STATES for order in orders()))
        return orders()

    def recover(self) -> dict[str, Any]:
        """Settle everything, then let what is still held leave through the stop that guards it."""
        self.until(lambda: self.desk().ready)
        self.until(
            lambda: not any(o.state in (OrderState.PLANNED, OrderState.SENDING, OrderState.UNKNOWN) for o in self.desk().live_orders())
        )
        held = [str(p.quantity) for p in self.desk().open_positions()]
        self.feed.price(INFY.symbol, 94.0)
        self.until(self.flat)
        orders = self.written()
        return {
            "held_at_start": held,
            "orders": {order.order_id: order.state.value for order in orders},
            "halts": [halt.halt_id for halt in self.system.halts()],
            "positions": [str(row.position.quantity) for row in self.data.books.positions(None, flat=True).items],
        }


def main(mode: str, folder: str, port: str) -> None:
    program = Program(Path(folder), int(port))
    answer = program.act() if mode == "act" else program.recover()
    program.system.stop()
    program.data.close()
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
