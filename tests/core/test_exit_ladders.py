"""Ladders, shares and deadlines of a plan: the candle tables walked without any engine, races of fills and exits, and the hours of the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from math import inf
from pathlib import Path

import pytest

from engines.core.bars import Levels, nearest, ticks_within
from engines.core.codec import dumps, loads
from engines.core.exit_specs import deadline_for
from engines.core.exits import check_spec, edit, give_back, grow, guarded, levels, make_plan, on_price, on_time, shrink
from engines.core.model import ExitPlan, ExitSpec, Instrument, PlanState, Side, TargetSpec
from engines.core.prices import exact
from engines.core.sessions import CalendarDay, load_calendar, with_days
from tests.core.exit_rows import ENTRY_AT, EVEN, LADDER, ROWS, TEN, Row, spelled_out
from tests.core.making import KEY, D, sure
from tests.core.plans import plan, recipe, spec
from tests.market.making import INFY

BUY, SELL = Side.BUY, Side.SELL
LOTS = Instrument("NFO:X", "X", "NFO", D("0.05"), lot_size=75, segment="FUT")


# --- the candle tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=[row.words for row in ROWS])
def test_what_leaves_where(row: Row) -> None:
    made = make_plan("P1", KEY, "U1", row.side, D(100), D(row.quantity), recipe(row.recipe), INFY, ENTRY_AT, "S1", at_fill=True)
    assert walk(sure(made), row) == row.exits


def test_there_are_enough_rows() -> None:
    assert len(ROWS) >= 60
    assert len({row.words for row in ROWS}) == len(ROWS)


def test_the_rows_are_those_of_the_book_word_for_word() -> None:
    told = (Path(__file__).parents[2] / "docs" / "exit-plans.md").read_text("utf-8").split("## Every case, as bars")[1]
    cells = [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")] for line in told.splitlines() if line.startswith("| ")]
    written = {row[0]: (row[1], spelled_out(row[2]), row[3], row[4]) for row in cells if len(row) == 5 and row[0] != "case"}
    sides = {BUY: "long", SELL: "short"}
    assert written == {
        row.words: (f"{sides[row.side]} {row.quantity}", row.recipe, row.bars, row.exits if row.exits != "-" else "nothing") for row in ROWS
    }


def walk(guarding: ExitPlan, row: Row) -> str:
    """The exits as the row writes them; the plan is stored and read back between any two prices, as if the program had started anew."""
    left = []
    for n, candle in enumerate(row.candles()):
        ticks = ticks_within(candle, lambda: resting(guarding))  # noqa: B023 - the plan as it is by then
        if n == 0:
            next(ticks)  # the entry's own price
        for tick in ticks:
            guarding, exits = on_price(loads(ExitPlan, dumps(guarding)), exact(tick.last_price), tick.at)
            left += [f"{n}: {one.leg.partition(':')[0]} {one.quantity} @ {tick.last_price:g}" for one in exits]
    return ", ".join(left) or "-"


def resting(guarding: ExitPlan) -> Levels:
    each = []
    for level in levels(guarding):
        if level.leg == "trail":
            continue
        up, stop = level.direction == "up", level.leg == "stop"
        each.append(
            (-inf, level.price, inf, inf)
            if stop and not up
            else (-inf, -inf, inf, level.price)
            if stop
            else (-inf, -inf, level.price, inf)
            if up
            else (level.price, -inf, inf, inf)
        )
    return nearest(*each)


# --- the ladder itself -----------------------------------------------------------------------------------------------


def test_the_published_ladder_of_3_january_2024_in_prices_on_the_tick() -> None:
    """R of 199.95 under 21573.6455: the short's T1 to T10 to the nearest tick, Y1 to Y10 above it, and the exit at Y2 after T1."""
    anchor, r = D("21573.6455"), D("199.95")
    t = [anchor - i * r / 20 for i in range(11)]
    y = [anchor + r / 2, *t]
    rungs = tuple(TargetSpec(D(10), price=t[i], then_price=y[i] if i < 10 else None) for i in range(1, 11))
    wanted = ExitSpec(stop_price=y[0], targets=rungs, booking="even", exit_at="15:05")
    index = Instrument("NSE:NIFTY", "Nifty 50", "NSE", D("0.05"))
    made = sure(make_plan("P1", KEY, "U1", SELL, D("21564.70"), D(3), wanted, index, ENTRY_AT, at_fill=True))
    expected = "21563.65 21553.65 21543.65 21533.65 21523.65 21513.65 21503.65 21493.65 21483.65 21473.65"
    assert [str(one.price) for one in made.targets] == expected.split()
    assert [n for n, one in enumerate(made.targets, 1) if one.quantity] == [4, 7, 10]
    assert made.stop == D("21673.65")
    after, exits = on_price(made, D("21563.65"), ENTRY_AT)
    assert (after.stop, exits) == (D("21573.65"), ())
    stopped, exits = on_price(after, D("21573.65"), ENTRY_AT)
    assert (stopped.state, exits[0].quantity) == (PlanState.STOPPED, 3)


@pytest.mark.parametrize("tick", ["0.05", "0.10"])
@pytest.mark.parametrize(("side", "stops"), [(BUY, "95 100 101 102 103 104 105 106 107 108"), (SELL, "105 100 99 98 97 96 95 94 93 92")])
def test_while_waiting_for_a_target_the_stop_is_its_own_rung(side: Side, stops: str, tick: str) -> None:
    away = [TargetSpec(D(10), points=D(n), then_points=D(n - 1) if n < 10 else None) for n in range(1, 11)]
    guarding = plan(ExitSpec(stop_points=D(5), targets=tuple(away)), side, instrument=replace(INFY, tick_size=D(tick)))
    seen = []
    for n in range(1, 11):
        seen.append(f"{sure(guarding.stop).normalize():f}")
        guarding, _ = on_price(guarding, D(100) + side.sign * n, 2.0)
    assert seen == stops.split()


@pytest.mark.parametrize(
    ("quantity", "words", "parts"),
    [
        ("75", EVEN, "0 0 0 0 0 0 0 0 0 75"),
        ("150", EVEN, "0 0 0 0 75 0 0 0 0 75"),
        ("225", EVEN, "0 0 0 75 0 0 75 0 0 75"),
        ("750", EVEN, "75 75 75 75 75 75 75 75 75 75"),
        ("260", EVEN, "0 0 0 75 0 0 75 0 0 75"),  # 35 are no lot: they stay with the stop
        ("74", EVEN, "0 0 0 0 0 0 0 0 0 0"),
        ("225", TEN, "75 75 75 0 0 0 0 0 0 0"),
        ("225", "104:33.33 108:33.33 112:33.34; even", "0 75 150"),  # 0.9999 of a lot is none yet
        ("300", "104:25 108:25; even", "75 75"),
        ("150", "104:50>100 108:50; even", "75 75"),
    ],
)
def test_whole_lots_go_to_the_targets(quantity: str, words: str, parts: str) -> None:
    made = plan(recipe(words), quantity=quantity, instrument=LOTS)
    assert [one.quantity for one in made.targets] == [D(part) for part in parts.split()]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("stop 95; 104:50>105", "the stop after target 1 at 105 lies beyond that target at 104"),
        ("stop 95; 4pt:50>5pt", "the stop after target 1 at 105 lies beyond that target at 104"),
        ("stop 95; 104:50>0", "the stop after target 1 must be above zero"),
        ("stop 95; 104:50>NaN", "the stop after target 1 must be a number"),
        ("stop 95; 104:50>-100pt", "the stop after target 1 is further away than the price itself"),
        ("stop 95; 104:0", "the share of target 1 must be above zero"),
        ("stop 95; at 25:00", "written HH:MM, not 25:00"),
        ("stop 95; at 9:15", "written HH:MM, not 9:15"),
        ("stop 95; minutes -1", "held for 1 to 527040 minutes, not -1"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused_in_clear_words(words: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_spec(recipe(words), BUY, D(100))


def test_a_rung_has_one_form_and_lots_go_by_a_known_rule() -> None:
    twice = TargetSpec(D(50), price=D(104), then_price=D(100), then_points=D(0))
    with pytest.raises(ValueError, match="the stop after target 1 is given in more than one form"):
        check_spec(ExitSpec(targets=(twice,)), BUY, D(100))
    with pytest.raises(ValueError, match="by remainder or even, not by whim"):
        check_spec(spec(targets="104:50", booking="whim"), BUY, D(100))


# --- fills, exits and people in a race -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "quantity", "path", "left"),
    [
        # the rest of an entry fills after a target has gone: it takes part in what is to come, the rung stays
        ("LADDER", 5, "104 +5@100 108", "target:1 2 @ 104, target:2 3 @ 108"),
        ("LADDER", 5, "104 +5@100 100", "target:1 2 @ 104, stop 8 @ 100"),
        # booked evenly, what came late leaves with the next targets, so that the shares so far hold again
        ("EVEN", 1, "104 +2@100 105 107 110", "target:5 1 @ 105, target:7 1 @ 107, target:10 1 @ 110"),
        # a better or worse average moves levels that are measured from the entry, but loosens no stop
        ("stop 5pt; 4pt:50>0pt 10pt:50", 10, "+10@98 102", "target:1 10 @ 102"),
        ("stop 5pt; 4pt:50>0pt 10pt:50", 10, "104 +10@98 98.1", "target:1 5 @ 104, stop 15 @ 98.1"),
        # a target's exit that did not fill is under the stop again; booked evenly it goes with the next target
        ("LADDER", 10, "104 <3 100", "target:1 3 @ 104, stop 10 @ 100"),
        ("LADDER", 10, "104 <2 108 112 104", "target:1 3 @ 104, target:2 3 @ 108, target:3 4 @ 112, stop 2 @ 104"),
        ("EVEN", 10, "102 <1 103", "target:1 1 @ 102, target:2 1 @ 102, target:3 2 @ 103"),
        ("EVEN", 2, "105 <1 110", "target:5 1 @ 105, target:6 1 @ 110, target:10 1 @ 110"),
        # a person takes out a part: what is left is shared anew
        ("LADDER", 10, "104 -4 108 100", "target:1 3 @ 104, target:2 2 @ 108, stop 1 @ 100"),
        ("EVEN", 10, "102 -5 111", "target:1 1 @ 102, target:2 1 @ 102, target:6 1 @ 111, target:8 1 @ 111, target:10 1 @ 111"),
        # zero, NaN and repeated prices do nothing
        ("LADDER", 10, "0 NaN -1 104 104 104 0 104 100 100 95", "target:1 3 @ 104, stop 7 @ 100"),
        ("EVEN", 3, "104 104 104 103 103", "target:4 1 @ 104, stop 2 @ 103"),
        # the deadline races with fills and failures: all that is guarded leaves, once, and what comes back later leaves at once
        ("LADDER; minutes 1", 10, "104 t 112 95", "target:1 3 @ 104, time 7 @ t"),
        ("LADDER; minutes 1", 10, "112 t <4 t", "target:1 3 @ 112, target:2 3 @ 112, target:3 4 @ 112, time 4 @ t"),
        ("LADDER; minutes 1", 10, "95 t", "stop 10 @ 95"),
        ("LADDER; minutes 1", 5, "104 +5@100 t", "target:1 2 @ 104, time 8 @ t"),
    ],
)
def test_fills_race_with_exits(words: str, quantity: int, path: str, left: str) -> None:
    """A path of prices; "+5@100": more has filled, at this average; "<3": so much of a target's exit did not fill; "-4": a person took it out; "t": the
    deadline by the clock."""
    guarding = plan(recipe(spelled_out(words)), quantity=str(quantity))
    gone = []
    for word in path.split():
        exits = ()
        if word.startswith("+"):
            more, average = word[1:].split("@")
            guarding = grow(guarding, D(more), D(average), 2.0)
        elif word.startswith("<"):
            guarding = give_back(guarding, D(word[1:]), 2.0)
        elif word.startswith("-") and word != "-1":
            guarding = shrink(guarding, D(word[1:]), 2.0)
        elif word == "t":
            guarding, exits = on_time(guarding, 61.0)
        else:
            guarding, exits = on_price(guarding, D(word), 2.0)
        gone += [f"{one.leg} {one.quantity} @ {word}" for one in exits]
    assert ", ".join(gone) == left


# --- the hours of the day --------------------------------------------------------------------------------------------


def ist(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone(timedelta(hours=5, minutes=30))).timestamp()


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("words", "symbol", "entered", "leaves"),
    [
        ("at 15:10", "NSE:INFY", ist("2024-01-03 09:42"), ist("2024-01-03 15:10")),
        ("at 15:10", "NSE:INFY", ist("2024-01-03 15:09:59"), ist("2024-01-03 15:10")),
        ("at 15:10", "NSE:INFY", ist("2024-01-03 15:10"), ist("2024-01-04 15:10")),
        ("at 15:10", "NFO:X", ist("2024-01-05 15:12"), ist("2024-01-08 15:10")),  # a Friday
        ("at 10:00", "NSE:INFY", ist("2024-01-19 11:00"), ist("2024-01-20 10:00")),  # the Saturday on which the exchange traded
        ("at 15:10", "NSE:INFY", ist("2024-01-25 15:12"), ist("2024-01-29 15:10")),  # Republic Day, then a weekend
        ("at 15:10", "NSE:INFY", ist("2024-01-06 11:00"), ist("2024-01-06 15:10")),  # someone practises on a Saturday
        ("at 15:10", "BINANCE:BTCUSDT", utc("2024-01-05 15:12"), utc("2024-01-06 15:10")),  # never closed, and in its own zone
        ("minutes 30", "NSE:INFY", ist("2024-01-03 15:10"), ist("2024-01-03 15:40")),
        ("minutes 30; at 15:10", "NSE:INFY", ist("2024-01-03 15:00"), ist("2024-01-03 15:10")),
        ("stop 95", "NSE:INFY", ist("2024-01-03 15:00"), None),
    ],
)
def test_when_a_position_leaves_by_the_clock(words: str, symbol: str, entered: float, leaves: float | None) -> None:
    assert deadline_for(recipe(words), symbol, entered) == leaves


def test_a_calendar_that_a_person_has_changed_is_followed() -> None:
    closed = with_days(load_calendar(), [CalendarDay("2024-01-04")])
    assert deadline_for(recipe("at 15:10"), "NSE:INFY", ist("2024-01-03 15:11"), closed) == ist("2024-01-05 15:10")


def test_more_of_an_entry_does_not_put_its_deadline_off() -> None:
    guarding = plan(recipe("stop 95; minutes 1"))
    assert guarding.deadline == 61.0
    assert grow(guarding, D(10), D(101), 50.0).deadline == 61.0
    late = make_plan("P2", KEY, "U1", BUY, D(100), D(10), recipe("stop 95; minutes 1"), INFY, 70.0, at_fill=True, deadline=61.0)
    assert on_time(sure(late), 70.0)[1][0].leg == "time"


def test_an_edit_keeps_the_deadline_unless_it_changes_the_times() -> None:
    guarding = plan(recipe("stop 95; minutes 1"))
    assert edit(guarding, recipe("stop 96; minutes 1"), 40.0).deadline == 61.0
    assert edit(guarding, recipe("stop 95; minutes 2"), 40.0).deadline == 160.0
    assert edit(guarding, recipe("stop 95"), 40.0).deadline is None


def test_before_the_deadline_and_after_the_end_the_clock_does_nothing() -> None:
    guarding = plan(recipe("stop 95; minutes 1"))
    assert on_time(guarding, 60.9) == (guarding, ())
    stopped, _ = on_price(guarding, D(95), 2.0)
    assert on_time(stopped, 99.0) == (stopped, ())
    assert on_time(plan(recipe("stop 95")), 1e12)[1] == ()


# --- a person's edit of a ladder -------------------------------------------------------------------------------------


def test_a_ladder_on_its_way_can_be_edited_though_the_market_has_passed_its_first_targets() -> None:
    guarding, _ = on_price(plan(recipe(LADDER), quantity="10"), D(106), 2.0)
    moved = edit(guarding, recipe("stop 95; 104:30>102 108:30>104 115:40"), 3.0, D(106))
    assert [(str(one.price.normalize()), str(one.quantity), one.fired) for one in moved.targets] == [
        ("104", "3", True),
        ("108", "3", False),
        ("115", "4", False),
    ]
    assert (moved.stop, guarded(moved)) == (D(102), D(7))


def test_a_target_that_has_fired_is_known_again_by_its_price_however_it_is_said() -> None:
    guarding, _ = on_price(plan(recipe("stop 5pt; 4.02pt:50>0pt 10pt:50")), D(105), 2.0)  # on the tick: 104.00
    moved = edit(guarding, recipe("stop 95; 104:50>0pt 110:50"), 3.0, D(105))
    assert [one.fired for one in moved.targets] == [True, False]
    assert moved.stop == D(100)


def test_a_rung_that_would_fire_at_once_is_refused() -> None:
    guarding, _ = on_price(plan(recipe(LADDER)), D(106), 2.0)
    with pytest.raises(ValueError, match=r"the stop would be at 103.00 and fire at once: the price is 102"):
        edit(guarding, recipe("stop 95; 104:30>103 108:30 112:40"), 3.0, D(102))


def test_a_zero_in_a_row_of_decimals_stays_exact() -> None:
    made = plan(recipe("stop 95; 4pt:50>0pt"), entry="100.0333333")
    after, _ = on_price(made, D("104.05"), 2.0)
    assert after.stop == Decimal("100.00")  # a rung at cost lies away from the market, as every stop
