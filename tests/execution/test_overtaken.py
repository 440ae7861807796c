"""What was planned and has not left yet: switched off it stays here, overtaken by an exit it is taken back, and what was on the wire is closed as it comes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from engines.core.model import (
    AccountMapping,
    Denial,
    HaltScope,
    Order,
    OrderState,
    OrderType,
    Role,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    Timeframe,
)
from engines.execution.jobs import Cancel, GoBefore, Settle
from engines.execution.work import Job
from engines.ports import BrokerFill, OrderReport, OrderRequest, Refused
from tests.execution.house import INFY, USER, House, WireBroker, account, books_balance

STRATEGY = StrategyConfig("S1", USER, "Cross", "ema_cross", Timeframe.M1, (INFY.symbol,), active=True)
MAPPED = AccountMapping("M1", "A1", "S1", Decimal(50), Sizing(SizingMode.FIXED_QUANTITY, Decimal(3)))


class Slow:
    """A broker that answers its first order only when the test says so: whatever comes meanwhile waits in the lane."""

    def __init__(self, first: str = "fill") -> None:
        self.first = first
        self.asked = threading.Event()
        self.answer = threading.Event()

    def __call__(self, request: OrderRequest) -> str:
        if self.asked.is_set():
            return "fill"
        self.asked.set()
        self.answer.wait(30)
        return self.first


def house(slow: Slow, **changes: object) -> House:
    return House(account("A1", broker="wire", **changes), strategies=[STRATEGY], mappings=[MAPPED], script=slow)


def ask(house: House, side: str = "BUY", quantity: int | None = 3, **changes: object) -> tuple[Order, ...]:
    given = {"source": Source.WEBHOOK, "strategy_id": "S1", "account_ids": (), "wait": 0.0} | changes
    return house.send(side, quantity, **given)


def states(house: House) -> list[tuple[str, str | None]]:
    return [(order.state.value, order.reason) for order in house.journal.orders().values()]


def put(house: House, **changes: object) -> None:
    house.directory.rows[0] = replace(house.directory.rows[0], **changes)  # type: ignore[arg-type]


def unmap(house: House) -> None:
    house.directory.mapping_rows[0] = replace(MAPPED, enabled=False)


def rest(house: House) -> None:
    house.directory.strategy_rows[0] = replace(STRATEGY, active=False)


OFF: dict[str, tuple[Callable[[House], None], Denial]] = {
    "auto-trade": (lambda house: put(house, auto_trade=False), Denial.AUTO_TRADE_OFF),
    "dry run": (lambda house: put(house, dry_run=True), Denial.DRY_RUN),
    "the account": (lambda house: put(house, enabled=False), Denial.NOT_CONNECTED),
    "the mapping": (unmap, Denial.AUTO_TRADE_OFF),
    "the strategy": (rest, Denial.AUTO_TRADE_OFF),
}


@pytest.mark.parametrize("what", OFF)
def test_no_entry_that_waits_in_the_lane_leaves_once_it_is_switched_off(what: str) -> None:
    slow = Slow()
    with house(slow) as h:
        ask(h)
        slow.asked.wait(30)
        for _ in range(4):
            ask(h, source=Source.STRATEGY)
        switch, denial = OFF[what]
        switch(h)
        h.system.runtime.refresh_now()
        slow.answer.set()
        h.until(lambda: not any(order.live for order in h.journal.orders().values()))
        assert len(h.books["A1"].placed) <= 1, "only what was on its way before the switch"
        assert states(h).count(("denied", denial.value)) >= 4


def test_what_a_person_sends_by_hand_to_an_account_needs_no_switch() -> None:
    slow = Slow()
    with house(slow, auto_trade=False) as h:
        h.send("BUY", 1, wait=0.0)
        slow.asked.wait(30)
        h.send("BUY", 2, wait=0.0)
        slow.answer.set()
        h.until(lambda: h.held() == 3)


def test_an_exit_takes_back_what_waits_behind_it_and_closes_what_was_on_the_wire() -> None:
    slow = Slow()
    with house(slow) as h:
        first = ask(h)[0]
        slow.asked.wait(30)
        waiting = [ask(h)[0].order_id for _ in range(4)]
        ask(h, "SELL", None, reduce_only=True)
        slow.answer.set()
        h.until(lambda: not any(order.live for order in h.journal.orders().values()))
        h.until(lambda: h.held() == 0 and len(h.books["A1"].placed) == 2)
        orders = h.journal.orders()
        assert orders[first.order_id].state is OrderState.FILLED
        assert {orders[order_id].state for order_id in waiting} == {OrderState.CANCELLED}
        assert [(request.side.value, request.quantity) for request in h.books["A1"].placed] == [("BUY", 3), ("SELL", 3)]
        books_balance(h)


def test_an_entry_whose_answer_was_lost_is_closed_when_it_turns_up() -> None:
    slow = Slow("lose_after")
    with house(slow) as h:
        ask(h)
        slow.asked.wait(30)
        ask(h, "SELL", None, reduce_only=True)
        slow.answer.set()
        h.until(lambda: len(h.books["A1"].placed) == 2)
        h.until(lambda: h.held() == 0 and not any(order.live for order in h.journal.orders().values()))
        assert [(request.side.value, request.quantity) for request in h.books["A1"].placed] == [("BUY", 3), ("SELL", 3)]


def test_an_exit_that_only_trims_leaves_what_is_under_way() -> None:
    slow = Slow()
    with house(slow) as h:
        slow.asked.set()
        h.send("BUY", 10, source=Source.WEBHOOK, strategy_id="S1")
        slow.asked.clear()
        ask(h)
        slow.asked.wait(30)
        ask(h)
        ask(h, "SELL", 2, reduce_only=True)
        slow.answer.set()
        h.until(lambda: h.held() == 14 and not any(order.live for order in h.journal.orders().values()))


def test_a_limit_order_that_rests_was_meant_to_wait() -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED], script=lambda _: "open") as h:
        resting = ask(h, order_type=OrderType.LIMIT, price=Decimal(90), wait=30.0)[0]
        ask(h, "SELL", None, reduce_only=True, wait=30.0)
        assert h.journal.orders()[resting.order_id].state is OrderState.OPEN


def test_a_position_that_has_turned_round_since_is_left_alone() -> None:
    """The exit was of the long side; what was sold short afterwards is nobody's leftover."""
    slow = Slow()
    with house(slow) as h:
        ask(h)
        slow.asked.wait(30)
        ask(h, "SELL", None, reduce_only=True)
        ask(h, "SELL", 5)
        slow.answer.set()
        h.until(lambda: len(h.books["A1"].placed) >= 3 and not any(order.live for order in h.journal.orders().values()))
        h.until(lambda: h.held() in (-5, -2))
        assert sum(request.side.sign * request.quantity for request in h.books["A1"].placed) == h.held()
        assert h.held() == -5


def test_a_mapping_that_is_off_still_hears_the_exit_of_what_was_on_the_wire() -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        wire = h.wires["A1"]
        wire.may_write.clear()
        ask(h)
        assert wire.writing.wait(30)
        unmap(h)
        h.system.runtime.refresh_now()
        ask(h, "SELL", None, reduce_only=True)
        wire.may_write.set()
        h.until(lambda: len(h.books["A1"].placed) == 2)
        h.until(lambda: h.held() == 0 and not any(order.live for order in h.journal.orders().values()))


def test_however_often_an_order_without_an_answer_is_asked_about_one_goes_on_asking() -> None:
    """A stop asks at each of its rounds; each asker that stayed would bury the broker in questions."""
    with House(account("A1", broker="wire"), script=lambda _: "lose_before", absent_after=1000.0) as h:
        (order,) = h.send("BUY", 3, wait=0.0)
        lane = h.system.roster.lane("A1")
        assert lane is not None
        h.until(lambda: h.journal.orders()[order.order_id].state is OrderState.UNKNOWN)
        asked = [Cancel(order.order_id) for _ in range(30)]
        for one in asked:
            lane.put(one)
        for one in asked:
            assert one.done.wait(30)
        h.until(lambda: lane.idle and lane.box.askers >= 30)
        h.until(lambda: sum(isinstance(job, Settle) for job in lane.box.waiting()) <= 1)
        assert h.journal.orders()[order.order_id].state is OrderState.UNKNOWN


@pytest.mark.parametrize("quantity", [None, 3])
def test_an_entry_that_an_exit_has_overtaken_is_closed_when_it_turns_up_after_a_restart(quantity: int | None) -> None:
    slow = Slow("lose_after")
    slow.answer.set()
    with house(slow) as h:
        h.wires["A1"].book_fails = True
        (entry,) = ask(h)
        h.until(lambda: h.journal.orders()[entry.order_id].state is OrderState.UNKNOWN)
        ask(h, "SELL", quantity, reduce_only=True, source=Source.STRATEGY)
        with h.restart() as later:
            later.until(lambda: len(later.books["A1"].placed) == 2 and later.held() == 0)
            assert [(request.side.value, request.quantity) for request in later.books["A1"].placed] == [("BUY", 3), ("SELL", 3)]
            books_balance(later)


def test_an_entry_of_an_earlier_run_that_may_have_left_is_looked_for_and_not_called_taken_back() -> None:
    with house(Slow()) as h:
        h.system._on_needs_login(h.system.roster.desk("A1"), "the session is over")
        (out,) = ask(h)
        desk = h.system.roster.desk("A1")
        desk.restore(
            orders=[replace(out, state=OrderState.PLANNED)], specs={}, opening=(), fills=(), booked=(), plans=(), day=None, cash=Decimal(0)
        )
        job = Cancel(out.order_id)
        h.system.roster.lane("A1").put(job)
        assert job.done.wait(30)
        assert (desk.orders[out.order_id].state, bool(job.error)) == (OrderState.PLANNED, True)


def resting(h: House, quantity: int) -> Order:
    """A person's own exit that waits for its price, of a position of three."""
    ask(h, wait=30.0)
    h.script = lambda request: "open" if request.order_type is OrderType.LIMIT else "fill"
    return h.send("SELL", quantity, strategy_id="S1", reduce_only=True, order_type=OrderType.LIMIT, price=Decimal(110))[0]


def sold(h: House) -> list[tuple[OrderType, Decimal]]:
    return [(request.order_type, request.quantity) for request in h.books["A1"].placed if request.reduce_only]


@pytest.mark.parametrize(("rests", "closes", "leaves"), [(3, None, [3]), (2, None, [1, 2]), (3, 2, [2]), (1, 2, [2])])
@pytest.mark.parametrize("halted", [False, True])
@pytest.mark.parametrize("source", [Source.STRATEGY, Source.WEBHOOK, Source.MANUAL])
def test_a_close_at_the_market_goes_before_an_exit_that_rests(
    rests: int, closes: int | None, leaves: list[int], source: Source, halted: bool
) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit = resting(h, rests)
        if halted:
            h.system.emergency_stop(HaltScope.SYSTEM, None, "drill", USER, flatten=False)
        asked = ask(h, "SELL", closes, reduce_only=True, source=source, account_ids=("A1",))
        assert sorted(order.quantity for order in asked) == leaves
        h.until(lambda: h.held() == 3 - (closes or 3))
        h.until(lambda: {h.journal.orders()[order.order_id].state for order in asked} == {OrderState.FILLED})
        assert sold(h) == [(OrderType.LIMIT, rests), *((OrderType.MARKET, quantity) for quantity in leaves)]
        assert h.journal.orders()[limit.order_id].state is (OrderState.OPEN if (rests, closes) == (1, 2) else OrderState.CANCELLED)
        assert "exit_failed" not in h.notifier.incidents()
        books_balance(h)


@pytest.mark.parametrize(
    ("terms", "held", "told"), [({}, 0, []), ({"order_type": OrderType.LIMIT, "price": Decimal(105)}, 3, ["exit_failed"])]
)
def test_a_mapping_that_is_off_hears_the_close_of_what_an_exit_that_rests_holds(
    terms: dict[str, object], held: int, told: list[str]
) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        resting(h, 3)
        unmap(h)
        h.system.runtime.refresh_now()
        ask(h, "SELL", None, reduce_only=True, source=Source.STRATEGY, **terms)
        h.until(lambda: (h.held(), h.notifier.incidents()) == (held, told))


def test_a_close_that_goes_before_what_rests_leaves_its_own_order_at_the_market_alone() -> None:
    """At brokers an order at the market is open for a moment before it fills, and the resting one may take its time to be cancelled."""
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit = resting(h, 2)
        h.script = lambda request: "open"
        wire, cancelled = h.wires["A1"], []

        def late(broker_order_id: str, request: OrderRequest) -> OrderReport | None:
            cancelled.append(request.client_id)
            return WireBroker.cancel(wire, broker_order_id, request) if len(cancelled) > 3 else None

        wire.cancel = late  # type: ignore[method-assign]
        ask(h, "SELL", None, reduce_only=True, source=Source.STRATEGY)
        h.until(lambda: len(h.books["A1"].placed) == 4)
        assert set(cancelled) == {limit.order_id}
        assert sold(h)[1:] == [(OrderType.MARKET, 1), (OrderType.MARKET, 2)]


def test_a_resting_exit_that_fills_while_it_is_taken_back_has_closed_the_position() -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit = resting(h, 3)
        wire = h.wires["A1"]

        def filled(broker_order_id: str, request: OrderRequest) -> OrderReport:
            h.books["A1"].reports[request.client_id] = report = wire._report(request, "fill")
            return report

        wire.cancel = filled  # type: ignore[method-assign]
        ask(h, "SELL", None, reduce_only=True, source=Source.STRATEGY)
        h.until(lambda: h.journal.orders()[limit.order_id].state is OrderState.FILLED)
        h.until(lambda: h.system.roster.lane("A1").idle and not h.system.roster.lane("A1").box.waiting())
        assert (h.held(), sold(h)) == (0, [(OrderType.LIMIT, 3)])


def test_a_close_that_cannot_take_back_what_rests_goes_on_trying_and_a_person_is_told(monkeypatch) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        resting(h, 3)
        lane, wire, back = h.system.roster.lane("A1"), h.wires["A1"], []
        later = lane.put_later
        monkeypatch.setattr(lane, "put_later", lambda job, seconds: later(job, 0.0))

        def no(broker_order_id: str, request: OrderRequest) -> OrderReport | None:
            if "exit_failed" not in h.notifier.incidents():
                raise Refused("not now")
            back.append(request)
            return WireBroker.cancel(wire, broker_order_id, request)

        wire.cancel = no  # type: ignore[method-assign]
        ask(h, "SELL", None, reduce_only=True, source=Source.STRATEGY)
        h.until(lambda: h.held() == 0)
        assert (len(back), sold(h)) == (1, [(OrderType.LIMIT, 3), (OrderType.MARKET, 3)])


def test_a_close_at_a_price_leaves_what_rests_and_is_told_where_no_person_has_asked_for_it() -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit = resting(h, 3)
        for source, told in ((Source.MANUAL, []), (Source.STRATEGY, ["exit_failed"])):
            ask(h, "SELL", None, reduce_only=True, source=source, order_type=OrderType.LIMIT, price=Decimal(105), account_ids=("A1",))
            assert (h.held(), h.notifier.incidents()) == (3, told)
        assert h.journal.orders()[limit.order_id].state is OrderState.OPEN


def held_up(h: House, monkeypatch: pytest.MonkeyPatch) -> list[OrderRequest]:
    """The broker has no answer yet to being asked to take an order back."""
    asked: list[OrderRequest] = []
    monkeypatch.setattr("engines.execution.jobs.TOLD_AFTER", math.inf)  # however long the test takes
    monkeypatch.setattr(h.wires["A1"], "cancel", lambda broker_order_id, request: asked.append(request))
    return asked


def says(h: House, order: Order, state: OrderState, filled: int = 0) -> None:
    """The broker tells what has become of an order that rested."""
    report = h.books["A1"].reports[order.client_id]
    fills = (BrokerFill("F1", Decimal(filled), Decimal(110), h.clock.now()),) if filled else ()
    h.books["A1"].reports[order.client_id] = report = replace(report, state=state, filled_quantity=Decimal(filled), fills=fills)
    h.wires["A1"].on_report(report)


@pytest.mark.parametrize(
    ("filled", "state", "becomes", "leaves"),
    [
        (0, OrderState.CANCELLED, OrderState.FILLED, [3]),
        (2, OrderState.CANCELLED, OrderState.CANCELLED, [1]),
        (3, OrderState.FILLED, OrderState.CANCELLED, []),
    ],
)
def test_law_7_a_close_that_waits_for_what_rests_takes_out_what_is_left_of_it(
    filled: int, state: OrderState, becomes: OrderState, leaves: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit, lane = resting(h, 3), h.system.roster.lane("A1")
        asked = held_up(h, monkeypatch)
        (close,) = ask(h, "SELL", None, reduce_only=True, source=Source.MANUAL, account_ids=("A1",))
        h.until(lambda: asked)
        assert (h.journal.orders()[close.order_id].state, sold(h)[1:]) == (OrderState.PLANNED, [])
        says(h, limit, state, filled)
        h.until(lambda: h.held() == 0 and lane.idle and not lane.box.waiting())
        assert h.journal.orders()[close.order_id].state is becomes
        assert sold(h)[1:] == [(OrderType.MARKET, quantity) for quantity in leaves]
        assert h.notifier.incidents() == []
        books_balance(h)


def test_a_close_that_waits_for_what_rests_leaves_the_next_position_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit, lane = resting(h, 3), h.system.roster.lane("A1")
        asked = held_up(h, monkeypatch)
        kept: list[Job] = []
        monkeypatch.setattr(lane, "put_later", lambda job, pause: kept.append(job))
        (close,) = ask(h, "SELL", None, reduce_only=True, source=Source.MANUAL, account_ids=("A1",))
        h.until(lambda: asked and kept)
        says(h, limit, OrderState.FILLED, 3)
        ask(h, wait=30.0)
        monkeypatch.undo()
        lane.put(next(job for job in kept if isinstance(job, GoBefore)))
        h.until(lambda: h.journal.orders()[close.order_id].state is OrderState.CANCELLED)
        assert (h.held(), sold(h)[1:]) == (3, [])


def test_a_second_close_asks_for_nothing_that_the_first_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit = resting(h, 3)
        asked = held_up(h, monkeypatch)
        for state in (OrderState.PLANNED, OrderState.DENIED):
            (close,) = ask(h, "SELL", None, reduce_only=True, source=Source.STRATEGY)
            assert close.state is state
        h.until(lambda: asked)
        says(h, limit, OrderState.CANCELLED)
        h.until(lambda: h.held() == 0)
        assert sold(h)[1:] == [(OrderType.MARKET, 3)]


def test_what_leaves_without_waiting_is_not_outgrown_by_what_waits_for_an_exit_that_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit, tries = resting(h, 2), iter(["retry", "retry"])
        asked = held_up(h, monkeypatch)
        h.script = lambda request: next(tries, "fill")
        ask(h, "SELL", None, reduce_only=True, source=Source.STRATEGY)
        h.until(lambda: asked and h.held() == 2)
        says(h, limit, OrderState.CANCELLED)
        h.until(lambda: h.held() == 0)
        assert (sold(h)[1:], h.notifier.incidents()) == ([(OrderType.MARKET, 1), (OrderType.MARKET, 2)], [])


def test_a_close_that_waits_for_what_rests_can_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit, lane = resting(h, 3), h.system.roster.lane("A1")
        asked = held_up(h, monkeypatch)
        (close,) = ask(h, "SELL", None, reduce_only=True, source=Source.MANUAL, account_ids=("A1",))
        h.until(lambda: asked)
        h.system.cancel_order(close.order_id)
        h.until(lambda: lane.idle and not lane.box.waiting())
        states = {h.journal.orders()[order.order_id].state for order in (limit, close)}
        assert (h.held(), states, sold(h)[1:]) == (3, {OrderState.OPEN, OrderState.CANCELLED}, [])


def closes(h: House) -> Order:
    """A person closes the position by its button; the order is on record."""
    desk = h.system.roster.desk("A1")
    (position,) = desk.open_positions()
    tracker = h.system._exit(desk, position.key, None, Role.EXIT)
    assert tracker.planned.wait(30)
    return tracker.outcome().orders[-1]


@pytest.mark.parametrize(("rests", "leaves"), [(3, [3]), (2, [1, 2])])
def test_a_position_that_a_person_closes_by_its_button_goes_before_an_exit_that_rests(rests: int, leaves: list[int]) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        resting(h, rests)
        closes(h)
        h.until(lambda: h.held() == 0)
        assert sold(h)[1:] == [(OrderType.MARKET, quantity) for quantity in leaves]
        books_balance(h)


@pytest.mark.parametrize("by_button", [False, True])
def test_after_a_restart_a_person_is_told_of_a_close_that_waited_for_what_rests(by_button: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        limit = resting(h, 3)
        held_up(h, monkeypatch)
        close = closes(h) if by_button else ask(h, "SELL", None, reduce_only=True, source=Source.MANUAL, account_ids=("A1",))[0]
        with h.restart() as then:
            then.until(lambda: then.journal.orders()[close.order_id].state is OrderState.NOT_PLACED)
            then.until(lambda: "exit_failed" in then.notifier.incidents())
            assert (then.held(), then.journal.orders()[limit.order_id].state, sold(then)[1:]) == (3, OrderState.OPEN, [])


@pytest.mark.parametrize(("source", "told"), [(Source.STRATEGY, ["exit_failed"]), (Source.MANUAL, [])])
def test_a_close_that_its_broker_refuses_is_told_where_no_person_has_asked_for_it(source: Source, told: list[str]) -> None:
    with House(account("A1", broker="wire"), strategies=[STRATEGY], mappings=[MAPPED]) as h:
        ask(h, wait=30.0)
        h.script = lambda request: "refuse"
        ask(h, "SELL", None, reduce_only=True, source=source, wait=30.0)
        assert (h.held(), [kind for kind in h.notifier.incidents() if kind == "exit_failed"]) == (3, told)
