"""The emulated Kite's WebSocket: ticks that the official parser reads, order updates and their mishaps, limits, heartbeats and broken links."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
from kiteconnect import KiteTicker

from tests.emulators.core.faults import Fault
from tests.emulators.kite import KiteEmulator
from tests.emulators.kite_rig import Customer

INFY, NIFTY = 408065, 256265
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def emulator() -> Iterator[KiteEmulator]:
    with KiteEmulator(seed=31) as made:
        yield made


@pytest.fixture
def customer(emulator: KiteEmulator) -> Iterator[Customer]:
    emulator.price("NSE:INFY", 1500)
    with Customer(emulator) as made:
        yield made


class Link:
    """A socket that keeps what comes, sorted."""

    def __init__(self, customer: Customer, token: str | None = None) -> None:
        given = customer.account.credentials
        query = f"?api_key={given['api_key']}&access_token={token or given['access_token']}"
        self.ws = websocket.create_connection(f"{customer.emulator.ws_url}/{query}", timeout=30, http_no_proxy=["*"])
        self.orders: list[dict[str, Any]] = []
        self.ticks: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.beats = 0
        self.frames: list[int] = []

    def say(self, action: str, value: Any) -> None:
        self.ws.send(json.dumps({"a": action, "v": value}))

    def read(self, seconds: float = 30.0) -> None:
        """One message, where it belongs."""
        self.ws.settimeout(seconds)
        message = self.ws.recv()
        if isinstance(message, bytes):
            if len(message) == 1:
                self.beats += 1
                return
            parsed = KiteTicker("", "")._parse_binary(message)
            self.frames.append(len(parsed))
            self.ticks += parsed
            return
        told = json.loads(message)
        if told["type"] == "order":
            self.orders.append(told["data"])
        elif told["type"] == "error":
            self.errors.append(told["data"])

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end, "it did not come"
            self.read()

    def rest(self) -> None:
        """What is still on its way."""
        with contextlib.suppress(websocket.WebSocketTimeoutException):
            while True:
                self.read(0.05)

    @property
    def last(self) -> dict[str, Any]:
        return self.ticks[-1]


@pytest.fixture
def link(customer: Customer) -> Iterator[Link]:
    made = Link(customer)
    made.read()  # the greeting
    yield made
    made.ws.close()


class TestTicks:
    def test_a_subscription_begins_with_a_snapshot_in_quote_mode(self, link: Link) -> None:
        link.say("subscribe", [INFY, NIFTY])
        link.until(lambda: len(link.ticks) == 2)
        share, index = link.ticks
        assert link.frames == [2]
        assert (share["mode"], share["last_price"], share["tradable"], share["ohlc"]["close"]) == ("quote", 1500, True, 1500)
        assert (index["mode"], index["last_price"], index["tradable"]) == ("quote", 24400, False)

    @pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
    def test_modes(self, emulator: KiteEmulator, link: Link, mode: str) -> None:
        link.say("subscribe", [INFY, NIFTY])
        link.say("mode", [mode, [INFY, NIFTY]])
        link.until(lambda: len(link.ticks) == 4)
        assert {x["mode"] for x in link.ticks[2:]} == {mode}
        emulator.price("NSE:INFY", "1500.05", bid="1500", ask="1500.1")
        link.until(lambda: link.last["last_price"] == 1500.05)
        if mode == "full":
            depth = link.last["depth"]
            assert [x["price"] for x in depth["buy"]] == [1500, 1499.95, 1499.9, 1499.85, 1499.8]
            assert [x["price"] for x in depth["sell"]] == [1500.1, 1500.15, 1500.2, 1500.25, 1500.3]
            assert abs(link.last["exchange_timestamp"].timestamp() - emulator.clock.now()) < 120  # of today, in the right zone

    def test_an_index_has_its_own_packet(self, emulator: KiteEmulator, link: Link) -> None:
        link.say("subscribe", [NIFTY])
        link.say("mode", ["full", [NIFTY]])
        link.until(lambda: link.ticks and "exchange_timestamp" in link.last)  # both lines have been read
        emulator.price("NSE:NIFTY 50", 24450)
        emulator.price("NSE:NIFTY 50", 24400)
        link.until(lambda: link.ticks and link.last["ohlc"]["high"] == 24450 and link.last["last_price"] == 24400)
        assert link.last["ohlc"]["low"] <= 24400
        assert "exchange_timestamp" in link.last

    def test_after_unsubscribing_nothing_comes(self, emulator: KiteEmulator, link: Link) -> None:
        link.say("subscribe", [INFY])
        link.until(lambda: link.ticks)
        link.say("unsubscribe", [INFY])
        link.say("nonsense", [])  # its answer proves that the line before was read
        link.say("mode", ["none", [INFY]])
        link.until(lambda: link.errors)
        emulator.price("NSE:INFY", 1501)
        link.rest()
        assert len(link.ticks) == 1

    def test_no_more_than_3000(self, link: Link) -> None:
        link.say("subscribe", list(range(3001)))
        link.until(lambda: link.errors)
        assert "3000" in link.errors[0]

    def test_heartbeats(self) -> None:
        with KiteEmulator(heartbeat=0.02) as made, Customer(made) as customer:
            link = Link(customer)
            link.until(lambda: link.beats == 3)
            assert link.ticks == []
            link.ws.close()


class TestConnections:
    @pytest.mark.parametrize("token", ["wrong", "x" * 32])
    def test_a_bad_token(self, customer: Customer, token: str) -> None:
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
            Link(customer, token)
        assert refusal.value.status_code == 403

    def test_no_more_than_three(self, emulator: KiteEmulator, customer: Customer) -> None:
        links = [Link(customer) for _ in range(3)]
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
            Link(customer)
        assert refusal.value.status_code == 429
        assert emulator.sockets(customer.account) == 3
        for each in links:
            each.ws.close()

    def test_the_end_of_a_session_ends_its_sockets(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        old = customer.account.credentials["access_token"]
        emulator.expire_session(customer.account)
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            link.rest()
        with pytest.raises(websocket.WebSocketBadStatusException):
            Link(customer, old)
        emulator.sign_in(customer.account)
        Link(customer).ws.close()

    def test_at_six_the_sockets_end(self) -> None:
        with KiteEmulator() as made, Customer(made) as customer:
            link = Link(customer)
            made.advance(86401)
            with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
                link.until(lambda: False)
            link.ws.close()

    def test_cut(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        emulator.cut_sockets(customer.account)
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            link.until(lambda: False)

    def test_frozen_and_yet_open(self) -> None:
        with KiteEmulator(heartbeat=0.05) as made, Customer(made) as customer:
            link = Link(customer)
            link.say("subscribe", [INFY])
            link.until(lambda: link.ticks)
            made.freeze_sockets(True, customer.account, "ticks")
            link.rest()
            made.price("NSE:INFY", 1502)
            link.ws.ping("still there?")
            with pytest.raises(websocket.WebSocketTimeoutException):
                link.read(0.2)  # longer than a heartbeat
            fresh = Link(customer)
            fresh.say("subscribe", [INFY])
            fresh.until(lambda: fresh.ticks)
            assert fresh.last["last_price"] == 1502
            fresh.ws.close()
            made.freeze_sockets(False, customer.account)
            beats = link.beats
            link.until(lambda: link.beats > beats)
            link.ws.close()

    def test_kinds_tell_sockets_apart(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        other = Link(customer)
        other.say("subscribe", [INFY])
        other.until(lambda: other.ticks)
        assert [emulator.sockets(customer.account, x) for x in ("orders", "ticks", None)] == [1, 1, 2]
        other.ws.close()

    def test_error_messages(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        emulator.tell_error(customer.account, "Something is wrong")
        link.until(lambda: link.errors)
        assert link.errors == ["Something is wrong"]


class TestOrderUpdates:
    def test_each_change_is_told_but_never_the_placement(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        order = customer.order(quantity=2, price=1490)
        customer.kite.modify_order(variety="regular", order_id=order, price=1491)
        emulator.price("NSE:INFY", 1490)
        link.until(lambda: len(link.orders) == 2)
        link.rest()
        assert [(x["status"], x["filled_quantity"], x["tag"]) for x in link.orders] == [("UPDATE", 0, "T1"), ("COMPLETE", 2, "T1")]
        assert {"user_id", "app_id", "checksum", "unfilled_quantity", "guid"} <= set(link.orders[0])
        assert isinstance(link.orders[0]["order_timestamp"], str)

    def test_partial_fills_are_updates(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        emulator.fault(Fault.PARTIAL_FILLS, account=customer.account)
        customer.order(quantity=60)
        while emulator.book(customer.account)[0].filled < 60:
            emulator.price("NSE:INFY", 1500)
        link.until(lambda: link.orders and link.orders[-1]["status"] == "COMPLETE")
        assert {x["status"] for x in link.orders[:-1]} <= {"UPDATE"}
        assert [x["filled_quantity"] for x in link.orders] == sorted(x["filled_quantity"] for x in link.orders)

    def test_cancel_trigger_and_rejection(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        gone = customer.order(price=1400)
        customer.kite.cancel_order(variety="regular", order_id=gone)
        stop = customer.order("SELL", price=1470, order_type="SL", trigger_price=1490)
        emulator.price("NSE:INFY", 1489, bid=1460, ask=1489)
        emulator.reject(customer.account, stop, "the exchange thinks again")
        link.until(lambda: len(link.orders) == 3)
        assert [x["status"] for x in link.orders] == ["CANCELLED", "OPEN", "REJECTED"]
        assert link.orders[2]["status_message"] == "the exchange thinks again"

    def test_orders_from_the_app_are_told(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        order = emulator.by_hand(customer.account, "NSE:INFY", "BUY", 1)
        link.until(lambda: link.orders)
        assert (link.orders[0]["order_id"], link.orders[0]["tag"]) == (order, None)

    def test_every_socket_of_the_user_hears_and_nobody_else(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        with Customer(emulator) as stranger:
            others = Link(stranger)
            second = Link(customer)
            customer.order()
            for each in (link, second):
                each.until(lambda each=each: each.orders)
            others.rest()
            assert others.orders == []
            others.ws.close()
            second.ws.close()

    @pytest.mark.parametrize(
        ("fault", "seconds", "told"),
        [(Fault.REPEATED_UPDATES, 0.0, 2), (Fault.NO_UPDATES, 0.0, 0), (Fault.LATE_UPDATES, 1.0, 1)],
    )
    def test_mishaps(self, emulator: KiteEmulator, customer: Customer, link: Link, fault: Fault, seconds: float, told: int) -> None:
        emulator.fault(fault, account=customer.account, seconds=seconds)
        customer.order()
        if fault is Fault.LATE_UPDATES:
            with pytest.raises(websocket.WebSocketTimeoutException):
                link.read(0.03)
        link.until(lambda: len(link.orders) == told)
        link.rest()
        assert [x["status"] for x in link.orders] == ["COMPLETE"] * told

    def test_shuffled(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        emulator.fault(Fault.SHUFFLED_UPDATES, account=customer.account, times=2, seconds=0.05)
        order = customer.order(price=1490)
        customer.kite.modify_order(variety="regular", order_id=order, price=1500)
        link.until(lambda: len(link.orders) == 2)
        assert [x["status"] for x in link.orders] == ["COMPLETE", "UPDATE"]

    def test_a_push_may_come_before_the_answer(self) -> None:
        with KiteEmulator(latency=0.03) as made, Customer(made) as customer:
            link = Link(customer)
            made.fault(Fault.EARLY_UPDATES, account=customer.account)
            made.fault(Fault.BOOKED_NO_ANSWER, account=customer.account, seconds=0.1)
            with pytest.raises(OSError):
                customer.order()
            link.until(lambda: link.orders)
            link.ws.close()

    def test_muted(self, emulator: KiteEmulator, customer: Customer, link: Link) -> None:
        emulator.mute_updates(True)
        customer.order()
        emulator.wait_idle()
        emulator.mute_updates(False)
        customer.order()
        link.until(lambda: link.orders)
        link.rest()
        assert len(link.orders) == 1


TICKER = """
import sys
from kiteconnect import KiteTicker
key, token, root = sys.argv[1:]
ticker = KiteTicker(key, token, root=root)
seen = set()

def told(what):
    if what not in seen:
        seen.add(what)
        print(what, flush=True)
    if {"tick", "order"} <= seen:
        ws_stop()

def ws_stop():
    ticker.stop_retry()
    ticker.stop()

def on_connect(ws, _):
    ws.subscribe([408065])
    ws.set_mode(ws.MODE_FULL, [408065])
    told("connected")

ticker.on_connect = on_connect
ticker.on_ticks = lambda ws, ticks: told("tick") if ticks[0]["instrument_token"] == 408065 else None
ticker.on_order_update = lambda ws, row: told("order") if row["status"] == "COMPLETE" else None
ticker.on_error = lambda ws, code, reason: print("error", code, reason, flush=True)
ticker.connect()
"""


def test_the_official_ticker(emulator: KiteEmulator, customer: Customer) -> None:
    """In a process of its own: a reactor cannot be started twice."""
    given = customer.account.credentials
    command = [sys.executable, "-c", TICKER, given["api_key"], given["access_token"], emulator.ws_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            heard = {process.stdout.readline().strip(), process.stdout.readline().strip()}
            assert heard == {"connected", "tick"}
            customer.order()
            assert process.stdout.readline().strip() == "order"
            assert process.wait(30) == 0
        finally:
            process.kill()
