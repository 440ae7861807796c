"""Exit plans with a deadline in the whole engine: by the clock, after a refusal, after a restart, and while the market is shut."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from engines.core.model import ExitSpec, OrderState, OrderType, Role, TargetSpec
from engines.core.sessions import Calendar
from engines.ports import OrderReport, SystemClock
from tests.execution.house import INFY, House, account, books_balance

A_MINUTE = ExitSpec(stop_points=Decimal(5), max_minutes=1)
SHUT = Calendar(hours={"NSE": (("2000-01-01", (0, 0)),)}, holidays=frozenset(), special={}, years=frozenset())


class ShiftedClock(SystemClock):
    """The machine's clock, put forward by hand."""

    shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift


def exits_of(house: House) -> list[tuple[Role, OrderState, Decimal]]:
    return [(order.role, order.state, order.quantity) for order in house.journal.orders().values() if order.role is not Role.ENTRY]


def test_a_position_leaves_at_its_deadline_without_any_price_and_takes_resting_entries_back() -> None:
    clock = ShiftedClock()
    with House(account("A1"), clock=clock) as house:
        house.send("BUY", 10, exits=A_MINUTE)
        (resting,) = house.send("BUY", 5, order_type=OrderType.LIMIT, price=Decimal(90))
        clock.shift = 30.0  # and the machine may stand still for as long
        house.system.guard.on_clock(clock.now())
        assert house.held() == 10
        clock.shift = 61.0
        house.until(lambda: house.held() == 0)
        house.until(lambda: house.journal.orders()[resting.order_id].state is OrderState.CANCELLED)
        assert exits_of(house) == [(Role.SQUARE_OFF, OrderState.FILLED, Decimal(10))]
        books_balance(house)


def test_what_the_targets_have_left_leaves_at_the_deadline_and_nothing_fires_after_it() -> None:
    clock, spec = ShiftedClock(), replace(A_MINUTE, targets=(TargetSpec(Decimal(30), points=Decimal(4), then_points=Decimal(0)),))
    with House(account("A1"), clock=clock) as house:
        house.send("BUY", 10, exits=spec)
        house.feed.price(INFY.symbol, 104.0)
        house.until(lambda: house.held() == 7)
        desk = house.system.roster.desk("A1")
        assert desk is not None
        (plan,) = desk.plans.values()
        assert plan.stop == Decimal("100.00")
        clock.shift = 61.0
        house.until(lambda: house.held() == 0)
        house.feed.price(INFY.symbol, 90.0)
        assert [row[::2] for row in exits_of(house)] == [(Role.TARGET, 3), (Role.SQUARE_OFF, 7)]


def test_while_the_market_is_shut_a_deadline_waits_for_the_next_price() -> None:
    clock = ShiftedClock()
    with House(account("A1"), clock=clock, calendar=SHUT) as house:
        house.send("BUY", 10, exits=A_MINUTE)
        clock.shift = 61.0
        house.system.guard.on_clock(clock.now())
        assert house.system.guard.fired == 0
        house.feed.price(INFY.symbol, 99.0)
        house.until(lambda: house.held() == 0)
        assert [role for role, _, _ in exits_of(house)] == [Role.SQUARE_OFF]


def test_a_refused_exit_is_tried_again_even_by_the_next_run() -> None:
    clock = ShiftedClock()
    with House(account("A1", broker="wire"), clock=clock, absent_after=60.0) as house:
        house.send("BUY", 10, exits=A_MINUTE)
        house.script = lambda request: "lose_before"
        clock.shift = 61.0
        house.until(lambda: any(state is OrderState.UNKNOWN for _, state, _ in exits_of(house)))
        house.script, house.absent_after = (lambda request: "fill"), 0.0
        with house.restart() as later:
            later.until(lambda: later.held() == 0)
            assert [(role, state) for role, state, _ in exits_of(later)] == [
                (Role.SQUARE_OFF, OrderState.NOT_PLACED),
                (Role.SQUARE_OFF, OrderState.FILLED),
            ]
            assert all(order.plan_id for order in later.journal.orders().values() if order.role is Role.SQUARE_OFF)


def test_a_deadline_that_passed_while_nobody_watched_is_kept_by_the_next_run() -> None:
    clock = ShiftedClock()
    with House(account("A1"), clock=clock) as house:
        house.send("BUY", 10, exits=A_MINUTE)
        house.system.stop()
        clock.shift = 3600.0
        with house.restart() as later:
            later.until(lambda: later.held() == 0)
            assert exits_of(later) == [(Role.SQUARE_OFF, OrderState.FILLED, Decimal(10))]


def test_what_fills_after_the_deadline_has_taken_the_rest_out_leaves_at_once() -> None:
    clock = ShiftedClock()
    with House(account("A1", broker="wire"), clock=clock, script=lambda request: "fill" if request.reduce_only else "open") as house:
        (entry,) = house.send("BUY", 10, exits=A_MINUTE, order_type=OrderType.LIMIT, price=Decimal(100))
        house.until(lambda: entry.order_id in house.books["A1"].reports)
        report = house.books["A1"].reports[entry.order_id]
        house.wires["A1"].on_report(filled(report, 4))
        house.until(lambda: house.held() == 4)
        clock.shift = 61.0
        house.until(lambda: house.held() == 0)
        house.wires["A1"].on_report(filled(report, 10))  # the rest was quicker than our cancel
        house.until(lambda: [row[::2] for row in exits_of(house)] == [(Role.SQUARE_OFF, 4), (Role.SQUARE_OFF, 6)])
        house.until(lambda: house.held() == 0)
        books_balance(house)


def filled(report: OrderReport, quantity: int) -> OrderReport:
    state = OrderState.FILLED if quantity == report.quantity else OrderState.PARTLY_FILLED
    return replace(report, state=state, filled_quantity=Decimal(quantity), average_price=Decimal(100))
