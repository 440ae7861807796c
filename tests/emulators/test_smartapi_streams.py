"""The sockets of the emulated SmartAPI: packets byte for byte as published and as the SDK reads them, order updates, hand-shakes and limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.core.faults import Fault
from tests.emulators.smartapi import packets, sdk
from tests.emulators.smartapi.emulator import SmartApiEmulator
from tests.emulators.smartapi.packets import Level, Quote

SAMPLES = Path(__file__).parents[2].parent / "shared" / "brokers" / "angelone-samples"
VECTORS = {x["name"]: x for x in json.loads((SAMPLES / "ws2_packets.json").read_text())}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk.keep_quiet(monkeypatch, tmp_path)


@pytest.fixture
def emulator() -> Iterator[SmartApiEmulator]:
    with SmartApiEmulator(seed=2) as made:
        yield made


@pytest.fixture
def account(emulator: SmartApiEmulator) -> EmulatedAccount:
    return emulator.add_account("A000001")


def headers(emulator: SmartApiEmulator, account: EmulatedAccount) -> dict[str, str]:
    signed = emulator.sign_in(account)
    return {
        "Authorization": f"Bearer {signed.jwt}",
        "x-api-key": account.credentials["api_key"],
        "x-client-code": account.name,
        "x-feed-token": signed.feed,
    }


opened: list[websocket.WebSocket] = []


@pytest.fixture(autouse=True)
def _closed_afterwards() -> Iterator[None]:
    yield
    while opened:
        opened.pop().shutdown()


def ticks(emulator: SmartApiEmulator, given: dict[str, str]) -> websocket.WebSocket:
    return connect(emulator.endpoints()["SMARTAPI_WS_ROOT"], given)


def updates(emulator: SmartApiEmulator, given: dict[str, str]) -> websocket.WebSocket:
    return connect(emulator.endpoints()["SMARTAPI_ORDER_WS_ROOT"], given)


def connect(url: str, given: dict[str, str]) -> websocket.WebSocket:
    opened.append(websocket.create_connection(url, header=given, timeout=30))
    return opened[-1]


def subscribe(ws: websocket.WebSocket, mode: int, tokens: list[str], exchange: int = 1, action: int = 1) -> None:
    params = {"mode": mode, "tokenList": [{"exchangeType": exchange, "tokens": tokens}]}
    ws.send(json.dumps({"correlationID": "abcde12345", "action": action, "params": params}))


def parser() -> Any:
    return sdk.module("smartWebSocketV2").SmartWebSocketV2("jwt", "key", "client", "feed")


def levels(rows: list[dict[str, int]], orders: str) -> list[Level]:
    return [Level(x["quantity"], x["price"], x[orders]) for x in rows]


def test_packets_are_those_published() -> None:
    full, depth = VECTORS["snapquote"]["sdk_parse"], VECTORS["depth20"]["sdk_parse"]
    quote = Quote(
        full["token"],
        full["exchange_type"],
        full["sequence_number"],
        full["exchange_timestamp"],
        full["last_traded_price"],
        full["last_traded_quantity"],
        full["average_traded_price"],
        full["volume_trade_for_the_day"],
        full["total_buy_quantity"],
        full["total_sell_quantity"],
        full["open_price_of_the_day"],
        full["high_price_of_the_day"],
        full["low_price_of_the_day"],
        full["closed_price"],
        full["last_traded_timestamp"],
        full["open_interest"],
        levels(full["best_5_buy_data"], "no of orders"),
        levels(full["best_5_sell_data"], "no of orders"),
        full["upper_circuit_limit"],
        full["lower_circuit_limit"],
        full["52_week_high_price"],
        full["52_week_low_price"],
    )
    for mode, name in ((packets.LTP, "ltp"), (packets.QUOTE, "quote"), (packets.SNAP_QUOTE, "snapquote")):
        assert packets.packet(quote, mode).hex() == VECTORS[name]["hex"]
    deep = Quote(
        depth["token"],
        depth["exchange_type"],
        0,
        depth["exchange_timestamp"] - 1,
        0,
        buys=levels(depth["depth_20_buy_data"], "num_of_orders"),
        sells=levels(depth["depth_20_sell_data"], "num_of_orders"),
    )
    assert packets.packet(deep, packets.DEPTH).hex() == VECTORS["depth20"]["hex"]


@pytest.mark.parametrize(("mode", "size"), [(1, 51), (2, 123), (3, 379), (4, 443)])
def test_the_sdk_reads_what_is_streamed(emulator: SmartApiEmulator, account: EmulatedAccount, mode: int, size: int) -> None:
    ws = ticks(emulator, headers(emulator, account))
    subscribe(ws, mode, ["1594"])
    first = ws.recv()
    emulator.price("NSE:INFY", "1500.05", "1500.00", "1500.10")
    packet = ws.recv()
    assert (len(first), len(packet)) == (size, size)
    read = parser()._parse_binary_data(packet)
    assert (read["token"], read["exchange_type"], read["subscription_mode"]) == ("1594", 1, mode)
    if mode < 4:
        assert read["last_traded_price"] == 150_005
    if mode == 3:
        assert (read["best_5_buy_data"][0]["price"], read["best_5_sell_data"][0]["price"]) == (150_000, 150_010)
    if mode == 4:
        assert (read["depth_20_buy_data"][0]["price"], read["depth_20_sell_data"][0]["price"]) == (150_000, 150_010)


def test_the_sdks_own_socket_gets_prices(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    given, got = headers(emulator, account), threading.Event()

    class Mended(sdk.module("smartWebSocketV2").SmartWebSocketV2):  # type: ignore[misc]
        """Its close callback takes too few arguments for today's websocket-client."""

        ROOT_URI = emulator.endpoints()["SMARTAPI_WS_ROOT"]
        RESUBSCRIBE_FLAG = False

        def _on_close(self, ws: Any, code: Any = None, message: Any = None) -> None:
            pass

    client = Mended(given["Authorization"], given["x-api-key"], account.name, given["x-feed-token"], max_retry_attempt=0)
    client.input_request_dict = {}
    client.on_open = lambda ws: client.subscribe("abc", 2, [{"exchangeType": 1, "tokens": ["3045"]}])
    client.on_data = lambda ws, read: read["last_traded_price"] == 82_050 and got.set()
    client.on_error = lambda *_: None
    thread = threading.Thread(target=client.connect)
    thread.start()
    assert got.wait(30)
    emulator.cut_sockets(account)  # its own close may leave its thread waiting on a descriptor that is gone
    thread.join(30)
    assert not thread.is_alive()


def test_indices_and_derivatives_stream_under_their_own_numbers(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    ws = ticks(emulator, headers(emulator, account))
    subscribe(ws, 1, ["99926000"])
    assert parser()._parse_binary_data(ws.recv())["last_traded_price"] == 2_440_000
    future = next(x for x in emulator.scrips.rows if x.kind == "FUTIDX")
    subscribe(ws, 1, [future.token], exchange=2)
    read = parser()._parse_binary_data(ws.recv())
    assert (read["exchange_type"], read["token"]) == (2, future.token)


def test_what_is_not_wanted_any_more_is_not_sent(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    ws = ticks(emulator, headers(emulator, account))
    subscribe(ws, 1, ["1594", "1594", "3045"])
    assert [parser()._parse_binary_data(ws.recv())["token"] for _ in range(2)] == ["1594", "3045"]
    subscribe(ws, 1, ["1594", "4711"], action=0)
    ws.send("ping")
    assert ws.recv() == "pong"  # so the order to stop has been read
    emulator.price("NSE:INFY", 1501)
    emulator.price("NSE:SBIN", 821)
    assert parser()._parse_binary_data(ws.recv())["token"] == "3045"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "E1001"),
        ("[]", "E1001"),
        ('{"action":1,"params":{"mode":9,"tokenList":[]}}', "E1001"),
        ('{"action":1,"params":{"mode":4,"tokenList":[{"exchangeType":2,"tokens":["1"]}]}}', "E1001"),
        (
            json.dumps({"action": 1, "params": {"mode": 4, "tokenList": [{"exchangeType": 1, "tokens": [str(x) for x in range(51)]}]}}),
            "E1002",
        ),
        (
            json.dumps({"action": 1, "params": {"mode": 1, "tokenList": [{"exchangeType": 1, "tokens": [str(x) for x in range(1001)]}]}}),
            "E1002",
        ),
    ],
)
def test_requests_that_ask_too_much_or_nothing(emulator: SmartApiEmulator, account: EmulatedAccount, message: str, code: str) -> None:
    ws = ticks(emulator, headers(emulator, account))
    ws.send(message)
    assert json.loads(ws.recv())["errorCode"] == code


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Authorization", "Invalid Header - Invalid Auth token"),
        ("x-client-code", "Invalid Header - Invalid Client Code"),
        ("x-api-key", "Invalid Header - Invalid API Key"),
        ("x-feed-token", "Invalid Header - Invalid Feed Token"),
    ],
)
def test_a_wrong_header_is_named(emulator: SmartApiEmulator, account: EmulatedAccount, header: str, words: str) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        ticks(emulator, {**headers(emulator, account), header: "x"})
    assert refused.value.status_code == 401
    assert refused.value.resp_headers["x-error-message"] == words


def test_three_connections_for_each_client(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    given = headers(emulator, account)
    for dial, kind in ((ticks, "ticks"), (updates, "orders")):
        for _ in range(3):
            dial(emulator, given)
        assert emulator.sockets(account, kind) == 3
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            dial(emulator, given)
        assert refused.value.status_code == 429


def codes(ws: websocket.WebSocket, count: int) -> list[tuple[str, str, str]]:
    told = [json.loads(ws.recv()) for _ in range(count)]
    return [(x["order-status"], x["orderData"]["orderstatus"], x["orderData"]["filledshares"]) for x in told]


def test_order_updates_tell_each_state(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    given = headers(emulator, account)
    ws = updates(emulator, {"Authorization": given["Authorization"]})
    published = json.loads((SAMPLES / "order_ws_messages.json").read_text())
    assert json.loads(ws.recv()) == published[0]
    order = emulator.by_hand(account, "NSE:SBIN", "BUY", 10, "815")
    assert codes(ws, 2) == [("AB09", "open pending", "0"), ("AB01", "open", "0")]
    emulator.price("NSE:SBIN", 815)
    last = json.loads(ws.recv())
    assert (last["order-status"], last["orderData"]["orderid"], last["orderData"]["filledshares"]) == ("AB05", order, "10")
    assert last["orderData"].keys() == published[-1]["orderData"].keys()
    resting = emulator.by_hand(account, "NSE:SBIN", "BUY", 10, "810")
    emulator.cancel_by_hand(account, resting)
    assert [x[0] for x in codes(ws, 3)] == ["AB09", "AB01", "AB02"]


def test_updates_come_by_the_orders_of_the_api_too(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    client = sdk.signed_in(emulator, account)
    ws = updates(emulator, {"Authorization": f"Bearer {client.access_token}"})
    ws.recv()
    terms = {
        "tradingsymbol": "SBIN-EQ",
        "symboltoken": "3045",
        "exchange": "NSE",
        "transactiontype": "BUY",
        "duration": "DAY",
        "quantity": "10",
    }
    order = {**terms, "variety": "NORMAL", "ordertype": "LIMIT", "producttype": "INTRADAY", "price": "815", "ordertag": "ABC"}
    emulator.fault(Fault.REPEATED_UPDATES)
    client.placeOrderFullResponse(dict(order))
    told = [json.loads(ws.recv()) for _ in range(4)]
    assert [x["order-status"] for x in told] == ["AB09", "AB01", "AB09", "AB01"]
    assert {x["orderData"]["ordertag"] for x in told} == {"ABC"}
    changed = {**order, "orderid": told[0]["orderData"]["orderid"], "price": "816"}
    client.modifyOrder(changed)
    assert [x[0] for x in codes(ws, 2)] == ["AB04", "AB01"]


def test_a_pong_of_the_order_stream_carries_a_zero_byte(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    ws = updates(emulator, headers(emulator, account))
    ws.recv()
    ws.ping("x")
    opcode, data = ws.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"\x00")


def test_sessions_that_end_take_their_sockets_along(emulator: SmartApiEmulator, account: EmulatedAccount) -> None:
    given = headers(emulator, account)
    ws = updates(emulator, given)
    ws.recv()
    emulator.expire_session(account)
    with pytest.raises((ConnectionError, websocket.WebSocketException)):
        ws.recv()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        updates(emulator, given)
    given = headers(emulator, account)
    emulator.advance(86_400)
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        updates(emulator, given)
