"""Reconciliation in the words at the top of its module."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.core.model import FINAL_STATES, ZERO, Order, OrderState, Side
from engines.core.orders import EventKind, apply, from_report
from engines.core.reconcile import Difference, Reconciliation, compare_positions, reconcile
from engines.ports import OrderReport
from tests.core.making import D, order, report, sure

T = 10.0
UNKNOWN = order(OrderState.UNKNOWN, sent_at=100.0, updated_at=105.0)


def read(now: float, orders: list[Order], reports: list[OrderReport], seen: dict[str, float] | None = None) -> Reconciliation[OrderReport]:
    return reconcile(orders, reports, now, T, seen or {})


# --- 1, 2: unknown is left only by evidence ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reads", "not_placed_at"),
    [
        ([101, 105, 109.9], None),
        ([111], None),
        ([105, 111], None),
        ([111, 111], None),
        ([111, 111.2], 111.2),
        ([110, 120], 120),
        ([101, 109, 110, 130, 140], 130),
    ],
)
def test_absent_from_two_reads_at_least_t_seconds_after_the_send_is_not_placed(reads: list[float], not_placed_at: float | None) -> None:
    seen: dict[str, float] = {}
    for now in reads:
        result = read(now, [UNKNOWN], [], seen)
        seen = dict(result.seen_absent)
        if result.not_placed:
            assert (now, result.not_placed, result.still_unknown) == (not_placed_at, (UNKNOWN,), ())
            return
        assert result.still_unknown == (UNKNOWN,)
    assert not_placed_at is None


def test_an_order_found_in_between_starts_anew() -> None:
    first = read(111, [UNKNOWN], [])
    found = read(112, [UNKNOWN], [report(OrderState.OPEN)], dict(first.seen_absent))
    assert (found.updates, found.seen_absent) == (((UNKNOWN, report(OrderState.OPEN)),), {})
    assert read(113, [UNKNOWN], [], dict(found.seen_absent)).not_placed == ()


def test_a_day_book_that_lacks_an_order_it_has_shown_before_proves_nothing() -> None:
    shown = order(OrderState.FILLED, order_id="O9", broker_order_id="B9", created_at=90.0)
    seen: dict[str, float] = {}
    for now in (111, 113, 140):
        empty = reconcile([UNKNOWN, shown], [], now, T, seen, whole_day=True)
        seen = dict(empty.seen_absent)
        assert (empty.not_placed, empty.still_unknown) == ((), (UNKNOWN,))
    whole = [report(OrderState.FILLED, "B9", "O9")]
    first = reconcile([UNKNOWN, shown], whole, 150, T, seen, whole_day=True)
    assert first.not_placed == ()
    assert reconcile([UNKNOWN, shown], whole, 151, T, dict(first.seen_absent), whole_day=True).not_placed == (UNKNOWN,)
    yesterday = reconcile([UNKNOWN, shown], [], 150, T, {"O1": 140.0}, 95.0, whole_day=True)
    assert yesterday.not_placed == (UNKNOWN,), "the book of a new day begins without what was shown before it"


@pytest.mark.parametrize(
    ("looks", "proves"),
    [
        ({}, False),
        ({"client_id": "SOMEBODY"}, True),
        ({"symbol": "NSE:SBIN"}, True),
        ({"side": Side.SELL}, True),
        ({"quantity": D(5)}, True),
        ({"at": 50.0}, True),  # long before ours was made
        ({"at": 0.0}, False),  # nobody knows when
    ],
)
def test_a_nameless_order_that_looks_like_the_unknown_one_keeps_it_unknown(looks: dict[str, Any], proves: bool) -> None:
    ours = replace(UNKNOWN, created_at=99.0)
    fields: dict[str, Any] = {"client_id": None, "symbol": ours.symbol, "side": ours.side, "quantity": ours.quantity, "at": 101.0}
    book = [replace(report(OrderState.OPEN, "B7"), **(fields | looks))]
    seen: dict[str, float] = {}
    for now in (111.0, 112.0, 113.0):
        result = read(now, [ours], book, seen)
        seen = dict(result.seen_absent)
        if result.not_placed:
            break
    assert (result.not_placed == (ours,)) is proves


def test_a_clock_that_jumps_back_makes_it_the_first_read_again() -> None:
    assert read(111, [UNKNOWN], [], {"O1": 500.0}).not_placed == ()


def test_an_order_lost_before_its_sending_was_noted_counts_from_when_it_was_lost() -> None:
    lost = replace(UNKNOWN, sent_at=None)
    assert read(112, [lost], [], {"O1": 111.0}).not_placed == ()
    assert read(117, [lost], [], {"O1": 116.0}).not_placed == (lost,)


def test_a_book_that_began_after_the_send_proves_nothing() -> None:
    result: Reconciliation[OrderReport] = reconcile([UNKNOWN], [], 900.0, T, {"O1": 800.0}, book_since=500.0)
    assert (result.not_placed, result.still_unknown, result.seen_absent) == ((), (UNKNOWN,), {})


def test_an_order_on_its_way_is_never_concluded() -> None:
    sending = order(OrderState.SENDING, sent_at=1.0)
    result = read(1000, [sending], [], {"O1": 900.0})
    assert (result.not_placed, result.still_unknown) == ((), (sending,))


@pytest.mark.parametrize("state", [OrderState.OPEN, OrderState.PARTLY_FILLED, OrderState.FILLED, OrderState.REJECTED, OrderState.CANCELLED])
def test_an_unknown_order_that_is_found_is_adopted(state: OrderState) -> None:
    result = read(101, [UNKNOWN], [report(state)])
    assert result.updates == ((UNKNOWN, report(state)),)
    assert (result.strangers, result.still_unknown) == ((), ())


# --- 3: what the broker has shown is never concluded from silence ----------------------------------------------------


@pytest.mark.parametrize("state", [OrderState.OPEN, OrderState.PARTLY_FILLED])
def test_an_order_that_the_broker_has_shown_is_missing_not_gone(state: OrderState) -> None:
    shown = order(state, sent_at=1.0, broker_order_id="B1")
    result = read(1000, [shown], [], {"O1": 900.0})
    assert (result.missing, result.not_placed, result.still_unknown) == ((shown,), (), ())


@pytest.mark.parametrize("state", sorted(FINAL_STATES | {OrderState.PLANNED}))
def test_a_settled_or_unsent_order_is_not_expected_in_the_book(state: OrderState) -> None:
    result = read(1000, [order(state)], [])
    assert (result.missing, result.not_placed, result.still_unknown, result.updates) == ((), (), (), ())


# --- news, and what is none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "news"),
    [
        (order(OrderState.OPEN, broker_order_id="B1"), report(OrderState.OPEN), False),
        (order(OrderState.OPEN, broker_order_id="B1"), report(OrderState.CANCELLED), True),
        (order(OrderState.OPEN, broker_order_id="B1"), report(OrderState.PARTLY_FILLED, filled_quantity=D(40)), True),
        (order(OrderState.PARTLY_FILLED, broker_order_id="B1", filled_quantity=D(40)), report(OrderState.OPEN), False),
        (order(OrderState.FILLED, broker_order_id="B1", filled_quantity=D(100)), report(OrderState.OPEN), False),
        (order(OrderState.CANCELLED, broker_order_id="B1"), report(OrderState.CANCELLED, filled_quantity=D(40)), True),
        (order(OrderState.NOT_PLACED), report(OrderState.OPEN), True),
        (order(OrderState.REJECTED), report(OrderState.OPEN), True),
    ],
)
def test_only_what_the_broker_knows_better_is_news(ours: Order, theirs: OrderReport, news: bool) -> None:
    assert bool(read(2.0, [ours], [theirs]).updates) is news


@pytest.mark.parametrize("state", [OrderState.DENIED, OrderState.PLANNED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.FILLED])
def test_an_order_at_work_that_is_settled_with_us_is_a_contradiction_but_not_while_it_is_fresh(state: OrderState) -> None:
    ours = order(state, broker_order_id="B1", filled_quantity=D(100), updated_at=50.0)
    assert read(55.0, [ours], [report(OrderState.OPEN)]).contradictions == ()  # the read may be older than our news
    assert read(61.0, [ours], [report(OrderState.OPEN)]).contradictions == ((ours, report(OrderState.OPEN)),)


def test_an_order_told_without_our_name_is_known_by_the_brokers_id() -> None:
    ours = order(OrderState.OPEN, broker_order_id="B1")
    nameless = report(OrderState.CANCELLED, client_id=None)
    assert read(2.0, [ours], [nameless]).updates == ((ours, nameless),)


def test_of_several_rows_of_one_order_the_furthest_counts() -> None:
    ours = order(OrderState.OPEN, broker_order_id="B1")
    rows = [report(OrderState.OPEN, at=3.0), report(OrderState.CANCELLED, at=2.0), report(OrderState.OPEN, at=1.0)]
    result = read(5.0, [ours], rows)
    assert (result.updates, result.doubles) == (((ours, rows[1]),), ())


# --- 4, 5: doubles and strangers -------------------------------------------------------------------------------------


def test_one_name_with_two_orders_at_the_broker_is_told_never_merged() -> None:
    twins = (report(OrderState.OPEN, "B1"), report(OrderState.OPEN, "B2"))
    fresh = read(101, [UNKNOWN], list(twins))
    assert fresh.doubles == ((UNKNOWN, twins),)
    assert fresh.updates == ((UNKNOWN, twins[0]),)
    known = order(OrderState.OPEN, broker_order_id="B2")
    assert read(101, [known], list(twins)).updates == ()  # the one that we know has no news


def test_what_the_broker_has_and_we_do_not_know_is_told() -> None:
    by_hand = report(OrderState.FILLED, "B9", client_id=None)
    other = report(OrderState.OPEN, "B8", client_id="OTHER")
    assert read(101, [UNKNOWN], [by_hand, other]).strangers == (by_hand, other)


reported = st.sampled_from(
    [OrderState.OPEN, OrderState.PARTLY_FILLED, OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED]
)


@st.composite
def books(draw: st.DrawFn) -> tuple[list[Order], list[OrderReport]]:
    orders = [
        order(state, order_id=f"O{n}", broker_order_id=draw(st.sampled_from([None, f"B{n}"])), sent_at=draw(st.sampled_from([None, 1.0])))
        for n, state in enumerate(draw(st.lists(st.sampled_from(OrderState), max_size=6)))
    ]
    reports = [
        report(state, f"B{broker_id}", client_id, filled_quantity=Decimal(filled))
        for state, broker_id, client_id, filled in draw(
            st.lists(
                st.tuples(reported, st.integers(0, 9), st.none() | st.integers(0, 9).map(lambda n: f"O{n}"), st.integers(0, 100)),
                max_size=8,
            )
        )
    ]
    return orders, reports


@given(books(), st.floats(0, 100), st.dictionaries(st.sampled_from([f"O{n}" for n in range(6)]), st.floats(0, 100)))
def test_every_order_has_one_outcome_and_every_report_one_place(
    both: tuple[list[Order], list[OrderReport]], now: float, seen: dict[str, float]
) -> None:
    orders, reports = both
    result = read(now, orders, reports, seen)
    named = [o.order_id for o, _ in result.updates + result.contradictions]
    named += [o.order_id for o in result.not_placed + result.still_unknown + result.missing]
    assert len(named) == len(set(named))
    assert {o.order_id for o in orders if o.state is OrderState.UNKNOWN} <= set(named)
    assert all(o.state is OrderState.UNKNOWN for o in result.not_placed)
    placed = {twin.broker_order_id for _, twins in result.doubles for twin in twins}
    placed |= {r.broker_order_id for r in result.strangers} | {r.broker_order_id for _, r in result.updates + result.contradictions}
    ours = {o.order_id for o in orders} | {o.broker_order_id for o in orders}
    for one in reports:
        assert one.broker_order_id in placed or one.client_id in ours or one.broker_order_id in ours


@given(books(), st.floats(0, 100))
def test_the_same_read_twice_proves_nothing(both: tuple[list[Order], list[OrderReport]], now: float) -> None:
    orders, reports = both
    first = read(now, orders, reports)
    assert first.not_placed == ()
    assert read(now, orders, reports, dict(first.seen_absent)).not_placed == ()


class UnknownOrders(RuleBasedStateMachine):
    """Orders whose answers are lost, at a broker whose book shows them late but within T: law 1 never breaks, and every order is settled."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.orders: dict[str, Order] = {}
        self.shown_from: dict[str, float] = {}  # orders that did arrive, and when the book begins to show them
        self.seen: dict[str, float] = {}
        self.last_read = -1.0

    @rule(arrives=st.booleans(), delay=st.integers(0, int(T) - 1))
    def send_and_lose_the_answer(self, arrives: bool, delay: int) -> None:
        name = f"O{len(self.orders)}"
        sent = sure(apply(order(order_id=name, updated_at=self.now), EventKind.SENT, self.now))
        self.orders[name] = sure(apply(sent, EventKind.LOST, self.now))
        if arrives:
            self.shown_from[name] = self.now + delay

    @rule(seconds=st.integers(0, 6))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def read_the_book(self) -> None:
        book = [report(OrderState.OPEN, f"B-{name}", name) for name, since in self.shown_from.items() if since <= self.now]
        result = reconcile(list(self.orders.values()), book, self.now, T, self.seen)
        self.seen = dict(result.seen_absent)
        for ours, theirs in result.updates:
            kind = sure(from_report(ours, theirs))
            self.orders[ours.order_id] = sure(apply(ours, kind, self.now, broker_order_id=theirs.broker_order_id))
        for ours in result.not_placed:
            self.orders[ours.order_id] = sure(apply(ours, EventKind.NOT_PLACED, self.now))
        assert result.strangers == ()
        assert result.doubles == ()

    @precondition(lambda self: self.orders)
    @rule()
    def after_two_late_reads_nothing_is_unknown(self) -> None:
        for _ in range(2):
            self.now += T
            self.read_the_book()
        assert all(o.state is not OrderState.UNKNOWN for o in self.orders.values())

    @invariant()
    def not_placed_is_true_and_nothing_is_placed_without_evidence(self) -> None:
        for name, ours in self.orders.items():
            if ours.state is OrderState.NOT_PLACED:
                assert name not in self.shown_from
            if ours.state is OrderState.OPEN:
                assert self.shown_from[name] <= self.now


UnknownOrders.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestUnknownOrders = UnknownOrders.TestCase


# --- 6: positions ----------------------------------------------------------------------------------------------------

INFY, SBIN = "NSE:INFY", "NSE:SBIN"


@pytest.mark.parametrize(
    ("ours", "theirs", "differences"),
    [
        ({}, {}, ()),
        ({INFY: "10"}, {INFY: "10.0"}, ()),
        ({INFY: "0"}, {}, ()),
        ({INFY: "10"}, {}, (Difference(INFY, D(10), D(0)),)),
        ({}, {SBIN: "-5"}, (Difference(SBIN, D(0), D(-5)),)),
        ({INFY: "10", SBIN: "1"}, {INFY: "-10", SBIN: "2"}, (Difference(INFY, D(10), D(-10)), Difference(SBIN, D(1), D(2)))),
    ],
)
def test_a_difference_of_positions_is_told_with_both_numbers(
    ours: dict[str, str], theirs: dict[str, str], differences: tuple[Difference, ...]
) -> None:
    assert compare_positions({k: D(v) for k, v in ours.items()}, {k: D(v) for k, v in theirs.items()}) == differences


@pytest.mark.parametrize(
    ("ours", "theirs", "less"),
    [
        (10, 0, True),
        (10, 4, True),
        (10, -3, True),
        (-10, 0, True),
        (-10, -4, True),
        (-10, 5, True),
        (10, 12, False),
        (0, 5, False),
        (-5, -7, False),
    ],
)
def test_where_the_broker_has_less_an_exit_in_full_would_open_something(ours: int, theirs: int, less: bool) -> None:
    assert Difference(INFY, D(ours), D(theirs)).less is less


held = st.dictionaries(st.sampled_from(["NSE:INFY", "NSE:SBIN", "NSE:TCS"]), st.integers(-3, 3).map(Decimal))


@given(held, held)
def test_after_booking_the_differences_the_books_are_equal(ours: dict[str, Decimal], theirs: dict[str, Decimal]) -> None:
    mended = dict(ours)
    for difference in compare_positions(ours, theirs):
        assert difference.ours != difference.theirs
        mended[difference.symbol] = mended.get(difference.symbol, ZERO) + difference.theirs - difference.ours
    assert compare_positions(mended, theirs) == ()
