"""The Zerodha adapter at the emulated Kite: what is its own beyond the contract that every broker passes."""

from __future__ import annotations

import re
import threading
from collections import Counter
from decimal import Decimal

import pytest

from engines.core.model import OrderState, OrderType, Side
from engines.ports import Refused, Retry, Unknown
from tests.brokers.zerodha.rig import INFY, PRICE, Rig
from tests.emulators.core.faults import Fault

S, T = OrderState, OrderType


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, {"order_type": "MARKET", "market_protection": "-1"}),
        (
            {"order_type": T.SL_M, "trigger_price": Decimal(1510)},
            {"order_type": "SL-M", "market_protection": "-1", "trigger_price": "1510"},
        ),
        ({"order_type": T.LIMIT, "price": Decimal("1480.10")}, {"order_type": "LIMIT", "price": "1480.10"}),
    ],
)
def test_an_order_leaves_as_kite_wants_it(rig: Rig, changes, sent):
    request = rig.request(**changes)
    rig.connect().place(request)
    (fields,) = rig.sent()
    assert {name: fields[name] for name in sent} == sent
    assert ("market_protection" in fields) == ("market_protection" in sent)
    assert (fields["tag"], fields["variety"], fields["validity"]) == (request.client_id, "regular", "DAY")


def test_a_protected_market_order_that_rests_is_priced_anew_as_a_limit(rig: Rig):
    rig.connect()
    request = rig.request()
    rig.emulator.price(INFY, PRICE, bid=PRICE, ask=PRICE + 100)  # nothing to buy within the protection
    report = rig.place(request)
    rig.broker.modify(report.broker_order_id, request, quantity=None, price=PRICE + 101, trigger_price=None)
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))
    (change,) = rig.sent("modify")
    assert (change["order_type"], change["price"]) == ("LIMIT", str(PRICE + 101))


def test_fills_come_by_push_with_one_small_read(rig: Rig):
    rig.pushed_to()
    report = rig.place(rig.request())
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))
    reads = rig.emulator.requests(rig.emulated, "trades")
    assert {seen.path for seen in reads} == {f"/orders/{report.broker_order_id}/trades"}


def test_pushes_that_are_quicker_than_the_answer_find_their_order(rig: Rig):
    rig.emulator.fault(Fault.EARLY_UPDATES, account=rig.emulated)
    rig.emulator.fault(Fault.SLOW, account=rig.emulated, seconds=0.1)
    rig.pushed_to()
    request = rig.request()
    report = rig.place(request)
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))
    assert {r.client_id for r in rig.reports if r.broker_order_id == report.broker_order_id} == {request.client_id}


def test_without_pushes_fills_are_read(rig: Rig):
    rig.emulator.mute_updates(True)
    rig.connect()
    report = rig.place(rig.request())
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))


def test_an_order_shown_without_our_name_is_told_with_it_once_it_is_known(rig: Rig):
    rig.emulator.order_desk.drops_tags = True
    rig.pushed_to()
    request = rig.request()
    report = rig.place(request)
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))
    assert rig.reports[-1].client_id == request.client_id


def test_law_1_a_lost_market_order_is_found_although_its_name_is_gone(rig: Rig):
    rig.emulator.order_desk.drops_tags = True
    rig.connect()
    request = rig.request()
    rig.emulator.fault(Fault.BOOKED_THEN_RESET, account=rig.emulated)
    with pytest.raises(Unknown):
        rig.place(request)
    (found,) = rig.broker.order_book()
    assert (found.client_id, found.state, found.filled_quantity) == (request.client_id, S.FILLED, 10)
    assert len(rig.sent()) == 1


def test_a_lost_market_order_is_not_taken_for_one_of_two(rig: Rig):
    rig.emulator.order_desk.drops_tags = True
    rig.connect()
    request = rig.request()
    rig.emulator.by_hand(rig.emulated, INFY, Side.BUY, 10)
    rig.emulator.fault(Fault.BOOKED_THEN_RESET, account=rig.emulated)
    with pytest.raises(Unknown):
        rig.place(request)
    assert [row.client_id for row in rig.broker.order_book()] == [None, None]


def test_an_empty_book_on_a_day_with_orders_is_a_failure(rig: Rig):
    rig.connect()
    assert rig.broker.order_book() == []
    rig.place(rig.resting())
    assert len(rig.broker.order_book()) == 1
    rig.emulator.fault(Fault.EMPTY_ORDER_BOOK, account=rig.emulated, times=50)
    with pytest.raises(Retry, match="taken for a failed read"):
        rig.broker.order_book()


def test_an_order_that_the_broker_does_not_find_is_looked_for(rig: Rig):
    """An emulator that has lost its books says so of every order of before."""
    rig.connect()
    lost = rig.place(rig.resting())
    rig.emulator.do(lambda: rig.emulated.orders.clear())
    with pytest.raises(Unknown, match="its order book has to say"):
        rig.broker.cancel(lost.broker_order_id, rig.resting())


def test_an_address_that_is_not_registered_is_said_with_what_to_do(rig: Rig):
    rig.connect()
    rig.emulator.set_address(rig.emulated, ("203.0.113.9",))
    with pytest.raises(Refused, match=r"address \(127\.0\.0\.1\) is not registered .*developer console"):
        rig.place(rig.request())
    assert rig.emulator.book(rig.emulated) == []


def test_the_account_leaves_from_its_own_address(rig: Rig):
    bound = Rig(rig.emulator, source_address="127.0.0.42")
    rig.emulator.set_address(bound.emulated, ("127.0.0.42",))
    bound.pushed_to().place(bound.request())
    assert {seen.source for seen in rig.emulator.requests(bound.emulated)} == {"127.0.0.42"}
    bound.close()


def test_a_cancel_that_comes_too_late_is_refused_and_the_fill_is_told(rig: Rig):
    rig.connect()
    rig.emulator.mute_updates(True)
    request = rig.request()
    report = rig.place(request)
    with pytest.raises(Refused):
        rig.broker.cancel(report.broker_order_id, request)
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))


def test_a_change_too_many_says_what_is_left_to_do(rig: Rig):
    rig.connect()
    request = rig.resting()
    report = rig.place(request)

    def change(price: int) -> None:
        rig.broker.modify(report.broker_order_id, request, quantity=None, price=Decimal(price), trigger_price=None)

    for step in range(25):
        change(1400 + step)
    with pytest.raises(Refused, match="cancel it and place another"):
        change(1450)


def test_too_many_reads_wait_a_while(rig: Rig):
    rig.connect()
    rig.emulator.fault(Fault.RATE_LIMITED, account=rig.emulated, on="margins")
    with pytest.raises(Retry):
        rig.broker.balance()
    assert rig.broker._budget.wait("profile") > 0.5


def test_nothing_is_told_twice(rig: Rig):
    rig.pushed_to()
    rig.emulator.fault(Fault.REPEATED_UPDATES, account=rig.emulated, times=5)
    report = rig.place(rig.request())
    rig.wait(lambda: rig.told(report.broker_order_id, S.FILLED))
    for _ in range(3):
        rig.broker.order_book()
    last = rig.place(rig.resting())
    rig.broker.cancel(last.broker_order_id, rig.resting())
    rig.wait(lambda: rig.told(last.broker_order_id, S.CANCELLED))
    counts = Counter((r.broker_order_id, r.state, r.filled_quantity) for r in rig.reports)
    assert max(counts.values()) == 1


def test_before_it_is_connected_every_call_may_come_again(rig: Rig):
    for call in (rig.broker.balance, rig.broker.order_book, rig.broker.keep_alive, lambda: rig.place(rig.request())):
        with pytest.raises(Retry):
            call()


def test_it_shows_no_secret_and_leaves_no_thread(rig: Rig):
    rig.pushed_to()
    key = rig.broker.stream_key()
    assert key is not None
    assert set(key.values) == {"api_key", "access_token"}
    said = f"{rig.broker!r} {key!r} {rig.broker.traits!r}"
    assert not any(secret in said for secret in rig.emulated.canaries())
    rig.close()
    assert not [thread.name for thread in threading.enumerate() if "Z1" in re.split(r"\W", thread.name)]
