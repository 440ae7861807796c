"""The emulated SmartAPI over HTTP, spoken to by the official SDK's own classes, with its answers held against published samples."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.core.faults import Fault
from tests.emulators.smartapi import sdk
from tests.emulators.smartapi.emulator import MASTER_PATH, SmartApiEmulator

SAMPLES = Path(__file__).parents[2].parent / "shared" / "brokers" / "angelone-samples"
TERMS = {
    "variety": "NORMAL",
    "tradingsymbol": "SBIN-EQ",
    "symboltoken": "3045",
    "transactiontype": "BUY",
    "exchange": "NSE",
    "ordertype": "LIMIT",
    "producttype": "INTRADAY",
    "duration": "DAY",
    "price": "820.50",
    "squareoff": "0",
    "stoploss": "0",
    "quantity": "10",
    "ordertag": "0123456789ABCDEFGH",
}
FUNDS = "Your order has been rejected due to Insufficient Funds. Available funds - Rs. 100.00 . You require Rs. 1641.00 funds to execute this order."


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk.keep_quiet(monkeypatch, tmp_path)


@pytest.fixture
def emulator() -> Iterator[SmartApiEmulator]:
    with SmartApiEmulator(seed=1) as made:
        yield made


@pytest.fixture
def account(emulator: SmartApiEmulator) -> EmulatedAccount:
    return emulator.add_account("A000001")


def sample(name: str) -> Any:
    return json.loads((SAMPLES / "rest_envelopes.json").read_text())[name]


def error(code: str) -> Any:
    return next(x["body"] for x in json.loads((SAMPLES / "errors.json").read_text()) if code in json.dumps(x.get("body", "")))


def shape(value: Any) -> Any:
    """Keys and types of an answer; of a list its first entry."""
    if isinstance(value, dict):
        return {name: shape(x) for name, x in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_a_log_in_needs_the_pin_and_the_code_of_this_half_minute_or_its_neighbours(
    emulator: SmartApiEmulator, account: EmulatedAccount
) -> None:
    client, now = sdk.client(emulator, account), emulator.clock.now()
    pin = account.credentials["pin"]
    assert client.generateSession(account.name, pin, "000000") == error("AB1050")
    wrong_pin = "0000" if pin != "0000" else "0001"
    assert client.generateSession(account.name, wrong_pin, sdk.code(account, now))["errorcode"] == "AB1000"
    assert client.generateSession(account.name, pin, sdk.code(account, now - 90))["errorcode"] == "AB1050"
    for moment in (now - 30, now, now + 30):
        said = client.generateSession(account.name, pin, sdk.code(account, moment))
        assert said["status"] is True
        assert said["data"]["clientcode"] == "A000001"
    assert set(account.canaries()) > {client.access_token, client.refresh_token, client.feed_token, account.credentials["totp_secret"]}


@pytest.mark.parametrize(("envelope", "key", "value"), [("success", "success", False), ("string", "status", "false")])
def test_a_log_in_may_be_refused_in_other_envelopes(envelope: str, key: str, value: object) -> None:
    with SmartApiEmulator(envelope=envelope) as emulator:
        account = emulator.add_account()
        headers = {"X-PrivateKey": account.credentials["api_key"]}
        url = f"{emulator.url}/rest/auth/angelbroking/user/v1/loginByPassword"
        said = requests.post(url, json={"clientcode": account.name, "password": "x", "totp": "0"}, headers=headers, timeout=30).json()
        assert said[key] == value


def test_a_used_code_can_be_refused_the_second_time() -> None:
    with SmartApiEmulator(one_time_codes=True) as emulator:
        account = emulator.add_account()
        client = sdk.signed_in(emulator, account)
        said = client.generateSession(account.name, account.credentials["pin"], sdk.code(account, emulator.clock.now()))
        assert said["errorcode"] == "AB1050"


def test_a_second_log_in_ends_the_first_unless_sessions_are_many(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    first, second = sdk.signed_in(emulator, account), sdk.signed_in(emulator, account)
    assert first.orderBook() == error("AG8001")
    assert second.orderBook()["status"] is True
    with SmartApiEmulator(single_session=False) as other:
        both = other.add_account()
        first, second = sdk.signed_in(other, both), sdk.signed_in(other, both)
        assert first.orderBook()["status"] is True is second.orderBook()["status"]


def test_a_session_ends_at_midnight_by_hand_or_with_its_key(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    emulator.advance(86_400)
    assert client.orderBook()["errorCode"] == "AG8002"
    client = sdk.signed_in(emulator, account)
    emulator.expire_session(account)
    assert client.orderBook() == error("AG8001")
    client = sdk.signed_in(emulator, account)
    assert client.generateToken(client.refresh_token)["status"] is True
    assert client.orderBook()["status"] is True
    assert client.terminateSession(account.name) == sample("logout_ok")
    assert client.orderBook()["errorCode"] == "AG8001"
    emulator.revoke(account)
    said = client.generateSession  # the SDK stumbles over this envelope, as it does at the broker
    with pytest.raises(KeyError, match="status"):
        said(account.name, account.credentials["pin"], sdk.code(account, emulator.clock.now()))


def test_answers_have_the_shapes_of_the_samples(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    assert client.orderBook() == sample("order_book_empty")
    assert client.tradeBook() == sample("trade_book_empty")
    assert client.position() == sample("position_empty")
    assert client.holding() == sample("holding_empty")
    placed = client.placeOrderFullResponse(dict(TERMS))
    assert shape(placed) == shape(sample("place_ok"))
    assert shape(client.orderBook()) == shape(sample("order_book"))
    assert shape(client.tradeBook()) == shape(sample("trade_book"))
    assert shape(client.position()) == shape(sample("position"))
    assert shape(client.rmsLimit()) == shape(sample("rms_ok"))
    assert client.getProfile("")["data"] == sample("profile_ok")["data"]
    assert shape(client.ltpData("NSE", "SBIN-EQ", "3045")) == shape(sample("ltp"))
    assert shape(client.getMarketData("FULL", {"NSE": ["3045"]})) == shape(sample("quote_full"))
    assert client.getMarketData("LTP", {"MCX": [""]}) == sample("quote_unfetched")
    period = {"fromdate": "2026-11-20 09:15", "todate": "2026-11-20 09:16"}
    candles = client.getCandleData({"exchange": "NSE", "symboltoken": "3045", "interval": "ONE_MINUTE", **period})
    assert len(candles["data"]) == 2
    assert shape(candles) == shape(sample("candles"))
    assert client.searchScrip("NSE", "SBIN")["data"] == [{"exchange": "NSE", "tradingsymbol": "SBIN-EQ", "symboltoken": "3045"}]
    emulator.hold(account, "NSE:SBIN", 2, 800)
    assert shape(client.allholding()) == shape(sample("all_holding")) | {"data": shape(client.allholding()["data"])}
    assert client.allholding()["data"]["holdings"][0].keys() == sample("all_holding")["data"]["holdings"][0].keys()


def test_an_order_lives_through_the_books(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    placed = client.placeOrderFullResponse({**TERMS, "price": "815"})["data"]
    assert placed["orderid"].isdigit()
    assert len(placed["orderid"]) == 15
    row = client.orderBook()["data"][0]
    assert (row["status"], row["filledshares"], row["unfilledshares"], row["ordertag"]) == ("open", "0", "10", TERMS["ordertag"])
    changed = {**TERMS, "orderid": placed["orderid"], "price": "816", "quantity": "20"}
    assert client.modifyOrder(changed)["data"] == {"orderid": placed["orderid"], "uniqueorderid": placed["uniqueorderid"]}
    emulator.price("NSE:SBIN", "815.90", "815.85", "815.90")
    row = client.orderBook()["data"][0]
    assert (row["status"], row["filledshares"], row["averageprice"]) == ("complete", "20", 816.0)
    assert [(x["fillsize"], x["fillprice"]) for x in client.tradeBook()["data"]] == [("20", "816.00")]
    assert client.position()["data"][0]["netqty"] == "20"
    assert client.position()["data"][0]["netvalue"] == "- 16320.00"
    assert client.cancelOrder(placed["orderid"], "NORMAL")["errorcode"] == "AB1013"
    assert client.cancelOrder("1", "NORMAL") == error("AB3001")
    resting = client.placeOrderFullResponse({**TERMS, "price": "800"})["data"]["orderid"]
    assert client.cancelOrder(resting, "NORMAL")["status"] is True
    row = client.orderBook()["data"][1]
    assert (row["orderstatus"], row["cancelsize"]) == ("cancelled", "10")
    assert [(x.status, x.filled) for x in emulator.book(account)] == [("complete", 20), ("cancelled", 0)]


def test_a_stop_waits_for_its_trigger(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    stop = {**TERMS, "variety": "STOPLOSS", "ordertype": "STOPLOSS_LIMIT", "transactiontype": "SELL", "price": "818", "triggerprice": "819"}
    client.placeOrderFullResponse(stop)
    assert client.orderBook()["data"][0]["orderstatus"] == "trigger pending"
    emulator.price("NSE:SBIN", "818.95", "818.90", "819")
    row = client.orderBook()["data"][0]
    assert (row["variety"], row["status"], row["averageprice"]) == ("STOPLOSS", "complete", 818.9)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ordertype": "MARKET", "price": "0"}, "AB4047"),
        ({"duration": "IOC"}, "AB4047"),
        ({"variety": "ROBO"}, "AB2002"),
        ({"variety": "STOPLOSS"}, "AB1008"),
        ({"symboltoken": "3046"}, "AB1009"),
        ({"tradingsymbol": "SBIN"}, "AB1009"),
        ({"producttype": "NRML"}, "AB1012"),
        ({"ordertag": "X" * 20}, "AB4008"),
        ({"quantity": "0"}, "AB2001"),
    ],
)
def test_the_gateway_refuses_at_once(emulator: SmartApiEmulator, account: EmulatedAccount, change: dict[str, str], code: str) -> None:
    said = sdk.signed_in(emulator, account).placeOrderFullResponse({**TERMS, **change})
    assert (said["status"], said["errorcode"], emulator.book(account)) == (False, code, [])


def test_the_risk_desk_refuses_in_the_book(emulator: SmartApiEmulator) -> None:
    poor = emulator.add_account(cash=100)
    client = sdk.signed_in(emulator, poor)
    assert client.placeOrderFullResponse(dict(TERMS))["status"] is True
    row = client.orderBook()["data"][0]
    assert (row["status"], row["text"], row["exchangeorderid"], row["exchtime"]) == ("rejected", FUNDS, "", "")


@pytest.mark.parametrize(("policy", "kind", "status"), [("accept", "MARKET", "complete"), ("convert", "LIMIT", "complete")])
def test_market_orders_may_pass_or_become_limits(policy: str, kind: str, status: str) -> None:
    with SmartApiEmulator(market_orders=policy) as emulator:
        client = sdk.signed_in(emulator, emulator.add_account())
        client.placeOrderFullResponse({**TERMS, "ordertype": "MARKET", "price": "0"})
        row = client.orderBook()["data"][0]
        assert (row["ordertype"], row["status"]) == (kind, status)


def test_writes_come_from_registered_addresses_only(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    emulator.set_address(account, ("127.0.0.7",))
    for said in (client.placeOrderFullResponse(dict(TERMS)), client.modifyOrder(dict(TERMS)), client.cancelOrder("1", "NORMAL")):
        assert said == error("AG7002")
    assert client.orderBook()["status"] is True
    emulator.set_address(account, ("127.0.0.1",))
    assert client.placeOrderFullResponse(dict(TERMS))["status"] is True


def test_beyond_the_limits_comes_a_plain_text() -> None:
    with SmartApiEmulator(rates=True) as limited:
        account = limited.add_account()
        headers = {"X-PrivateKey": account.credentials["api_key"], "Authorization": f"Bearer {limited.sign_in(account).jwt}"}
        url = f"{limited.url}/rest/secure/angelbroking/order/v1/getOrderBook"
        answers = [requests.get(url, headers=headers, timeout=30) for _ in range(3)]
        refused = [x for x in answers if x.status_code == 403]
        assert refused  # at most one of three in the same second, and three calls cannot take two seconds to pass
        assert {(x.text, x.headers["Content-Type"].split(";")[0]) for x in refused} == {
            ("Access denied because of exceeding access rate", "text/plain")
        }


@pytest.mark.parametrize(
    ("fault", "booked"),
    [
        (Fault.LOST, 0),
        (Fault.BOOKED_NO_ANSWER, 1),
        (Fault.BOOKED_THEN_RESET, 1),
        (Fault.RATE_LIMITED, 0),
        (Fault.SERVER_ERROR_HTML, 0),
        (Fault.SERVER_ERROR_BOOKED, 1),
        (Fault.MALFORMED_JSON, 1),
        (Fault.TIMED_OUT_BOOKED_LATER, 0),
    ],
)
def test_the_sdk_meets_each_fault_of_a_write(emulator: SmartApiEmulator, account: EmulatedAccount, fault: Fault, booked: int) -> None:
    client = sdk.signed_in(emulator, account)
    client.timeout = 0.2 if fault is Fault.BOOKED_NO_ANSWER else 30.0
    emulator.fault(fault, seconds=30 if fault is Fault.TIMED_OUT_BOOKED_LATER else 0.0)
    try:
        said = client.placeOrderFullResponse(dict(TERMS))
    except Exception as problem:
        said = type(problem).__name__
    expected = {
        Fault.LOST: "ConnectionError",
        Fault.BOOKED_NO_ANSWER: "ReadTimeout",
        Fault.BOOKED_THEN_RESET: "ConnectionError",
        Fault.RATE_LIMITED: "DataException",
        Fault.SERVER_ERROR_HTML: "DataException",
        Fault.SERVER_ERROR_BOOKED: {
            "status": False,
            "message": "Internal Error, Please try after sometime",
            "errorcode": "AB2001",
            "data": None,
        },
        Fault.MALFORMED_JSON: "DataException",
        Fault.TIMED_OUT_BOOKED_LATER: error("AB1004"),
    }
    assert said == expected[fault]
    pause = threading.Event()  # whoever gives up soon may have given up before the order was read
    assert any(len(emulator.book(account)) == booked or pause.wait(0.02) for _ in range(1500))


def test_faults_of_the_book_and_of_an_order(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    emulator.fault(Fault.REJECTED_LATER, seconds=30)
    first = client.placeOrderFullResponse(dict(TERMS))["data"]["orderid"]
    assert client.orderBook()["data"][0]["status"] == "put order req received"
    emulator.reject(account, first, "16283 : no")
    assert client.orderBook()["data"][0]["text"] == "Your order has been rejected: 16283 : no"
    emulator.fault(Fault.EMPTY_ORDER_BOOK)
    assert client.orderBook() == sample("order_book_empty")
    emulator.fault(Fault.BOOK_FAILS)
    assert client.orderBook()["errorcode"] == "AB2001"
    emulator.fault(Fault.SESSION_ENDS)
    assert client.placeOrderFullResponse(dict(TERMS)) == error("AG8001")
    assert len(emulator.book(account)) == 1


def test_the_master_lists_what_can_be_traded(emulator: SmartApiEmulator) -> None:
    rows = requests.get(emulator.url + MASTER_PATH, timeout=30).json()
    by_symbol = {x["symbol"]: x for x in rows}
    assert by_symbol["SBIN-EQ"]["token"] == "3045"
    published = next(x for x in json.loads((SAMPLES / "scrip_master_sample.json").read_text()) if x["symbol"] == "SBIN-EQ")
    assert {name: by_symbol["SBIN-EQ"][name] for name in published} == published
    assert by_symbol["Nifty 50"]["instrumenttype"] == "AMXIDX"
    options = [x for x in rows if x["instrumenttype"] == "OPTIDX"]
    assert len({x["expiry"] for x in options}) == 2
    assert all(x["symbol"].startswith("NIFTY" + x["expiry"][:5] + x["expiry"][7:]) for x in options)
    assert emulator.endpoints()["SMARTAPI_INSTRUMENTS_URL"] == emulator.url + MASTER_PATH


def test_details_are_one_row_of_the_book(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    client._rootUrl = emulator.url  # this one method ignores `root`
    unique = client.placeOrderFullResponse(dict(TERMS))["data"]["uniqueorderid"]
    assert client.individual_order_details(unique)["data"] == client.orderBook()["data"][0]


def test_two_clients_never_see_each_others_orders(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    other = emulator.add_account()
    clients = [sdk.signed_in(emulator, x) for x in (account, other)]
    threads = [threading.Thread(target=x.placeOrderFullResponse, args=(dict(TERMS),)) for x in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [len(x.orderBook()["data"]) for x in clients] == [1, 1]
    clients[0].access_token = clients[1].access_token
    assert clients[0].orderBook()["errorCode"] == "AG8001"  # another's token with this one's key


def test_a_test_may_bend_the_book(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    client.placeOrderFullResponse(dict(TERMS))
    emulator.bend_book = lambda rows: [{**x, "orderstatus": "something new"} for x in rows * 2]
    assert [x["orderstatus"] for x in client.orderBook()["data"]] == ["something new"] * 2
    emulator.money_as_text, emulator.bend_book = True, lambda rows: rows
    assert client.orderBook()["data"][0]["price"] == "820.5"
