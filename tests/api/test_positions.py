"""Positions: what is held, what guards it, and the ways out."""

from __future__ import annotations

from tests.api.rig import Person

SHAPE = {
    "id", "account_id", "symbol", "product", "strategy_id", "quantity", "average_price", "last_price", "realised", "unrealised", "charges", "exit_plan",
}  # fmt: skip


def held(trader: Person, account: str, **more: str) -> dict:
    rows = trader.get(f"/api/positions?account_id={account}{''.join(f'&{k}={v}' for k, v in more.items())}").json["items"]
    assert len(rows) == 1
    return dict(rows[0])


def test_a_position_has_its_shape_and_is_signed(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account, side="SELL", quantity="3")
    position = held(trader, account)
    assert set(position) >= SHAPE
    assert (position["quantity"], position["product"], position["strategy_id"], position["exit_plan"]) == ("-3", "MIS", None, None)
    assert trader.get(f"/api/positions/{position['id']}").json["quantity"] == "-3"


def test_close_in_part_then_all_then_conflict(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    path = f"/api/positions/{held(trader, account)['id']}/close"
    part = trader.post(path, {"quantity": "4"})
    assert (part.status_code, part.json["orders"][0]["quantity"]) == (202, "4")
    assert held(trader, account)["quantity"] == "6"
    rest = trader.post(path, {"quantity": "100"})
    assert rest.json["orders"][0]["quantity"] == "6", "what is above the holding is capped"
    assert trader.get(f"/api/positions?account_id={account}").json["items"] == []
    assert held(trader, account, flat="true")["quantity"] == "0"
    assert trader.post(path).status_code == 409


def test_close_all_of_the_accounts_named(trader: Person) -> None:
    accounts = [trader.account()["id"] for _ in range(3)]
    trader.buy(*accounts)
    answer = trader.post("/api/positions/close-all", {"account_ids": accounts[:2]})
    assert answer.status_code == 202
    assert {order["account_id"] for order in answer.json["orders"]} == set(accounts[:2])
    assert [row["quantity"] for row in trader.get(f"/api/positions?account_id={accounts[2]}").json["items"]] == ["10"]


def test_an_exit_plan_is_set_changed_and_taken_away(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    path = f"/api/positions/{held(trader, account)['id']}/exit-plan"
    price = trader.price()
    answer = trader.put(path, {"stop_loss": {"pct": "5"}, "targets": [str(round(price * 1.1)), {"pct": "20", "share_pct": "40"}]})
    assert answer.status_code == 200, answer.text
    plan = answer.json["exit_plan"]
    assert plan["state"] == "armed"
    assert [target["quantity"] for target in plan["targets"]] == ["6", "4"]
    moved = trader.put(path, {"stop_loss": str(round(price * 0.9))}).json["exit_plan"]
    assert (moved["stop"], moved["targets"]) == (str(round(price * 0.9)), [])
    assert trader.put(path, {}).json["exit_plan"] is None


def test_a_plan_that_was_changed_meanwhile_is_not_replaced_by_what_an_old_page_holds(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    path = f"/api/positions/{held(trader, account)['id']}/exit-plan"
    first = trader.put(path, {"stop_loss": {"pct": "3"}, "version": "none"})
    assert first.status_code == 200, first.text
    seen = first.json["exit_plan"]["version"]
    tighter = trader.put(path, {"stop_loss": {"pct": "1"}, "version": seen}).json["exit_plan"]
    assert tighter["version"] != seen
    for late in ({"stop_loss": {"pct": "3"}, "max_minutes": 60, "version": seen}, {"version": seen}, {"version": "none"}):
        answer = trader.put(path, late)
        assert (answer.status_code, "changed since you opened it" in answer.text) == (409, True)
    assert held(trader, account)["exit_plan"] == tighter
    trader.buy(account, quantity="5")
    assert held(trader, account)["exit_plan"]["version"] == tighter["version"], "what the plan does by itself is no change of its recipe"
    assert trader.put(path, {"version": tighter["version"]}).json["exit_plan"] is None
    assert trader.put(path, {"stop_loss": {"pct": "3"}, "version": tighter["version"]}).status_code == 409


def test_a_senseless_exit_plan_is_refused_with_the_reason(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    answer = trader.put(f"/api/positions/{held(trader, account)['id']}/exit-plan", {"stop_loss": str(round(trader.price() * 2))})
    assert answer.status_code == 422
    assert answer.json["errors"]
