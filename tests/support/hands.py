"""Eyes and hands at a browser, for tests: what is looked for is waited for, and what cannot be clicked yet is clicked when it can be."""

from __future__ import annotations

from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import Browser

PATIENCE = 30.0  # a machine that stands still for seconds is no fault of the page


def waiting(chrome: Browser) -> WebDriverWait[Browser]:
    return WebDriverWait(chrome, PATIENCE, poll_frequency=0.05)


def one(chrome: Browser, css: str, text: str = "") -> WebElement:
    """The first visible element that has this text, waited for."""
    found: list[WebElement] = []

    def there(_: Browser) -> bool:
        try:
            found[:] = [each for each in chrome.find_elements(By.CSS_SELECTOR, css) if each.is_displayed() and text in each.text]
        except WebDriverException as error:
            return _drawn_anew(error)
        return bool(found)

    waiting(chrome).until(there, f"{css} {text}")
    return found[0]


def click(chrome: Browser, css: str, text: str = "") -> None:
    """Clicks once: again only where the browser says that the click before went nowhere."""

    def clicked(_: Browser) -> bool:
        if chrome.execute_script("return document.readyState") != "complete":
            return False  # scripts are not there yet
        try:
            one(chrome, css, text).click()
        except ElementClickInterceptedException:  # something lies over it, a toast for instance
            return False
        except WebDriverException as error:
            return _drawn_anew(error)
        return True

    waiting(chrome).until(clicked, f"click {css} {text}")


def until(chrome: Browser, script: str) -> None:
    waiting(chrome).until(lambda _: chrome.execute_script(f"return {script}"), script)


def _drawn_anew(error: WebDriverException) -> bool:
    """False, to look again, where the element went away with a part of the page that was drawn anew; whatever else it is goes on its way."""
    if isinstance(error, StaleElementReferenceException) or "does not belong to the document" in str(error.msg):
        return False
    raise error
