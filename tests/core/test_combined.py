"""Combined P&L rules as tables and properties: when a scope is left, why, and that its floor never falls."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from engines.core.codec import dumps, loads
from engines.core.combined import BadRule, begin, check_rule, denies, floor_of, follow, lower_end
from engines.core.model import CombinedRule, CombinedScope, CombinedState, Denial

D = Decimal
DAY = "2026-11-20"
EMPTY = CombinedRule("R1", "U1", CombinedScope.ACCOUNT, "A1")


def made(**amounts: int | None) -> CombinedRule:
    return replace(EMPTY, **{name: None if amount is None else D(amount) for name, amount in amounts.items()})


STOP = {"stop": 1000}
LOCK = {"lock_at": 5000, "lock": 2000}
RISING = LOCK | {"step": 1000, "rise": 500}
TRAIL = {"trail_start": 3000, "trail_by": 800}


@pytest.mark.parametrize(
    ("amounts", "path", "left", "floor"),
    [
        (STOP, [0, -999], None, None),
        (STOP, [0, -1000], "stop", None),
        (STOP, [0, -25000], "stop", None),  # a gap goes through it
        ({"target": 1000}, [999], None, None),
        ({"target": 1000}, [1000], "target", None),
        (LOCK, [4999, 0], None, None),  # not begun
        (LOCK, [5000, 2001], None, 2000),
        (LOCK, [5000, 2000], "lock", 2000),
        (LOCK, [9999, 2001], None, 2000),  # without steps it stays
        ({"lock_at": 5000, "lock": 0}, [5000, 1], None, 0),
        ({"lock_at": 5000, "lock": -500}, [5000, -499], None, -500),
        (RISING, [5999, 2001], None, 2000),
        (RISING, [6000, 2501], None, 2500),
        (RISING, [6000, 2500], "lock", 2500),
        (RISING, [8999, 5000, 3501], None, 3500),
        (RISING, [8999, 3500], "lock", 3500),
        (TRAIL, [2999, 0], None, None),
        (TRAIL, [3000, 2201], None, 2200),
        (TRAIL, [3000, 2200], "trail", 2200),
        (TRAIL, [4000, 3201, 3500, 3200], "trail", 3200),
        (LOCK | TRAIL, [5000, 4200], "trail", 4200),  # the strictest wins
        (STOP | LOCK, [5000, -2000], "lock", 2000),  # through both at once: the higher was met first
        (STOP | TRAIL, [500, -1000], "stop", None),
    ],
)
def test_when_a_scope_is_left(amounts: dict[str, int], path: list[int], left: str | None, floor: int | None) -> None:
    rule_ = made(**amounts)
    check_rule(rule_)
    state, reasons = None, []
    for second, pnl in enumerate(path):
        state, reason = follow(rule_, state, D(pnl), float(second), DAY)
        reasons.append(reason)
    assert state is not None
    assert reasons == [None] * (len(path) - 1) + [left]
    assert (state.left, state.floor, state.best) == (left, None if floor is None else D(floor), D(max(path)))
    assert (state.left_at, state.pnl) == ((len(path) - 1.0, D(path[-1])) if left else (None, None))


def test_what_was_left_stays_left_until_the_next_session_and_denies_by_its_result() -> None:
    rule_ = made(stop=1000, target=1000)
    lost, _ = follow(rule_, None, D(-1200), 1.0, DAY)
    won, _ = follow(rule_, None, D(1200), 1.0, DAY)
    assert (denies(lost, DAY), denies(won, DAY)) == (Denial.DAILY_LOSS, Denial.DAILY_PROFIT)
    assert denies(lost, "2026-11-19") is Denial.DAILY_LOSS  # a clock that jumps back opens nothing
    assert (denies(lost, "2026-11-23"), denies(begin(rule_, DAY), DAY), denies(None, DAY)) == (None, None, None)
    assert follow(rule_, lost, D(5000), 2.0, DAY) == (lost, None)
    assert follow(rule_, lost, D(0), 2.0, "2026-11-19") == (lost, None)
    assert follow(rule_, lost, D(0), 3.0, "2026-11-23")[0] == CombinedState("R1", "2026-11-23", D(0))


def test_a_rule_that_is_off_follows_nothing_and_one_that_was_changed_takes_the_new_floor() -> None:
    assert follow(replace(made(stop=10), enabled=False), None, D(-99), 1.0, DAY) == (begin(EMPTY, DAY), None)
    state, _ = follow(made(**TRAIL), None, D(4000), 1.0, DAY)
    looser, reason = follow(made(trail_start=3000, trail_by=1500), state, D(3000), 2.0, DAY)
    assert (looser.floor, reason) == (D(2500), None)


@pytest.mark.parametrize(
    ("amounts", "best", "lower"),
    [(STOP, None, -1000), (STOP | LOCK, 4000, -1000), (STOP | LOCK, 5000, 2000), (LOCK, None, None), (LOCK | TRAIL, 6000, 5200)],
)
def test_where_it_is_left_on_the_way_down(amounts: dict[str, int], best: int | None, lower: int | None) -> None:
    state = CombinedState("R1", DAY, None if best is None else D(best))
    assert lower_end(made(**amounts), state) == (None if lower is None else D(lower))


@pytest.mark.parametrize(
    ("amounts", "field", "word"),
    [
        ({}, "stop", "asks for nothing"),
        ({"stop": 0}, "stop", "above zero"),
        ({"target": -1}, "target", "above zero"),
        ({"lock_at": 10}, "lock", "a lock needs"),
        ({"lock": 10}, "lock_at", "a lock needs"),
        ({"lock_at": 10, "lock": 10}, "lock", "keeps less"),
        ({"stop": 5, "step": 1, "rise": 1}, "lock_at", "needs a lock"),
        (LOCK | {"step": 1}, "rise", "its step and its rise"),
        (LOCK | {"step": 1, "rise": 2}, "rise", "overtake"),
        ({"trail_start": 10}, "trail_by", "a trail needs"),
        ({"trail_start": 10, "trail_by": 0}, "trail_by", "above zero"),
    ],
)
def test_rules_that_make_no_sense(amounts: dict[str, int], field: str, word: str) -> None:
    with pytest.raises(BadRule, match=word) as caught:
        check_rule(made(**amounts))
    assert caught.value.field == field


# --- properties ------------------------------------------------------------------------------------------------------

MONEY = st.integers(-20_000, 20_000).map(D)
ABOVE = st.integers(1, 9_000)


@st.composite
def sensible(draw: st.DrawFn) -> CombinedRule:
    amounts: dict[str, int] = {}
    parts = draw(st.sets(st.sampled_from(["stop", "target", "lock", "step", "trail"]), min_size=1))
    if "stop" in parts:
        amounts["stop"] = draw(ABOVE)
    if "target" in parts:
        amounts["target"] = draw(ABOVE)
    if "lock" in parts or "step" in parts:
        amounts["lock_at"] = draw(ABOVE)
        amounts["lock"] = draw(st.integers(-9_000, amounts["lock_at"] - 1))
    if "step" in parts:
        amounts["step"] = draw(ABOVE)
        amounts["rise"] = draw(st.integers(1, amounts["step"]))
    if "trail" in parts:
        amounts |= {"trail_start": draw(ABOVE), "trail_by": draw(ABOVE)}
    return made(**amounts)


class Session(RuleBasedStateMachine):
    """Any path of P&L, with unknown values, repeats and restarts in it."""

    @initialize(rule_=sensible())
    def begin(self, rule_: CombinedRule) -> None:
        check_rule(rule_)
        self.rule, self.state, self.path = rule_, begin(rule_, DAY), list[Decimal]()

    @rule(pnl=MONEY)
    def moves(self, pnl: Decimal) -> None:
        before = self.state
        self.state, reason = follow(self.rule, before, pnl, float(len(self.path)), DAY)
        assert follow(self.rule, before, pnl, float(len(self.path)), DAY) == (self.state, reason)
        assert follow(self.rule, self.state, pnl, 99.0, DAY) == (self.state, None)  # the same again decides nothing again
        if before.left is not None:
            assert (self.state, reason) == (before, None)
            return
        self.path.append(pnl)
        assert self.state.best == max(self.path)
        assert before.floor is None or (self.state.floor is not None and self.state.floor >= before.floor)
        low = lower_end(self.rule, self.state)
        beyond = (low is not None and pnl <= low) or (self.rule.target is not None and pnl >= self.rule.target)
        assert (reason is not None) == beyond == (self.state.left is not None)

    @rule(pnl=st.sampled_from([None, D("NaN"), D("Infinity")]))
    def is_unknown(self, pnl: Decimal | None) -> None:
        assert follow(self.rule, self.state, pnl, 0.0, DAY) == (self.state, None)

    @rule()
    def restarts(self) -> None:
        self.state = loads(CombinedState, dumps(self.state))


def test_any_session_with_restarts() -> None:
    run_state_machine_as_test(Session, settings=settings(max_examples=60, stateful_step_count=20))


@given(sensible(), MONEY, MONEY)
def test_a_floor_rises_with_the_best_and_stays_below_it(rule_: CombinedRule, one: Decimal, other: Decimal) -> None:
    low, high = floor_of(rule_, min(one, other)), floor_of(rule_, max(one, other))
    assert low is None or (high is not None and low <= high)
    assert high is None or high < max(one, other)
