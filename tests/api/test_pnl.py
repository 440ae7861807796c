"""Profit and loss: now, by day, the curve."""

from __future__ import annotations

from decimal import Decimal

from tests.api.rig import Rig

ROW = {"realised", "unrealised", "charges", "net"}


def test_the_parts_add_up_to_the_total(fresh: Rig) -> None:
    trader = fresh.trader
    strategy = trader.strategy()["id"]
    accounts = [trader.account()["id"], trader.account()["id"]]
    for account in accounts:
        trader.mapping(account, strategy)
    trader.buy(account_ids=None, strategy_id=strategy, quantity=None)
    trader.buy(*accounts)
    trader.buy(*accounts, side="SELL", quantity="3")
    now = trader.get("/api/pnl/realtime").json
    assert set(now) == {"total", "by_account", "by_strategy", "as_of"}
    assert set(now["total"]) == ROW
    assert {row["account_id"] for row in now["by_account"]} == set(accounts)
    assert {row["strategy_id"] for row in now["by_strategy"]} == {None, strategy}
    for part in (now["by_account"], now["by_strategy"]):
        for name in ROW:
            assert sum(Decimal(row[name]) for row in part) == Decimal(now["total"][name])
    assert Decimal(now["total"]["net"]) == sum(
        Decimal(now["total"][n]) * s for n, s in (("realised", 1), ("unrealised", 1), ("charges", -1))
    )


def test_the_day_has_what_was_booked(fresh: Rig) -> None:
    trader = fresh.trader
    account = trader.account()["id"]
    trader.buy(account)
    trader.buy(account, side="SELL")
    rows = trader.get("/api/pnl/daily").json["items"]
    assert len(rows) == 1
    assert set(rows[0]) >= ROW | {"day", "account_id", "strategy_id"}
    now = trader.get("/api/pnl/realtime").json["total"]
    assert (rows[0]["realised"], rows[0]["charges"], rows[0]["net"]) == (now["realised"], now["charges"], now["net"])
    assert [row["account_id"] for row in trader.get("/api/pnl/daily?by=account").json["items"]] == [account]
    assert trader.get("/api/pnl/daily?from=2020-01-01&to=2020-12-31").json["items"] == []


def test_another_persons_results_are_not_in_it(fresh: Rig) -> None:
    fresh.other.buy(fresh.other.account()["id"])
    for path in ("/api/pnl/realtime", "/api/pnl/daily", "/api/equity"):
        answer = fresh.owner.get(path).json
        assert not answer.get("items")
        assert not answer.get("by_account")
