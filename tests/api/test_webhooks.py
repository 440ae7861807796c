"""Webhooks: made, listed, deleted; alerts as JSON, as TradingView's templates, as text; late and repeated ones refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.rig import Person, Rig


def now(shift: float = 0.0) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + shift, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Hook:
    def __init__(self, trader: Person, **audience: Any) -> None:
        made = trader.post("/api/webhooks", {"name": "TradingView", **audience})
        assert made.status_code == 201, made.text
        self.made = made.json
        self.path = f"/api/webhooks/{self.made['secret']}"
        self.client = Person(trader.rig, trader.user, None)

    def send(self, body: Any = None, *, text: str | None = None) -> Any:
        if text is not None:
            return self.client.post(self.path, data=text, headers={"Content-Type": "text/plain; charset=utf-8"})
        return self.client.post(self.path, body)


@pytest.fixture
def account(trader: Person) -> str:
    return str(trader.account()["id"])


@pytest.fixture
def hook(trader: Person, account: str) -> Hook:
    return Hook(trader, account_ids=[account])


def test_the_secret_is_told_once(trader: Person, hook: Hook) -> None:
    assert set(hook.made) >= {"id", "url", "secret"}
    assert hook.made["url"].endswith(hook.path)
    listed = trader.get("/api/webhooks?limit=500")
    assert hook.made["id"] in {row["id"] for row in listed.json["items"]}
    assert hook.made["secret"] not in listed.text + trader.get("/api/audit").text
    assert trader.delete(f"/api/webhooks/{hook.made['id']}").status_code == 204
    assert hook.send({"symbol": "NSE:INFY", "side": "BUY", "quantity": 1}).status_code == 404


def test_the_body_of_a_signal(trader: Person, account: str, hook: Hook) -> None:
    body = {"symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "3", "wait_ms": 30_000}
    answer = hook.send(body)
    assert answer.status_code == 200, answer.text
    assert [(order["account_id"], order["state"], order["quantity"]) for order in answer.json["orders"]] == [(account, "filled", "3")]
    row = trader.get(f"/api/signals?account_id={account}").json["items"][0]
    assert (row["source"], row["note"]) == ("webhook", "TradingView")
    answer = hook.send({**body, "stop_loss": {"pct": "100"}})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["stop_loss.pct"])


def test_a_strategys_webhook_goes_to_its_mappings(trader: Person, account: str) -> None:
    strategy = trader.strategy()["id"]
    trader.mapping(account, strategy)
    answer = Hook(trader, strategy_id=strategy).send({"symbol": "NSE:INFY", "side": "BUY"})
    assert answer.status_code == 202
    assert [(order["account_id"], order["quantity"]) for order in answer.json["orders"]] == [(account, "5")]


TEMPLATES = {
    "TradingView JSON": {"ticker": "INFY", "exchange": "NSE", "action": "buy", "contracts": "4", "price": "1500.5", "position_size": "4"},
    "dotted names": {"ticker": "INFY", "strategy.order.action": "buy", "strategy.order.contracts": "4", "close": "1500", "interval": "5"},
    "numbers": {"ticker": "NSE:INFY", "action": "BUY", "qty": 4, "comment": "breakout"},
    "long": {"ticker": "NSE:INFY", "action": "long", "quantity": 4.0},
}


@pytest.mark.parametrize("body", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_json_templates(hook: Hook, body: dict[str, Any]) -> None:
    answer = hook.send({**body, "time": now()})
    assert answer.status_code == 202, answer.text
    assert [order["quantity"] for order in answer.json["orders"]] == ["4"]


TEXTS = {
    "TradingView's own": "EMA Cross (9, 21): order buy @ 4 filled on NSE:INFY. New strategy position is 4",
    "without exchange": "order buy @ 4 filled on INFY",
    "short": "BUY NSE:INFY 4",
    "lower case": "buy infy 4",
    "pairs": "symbol=NSE:INFY side=BUY quantity=4",
    "pairs over lines": "ticker: INFY\naction: buy\ncontracts: 4",
    "JSON as text": '{"ticker": "INFY", "action": "buy", "contracts": "4"}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text_templates(hook: Hook, text: str) -> None:
    answer = hook.send(text=text)
    assert answer.status_code == 202, answer.text
    assert [order["quantity"] for order in answer.json["orders"]] == ["4"]


def test_a_flat_position_only_ever_exits(trader: Person, account: str, hook: Hook) -> None:
    trader.buy(account, quantity="4")
    body = {
        "ticker": "INFY",
        "exchange": "NSE",
        "action": "sell",
        "contracts": "9",
        "market_position": "flat",
        "time": now(),
        "wait_ms": 30_000,
    }
    answer = hook.send(body)
    assert answer.status_code == 200, answer.text
    assert trader.get(f"/api/positions?account_id={account}").json["items"] == [], "nine were told, four were held, none is short"


@pytest.mark.parametrize("shift", [-61, -3600, 90])
def test_late_alerts_and_those_of_the_future_are_refused(trader: Person, account: str, hook: Hook, shift: float) -> None:
    answer = hook.send({"symbol": "NSE:INFY", "side": "BUY", "quantity": "1", "time": now(shift)})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["time"])
    assert trader.get(f"/api/orders?account_id={account}").json["items"] == []


@pytest.mark.parametrize("extra", [{"time": None}, {}, {"signal_id": "tv-1"}], ids=["with time", "without", "with id"])
def test_a_repeated_alert_is_refused(trader: Person, account: str, hook: Hook, extra: dict[str, Any]) -> None:
    extra = {"time": now()} if "time" in extra else {key: f"{value}-{account}" for key, value in extra.items()}
    body = {"symbol": "NSE:INFY", "side": "BUY", "quantity": "1", "wait_ms": 30_000, **extra}
    assert hook.send(body).status_code == 200
    again = hook.send(dict(reversed(body.items())))
    assert again.status_code == 409
    assert len(trader.get(f"/api/orders?account_id={account}").json["items"]) == 1


def test_another_alert_is_not_a_repeat(trader: Person, account: str, hook: Hook) -> None:
    for quantity in ("1", "2"):
        assert hook.send({"symbol": "NSE:INFY", "side": "BUY", "quantity": quantity}).status_code == 202


def test_alerts_are_entries_that_auto_trade_must_allow(trader: Person) -> None:
    manual_only = trader.account(auto_trade=False)["id"]
    answer = Hook(trader, account_ids=[manual_only]).send(text="BUY NSE:INFY 1")
    assert answer.json["orders"][0]["reason"] == "auto_trade_off"


WRONG = {
    "no side": ({"symbol": "NSE:INFY"}, 422),
    "unknown name": ({"symbol": "NSE:NOSUCH", "side": "BUY", "quantity": 1}, 422),
    "unknown field": ({"symbol": "NSE:INFY", "side": "BUY", "quantity": 1, "leverage": 5}, 422),
    "foreign account": ({"symbol": "NSE:INFY", "side": "BUY", "quantity": 1, "account_ids": ["someone-elses"]}, 404),
    "another strategy": ({"symbol": "NSE:INFY", "side": "BUY", "quantity": 1, "strategy_id": "another"}, 404),
    "a list": ([1], 422),
}


@pytest.mark.parametrize(("body", "status"), WRONG.values(), ids=WRONG.keys())
def test_alerts_that_cannot_be_used(hook: Hook, body: Any, status: int) -> None:
    assert hook.send(body).status_code == status


def test_text_that_cannot_be_used(hook: Hook) -> None:
    assert hook.send(text="to the moon").status_code == 422
    assert hook.send(text="").status_code == 422
    assert hook.client.post(hook.path, data=b"\xff\xfe", headers={"Content-Type": "text/plain"}).status_code == 400
    assert hook.client.post(hook.path, data="a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code == 415
    assert hook.client.post(hook.path, data="{", headers={"Content-Type": "application/json"}).status_code == 400


DEFAULT = "order buy @ {} filled on NSE:INFY. New strategy position is {}"


@pytest.mark.parametrize(
    "text",
    [
        *(DEFAULT.format("1", position) for position in ("1.2.3", "..", "-", "\u0663", "-.")),
        DEFAULT.format("1.2.3", "1"),
        "BUY NSE:INFY \u0663",
    ],
)
def test_a_number_that_is_none_is_told_as_that(trader: Person, account: str, hook: Hook, text: str) -> None:
    answer = hook.send(text=text)
    assert answer.status_code == 422, answer.text
    assert trader.get(f"/api/orders?account_id={account}").json["items"] == []


def test_a_wrong_secret_is_not_there(rig: Rig) -> None:
    assert rig.nobody.post("/api/webhooks/not-a-secret", {"symbol": "NSE:INFY", "side": "BUY"}).status_code == 404
