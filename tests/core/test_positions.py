"""Law 3: fills are idempotent and commutative; position = fold of fills; sum over strategies = account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engines.core.model import ZERO, Fill, Position, PositionKey, Product, Side
from engines.core.positions import book, empty, fill_order, fold, position_id, round_trips, split
from tests.core.making import KEY, D, fill

BUY, SELL = Side.BUY, Side.SELL


def trades(*rows: tuple[Side, str, str], charges: str = "0") -> list[Fill]:
    return [fill(f"T{n}", quantity, price, side, at=float(n), charges=D(charges)) for n, (side, quantity, price) in enumerate(rows)]


# --- by example --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "quantity", "average", "realised"),
    [
        ([(BUY, "10", "100")], "10", "100", "0"),
        ([(BUY, "10", "100"), (BUY, "30", "104")], "40", "103", "0"),
        ([(BUY, "10", "100"), (SELL, "4", "110")], "6", "100", "40"),
        ([(BUY, "10", "100"), (SELL, "10", "90.05")], "0", None, "-99.50"),
        ([(SELL, "10", "100"), (BUY, "4", "90")], "-6", "100", "40"),
        ([(BUY, "10", "100"), (SELL, "25", "110")], "-15", "110", "100"),
        ([(SELL, "10", "100"), (BUY, "25", "110")], "15", "110", "-100"),
        ([(BUY, "0.00000001", "3000000.01"), (SELL, "0.00000001", "3000001.01")], "0", None, "0.00000001"),
    ],
)
def test_a_position_is_kept_at_average_cost(rows: list[tuple[Side, str, str]], quantity: str, average: str | None, realised: str) -> None:
    position = fold(empty(KEY), trades(*rows))
    assert position.quantity == D(quantity)
    assert position.average_price == (None if average is None else D(average))
    assert position.realised == D(realised)


def test_an_average_that_does_not_divide_loses_nothing() -> None:
    bought = trades((BUY, "1", "100"), (BUY, "2", "101"), (SELL, "1", "100"), (SELL, "2", "101"), charges="0.0333")
    position = fold(empty(KEY), bought)
    assert (position.quantity, position.open_cost, position.realised, position.charges) == (D(0), D(0), D(0), D("0.1332"))


def test_a_position_is_opened_when_it_leaves_flat_or_turns_around() -> None:
    rows = trades((BUY, "10", "100"), (BUY, "10", "100"), (SELL, "30", "100"), (BUY, "10", "100"))
    opened = [fold(empty(KEY), rows[: n + 1]).opened_at for n in range(4)]
    assert opened == [0.0, 0.0, 2.0, None]


def test_a_fill_of_another_position_is_an_error() -> None:
    with pytest.raises(ValueError, match="T1"):
        book(empty(KEY), fill("T1", 1, 100, strategy_id="OTHER"))


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_a_fill_without_quantity_is_an_error(quantity: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        book(empty(KEY), fill("T1", quantity, 100))


def test_the_same_trade_id_under_another_order_is_another_fill() -> None:
    one, other = fill("T1", 1, 100), fill("T1", 1, 100, order_id="O2")
    assert fold(empty(KEY), [one, other, one]).quantity == 2


def test_a_position_id_is_the_same_for_ever_and_different_for_each_key() -> None:
    keys = [
        PositionKey(account, symbol, product, strategy)
        for account in ("A1", "A2")
        for symbol in ("NSE:INFY", "NSE:SBIN")
        for product in Product
        for strategy in (None, "S1", "S2")
    ]
    assert len({position_id(key) for key in keys}) == len(keys)
    assert position_id(KEY) == "40fabd7fbf9a9073"
    assert empty(KEY).position_id == position_id(KEY)


# --- law 3 -------------------------------------------------------------------------------------------------------

quantities = st.decimals("0.001", "500", places=3)
prices = st.decimals("0.05", "90000", places=2)
sides = st.sampled_from(Side)


@st.composite
def fills_of_a_day(draw: st.DrawFn, most: int = 12) -> list[Fill]:
    rows = draw(st.lists(st.tuples(sides, quantities, prices, st.integers(0, 4), st.decimals("0", "40", places=4)), max_size=most))
    return [
        fill(f"T{n}", str(quantity), str(price), side, at=float(at), charges=charges)
        for n, (side, quantity, price, at, charges) in enumerate(rows)
    ]


@given(fills_of_a_day(), st.randoms(use_true_random=False), st.data())
def test_law_3_fills_are_idempotent_and_commutative(fills: list[Fill], random: Random, data: st.DataObject) -> None:
    repeated = fills + data.draw(st.lists(st.sampled_from(fills), max_size=6) if fills else st.just([]))
    random.shuffle(repeated)
    assert fold(empty(KEY), repeated) == fold(empty(KEY), fills)


@given(fills_of_a_day())
def test_booking_fills_one_by_one_in_their_order_is_the_fold(fills: list[Fill]) -> None:
    position = empty(KEY)
    for one in sorted(fills, key=fill_order):
        position = book(position, one)
    assert position == fold(empty(KEY), fills)


@given(fills_of_a_day(), st.integers(0, 12))
def test_opening_and_the_fills_since_are_the_positions_of_now(fills: list[Fill], cut: int) -> None:
    in_order = sorted(fills, key=fill_order)
    opening = fold(empty(KEY), in_order[:cut])
    assert fold(opening, in_order[cut:]) == fold(empty(KEY), fills)


def profit(position: Position, mark: Decimal) -> Decimal:
    return position.realised + position.unrealised(mark)


@given(fills_of_a_day(), prices)
def test_realised_and_unrealised_are_cash_flow_and_mark_to_the_paisa(fills: list[Fill], mark: Decimal) -> None:
    position = fold(empty(KEY), fills)
    cash = sum((-f.side.sign * f.quantity * f.price for f in fills), ZERO)
    assert position.cash_flow == cash
    assert position.quantity == sum((f.side.sign * f.quantity for f in fills), ZERO)
    assert position.charges == sum((f.charges for f in fills), ZERO)
    assert profit(position, mark) == cash + position.quantity * mark


@given(fills_of_a_day(), prices)
def test_a_fill_that_arrives_late_gives_the_same_profit(fills: list[Fill], mark: Decimal) -> None:
    position = empty(KEY)
    for one in fills:  # as they arrived
        position = book(position, one)
    assert profit(position, mark) == profit(fold(empty(KEY), fills), mark)


@given(fills_of_a_day(), st.lists(st.sampled_from(["S1", "S2", None]), min_size=12, max_size=12), prices)
def test_law_3_the_sum_over_strategies_is_the_account(fills: list[Fill], owners: Sequence[str | None], mark: Decimal) -> None:
    owned = [replace(one, strategy_id=owner) for one, owner in zip(fills, owners, strict=False)]
    parts = [
        fold(empty(key), [f for f in owned if f.position_key == key])
        for key in {PositionKey("ACC1", "NSE:INFY", Product.MIS, owner) for owner in owners}
    ]
    whole = fold(empty(KEY), [replace(f, strategy_id=KEY.strategy_id) for f in owned])
    assert sum((part.quantity for part in parts), ZERO) == whole.quantity
    assert sum((profit(part, mark) for part in parts), ZERO) == profit(whole, mark)
    assert sum((part.charges for part in parts), ZERO) == whole.charges


class FillsInAnyOrder(RuleBasedStateMachine):
    """A broker that tells trades late, twice and out of order, and a machine that restarts: the books are always the fold."""

    @initialize()
    def begin(self) -> None:
        self.traded: list[Fill] = []  # the truth at the broker
        self.told: dict[tuple[str, str], Fill] = {}  # what has reached us
        self.position = empty(KEY)
        self.mark = D("123.45")

    @rule(side=sides, quantity=quantities, price=prices, at=st.integers(0, 50))
    def trade(self, side: Side, quantity: Decimal, price: Decimal, at: int) -> None:
        self.traded.append(fill(f"T{len(self.traded)}", str(quantity), str(price), side, at=float(at), charges=D("0.0217")))

    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        if self.traded:
            news = data.draw(st.sampled_from(self.traded))
            self.told[news.order_id, news.trade_id] = news
            self.position = fold(empty(KEY), self.told.values())

    @rule(price=prices)
    def move_the_market(self, price: Decimal) -> None:
        self.mark = price

    @rule(cut=st.integers(0, 20))
    def restart_in_the_middle_of_the_day(self, cut: int) -> None:
        known = sorted(self.told.values(), key=fill_order)
        self.position = fold(fold(empty(KEY), known[:cut]), known[cut:])

    @invariant()
    def position_is_the_fold_of_its_fills(self) -> None:
        quantity = sum((f.side.sign * f.quantity for f in self.told.values()), ZERO)
        assert self.position.quantity == quantity
        assert (self.position.open_cost == 0) == (quantity == 0)
        assert self.position.open_cost * quantity >= 0

    @invariant()
    def profit_is_cash_and_mark(self) -> None:
        cash = sum((-f.side.sign * f.quantity * f.price for f in self.told.values()), ZERO)
        assert profit(self.position, self.mark) == cash + self.position.quantity * self.mark


FillsInAnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestFillsInAnyOrder = FillsInAnyOrder.TestCase


# --- exits and entries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "pending", "side", "quantity", "leaving", "entering"),
    [
        ("0", "0", BUY, "10", "0", "10"),
        ("10", "0", BUY, "5", "0", "5"),
        ("10", "0", SELL, "4", "4", "0"),
        ("10", "0", SELL, "10", "10", "0"),
        ("10", "0", SELL, "25", "10", "15"),
        ("-10", "0", BUY, "25", "10", "15"),
        ("-10", "0", SELL, "5", "0", "5"),
        ("10", "7", SELL, "5", "3", "2"),
        ("10", "10", SELL, "5", "0", "5"),
        ("10", "12", SELL, "5", "0", "5"),
    ],
)
def test_an_order_that_would_turn_a_position_around_is_one_exit_and_one_entry(
    held: str, pending: str, side: Side, quantity: str, leaving: str, entering: str
) -> None:
    assert split(D(held), D(pending), side, D(quantity)) == (D(leaving), D(entering))


@given(st.integers(-50, 50), st.integers(0, 60), sides, st.integers(1, 80))
def test_exits_never_exceed_the_position(held: int, pending: int, side: Side, quantity: int) -> None:
    leaving, entering = split(D(held), D(pending), side, D(quantity))
    assert leaving + entering == quantity
    assert min(leaving, entering) >= 0
    assert leaving == 0 or leaving + pending <= abs(held)


# --- round trips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([(BUY, "10", "100")], []),
        ([(BUY, "10", "100"), (SELL, "10", "110")], ["98"]),
        ([(BUY, "10", "100"), (SELL, "5", "110"), (SELL, "5", "90")], ["-3"]),
        ([(BUY, "10", "100"), (SELL, "40", "110"), (BUY, "30", "100")], ["98.75", "298.25"]),
    ],
)
def test_a_round_trip_is_a_trade_from_flat_to_flat_net_of_charges(rows: list[tuple[Side, str, str]], expected: list[str]) -> None:
    assert round_trips(trades(*rows, charges="1")) == [D(x) for x in expected]


def test_round_trips_of_several_positions_do_not_mix() -> None:
    mine = trades((BUY, "10", "100"), (SELL, "10", "110"))
    other = [replace(f, strategy_id="S2", order_id="O2", price=D(50), traded_at=f.traded_at + 0.5) for f in mine]
    assert round_trips(mine + other) == [D(100), D(0)]


@given(fills_of_a_day())
def test_round_trips_add_up_to_the_profit_of_what_is_closed(fills: list[Fill]) -> None:
    position = fold(empty(KEY), fills)
    if position.quantity:
        side = BUY if position.quantity < 0 else SELL
        fills = [*fills, fill("LAST", str(abs(position.quantity)), "77.70", side, at=99.0, charges=D("0.5"))]
    end = fold(empty(KEY), fills)
    assert sum(round_trips(fills), ZERO) == end.realised - end.charges
