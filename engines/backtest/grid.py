"""The points of a parameter sweep: which values each parameter takes, and which combinations of them are tried.

Pure: chance is a seed, and the same axes and seed give the same points in the same order on every machine.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from random import Random
from typing import Any

from engines.ports import TandemError

MOST_POINTS = 20_000
MOST_VALUES = 1_000
LOW_IS_GOOD = frozenset({"max_drawdown", "max_drawdown_pct", "charges", "ambiguous_pct"})
"""Figures of a report's summary of which the lower is the better: for every ranking, on pages and on the command line alike."""
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?", re.ASCII)

Point = dict[str, Any]


class BadGrid(TandemError):
    """The axes cannot be swept so; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter that is tried: `values`, or (for random points only) anything between `low` and `high`."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False

    def draw(self, chance: Random) -> Any:
        if self.values:
            return chance.choice(self.values)
        return chance.randint(int(self.low), int(self.high)) if self.whole else _neat(chance.uniform(self.low, self.high))


def read_axis(name: str, said: Any) -> Axis:
    """`said`: a list, a single value, or text: "5:20:5" (5, 10, 15, 20), "5:20" (whole numbers one by one; with decimals: anything between,
    for random points), "9,12,21" or "long,both"."""
    if isinstance(said, list | tuple):
        return Axis(name, _values(name, [_plain(each) if isinstance(each, str) else each for each in said]))
    if not isinstance(said, str):
        return Axis(name, (said,))
    text = said.strip()
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if found:
        return _range(name, *found.groups())
    return Axis(name, _values(name, [_plain(part) for part in text.split(",")]))


def axes(grid: Mapping[str, Any]) -> tuple[Axis, ...]:
    if not grid:
        raise BadGrid("name at least one parameter to sweep, with its values, as in fast=5:20:5")
    return tuple(read_axis(name, said) for name, said in grid.items())


def count(swept: Sequence[Axis]) -> int | None:
    """How many points the whole grid has; None when an axis is continuous."""
    return math.prod(len(axis.values) for axis in swept) if all(axis.values for axis in swept) else None


def points(swept: Sequence[Axis], *, draws: int | None = None, seed: int = 0) -> list[Point]:
    """Every combination; or, with `draws`, so many different ones chosen at random (all of them when there are not more)."""
    whole = count(swept)
    if draws is None:
        if whole is None:
            loose = ", ".join(axis.name for axis in swept if not axis.values)
            raise BadGrid(f"{loose}: give a step (low:high:step) or ask for a number of random points")
        if whole > MOST_POINTS:
            raise BadGrid(f"{whole:,} combinations are more than {MOST_POINTS:,}: take larger steps, or a number of random points")
        return list(_grid(swept))
    if not 1 <= draws <= MOST_POINTS:
        raise BadGrid(f"the number of random points must be from 1 to {MOST_POINTS:,}")
    if whole is not None and whole <= draws:
        return list(_grid(swept))
    return list(islice(_drawn(swept, Random(seed)), draws))


def key_of(params: Mapping[str, Any]) -> str:
    """The same text for the same parameters."""
    return json.dumps(params, sort_keys=True, separators=(",", ":"), default=str)


def _grid(swept: Sequence[Axis]) -> Iterator[Point]:
    names = [axis.name for axis in swept]
    return (dict(zip(names, values, strict=True)) for values in product(*(axis.values for axis in swept)))


def _drawn(swept: Sequence[Axis], chance: Random) -> Iterator[Point]:
    seen: set[str] = set()
    missed = 0
    while missed < 10_000:  # a narrow axis of whole numbers may have no more to give
        point = {axis.name: axis.draw(chance) for axis in swept}
        key = key_of(point)
        missed += 1
        if key not in seen:
            seen.add(key)
            missed = 0
            yield point


def _range(name: str, first: str, last: str, step: str | None) -> Axis:
    low, high, whole = float(first), float(last), not any("." in part for part in (first, last, step or ""))
    if low > high:
        raise BadGrid(f"{name}: {first}:{last} goes backwards")
    if step is None and not whole:
        return Axis(name, (), low, high) if low < high else Axis(name, (low,))
    width = float(step) if step is not None else 1.0
    if width <= 0:
        raise BadGrid(f"{name}: the step must be above 0")
    steps = math.floor((high - low) / width + 1e-9) + 1
    if steps > MOST_VALUES:
        if step is None:
            return Axis(name, (), low, high, whole=True)
        raise BadGrid(f"{name}: {steps:,} values are more than {MOST_VALUES:,}")
    found = [_neat(low + width * number) for number in range(steps)]
    return Axis(name, tuple(int(value) if whole else value for value in found))


def _values(name: str, given: Sequence[Any]) -> tuple[Any, ...]:
    found = [each for each in given if each != ""]
    if not found:
        raise BadGrid(f"{name}: no value is given")
    if len(found) > MOST_VALUES:
        raise BadGrid(f"{name}: {len(found):,} values are more than {MOST_VALUES:,}")
    kept: dict[str, Any] = {}
    for each in found:
        kept.setdefault(key_of({"": each}), each)
    return tuple(kept.values())


def _plain(text: str) -> Any:
    """The value that a piece of text stands for: a number, true, false, null, or itself."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return float(text) if "." in text else int(text)
    return {"true": True, "false": False, "null": None, "none": None}.get(text.lower(), text)


def _neat(value: float) -> float:
    return float(f"{value:.10g}")


def number_of(value: Any) -> float | None:
    """A figure of a summary as a float; None where there is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
