"""Exit plans as small tables: a spec and a path of prices, and what leaves at which price and where the stop stands."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engines.core.exits import ExitOrder, check_spec, close, edit, give_back, gone, grow, guarded, levels, make_plan, on_price, stop_for
from engines.core.model import ExitPlan, ExitSpec, Instrument, PlanState, Role, Side, TargetSpec
from engines.core.triggers import Level
from tests.core.making import INFY, KEY, D
from tests.core.plans import plan, spec

BUY, SELL = Side.BUY, Side.SELL


def follow(now: ExitPlan, prices: str) -> tuple[ExitPlan, list[str]]:
    """The plan after the prices, and what left as "leg quantity @ price"."""
    left = []
    for price in prices.split():
        now, exits = on_price(now, D(price), 2.0)
        left += [f"{one.leg} {one.quantity} @ {price}" for one in exits]
    return now, left


# --- making ----------------------------------------------------------------------------------------------------------


def test_an_empty_spec_makes_no_plan() -> None:
    assert make_plan("P1", KEY, "U1", BUY, D(100), D(10), ExitSpec(), INFY, 1.0) is None


@pytest.mark.parametrize(
    ("wanted", "side", "entry", "stop", "targets"),
    [
        (spec("98"), BUY, "100", "98", []),
        (spec(pct="1.5"), BUY, "100", "98.5", []),
        (spec(points="2.5"), BUY, "100", "97.5", []),
        (spec(pct="1.5"), SELL, "100", "101.5", []),
        (spec(points="2.5"), SELL, "100", "102.5", []),
        (spec(targets="110:50 5%:30 20pt:20"), BUY, "100", None, ["110", "105", "120"]),
        (spec(targets="90:50 5%:30 20pt:20"), SELL, "100", None, ["90", "95", "80"]),
        (spec(pct="1", targets="1%:100"), BUY, "1520.05", "1504.80", ["1535.25"]),  # 1504.8495 away, 1535.2505 to the nearest
        (spec(pct="1", targets="1%:100"), SELL, "1520.05", "1535.30", ["1504.85"]),
        (spec("97.97"), BUY, "100", "97.95", []),
        (spec(trail="percent 2"), BUY, "100", "98", []),
        (spec("97", trail="percent 2"), BUY, "100", "98", []),
        (spec("99", trail="percent 2"), BUY, "100", "99", []),
        (spec(trail="percent 2 from 5"), BUY, "100", None, []),
        (spec(trail="percent 2"), SELL, "100", "102", []),
        (spec("95", trail="step 5 10"), BUY, "100", "95", []),
    ],
)
def test_every_form_of_stop_and_target_becomes_a_price_on_the_tick(
    wanted: ExitSpec, side: Side, entry: str, stop: str | None, targets: list[str]
) -> None:
    made = plan(wanted, side, entry)
    assert made.stop == (None if stop is None else D(stop))
    assert [one.price for one in made.targets] == [D(price) for price in targets]
    assert made.stop == stop_for(wanted, side, D(entry), INFY.tick_size)
    assert (made.state, made.best_price, guarded(made)) == (PlanState.ARMED, D(entry), D(100))


@pytest.mark.parametrize(
    ("quantity", "lot", "shares", "parts"),
    [
        ("100", 1, "50 30 20", "50 30 20"),
        ("3", 1, "50 50", "2 1"),
        ("3", 1, "33 33 33", "1 1 0"),
        ("3", 1, "33.33 33.33 33.34", "1 1 1"),
        ("10", 1, "33.33333333 33.33333333 33.33333334", "3 3 4"),
        ("1", 1, "50 50", "1 0"),
        ("225", 75, "50 50", "150 75"),
        ("150", 75, "30 30 40", "75 0 75"),
        ("100", 1, "25", "25"),
        ("100", 1, "0.5", "0"),
    ],
)
def test_targets_share_the_quantity_in_whole_lots_by_largest_remainder(quantity: str, lot: int, shares: str, parts: str) -> None:
    wanted = spec(targets=" ".join(f"{110 + n}:{share}" for n, share in enumerate(shares.split())))
    instrument = Instrument("NFO:X", "X", "NFO", D("0.05"), lot_size=lot)
    assert [one.quantity for one in plan(wanted, quantity=quantity, instrument=instrument).targets] == [D(p) for p in parts.split()]


def test_targets_of_a_divisible_instrument_go_by_its_step() -> None:
    bitcoin = Instrument("BINANCE:BTCUSDT", "BTC", "BINANCE", D("0.01"), quantity_step=D("0.00001"), segment="SPOT")
    made = plan(spec(targets="61000:50 62000:50"), entry="60000", quantity="0.00015", instrument=bitcoin)
    assert [one.quantity for one in made.targets] == [D("0.00008"), D("0.00007")]


@pytest.mark.parametrize(
    ("wanted", "side", "words"),
    [
        (spec("101"), BUY, "the stop 101 of a long position must be below 100"),
        (spec("100"), BUY, "the stop 100 of a long position must be below 100"),
        (spec("99"), SELL, "the stop 99 of a short position must be above 100"),
        (spec("98", pct="1"), BUY, "more than one form"),
        (spec("0"), BUY, "the stop must be above zero, not 0"),
        (spec("-5"), BUY, "the stop must be above zero, not -5"),
        (spec("NaN"), BUY, "the stop must be above zero, not NaN"),
        (spec("Infinity"), SELL, "the stop must be above zero, not Infinity"),
        (spec(pct="100"), BUY, "less than 100 % away"),
        (spec(points="100"), BUY, "the stop is further away than the price itself"),
        (spec(targets="99:50"), BUY, "target 1 at 99 of a long position must be above 100"),
        (spec(targets="99:50 101:50"), SELL, "target 2 at 101 of a short position must be below 100"),
        (spec(targets="110:60 120:50"), BUY, "share out more than 100 %"),
        (spec(targets="110:0"), BUY, "the share of target 1 must be above zero"),
        (spec(targets="0%:50"), BUY, "target 1 must be above zero"),
        (spec(targets="100%:50"), SELL, "target 1 of a short position must be less than 100 % away"),
        (spec(targets="100pt:50"), SELL, "target 1 is further away than the price itself"),
        (ExitSpec(targets=(TargetSpec(D(50)),)), BUY, "target 1 needs exactly one"),
        (ExitSpec(targets=(TargetSpec(D(50), price=D(110), pct=D(5)),)), BUY, "target 1 needs exactly one"),
        (spec(targets="110:50", cost_after=2), BUY, "cannot move to cost after target 2: there are 1"),
        (spec(targets="110:50", cost_after=0), BUY, "cannot move to cost after target 0"),
        (spec(trail="percent 0"), BUY, "the trail must be above zero"),
        (spec(trail="percent 100"), BUY, "less than 100 % behind"),
        (spec(trail="percent 2 from -1"), BUY, "cannot begin at -1 points"),
        (spec(trail="jump 2"), BUY, "not by jump"),
        (spec("95", trail="step 5"), BUY, "needs the step"),
        (spec("95", trail="step 5 0"), BUY, "the step of the trail must be above zero"),
        (spec(trail="step 5 10"), BUY, "needs a stop to move"),
        (spec("95", trail="step 11 10"), BUY, "overtake the price"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_in_clear_words(wanted: ExitSpec, side: Side, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(wanted, side)
    with pytest.raises(ValueError, match=words):
        check_spec(wanted, side, D(100))


def test_a_level_is_judged_by_the_market_when_the_market_is_told() -> None:
    assert plan(spec("105"), market=D(110)).stop == D(105)  # a profit already made is locked
    with pytest.raises(ValueError, match="must be below 104"):
        plan(spec("105"), market=D(104))
    assert plan(spec(targets="95:100"), market=D(90)).targets[0].price == D(95)  # out at a smaller loss


def test_at_a_fill_nothing_is_left_unguarded_and_what_the_market_has_passed_fires_on_the_next_price() -> None:
    gapped = plan(spec("101", targets="130:50"), at_fill=True)
    assert follow(gapped, "100.5")[1] == ["stop 100 @ 100.5"]
    assert plan(spec(points="150"), at_fill=True).stop == D("0.05")  # asked for at a higher price
    assert plan(ExitSpec(stop_pct=D(100)), at_fill=True).stop == D("0.05")
    past = plan(spec("90", targets="99:50"), at_fill=True)
    assert follow(past, "100.5 89")[1] == ["target:1 50 @ 100.5", "stop 50 @ 89"]


# --- prices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "side", "prices", "left", "stop", "state"),
    [
        # a stop fires at its price, once
        (spec("98"), BUY, "99 98.05", [], "98", "armed"),
        (spec("98"), BUY, "99 98 97 90 120", ["stop 100 @ 98"], "98", "stopped"),
        (spec("98"), BUY, "95", ["stop 100 @ 95"], "98", "stopped"),
        (spec("102"), SELL, "101.95 102 110", ["stop 100 @ 102"], "102", "stopped"),
        # targets fire once each, the stop lets go of the rest
        (
            spec("98", targets="105:50 110:30"),
            BUY,
            "105 104 106 110 98",
            ["target:1 50 @ 105", "target:2 30 @ 110", "stop 20 @ 98"],
            "98",
            "stopped",
        ),
        (spec("98", targets="105:50 110:50"), BUY, "112 97 112", ["target:1 50 @ 112", "target:2 50 @ 112"], "98", "armed"),
        (spec("102", targets="95:50 90:50"), SELL, "95 103", ["target:1 50 @ 95", "stop 50 @ 103"], "102", "stopped"),
        (spec("98", targets="110:50 105:50"), BUY, "105 110", ["target:2 50 @ 105", "target:1 50 @ 110"], "98", "armed"),
        # prices that are none
        (spec("98", targets="105:100"), BUY, "NaN 0 -5 Infinity -Infinity sNaN", [], "98", "armed"),
        # trailing by percent
        (spec(trail="percent 2"), BUY, "110 108", [], "107.8", "armed"),
        (spec(trail="percent 2"), BUY, "110 107.8", ["stop 100 @ 107.8"], "107.8", "stopped"),
        (spec(trail="percent 2"), BUY, "110 100.5", ["stop 100 @ 100.5"], "107.8", "stopped"),
        (spec(trail="percent 2"), SELL, "90 91.75", [], "91.8", "armed"),
        (spec(trail="percent 2"), SELL, "90 91.8", ["stop 100 @ 91.8"], "91.8", "stopped"),
        (spec("95", trail="percent 2 from 5"), BUY, "104.95", [], "95", "armed"),
        (spec("95", trail="percent 2 from 5"), BUY, "105", [], "102.9", "armed"),
        (spec(trail="percent 2 from 5"), BUY, "104 60 105 102.9", ["stop 100 @ 102.9"], "102.9", "stopped"),
        # trailing by step: for each 10 points of progress the stop moves 5
        (spec("95", trail="step 5 10"), BUY, "109.95", [], "95", "armed"),
        (spec("95", trail="step 5 10"), BUY, "110", [], "100", "armed"),
        (spec("95", trail="step 5 10"), BUY, "135 110.05", [], "110", "armed"),
        (spec("95", trail="step 5 10"), BUY, "135 110", ["stop 100 @ 110"], "110", "stopped"),
        (spec("105", trail="step 5 10"), SELL, "79.95", [], "95", "armed"),
        (spec("95", trail="step 5 10 from 25"), BUY, "124.95", [], "95", "armed"),
        (spec("95", trail="step 5 10 from 25"), BUY, "125", [], "105", "armed"),
        # the stop moves to cost after a target, and never back
        (spec("95", targets="105:50 120:50", cost_after=1), BUY, "105 101", ["target:1 50 @ 105"], "100", "armed"),
        (spec("95", targets="105:50 120:50", cost_after=1), BUY, "105 100", ["target:1 50 @ 105", "stop 50 @ 100"], "100", "stopped"),
        (spec("95", targets="105:50 120:30", cost_after=2), BUY, "105 100", ["target:1 50 @ 105"], "95", "armed"),
        (spec("95", targets="110:50", trail="percent 2", cost_after=1), BUY, "110", ["target:1 50 @ 110"], "107.8", "armed"),
        (spec("105", targets="95:50", cost_after=1), SELL, "95 100", ["target:1 50 @ 95", "stop 50 @ 100"], "100", "stopped"),
        # a target too small for a lot still counts for the move to cost
        (spec("95", targets="105:0.5", cost_after=1), BUY, "105 100", ["stop 100 @ 100"], "100", "stopped"),
    ],
)
def test_what_leaves_on_a_path_of_prices(wanted: ExitSpec, side: Side, prices: str, left: list[str], stop: str, state: str) -> None:
    after, gone = follow(plan(wanted, side), prices)
    assert (gone, after.stop, after.state) == (left, D(stop), state)


def test_the_exits_carry_their_role() -> None:
    _, exits = on_price(plan(spec("98", targets="105:50")), D(105), 2.0)
    assert exits == (ExitOrder("target:1", Role.TARGET, D(50)),)
    _, exits = on_price(plan(spec("98", targets="105:50")), D(98), 2.0)
    assert exits == (ExitOrder("stop", Role.STOP, D(100)),)


def test_a_price_that_changes_nothing_gives_the_very_same_plan() -> None:
    armed = plan(spec("95", targets="110:50", trail="step 5 10"))
    for price in ("99", "100", "NaN", "0"):
        assert on_price(armed, D(price), 9.0) == (armed, ())
        assert on_price(armed, D(price), 9.0)[0] is armed


def test_the_average_entry_price_is_cost_on_the_tick_that_does_not_lose() -> None:
    wanted = spec("95", targets="105:50", cost_after=1)
    assert follow(plan(wanted, BUY, "100.0333333"), "105")[0].stop == D("100.05")
    assert follow(plan(spec("105", targets="95:50", cost_after=1), SELL, "100.0333333"), "95")[0].stop == D("100.00")


# --- levels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "side", "prices", "expected"),
    [
        (spec("98", targets="105:50 110:50"), BUY, "", "stop 98.0 down, target:1 105.0 up, target:2 110.0 up"),
        (spec("98", targets="105:50 110:50"), BUY, "106", "stop 98.0 down, target:2 110.0 up"),
        (spec("102", targets="95:50"), SELL, "", "stop 102.0 up, target:1 95.0 down"),
        (spec("98", targets="105:50 110:50"), BUY, "111", ""),
        (spec("98"), BUY, "97", ""),
        (spec("95", trail="step 5 10"), BUY, "", "stop 95.0 down, trail 110.0 up"),
        (spec("95", trail="step 5 10"), BUY, "114", "stop 100.0 down, trail 120.0 up"),
        (spec("105", trail="step 5 10"), SELL, "86", "stop 100.0 up, trail 80.0 down"),
        (spec("95", trail="step 5 10 from 25"), BUY, "", "stop 95.0 down, trail 125.0 up"),
        (spec(trail="percent 2"), BUY, "", "stop 98.0 down, trail 100.1 up"),  # 98.05 / 0.98 = 100.0510, up to the tick
        (spec(trail="percent 2"), SELL, "", "stop 102.0 up, trail 99.95 down"),  # 101.95 / 1.02 = 99.9509
        (spec(trail="percent 2 from 5"), BUY, "", "trail 105.0 up"),
        (spec("99", trail="percent 2"), BUY, "", "stop 99.0 down, trail 101.1 up"),  # 99.05 / 0.98 = 101.0714
        (
            spec(points="99.99", trail="percent 99.99"),
            BUY,
            "",
            "stop 0.05 down, trail 1000.0 up",
        ),  # never below the lowest tick: it would not guard
    ],
)
def test_the_book_watches_only_prices_at_which_something_happens(wanted: ExitSpec, side: Side, prices: str, expected: str) -> None:
    watched = levels(follow(plan(wanted, side), prices)[0])
    assert ", ".join(f"{one.leg} {one.price} {one.direction}" for one in watched) == expected
    assert all((one.owner_id, one.symbol) == ("P1", "NSE:INFY") for one in watched)


def test_a_level_is_what_the_trigger_book_takes() -> None:
    assert levels(plan(spec("98"))) == (Level("P1", "stop", "NSE:INFY", 98.0, "down"),)


# --- growing ---------------------------------------------------------------------------------------------------------


def test_a_plan_grows_with_its_entry_and_its_levels_follow_the_average() -> None:
    grown = grow(plan(spec(pct="2", targets="5%:50 10%:50"), quantity="50"), D(50), D(101), 3.0)
    assert (grown.quantity, grown.entry_price, grown.stop, grown.updated_at) == (D(100), D(101), D("98.95"), 3.0)
    assert [(t.price, t.quantity) for t in grown.targets] == [(D("106.05"), D(50)), (D("111.10"), D(50))]


def test_growing_never_loosens_the_stop() -> None:
    assert grow(plan(spec(pct="2")), D(100), D(98), 3.0).stop == D(98)
    trailed, _ = follow(plan(spec(trail="percent 2")), "110")
    assert grow(trailed, D(100), D(105), 3.0).stop == D("107.8")


def test_a_target_that_has_fired_does_not_fire_for_what_came_later() -> None:
    fired, _ = follow(plan(spec("95", targets="105:50 110:50")), "105")
    grown = grow(fired, D(100), D(102), 3.0)
    assert [(t.fired, t.quantity) for t in grown.targets] == [(True, D(50)), (False, D(100))]
    assert guarded(grown) == D(150)
    assert follow(grown, "106 110 95")[1] == ["target:2 100 @ 110", "stop 50 @ 95"]


@pytest.mark.parametrize("ended", [follow(plan(spec("98")), "97")[0], close(plan(spec("98")), 2.0)])
def test_a_plan_that_has_ended_neither_grows_nor_changes(ended: ExitPlan) -> None:
    with pytest.raises(ValueError, match="has ended"):
        grow(ended, D(10), D(100), 3.0)
    with pytest.raises(ValueError, match="has ended"):
        edit(ended, spec("90"), 3.0)
    assert on_price(ended, D(1), 3.0) == (ended, ())
    assert levels(ended) == ()
    assert guarded(ended) == 0


# --- a person's edit -------------------------------------------------------------------------------------------------


def test_a_person_moves_the_stop_both_ways() -> None:
    armed = plan(spec("98"))
    assert edit(armed, spec("99"), 3.0).stop == D(99)
    assert edit(armed, spec("95"), 3.0).stop == D(95)
    assert edit(armed, spec(targets="110:50"), 3.0).stop is None


def test_an_empty_spec_takes_the_plan_away() -> None:
    assert edit(plan(spec("98")), ExitSpec(), 3.0).state is PlanState.DONE


@pytest.mark.parametrize(
    ("prices", "change", "market", "words"),
    [
        ("", spec("105"), "104", "the stop 105 of a long position must be below 104"),
        ("", spec("95", targets="101:50"), "104", "target 1 at 101 of a long position must be above 104"),
        ("120", spec(trail="percent 2"), "116", "the stop would be at 117.60 and fire at once: the price is 116"),
        ("", spec("95", pct="2"), "104", "more than one form"),
    ],
)
def test_an_edit_that_would_fire_at_once_is_refused(prices: str, change: ExitSpec, market: str, words: str) -> None:
    armed, _ = follow(plan(spec("90")), prices)
    with pytest.raises(ValueError, match=words):
        edit(armed, change, 3.0, D(market))


def test_a_profit_can_be_locked_and_a_loss_cut_short_by_the_market() -> None:
    assert edit(plan(spec("95")), spec("103"), 3.0, D(104)).stop == D(103)
    assert edit(plan(spec("80")), spec("80", targets="95:100"), 3.0, D(90)).targets[0].price == D(95)


def test_a_target_that_has_fired_stays_fired_when_only_the_stop_is_changed() -> None:
    both = "105:50 110:50"
    fired, _ = follow(plan(spec("95", targets=both)), "105")
    moved = edit(fired, spec("99", targets=both), 3.0, D(104))
    assert [(t.price, t.quantity, t.fired) for t in moved.targets] == [(D(105), D(50), True), (D(110), D(50), False)]
    assert follow(moved, "106 99")[1] == ["stop 50 @ 99"]


def test_new_targets_share_what_is_still_guarded() -> None:
    fired, _ = follow(plan(spec("95", targets="105:50 110:50")), "105")
    changed = edit(fired, spec("95", targets="108:50 112:50"), 3.0, D(104))
    assert (changed.quantity, guarded(changed)) == (D(50), D(50))
    assert follow(changed, "112")[1] == ["target:1 25 @ 112", "target:2 25 @ 112"]


def test_the_steps_of_a_trail_count_from_the_edit() -> None:
    far, _ = follow(plan(spec("95", trail="step 5 10")), "135")
    assert far.stop == D(110)
    moved = edit(far, spec("105", trail="step 5 10"), 3.0, D(134))
    assert moved.stop == D(105)
    assert follow(moved, "144.95")[0].stop == D(105)
    assert follow(moved, "145")[0].stop == D(110)
    assert [(one.leg, one.price) for one in levels(moved)] == [("stop", 105.0), ("trail", 145.0)]


# --- an exit that did not fill ---------------------------------------------------------------------------------------


def test_what_a_targets_exit_did_not_fill_is_under_the_stop_again() -> None:
    fired, _ = follow(plan(spec("95", targets="105:50 110:50")), "105")
    back = give_back(fired, D(30), 3.0)
    assert [(t.quantity, t.fired) for t in back.targets] == [(D(20), True), (D(50), False)]
    assert follow(back, "105 95")[1] == ["stop 80 @ 95"]


def test_no_more_is_given_back_than_was_let_go() -> None:
    fired, _ = follow(plan(spec("95", targets="105:50 110:50")), "111")
    back = give_back(fired, D(70), 3.0)
    assert [t.quantity for t in back.targets] == [D(30), D(0)]
    assert guarded(give_back(back, D(900), 3.0)) == D(100)
    assert follow(back, "95")[1] == ["stop 70 @ 95"]


def test_an_old_clock_never_turns_the_plan_back() -> None:
    assert close(plan(spec("98")), 0.5).updated_at == 1.0


def test_decimals_stay_exact() -> None:
    after, _ = follow(plan(spec(trail="percent 0.37"), entry="1520.05"), "1533.35 1533.40")
    assert isinstance(after.stop, Decimal)
    assert after.stop % INFY.tick_size == 0


@pytest.mark.parametrize(
    ("left", "held", "rest", "state"),
    [
        ("4", "6", "6", PlanState.STOPPED),
        ("4", "16", "6", PlanState.STOPPED),  # what was added is not its own
        ("0", "7", "7", PlanState.STOPPED),  # somebody else has taken three out
        ("10", "5", "0", PlanState.DONE),
        ("12", "5", "0", PlanState.DONE),
        ("0", "20", "10", PlanState.STOPPED),
    ],
)
def test_a_plan_that_has_fired_asks_for_what_of_it_has_not_left(left: str, held: str, rest: str, state: PlanState) -> None:
    fired, _ = follow(plan(spec("95"), quantity="10"), "94")
    after = gone(fired, D(left), D(held), 3.0)
    assert (after.quantity, after.state) == (D(rest), state)
