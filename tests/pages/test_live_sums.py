"""What the stream tells moves each figure in its own place: real money and paper are never one number, not even on a page from before there were both."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response
from werkzeug.serving import make_server

from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.things import ACCOUNTS
from tests.support.browser import Browser
from tests.support.hands import waiting

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
def told() -> Iterator[str]:
    """The sample book, whose stream tells of a result at once."""
    app = create_preview()
    name = next(rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == "/api/stream")
    said = f"retry: 200\nevent: pnl\ndata: {json.dumps(TOLD)}\n\n"
    app.view_functions[name] = lambda: Response(said, content_type="text/event-stream")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()


def figures(chrome: Browser, css: str) -> list[str]:
    return [
        str(value) for value in chrome.execute_script(f"return [...document.querySelectorAll('{css}')].map((each) => each.dataset.value)")
    ]


@pytest.mark.parametrize(
    ("paper_only", "header", "strategy"), [(False, [REAL, PAPER], ["-129.5", "6950.5"]), (True, [REAL], ["-129.5", "6950.5"])]
)
def test_a_result_that_is_told_is_shown_by_whose_money_it_is(
    chrome: Browser, told: str, monkeypatch: pytest.MonkeyPatch, paper_only: bool, header: list[str], strategy: list[str]
) -> None:
    if paper_only:
        monkeypatch.setattr(Sample, "accounts", lambda self, **_: [one for one in ACCOUNTS if one.broker == "paper"])

    def shown(_: Any) -> bool:
        return figures(chrome, ".strip .purse .num") == header

    chrome.get(f"{told}/")
    waiting(chrome).until(shown, f"the header does not say {header}")
    assert SUM not in figures(chrome, "[data-value]")
    assert figures(chrome, "#str-S1 td .num")[:2] == strategy
