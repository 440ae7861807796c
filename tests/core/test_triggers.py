"""The trigger book against the simplest thing that could work: a list that is searched on every tick."""

from __future__ import annotations

from collections import Counter
from math import inf, nan

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engines.core.triggers import Direction, Level, TriggerBook

INFY, SBIN = "NSE:INFY", "NSE:SBIN"


def level(owner: str, price: float, direction: Direction, leg: str = "stop", symbol: str = INFY) -> Level:
    return Level(owner, leg, symbol, price, direction)


def book(*levels: Level) -> TriggerBook:
    made = TriggerBook()
    for owner in dict.fromkeys(one.owner_id for one in levels):
        made.set(owner, [one for one in levels if one.owner_id == owner])
    return made


@pytest.mark.parametrize(
    ("price", "fired"),
    [
        (100.0, []),
        (95.05, []),
        (95.0, ["stop"]),
        (94.0, ["stop"]),
        (104.95, []),
        (105.0, ["target"]),
        (130.0, ["target", "far"]),
        (nan, []),
        (inf, []),
        (-inf, []),
        (0.0, []),
        (-5.0, []),
    ],
)
def test_a_level_fires_at_its_price_or_beyond(price: float, fired: list[str]) -> None:
    armed = book(level("P", 95.0, "down"), level("P", 105.0, "up", "target"), level("P", 120.0, "up", "far"))
    assert [one.leg for one in armed.on_tick(INFY, price)] == fired


def test_a_level_fires_once_until_it_is_set_again() -> None:
    armed = book(level("P", 95.0, "down"))
    assert len(armed.on_tick(INFY, 90.0)) == 1
    assert armed.on_tick(INFY, 90.0) == []
    assert len(armed) == 0
    armed.set("P", [level("P", 95.0, "down")])
    assert len(armed.on_tick(INFY, 90.0)) == 1


def test_a_gap_fires_the_nearest_first() -> None:
    armed = book(level("A", 90.0, "down"), level("B", 95.0, "down"), level("C", 92.0, "down"), level("D", 95.0, "down"))
    assert [one.owner_id for one in armed.on_tick(INFY, 80.0)] == ["B", "D", "C", "A"]


def test_another_symbol_is_not_touched() -> None:
    armed = book(level("P", 95.0, "down"), level("Q", 95.0, "down", symbol=SBIN))
    assert [one.owner_id for one in armed.on_tick(INFY, 90.0)] == ["P"]
    assert armed.symbols() == {SBIN}


def test_setting_replaces_and_removing_forgets() -> None:
    armed = book(level("P", 95.0, "down"), level("P", 105.0, "up"))
    armed.set("P", [level("P", 96.0, "down")])
    assert armed.levels("P") == (level("P", 96.0, "down"),)
    assert armed.on_tick(INFY, 110.0) == []
    armed.remove("P")
    armed.remove("P")
    assert (len(armed), armed.levels("P"), armed.symbols()) == (0, (), frozenset())
    armed.set("P", [])
    assert len(armed) == 0


@pytest.mark.parametrize(
    "wrong",
    [level("P", nan, "down"), level("P", inf, "up"), level("P", 0.0, "down"), level("P", -1.0, "up"), level("Q", 1.0, "up")],
)
def test_a_level_that_could_never_fire_is_refused_and_nothing_changes(wrong: Level) -> None:
    armed = book(level("P", 95.0, "down"))
    with pytest.raises(ValueError, match="cannot"):
        armed.set("P", [level("P", 96.0, "down"), wrong])
    assert armed.levels("P") == (level("P", 95.0, "down"),)


def test_a_level_without_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="no direction"):
        TriggerBook().set("P", [level("P", 95.0, "sideways")])  # type: ignore[arg-type]


class CountingPrice(float):
    """A price that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        CountingPrice.compared += 1
        return float(self) < other

    def __gt__(self, other: float) -> bool:
        CountingPrice.compared += 1
        return float(self) > other


def test_a_tick_that_fires_nothing_costs_one_comparison_a_side_however_many_are_armed() -> None:
    armed = TriggerBook()
    for n in range(10_000):
        symbol = f"NSE:S{n % 3_000}"
        armed.set(f"P{n}", [level(f"P{n}", 90.0 - n % 7, "down", symbol=symbol), level(f"P{n}", 110.0 + n % 7, "up", symbol=symbol)])
    assert len(armed) == 20_000
    CountingPrice.compared = 0
    assert armed.on_tick("NSE:S5", CountingPrice(100.0)) == []
    assert CountingPrice.compared <= 2


prices = st.integers(1, 40).map(lambda n: n * 0.5)
owners = st.sampled_from(["A", "B", "C", "D"])
symbols = st.sampled_from([INFY, SBIN])
wishes = st.lists(st.tuples(symbols, prices, st.sampled_from(["up", "down"]), st.sampled_from(["stop", "target:1"])), max_size=4)


class BookAgainstList(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.book = TriggerBook()
        self.naive: list[Level] = []

    @rule(owner=owners, wanted=wishes)
    def set(self, owner: str, wanted: list[tuple[str, float, Direction, str]]) -> None:
        levels = [Level(owner, leg, symbol, price, direction) for symbol, price, direction, leg in wanted]
        self.book.set(owner, levels)
        self.naive = [one for one in self.naive if one.owner_id != owner] + levels

    @rule(owner=owners)
    def remove(self, owner: str) -> None:
        self.book.remove(owner)
        self.naive = [one for one in self.naive if one.owner_id != owner]

    @rule(symbol=symbols, price=prices | st.sampled_from([nan, inf, -inf, 0.0, -1.0]))
    def tick(self, symbol: str, price: float) -> None:
        sane = 0 < price < inf
        reached = [
            one
            for one in self.naive
            if sane and one.symbol == symbol and (price >= one.price if one.direction == "up" else price <= one.price)
        ]
        assert Counter(self.book.on_tick(symbol, price)) == Counter(reached)
        for one in reached:
            self.naive.remove(one)

    @invariant()
    def both_hold_the_same(self) -> None:
        assert len(self.book) == len(self.naive)
        assert self.book.symbols() == {one.symbol for one in self.naive}
        for owner in ("A", "B", "C", "D"):
            assert Counter(self.book.levels(owner)) == Counter(one for one in self.naive if one.owner_id == owner)


BookAgainstList.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestBookAgainstList = BookAgainstList.TestCase
