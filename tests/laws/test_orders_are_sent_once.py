"""Laws 1, 2 and 10: no order twice, none unrecorded, one outcome for each mapping. Real lanes and threads; the broker misbehaves on demand."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engines.core.facts import OrderChanged, SignalPlanned
from engines.core.model import FINAL_STATES, AccountMapping, OrderState, Sizing, SizingMode, StrategyConfig, Timeframe
from engines.execution.connecting import Connect
from engines.execution.jobs import Send
from engines.ports import JournalDown, Retry
from tests.execution.house import INFY, PATIENCE, USER, House, account, books_balance

WIRE = account("A1", broker="wire")


def settled(house: House) -> None:
    """Wait until no order is planned, sending or unknown."""
    unsettled = (OrderState.PLANNED, OrderState.SENDING, OrderState.UNKNOWN)
    house.until(lambda: not any(order.state in unsettled for order in house.journal.orders().values()))


@pytest.mark.parametrize("fault", ["lose_before", "lose_after", "odd"])
def test_law_1_no_intent_yields_more_than_one_live_order_whatever_times_out(fault):
    with House(WIRE, script=lambda request: fault) as house:
        (order,) = house.send()
        settled(house)
        book = house.books["A1"]
        assert [request.client_id for request in book.placed] in ([], [order.client_id])
        state = house.journal.orders()[order.order_id].state
        assert state is (OrderState.FILLED if fault == "lose_after" else OrderState.NOT_PLACED)
        assert house.held() == (10 if fault == "lose_after" else 0)


def test_law_1_no_intent_yields_more_than_one_live_order_whatever_restarts():
    with House(WIRE, script=lambda request: "lose_after", absent_after=60.0) as house:
        house.wires["A1"].book_fails = True
        (order,) = house.send(wait=0.0)
        house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.UNKNOWN)
        with house.restart() as later:
            settled(later)
            assert [request.client_id for request in later.books["A1"].placed] == [order.client_id]
            assert (later.journal.orders()[order.order_id].state, later.held()) == (OrderState.FILLED, 10)
            books_balance(later)


def test_an_empty_order_book_is_no_proof_before_its_time():
    with House(WIRE, script=lambda request: "lose_before", absent_after=60.0) as house:
        (order,) = house.send(wait=0.0)
        house.until(lambda: house.journal.orders()[order.order_id].state is OrderState.UNKNOWN)
        house.wires["A1"].script = lambda request: "fill"
        (second,) = house.send()
        assert (second.state, second.reason) == (OrderState.DENIED, "unknown_order_pending")
        assert house.journal.orders()[order.order_id].state is OrderState.UNKNOWN


def test_law_2_the_intent_and_its_client_id_are_durable_before_the_first_byte_leaves():
    seen: list[bool] = []

    def script(request):
        with house.journal.lock:
            seen.append(
                any(isinstance(f, SignalPlanned) and any(o.order_id == request.client_id for o in f.orders) for f in house.journal.facts)
            )
        return "fill"

    with House(WIRE, account("A2", broker="wire"), script=script) as house:
        house.send("BUY")
        house.send("SELL")  # an exit, planned by the same fan-out
        house.system.submit(house.signal("BUY"), PATIENCE)
        house.system.close_all(["A1", "A2"])  # exits planned in the lanes
    assert len(seen) == 8
    assert all(seen)


def test_law_2_what_cannot_be_recorded_is_not_sent():
    with House(WIRE) as house:
        house.journal.down = True
        with pytest.raises(JournalDown):
            house.system.submit(house.signal(), 1)
        assert house.books["A1"].placed == []
        house.journal.mend()
        house.until(lambda: not house.system.board.journal_down)
        assert [order.state for order in house.send()] == [OrderState.FILLED]


def test_law_10_one_signal_id_has_exactly_one_named_outcome_for_each_mapping():
    accounts = [account("A1"), account("A2", dry_run=True), account("A3", broker="wire"), account("A4", enabled=False)]
    strategy = StrategyConfig("S1", USER, "s", "ema_cross", Timeframe.M1, (INFY.symbol,))
    sizing = Sizing(SizingMode.FIXED_QUANTITY, Decimal(3))
    mappings = [AccountMapping(f"M{n}", f"A{n}", "S1", Decimal(50), sizing) for n in (1, 2, 3, 4)]
    with House(*accounts, strategies=[strategy], mappings=mappings, script=lambda r: "refuse") as house:
        signal = house.signal(quantity=None, strategy_id="S1", account_ids=(), name="once")
        outcome = house.system.submit(signal, PATIENCE)
        assert outcome.settled
        assert sorted((o.account_id, o.state.value, o.reason) for o in outcome.orders) == [
            ("A1", "filled", None),
            ("A2", "denied", "dry_run"),
            ("A3", "rejected", "margin exceeds available funds"),
            ("A4", "denied", "not_connected"),
        ]


def test_law_10_a_repeated_signal_id_is_dropped_however_many_send_it_at_once():
    with House(account("A1"), account("A2")) as house:
        answers = []
        start = threading.Barrier(16)

        def send():
            signal = house.signal(name="same")
            start.wait()
            answers.append(house.system.submit(signal, PATIENCE))

        threads = [threading.Thread(target=send) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(not answer.duplicate for answer in answers) == 1
        assert len({answer.key for answer in answers}) == 1
        assert len(house.journal.fills()) == 2


class OneOrderForEachIntent(RuleBasedStateMachine):
    """Laws 1, 2 and 10 under any sequence of signals, repeats, faults, prices and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.fault = "fill"
        self.names: set[str] = set()
        self.house: House | None = None

    @initialize()
    def open(self) -> None:
        self.house = House(WIRE, account("A2"), script=lambda request: self.fault)

    @rule(fault=st.sampled_from(["fill", "open", "refuse", "lose_before", "lose_after", "odd", "retry"]))
    def broker_turns(self, fault: str) -> None:
        self.fault = fault

    @rule(side=st.sampled_from(["BUY", "SELL"]), quantity=st.integers(1, 5), name=st.sampled_from(["a", "b", "c", "d"]))
    def signal(self, side: str, quantity: int, name: str) -> None:
        outcome = self.house.system.submit(self.house.signal(side, quantity, name=name), 1)
        assert outcome.duplicate == (name in self.names)
        assert sorted({order.account_id for order in outcome.orders}) == ["A1", "A2"]
        self.names.add(name)

    @rule(price=st.floats(90, 110))
    def price(self, price: float) -> None:
        self.house.feed.price(INFY.symbol, round(price, 1))

    @rule()
    def restart(self) -> None:
        self.settle()
        self.house = self.house.restart()

    def settle(self) -> None:
        """An exit is tried until it leaves: a broker that throttles does not do so for ever."""
        self.fault = "fill" if self.fault == "retry" else self.fault
        settled(self.house)

    @invariant()
    def no_order_twice_and_none_unrecorded(self) -> None:
        if self.house is None:
            return
        placed = [request.client_id for request in self.house.books["A1"].placed]
        assert len(placed) == len(set(placed))
        assert set(placed) <= self.house.journal.orders().keys()

    def teardown(self) -> None:
        if self.house is None:
            return
        try:
            self.settle()
            books_balance(self.house)
            for order in self.house.journal.orders().values():
                assert order.state in FINAL_STATES | {OrderState.OPEN}
        finally:
            self.house.__exit__()


TestOneOrderForEachIntent = OneOrderForEachIntent.TestCase
TestOneOrderForEachIntent.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize("seen", [False, True])
def test_a_throttled_order_is_tried_again_and_one_that_was_shown_as_on_the_wire_ends(seen: bool) -> None:
    """The broker has proved that nothing was booked: the same order may leave once more, unless somebody has been told that it is on its way."""
    asked: list[str] = []
    with House(account("A1", broker="wire")) as house:
        lane = house.system.roster.lane("A1")
        place = house.wires["A1"].place

        def throttled(request, permit):
            asked.append(request.client_id)
            if len(asked) > 1:
                return place(request, permit)
            with permit():
                pass
            if seen:
                lane.note_in_flight()
            raise Retry("too many requests", after=0.01)

        house.wires["A1"].place = throttled
        (order,) = house.send("BUY", 10)
        house.until(lambda: house.journal.orders()[order.order_id].state in FINAL_STATES)
        assert house.journal.orders()[order.order_id].state is (OrderState.REJECTED if seen else OrderState.FILLED)
        assert asked == [order.client_id] * (1 if seen else 2)


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("answer", ["fill", "open", "refuse", "lose_after"])
def test_an_order_is_told_as_sent_when_its_bytes_leave_whenever_its_answer_comes(answer: str, looked: bool) -> None:
    wrote: list[float] = []
    out, go_on = threading.Event(), threading.Event()
    with House(account("A1", broker="wire"), script=lambda _: answer) as house:
        place, now = house.wires["A1"].place, house.clock.now

        def slow(request, permit):
            @contextmanager
            def writing():
                with permit():
                    wrote.append(now())
                    yield
                out.set()
                go_on.wait(PATIENCE)

            return place(request, writing)

        house.wires["A1"].place = slow
        began = now()
        (order,) = house.send(wait=0.0)
        assert out.wait(PATIENCE)
        told = house.system.order(order.order_id, "A1")
        assert told is not None
        assert told.state is OrderState.SENDING
        assert began <= told.sent_at <= wrote[0]
        if looked:
            house.system.roster.lane("A1").note_in_flight()
        house.until(lambda: now() > wrote[0] + 0.01)
        go_on.set()
        settled(house)
        house.until(lambda: house.journal.orders()[order.order_id].acknowledged_at)
        changes = [fact for fact in house.journal.facts if isinstance(fact, OrderChanged) and fact.order.order_id == order.order_id]
        assert [change.event.at for change in changes if change.event.kind == "sent"] == [told.sent_at]
        (done,) = {fact.order.sent_at for fact in changes}
        assert done == told.sent_at
        assert house.journal.orders()[order.order_id].acknowledged_at >= wrote[0] + 0.01


def test_law_1_an_exit_that_waits_for_a_log_in_leaves_once_after_it():
    with House(WIRE) as house:
        house.send("BUY", 10)
        desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        house.system._on_needs_login(desk, "the session is over")
        (out,) = house.send("SELL", None, reduce_only=True, wait=0.0)
        house.until(lambda: lane.idle)
        house.wires["A1"].book_fails = True
        lane.put(Connect())  # the order book cannot be read at first
        house.until(lambda: "could not be read" in desk.state_detail)
        house.wires["A1"].book_fails = False
        house.system.connect("A1")
        house.until(lambda: house.held() == 0)
        house.until(lambda: not any(isinstance(job, Send) for job in lane.box.waiting()))
        assert [request.client_id for request in house.books["A1"].placed][1:] == [out.client_id]


def test_law_1_two_jobs_that_would_send_one_order_send_it_once():
    with House(WIRE) as house:
        house.send("BUY", 10)
        desk, lane = house.system.roster.desk("A1"), house.system.roster.lane("A1")
        house.system._on_needs_login(desk, "the session is over")
        (out,) = house.send("SELL", None, reduce_only=True, wait=0.0)
        for _ in range(5):
            lane.put(Send(out.order_id, urgent=True))
        house.system.connect("A1")
        house.until(lambda: house.held() == 0)
        house.until(lambda: not any(isinstance(job, Send) for job in lane.box.waiting()))
        assert [request.client_id for request in house.books["A1"].placed][1:] == [out.client_id]


def test_law_1_an_exit_that_an_earlier_run_has_planned_may_have_left_and_is_looked_for():
    with House(WIRE) as house:
        house.send("BUY", 10)
        house.system._on_needs_login(house.system.roster.desk("A1"), "the session is over")
        (out,) = house.send("SELL", None, reduce_only=True, wait=0.0)
        with house.restart() as later:
            later.until(lambda: later.journal.orders()[out.order_id].state is OrderState.NOT_PLACED)
            assert len(later.books["A1"].placed) == 1


def test_law_1_an_order_whose_bytes_are_out_is_not_written_again_whatever_its_books_say():
    with House(WIRE) as house:
        house.send("BUY", 10)
        desk = house.system.roster.desk("A1")
        house.system._on_needs_login(desk, "the session is over")
        (out,) = house.send("SELL", None, reduce_only=True, wait=0.0)
        desk.written[out.order_id] = house.clock.now()
        house.system.connect("A1")
        house.until(lambda: house.journal.orders()[out.order_id].state is OrderState.NOT_PLACED)
        assert len(house.books["A1"].placed) == 1
