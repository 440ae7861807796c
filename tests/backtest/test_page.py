"""The report's page: it stands alone, says the numbers, and shows foreign text as text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engines.backtest import Report, run

VOID = {"meta", "line", "polyline"}


@pytest.fixture(scope="module")
def report(nifty_week: Path) -> Report:
    return run("ema_cross", nifty_week, last=date(2024, 1, 3))


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps tags and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(report: Report) -> None:
    html = report.as_html()
    page = Reader(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"}
    assert not any(name in attrs for _, attrs in page.tags for name in ("src", "href", "style", "onclick"))
    assert "url(" not in html
    assert "http" not in html


def test_the_page_says_what_the_report_says(report: Report) -> None:
    text = Reader(report.as_html()).text
    for said in (
        f"{report.net:,.2f}",
        f"{report.charges:,.2f}",
        report.data_hash,
        report.assumed_path,
        "fast = 9, slow = 21, direction = long",
        f"{report.bars:,} bars",
        *report.warnings,
    ):
        assert said in text
    assert len(re.findall("<tr>", report.as_html())) > len(report.trades)


def test_foreign_text_is_shown_as_text(report: Report) -> None:
    hostile = "<script>alert(1)</script>&\"'"
    made = replace(report, source=hostile, symbols=(hostile,), notes=(hostile,), refused={hostile: 1}, bad_rows=(hostile,), bad_row_count=1)
    page = Reader(made.as_html())
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("alert(1)") >= 5


@pytest.mark.parametrize("curve", [(), (("2024-01-01", 1_000_000.0),), (("2024-01-01", 5.0), ("2024-01-02", 5.0))])
def test_a_short_or_flat_curve_is_still_a_picture(report: Report, curve: tuple[tuple[str, float], ...]) -> None:
    page = Reader(replace(report, equity=replace(report.equity, curve=curve), trades=(), by_exit=(), holdings=()).as_html())
    points = next(attrs["points"] for tag, attrs in page.tags if tag == "polyline")
    assert points is not None
    assert "nan" not in points
    assert len(points.split()) == (len(curve) + 1 if curve else 0)
    assert "No trade was closed." in page.text
