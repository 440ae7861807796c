"""One signal across accounts of every kind of broker, while one of them hangs, one is logged out and one refuses: laws 1, 2, 4, 5 and 8 over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from engines.core.model import HaltScope, OrderState, Role, Side
from tests.contract.live_house import LiveHouse, Seat
from tests.contract.venues import VENUES
from tests.emulators.core.faults import Fault
from tests.execution.house import books_balance


@pytest.fixture
def house() -> Iterator[LiveHouse]:
    with LiveHouse({venue.kind: (venue, 2) for venue in VENUES}) as house:
        yield house


def ours(house: LiveHouse, seat: Seat) -> list[OrderState]:
    return [order.state for order in house.house.journal.orders().values() if order.account_id == seat.account_id]


def test_one_signal_is_a_right_order_on_every_indian_account(house: LiveHouse) -> None:
    seats = [seat for seat in house.seats if seat.venue.symbol == "NSE:INFY"]
    outcome = house.submit(*seats, wait=30)
    assert {order.account_id for order in outcome.orders} == {seat.account_id for seat in seats}
    house.house.until(lambda: all(house.house.held(seat.account_id) == seat.venue.quantity for seat in seats))
    for seat in seats:
        (booked,) = seat.emulator.book(seat.emulated)
        assert (booked.filled, booked.client_id) == (
            seat.venue.quantity,
            next(o.client_id for o in outcome.orders if o.account_id == seat.account_id),
        )
    books_balance(house.house)


def test_law_5_one_hangs_one_is_logged_out_one_refuses_and_the_others_trade_at_once(house: LiveHouse) -> None:
    hangs, trades = house.seat("zerodha", 1), house.seat("zerodha", 2)
    out, refuses = house.seat("angelone", 1), house.seat("angelone", 2)
    hangs.emulator.fault(Fault.BOOKED_NO_ANSWER, account=hangs.emulated, seconds=600)
    out.emulator.revoke(out.emulated)
    refuses.emulator.set_address(refuses.emulated, ("127.9.9.9",))
    house.submit(hangs, trades, out, refuses)
    for kind in ("binance_spot", "binance_usdm"):
        house.submit(house.seat(kind, 1), house.seat(kind, 2))
    quick = [trades, *(house.seat(kind, n) for kind in ("binance_spot", "binance_usdm") for n in (1, 2))]
    house.house.until(lambda: all(house.house.held(seat.account_id) > 0 for seat in quick))
    house.house.until(lambda: ours(house, refuses)[0] in (OrderState.REJECTED, OrderState.DENIED))
    house.house.until(lambda: ours(house, out)[0] in (OrderState.REJECTED, OrderState.DENIED))
    desk = house.house.system.roster.desk(out.account_id)
    assert desk is not None
    assert desk.needs_login
    lane = house.house.system.roster.lane(hangs.account_id)
    assert lane is not None
    assert not lane.idle, "it hangs still"
    house.brokers[hangs.account_id].abort()
    house.house.until(lambda: lane.idle)
    house.house.until(lambda: house.house.held(hangs.account_id) == hangs.venue.quantity)  # found in the order book, not sent again
    assert len(hangs.emulator.requests(hangs.emulated, "place")) == 1


def test_law_1_and_2_a_lost_answer_is_settled_by_evidence_and_was_durable_before_its_first_byte(house: LiveHouse) -> None:
    for seat in house.seats:
        seat.emulator.fault(Fault.BOOKED_THEN_RESET, account=seat.emulated)
    durable: dict[str, bool] = {}
    for seat in house.seats:
        house.submit(seat)
        names = {order.client_id for order in house.house.journal.orders().values() if order.account_id == seat.account_id}
        durable[seat.account_id] = all(booked.client_id in names for booked in seat.emulator.book(seat.emulated))
    house.house.until(lambda: house.settled() and all(house.house.held(seat.account_id) > 0 for seat in house.seats))
    assert all(durable.values())
    for seat in house.seats:
        assert len(seat.emulator.book(seat.emulated)) == 1
        assert len(seat.emulator.requests(seat.emulated, "place")) == 1
        assert house.house.held(seat.account_id) == seat.emulator.position(seat.emulated, seat.venue.symbol)


def test_law_4_after_a_stop_is_acknowledged_no_entry_reaches_a_broker(house: LiveHouse) -> None:
    for venue in VENUES:
        house.submit(*(seat for seat in house.seats if seat.venue is venue))
    house.house.system.emergency_stop(HaltScope.SYSTEM, None, "enough", "U1", flatten=True)
    late: set[str] = set()
    for venue in VENUES:
        after = house.submit(*(seat for seat in house.seats if seat.venue is venue), wait=30)
        assert {order.reason for order in after.orders} == {"halted"}
        late |= {order.client_id for order in after.orders}
    house.house.until(
        lambda: (
            house.settled() and not any(seat.emulator.position(seat.emulated, seat.venue.symbol) >= seat.venue.lot for seat in house.seats)
        )
    )
    reached = {row.client_id for seat in house.seats for row in seat.emulator.book(seat.emulated)}
    asked = {
        str(value) for seat in house.seats for seen in seat.emulator.requests(seat.emulated, "place") for value in seen.fields.values()
    }
    assert not late & (reached | asked)


def test_law_8_an_exit_goes_to_the_account_that_holds_the_position(house: LiveHouse) -> None:
    first, second = house.seat("zerodha", 1), house.seat("angelone", 1)
    house.submit(first)
    house.submit(second, quantity=Decimal(4))
    house.house.until(lambda: house.house.held(first.account_id) and house.house.held(second.account_id))
    position = next(p for p in house.house.system.positions([second.account_id]) if p.position.quantity)
    house.house.system.close_position(position.position.position_id, None)
    house.house.until(lambda: house.house.held(second.account_id) == 0)
    assert [(row.side, row.filled) for row in second.emulator.book(second.emulated)][-1] == (Side.SELL, Decimal(4))
    assert len(first.emulator.book(first.emulated)) == 1


def test_a_stop_that_rests_at_the_broker_is_followed_until_it_fills(house: LiveHouse) -> None:
    """A protected market order comes back as a limit; when the market runs away from it, it is priced anew."""
    seat = house.seat("zerodha", 1)
    house.submit(seat)
    house.house.until(lambda: house.house.held(seat.account_id) > 0)
    seat.emulator.fault(Fault.PARTIAL_FILLS, account=seat.emulated)
    position = next(p for p in house.house.system.positions([seat.account_id]) if p.position.quantity)
    house.house.system.close_position(position.position.position_id, None)
    house.house.until(lambda: seat.emulator.requests(seat.emulated, "modify"))
    price = Decimal(seat.emulator.requests(seat.emulated, "modify")[0].fields["price"])
    assert price < seat.venue.price, "a sell goes down through the market"

    def moved() -> bool:
        seat.emulator.price(seat.venue.symbol, seat.venue.price)
        return house.house.held(seat.account_id) == 0

    house.house.until(moved)
    assert len([o for o in house.house.journal.orders().values() if o.role is Role.EXIT]) == 1
