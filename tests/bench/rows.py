"""The rows of the table by name, in its order; each module has `measure(name) -> list[Figure]`."""

from __future__ import annotations

ROWS = {
    "fanout-50": "tests.bench.fanout",
    "fanout-200": "tests.bench.fanout",
    "fanout-zerodha-50": "tests.bench.brokers",
    "fanout-mixed-50": "tests.bench.brokers",
    "feed": "tests.bench.feed",
    "master": "tests.bench.master",
    "order-sequential": "tests.bench.orders",
    "orders-at-once": "tests.bench.orders",
    "orders-lost": "tests.bench.orders",
    "stop": "tests.bench.stops",
    "strategy-rate": "tests.bench.strategy",
    "backtest-rate": "tests.bench.backtest",
    "backtest-peers": "tests.bench.peers",
    "backtest-many": "tests.bench.many",
    "messages": "tests.bench.messages",
    "messages-fanout": "tests.bench.messages",
    "start": "tests.bench.start",
    "first-page": "tests.bench.page",
    "suite": "tests.bench.suite",
}
