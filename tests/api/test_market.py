"""Instruments, quotes, candles."""

from __future__ import annotations

from decimal import Decimal

from tests.api.rig import Person

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
