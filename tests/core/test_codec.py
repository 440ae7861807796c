"""What is stored as JSON text comes back equal, or says where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.codec import dumps, from_plain, loads, to_plain
from engines.core.model import (
    Account,
    Check,
    ExitPlan,
    ExitSpec,
    Limits,
    Order,
    PaperSettings,
    PlanState,
    PlanTarget,
    Product,
    Side,
    Signal,
    Sizing,
    SizingMode,
    StrategyConfig,
    TargetSpec,
    Timeframe,
    TrailingSpec,
)
from tests.core.making import KEY, D, order

SPEC = ExitSpec(
    stop_pct=D("1.5"),
    targets=(TargetSpec(D(50), price=D("1520.05")), TargetSpec(D(50), points=D(20))),
    trailing=TrailingSpec("step", D(5), step=D(10)),
    cost_after_target=1,
)
PLAN = ExitPlan(
    plan_id="P1",
    key=KEY,
    user_id="U1",
    side=Side.BUY,
    entry_price=D("1500.3333333333"),
    quantity=D(100),
    spec=SPEC,
    stop=None,
    targets=(PlanTarget(D("1520.05"), D(50), True),),
    best_price=D(1501),
    state=PlanState.ARMED,
    updated_at=1.25,
)


@pytest.mark.parametrize(
    "value",
    [
        SPEC,
        PLAN,
        ExitSpec(),
        Limits(max_daily_loss=D(0), max_trades_per_day=0, flatten_on_limit=True),
        Sizing(SizingMode.KELLY, D("0.5")),
        PaperSettings(slippage_ticks=D("0.5"), seed=7),
        Check("order_value", False, "1,520.05 > 1,000"),
        Account("A1", "U1", "Main ₹", "paper", D("100000.00"), Limits(max_daily_loss_pct=D(2))),
        StrategyConfig("S1", "U1", "cross", "ema_cross", Timeframe.M5, ("NSE:INFY",), {"fast": 9, "deep": [1.5, None]}, exit_plan=SPEC),
        order(checks=(Check("funds", True),), average_price=D("1500.05"), price=None),
        Signal("K", "s-1", "U1", "manual", "NSE:INFY", Side.SELL, 2.0, product=Product.CNC, exits=SPEC),  # type: ignore[arg-type]
        KEY,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_stored_comes_back_equal(value: Any) -> None:
    text = dumps(value)
    assert loads(type(value), text) == value
    assert dumps(loads(type(value), text)) == text
    json.loads(text, parse_float=float, parse_constant=pytest.fail)


def test_decimals_travel_as_strings_with_every_digit() -> None:
    assert to_plain(Limits(max_daily_loss=D("5000.10")))["max_daily_loss"] == "5000.10"
    assert str(loads(Limits, '{"max_daily_loss":"5000.10"}').max_daily_loss) == "5000.10"


def test_absent_fields_take_their_defaults() -> None:
    assert from_plain(ExitSpec, {"stop_pct": "2"}) == ExitSpec(stop_pct=D(2))


@pytest.mark.parametrize(
    ("cls", "data", "words"),
    [
        (Limits, {"max_daily_loss": 5000.1}, "Limits.max_daily_loss: not an exact number"),
        (Limits, {"max_daily_loss": "NaN"}, "Limits.max_daily_loss: not a finite number"),
        (Limits, {"max_daily_loss": "Infinity"}, "Limits.max_daily_loss: not a finite number"),
        (Limits, {"max_daily_loss": "many"}, "Limits.max_daily_loss: not a number"),
        (Limits, {"max_daily_loss": True}, "Limits.max_daily_loss: not an exact number"),
        (Limits, {"max_trades_per_day": "3"}, "Limits.max_trades_per_day: not a whole number"),
        (Limits, {"max_trades_per_day": True}, "Limits.max_trades_per_day: not a whole number"),
        (Limits, {"flatten_on_limit": 1}, "Limits.flatten_on_limit: not true or false"),
        (Limits, {"max_gain": "1"}, "Limits: unknown max_gain"),
        (Limits, ["1"], "Limits: not an object"),
        (Sizing, {"mode": "martingale"}, "Sizing.mode: no SizingMode is called 'martingale'"),
        (TargetSpec, {"price": "1"}, "TargetSpec: without share_pct"),
        (ExitSpec, {"targets": {"share_pct": "1"}}, "ExitSpec.targets: not a list"),
        (ExitSpec, {"targets": [{"share_pct": 0.5}]}, r"ExitSpec.targets\[0\].share_pct: not an exact number"),
        (Order, {"order_id": "O1"}, "Order: without account_id"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(cls: type, data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_plain(cls, data)


class Pair(NamedTuple):
    name: str
    weight: Decimal = D(1)


@dataclass(frozen=True)
class Odd:
    pairs: tuple[Pair, ...] = ()
    fixed: tuple[int, str] = (1, "a")
    listed: list[Decimal] = field(default_factory=list)
    by_side: Mapping[Side, float] = field(default_factory=dict)
    free: Any = None


def test_named_tuples_lists_pairs_and_mappings_are_kept() -> None:
    odd = Odd((Pair("x", D("0.10")), Pair("y")), (2, "b"), [D(1)], {Side.BUY: 1.0}, {"any": [1]})
    assert loads(Odd, dumps(odd)) == odd
    assert to_plain(odd)["pairs"] == [{"name": "x", "weight": "0.10"}, {"name": "y", "weight": "1"}]
    assert from_plain(Odd, {"by_side": {"BUY": 1}}).by_side == {Side.BUY: 1.0}


@pytest.mark.parametrize("data", [{"fixed": [1]}, {"fixed": [1, 2]}, {"by_side": {"UP": 1.0}}, {"by_side": []}, {"by_side": {"BUY": "1"}}])
def test_containers_of_the_wrong_shape_are_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="Odd"):
        from_plain(Odd, data)


@pytest.mark.parametrize("value", [D("NaN"), float("inf"), {"a": float("nan")}])
def test_numbers_that_json_does_not_have_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be stored"):
        to_plain(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", Side, {1: "a"}])
def test_types_that_we_do_not_store_are_an_error(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be"):
        to_plain(value)


@dataclass(frozen=True)
class Unreadable:
    either: int | str | None = None
    bag: frozenset[int] = frozenset()


@pytest.mark.parametrize("data", [{"either": 1}, {"bag": []}])
def test_annotations_that_say_too_little_are_an_error(data: Any) -> None:
    with pytest.raises(TypeError, match="Unreadable"):
        from_plain(Unreadable, data)


money = st.none() | st.decimals(allow_nan=False, allow_infinity=False)
targets = st.builds(TargetSpec, st.decimals("0.01", "100", places=2), price=money, pct=money, points=money)
trailings = st.builds(TrailingSpec, st.sampled_from(["percent", "step"]), st.decimals("0.01", "100"), step=money, start=money)
specs = st.builds(
    ExitSpec,
    stop_price=money,
    stop_pct=money,
    stop_points=money,
    targets=st.lists(targets, max_size=4).map(tuple),
    trailing=st.none() | trailings,
    cost_after_target=st.none() | st.integers(1, 4),
)


@given(specs)
def test_every_exit_spec_survives_being_stored(spec: ExitSpec) -> None:
    assert loads(ExitSpec, dumps(spec)) == spec


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_whatever_breaks_the_reader(data: Any) -> None:
    for cls in (ExitSpec, Limits, Order):
        with suppress(ValueError):
            from_plain(cls, data)
