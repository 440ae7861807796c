"""The official mock answers through the real SDK, our wire and our rows: asserted values, not only that they parse."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from engines.brokers.updates import OrderMemory
from engines.brokers.zerodha import rows
from engines.brokers.zerodha.client import KiteClient
from engines.brokers.zerodha.login import generate_session
from engines.core.model import OrderState, Side
from engines.ports import BrokerFill
from tests.brokers.zerodha.served import MOCKS, Page, mock, serving

S = OrderState


def through_the_sdk(name: str, route: str, act: Callable[[KiteClient], Any]) -> Any:
    """What the adapter makes of one mock file, served at its route."""
    with serving({route: Page((MOCKS / name).read_bytes())}) as served:
        client = served.client()
        try:
            return client.call("read", lambda: act(client))
        finally:
            client.wire.close()


def test_profile():
    told = through_the_sdk("profile.json", "GET /user/profile", lambda client: rows.profile(client.sdk.profile()))
    assert (told.user_id, told.name) == ("AB1234", "AxAx Bxx")
    assert set(told.exchanges) == {"BFO", "MCX", "NSE", "CDS", "BSE", "BCD", "MF", "NFO"}
    assert told.products == ("CNC", "NRML", "MIS", "BO", "CO")
    assert len(told.warnings) == 1  # demat consent is "physical"


def test_full_profile_has_the_same_fields():
    told = rows.profile(mock("full_profile.json")["data"])
    assert (told.user_id, told.name) == (mock("full_profile.json")["data"]["user_id"], mock("full_profile.json")["data"]["user_name"])


def test_margins_keep_their_decimals():
    told = through_the_sdk("margins.json", "GET /user/margins", lambda client: rows.balance(client.sdk.margins()))
    assert (told.available, told.used_margin, told.cash) == (Decimal("99725.05000000002"), Decimal("145706.55"), Decimal("245431.6"))
    assert told.equity == Decimal("245431.60000000002")
    assert told.currency == "INR"


def test_margins_of_one_segment():
    told = through_the_sdk(
        "margin_commodity.json", "GET /user/margins/commodity", lambda client: rows.balance(client.sdk.margins("commodity"))
    )
    assert (told.available, told.used_margin) == (Decimal("96426.33"), Decimal("871.17"))


@pytest.mark.parametrize(
    ("name", "route", "act", "order_id"),
    [
        (
            "order_response.json",
            "POST /orders/regular",
            lambda sdk: sdk.place_order(
                variety="regular",
                exchange="NSE",
                tradingsymbol="INFY",
                transaction_type="BUY",
                quantity=1,
                product="MIS",
                order_type="LIMIT",
            ),
            "151220000000000",
        ),
        (
            "order_modify.json",
            "PUT /orders/regular/1",
            lambda sdk: sdk.modify_order(variety="regular", order_id="1"),
            "151220000000000",
        ),
        (
            "order_cancel.json",
            "DELETE /orders/regular/1",
            lambda sdk: sdk.cancel_order(variety="regular", order_id="1"),
            "151220000000000",
        ),
    ],
)
def test_a_write_is_answered_with_the_orders_id(name, route, act, order_id):
    assert through_the_sdk(name, route, lambda client: act(client.sdk)) == order_id
    assert isinstance(order_id, str)


def test_the_history_of_an_order_is_its_states():
    told = through_the_sdk(
        "order_info.json",
        "GET /orders/171229000724687",
        lambda client: [rows.order(row) for row in client.sdk.order_history("171229000724687")],
    )
    assert {report.broker_order_id for report in told} == {"171229000724687"}
    assert {(report.symbol, report.side, report.quantity) for report in told} == {("NSE:SBIN", Side.BUY, 1)}
    assert [report.state for report in told[:4]] == [S.OPEN] * 4
    last = max(told, key=lambda report: report.at)
    assert told[0].at == 1514525812.0  # 2017-12-29 11:06:52 in India
    assert last.at >= told[0].at


def test_a_pushed_order_becomes_whole_with_its_trade():
    pushed = rows.order(mock("postback.json"))
    assert (pushed.broker_order_id, pushed.state, pushed.symbol) == ("220303000308932", S.FILLED, "NSE:SBIN")
    assert (pushed.filled_quantity, pushed.average_price, pushed.client_id) == (1, 470, None)
    assert pushed.at == 1646279665.0  # 2022-03-03 09:24:25 in India
    memory = OrderMemory()
    memory.name("220303000308932", "0MBX2K9Q3ABCDEFGHI")
    memory.add({"220303000308932": [BrokerFill("10000000", Decimal(1), Decimal(470), pushed.at)]})
    report, complete = memory.whole(pushed)
    assert (report.state, report.client_id, complete) == (S.FILLED, "0MBX2K9Q3ABCDEFGHI", True)


def test_holdings():
    told = through_the_sdk("holdings_compact.json", "GET /portfolio/holdings", lambda client: rows.holdings(client.sdk.holdings()))
    assert [(h.symbol, h.quantity) for h in told[:3]] == [("NSE:63MOONS", 1), ("NSE:AARON", 2), ("NSE:ADL", 1)]
    assert ("BSE:FEDERALBNK", 1) in [(h.symbol, h.quantity) for h in told]
    assert all(h.average_price is None for h in told)


def test_a_session():
    with serving({"POST /session/token": Page((MOCKS / "generate_session.json").read_bytes())}) as served:
        session = generate_session("key1", "secret1", "request1", endpoints=served.endpoints)
    assert (session.user_id, dict(session.tokens)) == ("XX0000", {"access_token": "XXXXXX", "public_token": "XXXXXXXX"})
