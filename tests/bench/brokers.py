"""One signal to fifty accounts at real brokers: the official SDKs build and parse every call, an emulated broker answers each after 50 ms.

From the signal to the last acknowledgement, over the whole way of a live order. Mixed: a third each at Zerodha, Angel One and Binance, their signals given
at the same moment, for no instrument is listed at all of them. The floor is raw sockets to the same emulator in the same run.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from app.data import Actor, open_data
from app.launch.interpreter import hand_over_soon, keep_what_is_there
from app.live import Hub
from engines.brokers.makers import makers
from engines.brokers.tools import BrokerTools
from engines.core.model import Account, OrderState, Side, Signal, Source, Tick
from engines.core.sessions import Calendar
from engines.execution.views import SignalOutcome
from engines.ports import RandomIds, SystemClock
from engines.system import EngineSettings, TradingSystem
from tests.bench.emulated import Place, emulated
from tests.bench.figures import Figure, quantile
from tests.contract.venues import VENUES, EmulatorMaster, MemorySessions, Venue, endpoints_at
from tests.execution.house import HandFeed

DELAY_MS = 50.0
ROUNDS, WARM = 30, 4
P50, P99 = 70.0, 90.0
MIXES = {
    "fanout-zerodha-50": {"zerodha": 50},
    "fanout-mixed-50": {"zerodha": 17, "angelone": 17, "binance_spot": 8, "binance_usdm": 8},
}
BY = Actor(user_id=None, via="cli")
ALWAYS_OPEN = Calendar(hours={}, holidays=frozenset(), special={}, years=frozenset())
BREATH = 0.6
"""Seconds between two rounds, so that the brokers' ten orders a second are never what is measured."""


@dataclass(frozen=True, slots=True)
class LiveRig:
    system: TradingSystem
    feed: HandFeed
    user_id: str
    accounts: dict[str, tuple[str, ...]]  # kind → account ids
    ids: RandomIds
    venues: dict[str, Venue]

    def round(self) -> tuple[float, float]:
        """Milliseconds from the signal to the last order sent and to the last acknowledged."""
        groups: dict[str, list[str]] = {}
        for kind, accounts in self.accounts.items():
            groups.setdefault(self.venues[kind].symbol, []).extend(accounts)
        outcomes: list[SignalOutcome] = []
        begun = threading.Barrier(len(groups))
        threads = [threading.Thread(target=self._send, args=(symbol, accounts, begun, outcomes)) for symbol, accounts in groups.items()]
        self.feed.batch([self._tick(symbol) for symbol in groups])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        states = {order.state for outcome in outcomes for order in outcome.orders}
        assert states <= {OrderState.OPEN, OrderState.PARTLY_FILLED, OrderState.FILLED}, [
            o.reason for x in outcomes for o in x.orders if o.reason
        ]
        return (
            max(outcome.timing.last_sent_ms or 0.0 for outcome in outcomes),
            max(outcome.timing.last_acknowledged_ms or 0.0 for outcome in outcomes),
        )

    def _send(self, symbol: str, accounts: list[str], begun: threading.Barrier, outcomes: list[SignalOutcome]) -> None:
        venue = next(venue for venue in self.venues.values() if venue.symbol == symbol)
        key = self.ids.new()
        signal = Signal(
            key=key,
            signal_id=key,
            user_id=self.user_id,
            source=Source.MANUAL,
            symbol=symbol,
            side=Side.BUY,
            created_at=time.time(),
            quantity=venue.lot * 10,
            account_ids=tuple(accounts),
        )
        begun.wait()
        outcomes.append(self.system.submit(signal, 10.0))

    def _tick(self, symbol: str) -> Tick:
        venue = next(venue for venue in self.venues.values() if venue.symbol == symbol)
        price = float(venue.price)
        return Tick(symbol, price, price - float(venue.tick), price + float(venue.tick), time.time(), 1.0)

    def wait_filled(self) -> None:
        until = time.monotonic() + 20
        while any(desk.live_orders() for desk in self.system.roster.desks()):
            assert time.monotonic() < until, "some orders were never filled"
            time.sleep(0.01)
        time.sleep(BREATH)


@contextmanager
def live_rig(places: list[Place], counts: dict[str, int]) -> Iterator[LiveRig]:
    hand_over_soon()
    clock, ids = SystemClock(), RandomIds()
    venues = {venue.kind: venue for venue in VENUES if venue.kind in counts}
    master = EmulatorMaster(*{venue.emulated_by: venue.emulator() for venue in venues.values()}.values())
    endpoints = {name: address for place in places for name, address in place.endpoints.items()}
    with tempfile.TemporaryDirectory() as folder, open_data(Path(folder) / "data", exclusive=True) as data:
        user = data.users.add("bench@example.com", "a long enough password", by=BY)
        made: dict[str, tuple[str, ...]] = {}
        for kind, count in counts.items():
            credentials = [row for place in places for row in place.accounts.get(kind, ())]
            made[kind] = tuple(
                data.accounts.add(Account("", user.user_id, f"{kind} {n}", kind, Decimal(10**9)), credentials[n], by=BY).account.account_id
                for n in range(count)
            )
        feed = HandFeed(*(master.instruments[venue.symbol] for venue in venues.values()))
        feed.prices = {venue.symbol: float(venue.price) for venue in venues.values()}
        system = TradingSystem(
            journal=data.journal,
            latch=data.latch,
            directory=data.directory,
            notifier=Hub(clock),
            clock=clock,
            ids=ids,
            feed=feed,
            brokers=makers(BrokerTools(clock, MemorySessions(), master, random.Random(7)), endpoints_at(endpoints)),
            settings=EngineSettings(connect_patience=30.0),
            calendar=ALWAYS_OPEN,
        )
        system.start()
        assert all(desk.ready for desk in system.roster.desks()), {desk.state_detail for desk in system.roster.desks()}
        keep_what_is_there()
        try:
            yield LiveRig(system, feed, user.user_id, made, ids, venues)
        finally:
            system.stop()


def measure(name: str) -> list[Figure]:
    counts = MIXES[name]
    with contextlib.ExitStack() as stack:
        places = []
        for which in dict.fromkeys(venue.emulated_by for venue in VENUES if venue.kind in counts):
            mine = {venue.kind: counts[venue.kind] for venue in VENUES if venue.emulated_by == which and venue.kind in counts}
            places.append(stack.enter_context(emulated(which, mine, DELAY_MS)))
        floor = _floor_ms(places[0], next(iter(counts)), sum(counts.values()))
        with live_rig(places, counts) as rig:
            laps = []
            for number in range(WARM + ROUNDS):
                lap = rig.round()
                rig.wait_filled()
                if number >= WARM:
                    laps.append(lap)
    sent, acknowledged = [lap[0] for lap in laps], [lap[1] for lap in laps]
    about = f"signal → last of {sum(counts.values())} accounts acknowledged through the real SDKs ({', '.join(counts)}), brokers answer in {DELAY_MS:.0f} ms"
    notes = {"last_sent_ms_p50": round(quantile(sent, 0.5), 2), "rounds": ROUNDS}
    return [
        Figure(f"{name}-p50", f"{about}, p50", quantile(acknowledged, 0.5), "ms", P50, floor=quantile(floor, 0.5), notes=notes),
        Figure(f"{name}-p99", f"{about}, p99", quantile(acknowledged, 0.99), "ms", P99, floor=quantile(floor, 0.99)),
    ]


def _floor_ms(place: Place, kind: str, count: int) -> list[float]:
    """The same number of order requests to the first emulator, written by nobody but the operating system's sockets."""
    assert kind == "zerodha", "the floor speaks Kite"
    credentials = place.accounts[kind]
    host = urlsplit(place.endpoints["KITE_API_ROOT"])
    sockets = [socket.create_connection((host.hostname, host.port)) for _ in range(count)]
    requests = [_kite_order(credentials[number % len(credentials)]) for number in range(count)]
    laps = []
    try:
        with selectors.DefaultSelector() as ready:
            for sock in sockets:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(sock, selectors.EVENT_READ)
            for _ in range(10):
                started = time.perf_counter()
                for sock, request in zip(sockets, requests, strict=True):
                    sock.sendall(request)
                waiting = count
                while waiting:
                    for key, _ in ready.select():
                        answer = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        assert answer.startswith(b"HTTP/1.1 200"), answer
                        waiting -= 1
                laps.append((time.perf_counter() - started) * 1000)
                time.sleep(0.2)
    finally:
        for sock in sockets:
            sock.close()
    return laps[2:]


def _kite_order(credentials: dict[str, str]) -> bytes:
    fields = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 1,
        "product": "MIS",
        "order_type": "MARKET",
        "market_protection": -1,
    }
    body = urlencode(fields).encode()
    head = (
        "POST /orders/regular HTTP/1.1\r\nHost: kite\r\nX-Kite-Version: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Authorization: token {credentials['api_key']}:{credentials['access_token']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
