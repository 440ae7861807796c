"""Accounts: create, change, switches, credentials, books, deletion."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NoReturn

import pytest

from engines.execution.desk import Desk
from engines.ports import BrokerTraits, NeedsLogin
from tests.api.rig import Person, Rig
from tests.support.broker import QuietBroker

OUT = {
    "id", "name", "broker", "credentials", "capital", "max_daily_loss", "max_daily_loss_pct", "max_daily_profit", "max_daily_profit_pct",
    "max_trades_per_day", "max_open_positions", "max_order_value", "max_order_value_pct", "max_position_value", "max_position_value_pct", "leverage",
    "dry_run", "auto_trade", "state", "state_detail", "session_expires_at", "equity", "day_pnl", "day_trades", "day_loss_used_pct", "open_positions",
}  # fmt: skip
KITE = {"api_key": "kite-api-key-123456", "api_secret": "kite-secret-abcdef-987654"}
_apps = itertools.count(100_000)


def fresh_keys() -> dict[str, str]:
    """The keys of another app each time: no two accounts of one person share theirs."""
    return {**KITE, "api_key": f"kite-api-{next(_apps)}-123456"}


def test_a_new_paper_account_is_ready_and_safe_by_default(trader: Person) -> None:
    answer = trader.post("/api/accounts", {"name": "Mine", "broker": "paper", "capital": 250000.5})
    assert answer.status_code == 201
    account = answer.json
    assert set(account) >= OUT
    assert (account["state"], account["auto_trade"], account["dry_run"], account["capital"]) == ("ready", False, False, "250000.5")
    assert (account["max_daily_loss"], account["day_trades"], account["equity"]) == (None, 0, "250000.5")
    assert trader.get(f"/api/accounts/{account['id']}").json["name"] == "Mine"


@pytest.mark.parametrize("broker", ["zerodha", "angelone", "binance_spot", "binance_usdm"])
def test_a_live_account_starts_dry_and_without_auto_trade(trader: Person, broker: str) -> None:
    secrets = {
        "zerodha": fresh_keys(),
        "angelone": {"api_key": "a1234567890", "client_code": "C100", "pin": "1234", "totp_secret": "JBSWY3DPEHPK3PXP"},
    }
    given = secrets.get(broker, {"api_key": "b1234567890", "api_secret": "s1234567890", "testnet": True})
    answer = trader.post("/api/accounts", {"name": f"Live {broker}", "broker": broker, "capital": "100000", "credentials": given})
    assert answer.status_code == 201, answer.text
    assert (answer.json["dry_run"], answer.json["auto_trade"]) == (True, False)
    assert set(answer.json["credentials"]) == set(given)


def test_law_12_credentials_never_come_out(trader: Person) -> None:
    account = trader.account(broker="zerodha", credentials=(keys := fresh_keys()), auto_trade=False)
    shown = trader.get(f"/api/accounts/{account['id']}").text + trader.get("/api/accounts").text + trader.get("/api/audit").text
    for secret in keys.values():
        assert secret not in shown
    assert account["credentials"] == {"api_key": "kit…456", "api_secret": "•••"}
    changed = trader.patch(f"/api/accounts/{account['id']}", {"credentials": {"access_token": "brand-new-access-token"}})
    assert changed.status_code == 200
    assert changed.json["credentials"] == {"api_key": "kit…456", "api_secret": "•••", "access_token": "•••"}
    assert "brand-new-access-token" not in changed.text


def test_limits_are_set_kept_and_taken_away(trader: Person) -> None:
    account = trader.account(max_daily_loss="5000", max_daily_loss_pct="2.5", max_trades_per_day=10, max_open_positions=0)
    shown = trader.get(f"/api/accounts/{account['id']}").json
    assert (shown["max_daily_loss"], shown["max_daily_loss_pct"], shown["max_trades_per_day"], shown["max_open_positions"]) == (
        "5000",
        "2.5",
        10,
        0,
    )
    changed = trader.patch(f"/api/accounts/{account['id']}", {"max_daily_loss": None, "max_trades_per_day": 3}).json
    assert (changed["max_daily_loss"], changed["max_daily_loss_pct"], changed["max_trades_per_day"]) == (None, "2.5", 3)


def test_a_changed_limit_holds_for_the_next_order(trader: Person) -> None:
    account = trader.account()
    trader.patch(f"/api/accounts/{account['id']}", {"max_order_value": "100"})
    order = trader.buy(account["id"])["orders"][0]
    assert (order["state"], order["reason"]) == ("denied", "order_value")


def test_auto_trade_of_a_live_account_wants_its_name(trader: Person) -> None:
    account = trader.account(name="Real money", broker="zerodha", credentials=fresh_keys(), auto_trade=False)
    path = f"/api/accounts/{account['id']}/auto-trade"
    for body in ({"on": True}, {"on": True, "confirm": "real money"}):
        answer = trader.post(path, body)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["confirm"])
    assert trader.post(path, {"on": True, "confirm": "Real money"}).json["auto_trade"] is True
    assert trader.post(path, {"on": False}).json["auto_trade"] is False
    refused = trader.patch(f"/api/accounts/{account['id']}", {"auto_trade": True})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["auto_trade"])


def test_auto_trade_of_a_paper_account_needs_no_confirmation(trader: Person) -> None:
    account = trader.account(auto_trade=False)
    assert trader.post(f"/api/accounts/{account['id']}/auto-trade", {"on": True}).json["auto_trade"] is True


def test_the_kill_switch_denies_entries_until_it_is_off(trader: Person) -> None:
    account = trader.account()
    path = f"/api/accounts/{account['id']}/kill-switch"
    on = trader.post(path, {"on": True, "reason": "fat finger"})
    assert (on.status_code, on.json["kill_switch"], on.json["kill_reason"], on.json["state"]) == (200, True, "fat finger", "halted")
    assert trader.buy(account["id"])["orders"][0]["reason"] == "kill_switch"
    assert trader.post(path, {"on": False}).json["kill_switch"] is False
    assert trader.buy(account["id"])["orders"][0]["state"] == "filled"


def test_balance_and_books_of_one_account(trader: Person) -> None:
    account = trader.account()
    order = trader.buy(account["id"])["orders"][0]
    base = f"/api/accounts/{account['id']}"
    assert set(trader.get(f"{base}/balance").json) == {"cash", "used_margin", "available", "equity", "currency"}
    assert [row["order_id"] for row in trader.get(f"{base}/orders").json["items"]] == [order["order_id"]]
    assert [row["symbol"] for row in trader.get(f"{base}/positions").json["items"]] == ["NSE:INFY"]
    trade = trader.get(f"{base}/trades").json["items"][0]
    assert trade["order_id"] == order["order_id"]
    assert set(trade) >= {"trade_id", "order_id", "broker_order_id", "symbol", "side", "quantity", "price", "charges", "traded_at"}


def test_the_brokers_own_books(trader: Person) -> None:
    account = trader.account()
    order = trader.buy(account["id"])["orders"][0]
    base = f"/api/accounts/{account['id']}"
    position = trader.get(f"{base}/positions?source=broker").json["items"][0]
    assert (position["symbol"], position["quantity"], position["product"]) == ("NSE:INFY", "10", "MIS")
    assert position["average_price"] == trader.get(f"{base}/positions").json["items"][0]["average_price"] is not None
    orders = trader.get(f"{base}/orders?source=broker").json["items"]
    assert all(row["broker_order_id"] == order["broker_order_id"] for row in orders)
    trade = trader.get(f"{base}/trades?source=broker").json["items"][0]
    assert (trade["order_id"], trade["product"], trade["symbol"], trade["side"]) == (order["order_id"], "MIS", "NSE:INFY", "BUY")
    assert trade["price"] == trader.get(f"{base}/trades").json["items"][0]["price"]


def test_what_the_broker_does_not_say_is_null_and_never_empty(trader: Person) -> None:
    account = trader.account()["id"]
    trader.buy(account)
    trader.buy(account, side="SELL", quantity="4", product="NRML")
    rows = [
        row
        for what in ("positions", "orders", "trades")
        for row in trader.get(f"/api/accounts/{account}/{what}?source=broker").json["items"]
    ]
    assert len(rows) == 6
    assert all(value != "" for row in rows for name, value in row.items() if name != "message")


def test_square_off_cancels_and_closes(trader: Person) -> None:
    account = trader.account()
    trader.buy(account["id"])
    resting = trader.buy(account["id"], order_type="LIMIT", price=str(round(trader.price() * 0.95)), symbol="NSE:INFY")["orders"][0]
    assert resting["state"] == "open"
    answer = trader.post(f"/api/accounts/{account['id']}/square-off")
    assert answer.status_code == 202
    assert [order["state"] for order in answer.json["orders"]] == ["filled"]
    assert trader.get(f"/api/orders/{resting['order_id']}").json["state"] == "cancelled"
    assert trader.get(f"/api/positions?account_id={account['id']}").json["items"] == []


def test_zerodha_by_one_call_answers_where_to_sign_in(trader: Person) -> None:
    body = {"name": "Kite", **KITE, "capital": "100000", "max_daily_loss": "2000"}
    answer = trader.post("/api/accounts/create-zerodha", body)
    assert answer.status_code == 201
    assert set(answer.json) == {"account_id", "login_url"}
    assert answer.json["login_url"].startswith("https://kite.zerodha.com/connect/login?")
    assert KITE["api_key"] in answer.json["login_url"]
    assert trader.get(f"/api/accounts/{answer.json['account_id']}").json["max_daily_loss"] == "2000"


def test_a_broker_without_a_connection_says_so(trader: Person) -> None:
    keys = {"api_key": "a1234567890", "client_code": "C200", "pin": "1234", "totp_secret": "JBSWY3DPEHPK3PXP"}
    account = trader.account(broker="angelone", credentials=keys, auto_trade=False)
    said = ("error", "cannot be connected: this version has no connection to angelone")
    path = f"/api/accounts/{account['id']}"
    for answer in (trader.post(f"{path}/verify"), trader.get(path)):
        assert (answer.json["state"], answer.json["state_detail"]) == said
    login = trader.post(f"{path}/login")
    assert (login.json["state"], login.json["state_detail"], login.json["login_url"]) == (*said, None)


class SignsInElsewhere(QuietBroker):
    """A connection that a person has to open at the broker."""

    traits = BrokerTraits()

    def connect(self, on_report: object) -> None:
        raise NeedsLogin("sign in at the broker")

    def abort(self) -> None:
        return None

    def close(self) -> None:
        return None


def test_where_there_is_a_connection_login_leads_to_the_broker(tmp_path: Path) -> None:
    with Rig(tmp_path / "data", brokers={"zerodha": lambda _account, _credentials: SignsInElsewhere()}) as rig:
        made = rig.trader.post("/api/accounts/create-zerodha", {"name": "Kite", **KITE, "capital": "100000"}).json
        path = f"/api/accounts/{made['account_id']}"
        page, _, state = rig.trader.post(f"{path}/login").json["login_url"].partition("&redirect_params=")
        assert page == made["login_url"].partition("&redirect_params=")[0]
        assert state.startswith("state%3D")
        shown = rig.trader.post(f"{path}/verify").json
        assert (shown["state"], shown["state_detail"]) == ("needs_login", "sign in at the broker")


def test_a_create_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    with Rig(tmp_path / "data") as rig:
        trader, refresh = rig.trader, rig.system.roster.refresh

        def refuse(start_lanes: bool = True) -> list[Desk]:
            if any(account.broker == "zerodha" for account in rig.system.directory.accounts()):
                raise RuntimeError("something that nobody expected")
            return refresh(start_lanes)

        rig.system.roster.refresh = refuse  # type: ignore[method-assign]
        kite = {"name": "Kite", **KITE, "capital": "100000"}
        account = {"name": "Kite", "broker": "zerodha", "credentials": KITE, "capital": "100000"}
        for path, body in (("/api/accounts", account), ("/api/accounts/create-zerodha", kite)):
            refused = trader.post(path, body)
            assert refused.status_code == 500
        assert trader.post("/api/accounts", {**account, "credentials": {}}).status_code == 422
        assert trader.get("/api/accounts").json["items"] == []
        assert trader.get("/api/system/status").json["accounts"]["total"] == 0
        assert trader.account(name="Kite")["state"] == "ready"


def test_an_account_whose_client_cannot_be_made_yet_is_there_and_says_why(tmp_path: Path) -> None:
    def refuse(_account: object, _credentials: object) -> NoReturn:
        raise RuntimeError("something that nobody expected")

    with Rig(tmp_path / "data", brokers={"zerodha": refuse}) as rig:
        made = rig.trader.post("/api/accounts", {"name": "Kite", "broker": "zerodha", "credentials": KITE, "capital": "100000"})
        assert (made.status_code, made.json["state"]) == (201, "error")
        assert made.json["state_detail"] == "cannot be connected: something that nobody expected"


def test_a_live_account_shares_its_name_with_no_other_of_the_same_person(trader: Person) -> None:
    trader.account(name="Twin")
    trader.account(name="Twin")  # paper accounts may: nothing hangs on their names
    kite = trader.post("/api/accounts/create-zerodha", {"name": "Single", **fresh_keys(), "capital": "1000"}).json
    for answer in (
        trader.post("/api/accounts/create-zerodha", {"name": " twin ", **fresh_keys(), "capital": "1000"}),
        trader.post("/api/accounts", {"name": "SINGLE", "broker": "paper", "capital": "1000"}),
        trader.patch(f"/api/accounts/{kite['account_id']}", {"name": "Twin"}),
    ):
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["name"])
    assert trader.patch(f"/api/accounts/{kite['account_id']}", {"name": "Single", "capital": "5"}).status_code == 200
    assert trader.rig.other.account(name="Twin")["name"] == "Twin"


def test_two_accounts_of_one_person_are_never_the_same_one_at_the_broker(trader: Person) -> None:
    keys, others = fresh_keys(), fresh_keys()
    trader.account(name="First of these keys", broker="zerodha", credentials=keys, auto_trade=False)
    second = trader.account(broker="zerodha", credentials=others, auto_trade=False)
    body = {"name": "Again", "broker": "zerodha", "capital": "1000"}
    for answer in (
        trader.post("/api/accounts", {**body, "credentials": keys}),
        trader.post("/api/accounts/create-zerodha", {"name": "Again", "capital": "1000", **keys}),
        trader.patch(f"/api/accounts/{second['id']}", {"credentials": keys}),
    ):
        assert (answer.status_code, answer.json["errors"]) == (422, {"credentials": ["these are the keys of First of these keys"]})
    assert trader.patch(f"/api/accounts/{second['id']}", {"credentials": others}).status_code == 200
    trader.rig.other.account(broker="zerodha", credentials=keys, auto_trade=False)


def test_one_app_may_serve_two_people_of_a_family(trader: Person) -> None:
    keys = fresh_keys()
    for user_id, status in (("FA1234", 201), ("FB5678", 201), ("fa1234", 422)):
        body = {"name": f"Of {user_id}", "broker": "zerodha", "capital": "1000", "credentials": {**keys, "user_id": user_id}}
        answer = trader.post("/api/accounts", body)
        assert answer.status_code == status, answer.text


def test_dry_run_of_a_live_account_ends_only_with_its_name(trader: Person) -> None:
    account = trader.account(name="For real", broker="zerodha", credentials=fresh_keys(), auto_trade=False)
    path = f"/api/accounts/{account['id']}"
    for body in ({"dry_run": False}, {"dry_run": False, "confirm": "for real"}):
        refused = trader.patch(path, body)
        assert (refused.status_code, list(refused.json["errors"])) == (422, ["confirm"])
    assert trader.patch(path, {"dry_run": False, "confirm": "For real"}).json["dry_run"] is False
    assert trader.patch(path, {"dry_run": False}).status_code == 200  # it is off already
    assert trader.patch(path, {"dry_run": True}).json["dry_run"] is True
    paper = trader.account(dry_run=True)
    assert trader.patch(f"/api/accounts/{paper['id']}", {"dry_run": False}).json["dry_run"] is False


def test_the_address_that_calls_leave_from_is_one_of_this_machine(trader: Person) -> None:
    account = trader.account(broker="zerodha", credentials=fresh_keys(), auto_trade=False, source_address="127.0.0.1")
    path = f"/api/accounts/{account['id']}"
    assert account["source_address"] == "127.0.0.1"
    for wrong in ("192.0.2.99", "here", "0.0.0.0", "224.0.0.1", ""):
        refused = trader.patch(path, {"source_address": wrong})
        assert (refused.status_code, list(refused.json["errors"])) == (422, ["source_address"])
    assert trader.patch(path, {"source_address": None}).json["source_address"] is None
    paper = trader.account()
    assert trader.patch(f"/api/accounts/{paper['id']}", {"source_address": "127.0.0.1"}).status_code == 422
    assert trader.post("/api/accounts", {"name": "P", "broker": "paper", "capital": "1", "source_address": "127.0.0.1"}).status_code == 422


def test_the_automated_log_in_is_asked_for_and_needs_its_secrets(trader: Person) -> None:
    account = trader.account(broker="zerodha", credentials=fresh_keys(), auto_trade=False)
    path = f"/api/accounts/{account['id']}"
    assert account["auto_login"] is False
    refused = trader.patch(path, {"auto_login": True})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["auto_login"])
    assert "user id, password, totp secret" in refused.text
    off = trader.post(f"{path}/auto-login")
    assert (off.status_code, "off" in off.json["detail"]) == (409, True)
    own = {"user_id": "AB1234", "password": "canary-password", "totp_secret": "JBSWY3DPEHPK3PXP"}
    on = trader.patch(path, {"auto_login": True, "credentials": own})
    assert (on.status_code, on.json["auto_login"], on.json["auto_login_failures"]) == (200, True, 0)
    assert "canary" not in on.text
    other = trader.account()
    assert trader.patch(f"/api/accounts/{other['id']}", {"auto_login": True}).status_code == 422
    assert trader.post(f"/api/accounts/{other['id']}/auto-login").status_code == 409


def test_login_and_verify_of_paper_answer_its_state(trader: Person) -> None:
    account = trader.account()
    assert trader.post(f"/api/accounts/{account['id']}/login").json["state"] == "ready"
    assert trader.post(f"/api/accounts/{account['id']}/verify").json["state"] == "ready"


def test_an_account_goes_when_it_is_flat(trader: Person) -> None:
    account = trader.account()
    trader.buy(account["id"])
    refused = trader.delete(f"/api/accounts/{account['id']}")
    assert refused.status_code == 409
    trader.post(f"/api/accounts/{account['id']}/square-off")
    gone = trader.delete(f"/api/accounts/{account['id']}")
    assert (gone.status_code, gone.data) == (204, b"")
    assert trader.get(f"/api/accounts/{account['id']}").status_code == 404
    assert account["id"] not in {row["id"] for row in trader.get("/api/accounts?limit=500").json["items"]}


def test_a_dry_run_records_the_order_after_all_checks(trader: Person) -> None:
    account = trader.account(dry_run=True)
    order = trader.buy(account["id"])["orders"][0]
    assert (order["state"], order["reason"], order["quantity"]) == ("denied", "dry_run", "10")


def test_lists_filter_and_page(fresh: Rig) -> None:
    trader = fresh.trader
    made = [trader.account(name=f"A{number}", auto_trade=number % 2 == 0)["id"] for number in range(5)]
    first = trader.get("/api/accounts?limit=2").json
    assert [row["id"] for row in first["items"]] == [made[4], made[3]]
    second = trader.get(f"/api/accounts?limit=2&cursor={first['next']}").json
    assert [row["id"] for row in second["items"]] == [made[2], made[1]]
    third = trader.get(f"/api/accounts?limit=2&cursor={second['next']}").json
    assert ([row["id"] for row in third["items"]], third["next"]) == ([made[0]], None)
    assert {row["id"] for row in trader.get("/api/accounts?auto_trade=true").json["items"]} == {made[0], made[2], made[4]}
    assert [row["id"] for row in trader.get("/api/accounts?name=A3").json["items"]] == [made[3]]
