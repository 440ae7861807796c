"""Orders: the list, the whole story, cancel and change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.rig import Person, Rig

LISTED = {
    "order_id", "client_id", "account_id", "state", "reason", "quantity", "broker_order_id", "filled_quantity", "average_price", "signal_id", "symbol",
    "side", "role", "order_type", "price", "trigger_price", "product", "strategy_id", "created_at", "updated_at", "note",
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


def test_what_is_final_but_not_in_memory_says_that_it_is_final(trader: Person) -> None:
    denied = trader.buy(trader.account(max_order_value="10")["id"])["orders"][0]["order_id"]
    for answer in (trader.post(f"/api/orders/{denied}/cancel"), trader.patch(f"/api/orders/{denied}", {"quantity": "1"})):
        assert (answer.status_code, answer.json["detail"]) == (409, "the order is already denied")
    for method, path in (("POST", "/api/orders/{}/cancel"), ("PATCH", "/api/orders/{}")):
        for person, order in ((trader.rig.other, denied), (trader, "no-such-order")):
            answer = person.call(method, path.format(order), {"quantity": "1"} if method == "PATCH" else None)
            assert (answer.status_code, answer.json["detail"]) == (404, "There is no such order.")


def test_an_order_of_an_earlier_run_is_final_still(tmp_path: Path) -> None:
    with Rig(tmp_path / "data") as before:
        order = resting(before.trader, before.trader.account()["id"])
        assert before.trader.post(f"/api/orders/{order}/cancel").json["state"] == "cancelled"
    with Rig(tmp_path / "data") as after:
        answer = after.trader.post(f"/api/orders/{order}/cancel")
        assert (answer.status_code, answer.json["detail"]) == (409, "the order is already cancelled")


def waiting(trader: Person, order_type: str) -> tuple[str, int]:
    """A resting BUY of that type, and the price around which it was made."""
    price = round(trader.price())
    terms: dict[str, Any] = {
        "LIMIT": {"price": str(price - 50)},
        "SL-M": {"trigger_price": str(price + 50)},
        "SL": {"trigger_price": str(price + 50), "price": str(price + 60)},
    }[order_type]
    order = trader.buy(trader.account()["id"], order_type=order_type, **terms)["orders"][0]
    assert order["state"] == "open"
    return str(order["order_id"]), price


OFF_TICK = "is not a multiple of the tick size 0.1"


@pytest.mark.parametrize(
    ("order_type", "change", "errors"),
    [
        ("LIMIT", {"trigger_price": "1500"}, {"trigger_price": "is not used by a LIMIT order"}),
        ("SL-M", {"price": "1500"}, {"price": "is not used by a SL-M order"}),
        ("LIMIT", {"price": "1500.03"}, {"price": OFF_TICK}),
        ("SL-M", {"trigger_price": "1500.01"}, {"trigger_price": OFF_TICK}),
        ("SL", {"price": "1500.01", "trigger_price": "1500.02"}, {"price": OFF_TICK, "trigger_price": OFF_TICK}),
        ("LIMIT", {"price": "1"}, {"price": "is outside the band of 20 % around"}),
        ("SL", {"trigger_price": "1"}, {"trigger_price": "is outside the band of 20 % around"}),
        ("LIMIT", {"quantity": "1.5"}, {"quantity": "is not a multiple of the lot size 1"}),
        ("LIMIT", {"quantity": "99999999"}, {"quantity": "is above the freeze quantity"}),
        ("LIMIT", {"quantity": "0"}, {"quantity": "must be above 0"}),
        ("LIMIT", {}, {"body": "give quantity, price or trigger_price"}),
    ],
)
def test_a_change_that_no_exchange_would_take_is_a_wrong_field(
    trader: Person, order_type: str, change: dict[str, str], errors: dict[str, str]
) -> None:
    order, _ = waiting(trader, order_type)
    before = trader.get(f"/api/orders?order_id={order}").json
    answer = trader.patch(f"/api/orders/{order}", change)
    assert answer.status_code == 422, answer.text
    assert set(answer.json["errors"]) == set(errors)
    for field, words in errors.items():
        assert words in answer.json["errors"][field][0]
    assert trader.get(f"/api/orders?order_id={order}").json == before


def test_the_limit_of_a_stop_order_stays_on_its_side_of_the_trigger(trader: Person) -> None:
    order, price = waiting(trader, "SL")
    below = trader.patch(f"/api/orders/{order}", {"price": str(price + 40)})
    assert (below.status_code, set(below.json["errors"])) == (422, {"price"})
    above = trader.patch(f"/api/orders/{order}", {"trigger_price": str(price + 70)})
    assert (above.status_code, set(above.json["errors"])) == (422, {"trigger_price"})
    assert trader.patch(f"/api/orders/{order}", {"trigger_price": str(price + 70), "price": str(price + 80)}).status_code == 202


def test_a_change_beyond_a_limit_or_during_a_stop_is_a_conflict(fresh: Rig) -> None:
    trader = fresh.trader
    order = resting(trader, trader.account(max_order_value="20000")["id"])
    limit = trader.patch(f"/api/orders/{order}", {"quantity": "100"})
    assert (limit.status_code, "order_value" in limit.json["detail"]) == (409, True)
    trader.post("/api/system/stop")
    assert trader.patch(f"/api/orders/{order}", {"quantity": "11"}).status_code == 409
    assert trader.get(f"/api/orders/{order}").json["quantity"] == "10"


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
