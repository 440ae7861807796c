"""While the database cannot be written: nothing is sent that was not recorded, nothing is claimed to be done, and every way to stop works."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.api.rig import Rig


@contextmanager
def locked(rig: Rig) -> Iterator[None]:
    """Another program holds the write lock of the database."""
    files = [path for path in rig.folder.iterdir() if ".sqlite" in path.name or path.suffix == ".db"]
    database = next(path for path in files if not path.name.endswith(("-wal", "-shm")))
    thief = sqlite3.connect(database, isolation_level=None)
    thief.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        thief.execute("ROLLBACK")
        thief.close()
    pause = threading.Event()  # what the engines held meanwhile they let go of when they have seen that it is over
    assert any((rig.data.journal.healthy and not rig.system.board.journal_down) or pause.wait(0.02) for _ in range(1500))


def test_an_order_is_refused_and_never_sent(fresh: Rig) -> None:
    account = fresh.trader.account()["id"]
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1", "signal_id": "lost"}
    with locked(fresh):
        answer = fresh.trader.post("/api/signals/manual", body)
        assert answer.status_code in (202, 503), answer.text
        if answer.status_code == 202:  # the engines had noticed by themselves
            assert [order["reason"] for order in answer.json["orders"]] == ["halted"]
        assert fresh.trader.get("/api/positions").json["items"] == []


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "stop-now"}], ids=["plain", "with a key"])
def test_the_emergency_stop_holds(fresh: Rig, headers: dict[str, str]) -> None:
    account = fresh.trader.account()["id"]
    with locked(fresh):
        stop = fresh.trader.post("/api/system/emergency-stop", {"reason": "now"}, headers=headers)
        assert stop.status_code == 202, stop.text
        assert [row["halt_id"] for row in fresh.trader.get("/api/system/halts").json["items"]] == [stop.json["halt_id"]]
        assert fresh.trader.get(f"/api/system/halts/{stop.json['halt_id']}").status_code == 200
    assert fresh.trader.buy(account)["orders"][0]["reason"] == "halted"


def test_engines_stop_and_kill_switches_hold(fresh: Rig) -> None:
    account = fresh.trader.account()["id"]
    with locked(fresh):
        assert fresh.trader.post("/api/system/stop", headers={"Idempotency-Key": "s"}).json["engines"] == "off"
        assert fresh.trader.post(f"/api/accounts/{account}/kill-switch", {"on": True}).json["kill_switch"] is True
    assert fresh.trader.post("/api/system/start").json["engines"] == "on"
    assert fresh.trader.buy(account)["orders"][0]["reason"] == "kill_switch"


def test_a_change_is_refused_whole(fresh: Rig) -> None:
    assert fresh.trader.user
    with locked(fresh):
        answer = fresh.trader.post("/api/accounts", {"name": "x", "broker": "paper", "capital": "1000"})
        assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
        assert answer.headers["Retry-After"]
    assert fresh.trader.get("/api/accounts").json["items"] == []


def test_looking_goes_on(fresh: Rig) -> None:
    account = fresh.trader.account()["id"]
    fresh.trader.buy(account)
    with locked(fresh):
        for path in ("/api/accounts", "/api/positions", "/api/orders", "/api/pnl/realtime", "/api/system/status", "/metrics"):
            assert fresh.trader.get(path).status_code == 200
