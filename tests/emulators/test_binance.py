"""The emulated Binance over HTTP: verification, filters, orders, settings and limits, spoken to by ccxt's own class and by hand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.emulators.binance import sdk, signing
from tests.emulators.binance.emulator import BinanceEmulator
from tests.emulators.binance.errors import Api
from tests.emulators.binance.weights import Weights
from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.core.faults import Fault
from tests.emulators.core.remote import emulator_process

BTC, PERP = "BINANCE:BTCUSDT", "BINANCE:BTCUSDT.P"
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "67000"}
STOP = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01", "triggerPrice": "67000"}


@pytest.fixture
def emulator() -> Iterator[BinanceEmulator]:
    with BinanceEmulator(seed=3) as made:
        yield made


@pytest.fixture
def spot(emulator: BinanceEmulator) -> EmulatedAccount:
    return emulator.add_account("s", market="spot")


@pytest.fixture
def usdm(emulator: BinanceEmulator) -> EmulatedAccount:
    return emulator.add_account("u", market="usdm")


def said(answer: requests.Response) -> Any:
    """What came back; of a refusal its status, code and words."""
    told = answer.json()
    return (answer.status_code, told["code"], told["msg"]) if answer.status_code >= 400 else told


def spot_order(emulator: BinanceEmulator, account: EmulatedAccount, **terms: Any) -> Any:
    return said(sdk.ask(emulator, account, "POST", "/api/v3/order", **terms))


def perp_order(emulator: BinanceEmulator, account: EmulatedAccount, **terms: Any) -> Any:
    return said(sdk.ask(emulator, account, "POST", "/fapi/v1/order", **terms))


# --- ccxt ------------------------------------------------------------------------------------------------------------


def test_ccxt_trades_spot_and_perpetuals(emulator: BinanceEmulator, spot: EmulatedAccount, usdm: EmulatedAccount) -> None:
    coins = sdk.client(emulator, spot)
    assert sorted(coins.markets) == sorted(x for base in ("BTC", "ETH", "BNB", "SOL") for x in (f"{base}/USDT", f"{base}/USDT:USDT"))
    bought = coins.create_order("BTC/USDT", "market", "buy", 0.01, params={"newClientOrderId": "A1"})
    assert (bought["status"], bought["clientOrderId"], bought["average"]) == ("closed", "A1", 68000.0)
    resting = coins.create_order("BTC/USDT", "limit", "sell", 0.009, 69000)
    assert [x["id"] for x in coins.fetch_open_orders("BTC/USDT")] == [resting["id"]]
    assert coins.fetch_balance()["BTC"] == {"free": 0.00099, "used": 0.009, "total": 0.00999}
    assert coins.cancel_order(resting["id"], "BTC/USDT")["status"] == "canceled"
    assert [x["info"]["commission"] for x in coins.fetch_my_trades("BTC/USDT")] == ["0.00001000"]

    perps = sdk.client(emulator, usdm, donor=coins)
    perps.set_leverage(10, "BTC/USDT:USDT")
    assert perps.create_order("BTC/USDT:USDT", "market", "buy", 0.01, params={"newOrderRespType": "RESULT"})["status"] == "closed"
    stop = perps.create_order("BTC/USDT:USDT", "market", "sell", 0.01, params={"triggerPrice": 67000, "reduceOnly": True})
    assert [x["contracts"] for x in perps.fetch_positions()] == [0.01]
    emulator.price(PERP, 66900)
    assert perps.fetch_order(stop["id"], "BTC/USDT:USDT", params={"trigger": True})["info"]["algoStatus"] == "FINISHED"
    assert perps.fetch_positions() == []
    assert perps.fetch_balance()["USDT"]["total"] == pytest.approx(10_000_000 - 11 - 0.34 - 0.3345)


def test_ccxt_understands_the_refusals(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    import ccxt

    client = sdk.client(emulator, spot)
    with pytest.raises(ccxt.InsufficientFunds, match="insufficient balance"):
        client.create_order("BTC/USDT", "limit", "buy", 150, 67000)
    with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
        client.private_post_order({**MARKET, "quantity": "0.000001"})
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        client.cancel_order("1", "BTC/USDT")
    emulator.revoke(spot)
    with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match="-2015"):
        client.fetch_balance()


# --- who is asking ----------------------------------------------------------------------------------------------------


def test_the_published_vector_signs_as_documented() -> None:
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    text = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    assert signing.sign(secret, text) == expected
    signing.check_signature(secret, f"{text}&signature={expected}", "")
    query, _, body = text.partition("&quantity")
    mixed = "0FD168B8DDB4876A0358A8D14D0C9F3DA0E9B20C5D52B2A00FCF7D1C602F9A77"  # as documented: nothing stands between query and body
    signing.check_signature(secret, query, f"quantity{body}&signature={mixed}")
    with pytest.raises(Api) as wrong:
        signing.check_signature(secret, f"{text}&signature={expected[::-1]}", "")
    assert wrong.value.code == -1022


def test_requests_are_verified(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    path, now = "/api/v3/account", emulator.now_ms()
    assert said(requests.get(emulator.url + path, timeout=30)) == (401, -2014, "API-key format invalid.")
    strange = {"X-MBX-APIKEY": "x" * 64}
    refused = (401, -2015, "Invalid API-key, IP, or permissions for action.")
    assert said(requests.get(emulator.url + path, headers=strange, timeout=30)) == refused
    missing = "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
    assert said(sdk.ask(emulator, spot, "GET", path, signed=False)) == (400, -1102, missing)
    late = (400, -1021, "Timestamp for this request is outside of the recvWindow.")
    assert said(sdk.ask(emulator, spot, "GET", path, timestamp=now - 6000)) == late
    assert "balances" in said(sdk.ask(emulator, spot, "GET", path, timestamp=now - 6000, recvWindow=30000))
    early = (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    assert said(sdk.ask(emulator, spot, "GET", path, timestamp=now + 20_000, recvWindow=60000)) == early
    spot.credentials["api_secret"], kept = "another", spot.credentials["api_secret"]
    forged = sdk.ask(emulator, EmulatedAccount("", {**spot.credentials, "api_secret": kept}, Decimal(0), {}), "GET", path)
    assert said(forged) == (400, -1022, "Signature for this request is not valid.")
    spot.credentials["api_secret"] = kept
    emulator.set_address(spot, ("127.0.0.9",))
    assert said(sdk.ask(emulator, spot, "GET", path)) == refused
    emulator.set_address(spot, ("127.0.0.1",))
    emulator.advance(60)
    assert said(sdk.ask(emulator, spot, "GET", path, timestamp=now))[1] == -1021
    assert said(requests.get(f"{emulator.url}/api/v3/time", timeout=30))["serverTime"] >= now + 60_000


def test_a_key_is_for_one_market_and_says_what_it_may(emulator: BinanceEmulator, spot: EmulatedAccount, usdm: EmulatedAccount) -> None:
    assert perp_order(emulator, spot, **MARKET)[:2] == (401, -2015)
    assert spot_order(emulator, usdm, **MARKET)[:2] == (401, -2015)
    path = "/sapi/v1/account/apiRestrictions"
    rights = said(sdk.ask(emulator, usdm, "GET", path))
    assert (rights["enableFutures"], rights["enableSpotAndMarginTrading"], rights["enableWithdrawals"]) == (True, False, False)
    emulator.permit(spot, enableWithdrawals=True)
    assert said(sdk.ask(emulator, spot, "GET", path))["enableWithdrawals"] is True


# --- spot ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"quantity": "0.000005"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.0100005"}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": "67000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "13599"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.00007"}, -1013, "Filter failure: NOTIONAL"),
        ({"type": "MARKET", "quantity": "117", "price": "", "timeInForce": ""}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        (
            {"quantity": "1E-2"},
            -1100,
            "Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
        ),
        ({"symbol": "ABCUSDT"}, -1121, "Invalid symbol."),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "SOMETHING"}, -1116, "Invalid orderType."),
        ({"price": ""}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"type": "LIMIT_MAKER", "price": "68001"}, -2010, "Order would immediately match and take."),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "67000"}, -2010, "Order would trigger immediately."),
        ({"quantity": "200"}, -2010, "Account has insufficient balance for requested action."),
        ({"side": "SELL", "price": "69000"}, -2010, "Account has insufficient balance for requested action."),
    ],
)
def test_spot_refuses_in_its_own_words(
    emulator: BinanceEmulator, spot: EmulatedAccount, change: dict[str, str], code: int, words: str
) -> None:
    assert spot_order(emulator, spot, **{**LIMIT, **change}) == (400, code, words)
    assert emulator.book(spot) == []


def test_spot_answers_market_orders_with_their_fills(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    emulator.price(BTC, 68000, 67999.99, 68000.01)
    bought = spot_order(emulator, spot, **MARKET, newClientOrderId="0123456789ABCDEFGH")
    assert (bought["status"], bought["executedQty"], bought["cummulativeQuoteQty"]) == ("FILLED", "0.01000000", "680.00010000")
    fill = {"price": "68000.01000000", "qty": "0.01000000", "commission": "0.00001000", "commissionAsset": "BTC"}
    assert [{**x, "tradeId": None} for x in bought["fills"]] == [{**fill, "tradeId": None}]
    spent = spot_order(emulator, spot, symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100")
    assert (spent["origQty"], spent["origQuoteOrderQty"]) == ("0.00147000", "100.00000000")
    sold = spot_order(emulator, spot, **{**MARKET, "side": "SELL", "quantity": "0.01"}, newOrderRespType="RESULT")
    assert (sold["status"], "fills" in sold) == ("FILLED", False)
    trades = said(sdk.ask(emulator, spot, "GET", "/api/v3/myTrades", symbol="BTCUSDT"))
    assert [(x["commissionAsset"], x["isBuyer"]) for x in trades] == [("BTC", True), ("BTC", True), ("USDT", False)]
    assert trades[-1]["commission"] == "0.67999990"
    assert [x["id"] for x in said(sdk.ask(emulator, spot, "GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=trades[1]["id"]))] == [
        x["id"] for x in trades[1:]
    ]
    assert emulator.position(spot, BTC) == Decimal("0.00147") - Decimal("0.00001147")


def test_a_spot_id_is_unique_only_while_its_order_is_open(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    assert spot_order(emulator, spot, **LIMIT, newClientOrderId="A")["status"] == "NEW"
    assert spot_order(emulator, spot, **LIMIT, newClientOrderId="A") == (400, -2010, "Duplicate order sent.")
    emulator.price(BTC, 67000)
    assert spot_order(emulator, spot, **LIMIT, newClientOrderId="A")["status"] == "FILLED"
    assert [(x.client_id, x.status) for x in emulator.book(spot)] == [("A", "complete"), ("A", "complete")]


def test_a_spot_order_is_found_and_cancelled_by_either_name(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    placed = spot_order(emulator, spot, **LIMIT, newClientOrderId="A")
    for name, value in (("orderId", placed["orderId"]), ("origClientOrderId", "A")):
        row = said(sdk.ask(emulator, spot, "GET", "/api/v3/order", symbol="BTCUSDT", **{name: value}))
        assert (row["status"], row["clientOrderId"], row["isWorking"]) == ("NEW", "A", True)
    assert said(sdk.ask(emulator, spot, "GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="B")) == (
        400,
        -2013,
        "Order does not exist.",
    )
    emulator.hide_orders(spot, 1)
    found = [sdk.ask(emulator, spot, "GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="A").status_code for _ in range(2)]
    assert found == [400, 200]
    gone = said(sdk.ask(emulator, spot, "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="A", newClientOrderId="C"))
    assert (gone["status"], gone["origClientOrderId"], gone["clientOrderId"]) == ("CANCELED", "A", "C")
    assert said(sdk.ask(emulator, spot, "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"])) == (
        400,
        -2011,
        "Unknown order sent.",
    )


def test_cancel_replace_tells_which_half_failed(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    path, placed = "/api/v3/order/cancelReplace", spot_order(emulator, spot, **LIMIT)
    terms = {**LIMIT, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": placed["orderId"]}
    done = said(sdk.ask(emulator, spot, "POST", path, **{**terms, "price": "66000"}))
    assert (done["cancelResponse"]["status"], done["newOrderResponse"]["price"]) == ("CANCELED", "66000.00000000")
    assert said(sdk.ask(emulator, spot, "POST", path, **terms))[:2] == (400, -2022)
    half = sdk.ask(emulator, spot, "POST", path, **{**terms, "cancelOrderId": done["newOrderResponse"]["orderId"], "price": "1"})
    assert (half.status_code, half.json()["code"], half.json()["data"]["newOrderResponse"]["code"]) == (409, -2021, -1013)


def test_a_spot_stop_waits_and_an_ioc_expires(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    spot_order(emulator, spot, **MARKET)
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "0.009"}
    placed = spot_order(emulator, spot, **stop, price="66900", stopPrice="67000")
    assert "status" not in placed  # ACK by default
    emulator.price(BTC, 67000, 66990, 67010)
    row = said(sdk.ask(emulator, spot, "GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]))
    assert (row["status"], row["stopPrice"], row["type"]) == ("FILLED", "67000.00000000", "STOP_LOSS_LIMIT")
    assert spot_order(emulator, spot, **{**LIMIT, "timeInForce": "IOC", "price": "60000"})["status"] == "EXPIRED"


def test_a_thin_market_ends_a_market_order_early(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    emulator.fault(Fault.PARTIAL_FILLS, times=3)
    ends = [spot_order(emulator, spot, **MARKET) for _ in range(3)]
    assert {x["status"] for x in ends} == {"EXPIRED"}
    assert all(0 < Decimal(x["executedQty"]) < Decimal("0.01") for x in ends)


# --- USD-M -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"quantity": "0.0005"}, -1111, "Precision is over the maximum defined for this asset."),
        ({"quantity": "0"}, -4003, "Quantity less than or equal to zero."),
        ({"quantity": "1001"}, -4005, "Quantity greater than max quantity."),
        ({"price": "67000.05"}, -4014, "Price not increased by tick size."),
        ({"price": "72000"}, -4016, "Limit price can't be higher than 71400.00."),
        ({"price": "60000"}, -4024, "Limit price can't be lower than 64600.00."),
        ({"quantity": "0.001", "price": "67000"}, -4164, "Order's notional must be no smaller than 100 (unless you choose reduce only)."),
        ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
        ({"positionSide": "LONG"}, -4061, "Order's position side does not match user's setting."),
        (
            {"type": "STOP_MARKET", "stopPrice": "66000"},
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        ),
        ({"quantity": "900", "price": "68000"}, -2019, "Margin is insufficient."),
        (
            {"newClientOrderId": "ä"},
            -1100,
            r"Illegal characters found in parameter 'newClientOrderId'; legal range is '^[\.A-Z\:/a-z0-9_-]{1,36}$'.",
        ),
        ({"timeInForce": "GTX", "price": "68000"}, -5022, None),
    ],
)
def test_the_futures_refuse_in_their_own_words(
    emulator: BinanceEmulator, usdm: EmulatedAccount, change: dict[str, str], code: int, words: str | None
) -> None:
    told = perp_order(emulator, usdm, **{**LIMIT, **change})
    assert told[:2] == (400, code)
    assert words is None or told[2] == words
    assert emulator.book(usdm) == []


def test_a_futures_id_is_refused_while_its_order_is_open(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    first = perp_order(emulator, usdm, **LIMIT, newClientOrderId="A")
    assert (first["status"], first["executedQty"]) == ("NEW", "0")
    assert perp_order(emulator, usdm, **LIMIT, newClientOrderId="A") == (400, -4116, "ClientOrderId is duplicated.")
    assert len(emulator.book(usdm)) == 1


def test_futures_orders_are_told_and_changed(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    ack = perp_order(emulator, usdm, **MARKET)
    assert (ack["status"], ack["avgPrice"]) == ("NEW", "0.00")
    result = perp_order(emulator, usdm, **MARKET, newOrderRespType="RESULT")
    assert (result["status"], result["avgPrice"], result["executedQty"]) == ("FILLED", "68000", "0.01")
    resting = perp_order(emulator, usdm, **LIMIT)
    changed = said(
        sdk.ask(
            emulator,
            usdm,
            "PUT",
            "/fapi/v1/order",
            symbol="BTCUSDT",
            side="BUY",
            orderId=resting["orderId"],
            quantity="0.02",
            price="66500",
        )
    )
    assert (changed["price"], changed["origQty"], changed["orderId"]) == ("66500", "0.02", resting["orderId"])
    trades = said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))
    assert [(x["qty"], x["commission"], x["commissionAsset"], x["maker"]) for x in trades] == [("0.01", "0.34000000", "USDT", False)] * 2
    emulator.price(PERP, 66500)
    trades = said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/userTrades", symbol="BTCUSDT", orderId=resting["orderId"]))
    assert [(x["qty"], x["commission"], x["maker"]) for x in trades] == [("0.02", "0.26600000", True)]
    position = said(sdk.ask(emulator, usdm, "GET", "/fapi/v3/positionRisk"))
    assert [(x["symbol"], x["positionSide"], x["positionAmt"]) for x in position] == [("BTCUSDT", "BOTH", "0.04")]
    batch = said(
        sdk.ask(emulator, usdm, "POST", "/fapi/v1/batchOrders", batchOrders=f"[{_json(MARKET)},{_json({**MARKET, 'quantity': '0'})}]")
    )
    assert (batch[0]["status"], batch[1]["code"]) == ("NEW", -4003)
    assert said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="x"))[1] == -2013


def _json(terms: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in terms.items()) + "}"


def test_an_order_that_only_reduces_never_turns_the_position(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    perp_order(emulator, usdm, **MARKET)
    resting = perp_order(emulator, usdm, **{**LIMIT, "side": "SELL", "price": "69000"}, reduceOnly="true")
    closed = perp_order(emulator, usdm, **{**MARKET, "side": "SELL", "quantity": "0.05"}, reduceOnly="true", newOrderRespType="RESULT")
    assert (closed["origQty"], closed["status"]) == ("0.01", "FILLED")
    assert emulator.position(usdm, PERP) == 0
    row = said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"]))
    assert row["status"] == "CANCELED"  # nothing is left for it to reduce


def test_conditional_orders_wait_fire_and_finish(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    def algo(**terms: Any) -> Any:
        return said(sdk.ask(emulator, usdm, "POST", "/fapi/v1/algoOrder", **{**STOP, **terms}))

    perp_order(emulator, usdm, **MARKET)
    assert algo(triggerPrice="69000") == (400, -2021, "Order would immediately trigger.")
    placed = algo(clientAlgoId="A", reduceOnly="true")
    assert (placed["algoStatus"], placed["clientAlgoId"]) == ("NEW", "A")
    assert algo(clientAlgoId="A")[1] == -4116
    assert [x["algoId"] for x in said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/openAlgoOrders"))] == [placed["algoId"]]
    assert said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/openOrders")) == []
    assert [(x.client_id, x.status) for x in emulator.book(usdm)][1:] == [("A", "trigger_pending")]
    emulator.price(PERP, 66900)
    over = said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/algoOrder", algoId=placed["algoId"]))
    assert (over["algoStatus"], over["actualQty"], over["actualPrice"]) == ("FINISHED", "0.01", "66900")
    actual = said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=over["actualOrderId"]))
    assert (actual["status"], actual["clientOrderId"], actual["type"]) == ("FILLED", "A", "MARKET")
    assert [(x.client_id, x.filled, x.average_price) for x in emulator.book(usdm)][1:] == [("A", Decimal("0.01"), 66900)]
    second = algo(triggerPrice="60000", clientAlgoId="A")
    assert said(sdk.ask(emulator, usdm, "DELETE", "/fapi/v1/algoOrder", clientAlgoId="A"))["algoId"] == second["algoId"]
    assert said(sdk.ask(emulator, usdm, "DELETE", "/fapi/v1/algoOrder", algoId=second["algoId"]))[1] == -2011


def test_closing_whatever_there_is(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    closing = {**STOP, "closePosition": "true"}
    del closing["quantity"]
    perp_order(emulator, usdm, **{**MARKET, "quantity": "0.03"})
    first = said(sdk.ask(emulator, usdm, "POST", "/fapi/v1/algoOrder", **closing))
    profit = said(
        sdk.ask(emulator, usdm, "POST", "/fapi/v1/algoOrder", **{**closing, "type": "TAKE_PROFIT_MARKET", "triggerPrice": "69000"})
    )
    emulator.price(PERP, 67000)
    assert emulator.position(usdm, PERP) == 0
    emulator.price(PERP, 69000)
    states = [said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/algoOrder", algoId=x["algoId"]))["algoStatus"] for x in (first, profit)]
    assert states == ["FINISHED", "EXPIRED"]


def test_settings_change_once_and_not_under_open_business(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    def post(path: str, **given: Any) -> Any:
        return said(sdk.ask(emulator, usdm, "POST", f"/fapi/v1/{path}", **given))

    assert post("leverage", symbol="BTCUSDT", leverage=10) == {"leverage": 10, "maxNotionalValue": "1000000", "symbol": "BTCUSDT"}
    assert post("leverage", symbol="BTCUSDT", leverage=500) == (400, -4028, "Leverage 500 is not valid")
    assert post("marginType", symbol="BTCUSDT", marginType="ISOLATED") == {"code": 200, "msg": "success"}
    assert post("marginType", symbol="BTCUSDT", marginType="ISOLATED") == (400, -4046, "No need to change margin type.")
    config = said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT"))
    assert [(x["leverage"], x["marginType"]) for x in config] == [(10, "ISOLATED")]
    assert post("positionSide/dual", dualSidePosition="false")[1] == -4059
    resting = perp_order(emulator, usdm, **LIMIT)
    assert post("marginType", symbol="BTCUSDT", marginType="CROSSED")[1] == -4047
    assert post("positionSide/dual", dualSidePosition="true")[1] == -4067
    sdk.ask(emulator, usdm, "DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
    perp_order(emulator, usdm, **MARKET)
    assert post("marginType", symbol="BTCUSDT", marginType="CROSSED")[1] == -4048
    assert post("positionSide/dual", dualSidePosition="true")[1] == -4068


def test_hedge_mode_keeps_long_and_short_apart(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    sdk.ask(emulator, usdm, "POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    assert said(sdk.ask(emulator, usdm, "GET", "/fapi/v1/positionSide/dual")) == {"dualSidePosition": True}
    assert perp_order(emulator, usdm, **MARKET)[1] == -4061
    perp_order(emulator, usdm, **MARKET, positionSide="LONG")
    perp_order(emulator, usdm, **{**MARKET, "side": "SELL", "quantity": "0.02"}, positionSide="SHORT")
    assert perp_order(emulator, usdm, **{**MARKET, "side": "SELL"}, positionSide="LONG", reduceOnly="true")[1] == -1106
    told = said(sdk.ask(emulator, usdm, "GET", "/fapi/v3/positionRisk"))
    assert [(x["positionSide"], x["positionAmt"]) for x in told] == [("LONG", "0.01"), ("SHORT", "-0.02")]
    perp_order(emulator, usdm, **{**MARKET, "side": "SELL"}, positionSide="LONG")
    assert perp_order(emulator, usdm, **{**MARKET, "side": "SELL"}, positionSide="LONG")[1] == -2022


# --- limits and trouble ----------------------------------------------------------------------------------------------


def test_weights_are_told_and_enforced() -> None:
    with BinanceEmulator(rates=True) as emulator:
        account = emulator.add_account()
        first = sdk.ask(emulator, account, "POST", "/api/v3/order", **LIMIT)
        assert (first.headers["X-MBX-USED-WEIGHT-1M"], first.headers["X-MBX-ORDER-COUNT-10S"]) == ("0", "1")
        failed = sdk.ask(emulator, account, "POST", "/api/v3/order", **{**LIMIT, "quantity": "0"})
        assert failed.headers["X-MBX-USED-WEIGHT-1M"] == "1"
        assert sdk.ask(emulator, account, "GET", "/api/v3/openOrders").headers["X-MBX-USED-WEIGHT-1M"] == "81"


def test_going_on_after_429_becomes_a_ban() -> None:
    weights = Weights(enforced=True)
    weights.spend("1.2.3.4", "fapi", 2400, 600.5)
    for status, wait in [(429, "60")] * 5 + [(418, "120")] * 3:
        with pytest.raises(Api) as refused:
            weights.spend("1.2.3.4", "fapi", 1, 600.5)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (status, wait)
    weights.spend("5.6.7.8", "fapi", 2400, 600.5)
    weights.spend("1.2.3.4", "fapi", 1, 600.5 + 121)
    for _ in range(300):
        weights.order("a", "fapi", 1000.0)
    with pytest.raises(Api) as many:
        weights.order("a", "fapi", 1000.0)
    assert many.value.body() == {"code": -1015, "msg": "Too many new orders; current limit is 300 orders per 10 SECOND."}
    weights.order("a", "fapi", 1011.0)


@pytest.mark.parametrize(
    ("fault", "answer", "booked"),
    [
        (Fault.RATE_LIMITED, (429, -1003), 0),
        (Fault.CLOCK_SKEW, (400, -1021), 0),
        (Fault.SERVER_ERROR_BOOKED, (503, -1007), 1),
        (Fault.TIMED_OUT_BOOKED_LATER, (503, -1000), 0),
        (Fault.SERVER_ERROR_HTML, (502, None), 0),
        (Fault.MALFORMED_JSON, (200, None), 1),
        (Fault.LOST, None, 0),
        (Fault.BOOKED_THEN_RESET, None, 1),
    ],
)
def test_each_fault_of_a_write(
    emulator: BinanceEmulator, usdm: EmulatedAccount, fault: Fault, answer: tuple[int, int | None] | None, booked: int
) -> None:
    emulator.fault(fault, seconds=30)
    if answer is None:
        with pytest.raises(requests.ConnectionError):
            perp_order(emulator, usdm, **LIMIT)
    else:
        got = sdk.ask(emulator, usdm, "POST", "/fapi/v1/order", **LIMIT)
        assert got.status_code == answer[0]
        if answer[1] is None:
            with pytest.raises(requests.JSONDecodeError):
                got.json()
        else:
            assert got.json()["code"] == answer[1]
    assert len(emulator.book(usdm)) == booked
    assert len(emulator.requests(usdm, "place")) == 1


def test_overload_and_an_empty_book(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    emulator.overload()
    assert spot_order(emulator, spot, **LIMIT)[:2] == (503, -1008)
    assert spot_order(emulator, spot, **LIMIT)["status"] == "NEW"
    emulator.fault(Fault.EMPTY_ORDER_BOOK)
    emulator.fault(Fault.BOOK_FAILS)
    told = [said(sdk.ask(emulator, spot, "GET", "/api/v3/openOrders")) for _ in range(3)]
    assert (told[0], told[1][0], len(told[2])) == ([], 500, 1)
    emulator.fault(Fault.REJECTED_LATER, seconds=30)
    placed = spot_order(emulator, spot, **MARKET)
    assert placed["status"] == "NEW"
    emulator.reject(spot, str(placed["orderId"]))
    row = said(sdk.ask(emulator, spot, "GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]))
    assert (row["status"], row["executedQty"]) == ("REJECTED", "0.00000000")


def test_a_process_of_its_own_has_an_account_of_each_market_and_the_whole_control() -> None:
    with emulator_process("binance", "--accounts", "2") as remote:
        assert [x["market"] for x in remote.accounts] == ["spot", "usdm"]
        remote.overload()
        spot = remote.accounts[0]["name"]
        remote.permit(account=spot, enableWithdrawals=True)
        assert Decimal(remote.by_hand(account=spot, symbol=BTC, side="BUY", quantity="0.01")) > 0
        assert [(x["symbol"], Decimal(x["filled"]), x["status"]) for x in remote.book(account=spot)] == [(BTC, Decimal("0.01"), "complete")]
