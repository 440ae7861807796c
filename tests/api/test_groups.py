"""Groups of accounts, combined P&L rules on them, and a strategy's re-entries, over the API."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.api.rig import Person


def until(true: Any, patience: float = 10.0) -> Any:
    deadline, pause = time.monotonic() + patience, threading.Event()
    while not (answer := true()):
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.01)
    return answer


def made(person: Person, path: str, body: dict[str, Any], status: int = 201) -> Any:
    answer = person.post(path, body)
    assert answer.status_code == status, answer.text
    return answer.json


def test_a_group_is_made_changed_and_deleted_and_its_accounts_stay(trader: Person) -> None:
    one, two = trader.account()["id"], trader.account()["id"]
    group = made(trader, "/api/groups", {"name": "Family", "account_ids": [one]})
    made(trader, "/api/groups", {"name": "Family"}, 409)
    made(trader, "/api/groups", {"name": "Twice", "account_ids": [one, one]}, 422)
    changed = trader.patch(f"/api/groups/{group['id']}", {"account_ids": [one, two]}).json
    assert (changed["name"], sorted(changed["account_ids"])) == ("Family", sorted([one, two]))
    assert [g["id"] for g in trader.get(f"/api/groups?account_id={two}").json["items"]] == [group["id"]]
    rule = made(trader, "/api/combined", {"scope": "group", "scope_id": group["id"], "stop": "1000"})
    assert trader.delete(f"/api/groups/{group['id']}").status_code == 409
    assert trader.delete(f"/api/combined/{rule['id']}").status_code == 204
    assert trader.delete(f"/api/groups/{group['id']}").status_code == 204
    assert trader.get(f"/api/accounts/{one}").status_code == 200


def test_a_rule_shows_where_it_stands_and_each_scope_has_one(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    rule = made(trader, "/api/combined", {"scope": "account", "scope_id": account, "stop": "100000", "lock_at": 5000, "lock": "-100.5"})
    assert (rule["stop"], rule["lock"], rule["leave_at"], rule["left"], rule["why"]) == ("100000", "-100.5", "-100000", None, "")
    assert float(rule["pnl"]) != 0
    made(trader, "/api/combined", {"scope": "account", "scope_id": account, "stop": "1"}, 409)
    changed = trader.patch(f"/api/combined/{rule['id']}", {"lock": None, "lock_at": None, "target": "900000"}).json
    assert (changed["lock"], changed["target"], changed["scope_id"]) == (None, "900000", account)
    assert trader.patch(f"/api/combined/{rule['id']}", {"stop": None, "target": None}).status_code == 422
    assert [row["id"] for row in trader.get("/api/combined?scope=account").json["items"]].count(rule["id"]) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "stop"),
        ({"stop": "0"}, "stop"),
        ({"lock": "5"}, "lock_at"),
        ({"lock_at": "5", "lock": "5"}, "lock"),
        ({"trail_by": "5"}, "trail_start"),
    ],
)
def test_rules_that_make_no_sense_are_refused_beside_the_field(trader: Person, body: dict[str, str], field: str) -> None:
    account = trader.account()["id"]
    assert list(made(trader, "/api/combined", {"scope": "account", "scope_id": account, **body}, 422)["errors"]) == [field]


def test_what_a_rule_has_left_takes_no_entries_and_the_rule_stays_for_the_day(trader: Person) -> None:
    account = trader.account()["id"]
    rule = made(trader, "/api/combined", {"scope": "account", "scope_id": account, "stop": "0.01"})
    trader.buy(account)  # its charges alone are more than that
    left = until(lambda: (row := trader.get(f"/api/combined/{rule['id']}").json)["left"] and row)
    assert (left["left"], float(left["left_pnl"]) < 0) == ("stop", True)
    until(lambda: not trader.get(f"/api/positions?account_id={account}").json["items"])
    order = trader.buy(account)["orders"][0]
    assert (order["state"], order["reason"]) == ("denied", "daily_loss")
    assert trader.patch(f"/api/combined/{rule['id']}", {"enabled": False}).status_code == 409
    assert trader.delete(f"/api/combined/{rule['id']}").status_code == 409
    assert trader.patch(f"/api/combined/{rule['id']}", {"stop": "500"}).json["left"] == "stop"


def test_no_account_leaves_a_group_that_has_left_today_but_one_may_join(trader: Person) -> None:
    first, second = trader.account()["id"], trader.account()["id"]
    group = made(trader, "/api/groups", {"name": "Held", "account_ids": [first]})["id"]
    rule = made(trader, "/api/combined", {"scope": "group", "scope_id": group, "stop": "0.01"})
    trader.buy(first)
    until(lambda: trader.get(f"/api/combined/{rule['id']}").json["left"])
    assert trader.patch(f"/api/groups/{group}", {"account_ids": [second]}).status_code == 409
    joined = trader.patch(f"/api/groups/{group}", {"name": "Kept", "account_ids": [first, second]})
    assert (joined.status_code, len(joined.json["account_ids"])) == (200, 2)
    assert trader.buy(second)["orders"][0]["reason"] == "daily_loss"


def test_rules_and_members_of_what_is_deleted_go_with_it(trader: Person) -> None:
    account, strategy = trader.account()["id"], trader.strategy()["id"]
    group = made(trader, "/api/groups", {"name": "Gone", "account_ids": [account]})
    rules = [
        made(trader, "/api/combined", {"scope": scope, "scope_id": thing, "stop": "1"})["id"]
        for scope, thing in (("account", account), ("strategy", strategy))
    ]
    assert trader.delete(f"/api/accounts/{account}").status_code == 204
    assert trader.delete(f"/api/strategies/{strategy}").status_code == 204
    assert [trader.get(f"/api/combined/{rule}").status_code for rule in rules] == [404, 404]
    assert trader.get(f"/api/groups/{group['id']}").json["account_ids"] == []


def test_a_strategys_re_entries(trader: Person) -> None:
    assert trader.strategy()["reentry"] is None
    strategy = trader.strategy(reentry={"mode": "momentum", "move_pct": "0.5", "most": 3, "after": "any", "until": "14:30"})
    full = {"mode": "momentum", "move_pct": "0.5", "most": 3, "after": "any", "until": "14:30", "cool_down_minutes": 0, "reverse": False}
    assert strategy["reentry"] == full
    assert trader.patch(f"/api/strategies/{strategy['id']}", {"name": "Other"}).json["reentry"] == full
    assert trader.patch(f"/api/strategies/{strategy['id']}", {"reentry": None}).json["reentry"] is None
    for wrong in ({"mode": "momentum"}, {"move_pct": "1"}, {"most": 0}, {"until": "25:00"}, {"after": "tea"}):
        assert trader.patch(f"/api/strategies/{strategy['id']}", {"reentry": wrong}).status_code == 422
