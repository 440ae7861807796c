"""Exit recipes and plans in a few words, so that a test is a line of a table."""

from __future__ import annotations

from typing import Any

from engines.core.exits import make_plan
from engines.core.model import ExitPlan, ExitSpec, Instrument, Side, TargetSpec, TrailingSpec
from tests.core.making import INFY, KEY, D, sure


def spec(
    stop: str | None = None,
    *,
    pct: str | None = None,
    points: str | None = None,
    targets: str = "",
    trail: str | None = None,
    cost_after: int | None = None,
    booking: str = "remainder",
    exit_at: str | None = None,
    minutes: int | None = None,
) -> ExitSpec:
    """`targets` like "110:50 5%:30>1% 20pt:20>100" (level:share, and where the stop then goes), `trail` like "percent 2", "step 5 10" (value, step), each
    with "from N" after it."""
    return ExitSpec(
        stop_price=None if stop is None else D(stop),
        stop_pct=None if pct is None else D(pct),
        stop_points=None if points is None else D(points),
        targets=tuple(target(word) for word in targets.split()),
        trailing=trailing(trail) if trail else None,
        cost_after_target=cost_after,
        booking=booking,
        exit_at=exit_at,
        max_minutes=minutes,
    )


def recipe(words: str) -> ExitSpec:
    """A whole recipe in one string: "stop 95; 104:30>100 108:70; cost 1; trail percent 2; even; at 15:10; minutes 30"."""
    given: dict[str, Any] = {}
    for part in words.split("; "):
        head, _, rest = part.partition(" ")
        if head == "stop":
            form = "pct" if rest.endswith("%") else "points" if rest.endswith("pt") else "stop"
            given[form] = rest.removesuffix("%").removesuffix("pt")
        elif head in ("cost", "minutes"):
            given["cost_after" if head == "cost" else head] = int(rest)
        elif head in ("trail", "at"):
            given["exit_at" if head == "at" else head] = rest
        elif head == "even":
            given["booking"] = "even"
        else:
            given["targets"] = part
    return spec(**given)


def target(word: str) -> TargetSpec:
    level, _, then = word.partition(">")
    at, share = level.split(":")
    return TargetSpec(D(share), **{_form(at): _number(at)}, **({f"then_{_form(then)}": _number(then)} if then else {}))


def _form(level: str) -> str:
    return "pct" if level.endswith("%") else "points" if level.endswith("pt") else "price"


def _number(level: str) -> Any:
    return D(level.removesuffix("%").removesuffix("pt"))


def trailing(words: str) -> TrailingSpec:
    head, _, start = words.partition(" from ")
    mode, value, *step = head.split()
    return TrailingSpec(mode, D(value), D(step[0]) if step else None, D(start) if start else None)


def plan(
    wanted: ExitSpec, side: Side = Side.BUY, entry: str = "100", quantity: str = "100", instrument: Instrument = INFY, **more: Any
) -> ExitPlan:
    return sure(make_plan("P1", KEY, "U1", side, D(entry), D(quantity), wanted, instrument, 1.0, "S1", **more))
