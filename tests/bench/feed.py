"""Real prices at full load: 9,000 instruments on three connections, each with a frame of all its packets four times a second, from a server of its own.

What is measured is the processor time of the whole serving process while every tick goes the way it goes in earnest (decoded, price table, paper
exchange, 9,000 armed stops, candles), and how soon a server that is stopped in mid-stream is noticed. The floor is the same bytes received and dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from aiohttp import WSMsgType, web

from app.data import Actor, open_data
from app.launch.interpreter import hand_over_soon, keep_what_is_there
from app.live import Hub
from engines.brokers.socket import SocketClient, Target
from engines.brokers.tools import KiteEndpoints
from engines.core.model import Account, Instrument, Tick, Timeframe
from engines.core.triggers import Level
from engines.market.streams.book import Book
from engines.market.streams.kite import KiteStream
from engines.market.streams.live import LiveMarket, StreamEndpoints
from engines.ports import (
    Balance,
    BrokerPosition,
    BrokerTraits,
    Listing,
    OrderReport,
    OrderRequest,
    Permit,
    RandomIds,
    Refused,
    StreamKey,
    SystemClock,
)
from engines.system import TradingSystem
from tests.bench.figures import Figure, quantile
from tests.support.broker import QuietBroker

ROOT = Path(__file__).resolve().parents[2]
INSTRUMENTS = 9_000
A_SOCKET = 3_000
FRAMES_A_SECOND = 4
SECONDS = 8.0
WATCHED = 200  # instruments whose candles somebody watches
SYMBOLS = [f"NSE:FEED{number:04d}" for number in range(INSTRUMENTS)]
TOKENS = [str((number + 1) * 256 + 1) for number in range(INSTRUMENTS)]


def measure(_name: str, seconds: float = SECONDS) -> list[Figure]:
    hand_over_soon()
    with feed_server() as server, receiving(server):
        floor = share(seconds / 2)
    with feed_server() as server, serving(server) as made:
        keep_what_is_there()
        before = made.ticks
        used = share(seconds)
        ticks = (made.ticks - before) / seconds
        noticed, back = freeze(server, made)
    expected = INSTRUMENTS * FRAMES_A_SECOND
    assert ticks > expected * 0.9, f"only {ticks:.0f} ticks a second went through, {expected} were sent"
    about = f"{INSTRUMENTS:,} instruments, {expected:,} full ticks a second on 3 connections"
    notes = {"ticks_a_second": round(ticks), "microseconds_a_tick": round(used / 100 * 1e6 / ticks, 2)}
    return [
        Figure("feed-decode", "one frame of 3,000 full packets → ticks", decode_ms(), "ms", 5),
        Figure("feed-cpu", f"{about}: share of one core, decoding to candles", used, "%", 25, floor=floor, notes=notes),
        Figure(
            "feed-freeze",
            "price server stopped in mid-stream → told, prices stale",
            noticed,
            "s",
            5,
            notes={"fresh_again_s": round(back, 2)},
        ),
    ]


def decode_ms(rounds: int = 50) -> float:
    """The median of so many frames."""
    dialect, book, laps = KiteStream(KiteEndpoints()), Book(), []
    for symbol, token in zip(SYMBOLS[:A_SOCKET], TOKENS, strict=False):
        dialect.enter(book, Listing(symbol, "zerodha", token, "NSE", symbol[4:]))
    frames = Frames([int(token) for token in TOKENS[:A_SOCKET]])
    for _ in range(rounds):
        frame, began = frames.next(), time.perf_counter()
        assert len(dialect.decode(frame, book, time.time())) == A_SOCKET
        laps.append((time.perf_counter() - began) * 1000)
    return quantile(laps, 0.5)


def share(seconds: float) -> float:
    """Per cent of one core that this process uses over so many seconds."""
    cpu, began = time.process_time(), time.perf_counter()
    time.sleep(seconds)
    return (time.process_time() - cpu) / (time.perf_counter() - began) * 100


# --- the serving side ----------------------------------------------------------------------------------------------------


class Made:
    """The running system, and what its streams have done so far."""

    def __init__(self) -> None:
        self.market: LiveMarket | None = None
        self.ticks = 0
        self.troubles: list[float] = []

    def stale(self) -> bool:
        assert self.market is not None
        return any(self.market.silence(symbol) is None for symbol in SYMBOLS[:: A_SOCKET // 2])


@contextmanager
def serving(server: FeedServer) -> Iterator[Made]:
    clock, made = SystemClock(), Made()

    def live_market(
        on_ticks: Callable[[Sequence[Tick]], None], on_trouble: Callable[[str, str, str], None], on_clear: Callable[[str], None]
    ) -> LiveMarket:
        def counted(ticks: Sequence[Tick]) -> None:
            on_ticks(ticks)
            made.ticks += len(ticks)

        def told(kind: str, severity: str, message: str) -> None:
            made.troubles.append(time.perf_counter())
            on_trouble(kind, severity, message)

        endpoints = StreamEndpoints(KiteEndpoints(ws_root=server.url))
        made.market = LiveMarket(
            clock=clock, rng=random.Random(1), master=Listed(), endpoints=endpoints, on_ticks=counted, on_trouble=told, on_clear=on_clear
        )
        return made.market

    with tempfile.TemporaryDirectory() as folder, open_data(Path(folder) / "data", exclusive=True) as data:
        by = Actor(user_id=None, via="cli")
        user = data.users.add("bench@example.com", "a long enough password", by=by)
        data.accounts.add(Account("", user.user_id, "Bench", "zerodha", Decimal(10**9)), {}, by=by)
        system = TradingSystem(
            journal=data.journal,
            latch=data.latch,
            directory=data.directory,
            notifier=Hub(clock),
            clock=clock,
            ids=RandomIds(clock),
            feed=SilentFeed(),
            brokers={"zerodha": lambda account, _credentials: SignedIn(account)},
            live_market=live_market,
        )
        system.start()
        try:
            for number, symbol in enumerate(SYMBOLS):
                system.guard._book.set(f"P{number}", [Level(f"P{number}", "stop", symbol, 1.0, "down")])
            system.candle_store.watch([(symbol, Timeframe.M5) for symbol in SYMBOLS[:: INSTRUMENTS // WATCHED]])
            until(lambda: not made.stale(), 20, "no prices")
            yield made
        finally:
            system.stop()


@contextmanager
def receiving(server: FeedServer) -> Iterator[None]:
    """The same connections and frames, and nothing done with them."""
    dialect, clients = KiteStream(KiteEndpoints(ws_root=server.url)), []
    arrived = [0, 0, 0]
    for number in range(3):
        listings = [Listing("", "zerodha", token, "NSE", "") for token in TOKENS[number * A_SOCKET : (number + 1) * A_SOCKET]]

        def take(_message: str | bytes, number: int = number) -> None:
            arrived[number] += 1

        def subscribe(number: int = number, listings: list[Listing] = listings) -> None:
            for message in dialect.subscribe(listings, ""):
                clients[number].send(message)

        client = SocketClient(
            f"floor-{number}", lambda: Target(server.url), on_open=subscribe, on_message=take, clock=SystemClock(), rng=random.Random(1)
        )
        clients.append(client)
        client.start()
    until(lambda: all(count > 2 for count in arrived), 10, "no frames")
    try:
        yield
    finally:
        for client in clients:
            client.close()


def freeze(server: FeedServer, made: Made) -> tuple[float, float]:
    """Seconds from the stop of the server until it is told and every price is stale; and from its going on until all are fresh again."""
    made.troubles.clear()
    server.stop()
    stopped = time.perf_counter()
    try:
        until(lambda: made.troubles and made.stale(), 20, "the freeze was never told")
        noticed = time.perf_counter() - stopped
    finally:
        server.go_on()
    going = time.perf_counter()
    until(lambda: not made.stale(), 60, "no prices after the freeze")
    return noticed, time.perf_counter() - going


def until(condition: Callable[[], object], patience: float, otherwise: str) -> None:
    pause, deadline = threading.Event(), time.perf_counter() + patience
    while not condition():
        assert time.perf_counter() < deadline, otherwise
        pause.wait(0.005)


class SilentFeed:
    """Names the instruments and leaves their prices to the broker."""

    source = "bench"
    finished = True

    def instruments(self) -> Sequence[Instrument]:
        return [Instrument(symbol, symbol, "NSE", Decimal("0.05")) for symbol in SYMBOLS]

    def prime(self) -> Sequence[Tick]:
        return ()

    def start(self, on_ticks: Callable[[Sequence[Tick]], None]) -> None:
        """Nothing to tell."""

    def stop(self) -> None:
        """Nothing to stop."""


class Listed:
    """Zerodha lists them all."""

    def __init__(self) -> None:
        self._rows = {symbol: Listing(symbol, "zerodha", token, "NSE", symbol[4:]) for symbol, token in zip(SYMBOLS, TOKENS, strict=True)}

    def get(self, symbol: str) -> Instrument | None:
        return None

    def search(self, q: str, exchange: str | None = None, limit: int = 20) -> Sequence[Instrument]:
        return ()

    def listing(self, broker: str, symbol: str) -> Listing | None:
        return self._rows.get(symbol) if broker == "zerodha" else None

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None:
        return None

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None:
        return None

    def loaded_at(self, broker: str) -> float | None:
        return None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Never."""


class SignedIn(QuietBroker):
    """An account that trades nothing and lends its session to the stream."""

    traits = BrokerTraits()

    def __init__(self, account: Account) -> None:
        self._account = account

    def stream_key(self) -> StreamKey:
        return StreamKey(self._account.account_id, {"api_key": "bench", "access_token": "bench"})

    def connect(self, on_report: Callable[[OrderReport], None]) -> None:
        """Always."""

    def place(self, request: OrderRequest, permit: Permit) -> OrderReport:
        raise Refused("prices only")

    def cancel(self, broker_order_id: str, request: OrderRequest) -> None:
        """There is none."""

    def modify(
        self, broker_order_id: str, request: OrderRequest, *, quantity: Decimal | None, price: Decimal | None, trigger_price: Decimal | None
    ) -> None:
        """There is none."""

    def order_book(self) -> Sequence[OrderReport]:
        return ()

    def positions(self) -> Sequence[BrokerPosition]:
        return ()

    def balance(self) -> Balance:
        return Balance(Decimal(0), Decimal(0), Decimal(0), Decimal(0))

    def keep_alive(self) -> None:
        """Nothing to keep."""

    def abort(self) -> None:
        """Nothing to cut."""

    def close(self) -> None:
        """Nothing to close."""


# --- the server, a process of its own --------------------------------------------------------------------------------------


class FeedServer:
    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.url = process, f"ws://127.0.0.1:{port}"

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def feed_server() -> Iterator[FeedServer]:
    command = [sys.executable, "-m", "tests.bench.feed"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield FeedServer(process, int(process.stdout.readline()))
        finally:
            process.stdin.close()


class Frames:
    """A frame of full packets, one for each token; every turn moves every price, its volume and its time."""

    _PACKET = 186
    _HEAD = struct.Struct(">II8xI")

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tokens
        self._turn = 0
        packets = []
        for token in tokens:
            depth = b"".join(struct.pack(">IIHxx", 10, 100_000 + level, 1) for level in range(10))
            packets.append(struct.pack(">H16I", 184, token, *([100_000] * 15)) + depth)
        self._frame = bytearray(struct.pack(">H", len(tokens)) + b"".join(packets))

    def next(self) -> bytes:
        self._turn += 1
        now = int(time.time())
        for number, token in enumerate(self._tokens):
            place = 4 + number * self._PACKET
            self._HEAD.pack_into(self._frame, place, token, 100_000 + (self._turn * 7 + number) % 500, self._turn * 25)
            struct.pack_into(">I", self._frame, place + 44, now)
        return bytes(self._frame)


async def _stream(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=0)
    await socket.prepare(request)
    tokens: list[int] = []

    async def push() -> None:
        frames: Frames | None = None
        due = time.monotonic()
        while not socket.closed:
            due = max(due + 1 / FRAMES_A_SECOND, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            if tokens and (frames is None or len(frames._tokens) != len(tokens)):
                frames = Frames(list(tokens))
            if frames is not None:
                with contextlib.suppress(ConnectionError):
                    await socket.send_bytes(frames.next())

    pushing = asyncio.create_task(push())
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            said = json.loads(message.data)
            if said["a"] == "subscribe":
                tokens += said["v"]
    pushing.cancel()
    return socket


async def _serve() -> None:
    application = web.Application()
    application.router.add_get("/", _stream)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(_serve())
