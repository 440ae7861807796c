"""Somebody at a browser, for journeys through the real program: sees what is visible, clicks, types, waits until the page says so."""

from __future__ import annotations

import os
from pathlib import Path

from selenium.webdriver.remote.webelement import WebElement

from tests.support import hands
from tests.support.browser import Browser, resize

# A message leaves after some seconds, which may have passed before anybody looks: each that was to be seen is kept.
TOLD = """
  window.told = [];
  addEventListener('DOMContentLoaded', () => {
    const box = document.getElementById('toasts');
    const keep = (note) => note.checkVisibility() && window.told.push(note.textContent);
    if (box) new MutationObserver((all) => all.forEach(({ addedNodes }) => addedNodes.forEach(keep))).observe(box, { childList: true });
  });
"""


class Person:
    """Somebody at a browser: clicks what is visible, types, waits until the page says so."""

    def __init__(self, chrome: Browser, base: str) -> None:
        self.chrome, self.base, self.step = chrome, base, 0
        chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": TOLD})

    def go(self, path: str) -> None:
        self.chrome.get(self.base + path)

    def see(self, css: str, text: str = "", patience: float = hands.PATIENCE) -> WebElement:
        return hands.one(self.chrome, css, text, patience)

    def read(self, css: str, text: str = "") -> str:
        return hands.read(self.chrome, css, text)

    def told(self, text: str) -> None:
        """A message of the page that is shown said this."""
        self.until(f"window.told.some((each) => each.includes({text!r}))")

    def click(self, css: str, text: str = "") -> None:
        hands.click(self.chrome, css, text)

    def strike(self, css: str, text: str = "") -> None:
        hands.strike(self.chrome, css, text)

    def type(self, css: str, text: str) -> None:
        hands.write(self.chrome, css, text)

    def press(self, *keys: str) -> None:
        hands.press(self.chrome, *keys)

    def fresh(self, markup: str) -> None:
        """Once the server draws this the page is fetched anew: what was told before it listened is not waited for."""
        self.until(f"fetch(location.href).then((answer) => answer.text()).then((text) => text.includes({markup!r}))")
        self.chrome.refresh()

    def until(self, script: str) -> None:
        hands.until(self.chrome, script)

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
