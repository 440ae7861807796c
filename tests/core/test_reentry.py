"""Re-entries as candle tables: what took the position out, the closes that follow, and at which of them it goes in again."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.codec import dumps, loads
from engines.core.model import ExitSpec, ReentrySpec, Side, TargetSpec
from engines.core.reentry import Again, ReentryState, check_reentry, closed, entered, mirrored, on_close, taken_out

D = Decimal
IST = timezone(timedelta(hours=5, minutes=30))
OPEN = datetime(2026, 11, 20, 9, 15, tzinfo=IST).timestamp()
STOP5 = ExitSpec(stop_points=D(5))
ASAP, COST = ReentrySpec(), ReentrySpec(mode="cost")
MOMENTUM = ReentrySpec(mode="momentum", move_pct=D(1))


def play(
    spec: ReentrySpec | None,
    closes: list[float],
    *,
    side: Side = Side.BUY,
    exits: ExitSpec = STOP5,
    leg: str = "stop",
    entry: float = 100,
    out: float = 95,
    start: float = OPEN,
    state: ReentryState | None = None,
    restart: bool = False,
) -> tuple[ReentryState, list[Again | None]]:
    """In at `entry`, taken out by `leg` at `out`, then one close a minute."""
    state = taken_out(spec, entered(state or ReentryState(), side, exits), leg, D(str(entry)), D(str(out)))
    answers = []
    for number, close in enumerate(closes):
        if restart:
            state = loads(ReentryState, dumps(state))
        begun = start + 60 * number
        state, again = on_close(spec, state, close, begun, begun + 60, "NSE")
        answers.append(again)
    return state, answers


@pytest.mark.parametrize(
    ("spec", "given", "closes", "at"),
    [
        (None, {}, [95], None),
        (ASAP, {}, [94.5], 0),
        (ASAP, {"leg": "target", "out": 110}, [110], None),  # only after a stop
        (ASAP, {"leg": "other"}, [95], None),  # a person, the clock or a limit took it out
        (replace(ASAP, after="target"), {}, [95], None),
        (replace(ASAP, after="target"), {"leg": "target", "out": 110}, [111], 0),
        (replace(ASAP, after="any"), {"leg": "target", "out": 110}, [111], 0),
        (replace(ASAP, cool_down_minutes=2), {}, [95, 95, 95, 95], 2),  # from the close of the candle in which it left
        (replace(ASAP, until="09:17"), {}, [95], 0),
        (replace(ASAP, until="09:16"), {}, [95, 95], None),
        (replace(ASAP, cool_down_minutes=5, until="09:18"), {}, [95] * 9, None),
        (COST, {}, [95, 99.95, 100, 101], 2),
        (COST, {"side": Side.SELL, "out": 105}, [106, 100.05, 99.9], 2),
        (replace(COST, after="any"), {"leg": "target", "out": 110}, [109, 100.5, 100], 2),  # from above it comes back down
        (COST, {"out": 100}, [99.9, 100], 1),  # left at cost: once the price is on the winning side
        (COST, {"side": Side.SELL, "out": 100}, [100.1, 99], 1),
        (MOMENTUM, {}, [95, 95.9, 95.95], 2),
        (MOMENTUM, {"side": Side.SELL, "out": 105}, [104, 103.95], 1),
        (replace(MOMENTUM, reverse=True), {}, [95, 94.1, 94.05], 2),  # beyond the exit, the way the new entry goes
        (ASAP, {"exits": ExitSpec(stop_price=D(96))}, [95, 96, 96.05], 2),  # a stop at a price must lie behind the close again
        (ASAP, {"exits": ExitSpec(targets=(TargetSpec(D(100), price=D(110)),))}, [110, 109.95], 1),
    ],
)
def test_at_which_close_it_goes_in_again(spec: ReentrySpec | None, given: dict, closes: list[float], at: int | None) -> None:
    for restart in (False, True):
        _, answers = play(spec, closes, restart=restart, **given)
        assert [number for number, again in enumerate(answers) if again][:1] == ([] if at is None else [at])


def test_the_wish_names_itself_and_is_guarded_as_the_first_was() -> None:
    _, answers = play(replace(ASAP, most=2), [95])
    assert answers == [Again(Side.BUY, STOP5, "re-entry 1 of 2 after stop")]


def test_at_most_so_many_a_day_and_the_next_day_begins_anew() -> None:
    spec, state, notes = replace(ASAP, most=2), ReentryState(), []
    for number in range(4):
        state, (again,) = play(spec, [95], state=state, start=OPEN + 600 * number)
        notes.append(again and again.note[:15])
    assert notes == ["re-entry 1 of 2", "re-entry 2 of 2", None, None]
    state, (again,) = play(spec, [95], state=state, start=OPEN + 86_400)
    assert again is not None
    assert state.made == 1


def test_waiting_ends_with_the_session() -> None:
    state, _ = play(COST, [95, 95])
    assert state.waiting
    state, again = on_close(COST, state, 101.0, OPEN + 86_400, OPEN + 86_460, "NSE")
    assert (again, state.waiting) == (None, False)


def test_the_strategys_own_word_ends_the_waiting() -> None:
    state, _ = play(COST, [95])
    assert not closed(state).waiting
    assert not entered(state, Side.SELL, STOP5).waiting
    assert taken_out(COST, closed(state), "stop", D(100), D(95)) == closed(state)  # there was nothing to take out


def test_reversed_it_keeps_its_distances() -> None:
    ladder = ExitSpec(
        stop_price=D(90),
        targets=(TargetSpec(D(50), price=D(110), then_price=D(100)), TargetSpec(D(50), pct=D(20), then_points=D(5))),
    )
    turned = ExitSpec(
        stop_points=D(10),
        targets=(TargetSpec(D(50), points=D(10), then_points=D(0)), TargetSpec(D(50), pct=D(20), then_points=D(5))),
    )
    assert mirrored(ladder, Side.BUY, D(100)) == turned
    assert mirrored(ExitSpec(stop_price=D(100)), Side.BUY, D(100)) is None
    state, answers = play(replace(ASAP, reverse=True), [95], exits=ladder)
    assert answers == [Again(Side.SELL, turned, "re-entry 1 of 1 after stop")]
    assert state.stay is not None
    assert state.stay.side is Side.SELL


@given(
    st.sampled_from([ASAP, COST, MOMENTUM, replace(COST, reverse=True, after="any", most=3, cool_down_minutes=3)]),
    st.lists(st.integers(90, 110).map(float), min_size=1, max_size=12),
    st.sampled_from(list(Side)),
    st.integers(0, 12),
)
def test_later_closes_change_nothing_before_and_one_stay_gives_one_re_entry(
    spec: ReentrySpec, closes: list[float], side: Side, cut: int
) -> None:
    out = 100 - 5 * side.sign
    _, whole = play(spec, closes, side=side, out=out)
    _, start = play(spec, closes[:cut], side=side, out=out, restart=True)
    assert whole[: len(closes[:cut])] == start
    assert sum(again is not None for again in whole) <= 1


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"mode": "soon"}, "soon"),
        ({"after": "tea"}, "tea"),
        ({"most": 0}, "1 to"),
        ({"most": 99}, "1 to"),
        ({"cool_down_minutes": -1}, "cool-down"),
        ({"mode": "momentum"}, "percent"),
        ({"move_pct": D(1)}, "percent"),
        ({"mode": "momentum", "move_pct": D(0)}, "above 0"),
        ({"until": "9:15"}, "HH:MM"),
        ({"until": "24:00"}, "HH:MM"),
    ],
)
def test_rules_that_make_no_sense(changes: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        check_reentry(replace(ASAP, **changes))
