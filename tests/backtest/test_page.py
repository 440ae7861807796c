"""The report's page: it stands alone, says the numbers, and shows foreign text as text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engines.backtest import Report, Settings, run
from engines.backtest.equity import Equity
from engines.backtest.words import Money, lasting, percent, ratio, ticks
from engines.core.model import ExitSpec, Sizing, SizingMode, TargetSpec

D = Decimal

VOID = {"meta", "line", "polyline", "path", "rect", "circle"}


@pytest.fixture(scope="module")
def report(nifty_week: Path) -> Report:
    """Two days with a ladder, so that every part of the page has something to show."""
    targets = tuple(TargetSpec(D(50), pct=D(n) / 20, then_pct=D(n - 1) / 20) for n in (1, 2))
    settings = Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, D(50)), exits=ExitSpec(stop_pct=D("0.1"), targets=targets))
    return run("ema_cross", nifty_week, params={"fast": 3, "slow": 8, "direction": "both"}, last=date(2024, 1, 3), settings=settings)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return report.as_html()


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


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(html: str) -> None:
    page = Reader(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"}
    assert not any(name in attrs for _, attrs in page.tags for name in ("src", "style", "onclick"))
    places = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {attrs["href"] for _, attrs in page.tags if "href" in attrs} == {f"#{place}" for place in places}
    assert "url(" not in html
    assert "http" not in html


def test_the_page_says_what_the_report_says(report: Report, html: str) -> None:
    text = Reader(html).text
    money = Money()
    for said in (
        "EMA cross",
        money.full(report.net, plus=True),
        money.full(report.gross, plus=True),
        money.full(-report.charges),
        report.data_hash,
        report.assumed_path,
        "fast = 3, slow = 8, direction = both",
        "stop 0.1 %; T1 0.05 % for 50 %, then stop 0 %; T2 0.1 % for 50 %, then stop 0.05 %",
        f"{report.bars:,} bars",
        "Sharpe",
        "own signal",
        "Wednesday",
        "× 2, twice as high",
        *report.excluded,
        *(each[:1].upper() + each[1:] for each in report.warnings),
    ):
        assert said in text, said
    assert html.count("<tr>") > len(report.trades)
    assert html.count('class="closeup"') == len(report.analysis.closeups) == 6


def test_every_number_in_a_picture_is_a_number(html: str) -> None:
    """Nothing infinite, nothing undefined, nothing far outside of the picture."""
    pictures = re.findall(r'viewBox="0 0 (\d+) (\d+)"[^>]*>(.*?)</svg>', html)
    assert len(pictures) > 20
    for width, height, inside in pictures:
        assert not re.search("nan|inf", re.sub("<(title|text)[^>]*>[^<]*", "", inside))
        for x in map(float, re.findall(r' (?:x|x1|x2|cx)="([^"]*)"', inside)):
            assert -1 <= x <= int(width) + 1
        for y in map(float, re.findall(r' (?:y|y1|y2|cy)="([^"]*)"', inside)):
            assert -1 <= y <= int(height) + 1


def test_foreign_text_is_shown_as_text(report: Report) -> None:
    hostile = "<script>alert(1)</script>&\"'"
    played = report.played
    account = played.accounts[0]
    trade = replace(account.trades[0], note=hostile, exit_note=hostile, exit_reason="signal", symbol=hostile)
    strange = replace(
        played,
        config=replace(played.config, instruments=(hostile,), kind=hostile, params={hostile: hostile}),
        histories=tuple(replace(each, path=Path(hostile.replace("/", ""))) for each in played.histories),
        accounts=(replace(account, account=replace(account.account, name=hostile), trades=[trade] * 2, refused={hostile: 1}),) * 2,
        notes=(hostile,),
    )
    page = Reader(replace(report, played=strange).as_html())
    assert {tag for tag, _ in page.tags} & {"script", "alert"} == set()
    assert page.text.count("alert(1)") >= 12


@pytest.mark.parametrize("curve", [(), (("2024-01-01", 1_000_000.0),), (("2024-01-01", 5.0), ("2024-01-02", 5.0))])
def test_a_run_without_a_trade_still_has_a_page(report: Report, curve: tuple[tuple[str, float], ...]) -> None:
    """Nothing traded, nothing won, one session, none: dashes and a flat line."""
    prices = replace(report.prices, sessions=report.prices.sessions[: len(curve)])
    nobody = replace(report.accounts[0], trades=(), fills=(), moves=(), changes=(), holdings=(), cash=D(0), charges=D(0), refused={})
    equity = Equity(curve, 0.0, 0.0, 0)
    made = replace(
        report, prices=prices, equity=equity, equities={"backtest": equity}, played=replace(report.played, accounts=(nobody,), decisions=())
    )
    html = made.as_html()
    page = Reader(html)
    assert "nan" not in re.sub("<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "No trade was closed." in page.text
    assert ("equity" in {attrs.get("id") for _, attrs in page.tags}) == bool(curve)
    made.as_json()


# --- how numbers are written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (Money().full(D("-1234567.891")), "−₹12,34,567.89"),
        (Money().full(0, 0, plus=True), "₹0"),
        (Money().full(D("-0.001"), plus=True), "₹0.00"),
        (Money().full(999, plus=True), "+₹999.00"),
        (Money().full(100_000, 0), "₹1,00,000"),
        (Money("", indian=False).full(1234567.5), "1,234,567.50"),
        (Money().full(None), "–"),
        (Money().short(985_000), "9.85 L"),
        (Money().short(-12_345_678), "−1.235 Cr"),
        (Money().short(0), "0"),
        (Money("", indian=False).short(2_500_000), "2.5 M"),
        (percent(-0.5), "−0.50 %"),
        (percent(None), "–"),
        (ratio(1234.567), "1,234.57"),
        (lasting(0.2), "0 s"),
        (lasting(3_725), "1 h 2 min"),
        (lasting(3 * 86_400 + 5), "3 d"),
        (lasting(None), "–"),
    ],
)
def test_numbers_are_written_as_a_trader_reads_them(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize(
    ("low", "high", "most", "found"),
    [
        (0, 1, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (241_071, 1_010_000, 5, [400_000.0, 600_000.0, 800_000.0, 1_000_000.0]),
        (-3, 3, 4, [-2.0, 0.0, 2.0]),
        (5, 5, 3, [5]),
    ],
)
def test_an_axis_has_round_places(low: float, high: float, most: int, found: list[float]) -> None:
    assert ticks(low, high, most) == found
