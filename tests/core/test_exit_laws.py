"""Law 9: a trailing stop only tightens; a stop fires at most once; stop and target never both fill."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.core.codec import dumps, loads
from engines.core.exits import ExitOrder, edit, give_back, grow, guarded, levels, make_plan, on_price, on_time
from engines.core.model import ZERO, ExitPlan, ExitSpec, Instrument, PlanState, Role, Side, TargetSpec, TrailingSpec
from engines.core.prices import to_tick
from engines.core.triggers import TriggerBook
from tests.core.making import KEY, D, sure

TICK = D("0.05")
ENTRY = D(100)
OPTION = Instrument("NFO:X", "X", "NFO", TICK, lot_size=5)


def on_tick(steps: int) -> Decimal:
    return steps * TICK


some_points = st.integers(1, 500).map(on_tick)  # 0.05 to 25
some_percent = st.decimals("0.01", "30", places=2)
prices = st.integers(1300, 2700).map(on_tick)  # 65 to 135
nonsense = st.sampled_from([Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), ZERO, D(-100)])


@st.composite
def specs(draw: st.DrawFn, only_points: bool = False) -> ExitSpec:
    """Recipes that make sense for an entry at 100, of either side."""
    forms = ["none", "points"] if only_points else ["none", "points", "pct"]
    form = draw(st.sampled_from(forms))
    away = draw(some_points if form == "points" else some_percent)
    count = draw(st.integers(0, 3))
    targets = [_target(draw, only_points) for _ in range(count)]
    modes = ["none"] + (["step"] if form != "none" else []) + ([] if only_points else ["percent"])
    mode = draw(st.sampled_from(modes))
    trailing = None
    start = draw(st.none() | st.integers(0, 200).map(on_tick))
    if mode == "percent":
        trailing = TrailingSpec("percent", draw(some_percent), start=start)
    elif mode == "step":
        step = draw(some_points)
        trailing = TrailingSpec("step", min(step, draw(some_points | st.decimals("0.01", "3", places=2))), step=step, start=start)
    spec = ExitSpec(
        stop_points=away if form == "points" else None,
        stop_pct=away if form == "pct" else None,
        targets=tuple(targets),
        trailing=trailing,
        cost_after_target=draw(st.none() | st.integers(1, count)) if count else None,
        booking=draw(st.sampled_from(["remainder", "even"])),
        max_minutes=draw(st.none() | st.just(9)),
    )
    assume(not spec.empty)
    return spec


def _target(draw: st.DrawFn, only_points: bool) -> TargetSpec:
    """With a rung in every second case: anywhere from far on the losing side to the target itself."""
    share, behind = Decimal(draw(st.integers(1, 33))), draw(st.none() | st.integers(0, 600).map(on_tick))
    if only_points or draw(st.booleans()):
        points = draw(some_points)
        return TargetSpec(share, points=points, then_points=None if behind is None else points - behind)
    pct = draw(some_percent)
    return TargetSpec(share, pct=pct, then_pct=None if behind is None else pct - behind)


def armed(spec: ExitSpec, side: Side, quantity: int = 100, entry: Decimal = ENTRY) -> ExitPlan:
    return sure(make_plan("P1", KEY, "U1", side, entry, D(quantity), spec, OPTION, 1.0))


def walk(plan: ExitPlan, path: list[Decimal]) -> tuple[ExitPlan, list[ExitOrder]]:
    left: list[ExitOrder] = []
    for price in path:
        plan, exits = on_price(plan, price, 2.0)
        left += exits
    return plan, left


def moves_the_stop(target: TargetSpec) -> bool:
    return target.then_points is not None or target.then_pct is not None


def tighter_or_equal(side: Side, stop: Decimal | None, than: Decimal | None) -> bool:
    if than is None:
        return True
    return stop is not None and side.sign * (stop - than) >= 0


sides = st.sampled_from(Side)
paths = st.lists(prices | nonsense, max_size=40)


@given(specs(), sides, paths)
def test_a_trailing_stop_only_tightens(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    plan = armed(spec, side)
    for price in path:
        before = plan.stop
        plan, _ = on_price(plan, price, 2.0)
        assert tighter_or_equal(side, plan.stop, before)


@given(specs(), sides, paths)
def test_a_stop_fires_at_most_once_and_nothing_after_it(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    _, left = walk(armed(spec, side), path)
    assert [one.role for one in left].count(Role.STOP) <= 1
    assert Role.STOP not in [one.role for one in left[:-1]]


@given(specs(), sides, paths, st.integers(1, 300))
def test_stop_and_targets_never_let_go_of_more_than_is_guarded(spec: ExitSpec, side: Side, path: list[Decimal], quantity: int) -> None:
    plan, left = walk(armed(spec, side, quantity), path)
    assert sum((one.quantity for one in left), ZERO) + guarded(plan) == quantity
    assert all(one.quantity > 0 for one in left)
    assert max(Counter(one.leg for one in left).values(), default=0) <= 1


@given(specs(), sides, paths)
def test_a_stop_that_fires_lets_go_of_all_the_rest(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    plan, left = walk(armed(spec, side), path)
    assert (plan.state is PlanState.STOPPED) == any(one.role is Role.STOP for one in left)
    if plan.state is PlanState.STOPPED:
        assert sum((one.quantity for one in left), ZERO) == 100


@given(specs(), sides, paths, st.lists(st.integers(0, 39), max_size=6))
def test_repeated_prices_change_nothing(spec: ExitSpec, side: Side, path: list[Decimal], repeats: list[int]) -> None:
    plan = armed(spec, side)
    for price in path:
        plan, _ = on_price(plan, price, 2.0)
        again = on_price(plan, price, 2.0)
        # Only one thing may follow from the same price: a target has just moved the stop to it or beyond it.
        assert again == (plan, ()) or plan.spec.cost_after_target is not None or any(moves_the_stop(one) for one in spec.targets)


@given(specs(), sides, paths)
def test_nonsense_prices_are_as_if_they_had_never_come(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    clean = [price for price in path if price.is_finite() and price > 0]
    assert walk(armed(spec, side), path) == walk(armed(spec, side), clean)


@given(specs(), sides, st.lists(prices, max_size=40), st.decimals("90", "110", places=6))
def test_a_price_between_the_levels_changes_nothing(spec: ExitSpec, side: Side, path: list[Decimal], entry: Decimal) -> None:
    """Shown only the prices at which a level fires, a plan does the same as one that sees every tick; and a fired level always has an effect."""
    watching = seeing = armed(spec, side, entry=entry)
    book = TriggerBook()
    book.set("P1", levels(watching))
    for price in path:
        seeing, expected = on_price(seeing, price, 2.0)
        exits: tuple[ExitOrder, ...] = ()
        if book.on_tick(KEY.symbol, float(price)):
            before = watching
            watching, exits = on_price(watching, price, 2.0)
            assert watching != before
            book.set("P1", levels(watching))
        assert exits == expected
        assert (watching.stop, watching.targets, watching.state) == (seeing.stop, seeing.targets, seeing.state)


@given(specs(), sides, st.lists(prices, max_size=20), st.floats(-0.024, 0.024))
def test_a_price_off_the_tick_that_fires_a_level_still_has_its_effect(spec: ExitSpec, side: Side, path: list[Decimal], off: float) -> None:
    plan = armed(spec, side)
    book = TriggerBook()
    book.set("P1", levels(plan))
    for price in path:
        raw = float(price) + off
        if book.on_tick(KEY.symbol, raw):
            changed, _ = on_price(plan, to_tick(raw, TICK), 2.0)
            assert changed != plan
            plan = changed
            book.set("P1", levels(plan))


@given(specs(), sides, st.lists(prices, max_size=30))
def test_an_armed_stop_has_not_been_touched_yet(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    plan = armed(spec, side)
    for price in path:
        untouched = plan.stop is None or side.sign * (price - plan.stop) > 0
        plan, _ = on_price(plan, price, 2.0)
        assert untouched or plan.state is PlanState.STOPPED or not guarded(plan)


@given(specs(only_points=True), st.lists(prices, max_size=30))
def test_a_short_position_is_the_mirror_of_a_long_one(spec: ExitSpec, path: list[Decimal]) -> None:
    long, left_long = walk(armed(spec, Side.BUY), path)
    short, left_short = walk(armed(spec, Side.SELL), [2 * ENTRY - price for price in path])
    assert left_short == left_long
    assert short.stop == (None if long.stop is None else 2 * ENTRY - long.stop)
    assert [2 * ENTRY - one.price for one in short.targets] == [one.price for one in long.targets]


@given(specs(), sides, st.integers(1, 400))
def test_targets_are_whole_lots_and_never_exceed_the_quantity(spec: ExitSpec, side: Side, quantity: int) -> None:
    parts = [one.quantity for one in armed(spec, side, quantity).targets]
    assert all(part % OPTION.lot == 0 for part in parts)
    assert all(part >= 0 for part in parts)
    assert sum(parts, ZERO) <= quantity * sum((one.share_pct for one in spec.targets), ZERO) / 100


@given(specs(), sides, paths)
def test_after_the_deadline_only_what_was_guarded_leaves_and_only_once(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    plan, _ = walk(armed(spec, side), path)
    rest, (ended, exits) = guarded(plan), on_time(plan, 1e9)
    assert sum((one.quantity for one in exits), ZERO) == (rest if plan.deadline is not None else 0)
    assert [one.leg for one in exits] == ["time"] * len(exits)
    if exits:
        assert walk(ended, path) == (ended, [])
        assert on_time(ended, 2e9) == (ended, ())


@given(specs(), sides, st.lists(prices, max_size=10))
def test_a_plan_read_back_from_the_journal_goes_on_as_before(spec: ExitSpec, side: Side, path: list[Decimal]) -> None:
    plan = armed(spec, side)
    for price in path:
        stored = loads(ExitPlan, dumps(plan))
        assert stored == plan
        assert on_price(stored, price, 2.0) == on_price(plan, price, 2.0)
        plan, _ = on_price(plan, price, 2.0)


class LifeOfAPlan(RuleBasedStateMachine):
    """Entries that fill late, targets that fail, a person who edits, restarts, and any price: law 9 holds at every moment."""

    @initialize(spec=specs(), side=sides, quantity=st.integers(1, 200))
    def arm(self, spec: ExitSpec, side: Side, quantity: int) -> None:
        self.plan = armed(spec, side, quantity)
        self.entered = D(quantity)
        self.out: list[ExitOrder] = []  # asked for and not given back
        self.given_back = ZERO
        self.stops = 0
        self.floor = self.plan.stop

    def is_armed(self) -> bool:
        return self.plan.state is PlanState.ARMED

    @rule(price=prices | nonsense)
    def price(self, price: Decimal) -> None:
        self.plan, exits = on_price(self.plan, price, 2.0)
        self.out += exits
        self.stops += sum(one.role is Role.STOP for one in exits)

    @precondition(is_armed)
    @rule(quantity=st.integers(1, 50), average=st.integers(1900, 2100).map(on_tick))
    def more_of_the_entry_fills(self, quantity: int, average: Decimal) -> None:
        self.plan = grow(self.plan, D(quantity), average, 3.0)
        self.entered += quantity

    @precondition(is_armed)
    @rule(share=st.integers(1, 100))
    def a_targets_exit_fails(self, share: int) -> None:
        through_targets = sum((one.quantity for one in self.plan.targets if one.fired), ZERO)
        failed = (through_targets * share / 100).to_integral_value()
        self.plan = give_back(self.plan, failed, 4.0)
        self.given_back += failed

    @precondition(is_armed)
    @rule(spec=specs())
    def a_person_edits(self, spec: ExitSpec) -> None:
        self.plan = edit(self.plan, spec, 5.0)
        self.floor = self.plan.stop  # a person may loosen it

    @rule()
    def the_deadline_comes(self) -> None:
        self.plan, exits = on_time(self.plan, 1e9)
        self.out += exits
        self.stops += len(exits)

    @rule()
    def restart(self) -> None:
        self.plan = loads(ExitPlan, dumps(self.plan))

    @invariant()
    def the_stop_only_tightens(self) -> None:
        assert tighter_or_equal(self.plan.side, self.plan.stop, self.floor)
        self.floor = self.plan.stop

    @invariant()
    def the_stop_fires_at_most_once(self) -> None:
        assert self.stops <= 1
        assert (self.stops == 1) == (self.plan.state is PlanState.STOPPED)

    @invariant()
    def exits_never_exceed_what_entered(self) -> None:
        gone = sum((one.quantity for one in self.out), ZERO) - self.given_back
        assert gone + guarded(self.plan) == self.entered
        assert min(gone, guarded(self.plan)) >= 0

    @invariant()
    def the_book_can_watch_it(self) -> None:
        TriggerBook().set("P1", levels(self.plan))


LifeOfAPlan.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestLifeOfAPlan = LifeOfAPlan.TestCase
