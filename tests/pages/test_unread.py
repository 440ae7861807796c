"""How many messages are unread stands beside the way to them, on a desk and on a phone: it grows by itself and ends where they are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from flask import Response, jsonify

from tests.pages.preview import create_preview, served
from tests.pages.sample import Sample
from tests.support.browser import Browser, resize
from tests.support.hands import PATIENCE, becomes

SHOWN = """
  return [...document.querySelectorAll("[data-key=unread]")].filter((each) => each.checkVisibility()).map((each) => each.textContent);
"""


@dataclass
class Box:
    """A person's messages, as the server counts them."""

    base: str = ""
    unread: int = 3
    read: threading.Event = field(default_factory=threading.Event)

    def look(self) -> tuple[str, int]:
        self.unread = 0
        self.read.set()
        return "", 204


@pytest.fixture
def box(chrome: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """The sample book, whose stream tells again and again that there is something to read."""
    made = Box()
    monkeypatch.setattr(Sample, "unread", lambda _: made.unread)
    app = create_preview()
    told = "retry: 200\nevent: message\ndata: {}\n\n"
    answers = {
        "/api/stream": lambda: Response(told, content_type="text/event-stream"),
        "/api/me/messages": lambda: jsonify(unread=made.unread),
        "/api/me/messages/read": made.look,
    }
    for rule in app.url_map.iter_rules():
        if rule.rule in answers:
            app.view_functions[rule.endpoint] = answers[rule.rule]
    with served(app) as made.base:
        yield made
        chrome.get("about:blank")  # no page complains that its server is gone


def shows(chrome: Browser, *texts: str) -> None:
    becomes(chrome, SHOWN, list(texts))


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_what_is_unread_is_counted_live_and_read_by_looking(chrome: Browser, box: Box, phone: bool) -> None:
    resize(chrome, *((390, 844) if phone else (1366, 768)), phone=phone)
    chrome.get(f"{box.base}/help")
    shows(chrome, "3")
    box.unread = 100
    shows(chrome, "99+")
    assert not box.read.is_set(), "only who looks at them reads them"
    chrome.get(f"{box.base}/messages")
    shows(chrome)
    assert box.read.wait(PATIENCE)
    chrome.get(f"{box.base}/help")
    shows(chrome)
    box.unread = 1
    shows(chrome, "1")
