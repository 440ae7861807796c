"""The benchmark's own trading system does what a live one does: each order of a signal reaches the broker once, and a crossed stop leaves once."""

from __future__ import annotations

import http.client
import json
import time

from engines.core.model import ExitSpec, OrderState, Side
from engines.ports import OrderRequest
from tests.bench.rig import PRICE, rig, tick
from tests.bench.stops import STOP_POINTS
from tests.bench.stub_broker import stub_broker

SYMBOL = "BINANCE:BENCH0001"


def seen(port: int) -> dict[str, int]:
    """How often the stub broker was sent each client id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/orders")
    answer: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_a_signal_reaches_every_account_at_once_and_each_order_reaches_the_broker_once() -> None:
    with stub_broker(300) as port, rig(port, accounts=8, symbols=2) as made:
        orders, quickest = [], 1e9
        for _ in range(6):  # a machine that stands still now and then does so once or twice
            outcome = made.buy(SYMBOL)
            made.wait_filled()
            orders += outcome.orders
            assert len(outcome.orders) == 8
            assert {order.state for order in outcome.orders} <= {OrderState.OPEN, OrderState.FILLED}
            quickest = min(quickest, outcome.timing.last_acknowledged_ms or 1e9)
            if quickest < 8 * 300:
                break
        assert seen(port) == {order.order_id: 1 for order in orders}
        assert 300 <= quickest < 8 * 300, "one after the other would take eight times as long"


def test_a_crossed_stop_is_written_once_for_each_holder() -> None:
    written: list[OrderRequest] = []
    with stub_broker(0) as port, rig(port, accounts=3, symbols=2, on_written=lambda request, _at: written.append(request)) as made:
        made.buy(SYMBOL, exits=ExitSpec(stop_points=STOP_POINTS))
        made.wait_filled()
        entries = len(written)
        for price in (PRICE - float(STOP_POINTS) - 0.05, PRICE, PRICE - 5):
            made.feed.push([tick(SYMBOL, price)])
        until = time.monotonic() + 30
        while any(desk.open_positions() for desk in made.system.roster.desks()):
            assert time.monotonic() < until, "a position was left open"
        assert [(request.side, request.reduce_only) for request in written[entries:]] == [(Side.SELL, True)] * 3
        assert set(seen(port).values()) == {1}
