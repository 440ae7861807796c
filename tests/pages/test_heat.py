"""The map of a sweep and the side-by-side table: what is on the axes, what a cell holds, which is best."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.pages import heat, study


def point(summary: dict[str, Any] | None, **params: Any) -> SimpleNamespace:
    return SimpleNamespace(params=params, summary=summary or {}, wrong="" if summary else "no")


def net(value: float, **more: Any) -> dict[str, Any]:
    return {"net": f"{value:.2f}", "sharpe": value / 100, "max_drawdown_pct": 10 - value / 100, "trades": 5, **more}


GRID = [
    point(net(100), a=1, b=10, c="x"),
    point(net(300), a=2, b=10, c="x"),
    point(net(-200), a=1, b=20, c="x"),
    point(None, a=2, b=20, c="x"),
    point(net(50), a=1, b=10, c="y"),
    point(net(20), a=1, b=10, c="z"),
]


def texts(drawn: heat.HeatMap) -> list[tuple[str, list[str]]]:
    return [(label, [cell.text if cell else "" for cell in cells]) for label, cells in drawn.rows]


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({}, [("20", ["−200", ""]), ("10", ["100", "300"])]),
        ({"over": "median"}, [("20", ["−200", ""]), ("10", ["50", "300"])]),
        ({"over": "worst"}, [("20", ["−200", ""]), ("10", ["20", "300"])]),
        ({"x": "b", "y": "a"}, [("2", ["300", ""]), ("1", ["100", "−200"])]),
        ({"figure": "max_drawdown_pct"}, [("20", ["12.0", ""]), ("10", ["9.0", "7.0"])]),
        ({"x": "nobody", "y": "nobody", "figure": "nobody", "over": "nobody"}, [("20", ["−200", ""]), ("10", ["100", "300"])]),
    ],
)
def test_cells_of_the_map(asked: dict[str, str], rows: list[tuple[str, list[str]]]) -> None:
    drawn = heat.heat_map(GRID, rank="net", **asked)
    assert drawn is not None
    assert texts(drawn) == rows


def test_colours_begin_at_zero_and_the_best_is_marked() -> None:
    drawn = heat.heat_map(GRID, rank="net")
    assert drawn is not None
    cells = {cell.text: cell for _, row in drawn.rows for cell in row if cell}
    assert (cells["300"].shade, cells["100"].shade, cells["−200"].shade) == (8, 3, -5)
    assert [text for text, cell in cells.items() if cell.best] == ["300"]
    assert (cells["100"].count, cells["100"].params) == (3, {"a": 1, "b": 10, "c": "x"})


def test_one_axis_many_values_and_nothing_to_draw() -> None:
    line = heat.heat_map([point(net(n), fast=n / 7) for n in range(200)], rank="net")
    assert line is not None
    assert (line.y, len(line.rows), len(line.columns)) == ("", 1, 20)
    assert sum(cell.count for cell in line.rows[0][1] if cell) == 200
    assert heat.heat_map([point(None, a=1)], rank="net") is None


def test_an_axis_is_said_as_it_is_typed() -> None:
    assert [study.axis(said) for said in (["0.03", 0.05, None], "5:20:5")] == ["0.03, 0.05, none", "5:20:5"]


def test_how_all_points_did() -> None:
    told = heat.spread(GRID, "net")
    assert (told["tried"], told["unusable"], told["profitable"], told["counted"], told["median"]) == (6, 1, 4, 5, 50.0)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (None, "net", "–"),
        (-29_114.2, "net", "−29.1k"),
        (2_450_000, "net", "24.5L"),
        (31_000_000, "net", "3.1Cr"),
        (1.236, "sharpe", "1.24"),
        (12.34, "win_rate", "12.3"),
        (339, "trades", "339"),
    ],
)
def test_figures_short_enough_for_a_cell(value: float | None, name: str, text: str) -> None:
    assert heat.shown(value, name) == text


def test_side_by_side_the_best_of_each_figure_is_marked() -> None:
    def ran(**summary: Any) -> SimpleNamespace:
        asked = {"params": {"fast": summary["trades"]}, "hours": "keep"}
        return SimpleNamespace(study=SimpleNamespace(summary=summary, asked=asked, about="EMA cross on INFY", points=None), equity=[])

    items = [ran(net="10.00", max_drawdown_pct=4.0, trades=3), ran(net="-5.00", max_drawdown_pct=2.0, trades=9)]
    rows = {row["key"]: [(cell["text"], cell["best"]) for cell in row["cells"]] for row in study.compared(items)}
    assert rows["net"] == [("+₹10", True), ("−₹5", False)]
    assert rows["max_drawdown_pct"] == [("4.00 %", False), ("2.00 %", True)]
    assert rows["trades"] == [("3", False), ("9", False)]
    assert study.differing(items) == [("fast", ["3", "9"])]
