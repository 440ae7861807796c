"""Paper market orders over the API of a real server process: one after the other, twenty clients at once, and none lost or doubled.

Every request waits until its order is settled, so that a figure covers the whole way: request, checks, journal, lane, fill, answer.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, quantile
from tests.support.http import Client
from tests.support.server import Server

SEQUENTIAL = 400
CLIENTS = 20
EACH = 60
LOST_OF = 600
ACCOUNTS = 5
SYMBOLS = ("NSE:INFY", "NSE:SBIN", "NSE:RELIANCE", "NSE:TCS", "NSE:ITC")


def measure(name: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data")
        server.make_owner()
        with server:
            accounts = [_account(server.api, number) for number in range(ACCOUNTS)]
            for number in range(20):
                _order(server.api, accounts[0], f"warm-{number}")
            return {"order-sequential": _sequential, "orders-at-once": _at_once, "orders-lost": _none_lost}[name](server, accounts)


def _sequential(server: Server, accounts: list[str]) -> list[Figure]:
    client = server.client()
    laps = [_timed(lambda i=i: _order(client, accounts[0], f"s-{i}", i)) for i in range(SEQUENTIAL)]
    floor = [_timed(lambda: client.get("/healthz")) for _ in range(SEQUENTIAL)]
    about = "paper market order over the API until it is filled, one after the other"
    return [
        Figure("order-sequential-p50", f"{about}, p50", quantile(laps, 0.5), "ms", 8, floor=quantile(floor, 0.5)),
        Figure("order-sequential-p99", f"{about}, p99", quantile(laps, 0.99), "ms", 25, floor=quantile(floor, 0.99)),
    ]


def _at_once(server: Server, accounts: list[str]) -> list[Figure]:
    laps, seconds = _together(
        server, CLIENTS, EACH, lambda client, who, i: _order(client, accounts[who % ACCOUNTS], f"c{who}-{i}", who + i)
    )
    floor_laps, floor_seconds = _together(server, CLIENTS, EACH, lambda client, _who, _i: client.get("/healthz"))
    about = f"paper market orders until filled, {CLIENTS} clients at once"
    return [
        Figure(
            "orders-at-once-rate", about, len(laps) / seconds, "orders/s", 200, floor=len(floor_laps) / floor_seconds, more_is_better=True
        ),
        Figure("orders-at-once-p50", f"{about}, p50", quantile(laps, 0.5), "ms", None, floor=quantile(floor_laps, 0.5)),
        Figure("orders-at-once-p99", f"{about}, p99", quantile(laps, 0.99), "ms", 150, floor=quantile(floor_laps, 0.99)),
    ]


def _none_lost(server: Server, accounts: list[str]) -> list[Figure]:
    answers: list[dict[str, Any]] = []
    _, seconds = _together(
        server,
        CLIENTS,
        LOST_OF // CLIENTS,
        lambda client, who, i: answers.append(_order(client, accounts[i % ACCOUNTS], f"l{who}-{i}", who)),
    )
    asked = {order["order_id"]: order for answer in answers for order in answer["orders"]}
    fills: Counter[str] = Counter()
    for account in accounts:
        for trade in _all(server.api, f"/api/accounts/{account}/trades"):
            if trade["order_id"] in asked:
                fills[trade["order_id"]] += 1
    lost, doubled = sum(1 for order in asked if not fills[order]), sum(1 for count in fills.values() if count > 1)
    wrong = sum(_differences(server.api, account) for account in accounts)
    notes = {"orders": len(asked), "lost": lost, "doubled": doubled, "positions_unequal_to_fills": wrong, "seconds": round(seconds, 2)}
    about = f"lost or doubled fills in {LOST_OF} concurrent orders, and positions that are not the fold of their fills"
    return [Figure("orders-lost", about, lost + doubled + wrong + (LOST_OF - len(asked)), "orders", 0, notes=notes)]


# --- one order, many threads -----------------------------------------------------------------------------------------


def _account(api: Client, number: int) -> str:
    answer = api.post("/api/accounts", {"name": f"Bench {number}", "broker": "paper", "capital": "1000000000", "credentials": {}})
    assert answer.status == 201, answer.text
    return str(answer.json["id"])


def _order(client: Client, account: str, name: str, number: int = 0) -> dict[str, Any]:
    side = "BUY" if number % 2 == 0 else "SELL"
    symbol = SYMBOLS[number // 2 % len(SYMBOLS)]
    body = {
        "signal_id": name,
        "account_ids": [account],
        "symbol": symbol,
        "side": side,
        "order_type": "MARKET",
        "quantity": "1",
        "wait_ms": 10_000,
    }
    answer = client.post("/api/signals/manual", body)
    assert answer.status == 200, answer.text
    told: dict[str, Any] = answer.json
    assert all(order["state"] in ("filled", "open") for order in told["orders"]), told
    return told


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def _together(server: Server, clients: int, each: int, act: Callable[[Client, int, int], object]) -> tuple[list[float], float]:
    """Milliseconds of every call and the seconds of all; each client is a thread with a connection of its own, and they start as one."""
    laps: list[float] = []
    errors: list[BaseException] = []
    gate = threading.Barrier(clients + 1)

    def work(who: int) -> None:
        client = server.client()
        client.get("/healthz")
        gate.wait()
        try:
            for i in range(each):
                laps.append(_timed(lambda i=i: act(client, who, i)))
        except BaseException as error:  # told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(clients)]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return laps, time.perf_counter() - started


# --- the books afterwards --------------------------------------------------------------------------------------------


def _all(api: Client, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = api.get(f"{path}?limit=500" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200, answer.text
        page = answer.json
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def _differences(api: Client, account: str) -> int:
    """Instruments of the account in which the position is not the sum of its trades."""
    folded: dict[str, Decimal] = {}
    for trade in _all(api, f"/api/accounts/{account}/trades"):
        signed = Decimal(trade["quantity"]) * (1 if trade["side"] == "BUY" else -1)
        folded[trade["symbol"]] = folded.get(trade["symbol"], Decimal(0)) + signed
    for position in _all(api, f"/api/accounts/{account}/positions"):
        folded[position["symbol"]] = folded.get(position["symbol"], Decimal(0)) - Decimal(position["quantity"])
    return sum(1 for difference in folded.values() if difference)
