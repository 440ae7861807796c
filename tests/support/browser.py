"""Debian's Chromium, headless, driven by its own driver: nothing is looked for on the network, nothing is kept afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

Browser = webdriver.Chrome

QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
)


@contextmanager
def browser(*, width: int = 1366, height: int = 768, log_network: bool = False) -> Iterator[Browser]:
    """A fresh browser with a profile of its own."""
    os.environ.setdefault("SE_OFFLINE", "true")
    os.environ.setdefault("SE_AVOID_STATS", "true")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, "chromium is not installed (Debian: apt-get install chromium chromium-driver)"
    assert driver, "chromedriver is not installed (Debian: apt-get install chromium-driver)"
    options = Options()
    options.binary_location = program
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*QUIET, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        if log_network:
            options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        opened = webdriver.Chrome(options=options, service=Service(driver))
        try:
            resize(opened, width, height)
            yield opened
        finally:
            opened.quit()


def resize(opened: Browser, width: int, height: int, *, phone: bool = False) -> None:
    """The page itself gets this size, whatever the browser's own frame takes; `phone` also touches and scales like one."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    opened.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})
