"""Groups of accounts, combined P&L rules on them, and a strategy's re-entries, over the API."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from app.api.groups.service import state_of
from tests.api.rig import Person, Rig
from tests.api.test_database_down import locked


def until(true: Any, patience: float = 30.0) -> Any:
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


# --- groups that act -------------------------------------------------------------------------------------------------


def grouped(person: Person, name: str, *accounts: str) -> str:
    return str(made(person, "/api/groups", {"name": name, "account_ids": list(accounts)})["id"])


def act(person: Person, group: str, what: str, body: Any = None) -> dict[str, Any]:
    answer = person.post(f"/api/groups/{group}/{what}", body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def states(answer: dict[str, Any], rows: str = "accounts") -> dict[str, str]:
    return {row["account_id"]: row["state"] for row in answer[rows]}


def test_start_pause_and_stop_of_a_group(trader: Person) -> None:
    one, two = trader.account(auto_trade=False)["id"], trader.account(auto_trade=False)["id"]
    trader.post(f"/api/accounts/{two}/kill-switch", {"on": True})
    group = grouped(trader, "Acts", one, two)
    assert states(trader.get(f"/api/groups/{group}").json, "members") == {one: "paused", two: "stopped"}

    started = act(trader, group, "start")
    assert (started["ok"], started["state"], started["said"]) == (True, "running", "Acts: 2 of 2 started")
    assert states(started) == {one: "running", two: "running"}
    assert all(trader.bought(account)["state"] == "filled" for account in (one, two))
    shown = trader.get(f"/api/groups/{group}").json
    assert (shown["state"], shown["running"], shown["total"], [row["open_positions"] for row in shown["pnl"]]) == ("running", 2, 2, [2])
    assert float(shown["pnl"][0]["day_pnl"]) == pytest.approx(sum(float(row["day_pnl"]) for row in shown["members"]))

    paused = act(trader, group, "pause")
    assert (paused["state"], states(paused)) == ("paused", {one: "paused", two: "paused"})
    assert {row["detail"] for row in paused["accounts"]} == {"strategies enter nothing; positions and their stops stay"}
    assert [row["open_positions"] for row in trader.get(f"/api/groups/{group}").json["pnl"]] == [2]
    assert trader.buy(one)["orders"][0]["state"] == "filled"  # by hand is not by itself

    stopped = act(trader, group, "stop", {"reason": "enough"})
    assert (stopped["state"], states(stopped)) == ("stopped", {one: "stopped", two: "stopped"})
    assert [trader.buy(account)["orders"][0]["reason"] for account in (one, two)] == ["kill_switch"] * 2
    assert {trader.get(f"/api/accounts/{account}").json["open_positions"] for account in (one, two)} == {1}

    act(trader, group, "stop", {"flatten": True})
    until(lambda: not any(trader.get(f"/api/positions?account_id={account}").json["items"] for account in (one, two)))
    rows = trader.get("/api/audit?limit=60").json["items"]
    assert {row["action"] for row in rows if row["object_id"] == group} >= {"group.started", "group.paused", "group.stopped"}
    assert {row["object_id"] for row in rows if row["action"] == "account.kill_switch"} >= {one, two}


def test_what_runs_in_dry_run_says_so(trader: Person) -> None:
    dry, paper = trader.account(auto_trade=False)["id"], trader.account(auto_trade=False)["id"]
    trader.patch(f"/api/accounts/{dry}", {"dry_run": True})
    group = grouped(trader, "Rehearses", dry, paper)
    started = act(trader, group, "start")
    assert started["said"] == "Rehearses: 2 of 2 started, 1 of them in dry run: what they would send is recorded, and nothing is sent"
    shown = trader.get(f"/api/groups/{group}").json
    assert (shown["state"], shown["running"], shown["dry_run"]) == ("running", 2, 1)
    assert {row["account_id"]: (row["dry_run"], row["detail"].partition(":")[0]) for row in shown["members"]} == {
        dry: (True, "dry run"),
        paper: (False, ""),
    }
    act(trader, group, "pause")
    assert trader.get(f"/api/groups/{group}").json["dry_run"] == 0  # of those that run


def test_start_asks_for_the_groups_name_where_real_money_is(trader: Person) -> None:
    keys = {"api_key": "kite-group-key-1234", "api_secret": "kite-group-secret-1234"}
    live = trader.account(broker="zerodha", credentials=keys, auto_trade=False)["id"]
    paper = trader.account(auto_trade=False)["id"]
    group = grouped(trader, "Real money", live, paper)
    for body in ({}, {"confirm": "real money"}):
        refused = trader.post(f"/api/groups/{group}/start", body)
        assert (refused.status_code, list(refused.json["errors"])) == (422, ["confirm"])
    assert [trader.get(f"/api/accounts/{account}").json["auto_trade"] for account in (live, paper)] == [False, False]
    started = act(trader, group, "start", {"confirm": "Real money"})
    assert (started["ok"], started["state"], states(started)) == (True, "partly", {live: "waiting", paper: "running"})
    assert "waiting" in started["said"]
    assert trader.get(f"/api/accounts/{live}").json["dry_run"] is True  # that is another step
    assert act(trader, group, "pause")["state"] == "paused"


def test_start_leaves_whoever_does_not_agree_as_they_are_and_says_so(trader: Person) -> None:
    hers = trader.account(name="Meera's", auto_trade=False)["id"]
    off = trader.account(name="Switched off", auto_trade=False)["id"]
    mine = trader.account(name="Mine", auto_trade=False)["id"]
    consent = made(trader, "/api/consents", {"account_id": hers, "holder": "Meera", "relation": "spouse"})
    trader.post(f"/api/consents/{consent['id']}/revoke")
    trader.post(f"/api/accounts/{hers}/kill-switch", {"on": True})
    trader.patch(f"/api/accounts/{off}", {"enabled": False})
    group = grouped(trader, "Mixed", hers, off, mine)
    started = act(trader, group, "start")
    assert (started["ok"], started["state"], states(started)) == (False, "partly", {hers: "refused", off: "refused", mine: "running"})
    assert started["said"].startswith("Mixed: 1 of 3 started. Not started: Meera's: the consent of Meera (spouse) was revoked on ")
    assert started["said"].endswith("Switched off: the account is switched off: enable it first")
    shown = trader.get(f"/api/accounts/{hers}").json
    assert (shown["auto_trade"], shown["kill_switch"]) == (False, True)
    member = trader.get(f"/api/groups/{group}").json["members"][0]
    assert (member["state"], member["consent"], member["objection"][:20]) == ("stopped", "revoked", "the consent of Meera")


def test_a_pause_says_which_entries_still_wait_and_a_stop_takes_them_back(trader: Person) -> None:
    account = trader.account()["id"]
    group = grouped(trader, "Waiting entry", account)
    order = trader.buy(account, status=202, order_type="LIMIT", price=str(round(trader.price() * 0.9)), wait_ms=0)["orders"][0]["order_id"]
    until(lambda: trader.get(f"/api/orders/{order}").json["state"] == "open")
    paused = act(trader, group, "pause")
    assert paused["said"] == "Waiting entry: 1 of 1 paused; 1 entry still waits at the broker: cancel it, or stop the group"
    assert trader.get(f"/api/groups/{group}").json["members"][0]["entries_waiting"] == 1
    act(trader, group, "stop")
    until(lambda: trader.get(f"/api/orders/{order}").json["state"] == "cancelled")
    assert trader.get(f"/api/groups/{group}").json["members"][0]["entries_waiting"] == 0


def test_a_start_lifts_no_halt(fresh: Rig) -> None:
    account = fresh.trader.account()["id"]
    group = grouped(fresh.trader, "Halted", account)
    fresh.trader.post("/api/system/emergency-stop", {"reason": "fire", "flatten": False})
    started = act(fresh.trader, group, "start")
    assert (started["state"], states(started)) == ("waiting", {account: "waiting"})
    assert fresh.trader.buy(account)["orders"][0]["reason"] == "halted"


def test_all_accounts_are_stopped_side_by_side_and_one_that_fails_is_named(trader: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = [trader.account(name=f"Side {n}")["id"] for n in range(3)]
    group = grouped(trader, "Side by side", *accounts)
    together = threading.Barrier(3)
    switch = trader.rig.system.kill_switch

    def slow(account_id: str, *args: Any, **more: Any) -> None:
        together.wait(30)  # passes only when all three are under way at once
        if account_id == accounts[1]:
            raise RuntimeError("its lane is gone")
        switch(account_id, *args, **more)

    monkeypatch.setattr(trader.rig.system, "kill_switch", slow)
    stopped = act(trader, group, "stop")
    assert (stopped["ok"], [row["state"] for row in stopped["accounts"]]) == (False, ["stopped", "failed", "stopped"])
    assert stopped["said"] == "Side by side: 2 of 3 stopped. Not stopped: Side 1: could not be stopped: its lane is gone"


def test_a_group_is_stopped_while_the_database_cannot_be_written_but_not_started(fresh: Rig) -> None:
    account = fresh.trader.account(auto_trade=False)["id"]
    group = grouped(fresh.trader, "Locked out", account)
    with locked(fresh):
        assert fresh.trader.post(f"/api/groups/{group}/start").status_code == 503
        assert states(act(fresh.trader, group, "stop")) == {account: "stopped"}
    until(lambda: fresh.data.journal.healthy)
    until(lambda: fresh.trader.buy(account)["orders"][0]["reason"] == "kill_switch")  # and nothing else holds entries any more


@pytest.mark.parametrize(
    ("accounts", "group"),
    [
        ([], "empty"),
        (["running", "running"], "running"),
        (["running", "paused"], "partly"),
        (["running", "stopped"], "partly"),
        (["running", "waiting"], "partly"),
        (["waiting", "paused"], "waiting"),
        (["paused", "paused"], "paused"),
        (["paused", "stopped"], "paused"),
        (["stopped", "disabled"], "paused"),
        (["stopped", "stopped"], "stopped"),
    ],
)
def test_a_groups_state_from_those_of_its_accounts(accounts: list[str], group: str) -> None:
    assert state_of(accounts) == group


def test_an_empty_group_says_so(trader: Person) -> None:
    group = grouped(trader, "Nobody")
    assert [act(trader, group, what)["said"] for what in ("start", "pause", "stop")] == ["Nobody has no accounts"] * 3
