"""The sockets of the emulated Binance: user data of spot (signed subscriptions) and of the futures (listen keys), and market streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from tests.emulators.binance import sdk
from tests.emulators.binance.emulator import BinanceEmulator
from tests.emulators.binance.signing import sign, socket_payload
from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.core.faults import Fault

BTC, PERP = "BINANCE:BTCUSDT", "BINANCE:BTCUSDT.P"
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "67000"}


@pytest.fixture
def emulator() -> Iterator[BinanceEmulator]:
    with BinanceEmulator(seed=4) as made:
        yield made


@pytest.fixture
def spot(emulator: BinanceEmulator) -> EmulatedAccount:
    return emulator.add_account("s", market="spot")


@pytest.fixture
def usdm(emulator: BinanceEmulator) -> EmulatedAccount:
    return emulator.add_account("u", market="usdm")


opened: list[websocket.WebSocket] = []


@pytest.fixture(autouse=True)
def _closed_afterwards() -> Iterator[None]:
    yield
    while opened:
        opened.pop().shutdown()


def connect(url: str) -> websocket.WebSocket:
    opened.append(websocket.create_connection(url, timeout=30))
    return opened[-1]


def heard(ws: websocket.WebSocket) -> Any:
    return json.loads(ws.recv())


def ask(ws: websocket.WebSocket, method: str, **params: Any) -> Any:
    ws.send(json.dumps({"id": "1", "method": method, "params": params}))
    return heard(ws)


def subscribe(ws: websocket.WebSocket, emulator: BinanceEmulator, account: EmulatedAccount, **change: Any) -> Any:
    params = {"apiKey": account.credentials["api_key"], "timestamp": emulator.now_ms(), **change}
    params["signature"] = sign(account.credentials["api_secret"], socket_payload(params))
    return ask(ws, "userDataStream.subscribe.signature", **params)


def user_socket(emulator: BinanceEmulator, account: EmulatedAccount) -> websocket.WebSocket:
    key = sdk.ask(emulator, account, "POST", "/fapi/v1/listenKey", signed=False).json()["listenKey"]
    return connect(f"{emulator.endpoints()['BINANCE_FUTURES_WS_ROOT']}/private/ws/{key}")


# --- user data: spot -------------------------------------------------------------------------------------------------


def test_a_signed_subscription_tells_each_order(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    ws = connect(emulator.endpoints()["BINANCE_SPOT_WS_API_ROOT"])
    assert subscribe(ws, emulator, spot) == {"id": "1", "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []}
    placed = sdk.ask(emulator, spot, "POST", "/api/v3/order", **LIMIT, newClientOrderId="A").json()
    new = heard(ws)
    assert new["subscriptionId"] == 0
    assert {new["event"][x] for x in ("e", "x", "X", "c")} == {"executionReport", "NEW", "A"}
    emulator.price(BTC, 67000)
    trade, money = heard(ws)["event"], heard(ws)["event"]
    assert (trade["x"], trade["X"], trade["i"], trade["z"], trade["L"]) == (
        "TRADE",
        "FILLED",
        placed["orderId"],
        "0.01000000",
        "67000.00000000",
    )
    assert (trade["n"], trade["N"], trade["m"]) == ("0.00001000", "BTC", True)
    assert trade["t"] == int(emulator.fills(spot)[0].trade_id)
    assert money["e"] == "outboundAccountPosition"
    assert {x["a"]: x["f"] for x in money["B"]} == {"USDT": "9999330.00000000", "BTC": "0.00999000"}


def test_a_cancellation_names_both_ids(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    ws = connect(emulator.endpoints()["BINANCE_SPOT_WS_API_ROOT"])
    subscribe(ws, emulator, spot)
    sdk.ask(emulator, spot, "POST", "/api/v3/order", **LIMIT, newClientOrderId="A")
    sdk.ask(emulator, spot, "DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="A", newClientOrderId="B")
    told = [heard(ws)["event"] for _ in range(2)]
    assert [(x["x"], x["X"], x["c"], x["C"]) for x in told] == [("NEW", "NEW", "A", ""), ("CANCELED", "CANCELED", "B", "A")]


def test_one_connection_carries_several_accounts(emulator: BinanceEmulator, spot: EmulatedAccount) -> None:
    other, ws = emulator.add_account("t"), connect(emulator.endpoints()["BINANCE_SPOT_WS_API_ROOT"])
    assert [subscribe(ws, emulator, x)["result"]["subscriptionId"] for x in (spot, other)] == [0, 1]
    assert subscribe(ws, emulator, other)["error"]["code"] == -2035
    emulator.by_hand(other, BTC, "BUY", "0.01", 60000)
    assert heard(ws)["subscriptionId"] == 1
    assert ask(ws, "userDataStream.unsubscribe", subscriptionId=1)["status"] == 200
    assert ask(ws, "session.subscriptions")["result"] == [{"subscriptionId": 0}]
    emulator.expire_session(spot)
    assert heard(ws)["event"]["e"] == "eventStreamTerminated"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [({"timestamp": 1}, 400, -1021), ({"apiKey": "x" * 64}, 401, -2015), ({"apiKey": "x"}, 401, -2014)],
)
def test_a_subscription_is_verified(
    emulator: BinanceEmulator, spot: EmulatedAccount, change: dict[str, Any], status: int, code: int
) -> None:
    ws = connect(emulator.endpoints()["BINANCE_SPOT_WS_API_ROOT"])
    told = subscribe(ws, emulator, spot, **change)
    assert (told["status"], told["error"]["code"]) == (status, code)
    forged = ask(ws, "userDataStream.subscribe.signature", apiKey=spot.credentials["api_key"], timestamp=emulator.now_ms(), signature="0")
    assert (forged["status"], forged["error"]["code"]) == (400, -1022)
    assert ask(ws, "time")["result"]["serverTime"] > 0


# --- user data: futures ----------------------------------------------------------------------------------------------


def test_a_listen_key_opens_the_private_stream(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    ws = user_socket(emulator, usdm)
    assert emulator.sockets(usdm, "orders") == 1
    placed = sdk.ask(emulator, usdm, "POST", "/fapi/v1/order", **MARKET, newClientOrderId="A").json()
    new, trade, money = heard(ws), heard(ws), heard(ws)
    assert [(x["e"], x["o"]["x"], x["o"]["X"], x["o"]["c"]) for x in (new, trade)] == [
        ("ORDER_TRADE_UPDATE", "NEW", "NEW", "A"),
        ("ORDER_TRADE_UPDATE", "TRADE", "FILLED", "A"),
    ]
    assert (trade["o"]["i"], trade["o"]["n"], trade["o"]["N"], trade["o"]["ap"]) == (placed["orderId"], "0.34000000", "USDT", "68000")
    assert [(x["s"], x["pa"]) for x in money["a"]["P"]] == [("BTCUSDT", "0.01")]
    stop = {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.01",
        "triggerPrice": "67000",
    }
    sdk.ask(emulator, usdm, "POST", "/fapi/v1/algoOrder", **stop, clientAlgoId="B")
    assert (told := heard(ws))["e"] == "ALGO_UPDATE"
    assert (told["o"]["caid"], told["o"]["X"]) == ("B", "NEW")
    emulator.price(PERP, 67000)
    told = [heard(ws) for _ in range(6)]
    assert [x["o"]["X"] for x in told if x["e"] == "ALGO_UPDATE"] == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert [x["o"]["x"] for x in told if x["e"] == "ORDER_TRADE_UPDATE"] == ["NEW", "TRADE"]
    assert told[-1]["o"]["ai"] == emulator.fills(usdm)[-1].broker_order_id


def test_a_listen_key_must_be_kept_alive(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    def key(method: str) -> Any:
        return sdk.ask(emulator, usdm, method, "/fapi/v1/listenKey", signed=False).json()

    assert key("PUT") == {"code": -1125, "msg": "This listenKey does not exist."}
    first = key("POST")
    assert key("POST") == first
    assert set(first.values()) < set(usdm.canaries())
    emulator.advance(3000)
    assert key("PUT") == first
    emulator.advance(3000)
    ws = connect(f"{emulator.ws_url}/private/ws/{first['listenKey']}")
    emulator.expire_session(usdm)
    assert heard(ws)["e"] == "listenKeyExpired"
    assert key("PUT")["code"] == -1125
    with pytest.raises(websocket.WebSocketBadStatusException):
        connect(f"{emulator.ws_url}/private/ws/{first['listenKey']}")
    second = key("POST")
    emulator.advance(3601)
    assert key("PUT")["code"] == -1125
    assert second != first


def test_pushes_can_be_repeated_shuffled_and_kept_back(emulator: BinanceEmulator, usdm: EmulatedAccount) -> None:
    ws = user_socket(emulator, usdm)
    emulator.fault(Fault.REPEATED_UPDATES)
    sdk.ask(emulator, usdm, "POST", "/fapi/v1/order", **LIMIT)
    assert heard(ws) == heard(ws)
    emulator.fault(Fault.NO_UPDATES)
    sdk.ask(emulator, usdm, "POST", "/fapi/v1/order", **{**LIMIT, "price": "66000"})
    emulator.by_hand(usdm, PERP, "BUY", "0.02", 66500)
    assert heard(ws)["o"]["q"] == "0.02"
    emulator.fault(Fault.SHUFFLED_UPDATES, times=2, seconds=0.01)
    sdk.ask(emulator, usdm, "POST", "/fapi/v1/order", **MARKET)
    told = [heard(ws) for _ in range(3)]
    assert [x["o"]["x"] if "o" in x else x["e"] for x in told] == ["TRADE", "ACCOUNT_UPDATE", "NEW"]


# --- the market ------------------------------------------------------------------------------------------------------


def test_spot_and_futures_stream_apart(emulator: BinanceEmulator) -> None:
    coin = connect(f"{emulator.ws_url}/ws/btcusdt@bookTicker")
    perp = connect(f"{emulator.ws_url}/public/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker")
    assert heard(coin)["b"] == "68000.00000000"  # told at once
    assert [heard(perp)["stream"] for _ in range(2)] == ["btcusdt@bookTicker", "ethusdt@bookTicker"]
    emulator.price(PERP, 68100, 68099.9, 68100.1)
    emulator.price(BTC, 68050, 68049.99, 68050.01)
    best = heard(coin)
    assert (best["s"], best["b"], best["a"]) == ("BTCUSDT", "68049.99000000", "68050.01000000")
    moved = heard(perp)
    assert (moved["stream"], moved["data"]["b"], moved["data"]["a"]) == ("btcusdt@bookTicker", "68099.9", "68100.1")


def test_streams_are_chosen_by_message(emulator: BinanceEmulator) -> None:
    ws = connect(f"{emulator.ws_url}/stream")
    ws.send(json.dumps({"method": "SUBSCRIBE", "params": ["ethusdt@trade", "ethusdt@miniTicker", "btcusdt@trade"], "id": 1}))
    assert heard(ws) == {"result": None, "id": 1}
    ws.send(json.dumps({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 2}))
    heard(ws)
    ws.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 3}))
    assert heard(ws)["result"] == ["ethusdt@miniTicker", "ethusdt@trade"]
    emulator.price(BTC, 68001)
    emulator.price("BINANCE:ETHUSDT", 3501)
    told = {(x := heard(ws))["stream"]: x["data"] for _ in range(2)}
    assert told["ethusdt@trade"]["p"] == told["ethusdt@miniTicker"]["c"] == "3501.00000000"
    ws.send(json.dumps({"method": "SUBSCRIBE", "params": [f"x{n}@trade" for n in range(1025)], "id": 4}))
    assert heard(ws)["error"]["code"] == 2
    ws.send("nonsense")
    assert heard(ws)["error"]["code"] == 2


def test_marks_come_over_the_market_route(emulator: BinanceEmulator) -> None:
    ws = connect(f"{emulator.ws_url}/market/ws/btcusdt@markPrice@1s")
    assert (heard(ws)["e"], emulator.sockets(kind="ticks")) == ("markPriceUpdate", 1)
    assert requests.get(f"{emulator.url}/fapi/v1/premiumIndex?symbol=BTCUSDT", timeout=30).json()["markPrice"] == "68000.00000000"


def test_a_client_that_talks_too_much_is_cut_off() -> None:
    with BinanceEmulator(rates=True) as emulator:
        ws = connect(f"{emulator.ws_url}/ws/btcusdt@trade")
        for number in range(6):
            ws.send(json.dumps({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": number}))
        assert [heard(ws)["id"] for _ in range(5)] == list(range(5))
        opcode, data = ws.recv_data()
        assert (opcode, int.from_bytes(data[:2])) == (websocket.ABNF.OPCODE_CLOSE, 1008)
