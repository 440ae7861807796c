"""The sample book served on a port, and one browser for all tests that only look at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from tests.pages import preview as preview_module
from tests.pages.preview import create_preview
from tests.support.browser import Browser, browser


@pytest.fixture(scope="session")
def preview() -> Iterator[str]:
    """The base address of the sample book."""
    preview_module.STREAM_SECONDS = 1
    server = make_server("127.0.0.1", 0, create_preview(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    with browser() as opened:
        yield opened
