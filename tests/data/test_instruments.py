"""The instruments file: built whole beside the one that is read, swapped in one step, searched as people type."""

from __future__ import annotations

import gzip
import http.server
import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.data import Instruments
from app.data.build_master import Fetched, Job, Outcome, Source, run
from app.data.download import Limits
from engines.ports import Listing
from tests.market import lists

NOW = 1_786_950_000.0
"""2026-08-17 12:30 IST."""
CANARY = "token canarykey:canarysecret"
PATHS = {
    "zerodha": "/instruments",
    "angelone": "/scrip.json",
    "binance_spot": "/api/v3/exchangeInfo",
    "binance_usdm": "/fapi/v1/exchangeInfo",
}


class Shop:
    """An HTTP server that hands out lists; `answers` is what it does for each path."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.seen: list[dict[str, str]] = []
        self.act: Callable[[http.server.BaseHTTPRequestHandler, bytes], None] = self.give
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                shop.seen.append(dict(self.headers))
                shop.act(self, shop.bodies.get(self.path, b""))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @staticmethod
    def give(handler: http.server.BaseHTTPRequestHandler, body: bytes, *, promised: int | None = None, packed: bool = False) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if promised is None else promised))
        handler.send_header("Connection", "close")
        if packed:
            handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    def put(self, broker: str, body: bytes) -> None:
        self.bodies[PATHS[broker]] = body

    def source(self, broker: str, **headers: str) -> Source:
        return Source(broker, self.url + PATHS[broker], headers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def stocked() -> Shop:
    made = Shop()
    made.put("zerodha", lists.kite())
    made.put("angelone", lists.angel())
    made.put("binance_spot", lists.SPOT)
    made.put("binance_usdm", lists.USDM)
    return made


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = stocked()
    yield made
    made.close()


def build(folder: Path, shop: Shop, *brokers: str, now: float = NOW, **more: Any) -> Outcome:
    return run(Job(str(folder), now, tuple(shop.source(broker) for broker in brokers), **more))


def filled(folder: Path, shop: Shop) -> Instruments:
    made = Instruments(folder)
    assert build(folder, shop, *PATHS).built
    made.swap()
    return made


@pytest.fixture
def full(tmp_path: Path, shop: Shop) -> Iterator[Instruments]:
    """Every broker's list, built and in use."""
    made = filled(tmp_path, shop)
    yield made
    made.close()


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instruments]:
    """The same, for all tests that only read."""
    shop = stocked()
    made = filled(tmp_path_factory.mktemp("lists"), shop)
    shop.close()
    yield made
    made.close()


def symbols(found: Any) -> list[str]:
    return [instrument.symbol for instrument in found]


# --- reading -------------------------------------------------------------------------------------------------------


def test_without_a_file_there_is_nothing_and_nothing_fails(tmp_path: Path) -> None:
    empty = Instruments(tmp_path)
    assert (empty.get("NSE:INFY"), list(empty.search("infy")), empty.listing("zerodha", "NSE:INFY")) == (None, [], None)
    assert (empty.loaded_at("zerodha"), tuple(empty.lists())) == (None, ())


def test_a_file_of_another_kind_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "instruments.db").write_bytes(b"this is no database" * 100)
    assert Instruments(tmp_path).get("NSE:INFY") is None
    (tmp_path / "instruments.db").unlink()
    with closing(sqlite3.connect(tmp_path / "instruments.db")) as db:
        db.execute("PRAGMA user_version = 99")
    assert Instruments(tmp_path).get("NSE:INFY") is None


def test_an_instrument_comes_back_as_it_was_merged(listed: Instruments) -> None:
    found = listed.get("NFO:ASHOKLEY26AUG172.5CE")
    assert found is not None
    assert (found.strike, found.tick_size, found.lot_size, found.expiry) == (Decimal("172.5"), Decimal("0.01"), 5000, "2026-08-25")
    assert (found.option_type, found.segment, found.exchange, found.band_pct) == ("CE", "OPT", "NFO", Decimal(100))
    coin = listed.get("BINANCE:BTCUSDT")
    assert coin is not None
    assert coin.quantity_step == Decimal("0.00001")
    assert listed.get("NSE:NOPE") is None


@pytest.mark.parametrize(
    ("broker", "symbol", "token", "exchange", "spelled"),
    [
        ("zerodha", "NSE:INFY", "408065", "NSE", "INFY"),
        ("angelone", "NSE:INFY", "1594", "NSE", "INFY-EQ"),
        ("angelone", "NFO:NIFTY26AUGFUT", "58072", "NFO", "NIFTY25AUG26FUT"),
        ("angelone", "NFO:NIFTY2681824500CE", "1", "NFO", "NIFTY18AUG2624500CE"),
        ("zerodha", "NSE:NIFTY 50", "256265", "NSE", "NIFTY 50"),
        ("binance_usdm", "BINANCE:BTCUSDT.P", "BTCUSDT", "BINANCE", "BTCUSDT"),
    ],
)
def test_each_broker_lists_it_in_its_own_way(
    listed: Instruments, broker: str, symbol: str, token: str, exchange: str, spelled: str
) -> None:
    expected = Listing(symbol, broker, token, exchange, spelled)
    assert listed.listing(broker, symbol) == expected
    assert listed.by_token(broker, exchange, token) == expected
    assert listed.by_trading_symbol(broker, exchange, spelled) == expected


def test_what_a_broker_does_not_list_is_none(listed: Instruments) -> None:
    assert listed.listing("angelone", "BSE:INFY") is None
    assert listed.listing("binance_spot", "BINANCE:BTCUSDT.P") is None
    assert listed.by_token("angelone", "BSE", "1594") is None  # a token means something only with its exchange
    assert listed.loaded_at("zerodha") == NOW


# --- searching -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "first"),
    [
        ("infy", ["NSE:INFY", "BSE:INFY", "NFO:INFY26AUGFUT"]),
        ("INFOSYS", ["NSE:INFY", "BSE:INFY"]),
        ("nifty 24500 ce", ["NFO:NIFTY2681824500CE", "NFO:NIFTY26AUG24500CE"]),
        ("ce 24500 nifty", ["NFO:NIFTY2681824500CE", "NFO:NIFTY26AUG24500CE"]),
        ("nifty24500ce", ["NFO:NIFTY2681824500CE"]),
        ("nifty aug 24500 put", ["NFO:NIFTY26AUG24500PE"]),
        ("25 august 24500 call", ["NFO:NIFTY26AUG24500CE"]),
        ("banknifty fut", ["NFO:BANKNIFTY26AUGFUT"]),
        ("bank nifty fut", ["NFO:BANKNIFTY26AUGFUT"]),
        ("banknifty 575", ["NFO:BANKNIFTY26AUG57500CE"]),
        ("nifty", ["NSE:NIFTY 50", "NFO:NIFTY26AUGFUT"]),
        ("NFO:NIFTY26AUG24500PE", ["NFO:NIFTY26AUG24500PE"]),
        ("bse:infy", ["BSE:INFY"]),
        ("m&m", ["NSE:M&M"]),
        ("mahindra", ["NSE:M&M"]),
        ("ashokley 172.5", ["NFO:ASHOKLEY26AUG172.5CE"]),
        ("btcusdt", ["BINANCE:BTCUSDT", "BINANCE:BTCUSDT.P"]),
        ("btc perp", ["BINANCE:BTCUSDT.P"]),
        ("state bank", ["NSE:SBIN"]),
    ],
)
def test_search_as_people_type(listed: Instruments, q: str, first: list[str]) -> None:
    assert symbols(listed.search(q))[: len(first)] == first


def test_search_keeps_to_exchange_segment_and_limit(listed: Instruments) -> None:
    assert symbols(listed.search("infy", exchange="BSE")) == ["BSE:INFY"]
    assert set(symbols(listed.search("infy", segment="EQ"))) == {"NSE:INFY", "BSE:INFY"}
    assert len(listed.search("nifty", limit=2)) == 2
    assert len(listed.search("", limit=500)) == 19
    assert {each.segment for each in listed.search("", segment="OPT")} == {"OPT"}
    assert listed.search("nifty", limit=0) == []


@pytest.mark.parametrize(
    "q", ['"', "a'b", "* OR 1", "nifty*", "^nifty", "-", "((", "NEAR(a b)", "é", "币安", "\x00", "x" * 100, "1 2 3 4 5 6 7 8 9 10"]
)
def test_no_text_makes_a_search_fail(listed: Instruments, q: str) -> None:
    listed.search(q)


# --- building ------------------------------------------------------------------------------------------------------


def test_a_new_list_replaces_the_old_one_in_one_step(tmp_path: Path, shop: Shop, full: Instruments) -> None:
    told = threading.Event()
    full.on_change(told.set)
    assert full.listing("zerodha", "NSE:SBIN") is not None
    shop.put("zerodha", lists.kite(lists.KITE.replace("SBIN", "SBINEW")))
    assert build(tmp_path, shop, "zerodha", now=NOW + 86_400).built
    assert full.get("NSE:SBIN") is not None  # built beside it: nobody reads it yet
    full.swap()
    assert told.is_set()
    assert (full.get("NSE:SBIN"), full.listing("zerodha", "NSE:SBIN")) == (None, None)
    assert full.listing("angelone", "NSE:INFY") is not None  # the other brokers' lists are as they were
    assert (full.loaded_at("zerodha"), full.loaded_at("angelone")) == (NOW + 86_400, NOW)


def test_readers_see_one_whole_list_while_it_is_swapped(tmp_path: Path, shop: Shop, full: Instruments) -> None:
    wrong: list[object] = []
    stopping = threading.Event()

    def read() -> None:
        while not stopping.is_set():
            found = full.get("NSE:INFY")
            if found is None or found.symbol != "NSE:INFY" or not full.search("infy"):
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for day in range(1, 5):
        assert build(tmp_path, shop, "zerodha", now=NOW + day * 60).built
        full.swap()
    stopping.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_shrunken_list_is_refused_and_yesterdays_stays(tmp_path: Path, shop: Shop, full: Instruments) -> None:
    shop.put("zerodha", lists.kite("".join(lists.KITE.splitlines(keepends=True)[:5])))
    outcome = build(tmp_path, shop, "zerodha")
    assert not outcome.built
    assert "5 instruments, the last one 13" in outcome.fetched[0].problem
    assert full.loaded_at("zerodha") == NOW
    assert build(tmp_path, shop, "zerodha", force=True).built  # a person has looked


def test_another_address_may_list_less(tmp_path: Path, shop: Shop, full: Instruments) -> None:
    """Whoever tries an emulator today may go to the real broker tomorrow, and the other way round."""
    shop.bodies["/other"] = lists.kite("".join(lists.KITE.splitlines(keepends=True)[:5]))
    assert run(Job(str(tmp_path), NOW, (Source("zerodha", shop.url + "/other"),))).built


def test_one_broker_that_fails_does_not_keep_the_others_from_being_new(tmp_path: Path, shop: Shop) -> None:
    shop.put("angelone", b"<html>maintenance</html>")
    outcome = build(tmp_path, shop, "zerodha", "angelone")
    assert outcome.built
    assert outcome.fetched == (Fetched("zerodha", 13), Fetched("angelone", problem="it is not complete JSON"))


def test_a_list_that_comes_packed_is_unpacked(tmp_path: Path, shop: Shop) -> None:
    shop.act = lambda handler, body: shop.give(handler, gzip.compress(body), packed=True)
    assert build(tmp_path, shop, "zerodha").built


def _status(code: int) -> Callable[..., None]:
    def act(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(code)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return act


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (_status(403), "answered 403"),
        (_status(302), "answered 302"),
        (lambda handler, body: Shop.give(handler, body, promised=len(body) + 100), "broke off after"),
        (lambda handler, body: Shop.give(handler, body[:-30]), "its last line is cut off"),
        (lambda handler, body: Shop.give(handler, gzip.compress(body)[:-9]), "broke off before the end"),
        (lambda handler, body: Shop.give(handler, b"\x1f\x8bnot gzip at all"), "cannot be unpacked"),
        (lambda handler, body: Shop.give(handler, body * 3000), "sends more than 1 MB"),
        (lambda handler, body: Shop.give(handler, gzip.compress(b"0" * (5 << 20))), "sends more than 2 MB"),
        (lambda handler, body: handler.connection.shutdown(socket.SHUT_RDWR), "cannot be reached, or broke off"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, shop: Shop, act: Callable[..., None], why: str) -> None:
    shop.act = act
    limits = Limits(on_the_wire=1 << 20, unpacked=2 << 20)
    outcome = run(Job(str(tmp_path), NOW, (shop.source("zerodha"),), limits=limits))
    assert not outcome.built
    assert why in outcome.fetched[0].problem


def test_a_server_that_says_nothing_is_left(tmp_path: Path, shop: Shop) -> None:
    held = threading.Event()
    shop.act = lambda handler, body: held.wait(30) and None
    try:
        outcome = run(Job(str(tmp_path), NOW, (shop.source("zerodha"),), limits=replace(Limits(), read=0.1)))
    finally:
        held.set()
    assert outcome.fetched[0].problem == "127.0.0.1 did not answer in time"


def test_a_list_spoilt_on_disk_is_left_out_until_it_is_fetched_again(tmp_path: Path, shop: Shop, full: Instruments) -> None:
    kept = tmp_path / "instruments" / "angelone.z"
    kept.write_bytes(kept.read_bytes()[:-40])
    assert build(tmp_path, shop, "zerodha").built
    full.swap()
    assert full.loaded_at("angelone") is None
    assert full.get("NSE:INFY") is not None


# --- the process ---------------------------------------------------------------------------------------------------


def test_the_process_builds_and_keeps_its_secrets(tmp_path: Path, shop: Shop) -> None:
    sources = [{"broker": "zerodha", "url": shop.url + "/instruments", "headers": {"X-Kite-Version": "3", "Authorization": CANARY}}]
    broken = [{"broker": "zerodha", "url": shop.url + "/instruments", "headers": {"Authorization": f"{CANARY}\n"}}]
    said = []
    for fetch in (sources, broken):
        job = json.dumps({"folder": str(tmp_path), "now": NOW, "fetch": fetch, "force": False})
        done = subprocess.run(
            [sys.executable, "-m", "app.data.build_master"], input=job, capture_output=True, text=True, timeout=120, check=False
        )
        said.append(json.loads(done.stdout))
        assert "canary" not in done.stdout + done.stderr
    assert said[0] == {
        "fetched": [{"broker": "zerodha", "listed": 13, "broken": 0, "problem": ""}], "built": True, "instruments": 13, "clashes": 0,
    }  # fmt: skip
    assert said[1]["fetched"][0]["problem"] == "127.0.0.1 cannot be reached, or broke off (ValueError)"
    assert shop.seen[0]["Authorization"] == CANARY
    assert shop.seen[0]["X-Kite-Version"] == "3"
    assert all(b"canary" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*") if path.is_file())
