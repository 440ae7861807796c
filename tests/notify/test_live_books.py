"""What the newsroom asks the running engines: which stop and targets guard what an order opened, and the tick of its instrument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from app.newsroom import LiveBooks
from engines.core.model import ExitSpec, Order, TargetSpec
from tests.execution.house import INFY, House, account

D = Decimal
LOW = ExitSpec(stop_price=D(95), targets=(TargetSpec(D(100), price=D(105)),))
LOWER = ExitSpec(stop_price=D(90))
HIGH = ExitSpec(stop_price=D(110))


@pytest.fixture
def house() -> Iterator[House]:
    with House(account()) as made:
        yield made


def send(house: House, side: str, quantity: int, exits: ExitSpec = ExitSpec()) -> Order:
    before = house.held()
    order = house.send(side, quantity, exits=exits)[0]
    house.until(lambda: house.held() != before)
    return order


def guard(house: House, order: Order) -> tuple[Decimal | None, tuple[Decimal, ...]]:
    return LiveBooks(house.system).guard(order)


def test_an_order_is_told_with_the_plan_that_was_made_for_it(house: House) -> None:
    assert guard(house, send(house, "BUY", 10, LOW)) == (D(95), (D(105),))


def test_an_order_that_added_to_a_position_is_told_with_the_plan_that_guards_both(house: House) -> None:
    send(house, "BUY", 10, LOW)
    assert guard(house, send(house, "BUY", 5, LOWER)) == (D(95), (D(105),))


def test_an_order_is_not_told_with_the_stop_of_the_position_that_turned_it_round(house: House) -> None:
    first = send(house, "BUY", 10, LOW)
    second = send(house, "SELL", 20, HIGH)
    assert (guard(house, first), guard(house, second)) == ((None, ()), (D(110), ()))


def test_an_order_is_not_told_with_the_stop_of_the_next_trade_the_same_way(house: House) -> None:
    first = send(house, "BUY", 10, LOW)
    send(house, "SELL", 10)
    second = send(house, "BUY", 10, LOWER)
    assert (guard(house, first), guard(house, second)) == ((None, ()), (D(90), ()))


def test_an_order_of_an_account_that_is_gone_has_no_guard_that_anybody_knows(house: House) -> None:
    order = send(house, "BUY", 10, LOW)
    elsewhere = replace(order, account_id="GONE")
    assert guard(house, elsewhere) == (None, ())


def test_the_tick_of_an_instrument_is_known_while_it_is_listed(house: House) -> None:
    books = LiveBooks(house.system)
    assert (books.tick(INFY.symbol), books.tick("NSE:GONE")) == (INFY.tick_size, None)
