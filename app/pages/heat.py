"""The map of a sweep: two parameters span it, one figure colours it, and what other parameters did is folded into each cell.

Pure arithmetic. A cell shows a number as well as a colour, so that nothing is told by colour alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from engines.backtest.grid import LOW_IS_GOOD, number_of

MONEY = frozenset({"net", "gross", "charges", "expectancy", "max_drawdown"})
OVERS = (("best", "the best of the others"), ("median", "the median of the others"), ("worst", "the worst of the others"))
MOST_CELLS = 40
"""Along each axis; more are drawn as the ranges they fall into."""
SHADES = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """`shade` −8 … 8: how far from the middle, to the bad or to the good side. `best` holds the parameters of the best point in it."""

    value: float | None
    text: str
    shade: int
    count: int
    params: dict[str, Any]
    best: bool = False


@dataclass(frozen=True, slots=True)
class HeatMap:
    """`rows` from the highest `y` down. `axes` are all parameters that were swept, `figures` what may colour the map."""

    x: str
    y: str
    figure: str
    over: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    axes: tuple[str, ...]
    figures: tuple[str, ...]
    folded: bool


def heat_map(items: Sequence[Any], *, rank: str, x: str = "", y: str = "", figure: str = "", over: str = "") -> HeatMap | None:
    """None while there is nothing to draw. `items` have `params` and `summary`."""
    usable = [item for item in items if item.summary]
    if not usable:
        return None
    axes = tuple(name for name in usable[0].params if len({_key(item.params.get(name)) for item in usable}) > 1) or tuple(usable[0].params)
    figures = tuple(
        name
        for name, value in usable[0].summary.items()
        if number_of(value) is not None and name not in ("capital", "bars", "symbols", "accounts")
    )
    figure = figure if figure in figures else rank if rank in figures else figures[0] if figures else rank
    x = x if x in axes else axes[0]
    y = y if y in axes and y != x else next((name for name in axes if name != x), "")
    over = over if over in dict(OVERS) else "best"
    xs, ys = _ticks(usable, x), _ticks(usable, y) if y else ([None], [""])
    place: dict[tuple[int, int], list[Any]] = {}
    for item in usable:
        spot = _spot(xs[0], item.params.get(x)), _spot(ys[0], item.params.get(y)) if y else 0
        place.setdefault(spot, []).append(item)
    sign = -1 if figure in LOW_IS_GOOD else 1
    picked = {spot: _pick(found, figure, sign, over) for spot, found in place.items()}
    values = sorted(sign * value for value, _ in picked.values() if value is not None)
    best = max(values, default=None)
    cells = {
        spot: Cell(
            value,
            shown(value, figure),
            _shade(sign * value, values, figure) if value is not None else 0,
            len(place[spot]),
            dict(item.params),
            value is not None and sign * value == best,
        )
        for spot, (value, item) in picked.items()
    }
    rows = tuple((ys[1][j], tuple(cells.get((i, j)) for i in range(len(xs[1])))) for j in reversed(range(len(ys[1]))))
    return HeatMap(x, y, figure, over, tuple(xs[1]), rows, axes, figures, len(axes) > 2)


def spread(items: Sequence[Any], rank: str) -> dict[str, Any]:
    """How all points did, so that the best is not read alone."""
    values = sorted(value for item in items if (value := number_of(item.summary.get(rank))) is not None)
    nets = [value for item in items if (value := number_of(item.summary.get("net"))) is not None]
    return {
        "tried": len(items),
        "unusable": sum(bool(item.wrong) for item in items),
        "profitable": sum(net > 0 for net in nets),
        "counted": len(nets),
        "median": median(values) if values else None,
        "low": values[len(values) // 10] if values else None,
        "high": values[-1 - len(values) // 10] if values else None,
    }


def shown(value: float | None, figure: str) -> str:
    """Short enough for a cell: 12.4k, 1.25, 3.1 %."""
    if value is None:
        return "–"
    sign = "\u2212" if value < 0 else ""
    size = abs(value)
    if figure in MONEY:
        for limit, unit in ((1e7, "Cr"), (1e5, "L"), (1e3, "k")):
            if size >= limit:
                return f"{sign}{size / limit:.3g}{unit}"
        return f"{sign}{size:.0f}"
    if figure.endswith("_pct") or figure in ("cagr", "win_rate", "volatility"):
        return f"{sign}{size:.1f}"
    return f"{sign}{size:.0f}" if figure in ("trades", "refused", "warnings") else f"{sign}{size:.2f}"


def _pick(found: Sequence[Any], figure: str, sign: int, over: str) -> tuple[float | None, Any]:
    """The cell's value by how the other parameters are folded, and the best point in it."""
    valued = sorted(
        ((sign * value, n) for n, item in enumerate(found) if (value := number_of(item.summary.get(figure))) is not None), reverse=True
    )
    if not valued:
        return None, found[0]
    chosen = {"best": valued[0][0], "worst": valued[-1][0], "median": median(value for value, _ in valued)}[over]
    return sign * chosen, found[valued[0][1]]


def _ticks(items: Sequence[Any], name: str) -> tuple[list[Any], list[str]]:
    """The values of an axis in order with what is written beside them; of a continuous one the ranges."""
    values = {_key(item.params.get(name)): item.params.get(name) for item in items}
    numbers = sorted({value for each in values.values() if (value := number_of(each)) is not None})
    if len(numbers) == len(values) and len(numbers) > MOST_CELLS:
        low, width = numbers[0], (numbers[-1] - numbers[0]) / MOST_CELLS * 2 or 1.0
        edges = [low + width * n for n in range(MOST_CELLS // 2)]
        return edges, [f"{edge:.4g}" for edge in edges]
    if len(numbers) == len(values):
        return list(numbers), [f"{value:g}" for value in numbers]
    kept = [values[key] for key in sorted(values)]
    return kept, ["none" if value is None else str(value) for value in kept]


def _spot(ticks: Sequence[Any], value: Any) -> int:
    if value in ticks:
        return ticks.index(value)
    wanted = number_of(value) or 0.0
    return max((n for n, edge in enumerate(ticks) if isinstance(edge, int | float) and edge <= wanted), default=0)


def _shade(value: float, values: Sequence[float], figure: str) -> int:
    """Money and ratios are coloured from zero, whatever has no zero from the middle of what there is."""
    low, high = values[0], values[-1]
    middle = (
        0.0
        if figure in MONEY - {"max_drawdown"} or figure in ("net_pct", "cagr", "sharpe", "sortino", "calmar", "expectancy_r")
        else (low + high) / 2
    )
    if figure == "profit_factor":
        middle = 1.0
    reach = max(abs(high - middle), abs(low - middle)) or 1.0
    step = round(SHADES * (value - middle) / reach)
    return max(-SHADES, min(SHADES, step))


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
