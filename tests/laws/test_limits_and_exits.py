"""Laws 6 to 9: limits under concurrency, exits that are never blocked and never too large, each to its own account, stops that fire once."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.facts import PlanChanged
from engines.core.model import ExitSpec, Limits, OrderState, OrderType, PlanState, Role, TargetSpec, TrailingSpec
from engines.execution.aftermath import rest_of
from engines.execution.jobs import Settle
from engines.execution.leaving import Exit
from engines.ports import BrokerFill, OrderReport
from tests.execution.house import INFY, House, account, books_balance


def together(count: int, act) -> None:
    start = threading.Barrier(count)

    def run() -> None:
        start.wait()
        act()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Limits(max_trades_per_day=7), 7),
        (Limits(max_position_value=Decimal(500)), 5),
    ],
)
def test_law_6_limits_hold_under_concurrency(limits, most):
    with House(account("A1", limits=limits)) as house:
        together(20, lambda: house.system.submit(house.signal("BUY", 1), 5))
        orders = house.journal.orders().values()
        assert sum(order.state is OrderState.FILLED for order in orders) == most
        assert house.held() == most
        books_balance(house)


def test_law_6_funds_are_reserved_before_the_send():
    with House(account("A1", broker="wire", capital=Decimal(1000), leverage=Decimal(1)), script=lambda r: "open") as house:
        together(10, lambda: house.system.submit(house.signal("BUY", 3, order_type=OrderType.LIMIT, price=Decimal(100)), 5))
        placed = house.books["A1"].placed
        assert sum(request.quantity for request in placed) == 9
        reasons = [order.reason for order in house.journal.orders().values() if order.state is OrderState.DENIED]
        assert reasons == ["insufficient_funds"] * 7


def test_law_6_what_is_refused_releases_its_reservation():
    with House(account("A1", broker="wire", limits=Limits(max_trades_per_day=1)), script=lambda r: "refuse") as house:
        assert [o.state for o in house.send()] == [OrderState.REJECTED]
        house.script = lambda request: "fill"
        assert [o.state for o in house.send()] == [OrderState.FILLED]
        assert [o.reason for o in house.send()] == ["max_trades"]


def test_law_7_exits_are_never_blocked_by_entry_limits():
    with House(account("A1")) as house:
        house.send("BUY", 10)
        nothing = Limits(*[Decimal(0)] * 4, 0, 0, *[Decimal(0)] * 4)
        house.directory.rows[0] = replace(house.directory.rows[0], limits=nothing, auto_trade=False)
        house.system.runtime.refresh_now()
        assert [(o.role, o.state) for o in house.send("SELL", 10)] == [(Role.EXIT, OrderState.FILLED)]
        assert house.held() == 0


def test_law_7_exits_never_exceed_the_position_however_many_ask():
    with House(account("A1"), account("A2", broker="wire")) as house:
        house.send("BUY", 10)
        ids = [view.position.position_id for view in house.system.positions(["A1", "A2"])]
        from engines.system import Conflict

        def close() -> None:
            for position_id in ids:
                try:
                    house.system.close_position(position_id, None)
                except Conflict:
                    pass

        together(12, close)
        house.until(lambda: not any(order.live for order in house.journal.orders().values()))
        assert (house.held("A1"), house.held("A2")) == (0, 0)
        books_balance(house)


def test_law_7_a_quantity_above_what_is_held_is_capped():
    with House() as house:
        house.send("BUY", 10)
        (view,) = house.system.positions(["A1"])
        outcome = house.system.close_position(view.position.position_id, Decimal(99))
        assert [(o.quantity, o.state) for o in outcome.orders] == [(10, OrderState.FILLED)]


def test_law_8_an_exit_goes_to_the_account_that_holds_the_position():
    accounts = [account(f"A{n}", broker="wire") for n in range(1, 4)]
    with House(*accounts) as house:
        house.send("BUY", 10, account_ids=("A1", "A3"), exits=ExitSpec(stop_price=Decimal(95)))
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held("A1") == 0 and house.held("A3") == 0)
        sides = {key: [(r.side.value, r.reduce_only) for r in book.placed] for key, book in house.books.items()}
        assert sides == {"A1": [("BUY", False), ("SELL", True)], "A2": [], "A3": [("BUY", False), ("SELL", True)]}
        outcome = house.send("SELL", 5)  # a later signal to all three is an entry everywhere: nobody holds anything
        assert {(o.account_id, o.role) for o in outcome} == {(f"A{n}", Role.ENTRY) for n in range(1, 4)}


def test_law_9_a_stop_fires_at_most_once_whatever_ticks_come():
    with House() as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        for price in (94.0, 93.0, 94.0, 96.0, 90.0):
            house.feed.price(INFY.symbol, price)
        house.until(lambda: house.held() == 0)
        house.feed.price(INFY.symbol, 80.0)
        stops = [order for order in house.journal.orders().values() if order.role is Role.STOP]
        assert [(order.quantity, order.state) for order in stops] == [(10, OrderState.FILLED)]


def test_law_9_a_crossing_inside_a_batch_of_ticks_is_seen_although_the_newest_price_is_back():
    with House() as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        house.feed.batch([house.feed.tick(INFY.symbol, price) for price in (100.0, 94.0, 100.0)])
        house.until(lambda: house.held() == 0)


def test_law_9_stop_and_target_never_both_fill_more_than_the_position():
    spec = ExitSpec(
        stop_price=Decimal(95), targets=(TargetSpec(Decimal(50), price=Decimal(105)), TargetSpec(Decimal(50), price=Decimal(110)))
    )
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=spec)
        house.feed.price(INFY.symbol, 106.0)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        exits = [(o.role, o.filled_quantity) for o in house.journal.orders().values() if o.role is not Role.ENTRY]
        assert sorted(exits) == [(Role.STOP, 5), (Role.TARGET, 5)]
        assert not house.system.roster.desk("A1").plans


def test_law_9_a_resting_exit_is_cancelled_before_the_stop_leaves():
    with House() as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        house.send("SELL", 10, order_type=OrderType.LIMIT, price=Decimal(110))
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        by_role = {(o.role, o.order_type): o.state for o in house.journal.orders().values()}
        assert by_role[(Role.EXIT, OrderType.LIMIT)] is OrderState.CANCELLED
        assert by_role[(Role.STOP, OrderType.MARKET)] is OrderState.FILLED


def test_law_9_a_trailing_stop_only_tightens_through_the_whole_engine():
    spec = ExitSpec(stop_points=Decimal(5), trailing=TrailingSpec("step", Decimal(1), Decimal(1)))
    with House() as house:
        house.send("BUY", 10, exits=spec)
        stops = []
        for price in (101.0, 103.0, 102.0, 104.5, 100.5, 106.0, 101.5):
            house.feed.price(INFY.symbol, price)
            stops += [plan.stop for plan in house.system.roster.desk("A1").plans.values()]
        assert stops == sorted(stops)
        house.feed.price(INFY.symbol, 100.9)
        house.until(lambda: house.held() == 0)


def test_exit_plans_are_armed_again_after_a_restart():
    with House() as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        with house.restart() as later:
            assert later.held() == 10
            later.feed.price(INFY.symbol, 94.0)
            later.until(lambda: later.held() == 0)


def test_a_stop_that_the_broker_refuses_is_tried_again_and_told():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        answers = iter(["refuse", "fill"])
        house.script = lambda request: next(answers)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)
        assert "exit_failed" in house.notifier.incidents()


def close_without_answer(house: House, what: str, quantity: Decimal | None = None) -> None:
    """A person closes, and nobody can say what has become of it until the order book can be read again."""
    house.script = lambda request: what
    house.wires["A1"].book_fails = True
    desk = house.system.roster.desk("A1")
    (position,) = desk.open_positions()
    house.system._exit(desk, position.key, quantity, Role.EXIT)
    house.until(lambda: any(order.state is OrderState.UNKNOWN for order in house.journal.orders().values()))
    house.script = lambda request: "fill"


def answer(house: House) -> None:
    house.wires["A1"].book_fails = False
    house.system.roster.lane("A1").put(Settle())


def exits(house: House) -> list[tuple[Role, OrderState, Decimal]]:
    return [(o.role, o.state, o.quantity) for o in house.journal.orders().values() if o.role is not Role.ENTRY]


def waits(house: House) -> bool:
    """The lane has looked at everything that it was asked, and an exit of it looks again later."""
    lane = house.system.roster.lane("A1")
    return lane.idle and any(isinstance(job, Exit) for job in lane.box.waiting())


def test_law_9_a_stop_that_fires_while_a_close_has_no_answer_waits_for_it_and_leaves():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        close_without_answer(house, "lose_before")
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: waits(house))
        assert exits(house) == [(Role.EXIT, OrderState.UNKNOWN, 10)]
        answer(house)
        house.until(lambda: house.held() == 0)
        assert exits(house) == [(Role.EXIT, OrderState.NOT_PLACED, 10), (Role.STOP, OrderState.FILLED, 10)]
        assert "exit_failed" in house.notifier.incidents()


def test_law_9_what_a_close_without_answer_leaves_behind_goes_after_the_stop():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        close_without_answer(house, "lose_before", Decimal(4))
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 4)
        answer(house)
        house.until(lambda: house.held() == 0)
        assert exits(house)[1:] == [(Role.STOP, OrderState.FILLED, 6), (Role.STOP, OrderState.FILLED, 4)]


def test_law_9_a_stop_that_has_waited_for_a_close_leaves_the_next_position_alone():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        close_without_answer(house, "lose_after")
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: waits(house))
        answer(house)
        house.until(lambda: house.held() == 0)
        house.send("BUY", 10)
        house.until(lambda: house.system.roster.lane("A1").idle and not waits(house))
        assert (house.held(), exits(house)) == (10, [(Role.EXIT, OrderState.FILLED, 10)])


def test_law_9_a_target_waits_for_a_close_without_answer_and_takes_its_share_at_once():
    spec = ExitSpec(stop_price=Decimal(95), targets=(TargetSpec(Decimal(50), price=Decimal(105)),))
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=spec)
        close_without_answer(house, "lose_before", Decimal(8))
        house.feed.price(INFY.symbol, 106.0)
        house.until(lambda: waits(house))
        answer(house)
        house.until(lambda: house.held() == 5)
        assert exits(house)[1:] == [(Role.TARGET, OrderState.FILLED, 5)]
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)


def test_law_9_a_plan_that_cannot_be_stepped_keeps_no_other_from_its_stop_and_fires_with_the_next_price(monkeypatch):
    with House(account("A1"), account("A2"), account("A3")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        desk = house.system.roster.desk("A1")
        faults = iter([RuntimeError("once")])
        replace_plan = desk.replace_plan

        def odd(*args, **kwargs) -> None:
            for fault in faults:
                raise fault
            replace_plan(*args, **kwargs)

        monkeypatch.setattr(desk, "replace_plan", odd)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: (house.held("A2"), house.held("A3")) == (0, 0))
        assert (house.held("A1"), house.notifier.incidents()) == (10, ["tick_stage_failed"])
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held("A1") == 0)


def test_law_9_a_stop_that_is_met_while_its_instrument_is_not_known_fires_with_the_next_price(monkeypatch):
    with House() as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        guard = house.system.guard
        with monkeypatch.context() as patch:
            patch.setattr(guard, "_exact", lambda tick: None)
            house.feed.price(INFY.symbol, 94.0)
        assert house.held() == 10
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)


def refuse_the_stop(house: House) -> None:
    house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
    house.script = lambda request: "refuse"
    house.feed.price(INFY.symbol, 94.0)
    house.until(lambda: any(order.state is OrderState.REJECTED for order in house.journal.orders().values()))


def test_a_stop_that_the_broker_refused_is_tried_again_after_a_restart():
    with House(account("A1", broker="wire")) as house:
        refuse_the_stop(house)
        house.script = lambda request: "fill"
        with house.restart() as later:
            later.until(lambda: later.held() == 0)
            assert exits(later)[-1] == (Role.STOP, OrderState.FILLED, 10)
            assert [request.side.value for request in later.books["A1"].placed] == ["BUY", "SELL"]
            assert "exit_failed" in later.notifier.incidents()
            with later.restart() as last:
                assert not last.system.roster.desk("A1").plans


def test_a_stop_that_is_tried_again_after_a_restart_takes_a_resting_exit_back():
    with House(account("A1", broker="wire")) as house:
        refuse_the_stop(house)
        house.script = lambda request: "open" if request.order_type is OrderType.LIMIT else "fill"
        house.system.roster.lane("A1").box.forget(lambda job: isinstance(job, Exit))
        house.send("SELL", 10, order_type=OrderType.LIMIT, price=Decimal(110))
        with house.restart() as later:
            later.until(lambda: later.held() == 0 and later.system.roster.lane("A1").idle)
            assert exits(later)[1:] == [(Role.EXIT, OrderState.CANCELLED, 10), (Role.STOP, OrderState.FILLED, 10)]


def test_a_stop_whose_exit_was_lost_on_its_way_is_asked_for_again():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        desk.ready = False
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: waits(house))
        lane.box.forget(lambda job: isinstance(job, Exit))
        desk.ready = True
        house.until(lambda: house.held() == 0)
        assert exits(house) == [(Role.STOP, OrderState.FILLED, 10)]


def test_a_stop_that_waits_to_be_tried_again_is_asked_for_by_nobody_else(monkeypatch):
    with House(account("A1", broker="wire")) as house:
        refuse_the_stop(house)
        house.until(lambda: waits(house))
        monkeypatch.setattr("engines.execution.aftermath.LEFT_FOR", 0.0)
        for _ in range(10):
            house.system.aftermath._looked_at = 0.0
            house.system.aftermath.step()
        assert sum(isinstance(job, Exit) for job in house.system.roster.lane("A1").box.waiting()) == 1


def test_a_stop_that_fired_long_ago_and_was_never_seen_to_end_leaves_the_next_position_alone():
    with House() as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        (plan,) = house.system.roster.desk("A1").plans.values()
        house.send("SELL", 10)
        house.send("BUY", 10)
        house.journal.append(PlanChanged(replace(plan, state=PlanState.STOPPED, updated_at=plan.updated_at - 60)))
        with house.restart() as later:
            assert (later.held(), later.system.roster.desk("A1").plans) == (10, {})


def test_what_was_bought_after_the_stop_had_fired_does_not_leave_with_it():
    with House(account("A1", broker="wire")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(95)))
        desk = house.system.roster.desk("A1")
        house.script = lambda request: "open" if request.reduce_only else "fill"
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: len(house.books["A1"].placed) == 2)
        house.send("BUY", 5)
        (plan,) = desk.plans.values()
        assert (house.held(), plan.state, rest_of(desk, plan)) == (15, PlanState.STOPPED, 0)
        stop = next(order for order in house.journal.orders().values() if order.role is Role.STOP)
        traded = BrokerFill("T1", Decimal(10), Decimal(94), house.clock.now())
        desk.on_report(OrderReport(stop.broker_order_id, OrderState.FILLED, stop.client_id, filled_quantity=Decimal(10), fills=(traded,)))
        assert (house.held(), desk.plans) == (5, {}), "nobody asks for more of it"
