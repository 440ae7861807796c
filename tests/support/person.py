"""Somebody at a browser, for journeys through the real program: sees what is visible, clicks, types, waits until the page says so."""

from __future__ import annotations

import os
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import Browser, resize

PATIENCE = 20


def _redrawn(error: WebDriverException) -> bool:
    """False, to look again, where the element went away with a part of the page that was drawn anew; whatever else it is goes on its way."""
    if isinstance(error, StaleElementReferenceException) or "does not belong to the document" in str(error.msg):
        return False
    raise error


class Person:
    """Somebody at a browser: clicks what is visible, types, waits until the page says so."""

    def __init__(self, chrome: Browser, base: str) -> None:
        self.chrome, self.base, self.step = chrome, base, 0

    def go(self, path: str) -> None:
        self.chrome.get(self.base + path)

    def see(self, css: str, text: str = "") -> WebElement:
        found: list[WebElement] = []

        def there(_: Browser) -> bool:
            try:
                found[:] = [e for e in self.chrome.find_elements(By.CSS_SELECTOR, css) if e.is_displayed() and text in e.text]
            except WebDriverException as error:  # the page refreshed a part of itself while we looked
                return _redrawn(error)
            return bool(found)

        WebDriverWait(self.chrome, PATIENCE, poll_frequency=0.05).until(there, f"{css} {text}")
        return found[0]

    def click(self, css: str, text: str = "") -> None:
        def clicked(_: Browser) -> bool:
            if self.chrome.execute_script("return document.readyState") != "complete":
                return False  # scripts are not there yet
            try:
                self.see(css, text).click()
            except WebDriverException as error:
                return _redrawn(error)
            return True

        WebDriverWait(self.chrome, PATIENCE, poll_frequency=0.05).until(clicked, f"click {css} {text}")

    def type(self, css: str, text: str) -> None:
        field = self.see(css)
        field.clear()
        field.send_keys(text)

    def press(self, *keys: str) -> None:
        ActionChains(self.chrome).send_keys(*keys).perform()

    def until(self, script: str) -> None:
        WebDriverWait(self.chrome, PATIENCE, poll_frequency=0.05).until(lambda _: self.chrome.execute_script(f"return {script}"), script)

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
