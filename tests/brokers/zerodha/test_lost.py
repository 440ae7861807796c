"""An order whose answer was lost, in a book without our name: taken for ours only when nothing else is possible."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engines.brokers.updates import OrderMemory
from engines.brokers.zerodha.lost import Lost
from engines.core.model import Instrument, OrderType, Product, Side
from engines.ports import OrderRequest
from tests.brokers.zerodha.test_rows import NAME, row

SENT = 1795146600.0  # 2026-11-20 09:20:00 in India
OTHER = "0MBX2K9Q3ABCDEFGHJ"


class At:
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now


def lost(*names: str, order_type: OrderType = OrderType.MARKET) -> Lost:
    made = Lost(At(SENT))
    for name in names:
        instrument = Instrument("NSE:INFY", "INFY", "NSE", Decimal("0.1"))
        made.add(OrderRequest(name, instrument, Side.BUY, Decimal(10), order_type, Product.MIS))
    return made


def nameless(order_id: str = "B1", **changes: Any) -> dict[str, Any]:
    return row(order_id=order_id, **{"tag": None, "tags": ["mktp", "mktp:1.00"], **changes})


def names(made: Lost, *book: dict[str, Any], memory: OrderMemory | None = None) -> list[str | None]:
    return [report.client_id for report in made.find(book, memory or OrderMemory())]


def test_the_one_row_that_fits_is_ours_and_stays_so():
    memory, made = OrderMemory(), lost(NAME)
    assert names(made, nameless(), memory=memory) == [NAME]
    assert memory.client_id("B1") == NAME
    assert names(made, nameless("B2"), memory=memory) == [None]  # the lost one has been found


@pytest.mark.parametrize(
    "changes",
    [
        {"tradingsymbol": "TCS"},
        {"exchange": "BSE"},
        {"transaction_type": "SELL"},
        {"quantity": 11},
        {"product": "CNC"},
        {"tag": "somebody"},
        {"order_timestamp": "2026-11-20 09:19:50"},
        {"order_timestamp": "2026-11-20 09:23:00"},
        {"order_timestamp": None},
    ],
)
def test_a_row_that_differs_is_not_ours(changes):
    assert names(lost(NAME), nameless(**changes)) == [None]


def test_two_rows_that_fit_are_left_to_a_person():
    assert names(lost(NAME), nameless("B1"), nameless("B2")) == [None, None]


def test_two_lost_orders_of_one_shape_are_not_guessed():
    assert names(lost(NAME, OTHER), nameless()) == [None]


def test_a_row_that_another_order_owns_is_not_free():
    memory = OrderMemory()
    memory.name("B1", OTHER)
    assert names(lost(NAME), nameless(), memory=memory) == [None]


def test_a_limit_order_keeps_its_tag_so_nothing_is_guessed_for_it():
    assert names(lost(NAME, order_type=OrderType.LIMIT), nameless()) == [None]


def test_found_by_its_name_it_is_looked_for_no_more():
    made = lost(NAME)
    assert names(made, row(order_id="B1"), nameless("B2")) == [NAME, None]
    assert names(made, nameless("B3")) == [None]
