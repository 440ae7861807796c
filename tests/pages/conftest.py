"""The sample book served on a port, and one browser for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pages.preview import create_preview, served
from tests.support.browser import Browser, browser


@pytest.fixture(scope="session")
def preview() -> Iterator[str]:
    """The base address of the sample book."""
    with served(create_preview()) as base:
        yield base


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a browser is waited for may take half a minute for each of a test's steps, on a machine that stands still now and then."""
    for item in items:
        if "chrome" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
