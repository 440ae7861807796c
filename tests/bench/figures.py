"""A measured figure and how it is told: what, how much, what we promised, and, where there is one, the floor of the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`target` is a bound from above, or from below when `more_is_better`; `floor` is what the machine itself needs."""

    name: str
    measure: str
    value: float
    unit: str
    target: float | None
    floor: float | None = None
    more_is_better: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.more_is_better else self.value <= self.target

    @property
    def ratio(self) -> float | None:
        """How many times the floor; for rates, how much of it."""
        return self.value / self.floor if self.floor else None

    def as_json(self) -> dict[str, Any]:
        told = {
            "name": self.name,
            "measure": self.measure,
            "value": _short(self.value),
            "unit": self.unit,
            "target": self.target,
            "met": self.met,
            "floor": _short(self.floor),
            "ratio": _short(self.ratio),
        }
        return told | dict(self.notes)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]
