"""Mappings: this strategy on this account, with this much."""

from __future__ import annotations

import pytest

from tests.api.rig import Person


def test_a_mapping_is_made_changed_and_deleted(trader: Person) -> None:
    account, strategy = trader.account()["id"], trader.strategy()["id"]
    made = trader.mapping(account, strategy, allocation_pct=40, risk_per_trade_pct="0.5", multiplier="1.5")
    assert (made["allocation_pct"], made["risk_per_trade_pct"], made["multiplier"], made["enabled"]) == ("40", "0.5", "1.5", True)
    assert (made["sizing"]["mode"], made["sizing"]["value"]) == ("fixed_quantity", "5")
    changed = trader.patch(f"/api/mappings/{made['id']}", {"sizing": {"mode": "risk"}, "enabled": False}).json
    assert (changed["sizing"]["mode"], changed["enabled"], changed["allocation_pct"]) == ("risk", False, "40")
    assert trader.delete(f"/api/mappings/{made['id']}").status_code == 204
    assert trader.get(f"/api/mappings/{made['id']}").status_code == 404


def test_allocations_of_an_account_stay_within_all_of_it(trader: Person) -> None:
    account = trader.account()["id"]
    first, second = trader.strategy()["id"], trader.strategy()["id"]
    trader.mapping(account, first, allocation_pct="60")
    body = {"account_id": account, "strategy_id": second, "allocation_pct": "40.01", "sizing": {"mode": "percent", "value": "10"}}
    answer = trader.post("/api/mappings", body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["allocation_pct"])
    exact = trader.post("/api/mappings", body | {"allocation_pct": "40"})
    assert exact.status_code == 201
    assert trader.patch(f"/api/mappings/{exact.json['id']}", {"allocation_pct": "41"}).status_code == 422


def test_the_same_pair_twice_is_a_conflict(trader: Person) -> None:
    account, strategy = trader.account()["id"], trader.strategy()["id"]
    trader.mapping(account, strategy, allocation_pct="10")
    body = {"account_id": account, "strategy_id": strategy, "allocation_pct": "10", "sizing": {"mode": "percent", "value": "10"}}
    assert trader.post("/api/mappings", body).status_code == 409


@pytest.mark.parametrize(
    ("mode", "value", "shown"),
    [
        ("fixed_quantity", "7", "7"),
        ("fixed_amount", 25000, "25000"),
        ("percent", "12.5", "12.5"),
        ("kelly", None, "0.5"),
        ("risk", None, "100"),
    ],
)
def test_every_sizing_mode(trader: Person, mode: str, value: object, shown: str) -> None:
    sizing = {"mode": mode} | ({"value": value} if value is not None else {})
    made = trader.mapping(trader.account()["id"], trader.strategy()["id"], sizing=sizing)
    assert made["sizing"]["value"] == shown


def test_mappings_filter_by_field(trader: Person) -> None:
    account = trader.account()["id"]
    made = trader.mapping(account, trader.strategy()["id"])
    assert [row["id"] for row in trader.get(f"/api/mappings?account_id={account}").json["items"]] == [made["id"]]
    assert trader.get(f"/api/mappings?account_id={account}&enabled=false").json["items"] == []
