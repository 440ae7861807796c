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
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import Browser

PATIENCE = 30.0  # a machine that stands still for seconds is no fault of the page

# What is asked for is found in the page, in one question: the driver's own eyes send a long script for each element that may be it.
EYES = """
  const sized = (each) => [...each.getClientRects()].some(({ width, height }) => width > 0 && height > 0) || [...each.children].some(sized);
  const seen = (each) => each.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && sized(each);
  const words = (each) => (each.innerText ?? each.textContent).replace(/[\\u00a0\\t]+/g, ' ').trim();
  const first = (css, text) => [...document.querySelectorAll(css)].find((each) => seen(each) && words(each).includes(text)) ?? null;
"""
SEE = EYES + "return first(...arguments);"
ALL = EYES + "return [...document.querySelectorAll(arguments[0])].map((each) => [seen(each), words(each)]);"
READ = EYES + "const found = first(...arguments); return found && words(found);"
# Scripts must be there. And a part of the page that is drawn anew between the two halves of a click swallows it without a word.
AIM = (
    EYES
    + """
  const found = document.readyState === 'complete' ? first(...arguments) : null;
  window.missed = true;
  window.addEventListener('click', ({ target }) => { window.missed = !found?.contains(target); }, { capture: true, once: true });
  return found;
"""
)


def waiting(chrome: Browser, patience: float = PATIENCE) -> WebDriverWait[Browser]:
    return WebDriverWait(chrome, patience, poll_frequency=0.05)


# --- eyes ------------------------------------------------------------------------------------------------------------


def one(chrome: Browser, css: str, text: str = "", patience: float = PATIENCE) -> WebElement:
    """The first visible element that has this text, waited for; where it never comes, what stands there instead is told."""
    try:
        found: WebElement = waiting(chrome, patience).until(lambda _: _answer(chrome, SEE, css, text))
    except TimeoutException:
        raise AssertionError(f"{css} {text!r}: at {chrome.current_url} there is {_answer(chrome, ALL, css)}") from None
    return found


def read(chrome: Browser, css: str, text: str = "") -> str:
    """What stands in the first visible element that has this text: for where it may be drawn anew at any moment."""
    return str(waiting(chrome).until(lambda _: _answer(chrome, READ, css, text), f"{css} {text}"))


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
        found = _answer(chrome, AIM, css, text)
        if found is None:
            return False
        try:
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
