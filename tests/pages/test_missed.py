"""Nothing is missed between the drawing of a page and its first event, nor while the stream is opened anew, nor in a second tab."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from flask import Flask, Response, request

from tests.pages.preview import create_preview, served
from tests.pages.sample import Sample
from tests.pages.test_browser import desk
from tests.support.browser import Browser
from tests.support.hands import waiting

__all__ = ["desk"]

DRAWN, TOLD = 41, 42


@dataclass
class Server:
    """The sample book, drawn when the last event was 41; the first stream tells of an order as number 42, and every stream stays open then."""

    base: str = ""
    opened: list[str | None] = field(default_factory=list)  # `last_event_id` of each stream
    fetched: list[str] = field(default_factory=list)  # lists that fetched themselves afresh
    over: threading.Event = field(default_factory=threading.Event)

    def stream(self) -> Response:
        self.opened.append(request.args.get("last_event_id"))
        first = len(self.opened) == 1

        def told() -> Iterator[str]:
            yield f"id: {TOLD}\nevent: order\ndata: {{}}\n\n" if first else ": nothing\n\n"
            while not self.over.wait(1):
                yield ": still here\n\n"

        return Response(told(), content_type="text/event-stream")

    def note(self) -> None:
        if "HX-Request" in request.headers:
            self.fetched.append(request.full_path.rstrip("?"))


@pytest.fixture
def server(chrome: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setattr(Sample, "heard", DRAWN)
    app: Flask = create_preview()
    app.view_functions[next(rule.endpoint for rule in app.url_map.iter_rules() if rule.rule == "/api/stream")] = made.stream
    app.before_request(made.note)
    with served(app) as made.base:
        yield made
        chrome.get("about:blank")
        made.over.set()


def test_the_stream_begins_where_the_page_was_drawn_and_goes_on_where_it_was(chrome: Browser, server: Server) -> None:
    chrome.get(f"{server.base}/orders")
    waiting(chrome).until(lambda _: server.fetched == ["/orders"])
    chrome.execute_script("window.tandem.want(['NSE:NEW'])")
    waiting(chrome).until(lambda _: server.opened == [str(DRAWN), str(TOLD)])


def test_a_second_tab_is_told_what_the_first_one_heard_before_it_listened(chrome: Browser, server: Server) -> None:
    first = chrome.current_window_handle
    chrome.get(f"{server.base}/orders")
    waiting(chrome).until(lambda _: server.fetched == ["/orders"])
    chrome.switch_to.new_window("tab")
    try:
        chrome.get(f"{server.base}/orders?side=BUY")
        waiting(chrome).until(lambda _: server.fetched == ["/orders", "/orders?side=BUY"])
    finally:
        chrome.close()
        chrome.switch_to.window(first)
