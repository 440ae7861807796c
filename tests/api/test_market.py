"""Instruments, quotes, candles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from app.workspace import EXTENSION, ListsStatus, ListState
from tests.api.rig import Person, Rig

NAMES = ["INFY", "SBIN", "RELIANCE", "TCS", "HDFCBANK", "ICICIBANK", "AXISBANK", "ITC", "LT", "WIPRO"]


def test_the_names_that_every_paper_market_has(trader: Person) -> None:
    for name in NAMES:
        found = trader.get(f"/api/instruments?q={name}&exchange=NSE&limit=1").json["items"]
        assert [row["symbol"] for row in found] == [f"NSE:{name}"]
        keys = {"symbol", "name", "exchange", "tick_size", "lot_size", "freeze_quantity", "expiry", "strike", "option_type", "segment"}
        assert set(found[0]) == keys
        assert isinstance(found[0]["tick_size"], str)


def test_prices_are_there_and_on_the_tick(trader: Person) -> None:
    symbols = [f"NSE:{name}" for name in NAMES]
    rows = trader.get(f"/api/quotes?symbols={','.join(symbols)}").json["items"]
    assert [row["symbol"] for row in rows] == symbols
    for row in rows:
        size = Decimal(trader.get(f"/api/instruments?symbol={row['symbol']}").json["items"][0]["tick_size"])
        bid, last, ask = (Decimal(row[name]) for name in ("bid", "last_price", "ask"))
        assert 0 < bid <= ask
        assert all(price % size == 0 for price in (bid, last, ask))
        assert row["as_of"].endswith("Z")


def test_instruments_page(trader: Person) -> None:
    first = trader.get("/api/instruments?limit=3").json
    second = trader.get(f"/api/instruments?limit=3&cursor={first['next']}").json
    assert len({row["symbol"] for row in first["items"] + second["items"]}) == 6


def test_candles_are_whole_and_go_back(trader: Person) -> None:
    first = trader.get("/api/candles?symbol=NSE:INFY&timeframe=1m&limit=10").json
    starts = [row["start"] for row in first["items"]]
    assert starts == sorted(starts)
    for row in first["items"]:
        low, high = Decimal(row["low"]), Decimal(row["high"])
        assert low <= Decimal(row["open"]) <= high
        assert low <= Decimal(row["close"]) <= high
    older = trader.get(f"/api/candles?symbol=NSE:INFY&timeframe=1m&limit=10&cursor={first['next']}").json["items"]
    assert older[-1]["start"] < starts[0]
    window = trader.get(f"/api/candles?symbol=NSE:INFY&timeframe=1m&from={starts[2]}&to={starts[5]}").json["items"]
    assert [row["start"] for row in window] == starts[2:5]


# --- the brokers' lists --------------------------------------------------------------------------------------------


class Keeper:
    """Who keeps the lists, as the routes see it."""

    def __init__(self, *brokers: str) -> None:
        self.brokers = brokers
        self.asked: list[bool] = []

    def refresh_now(self, force: bool = False) -> tuple[str, ...]:
        self.asked.append(force)
        return self.brokers

    def status(self) -> ListsStatus:
        state = ListState(broker="zerodha", wanted=True, loaded_at=1_786_935_900.0, listed=71_204, stale=False, problem="")
        return ListsStatus(False, 1_787_022_300.0, (state,))


@pytest.fixture
def keeper(rig: Rig) -> Iterator[Keeper]:
    shop, made = rig.app.extensions[EXTENSION], Keeper("zerodha")
    rig.app.extensions[EXTENSION] = replace(shop, lists=made)
    yield made
    rig.app.extensions[EXTENSION] = shop


def test_lists_are_shown(trader: Person, keeper: Keeper) -> None:
    assert trader.get("/api/system/instruments").json == {
        "running": False,
        "next_at": "2026-08-18T03:05:00.000000Z",
        "lists": [
            {
                "broker": "zerodha",
                "wanted": True,
                "loaded_at": "2026-08-17T03:05:00.000000Z",
                "listed": 71_204,
                "stale": False,
                "problem": "",
            }
        ],
    }


def test_lists_are_renewed_on_demand(trader: Person, owner: Person, keeper: Keeper) -> None:
    answer = trader.post("/api/system/instruments/refresh")
    assert (answer.status_code, answer.json["state"], answer.json["brokers"]) == (202, "started", ["zerodha"])
    assert trader.post("/api/system/instruments/refresh", {"force": True}).status_code == 403
    assert owner.post("/api/system/instruments/refresh", {"force": True}).status_code == 202
    assert keeper.asked == [False, True]


def test_where_no_account_needs_a_list_there_is_nothing_to_renew(trader: Person, keeper: Keeper) -> None:
    keeper.brokers = ()
    answer = trader.post("/api/system/instruments/refresh")
    assert (answer.status_code, "nothing to fetch" in answer.json["detail"]) == (409, True)


def test_without_anybody_who_keeps_them_there_are_no_lists(trader: Person) -> None:
    assert trader.get("/api/system/instruments").json == {"running": False, "next_at": None, "lists": []}
    assert trader.post("/api/system/instruments/refresh").status_code == 409


def test_instruments_by_segment_and_by_symbol(trader: Person) -> None:
    assert {row["segment"] for row in trader.get("/api/instruments?segment=INDEX").json["items"]} == {"INDEX"}
    assert [row["symbol"] for row in trader.get("/api/instruments?symbol=NSE:INFY").json["items"]] == ["NSE:INFY"]
    assert trader.get("/api/instruments?symbol=NSE:INFY&segment=OPT").json["items"] == []
    assert trader.get("/api/instruments?symbol=NSE:NOPE").json["items"] == []
