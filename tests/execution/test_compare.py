"""What was closed or opened elsewhere is noticed and told, and no exit sells what the broker does not have: law 7 against the broker's own books."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engines.core.model import HaltScope, OrderState, Side
from engines.execution.compare import DIFFERS, ELSEWHERE, compare_now
from engines.execution.leaving import pause_after
from engines.ports import OrderReport, Retry
from engines.system import Conflict
from tests.execution.house import INFY, USER, House, account, books_balance


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single read is believed however shortly ago something traded."""
    monkeypatch.setattr("engines.execution.compare.CALM", 0.0)


def bought(**more: object) -> House:
    house = House(account("A1", broker="wire"), **more)
    house.send("BUY", 10)
    return house


def look(house: House, times: int = 2) -> None:
    for _ in range(times):
        compare_now(house.system.roster.lane("A1"))
    house.system.position_watch.step()


def sold(house: House) -> list[Decimal]:
    return [request.quantity for request in house.books["A1"].placed if request.side is Side.SELL]


@pytest.mark.parametrize(("elsewhere", "exit_of"), [(-10, None), (-4, 6), (-13, None), (0, 10), (5, 10)])
def test_law_7_an_exit_is_never_more_than_the_broker_has(elsewhere: int, exit_of: int | None) -> None:
    with bought() as house:
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(elsewhere)
        look(house)
        (order,) = house.send("SELL", None, reduce_only=True)
        if exit_of is None:
            assert (order.state, sold(house)) == (OrderState.DENIED, [])
        else:
            assert (order.state, sold(house)) == (OrderState.FILLED, [Decimal(exit_of)])


def test_one_read_is_not_believed_two_are_and_a_person_is_told() -> None:
    with bought() as house:
        look(house)
        assert house.notifier.incidents() == []
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
        look(house, times=1)
        assert house.notifier.incidents() == []
        look(house, times=1)
        assert house.notifier.incidents() == [DIFFERS]
        look(house)
        assert house.notifier.incidents() == [DIFFERS]
        del house.books["A1"].elsewhere[INFY.symbol]
        look(house, times=1)
        assert house.system.incidents() == ()
        assert house.held() == 10, "our books are the fold of our fills, whatever the broker says"


def test_what_was_opened_elsewhere_is_told_and_left_alone() -> None:
    with bought() as house:
        house.books["A1"].elsewhere["NSE:SBIN"] = Decimal(-5)
        look(house)
        assert house.notifier.incidents() == [ELSEWHERE]
        house.send("SELL", 10)
        assert (house.held(), house.books["A1"].elsewhere["NSE:SBIN"]) == (0, Decimal(-5))


def test_a_read_that_fails_changes_nothing() -> None:
    with bought() as house:
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
        look(house)

        def fails() -> None:
            raise Retry("not now")

        house.wires["A1"].positions = fails
        look(house)
        assert house.system.roster.desk("A1").differences.keys() == {INFY.symbol}


def test_a_push_about_a_trade_that_is_not_ours_makes_it_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.execution.compare.HOLDING_EVERY", 3600.0)  # nothing but the push makes it look
    with bought() as house:
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
        by_hand = OrderReport(
            "HAND1", OrderState.FILLED, symbol=INFY.symbol, side=Side.SELL, quantity=Decimal(10), filled_quantity=Decimal(10)
        )
        house.wires["A1"].on_report(by_hand)
        house.until(lambda: DIFFERS in house.notifier.incidents())


def test_a_person_who_closes_what_is_gone_sells_nothing(calm: None) -> None:
    with bought() as house:
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
        (position,) = house.system.positions(["A1"])
        house.system.close_position(position.position.position_id, None)
        house.until(lambda: house.system.roster.lane("A1").idle)
        assert sold(house) == []


def test_an_emergency_stop_sells_nothing_that_is_gone_and_says_so(calm: None) -> None:
    with bought() as house:
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-10)
        halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        house.until(lambda: house.system.halt_report(halt.halt_id).accounts[0].state == "flat")
        (row,) = house.system.halt_report(halt.halt_id).accounts
        assert "closed elsewhere" in row.detail
        assert sold(house) == []


def test_a_stop_is_not_called_flat_while_the_broker_holds_what_tandem_did_not_make(calm: None) -> None:
    with bought() as house:
        house.books["A1"].elsewhere["NSE:SBIN"] = Decimal(-5)
        look(house)
        halt, _ = house.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER)
        house.until(lambda: house.held() == 0)
        (row,) = house.system.halt_report(halt.halt_id).accounts
        assert row.state == "working"
        assert "-5 NSE:SBIN" in row.detail
        assert (row.flattened, row.open_positions) == (1, 0)


def test_our_own_fills_move_a_known_difference_along() -> None:
    with bought() as house:
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-4)
        look(house)
        house.send("SELL", 3, reduce_only=True)
        difference = house.system.roster.desk("A1").differences[INFY.symbol]
        assert (difference.ours, difference.theirs) == (7, 3)
        house.send("SELL", None, reduce_only=True)
        assert sold(house) == [3, 3]


@pytest.mark.parametrize(("rounds", "pause"), [(1, 0.3), (10, 0.3), (11, 0.39), (20, 4.1), (30, 10.0), (500, 10.0)])
def test_what_is_refused_again_and_again_is_asked_ever_less_often(rounds: int, pause: float) -> None:
    assert pause_after(rounds) == pytest.approx(pause, abs=0.05)


def test_what_was_closed_elsewhere_is_booked_by_a_person_and_nothing_is_sent() -> None:
    with bought() as house:
        (view,) = house.system.positions(["A1"])
        with pytest.raises(Conflict, match="has all"):
            house.system.closed_elsewhere(view.position.position_id)
        house.books["A1"].elsewhere[INFY.symbol] = Decimal(-4)
        look(house)
        (view,) = house.system.positions(["A1"])
        assert view.at_broker == 6
        outcome = house.system.closed_elsewhere(view.position.position_id)
        assert [(order.state, order.quantity) for order in outcome.orders] == [(OrderState.FILLED, Decimal(4))]
        assert (house.held(), sold(house)) == (6, [])
        look(house)
        assert house.system.incidents() == ()
        books_balance(house)
        with house.restart() as later:
            assert later.held() == 6
