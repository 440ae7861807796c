"""A whole trading system in this process, with a real data service, many accounts at the stub broker, and prices that a benchmark pushes itself.

Nothing in it is made faster than in earnest: every order is planned, checked, journaled and flushed before it leaves, and fills are booked.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from app.data import Actor, Data, open_data
from app.launch.interpreter import hand_over_soon, keep_what_is_there
from app.live import Hub
from engines.core.model import Account, ExitSpec, Instrument, Side, Signal, Source, Tick
from engines.execution.views import SignalOutcome
from engines.ports import RandomIds, SystemClock
from engines.system import TradingSystem
from tests.bench.stub_adapter import OnWritten, Pushes, StubAdapter

BROKER = "binance_spot"  # any live kind: its market never closes, so the figure is the same on a Sunday
PRICE = 100.0
BY = Actor(user_id=None, via="cli")


def instruments(count: int) -> tuple[Instrument, ...]:
    return tuple(Instrument(f"BINANCE:BENCH{number:04d}", f"Bench {number}", "BINANCE", Decimal("0.01")) for number in range(count))


def tick(symbol: str, price: float = PRICE) -> Tick:
    return Tick(symbol, price, price - 0.01, price + 0.01, time.time(), 1.0)


class PushFeed:
    """A feed whose ticks come from whoever calls `push`, on the caller's thread."""

    source = "bench"
    finished = False

    def __init__(self, count: int) -> None:
        self._instruments = instruments(count)
        self._on_ticks: Callable[[Sequence[Tick]], None] | None = None

    def instruments(self) -> Sequence[Instrument]:
        return self._instruments

    def prime(self) -> Sequence[Tick]:
        return [tick(instrument.symbol) for instrument in self._instruments]

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        self._on_ticks = on_ticks

    def push(self, ticks: Sequence[Tick]) -> None:
        if self._on_ticks is not None:
            self._on_ticks(ticks)

    def stop(self) -> None:
        self._on_ticks = None


@dataclass(frozen=True, slots=True)
class Rig:
    system: TradingSystem
    feed: PushFeed
    data: Data
    user_id: str
    accounts: tuple[str, ...]
    ids: RandomIds
    clock: SystemClock

    def buy(self, symbol: str, *, accounts: tuple[str, ...] = (), exits: ExitSpec | None = None, wait: float = 60.0) -> SignalOutcome:
        """One manual signal for one unit on these accounts (default: all); waits until all are settled."""
        key = self.ids.new()
        signal = Signal(
            key=key,
            signal_id=key,
            user_id=self.user_id,
            source=Source.MANUAL,
            symbol=symbol,
            side=Side.BUY,
            created_at=self.clock.now(),
            quantity=Decimal(1),
            account_ids=accounts or self.accounts,
            exits=exits or ExitSpec(),
        )
        return self.system.submit(signal, wait)

    def wait_filled(self) -> None:
        """Until the fills of every order have been pushed and booked, and a moment more for what follows them."""
        until = time.monotonic() + 60
        desks = self.system.roster.desks()
        while any(desk.live_orders() for desk in desks):
            assert time.monotonic() < until, "some orders were never filled"
            time.sleep(0.01)
        time.sleep(0.05)


@contextmanager
def rig(port: int, *, accounts: int, symbols: int, push_after: float = 0.0, on_written: OnWritten | None = None) -> Iterator[Rig]:
    """Started, every account connected, prices there; fills are pushed `push_after` seconds behind the answer. The garbage
    collector and the interpreter are set as `serve` sets them."""
    hand_over_soon()
    clock = SystemClock()
    ids = RandomIds(clock)
    with tempfile.TemporaryDirectory() as folder, open_data(Path(folder) / "data", exclusive=True) as data:
        user = data.users.add("bench@example.com", "a long enough password", by=BY)
        made = tuple(
            data.accounts.add(Account("", user.user_id, f"Bench {number}", BROKER, Decimal(10**9)), {}, by=BY).account.account_id
            for number in range(accounts)
        )
        feed = PushFeed(symbols)
        pushes = Pushes(push_after)
        system = TradingSystem(
            journal=data.journal,
            latch=data.latch,
            directory=data.directory,
            notifier=Hub(clock),
            clock=clock,
            ids=ids,
            feed=feed,
            brokers={BROKER: lambda _account, _credentials: StubAdapter(port, pushes, on_written=on_written)},
        )
        system.start()
        keep_what_is_there()
        try:
            yield Rig(system, feed, data, user.user_id, made, ids, clock)
        finally:
            system.stop()
            pushes.close()
