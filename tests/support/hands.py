"""Eyes and hands at a browser, for tests: what is looked for is waited for, and what cannot be clicked yet is clicked when it can be."""

from __future__ import annotations

from typing import Any

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    JavascriptException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import Browser

PATIENCE = 30.0  # a machine that stands still for seconds is no fault of the page

# A part of the page that is drawn anew between the two halves of a click swallows it without a word.
WATCH = """
  const [what] = arguments;
  window.missed = true;
  window.addEventListener('click', ({ target }) => { window.missed = !what.contains(target); }, { capture: true, once: true });
"""


def waiting(chrome: Browser) -> WebDriverWait[Browser]:
    return WebDriverWait(chrome, PATIENCE, poll_frequency=0.05)


# --- eyes ------------------------------------------------------------------------------------------------------------


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


def read(chrome: Browser, css: str, text: str = "") -> str:
    """What stands in the first visible element that has this text: for where it may be drawn anew at any moment."""
    said: list[str] = []

    def there(_: Browser) -> bool:
        try:
            said[:] = [one(chrome, css, text).text]
        except WebDriverException as error:
            return _drawn_anew(error)
        return True

    waiting(chrome).until(there, f"{css} {text}")
    return said[0]


def says(chrome: Browser, css: str, text: str) -> None:
    """The first element comes to say this and nothing else."""
    becomes(chrome, "return document.querySelector(arguments[0]).innerText.trim()", text, css)


def until(chrome: Browser, script: str) -> None:
    waiting(chrome).until(lambda _: _answer(chrome, f"return {script}"), script)


def becomes(chrome: Browser, script: str, wanted: object, *given: object) -> None:
    """A script comes to answer this; where it never does, its last answer is told."""
    last: list[Any] = [None]

    def there(_: Browser) -> bool:
        last[0] = _answer(chrome, script, *given)
        return bool(last[0] == wanted)

    try:
        waiting(chrome).until(there)
    except TimeoutException:
        raise AssertionError(f"{script} {given or ''}: {last[0]!r}, not {wanted!r}") from None


def _answer(chrome: Browser, script: str, *given: object) -> Any:
    """None where what the script looks at is not there yet."""
    try:
        return chrome.execute_script(script, *given)
    except JavascriptException:
        return None
    except WebDriverException as error:
        return _drawn_anew(error) or None


def _drawn_anew(error: WebDriverException) -> bool:
    """False, to look again, where the element went away with a part of the page that was drawn anew; whatever else it is goes on its way."""
    gone = ("does not belong to the document", "aborted by navigation")
    if isinstance(error, StaleElementReferenceException) or any(word in str(error.msg) for word in gone):
        return False
    raise error


# --- hands -----------------------------------------------------------------------------------------------------------


def click(chrome: Browser, css: str, text: str = "") -> None:
    """Clicks once: again only where the browser or the page says that the click before went nowhere."""

    def clicked(_: Browser) -> bool:
        if chrome.execute_script("return document.readyState") != "complete":
            return False  # scripts are not there yet
        try:
            found = one(chrome, css, text)
            chrome.execute_script(WATCH, found)
            found.click()
        except (ElementClickInterceptedException, ElementNotInteractableException):  # something lies over it, a toast for instance
            return False
        except WebDriverException as error:
            return _drawn_anew(error)
        return not _answer(chrome, "return window.missed === true")

    waiting(chrome).until(clicked, f"click {css} {text}")


def strike(chrome: Browser, css: str, text: str = "") -> None:
    """A click that no message of a moment ago can catch."""

    def struck(_: Browser) -> bool:
        try:
            chrome.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", one(chrome, css, text))
        except WebDriverException as error:
            return _drawn_anew(error)
        return True

    waiting(chrome).until(struck, f"strike {css} {text}")


def write(chrome: Browser, css: str, text: str) -> None:
    """Into a field, in place of what stands there."""

    def written(_: Browser) -> bool:
        try:
            field = one(chrome, css)
            field.clear()
            field.send_keys(text)
        except ElementNotInteractableException:
            return False
        except WebDriverException as error:
            return _drawn_anew(error)
        return True

    waiting(chrome).until(written, f"write {css}")


def press(chrome: Browser, *keys: str) -> None:
    ActionChains(chrome).send_keys(*keys).perform()
