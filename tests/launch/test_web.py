"""The web server: takes its port or says why not, keeps connections, and lets answers under way leave when it is told to stop."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from app.launch.errors import CannotRun
from app.launch.web import WebServer, listen
from tests.support.server import PATIENCE

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Application:
    """Answers `hello`; under /slow only once it is let go, under /who with the address that asks."""

    def __init__(self) -> None:
        self.entered, self.release = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, str], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            self.entered.set()
            self.release.wait(PATIENCE)
        text = environ["REMOTE_ADDR"] if environ["PATH_INFO"] == "/who" else "hello"
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [text.encode()]


@contextmanager
def serving(app: Application, proxy: str | None = None) -> Iterator[tuple[WebServer, int, threading.Thread]]:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = WebServer(app, listener, threads=4, proxy=proxy)

    def run() -> None:
        server.run()
        server.close(wait=PATIENCE)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server, port, thread
    finally:
        app.release.set()
        server.stop()
        thread.join(PATIENCE)
        listener.close()


def test_connections_are_kept_and_nothing_says_what_serves() -> None:
    with serving(Application()) as (_, port, _thread):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        for _ in range(3):
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert (answer.status, answer.read(), answer.getheader("Server")) == (200, b"hello", None)
        connection.close()


def test_an_answer_under_way_still_leaves_after_the_stop() -> None:
    app = Application()
    with serving(app) as (server, port, thread):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/slow")
        assert app.entered.wait(PATIENCE)
        server.stop()
        app.release.set()
        assert connection.getresponse().read() == b"hello"
        thread.join(PATIENCE)
        assert not thread.is_alive()
        connection.close()


def test_a_taken_port_is_one_clear_line() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(CannotRun, match=f"127.0.0.1:{taken.getsockname()[1]}: address already in use"),
    ):
        listen("127.0.0.1", taken.getsockname()[1])


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    with pytest.raises(CannotRun, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_the_port_is_free_again_at_once() -> None:
    with serving(Application()) as (_, port, _thread):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/")
        connection.getresponse().read()
    listen("127.0.0.1", port).close()
    connection.close()


@pytest.mark.parametrize(
    ("proxy", "told", "seen"),
    [
        (None, "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "10.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("192.0.2.1", "203.0.113.9", "127.0.0.1"),
    ],
)
def test_only_the_proxy_that_was_named_says_who_asks(proxy: str | None, told: str | None, seen: str) -> None:
    with serving(Application(), proxy) as (_, port, _thread):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/who", headers={"X-Forwarded-For": told} if told else {})
        assert connection.getresponse().read().decode() == seen
        connection.close()
