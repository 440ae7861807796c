"""Kite's rows as our values: the states of an order, names among tags, times of India, numbers that are missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engines.brokers.zerodha import rows
from engines.core.model import OrderState, Side

S = OrderState
NAME = "0MBX2K9Q3ABCDEFGHI"


def row(**changes: Any) -> dict[str, Any]:
    plain = {
        "order_id": "1914227164488687616",
        "status": "OPEN",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 10,
        "filled_quantity": 0,
        "average_price": 0,
        "product": "MIS",
        "order_timestamp": "2026-11-20 09:20:01",
        "exchange_update_timestamp": "2026-11-20 09:20:02",
        "status_message": None,
        "tag": NAME,
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("PUT ORDER REQ RECEIVED", 0, S.OPEN),
        ("VALIDATION PENDING", 0, S.OPEN),
        ("OPEN PENDING", 0, S.OPEN),
        ("OPEN", 0, S.OPEN),
        ("OPEN", 4, S.PARTLY_FILLED),
        ("TRIGGER PENDING", 0, S.OPEN),
        ("MODIFY VALIDATION PENDING", 0, S.OPEN),
        ("MODIFY PENDING", 4, S.PARTLY_FILLED),
        ("MODIFIED", 0, S.OPEN),
        ("NOT MODIFIED", 0, S.OPEN),
        ("CANCEL PENDING", 4, S.PARTLY_FILLED),
        ("AMO REQ RECEIVED", 0, S.OPEN),
        ("MODIFY AMO REQ RECEIVED", 0, S.OPEN),
        ("UPDATE", 4, S.PARTLY_FILLED),
        ("UPDATE", 10, S.OPEN),  # it has not said that it is over
        ("SOMETHING NEW", 0, S.OPEN),
        ("", 0, S.OPEN),
        ("COMPLETE", 10, S.FILLED),
        ("CANCELLED", 0, S.CANCELLED),
        ("CANCELLED", 4, S.CANCELLED),
        ("CANCELLED AMO", 0, S.CANCELLED),
        ("REJECTED", 0, S.REJECTED),
    ],
)
def test_a_status_is_a_state(status, filled, state):
    assert rows.order(row(status=status, filled_quantity=filled)).state is state


@pytest.mark.parametrize("status", ["CANCELLED", "REJECTED"])
def test_why_an_order_ended_is_told_in_the_brokers_words(status):
    assert rows.order(row(status=status, status_message="17070 : The price is out of the circuit limits")).message.endswith(
        "circuit limits"
    )
    assert rows.order(row(status=status, status_message_raw="out of the limits")).message == "out of the limits"


@pytest.mark.parametrize(
    ("tag", "tags", "name", "stranger"),
    [
        (NAME, [NAME], NAME, False),
        (NAME, None, NAME, False),
        (None, ["mktp", "mktp:2.00"], None, False),
        (None, ["mktp", NAME], NAME, False),
        (None, None, None, False),
        (None, "mktp", None, False),
        ("mine", ["mine"], None, True),
        (NAME.lower(), [], None, True),
        (NAME + "X", [], None, True),
    ],
)
def test_our_name_is_found_among_the_tags(tag, tags, name, stranger):
    told = row(tag=tag, tags=tags)
    assert (rows.our_name(told), rows.somebody_elses(told)) == (name, stranger)


def test_a_row_without_tags_at_all_has_no_name():
    told = row()
    del told["tag"]
    assert rows.order(told).client_id is None


def test_an_order_row_is_a_report_without_fills():
    report = rows.order(row(status="COMPLETE", filled_quantity=10, average_price=Decimal("1500.10")))
    assert (report.broker_order_id, report.client_id, report.symbol, report.side) == ("1914227164488687616", NAME, "NSE:INFY", Side.BUY)
    assert (report.quantity, report.filled_quantity, report.average_price, report.fills) == (10, 10, Decimal("1500.10"), ())
    assert report.at == 1795146602.0  # 2026-11-20 03:50:02 UTC


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, 0),
        ("", 0),
        (3, 3),
        ("7.5", Decimal("7.5")),
        (0.1, Decimal("0.1")),
        (Decimal("99725.05000000002"), Decimal("99725.05000000002")),
        ("x", 0),
        (float("nan"), 0),
    ],
)
def test_numbers(value, number):
    assert rows.number(value) == number


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("1970-01-01 05:30:00", 0.0),
        ("2026-11-20 09:20:02", 1795146602.0),
        ("09:20:02", None),
        (None, None),
        (5, None),
        ("2026-11-20T09:20:02+0530", 1795146602.0),
    ],
)
def test_times_are_indias(value, moment):
    assert rows.moment(value) == moment


def test_positions_are_the_net_book_without_what_is_flat():
    net = [
        row(product="MIS", quantity=-10, average_price=Decimal("1500.5")),
        row(product="NRML", quantity=0),
        row(product="MTF", quantity=3, average_price=0, tradingsymbol="TCS"),
        row(product="odd", quantity=3),
    ]
    told = rows.positions({"net": net, "day": [row(quantity=99)]})
    assert [(p.symbol, p.product.value, p.quantity, p.average_price) for p in told] == [
        ("NSE:INFY", "MIS", Decimal(-10), Decimal("1500.5")),
        ("NSE:TCS", "CNC", Decimal(3), None),
    ]


def test_holdings_count_what_is_on_its_way():
    told = rows.holdings([row(quantity=1, t1_quantity=2, average_price=Decimal(5), last_price=6), row(quantity=0, t1_quantity=0)])
    assert [(h.symbol, h.quantity, h.average_price, h.last_price) for h in told] == [("NSE:INFY", 3, 5, 6)]


@pytest.mark.parametrize(
    ("data", "cash", "used", "available"),
    [
        (
            {
                "equity": {"enabled": True, "net": 70, "available": {"cash": 100}, "utilised": {"debits": 30}},
                "commodity": {"enabled": True, "net": 9},
            },
            100,
            30,
            70,
        ),
        ({"equity": {"enabled": False, "net": 0}, "commodity": {"enabled": True, "net": 9, "available": {"cash": 9}}}, 9, 0, 9),
        ({"enabled": True, "net": 5, "available": {"cash": 6}, "utilised": {"debits": -1}}, 6, 0, 5),
        ({}, 0, 0, 0),
    ],
)
def test_net_is_what_new_orders_may_use(data, cash, used, available):
    told = rows.balance(data)
    assert (told.cash, told.used_margin, told.available, told.equity) == (cash, used, available, available + used)
