"""Somebody at a browser, for journeys through the real program: sees what is visible, clicks, types, waits until the page says so."""

from __future__ import annotations

import os
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browser import Browser, resize
from tests.support.hands import click, one, until


class Person:
    """Somebody at a browser: clicks what is visible, types, waits until the page says so."""

    def __init__(self, chrome: Browser, base: str) -> None:
        self.chrome, self.base, self.step = chrome, base, 0

    def go(self, path: str) -> None:
        self.chrome.get(self.base + path)

    def see(self, css: str, text: str = "") -> WebElement:
        return one(self.chrome, css, text)

    def click(self, css: str, text: str = "") -> None:
        click(self.chrome, css, text)

    def type(self, css: str, text: str) -> None:
        field = self.see(css)
        field.clear()
        field.send_keys(text)

    def press(self, *keys: str) -> None:
        ActionChains(self.chrome).send_keys(*keys).perform()

    def until(self, script: str) -> None:
        until(self.chrome, script)

    def photograph(self, name: str) -> None:
        folder = os.environ.get("TANDEM_SHOTS")
        if not folder:
            return
        self.step += 1
        for size, width, height in (("desk", 1366, 768), ("phone", 390, 844)):
            resize(self.chrome, width, height, phone=size == "phone")
            path = Path(folder) / f"{self.step:02d}-{name}-{size}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.chrome.save_screenshot(str(path))
        resize(self.chrome, 1366, 768)

    def complaints(self) -> list[str]:
        """What the browser's console holds against the pages; a refused form is an answer, not a fault."""
        severe = [line["message"] for line in self.chrome.get_log("browser") if line["level"] == "SEVERE"]
        return [line for line in severe if not any(code in line for code in (" 403 ", " 422 "))]
