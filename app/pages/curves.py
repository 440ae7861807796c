"""Lines for charts: the equity points of several accounts as one curve, and a small picture of it as an SVG path. Pure arithmetic, no drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Point = tuple[float, float]


def total(points: Iterable[Any], value: str = "net") -> list[Point]:
    """One curve from the marks of several accounts: at each moment the sum of every account's newest mark so far.

    `net` is the session's profit or loss (realised + unrealised − charges), `equity` what the accounts are worth.
    """
    newest: dict[str, float] = {}
    curve: dict[float, float] = {}
    for point in sorted(points, key=lambda p: p.at):
        number = point.equity if value == "equity" else point.realised + point.unrealised - point.charges
        newest[point.account_id] = float(number)
        curve[point.at.timestamp()] = sum(newest.values())
    return sorted(curve.items())


def path(curve: Sequence[Point], width: float = 300, height: float = 34) -> str:
    """The `d` of an SVG path through the curve; empty for fewer than two points."""
    if len(curve) < 2:
        return ""
    low, high = bounds(curve)
    start, span = curve[0][0], (curve[-1][0] - curve[0][0]) or 1
    steps = (f"{width * (at - start) / span:.1f} {height - height * (value - low) / (high - low):.1f}" for at, value in curve)
    return "M" + "L".join(steps)


def zero_line(curve: Sequence[Point], height: float = 34) -> float | None:
    """Where zero lies in the picture, if it does."""
    low, high = bounds(curve)
    return round(height - height * (0 - low) / (high - low), 1) if low <= 0 <= high else None


def bounds(curve: Sequence[Point]) -> tuple[float, float]:
    values = [value for _, value in curve] or [0.0]
    low, high = min(*values, 0.0), max(*values, 0.0)
    return (low, high) if high > low else (low, low + 1)
