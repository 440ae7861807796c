"""The calendar of a dataset's days: what each cell is, and when years take the place of months."""

from __future__ import annotations

from types import SimpleNamespace

from app.pages.coverage import coverage

DAYS = ["2024-01-29", "2024-01-30", "2024-01-31", "2024-02-02"]


def gaps(first: str, last: str, missing: tuple[str, ...] = (), short: dict[str, int] | None = None) -> SimpleNamespace:
    return SimpleNamespace(first_day=first, last_day=last, missing_days=missing, short_days=short or {})


def test_a_row_for_each_month_and_a_cell_for_each_day() -> None:
    drawn = coverage(gaps("2024-01-29", "2024-02-04", ("2024-02-01",), {"2024-01-30": 7}), DAYS)
    assert [row.label for row in drawn.rows] == ["Jan 2024", "Feb 2024"]
    january, february = ([cell.look for cell in row.cells] for row in drawn.rows)
    assert january == [""] * 28 + ["full", "part", "full"]
    assert february[:6] == ["none", "full", "closed", "closed", "", ""]
    assert [cell.title for cell in drawn.rows[0].cells[28:30]] == ["29 Jan 2024: whole", "30 Jan 2024: 7 candles missing"]
    assert "silences" in coverage(gaps("2024-01-30", "2024-01-30", (), {"2024-01-30": 2}), DAYS, ticks=True).rows[0].cells[29].title


def test_many_years_are_a_row_each() -> None:
    drawn = coverage(gaps("2024-01-29", "2027-03-05", ("2024-02-01",)), DAYS)
    assert (len(drawn.head), [row.label for row in drawn.rows]) == (12, ["2024", "2025", "2026", "2027"])
    assert [cell.look for cell in drawn.rows[0].cells[:3]] == ["full", "part", "closed"]
    assert drawn.rows[0].cells[1].title == "Feb 2024: 1 whole days, 0 with holes, 1 missing"
    assert [cell.look for cell in drawn.rows[3].cells[2:4]] == ["closed", ""]
