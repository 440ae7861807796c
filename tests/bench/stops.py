"""From the tick that crosses a stop to the last byte of its exit written, while thousands of instruments tick and ten thousand stops are armed.

The clock starts when the feed hands over the batch that holds the crossing tick, and stops when the exit's bytes have been written to the broker's
socket; the exit is planned, journaled and flushed in between, as always.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from decimal import Decimal
from pathlib import Path

from engines.core.model import ExitSpec, Side
from engines.ports import OrderRequest
from tests.bench.figures import Figure, quantile
from tests.bench.rig import PRICE, Rig, instruments, rig, tick
from tests.bench.stub_broker import stub_broker

INSTRUMENTS = 3000
ACCOUNTS = 50
ARMED = 10_000
PROBES = 200
A_SWEEP = 4  # probes in each sweep over all instruments
BATCH = 200
SWEEP_SECONDS = 0.25
STOP_POINTS = Decimal(1)


class Written:
    """When the exits of each instrument had been written, last byte and all."""

    def __init__(self) -> None:
        self.moments: dict[str, list[float]] = {}
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self, request: OrderRequest, moment: float) -> None:
        if request.side is Side.SELL:
            with self._changed:
                self.moments.setdefault(request.instrument.symbol, []).append(moment)
                self.count += 1
                self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, timeout=10), f"{self.count} of {count} exits were written"


def measure(_name: str, armed: int = ARMED, probes: int = PROBES) -> list[Figure]:
    written = Written()
    with stub_broker(0.0) as port, rig(port, accounts=ACCOUNTS, symbols=INSTRUMENTS, on_written=written) as made:
        holders = arm(made, armed)
        assert made.system.guard.armed() == armed, made.system.guard.armed()
        probed = list(holders)[:probes]
        crossed = sweep(made, probed)
        written.wait_for(sum(len(holders[symbol]) for symbol in probed))
        flush = flushes(made.data.data_dir)
    laps = [(moment - crossed[symbol]) * 1000 for symbol, moments in written.moments.items() for moment in moments]
    assert len(laps) == sum(len(holders[symbol]) for symbol in probed), f"{len(laps)} exits"
    about = f"tick that crosses a stop → exit bytes written, {armed:,} armed triggers, {INSTRUMENTS:,} instruments ticking"
    notes = {"exits": len(laps), "worst": round(max(laps), 2)}
    return [
        Figure("stop-p50", f"{about}, p50", quantile(laps, 0.5), "ms", None, floor=quantile(flush, 0.5)),
        Figure("stop-p99", f"{about}, p99", quantile(laps, 0.99), "ms", 5, floor=quantile(flush, 0.99), notes=notes),
    ]


def flushes(folder: Path) -> list[float]:
    """Milliseconds that this disk takes to keep one page: no exit may leave before its own was kept."""
    laps = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            os.fsync(file.fileno())
            laps.append((time.perf_counter() - started) * 1000)
    return laps


def arm(made: Rig, armed: int) -> dict[str, tuple[str, ...]]:
    """That many guarded positions, spread evenly: symbol → the accounts that hold it."""
    everything = [instrument.symbol for instrument in instruments(INSTRUMENTS)]
    holders: dict[str, tuple[str, ...]] = {}
    for number in range(armed):
        symbol = everything[number % INSTRUMENTS]
        account = made.accounts[(number + number // INSTRUMENTS) % ACCOUNTS]  # never the same account twice for a symbol
        holders[symbol] = (*holders.get(symbol, ()), account)
    for number, (symbol, accounts) in enumerate(holders.items()):
        if number % BATCH == 0:  # prices that nobody renews grow stale, and entries on them are denied
            made.feed.push([tick(name) for name in everything])
        outcome = made.buy(symbol, accounts=accounts, exits=ExitSpec(stop_points=STOP_POINTS))
        assert all(order.sent_at for order in outcome.orders), outcome.orders
    made.wait_filled()
    return holders


def sweep(made: Rig, probes: list[str]) -> dict[str, float]:
    """Every instrument ticks four times a second; a few of the ticks cross a stop. Gives when the batch with each crossing was handed over."""
    everything = [instrument.symbol for instrument in instruments(INSTRUMENTS)]
    places = INSTRUMENTS // BATCH
    waiting = deque(probes)
    crossed: dict[str, float] = {}
    while waiting:
        began = time.perf_counter()
        probed = {(len(crossed) + step * places // A_SWEEP) % places for step in range(A_SWEEP)}
        for place in range(places):
            ticks = [tick(name) for name in everything[place * BATCH : (place + 1) * BATCH]]
            if place in probed and waiting:
                symbol = waiting.popleft()
                ticks.insert(len(crossed) * 13 % BATCH, tick(symbol, PRICE - float(STOP_POINTS) - 0.05))
                crossed[symbol] = time.perf_counter()
            made.feed.push(ticks)
            time.sleep(max(0.0, began + (place + 1) * SWEEP_SECONDS / places - time.perf_counter()))
    return crossed
