"""What the stream tells moves each figure in its own place: real money and paper are never one number, not even on a page from before there were both."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import Response

from tests.pages.preview import create_preview, served
from tests.pages.sample import Sample
from tests.pages.things import ACCOUNTS
from tests.support.browser import Browser
from tests.support.hands import becomes

REAL, PAPER, SUM = "-129.82", "6950.73", "6820.91"


def row(net: str) -> dict[str, str]:
    return {"realised": "0", "unrealised": net, "charges": "0", "net": net}


TOLD = {
    "currency": "INR",
    "total": row(SUM),
    "totals": {"INR": row(SUM)},
    "live": {"INR": row(REAL)},
    "paper": {"INR": row(PAPER)},
    "by_account": [],
    "by_strategy": [
        {"strategy_id": "S1", "currency": "INR", "live": live, **row(net)} for live, net in ((True, "-129.5"), (False, "6950.5"))
    ],
}


@pytest.fixture(scope="module")
def told(chrome: Browser) -> Iterator[str]:
    """The sample book, whose stream tells of a result again and again."""
    app = create_preview()
    name = next(rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == "/api/stream")
    said = f"retry: 200\nevent: pnl\ndata: {json.dumps(TOLD)}\n\n"
    app.view_functions[name] = lambda: Response(said, content_type="text/event-stream")
    with served(app) as base:
        yield base
        chrome.get("about:blank")  # no page complains that its server is gone


FIGURES = """
  const [css, never] = arguments;
  const figures = (found) => [...document.querySelectorAll(found)].map((each) => each.dataset.value);
  return [figures('.strip .purse .num'), figures(css).slice(0, 2), figures('[data-value]').includes(never)];
"""


@pytest.mark.parametrize(
    ("paper_only", "header", "strategy"), [(False, [REAL, PAPER], ["-129.5", "6950.5"]), (True, [REAL], ["-129.5", "6950.5"])]
)
def test_a_result_that_is_told_is_shown_by_whose_money_it_is(
    chrome: Browser, told: str, monkeypatch: pytest.MonkeyPatch, paper_only: bool, header: list[str], strategy: list[str]
) -> None:
    if paper_only:
        monkeypatch.setattr(Sample, "accounts", lambda self, **_: [one for one in ACCOUNTS if one.broker == "paper"])

    chrome.get(f"{told}/")
    becomes(chrome, FIGURES, [header, strategy, False], "#str-S1 td .num", SUM)
