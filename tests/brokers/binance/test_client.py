"""ccxt as we use it: nothing of it points at the real Binance, its tables are chosen by path, it says nothing, and it builds what Binance documents."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engines.brokers.binance.books import CONDITIONAL
from engines.brokers.binance.client import Client, Place
from engines.brokers.binance.filters import Fitted
from engines.brokers.binance.keys import tidy
from engines.brokers.binance.sending import Sender
from engines.brokers.binance.stream import signature
from engines.brokers.tools import BinanceEndpoints, Timing
from engines.core.model import Account, Instrument, OrderType, Product, Side
from engines.ports import OrderRequest, SystemClock
from tests.brokers.binance.test_filters import SPOT, USDM

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"  # the pair in Binance's own documents
RSA = rsa.generate_private_key(65537, 2048)
NOWHERE = BinanceEndpoints("http://127.0.0.1:9", "http://127.0.0.1:9", "ws://127.0.0.1:9", "ws://127.0.0.1:9", "ws://127.0.0.1:9/ws-api/v3")


@pytest.fixture(scope="module")
def spot() -> Iterator[Client]:
    client = Client(Place("spot", NOWHERE), KEY, SECRET, SystemClock(), Timing())
    client.house.learn([{**SPOT, "orderTypes": ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"]}], client.sdk.parse_market, 0.0)
    yield client
    client.close()


@pytest.fixture(scope="module")
def usdm() -> Iterator[Client]:
    client = Client(Place("usdm", NOWHERE), KEY, SECRET, SystemClock(), Timing())
    client.house.learn(
        [{**USDM, "marginAsset": "USDT", "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"]}], client.sdk.parse_market, 0.0
    )
    yield client
    client.close()


def test_no_address_of_the_real_binance_is_left(spot: Client) -> None:
    assert "binance.com" not in str(spot.sdk.urls["api"])
    assert "binance.vision" not in str(spot.sdk.urls["api"])
    assert spot.sdk.urls["api"]["private"] == "http://127.0.0.1:9/api/v3"
    assert spot.sdk.urls["api"]["fapiPrivateV3"] == "http://127.0.0.1:9/fapi/v3"


def test_the_error_tables_are_chosen_by_path(spot: Client) -> None:
    assert spot.sdk.get_exceptions_by_url("http://127.0.0.1:9/fapi/v1/order", "exact")["-2022"]
    assert "-2022" in spot.sdk.exceptions["linear"]["exact"]
    assert spot.sdk.get_exceptions_by_url("http://127.0.0.1:9/api/v3/order", "exact") is spot.sdk.exceptions["spot"]["exact"]


def test_ccxt_keeps_its_words_to_itself(spot: Client) -> None:
    assert spot.sdk.logger.disabled
    assert spot.sdk.logger not in logging.Logger.manager.loggerDict.values()
    assert KEY not in repr(spot.sdk)
    assert not spot.sdk.enableRateLimit


def test_accounts_share_what_is_listed(spot: Client) -> None:
    other = Client(Place("spot", NOWHERE), "another", "secret", SystemClock(), Timing())
    assert other.sdk.markets is spot.sdk.markets
    assert other.sdk.market("BTCUSDT")["symbol"] == "BTC/USDT"
    assert other.sdk.apiKey != spot.sdk.apiKey
    other.close()


def test_the_signature_is_the_one_in_binances_documents(spot: Client) -> None:
    payload = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    assert signature(spot.sdk, payload) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize(
    "spoil", [str, lambda pem: pem.replace("\n", "\r\n"), lambda pem: pem.replace("\n", " "), lambda pem: f"  {pem}\n\n"]
)
def test_private_keys_sign_however_they_were_pasted(kind: str, spoil: Callable[[str], str]) -> None:
    private = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else RSA
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    client = Client(Place("spot", NOWHERE), "key", tidy(spoil(pem)), SystemClock(), Timing())
    signed = base64.b64decode(signature(client.sdk, "a=1&b=2"))
    if isinstance(private, ed25519.Ed25519PrivateKey):
        private.public_key().verify(signed, b"a=1&b=2")
    else:
        private.public_key().verify(signed, b"a=1&b=2", padding.PKCS1v15(), hashes.SHA256())
    client.close()


def _request(symbol: str, kind: OrderType, side: Side = Side.SELL, *, reduce_only: bool = False) -> OrderRequest:
    instrument = Instrument(symbol, "BTC", "BINANCE", Decimal("0.1"))
    return OrderRequest("0MC3ABCD1234567890", instrument, side, Decimal("0.002"), kind, Product.MIS, reduce_only=reduce_only)


FITTED = Fitted(Decimal("0.002"), Decimal("65000.1"), Decimal("65010.1"))
_BASE = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.002"}
_SPOT = {**_BASE, "newClientOrderId": "0MC3ABCD1234567890", "newOrderRespType": "FULL"}
_USDM = {**_BASE, "newClientOrderId": "0MC3ABCD1234567890", "newOrderRespType": "RESULT"}
_ALGO = {**_BASE, "clientAlgoId": "0MC3ABCD1234567890", "newOrderRespType": "RESULT", "algoType": "CONDITIONAL", "triggerPrice": "65010.1"}

BUILT: list[tuple[str, OrderType, dict[str, str]]] = [
    ("spot", OrderType.MARKET, {**_SPOT, "type": "MARKET"}),
    ("spot", OrderType.LIMIT, {**_SPOT, "type": "LIMIT", "timeInForce": "GTC", "price": "65000.1"}),
    ("spot", OrderType.SL, {**_SPOT, "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "price": "65000.1", "stopPrice": "65010.1"}),
    ("spot", OrderType.SL_M, {**_SPOT, "type": "STOP_LOSS", "stopPrice": "65010.1"}),
    ("usdm", OrderType.MARKET, {**_USDM, "type": "MARKET"}),
    ("usdm", OrderType.LIMIT, {**_USDM, "type": "LIMIT", "timeInForce": "GTC", "price": "65000.1"}),
    ("usdm", OrderType.SL, {**_ALGO, "type": "STOP", "timeInForce": "GTC", "price": "65000.1"}),
    ("usdm", OrderType.SL_M, {**_ALGO, "type": "STOP_MARKET"}),
]


@pytest.mark.parametrize(("market", "kind", "wanted"), BUILT, ids=[f"{m}-{k.value}" for m, k, _ in BUILT])
def test_what_goes_out_is_what_binance_documents(market: str, kind: OrderType, wanted: dict[str, str], spot: Client, usdm: Client) -> None:
    client = spot if market == "spot" else usdm
    limited, stopped = kind in (OrderType.LIMIT, OrderType.SL), kind in CONDITIONAL
    fitted = Fitted(FITTED.quantity, FITTED.price if limited else None, FITTED.trigger_price if stopped else None)
    path, params = _sender(client).build(_request("BINANCE:BTCUSDT", kind), "BTCUSDT", fitted, "0MC3ABCD1234567890")
    assert params == wanted
    assert path == ("algoOrder" if market == "usdm" and stopped else "order")


@pytest.mark.parametrize(
    ("hedged", "side", "reduce_only", "wanted"),
    [
        (False, Side.BUY, False, {}),
        (False, Side.SELL, True, {"reduceOnly": "true"}),
        (True, Side.BUY, False, {"positionSide": "LONG"}),
        (True, Side.SELL, False, {"positionSide": "SHORT"}),
        (True, Side.SELL, True, {"positionSide": "LONG"}),
        (True, Side.BUY, True, {"positionSide": "SHORT"}),
    ],
)
def test_the_position_mode_is_obeyed(usdm: Client, hedged: bool, side: Side, reduce_only: bool, wanted: dict[str, str]) -> None:
    sender = _sender(usdm)
    sender.learn_settings(hedged, [])
    request = _request("BINANCE:BTCUSDT.P", OrderType.MARKET, side, reduce_only=reduce_only)
    _, params = sender.build(request, "BTCUSDT", Fitted(Decimal("0.002"), None, None), "X")
    assert {name: params[name] for name in ("reduceOnly", "positionSide") if name in params} == wanted


def test_only_spot_and_usdm_of_binance_are_traded() -> None:
    from engines.brokers.binance import BinanceBroker

    with pytest.raises(ValueError, match="no market"):
        BinanceBroker(_account(), {}, None, NOWHERE, "coinm")  # type: ignore[arg-type]


def _sender(client: Any) -> Sender:
    return Sender(client, _account(), "isolated")


def _account() -> Account:
    return Account("A1", "U1", "A1", "binance_usdm", Decimal(1000))
