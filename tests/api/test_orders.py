"""Orders: the list, the whole story, cancel and change."""

from __future__ import annotations

from tests.api.rig import Person

LISTED = {
    "order_id", "client_id", "account_id", "state", "reason", "quantity", "broker_order_id", "filled_quantity", "average_price", "signal_id", "symbol",
    "side", "role", "order_type", "price", "trigger_price", "product", "strategy_id", "created_at", "updated_at",
}  # fmt: skip


def resting(trader: Person, account: str) -> str:
    order = trader.buy(account, order_type="LIMIT", price=str(round(trader.price() * 0.95)))["orders"][0]
    assert order["state"] == "open"
    return str(order["order_id"])


def test_a_list_has_every_field_and_pages_newest_first(trader: Person) -> None:
    account = trader.account()["id"]
    made = [trader.buy(account, signal_id=f"page-{number}-{account}")["orders"][0]["order_id"] for number in range(3)]
    first = trader.get(f"/api/orders?account_id={account}&limit=2").json
    assert [row["order_id"] for row in first["items"]] == [made[2], made[1]]
    assert all(set(row) == LISTED for row in first["items"])
    assert first["items"][0]["signal_id"] == f"page-2-{account}"
    assert (first["items"][0]["role"], first["items"][0]["order_type"], first["items"][0]["product"]) == ("entry", "MARKET", "MIS")
    rest = trader.get(f"/api/orders?account_id={account}&limit=2&cursor={first['next']}").json
    assert ([row["order_id"] for row in rest["items"]], rest["next"]) == ([made[0]], None)


def test_orders_filter_by_field(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account, signal_id=f"bought-{account}")
    order = resting(trader, account)
    base = f"/api/orders?account_id={account}"
    assert [row["order_id"] for row in trader.get(f"{base}&state=open").json["items"]] == [order]
    assert [row["order_id"] for row in trader.get(f"{base}&live=true").json["items"]] == [order]
    assert [row["signal_id"] for row in trader.get(f"{base}&signal_id=bought-{account}").json["items"]] == [f"bought-{account}"]
    assert [row["order_id"] for row in trader.get(f"{base}&order_type=LIMIT").json["items"]] == [order]
    assert len(trader.get(f"{base}&side=BUY&symbol=NSE:INFY&role=entry&product=MIS").json["items"]) == 2
    assert trader.get(f"{base}&reason=dry_run").json["items"] == []
    assert [row["order_id"] for row in trader.get(f"/api/orders?order_id={order}").json["items"]] == [order]


def test_the_story_goes_from_the_signal_to_the_fills(trader: Person) -> None:
    account = trader.account()["id"]
    sent = trader.buy(account, signal_id=f"story-{account}")["orders"][0]
    story = trader.get(f"/api/orders/{sent['order_id']}").json
    assert set(story) == LISTED | {"signal", "checks", "request", "answers", "events", "fills"}
    assert story["signal"]["signal_id"] == f"story-{account}"
    assert story["checks"]
    assert all(check["passed"] for check in story["checks"])
    assert (story["request"]["client_id"], story["request"]["quantity"]) == (sent["client_id"], "10")
    assert story["answers"]
    assert [fill["quantity"] for fill in story["fills"]] == ["10"]
    moments = [event["at"] for event in story["events"]]
    assert moments == sorted(moments)


def test_a_denied_order_tells_which_check_failed(trader: Person) -> None:
    account = trader.account(max_order_value="10")["id"]
    denied = trader.buy(account)["orders"][0]
    story = trader.get(f"/api/orders/{denied['order_id']}").json
    assert (story["state"], story["reason"], story["fills"]) == ("denied", "order_value", [])
    assert [check["name"] for check in story["checks"] if not check["passed"]] == ["order_value"]


def test_cancel_once_then_conflict(trader: Person) -> None:
    order = resting(trader, trader.account()["id"])
    answer = trader.post(f"/api/orders/{order}/cancel")
    assert (answer.status_code, answer.json["state"]) == (202, "cancelled")
    assert trader.post(f"/api/orders/{order}/cancel").status_code == 409
    assert trader.patch(f"/api/orders/{order}", {"quantity": "1"}).status_code == 409


def test_a_resting_order_may_be_changed(trader: Person) -> None:
    order = resting(trader, trader.account()["id"])
    price = str(round(trader.price() * 0.94))
    answer = trader.patch(f"/api/orders/{order}", {"quantity": "7", "price": price})
    assert answer.status_code == 202, answer.text
    assert (answer.json["quantity"], answer.json["price"], answer.json["state"]) == ("7", price, "open")


def test_trades_list_with_their_charges(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    trader.buy(account, side="SELL", quantity="4")
    rows = trader.get(f"/api/trades?account_id={account}").json["items"]
    assert [(row["side"], row["quantity"]) for row in rows] == [("SELL", "4"), ("BUY", "10")]
    assert all(float(row["charges"]) > 0 for row in rows)
    assert [row["side"] for row in trader.get(f"/api/trades?account_id={account}&side=BUY").json["items"]] == ["BUY"]
