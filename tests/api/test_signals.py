"""Signals by hand: one act for every account, the answer's exact shape, repeats, previews, lists."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from app.api.signals.service import order_brief
from app.pages import words
from engines.core.model import Check, Order, OrderState, OrderType, Product, Role, Side
from tests.api.rig import Person

ORDER = {
    "order_id",
    "client_id",
    "account_id",
    "state",
    "reason",
    "quantity",
    "broker_order_id",
    "filled_quantity",
    "average_price",
    "note",
}
TIMING = {"planned_ms", "journaled_ms", "first_sent_ms", "last_sent_ms", "last_acknowledged_ms"}


def test_one_signal_reaches_every_account_named(trader: Person) -> None:
    accounts = [trader.account()["id"] for _ in range(3)]
    answer = trader.buy(*accounts)
    assert set(answer) == {"signal_id", "received_at", "duplicate", "orders", "timing"}
    assert answer["duplicate"] is False
    assert answer["received_at"].endswith("Z")
    assert set(answer["timing"]) == TIMING
    assert all(isinstance(ms, int | float) for ms in answer["timing"].values())
    assert {order["account_id"] for order in answer["orders"]} == set(accounts)
    for order in answer["orders"]:
        assert set(order) == ORDER
        assert (order["state"], order["reason"], order["quantity"], order["filled_quantity"]) == ("filled", None, "10", "10")
        assert order["client_id"]
        assert isinstance(order["average_price"], str)


def test_without_waiting_it_is_accepted(trader: Person) -> None:
    answer = trader.buy(trader.account()["id"], wait_ms=None, status=202)
    assert len(answer["orders"]) == 1


def test_a_strategy_id_goes_to_its_mappings(trader: Person) -> None:
    strategy = trader.strategy()["id"]
    accounts = [trader.account()["id"], trader.account()["id"]]
    trader.mapping(accounts[0], strategy, sizing={"mode": "fixed_quantity", "value": "3"})
    trader.mapping(accounts[1], strategy, sizing={"mode": "fixed_quantity", "value": "3"}, multiplier="2")
    answer = trader.buy(account_ids=None, strategy_id=strategy, quantity=None)
    assert {order["account_id"]: order["quantity"] for order in answer["orders"]} == {accounts[0]: "3", accounts[1]: "6"}


def test_the_same_signal_id_again_sends_nothing(trader: Person) -> None:
    account = trader.account()["id"]
    first = trader.buy(account, signal_id="once-only.1")
    again = trader.buy(account, signal_id="once-only.1", quantity="99")
    assert again["duplicate"] is True
    assert [order["order_id"] for order in again["orders"]] == [order["order_id"] for order in first["orders"]]
    assert [order["quantity"] for order in again["orders"]] == ["10"]
    assert trader.get(f"/api/positions?account_id={account}").json["items"][0]["quantity"] == "10"


def test_signal_ids_are_each_users_own(trader: Person) -> None:
    other = trader.rig.other
    trader.buy(trader.account()["id"], signal_id="shared-name")
    assert other.buy(other.account()["id"], signal_id="shared-name")["duplicate"] is False


def test_twenty_at_once_with_one_id_are_one_order(trader: Person) -> None:
    account = trader.account()["id"]
    answers: list[dict] = []

    def send() -> None:
        answers.append(Person(trader.rig, trader.user, trader.token).buy(account, signal_id="storm"))

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["orders"][0]["order_id"] for answer in answers}) == 1
    assert sum(not answer["duplicate"] for answer in answers) == 1
    assert trader.get(f"/api/positions?account_id={account}").json["items"][0]["quantity"] == "10"


def test_an_account_named_twice_gets_one_order(trader: Person) -> None:
    account = trader.account()["id"]
    assert len(trader.buy(account, account)["orders"]) == 1


def test_denied_accounts_are_in_the_answer_with_a_reason(trader: Person) -> None:
    rich, poor = trader.account()["id"], trader.account(capital="100")["id"]
    orders = {order["account_id"]: order for order in trader.buy(rich, poor)["orders"]}
    assert orders[rich]["state"] == "filled"
    assert (orders[poor]["state"], orders[poor]["reason"]) == ("denied", "insufficient_funds")


def test_a_stop_on_the_wrong_side_is_refused_before_anything_is_sent(trader: Person) -> None:
    account = trader.account()["id"]
    price = trader.price()
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1"}
    high, low = str(round(price * 1.5)), str(round(price * 0.5))
    for field, changes in {
        "stop_loss": {"stop_loss": high},
        "targets.1": {"targets": [high, low]},
        "targets.0": {"side": "SELL", "targets": [high]},
    }.items():
        answer = trader.post("/api/signals/manual", body | changes)
        assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert trader.get(f"/api/orders?account_id={account}").json["items"] == []


def test_a_stop_or_target_where_no_price_goes_is_refused_beside_its_field_everywhere(trader: Person) -> None:
    account, strategy = trader.account()["id"], trader.strategy()["id"]
    far = str(round(trader.price() * 1.1))
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "1"}
    for field, changes in {
        "stop_loss.pct": {"stop_loss": {"pct": "100"}},
        "stop_loss.points": {"stop_loss": {"points": far}},
        "targets.1.pct": {"side": "SELL", "targets": [{"pct": "99"}, {"pct": "100"}]},
        "targets.0.points": {"side": "SELL", "targets": [{"points": far}]},
    }.items():
        for path in ("manual", "preview"):
            answer = trader.post(f"/api/signals/{path}", body | changes)
            assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    for field in ("pct", "points"):
        plan = {"stop_loss": {field: "100" if field == "pct" else far}}
        answer = trader.patch(f"/api/strategies/{strategy}", {"exit_plan": plan})
        assert (answer.status_code, list(answer.json["errors"])) == (422, [f"exit_plan.stop_loss.{field}"])
    trader.buy(account)
    position = trader.get(f"/api/positions?account_id={account}").json["items"][0]["id"]
    answer = trader.put(f"/api/positions/{position}/exit-plan", {"stop_loss": {"points": far}})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["stop_loss.points"])


def test_a_repeat_is_answered_even_when_the_market_has_passed_its_stop(trader: Person) -> None:
    account = trader.account()["id"]
    price = trader.price()
    first = trader.buy(account, signal_id="moved", stop_loss=str(round(price * 0.9)))
    again = trader.buy(account, signal_id="moved", stop_loss=str(round(price * 2)))
    assert again["duplicate"] is True
    assert again["orders"][0]["order_id"] == first["orders"][0]["order_id"]


def test_stop_targets_and_trailing_become_the_exit_plan(trader: Person) -> None:
    account = trader.account()["id"]
    price = trader.price()
    stop, target = str(round(price * 0.9)), str(round(price * 1.2))
    trader.buy(account, stop_loss=stop, targets=[target, {"points": "300", "share_pct": "30"}], trailing={"mode": "percent", "value": "50"})
    plan = trader.get(f"/api/positions?account_id={account}").json["items"][0]["exit_plan"]
    assert (plan["state"], plan["stop"], plan["quantity"]) == ("armed", stop, "10")
    assert [one["quantity"] for one in plan["targets"]] == ["7", "3"]
    assert plan["trailing"]["mode"] == "percent"


def test_that_a_guarded_position_keeps_its_plan_is_said_in_preview_answer_and_order(trader: Person) -> None:
    account, price = trader.account()["id"], trader.price()
    stop, tighter = str(round(price * 0.9)), str(round(price * 0.95))
    assert trader.buy(account, stop_loss=stop)["orders"][0]["note"] is None
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "10", "stop_loss": tighter}
    note = trader.post("/api/signals/preview", body).json["orders"][0]["note"]
    assert note == f"the position is guarded already (stop {stop}.00): that plan grows; the stop and targets asked for here are not used"
    order = trader.buy(account, stop_loss=tighter)["orders"][0]
    assert (order["state"], order["note"]) == ("filled", note)
    assert trader.get(f"/api/orders/{order['order_id']}").json["note"] == note
    assert trader.get(f"/api/positions?account_id={account}").json["items"][0]["exit_plan"]["stop"] == stop


def test_why_an_account_of_its_own_hours_was_denied_is_told_in_its_own_words() -> None:
    denied = Order(
        **dict.fromkeys(("order_id", "account_id", "user_id", "signal_key", "symbol"), ""),
        side=Side.BUY, quantity=Decimal(1), order_type=OrderType.MARKET, product=Product.MIS, role=Role.ENTRY, created_at=0.0, updated_at=0.0,
        state=OrderState.DENIED, reason="market_closed", checks=(Check("market_closed", False, "no intraday entry from 15:10 on"),),
    )  # fmt: skip
    assert words.why(order_brief(denied)) == "No intraday entry from 15:10 on."
    plain = replace(denied, reason="kill_switch", checks=(Check("kill_switch", False, "a stop or switch forbids entries"),))
    assert words.why(order_brief(plain)) == words.reason("kill_switch")
    assert words.why(order_brief(replace(plain, state=OrderState.REJECTED, reason="the broker's words"))) == "the broker's words"


def test_resting_orders_settle_as_open(trader: Person) -> None:
    price = trader.price()
    limit = trader.buy(trader.account()["id"], order_type="LIMIT", price=str(round(price * 0.9)))["orders"][0]
    assert (limit["state"], limit["filled_quantity"], limit["average_price"]) == ("open", "0", None)
    stop = trader.buy(trader.account()["id"], order_type="SL-M", trigger_price=str(round(price * 1.05)))["orders"][0]
    assert stop["state"] == "open"


def test_a_list_shows_what_became_of_each_signal(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account, signal_id="listed-1")
    trader.buy(account, signal_id="listed-2", side="SELL", quantity="4")
    rows = trader.get(f"/api/signals?account_id={account}").json["items"]
    assert [row["signal_id"] for row in rows] == ["listed-2", "listed-1"]
    assert set(rows[0]) >= {"signal_id", "source", "symbol", "side", "strategy_id", "created_at", "orders", "timing"}
    assert (rows[0]["source"], rows[0]["side"], rows[0]["orders"][0]["state"]) == ("manual", "SELL", "filled")
    assert trader.get("/api/signals/listed-1").json["orders"] == rows[1]["orders"]
    assert [row["signal_id"] for row in trader.get("/api/signals?signal_id=listed-2").json["items"]] == ["listed-2"]
    assert trader.get("/api/signals?source=strategy&symbol=NSE:INFY").json["items"] == []


def test_a_preview_shows_the_orders_and_sends_none(trader: Person) -> None:
    rich, poor = trader.account()["id"], trader.account(capital="100")["id"]
    body = {"account_ids": [rich, poor], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "10"}
    answer = trader.post("/api/signals/preview", body)
    assert answer.status_code == 200, answer.text
    reasons = {order["account_id"]: order["reason"] for order in answer.json["orders"]}
    assert reasons == {rich: None, poor: "insufficient_funds"}
    assert trader.get(f"/api/orders?account_id={rich}").json["items"] == []


@pytest.mark.parametrize("quantity", ["10", 10, 10.0])
def test_numbers_and_text_mean_the_same(trader: Person, quantity: object) -> None:
    assert trader.buy(trader.account()["id"], quantity=quantity)["orders"][0]["quantity"] == "10"


@pytest.mark.parametrize(
    ("terms", "fields"),
    [
        ({"order_type": "LIMIT", "price": "1500.03"}, {"price"}),
        ({"order_type": "SL-M", "trigger_price": "1500.01"}, {"trigger_price"}),
        ({"order_type": "SL", "price": "1500.01", "trigger_price": "1500.02"}, {"price", "trigger_price"}),
    ],
)
def test_a_price_off_the_tick_is_a_wrong_field_that_names_the_tick(trader: Person, terms: dict[str, str], fields: set[str]) -> None:
    account = trader.account()["id"]
    body = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "quantity": "1", **terms}
    hook = trader.post("/api/webhooks", {"name": "alerts", "account_ids": [account]}).json["secret"]
    alert = {name: value for name, value in body.items() if name != "account_ids"}
    for answer in (
        trader.post("/api/signals/manual", body),
        trader.post("/api/signals/preview", body),
        trader.rig.nobody.post(f"/api/webhooks/{hook}", alert),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json["errors"] == {field: ["is not a multiple of the tick size 0.1"] for field in fields}
    assert trader.get(f"/api/orders?account_id={account}").json["items"] == []
