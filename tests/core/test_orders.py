"""The order table as a specification: every (state, event) pair, fills in any order, reports in any order."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.model import FINAL_STATES, Fill, OrderState, Side
from engines.core.orders import TRANSITIONS, EventKind, apply, apply_fill, from_report, overfilled
from tests.core.making import D, fill, order, report, sure

# One row for each state; what is not named here must change nothing.
EXPECTED = {
    "planned": "denied→denied sent→sending cancelled→cancelled lost→unknown",
    "denied": "",
    "sending": (
        "denied→denied accepted→open partly_filled→partly_filled filled→filled rejected→rejected lost→unknown "
        "cancelled→cancelled expired→expired"
    ),
    "unknown": (
        "accepted→open partly_filled→partly_filled filled→filled rejected→rejected cancelled→cancelled expired→expired "
        "not_placed→not_placed"
    ),
    "open": "accepted→open partly_filled→partly_filled filled→filled rejected→rejected cancelled→cancelled expired→expired",
    "partly_filled": (
        "accepted→partly_filled partly_filled→partly_filled filled→filled rejected→cancelled cancelled→cancelled expired→expired"
    ),
    "filled": "accepted→filled filled→filled",
    "cancelled": "accepted→cancelled partly_filled→cancelled filled→filled",
    "expired": "accepted→expired partly_filled→expired filled→filled",
    "rejected": "accepted→open partly_filled→partly_filled filled→filled",
    "not_placed": ("accepted→open partly_filled→partly_filled filled→filled rejected→rejected cancelled→cancelled expired→expired"),
}


def expected(state: OrderState, kind: EventKind) -> OrderState | None:
    steps = dict(step.split("→") for step in EXPECTED[state].split())
    return OrderState(steps[kind]) if kind in steps else None


@pytest.mark.parametrize(("state", "kind"), list(product(OrderState, EventKind)))
def test_every_pair_of_state_and_event_is_decided_by_the_one_table(state: OrderState, kind: EventKind) -> None:
    before = order(state)
    after = apply(before, kind, 5.0)
    assert (after.state if after else None) == expected(state, kind)
    assert TRANSITIONS.get((state, kind)) == expected(state, kind)
    assert before == order(state)


def test_an_order_is_never_sent_twice() -> None:
    assert [state for (state, kind) in TRANSITIONS if kind is EventKind.SENT] == [OrderState.PLANNED]
    assert {after for (state, _), after in TRANSITIONS.items() if state is not OrderState.PLANNED} & {
        OrderState.PLANNED,
        OrderState.SENDING,
    } == set()


def test_a_denied_order_stays_denied_for_ever() -> None:
    assert not [state for (state, _) in TRANSITIONS if state is OrderState.DENIED]


def test_only_unknown_becomes_not_placed() -> None:
    assert [state for (state, kind) in TRANSITIONS if kind is EventKind.NOT_PLACED] == [OrderState.UNKNOWN]


@given(st.lists(st.sampled_from(EventKind), max_size=12))
def test_final_states_are_left_only_by_evidence_of_the_broker(kinds: list[EventKind]) -> None:
    now = order()
    for kind in kinds:
        after = apply(now, kind, 5.0)
        if after is not None and now.state in FINAL_STATES and after.state is not now.state:
            assert kind in {
                EventKind.ACCEPTED,
                EventKind.PARTLY_FILLED,
                EventKind.FILLED,
                EventKind.REJECTED,
                EventKind.CANCELLED,
                EventKind.EXPIRED,
            }
        now = after or now


def test_the_moments_of_sending_and_acknowledgement_are_kept() -> None:
    sent = sure(apply(order(), EventKind.SENT, 2.0))
    assert (sent.sent_at, sent.acknowledged_at, sent.updated_at) == (2.0, None, 2.0)
    accepted = sure(apply(sent, EventKind.ACCEPTED, 3.0, broker_order_id="B1"))
    assert (accepted.acknowledged_at, accepted.broker_order_id) == (3.0, "B1")
    cancelled = sure(apply(accepted, EventKind.CANCELLED, 2.5, reason="by hand"))
    assert (cancelled.acknowledged_at, cancelled.updated_at, cancelled.reason) == (3.0, 3.0, "by hand")


def test_an_order_that_never_left_has_no_acknowledgement() -> None:
    taken_back = sure(apply(order(), EventKind.CANCELLED, 2.0))
    assert taken_back.acknowledged_at is None


def test_a_lost_order_knows_no_acknowledgement_until_it_is_found() -> None:
    lost = sure(apply(order(OrderState.SENDING, sent_at=2.0), EventKind.LOST, 3.0))
    assert lost.acknowledged_at is None
    found = sure(apply(lost, EventKind.ACCEPTED, 9.0))
    assert found.acknowledged_at == 9.0


def test_the_state_cannot_be_smuggled_in_with_the_changes() -> None:
    with pytest.raises(TypeError):
        apply(order(), EventKind.SENT, 2.0, state=OrderState.FILLED)


# --- fills -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "state", "kind"),
    [
        ("40", OrderState.PARTLY_FILLED, EventKind.PARTLY_FILLED),
        ("100", OrderState.FILLED, EventKind.FILLED),
        ("130", OrderState.FILLED, EventKind.FILLED),
    ],
)
def test_a_fill_moves_the_order_by_what_has_traded(quantity: str, state: OrderState, kind: EventKind) -> None:
    done = sure(apply_fill(order(OrderState.OPEN), fill("T1", quantity, "1500")))
    assert (done[0].state, done[1], done[0].filled_quantity) == (state, kind, D(quantity))


def test_more_than_was_ordered_is_recorded_not_hidden() -> None:
    first = sure(apply_fill(order(OrderState.OPEN), fill("T1", 100, "1500")))
    assert not overfilled(first[0])
    second = sure(apply_fill(first[0], fill("T2", 30, "1500")))
    assert overfilled(second[0])
    assert second[0].remaining == -30


@pytest.mark.parametrize(
    ("before", "partly", "whole"),
    [
        (OrderState.CANCELLED, OrderState.CANCELLED, OrderState.FILLED),
        (OrderState.EXPIRED, OrderState.EXPIRED, OrderState.FILLED),
        (OrderState.REJECTED, OrderState.PARTLY_FILLED, OrderState.FILLED),
        (OrderState.NOT_PLACED, OrderState.PARTLY_FILLED, OrderState.FILLED),
        (OrderState.UNKNOWN, OrderState.PARTLY_FILLED, OrderState.FILLED),
    ],
)
def test_a_fill_after_a_cancel_is_legal(before: OrderState, partly: OrderState, whole: OrderState) -> None:
    assert sure(apply_fill(order(before), fill("T1", 1, 100)))[0].state is partly
    assert sure(apply_fill(order(before), fill("T1", 100, 100)))[0].state is whole


@pytest.mark.parametrize("before", [OrderState.DENIED, OrderState.PLANNED])
def test_an_order_that_never_left_cannot_trade(before: OrderState) -> None:
    assert apply_fill(order(before), fill("T1", 1, 100)) is None


@pytest.mark.parametrize("wrong", [fill("T1", 0, 100), fill("T1", -5, 100), fill("T1", 5, 100, order_id="O2")])
def test_an_impossible_fill_is_an_error(wrong: Fill) -> None:
    with pytest.raises(ValueError, match="T1"):
        apply_fill(order(OrderState.OPEN), wrong)


def test_a_fill_that_comes_before_the_answer_brings_the_brokers_id() -> None:
    done = sure(apply_fill(order(OrderState.SENDING), fill("T1", 10, 100, broker_order_id="B1")))
    assert done[0].broker_order_id == "B1"


def test_the_order_is_changed_when_we_learn_of_the_fill() -> None:
    assert sure(apply_fill(order(OrderState.OPEN), fill("T1", 10, 100, at=7.0)))[0].updated_at == 7.0
    assert sure(apply_fill(order(OrderState.OPEN), fill("T1", 10, 100, at=7.0), 9.0))[0].updated_at == 9.0


amounts = st.tuples(st.integers(1, 50), st.decimals("0.05", "5000", places=2))


@given(st.lists(amounts, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_filled_quantity_and_average_price_do_not_depend_on_the_order_of_fills(trades: list[tuple[int, Decimal]], random: Random) -> None:
    fills = [fill(f"T{n}", quantity, str(price)) for n, (quantity, price) in enumerate(trades)]
    total = sum(f.quantity for f in fills)
    ends = []
    for _ in range(2):
        now = order(OrderState.OPEN, quantity=total)
        for one in fills:
            done = sure(apply_fill(now, one))
            assert done[0].filled_quantity > now.filled_quantity
            now = done[0]
        ends.append((now.state, now.filled_quantity, round(now.average_price or D(0), 12)))
        random.shuffle(fills)
    mean = round(sum(f.quantity * f.price for f in fills) / total, 12)
    assert ends == [(OrderState.FILLED, total, mean)] * 2


# --- reports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "reported", "event"),
    [
        (OrderState.SENDING, OrderState.OPEN, EventKind.ACCEPTED),
        (OrderState.SENDING, OrderState.PARTLY_FILLED, EventKind.ACCEPTED),
        (OrderState.SENDING, OrderState.FILLED, EventKind.ACCEPTED),
        (OrderState.UNKNOWN, OrderState.OPEN, EventKind.ACCEPTED),
        (OrderState.UNKNOWN, OrderState.REJECTED, EventKind.REJECTED),
        (OrderState.UNKNOWN, OrderState.CANCELLED, EventKind.CANCELLED),
        (OrderState.UNKNOWN, OrderState.EXPIRED, EventKind.EXPIRED),
        (OrderState.NOT_PLACED, OrderState.OPEN, EventKind.ACCEPTED),
        (OrderState.OPEN, OrderState.REJECTED, EventKind.REJECTED),
        (OrderState.PARTLY_FILLED, OrderState.REJECTED, EventKind.REJECTED),
        (OrderState.REJECTED, OrderState.OPEN, EventKind.ACCEPTED),  # refused in an answer without an id
        (OrderState.PLANNED, OrderState.OPEN, None),
        (OrderState.DENIED, OrderState.OPEN, None),
        (OrderState.FILLED, OrderState.CANCELLED, None),
    ],
)
def test_what_a_report_means_for_an_order_whose_broker_id_we_do_not_know(
    before: OrderState, reported: OrderState, event: EventKind | None
) -> None:
    assert from_report(order(before), report(reported)) == event


@pytest.mark.parametrize(
    ("before", "reported", "event"),
    [
        (OrderState.OPEN, OrderState.OPEN, None),
        (OrderState.OPEN, OrderState.CANCELLED, EventKind.CANCELLED),
        (OrderState.PARTLY_FILLED, OrderState.OPEN, None),
        (OrderState.FILLED, OrderState.OPEN, None),
        (OrderState.CANCELLED, OrderState.OPEN, None),
        (OrderState.CANCELLED, OrderState.CANCELLED, None),
        (OrderState.REJECTED, OrderState.OPEN, None),  # an old message: the broker itself had refused it
    ],
)
def test_what_a_report_means_for_an_order_that_the_broker_has_named(
    before: OrderState, reported: OrderState, event: EventKind | None
) -> None:
    assert from_report(order(before, broker_order_id="B1"), report(reported)) == event


def test_a_late_acknowledgement_still_names_the_brokers_id() -> None:
    filled = order(OrderState.FILLED, filled_quantity=D(100))
    assert from_report(filled, report(OrderState.OPEN)) is EventKind.ACCEPTED
    named = sure(apply(filled, EventKind.ACCEPTED, 9.0, broker_order_id="B1"))
    assert (named.state, named.broker_order_id) == (OrderState.FILLED, "B1")


def test_an_order_lowered_to_what_had_traded_is_filled_by_the_brokers_word() -> None:
    lowered = order(OrderState.PARTLY_FILLED, broker_order_id="B1", quantity=D(40), filled_quantity=D(40))
    assert from_report(lowered, report(OrderState.FILLED, filled_quantity=D(40))) is EventKind.FILLED


@pytest.mark.parametrize("state", [OrderState.PLANNED, OrderState.SENDING, OrderState.UNKNOWN, OrderState.DENIED, OrderState.NOT_PLACED])
def test_a_broker_cannot_report_states_that_are_only_ours(state: OrderState) -> None:
    with pytest.raises(ValueError, match="cannot report"):
        from_report(order(OrderState.OPEN), report(state))


@pytest.mark.parametrize(
    ("news", "end"),
    [
        (("open", "fill 100"), OrderState.FILLED),
        (("open", "fill 40", "cancelled"), OrderState.CANCELLED),
        (("open", "fill 40", "fill 60"), OrderState.FILLED),
        (("open", "fill 40", "fill 60", "cancelled"), OrderState.FILLED),
        (("open", "fill 40", "expired"), OrderState.EXPIRED),
        (("open", "rejected"), OrderState.REJECTED),
        (("open", "cancelled"), OrderState.CANCELLED),
    ],
)
@pytest.mark.parametrize("start", [OrderState.SENDING, OrderState.UNKNOWN, OrderState.NOT_PLACED])
def test_news_that_overtake_each_other_end_in_the_same_state(news: tuple[str, ...], end: OrderState, start: OrderState) -> None:
    for arrival in permutations(news):
        now = order(start)
        for number, word in enumerate(arrival):
            if word.startswith("fill"):
                done = apply_fill(now, fill(f"T{number}", word.split()[1], 100, Side.BUY, broker_order_id="B1"))
                now = done[0] if done else now
            else:
                kind = from_report(now, report(OrderState(word)))
                now = (kind and apply(now, kind, 20.0, broker_order_id="B1")) or now
        assert (now.state, now.broker_order_id) == (end, "B1"), arrival
