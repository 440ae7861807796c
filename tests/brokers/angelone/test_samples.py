"""Every published sample that the adapter uses, served over loopback and read through the SDK: what each call makes of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engines.brokers.angelone.client import SmartClient
from engines.brokers.angelone.orders import place_params
from engines.brokers.tools import SmartApiEndpoints, Timing
from engines.core.model import OrderState
from engines.ports import Balance, Halted, NeedsLogin, Refused, Retry, TandemError, Unknown
from tests.brokers.angelone.rig import Master, Rig, request
from tests.brokers.angelone.test_broker import Gate

SAMPLES = Path(__file__).parents[3].parent / "shared" / "brokers" / "angelone-samples"
REST: dict[str, Any] = json.loads((SAMPLES / "rest_envelopes.json").read_text())
ERRORS: list[dict[str, Any]] = json.loads((SAMPLES / "errors.json").read_text())


def serve(rig: Rig, call: str, sample: str) -> None:
    rig.api.answers[call] = [REST[sample]]


def test_the_log_in_sample(rig: Rig) -> None:
    serve(rig, "login", "login_ok")
    client = SmartClient("key", SmartApiEndpoints(rig.api.url, "", ""), Timing())
    data = client.login("A000001", "1234", "000000")
    client.close()
    assert (data["jwtToken"], data["refreshToken"], data["feedToken"]) == ("<jwt without Bearer prefix>", "<jwt>", "<jwt>")


def test_order_samples(rig: Rig) -> None:
    broker = rig.connect()
    serve(rig, "place", "place_ok")
    serve(rig, "modify", "modify_ok")
    serve(rig, "cancel", "cancel_ok")
    report = broker.place(request(), Gate())
    assert (report.broker_order_id, report.state) == ("250901000000101", OrderState.OPEN)
    assert broker._standing["250901000000101"].unique_id == "05ebf91b-0000-4a1d-b0f2-000000000101"
    assert broker.modify("250901000000101", request(), quantity=Decimal(5), price=None, trigger_price=None) is None
    assert broker.cancel("250901000000101", request()) is None


def test_book_samples(rig: Rig) -> None:
    broker = rig.connect()
    serve(rig, "orders", "order_book_empty")
    serve(rig, "trades", "trade_book_empty")
    serve(rig, "positions", "position_empty")
    serve(rig, "holdings", "holding_empty")
    assert (broker.order_book(), broker.trades(), broker.positions(), broker.holdings()) == ([], [], [], [])
    serve(rig, "orders", "order_book")
    serve(rig, "trades", "trade_book")
    told = {report.broker_order_id[-3:]: report for report in broker.order_book()}
    assert {number: (r.state.value, r.filled_quantity) for number, r in told.items()} == {
        "101": ("open", 0),
        "102": ("filled", 10),
        "103": ("open", 0),  # its row says 4, and no trade says so yet
        "104": ("rejected", 0),
        "105": ("cancelled", 0),
        "106": ("open", 0),
    }
    assert [(fill.trade_id, fill.price) for fill in told["102"].fills] == [("50005750", Decimal("551.20"))]
    serve(rig, "positions", "position")
    serve(rig, "holdings", "all_holding")
    serve(rig, "rms", "rms_ok")
    (position,) = broker.positions()
    assert (position.symbol, position.quantity, position.average_price) == (
        "NSE:RELIANCE",
        1,
        Decimal("2235.80"),
    )  # not in the master: their words
    (holding,) = broker.holdings()
    assert (holding.symbol, holding.quantity, holding.average_price, holding.last_price) == (
        "NSE:TATASTEEL", 2, Decimal("111.87"), Decimal("130.15"),
    )  # fmt: skip
    assert broker.balance() == Balance(Decimal(100000), Decimal(0), Decimal(100000), Decimal(100000))


def test_the_profile_sample(rig: Rig) -> None:
    rig.connect()
    serve(rig, "profile", "profile_ok")
    profile = rig.broker.profile()
    assert (profile.user_id, profile.exchanges) == ("A000001", ("NSE", "BSE", "NFO", "MCX", "CDS", "BFO"))


MEANS: dict[str, tuple[type[TandemError], type[TandemError]]] = {  # placing, reading
    "AG8001": (NeedsLogin, NeedsLogin),
    "AB1006": (Refused, Refused),
    "AB1050": (Unknown, Retry),
    "AB1004": (Unknown, Retry),
    "AB3001": (Unknown, Retry),
    "AB1007": (Unknown, Retry),
    "AG7002": (Refused, Refused),
    "": (Unknown, Retry),
}


@pytest.mark.parametrize("sample", ERRORS, ids=[f"{n}-{e['http']}" for n, e in enumerate(ERRORS)])
def test_error_samples(rig: Rig, sample: dict[str, Any]) -> None:
    client = SmartClient("key", SmartApiEndpoints(rig.api.url, "", ""), Timing())
    client.use("token")
    body = sample.get("body")
    rig.api.answers["place"] = rig.api.answers["rms"] = [(sample["http"], sample["text"] if body is None else json.dumps(body))]
    placing, reading = MEANS["" if body is None else body.get("errorcode") or body.get("errorCode")]
    listed = Master().listing("angelone", "NSE:INFY")
    assert listed is not None
    with pytest.raises(TandemError) as placed:
        client.place(place_params(request(), listed, "2026-11-20"), Gate())
    with pytest.raises(TandemError) as read:
        client.funds()
    client.close()
    assert (type(placed.value), type(read.value)) == (placing, reading)
    assert not isinstance(placed.value, Halted)
