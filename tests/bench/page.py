"""What a browser fetches for its first page: requests and bytes on the wire, redirects and headers counted, with an empty cache.

Measured in Chromium through its own network log, because only a browser knows what a page makes a browser ask for.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.bench.figures import Figure
from tests.support.browser import Browser, browser
from tests.support.server import Server

QUIET_SECONDS = 1.5


def measure(_name: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data")
        server.make_owner()
        with server, browser(log_network=True) as chromium:
            first = _load(chromium, f"{server.base}/")
            email, password = server.owner
            chromium.find_element(By.NAME, "email").send_keys(email)
            chromium.find_element(By.NAME, "password").send_keys(password)
            chromium.find_element(By.NAME, "password").submit()
            WebDriverWait(chromium, 20).until(lambda page: "/login" not in page.current_url)
            chromium.execute_cdp_cmd("Network.clearBrowserCache", {})
            dashboard = _load(chromium, f"{server.base}/")
    return [
        *_figures("first-page", "first page (sign-in)", *first),
        *_figures("dashboard", "dashboard, signed in, empty cache", *dashboard),
    ]


def _figures(name: str, about: str, requests: int, size: int) -> list[Figure]:
    return [
        Figure(f"{name}-requests", f"{about}: requests", requests, "requests", 12),
        Figure(f"{name}-weight", f"{about}: bytes on the wire", size / 1000, "kB", 120),
    ]


def _load(chromium: Browser, url: str) -> tuple[int, int]:
    chromium.get("about:blank")
    chromium.get_log("performance")  # forget what was before
    chromium.get(url)
    time.sleep(QUIET_SECONDS)  # what a page fetches after it has loaded counts, too
    return count([json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")])


def count(events: list[dict[str, Any]]) -> tuple[int, int]:
    """Requests and bytes of a network log; pages that the browser makes up itself (data:, about:) cost nothing."""
    requests, size = 0, 0
    ours: set[str] = set()
    for event in events:
        what = event["params"]
        if event["method"] == "Network.requestWillBeSent" and what["request"]["url"].startswith("http"):
            requests += 1
            ours.add(what["requestId"])
            size += int(what.get("redirectResponse", {}).get("encodedDataLength", 0))
        elif event["method"] == "Network.loadingFinished" and what["requestId"] in ours:
            size += int(what["encodedDataLength"])
    return requests, size
