"""Range Level (810/910) candle by candle: the worked example, each rule of the day as a row, and the properties of the definition."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.core import ranges
from engines.core.facts import LevelsFixed
from engines.core.model import Candle, Instrument, Side, Timeframe
from engines.core.sessions import IST
from engines.strategies import registry
from engines.strategies.base import Strategy, Wish
from engines.strategies.range_level import RangeLevel
from engines.strategies.signals import make_signal
from tests.market.making import INFY
from tests.strategies.making import World, config

D = Decimal
NIFTY = Path(__file__).resolve().parents[3] / "shared" / "data" / "nifty50_1min_2024.csv.gz"
INDEX = Instrument("NSE:NIFTY 50", "NIFTY 50", "NSE", D("0.05"), segment="INDEX")
M15 = Timeframe.M15


def moment(text: str) -> float:
    """ "2024-01-03 09:42" in the market's zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - IST


def clock(at: float) -> str:
    return datetime.fromtimestamp(at + IST, UTC).strftime("%H:%M")


def make(instrument: Instrument = INFY, timeframe: Timeframe = M15, **params: Any) -> RangeLevel:
    strategy = registry.create("range_level", params, instrument.symbol, timeframe, instrument)
    assert isinstance(strategy, RangeLevel)
    return strategy


def session(day: str, closes: Iterable[float], start: str = "09:15", seconds: int = 900) -> list[Candle]:
    """A session's candles in a row: each opens at the close before (the first at its own close)."""
    made, before = [], None
    for n, close in enumerate(closes):
        opened = close if before is None else before
        made.append(Candle("NSE:INFY", moment(f"{day} {start}") + n * seconds, opened, max(opened, close), min(opened, close), close))
        before = close
    return made


def heard(strategy: Strategy, rows: Iterable[Candle]) -> list[tuple[str, str]]:
    """When each wish was said (the end of its candle) and what: "buy", "sell", "close", "close+sell" with the note after it."""
    said = []
    for candle in rows:
        wish = strategy.on_candle(candle)
        if wish is not None:
            parts = strategy.accept(wish)
            words = "+".join("close" if part.reduce_only else part.side.value.lower() for part in parts)
            said.append((clock(candle.start + strategy.timeframe.seconds), f"{words} {wish.note}".rstrip()))
    return said


# A session that made the range 100 to 200, so that B = 181 and S = 109.
YESTERDAY = session("2026-05-20", [150, 200, 100, *[150] * 22])
TODAY = "2026-05-21"


# --- the worked example ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def january() -> list[Candle]:
    """NIFTY by the minute, 1 to 4 January 2024."""
    rows = []
    with gzip.open(NIFTY, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            at, *prices = line.rstrip().split(",")
            if at >= "2024-01-05":
                break
            rows.append(Candle(INDEX.symbol, moment(at), *map(float, prices)))
    return rows


def test_3_january_2024_sells_short_at_the_close_of_09_42_with_the_ladder_of_the_day(january: list[Candle]) -> None:
    strategy = make(INDEX, Timeframe.M1)
    before = [candle for candle in january if candle.start < moment("2024-01-03 09:42")]
    heard(strategy, before)
    assert strategy.says() == "ARMED: buys at 21,717.61, sells short at 21,573.65"
    drawn = strategy.levels()
    candle = january[len(before)]
    wish = strategy.on_candle(candle)
    assert wish is not None
    assert (wish.side, wish.reduce_only, wish.note, candle.close) == (Side.SELL, False, "below 21,573.65", 21564.70)
    assert strategy.accept(wish) == (wish,)
    assert wish.exits is not None
    assert wish.exits.stop_price == D("21673.6205")
    assert [f"{target.price:.2f}" for target in wish.exits.targets] == [
        f"{level.price:.2f}" for level in drawn if level.kind == "target" and level.side is Side.SELL
    ]
    assert [target.then_price for target in wish.exits.targets][:2] == [D("21573.6455"), D("21563.648")]
    rest = [candle for candle in january[len(before) + 1 :] if candle.start < moment("2024-01-04 00:00")]
    assert heard(strategy, rest) == [("15:10", "close the time to be flat")]
    assert strategy.levels() is drawn


# --- rules of the day as rows ---------------------------------------------------------------------------------------

RULES: list[tuple[str, dict[str, Any], list[float], list[tuple[str, str]]]] = [
    ("a close at the level is beyond it", {}, [150, 181, 185], [("09:45", "buy above 181.00")]),
    ("a close just inside is not", {}, [150, 180.95, 150], []),
    ("a short below the sell level", {}, [150, 109, 105], [("09:45", "sell below 109.00")]),
    ("a gap open beyond the level is no cross", {}, [190, 195, 192], []),
    ("…until it has come back and crosses again", {}, [190, 170, 182], [("10:00", "buy above 181.00")]),
    ("a gap counts when it is allowed, from the first entry on", {"allow_gap_entry": True}, [190, 195], [("09:30", "buy above 181.00")]),
    ("…and only while the first candle of the entries is judged", {"allow_gap_entry": True}, [150, 170, 181.5], [("10:00", "buy above 181.00")]),
    ("without the need of a cross being beyond is enough", {"require_cross": False, "first_entry": "09:40"}, [190, 192], [("09:45", "buy above 181.00")]),
    ("no entry before its time, and the cross is gone", {"first_entry": "09:50"}, [150, 182, 185], []),
    ("one entry a side and day", {}, [150, 182, 100, 190, 150], [("09:45", "buy above 181.00"), ("10:00", "close opposite")]),
    ("…two when two are allowed", {"max_entries_per_side": 2}, [150, 182, 100, 190], [("09:45", "buy above 181.00"), ("10:00", "close opposite"), ("10:15", "buy above 181.00")]),
    ("reversing leaves and enters the other side", {"reverse": True}, [150, 182, 108, 150], [("09:45", "buy above 181.00"), ("10:00", "close+sell opposite")]),
    ("…and never more often than allowed", {"reverse": True}, [150, 182, 108, 190, 100], [("09:45", "buy above 181.00"), ("10:00", "close+sell opposite"), ("10:15", "close opposite")]),
    ("the opposite level is not looked at when it need not be", {"exit_on_opposite": False}, [150, 182, 100, 150], [("09:45", "buy above 181.00")]),
    ("long only", {"direction": "long"}, [150, 100, 150, 182, 105], [("10:15", "buy above 181.00"), ("10:30", "close opposite")]),
    ("short only", {"direction": "short"}, [150, 182, 150, 108], [("10:15", "sell below 109.00")]),
    ("no entry from its last time on", {}, [*[150] * 22, 182, 150], []),
    ("…but up to it", {}, [*[150] * 21, 182, 182], [("14:45", "buy above 181.00")]),
    ("flat by a time of one's own", {"flat_by": "15:00"}, [*[150] * 20, 182, *[183] * 4], [("14:30", "buy above 181.00"), ("15:00", "close the time to be flat")]),
    ("the first close back behind the arm level leaves", {"k_buy": 0.91, "k_sell": 0.91, "k_arm": 0.81}, [150, 192, 182, 180.9, 192], [("09:45", "buy above 191.00"), ("10:15", "close back behind the arm level")]),
    ("…mirrored for a short", {"k_buy": 0.91, "k_sell": 0.91, "k_arm": 0.81}, [150, 108, 118, 119.1], [("09:45", "sell below 109.00"), ("10:15", "close back behind the arm level")]),
    ("an hour's range is frozen before anything is traded", {"range_source": "window"}, [150, 160, 140, 150, 157, 150], [("10:30", "buy above 156.20")]),
    ("…what comes after it changes nothing", {"range_source": "window"}, [150, 160, 140, 150, 155, 120, 157], [("10:45", "sell below 141.80"), ("11:00", "close opposite")]),
    ("the first candle's range around the open", {"range_source": "first_bar", "buy_from": "open", "sell_from": "open", "k_buy": 2, "k_sell": 3, "min_range_pct": 0}, [], []),
    ("a share of the previous close", {"range_source": "prev_close", "buy_from": "prev_close", "sell_from": "prev_close", "k_buy": 0.081, "k_sell": 0.081}, [150, 162.2, 160], [("09:45", "buy above 162.15")]),
    ("today's range so far, without the candle itself", {"range_source": "developing", "max_range_pct": 50}, [150, 160, 158, 140, 150], [("10:15", "sell below 150.90")]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "params", "closes", "said"), RULES, ids=[row[0] for row in RULES])
def test_a_day_whose_levels_are_181_and_109(words: str, params: dict[str, Any], closes: list[float], said: list[tuple[str, str]]) -> None:
    strategy = make(**{"max_range_pct": 80, **params})
    heard(strategy, YESTERDAY)
    assert heard(strategy, session(TODAY, closes)) == said, words


def bars(*rows: tuple[float, float, float, float], day: str = TODAY) -> list[Candle]:
    return [Candle("NSE:INFY", moment(f"{day} 09:15") + 900 * n, *row) for n, row in enumerate(rows)]


def test_a_touch_is_seen_in_the_high_and_decided_at_the_close() -> None:
    wild = bars((150, 182, 150, 151), (151, 152, 149, 150))
    for trigger, said in (("touch", [("09:30", "buy above 181.00")]), ("close", [])):
        strategy = make(trigger=trigger, max_range_pct=80)
        heard(strategy, YESTERDAY)
        assert heard(strategy, wild) == said


def test_a_bar_that_touches_both_levels_enters_neither_but_leaves() -> None:
    strategy = make(trigger="touch", max_range_pct=80, max_entries_per_side=5, reverse=True)
    heard(strategy, YESTERDAY)
    both = (150, 190, 100, 150)
    assert heard(strategy, bars(both, (150, 182, 150, 151), both)) == [("09:45", "buy above 181.00"), ("10:00", "close opposite")]


def test_the_first_bar_is_a_unit_around_the_open() -> None:
    strategy = make(range_source="first_bar", buy_from="open", sell_from="open", k_buy=2, k_sell=3, min_range_pct=0)
    said = heard(strategy, bars((150, 151, 149, 150), (150, 154, 150, 154), (154, 154, 140, 143)))
    assert said == [("09:45", "buy above 154.00"), ("10:00", "close opposite")]


# --- days that are not tradable, and days of another kind --------------------------------------------------------------


def test_a_day_without_a_previous_session_is_skipped_with_the_reason() -> None:
    strategy = make(max_range_pct=80)
    assert heard(strategy, session("2026-05-20", [150, 250, 20])) == []
    assert strategy.says() == "SKIPPED: there is no previous session yet"
    assert strategy.levels() == ()


def test_candles_of_whole_days_are_too_long() -> None:
    strategy = make(timeframe=Timeframe.D1)
    days = [Candle("NSE:INFY", moment(f"2026-05-{day} 00:00"), 100, 110, 90, 105) for day in (19, 20, 21)]
    assert heard(strategy, days) == []
    assert strategy.says() == "SKIPPED: it needs candles shorter than a day"


def test_a_session_seen_from_its_middle_gives_no_range_but_the_next_one_does() -> None:
    strategy = make(max_range_pct=80)
    heard(strategy, YESTERDAY[5:])
    heard(strategy, session(TODAY, [150] * 25))
    assert strategy.says() == "SKIPPED: the previous session was not seen whole"
    assert heard(strategy, session("2026-05-22", [150, 160, 150])) == []
    assert strategy.says() == "SKIPPED: the range is zero"


def test_a_session_of_too_few_minutes_is_not_the_previous_one() -> None:
    for minutes, level in ((60, "ARMED: buys at 181.00, sells short at 109.00"), (30, "ARMED: buys at 158.10, sells short at 150.90")):
        strategy = make(max_range_pct=80, min_session_minutes=minutes)
        heard(strategy, [*YESTERDAY, *session(TODAY, [150, 160, 155]), *session("2026-05-22", [150])])
        assert strategy.says() == level


def test_candles_outside_the_regular_session_are_not_looked_at() -> None:
    strategy = make(max_range_pct=80)
    heard(strategy, YESTERDAY)
    evening, early = session("2026-05-20", [500, 20], start="18:00"), session(TODAY, [300], start="09:00")
    assert heard(strategy, [*evening, *early, *session(TODAY, [150, 182])]) == [("09:45", "buy above 181.00")]


def test_shares_of_the_closing_auction_end_at_15_15_since_august_2026() -> None:
    shares = replace(INFY, auction=True)
    for day, high in (("2026-07-31", 300), ("2026-08-04", 200)):
        strategy = make(shares, max_range_pct=200)
        heard(strategy, session(day, [150, 200, 100, *[150] * 21, 300]))
        heard(strategy, session("2026-08-05", [150]))
        assert strategy.levels()[0].price == pytest.approx(100 + 0.81 * (high - 100))


@pytest.mark.parametrize(
    ("instrument", "flat"),
    [(INFY, "15:05"), (INDEX, "15:10"), (replace(INFY, symbol="NFO:NIFTY26MAYFUT", exchange="NFO", segment="FUT"), "15:10")],
)
def test_shares_are_left_at_15_05_and_derivatives_and_indices_at_15_10(instrument: Instrument, flat: str) -> None:
    strategy = make(instrument, Timeframe.M5, max_range_pct=80)
    heard(strategy, YESTERDAY)
    held = session(TODAY, [150] * 10 + [182] * 65, seconds=300)
    assert heard(strategy, held) == [("10:10", "buy above 181.00"), (flat, "close the time to be flat")]


def test_on_a_split_saturday_the_last_times_keep_their_distance_from_the_close() -> None:
    """2 March 2024 trades 09:15 to 10:00 and 11:30 to 12:30: three hours before the ordinary close."""
    strategy = make(timeframe=Timeframe.M5, max_range_pct=80)
    heard(strategy, session("2024-03-01", [150, 200, 100, *[150] * 72], seconds=300))
    first, second = session("2024-03-02", [150] * 9, seconds=300), session("2024-03-02", [150, 182, *[183] * 10], "11:30", 300)
    assert heard(strategy, [*first, *second]) == [("11:40", "buy above 181.00"), ("12:05", "close the time to be flat")]


def test_what_is_left_over_from_the_day_before_is_left_at_the_first_candle() -> None:
    strategy = make(max_range_pct=80)
    heard(strategy, [*YESTERDAY, *session(TODAY, [150, 182])])
    assert heard(strategy, session("2026-05-22", [185, 186])) == [("09:30", "close left over from the day before")]


def test_after_a_stop_has_taken_it_out_the_other_side_may_still_be_entered() -> None:
    strategy = make(max_range_pct=80)
    heard(strategy, [*YESTERDAY, *session(TODAY, [150, 182])])
    assert strategy.says() == "OPEN long"
    strategy.stance = 0  # as the runner does before `on_flat`
    strategy.on_flat(140.0)
    rest = session(TODAY, [150, 182, 130, 182, 100, 182])[2:]
    assert heard(strategy, rest) == [("10:30", "sell below 109.00"), ("10:45", "close opposite")]
    assert strategy.says() == "DONE for today"


def test_an_hour_without_a_candle_before_the_range_is_frozen_skips_the_day() -> None:
    strategy = make(range_source="window", max_range_pct=80)
    heard(strategy, YESTERDAY)
    assert heard(strategy, session(TODAY, [150, 300, 20], start="10:15")) == []
    assert strategy.says() == "SKIPPED: there was no candle before 10:15"


def test_a_candle_after_a_hole_is_not_part_of_the_frozen_range() -> None:
    strategy = make(range_source="window", max_range_pct=80)
    hole = [*session(TODAY, [150, 160, 140]), *session(TODAY, [100, 190], start="10:15")]
    heard(strategy, hole)
    assert strategy.levels()[0].price == pytest.approx(140 + 0.81 * 20)


# --- in the runner --------------------------------------------------------------------------------------------------


def test_the_runner_tells_levels_and_state_once_for_each_change_and_again_after_a_restart() -> None:
    world = World(config("range_level", timeframe=M15, params={"max_range_pct": 80}), now=YESTERDAY[0].start)
    for candle in [*YESTERDAY, *session(TODAY, [150, 150, 150, 182, 183])]:
        world.close(candle, M15)
    told = [fact for fact in world.facts if isinstance(fact, LevelsFixed)]
    assert [(fact.day, fact.says, len(fact.levels)) for fact in told] == [
        ("2026-05-20", "SKIPPED: there is no previous session yet", 0),
        (TODAY, "ARMED: buys at 181.00, sells short at 109.00", 42),
        (TODAY, "OPEN long", 42),
    ]
    (bought,) = world.signals
    assert (bought.side, bought.exits.stop_price, bought.exits.booking) == (Side.BUY, D("131.00"), "even")
    assert (bought.exits.targets[0].price, bought.exits.targets[0].then_price) == (D("186.00"), D("181.00"))
    count = len(world.facts)
    world.restart()
    again = [fact for fact in world.facts[count:] if isinstance(fact, LevelsFixed)]
    assert [(fact.day, fact.says, fact.levels) for fact in again] == [(TODAY, "OPEN long", told[-1].levels)]


def test_a_strategy_that_begins_in_the_day_knows_its_levels_from_the_candles_before() -> None:
    world = World(config("range_level", timeframe=M15, active=False, params={"max_range_pct": 80}), now=YESTERDAY[0].start)
    morning = session(TODAY, [150, 150])
    world.past["NSE:INFY", M15] = [*session("2026-05-19", [300] * 25), *YESTERDAY, *morning]
    world.clock.wall = morning[-1].start + 900
    world.configs = (config("range_level", timeframe=M15, params={"max_range_pct": 80}),)
    world.restart()
    (told,) = [fact for fact in world.facts if isinstance(fact, LevelsFixed)]
    assert (told.symbol, told.says) == ("NSE:INFY", "ARMED: buys at 181.00, sells short at 109.00")
    assert world.signals == []


def test_prices_lie_on_the_tick_targets_nearest_and_stops_away() -> None:
    exits = ranges.exit_spec(
        ranges.ladder(ranges.Rule(n=2), Side.SELL, 21573.6455, 199.95), ranges.equal_shares(2), from_fill=False, even=True
    )
    for side, stop, then in ((Side.SELL, "21673.65", "21573.65"), (Side.BUY, "21673.60", "21573.60")):
        signal = make_signal(Wish(side, exits=exits), config(), replace(INFY, tick_size=D("0.05")), 0.0, key="k", now=0.0)
        assert (signal.exits.stop_price, signal.exits.targets[0].then_price) == (D(stop), D(then))
        assert [target.price for target in signal.exits.targets] == [D("21563.65"), D("21553.65")]


# --- properties -----------------------------------------------------------------------------------------------------

steps = st.lists(st.integers(-12, 12), min_size=30, max_size=70)
kinds = st.sampled_from(
    [
        {},
        {"range_source": "window", "freeze_at": "10:15", "reverse": True, "max_entries_per_side": 3},
        {"range_source": "developing", "max_entries_per_side": 9, "anchor": "fill"},
        {"range_source": "first_bar", "buy_from": "open", "sell_from": "open", "k_buy": 1.5, "k_sell": 1.5, "max_entries_per_side": 3},
        {"k_arm": 0.5625, "trigger": "touch", "max_entries_per_side": 4, "allow_gap_entry": True},
    ]
)
EQUAL = {"k_buy": 0.625, "k_sell": 0.625, "t": 0.0625, "min_range_pct": 0, "max_range_pct": 900, "first_entry": "09:20"}  # exact in binary


def walk(moves: Sequence[int], start: float = 1024.0) -> list[Candle]:
    """Three sessions whose closes are whole numbers, with wicks of one: exact as floats, whatever is done to them."""
    rows, close = [], start
    for n, move in enumerate(moves):
        day, bar = divmod(n, 25)
        opened, close = close, close + 4 * move
        rows.append(
            Candle(
                "NSE:INFY", moment(f"2026-05-{20 + day} 09:15") + 900 * bar, opened, max(opened, close) + 1, min(opened, close) - 1, close
            )
        )
    return rows


def wishes(strategy: Strategy, rows: Sequence[Candle]) -> list[tuple[Wish, ...]]:
    answers = []
    for candle in rows:
        wish = strategy.on_candle(candle)
        answers.append(() if wish is None else strategy.accept(wish))
    return answers


@settings(max_examples=60, deadline=None)
@given(moves=steps, params=kinds, cut=st.integers(0, 70), scale=st.sampled_from([0.5, 4.0]))
def test_the_laws_of_the_definition(moves: list[int], params: dict[str, Any], cut: int, scale: float) -> None:
    """Restart at any bar, no look-ahead, scale and mirror: on the same three random sessions, so that each is walked once."""
    params = {**EQUAL, **params}
    rows, strategy = walk(moves), make(**params)
    expected = wishes(strategy, rows[:cut])
    drawn, said, saved = strategy.levels(), strategy.says(), json.loads(json.dumps(strategy.state()))
    expected += wishes(strategy, rows[cut:])

    revived = make(**params)
    revived.restore(saved)
    assert (revived.levels(), revived.says()) == (drawn, said)
    assert wishes(revived, rows[cut:]) == expected[cut:], "a restart changes nothing"
    assert (revived.levels(), revived.says()) == (strategy.levels(), strategy.says())

    other = make(**params)
    future = [candle._replace(high=9000.0, low=1.0, close=5000.0) for candle in rows[cut:]]
    assert wishes(other, [*rows[:cut], *future])[:cut] == expected[:cut], "what comes later changes nothing before"

    def shape(answers: list[tuple[Wish, ...]], turn: int = 1) -> list[list[tuple[int, bool]]]:
        return [[(turn * wish.side.sign, wish.reduce_only) for wish in answer] for answer in answers]

    scaled = [Candle(c.symbol, c.start, c.open * scale, c.high * scale, c.low * scale, c.close * scale) for c in rows]
    assert shape(wishes(make(**params), scaled)) == shape(expected), "prices times anything are the same wishes"
    mirrored = [Candle(c.symbol, c.start, 4096 - c.open, 4096 - c.low, 4096 - c.high, 4096 - c.close) for c in rows]
    assert shape(wishes(make(**params), mirrored), -1) == shape(expected), "a mirrored market has mirrored wishes"


@settings(max_examples=40, deadline=None)
@given(
    moves=st.lists(st.integers(-12, 12), min_size=30, max_size=50),
    params=st.sampled_from([{}, {"range_source": "window"}, {"range_source": "first_bar"}]),
)
def test_nothing_after_the_freeze_changes_the_levels_of_the_day(moves: list[int], params: dict[str, Any]) -> None:
    strategy, frozen = make(**{**EQUAL, **params}), 25 + (4 if params.get("range_source") == "window" else 1)
    rows = walk(moves)
    heard(strategy, rows[:frozen])
    drawn = strategy.levels()
    for candle in rows[frozen:]:
        strategy.on_candle(candle)
        assert strategy.levels() is drawn


# --- the form -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["A", "A2", "B", "C", "D"])
def test_each_preset_is_valid_and_differs_from_the_default_only_where_it_says(key: str) -> None:
    preset = RangeLevel.presets[key]
    default, full = registry.check_params("range_level", {}), registry.check_params("range_level", preset.params)
    assert {name: value for name, value in full.items() if default[name] != value} == {
        name: value for name, value in preset.params.items() if default[name] != value
    }
    assert preset.name.startswith(f"{key}: ")
    assert make(**preset.params).warmup <= 2000


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"k_buy": 0.4, "k_sell": 0.6}, "more than 1"),
        ({"trigger": "touch", "lag": 0}, "at least one target behind"),
        ({"book": "50,50"}, "10 targets, but 2"),
        ({"n": 2, "book": "60,50"}, "make 100"),
        ({"first_entry": "15:00", "last_entry": "09:20"}, "before the time"),
        ({"flat_by": "14:00"}, "must not be before"),
        ({"flat_by": "noon"}, "pattern"),
        ({"freeze_at": "24:00"}, "pattern"),
        ({"min_range_pct": 9}, "smaller than the largest"),
        ({"session_hours": "15:30-09:15"}, "begin before it ends"),
        ({"k_buy": 0}, "greater than 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(params: dict[str, Any], why: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=why):
        registry.check_params("range_level", params)
