"""The exit plan's page in the browser: it says which plan was looked at, so that it cannot replace one that was changed meanwhile."""

from __future__ import annotations

import pytest

from tests.support.browser import Browser, resize
from tests.support.hands import click, one, until

SENT = "window.fetch = (place, asked) => { window.sent = JSON.parse(asked.body); return new Promise(() => {}); }"


@pytest.mark.parametrize(("position", "guarded"), [("P1", True), ("P4", True), ("P2", False)])
def test_arming_and_taking_away_name_the_plan_that_was_looked_at(chrome: Browser, preview: str, position: str, guarded: bool) -> None:
    resize(chrome, 1366, 768)
    chrome.get(f"{preview}/positions/{position}/plan")
    shown = chrome.execute_script("return document.querySelector('main form [name=version]').value")
    assert (shown != "none") is guarded
    chrome.execute_script(SENT)
    if not guarded:
        one(chrome, "#f-stop_value, [name=stop_value]").send_keys("1")
    click(chrome, "main form[data-api] [type=submit]")
    until(chrome, "window.sent")
    assert chrome.execute_script("return window.sent.version") == shown
    if guarded:
        assert chrome.execute_script("return JSON.parse(document.querySelector('main [data-body]').dataset.body).version") == shown
