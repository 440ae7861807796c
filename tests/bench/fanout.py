"""One signal to many accounts at once: from the signal to the answer of the last account's broker, which takes 50 ms to answer.

The way is that of every live order: plan, check, reserve, journal (flushed), lane, gate, limiter, transport. The floor is the same requests to the
same broker over raw sockets in the same run.
"""

from __future__ import annotations

import time

from engines.core.model import OrderState
from tests.bench.figures import Figure, quantile
from tests.bench.floor import fan_out_ms
from tests.bench.rig import Rig, rig, tick
from tests.bench.stub_broker import stub_broker

DELAY_MS = 50.0
ROUNDS = 40
WARM = 5
PUSH_AFTER = 0.1  # seconds behind the answer
TARGETS: dict[int, tuple[float, float | None]] = {50: (65.0, 80.0), 200: (100.0, None)}
SYMBOL = "BINANCE:BENCH0000"


def measure(name: str, rounds: int = ROUNDS) -> list[Figure]:
    accounts = int(name.rpartition("-")[2])
    with stub_broker(DELAY_MS) as port:
        floor = fan_out_ms(port, accounts, rounds)
        with rig(port, accounts=accounts, symbols=30, push_after=PUSH_AFTER) as made:
            laps = [_round(made) for _ in range(WARM + rounds)][WARM:]
    p50, p99 = TARGETS[accounts]
    about = f"signal → last of {accounts} accounts acknowledged, broker answers in {DELAY_MS:.0f} ms"
    planned, sent, acknowledged = ([lap[i] for lap in laps] for i in range(3))
    notes = {"journaled_ms_p50": round(quantile(planned, 0.5), 2), "last_sent_ms_p50": round(quantile(sent, 0.5), 2), "rounds": rounds}
    return [
        Figure(f"{name}-p50", f"{about}, p50", quantile(acknowledged, 0.5), "ms", p50, floor=quantile(floor, 0.5), notes=notes),
        Figure(f"{name}-p99", f"{about}, p99", quantile(acknowledged, 0.99), "ms", p99, floor=quantile(floor, 0.99)),
    ]


def _round(made: Rig) -> tuple[float, float, float]:
    """Milliseconds from the signal to: everything durable, last order sent, last order acknowledged."""
    made.feed.push([tick(SYMBOL)])
    started = time.perf_counter()
    outcome = made.buy(SYMBOL)
    wall = (time.perf_counter() - started) * 1000
    states = {order.state for order in outcome.orders}
    assert states <= {OrderState.OPEN, OrderState.FILLED}, (states, {order.reason for order in outcome.orders})
    timing = outcome.timing
    assert timing.journaled_ms is not None
    assert timing.last_sent_ms is not None
    assert timing.last_acknowledged_ms is not None
    assert timing.last_acknowledged_ms <= wall
    made.wait_filled()
    return timing.journaled_ms, timing.last_sent_ms, timing.last_acknowledged_ms
