"""Profit and loss: now, by day, the curve."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest

from engines.execution.views import Pnl, PnlRow
from engines.ports import BrokerTraits, NeedsLogin
from tests.api.rig import Rig
from tests.support.broker import QuietBroker

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
    assert set(now) == {"currency", "live", "paper", "total", "totals", "by_account", "by_strategy", "as_of"}
    assert (now["live"], now["paper"]) == ({}, now["totals"])
    assert set(now["total"]) == ROW
    assert {row["account_id"] for row in now["by_account"]} == set(accounts)
    assert {row["strategy_id"] for row in now["by_strategy"]} == {None, strategy}
    assert (now["currency"], now["totals"]) == ("INR", {"INR": now["total"]})
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


class Far(QuietBroker):
    """A broker of another currency that nobody can reach today."""

    traits = BrokerTraits(10.0, 10)

    def connect(self, on_report: object) -> NoReturn:
        raise NeedsLogin("not today")

    def abort(self) -> None:
        return None

    def close(self) -> None:
        return None


def test_rupees_and_dollars_are_never_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Rig(tmp_path / "data", {"binance_spot": lambda account, keys: Far()}) as rig:  # type: ignore[dict-item,return-value]
        trader = rig.trader
        keys = {"api_key": "b1234567890", "api_secret": "s1234567890"}
        dollars = trader.account(broker="binance_spot", auto_trade=False, credentials=keys)["id"]
        assert trader.get("/api/pnl/realtime").json["currency"] == "USDT"
        rupees = trader.account()["id"]
        worth = {rupees: PnlRow(Decimal(100)), dollars: PnlRow(Decimal(-7))}

        def pnl(ids: Sequence[str]) -> Pnl:
            rows = {key: worth[key] for key in ids}
            total = sum(rows.values(), PnlRow())
            return Pnl(total, rows, {"S1": total}, 0.0)

        monkeypatch.setattr(rig.system, "pnl", pnl)
        now = trader.get("/api/pnl/realtime").json
        assert (now["currency"], now["total"]["net"]) == ("INR", "100")
        assert {currency: row["net"] for currency, row in now["totals"].items()} == {"INR": "100", "USDT": "-7"}
        assert {row["account_id"]: (row["currency"], row["net"]) for row in now["by_account"]} == {
            rupees: ("INR", "100"),
            dollars: ("USDT", "-7"),
        }
        assert {kind: {name: row["net"] for name, row in now[kind].items()} for kind in ("live", "paper")} == {
            "live": {"USDT": "-7"},
            "paper": {"INR": "100"},
        }
        assert [(row["strategy_id"], row["currency"], row["net"]) for row in now["by_strategy"]] == [
            ("S1", "INR", "100"),
            ("S1", "USDT", "-7"),
        ]


def test_real_money_and_paper_are_never_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Rig(tmp_path / "data", {"zerodha": lambda account, keys: Far()}) as rig:  # type: ignore[dict-item,return-value]
        trader = rig.trader
        keys = {"api_key": "k1234567890", "api_secret": "s1234567890"}
        real, paper = trader.account(broker="zerodha", auto_trade=False, credentials=keys)["id"], trader.account()["id"]
        worth = {paper: PnlRow(Decimal(6950)), real: PnlRow(Decimal(-129))}

        def pnl(ids: Sequence[str]) -> Pnl:
            rows = {key: worth[key] for key in ids}
            total = sum(rows.values(), PnlRow())
            return Pnl(total, rows, {"S1": total}, 0.0)

        monkeypatch.setattr(rig.system, "pnl", pnl)
        now = trader.get("/api/pnl/realtime").json
        assert (now["live"]["INR"]["net"], now["paper"]["INR"]["net"], now["total"]["net"]) == ("-129", "6950", "6821")
        assert {row["account_id"]: row["live"] for row in now["by_account"]} == {real: True, paper: False}
        assert [(row["live"], row["net"]) for row in now["by_strategy"]] == [(True, "-129"), (False, "6950")]
        shown = trader.get("/api/groups/" + trader.post("/api/groups", {"name": "Both", "account_ids": [real, paper]}).json["id"]).json
        assert [row["live"] for row in shown["pnl"]] == [True, False]


def test_days_are_added_up_by_currency(tmp_path: Path) -> None:
    with Rig(tmp_path / "data", {"binance_spot": lambda account, keys: Far()}) as rig:  # type: ignore[dict-item,return-value]
        trader = rig.trader
        keys = {"api_key": "b1234567890", "api_secret": "s1234567890"}
        accounts = {trader.account()["id"]: "100", trader.account(broker="binance_spot", auto_trade=False, credentials=keys)["id"]: "-7"}
        assert trader.user

        def book(db: sqlite3.Connection) -> None:
            for account, realised in [*accounts.items(), ("*", "93")]:
                for strategy in ("S1", "*"):
                    row = (trader.user.user_id, account, strategy, "2026-11-20", realised)  # type: ignore[union-attr]
                    db.execute("INSERT INTO pnl_daily VALUES (?, ?, ?, ?, ?, '0', 1, '10')", row)

        rig.data.journal.run(book)
        for by in ("day", "account", "strategy", "all"):
            rows = trader.get(f"/api/pnl/daily?by={by}").json["items"]
            assert sorted((row["currency"], row["realised"]) for row in rows) == [("INR", "100"), ("USDT", "-7")], by
            assert all((row["account_id"] is None) == (by in ("day", "strategy")) for row in rows)
