"""The automated log-in: a program of its own that signs in through the broker's page with a browser and tells the request token.

`python -m engines.login.browser` reads one JSON object on its standard input and writes one on its standard output; what it is told is never in
its arguments, its environment or a log. It changes nothing in this system and never tries twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.login.page import CODE, FACTS, PASSWORD, SUBMIT, USER, Act, Seen, Stage, code_at, given_up, judge, request_token
from engines.login.reasons import LoginFailed, Reason

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--window-size=1200,900",
)
LOOK_EVERY = 0.1
OWN_SUBMIT = 1.5  # the page sends the code by itself at its sixth digit; when it does not, we press the button


@dataclass(frozen=True, slots=True)
class Task:
    """`after_step`: the half minute (of the epoch) whose code was used last. `settled`: a page that stands for so long without what is expected
    has changed."""

    address: str
    user_id: str = field(repr=False)
    password: str = field(repr=False)
    totp_secret: str = field(repr=False)
    seconds: float = 60.0
    settled: float = 8.0
    after_step: int | None = None


def main() -> int:
    """Exit code 0 whatever comes of it: the answer is the JSON."""
    told: dict[str, Any] = {}
    try:
        task = Task(**json.loads(sys.stdin.read()))
        with _chromium() as driver:
            told = _SignIn(driver, task, told).run()
    except LoginFailed as failure:
        told |= {"reason": failure.reason.value}
    except Exception as error:  # its text may hold anything: only its kind is told
        told |= {"reason": Reason.CRASHED.value, "kind": type(error).__name__}
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    return 0


class _SignIn:
    def __init__(self, driver: Any, task: Task, told: dict[str, Any]) -> None:
        self._driver, self._task, self._told = driver, task, told
        self._until = time.monotonic() + task.seconds
        self._stage = Stage.OPENED
        self._since = time.monotonic()  # when the present stage began
        self._before = ""
        self._pressed = False

    def run(self) -> dict[str, Any]:
        self._open()
        while True:
            seen = self._look()
            verdict = judge(self._stage, seen)
            if isinstance(verdict, Reason):
                raise LoginFailed(verdict)
            if verdict is Act.DONE:
                return self._told | {"request_token": seen.token}
            if verdict is Act.TYPE_PASSWORD:
                self._type_password(seen)
            elif verdict is Act.TYPE_CODE:
                self._type_code(seen)
            else:
                self._wait(seen)

    def _open(self) -> None:
        from selenium.common.exceptions import TimeoutException, WebDriverException

        self._driver.set_page_load_timeout(max(1.0, min(30.0, self._until - time.monotonic())))
        try:
            self._driver.get(self._task.address)
        except TimeoutException:
            raise LoginFailed(Reason.TIMEOUT) from None
        except WebDriverException:
            raise LoginFailed(Reason.UNREACHABLE) from None

    def _look(self) -> Seen:
        from selenium.common.exceptions import WebDriverException

        facts: Mapping[str, object] = {}
        with contextlib.suppress(WebDriverException):  # between two pages there is nothing to ask
            facts = self._driver.execute_script(FACTS) or {}
        return Seen(facts, self._token() or request_token(str(facts.get("address", ""))), self._before)

    def _token(self) -> str:
        """Where the broker leads back to need not answer, and may lead on: what counts is that the browser was sent there."""
        for entry in self._driver.get_log("performance"):
            said = json.loads(entry["message"])["message"]
            if said["method"] == "Network.requestWillBeSent" and said["params"].get("type") == "Document":
                token = request_token(said["params"]["request"]["url"])
                if token:
                    return token
        return ""

    def _type_password(self, seen: Seen) -> None:
        self._fill(USER, self._task.user_id)
        self._fill(PASSWORD, self._task.password)
        self._next(Stage.PASSWORD_SENT, seen)
        self._press()

    def _type_code(self, seen: Seen) -> None:
        import pyotp

        pause = code_at(time.time(), self._task.after_step)
        if time.monotonic() + pause > self._until:
            raise LoginFailed(Reason.TIMEOUT)
        time.sleep(pause)
        try:
            now = time.time()
            code = pyotp.TOTP(self._task.totp_secret.replace(" ", "")).at(now)
        except Exception:
            raise LoginFailed(Reason.WRONG_TOTP) from None
        self._told["step"] = int(now // 30)
        self._next(Stage.CODE_SENT, seen)
        self._fill(CODE, code)

    def _wait(self, seen: Seen) -> None:
        now = time.monotonic()
        stood = now - self._since
        if self._stage is Stage.CODE_SENT and not self._pressed and stood > OWN_SUBMIT and seen.facts.get("typed") == 6:
            self._pressed = True
            self._press()
        if now > self._until or (stood > self._task.settled and given_up(self._stage, seen) is Reason.CHANGED_PAGE):
            raise LoginFailed(given_up(self._stage, seen))
        time.sleep(LOOK_EVERY)

    def _next(self, stage: Stage, seen: Seen) -> None:
        self._stage, self._since, self._before = stage, time.monotonic(), str(seen.facts.get("error") or "")

    def _fill(self, selector: str, text: str) -> None:
        field_ = self._visible(selector)
        field_.clear()
        field_.send_keys(text)

    def _press(self) -> None:
        self._visible(SUBMIT).click()

    def _visible(self, selector: str) -> Any:
        from selenium.webdriver.common.by import By

        for element in self._driver.find_elements(By.CSS_SELECTOR, selector):
            if element.is_displayed():
                return element
        raise LoginFailed(Reason.CHANGED_PAGE)


def installed() -> tuple[str, str] | None:
    """(browser, its driver); None when one of them is not there. Nothing is ever fetched."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    return (program, driver) if program and driver else None


@contextlib.contextmanager
def _chromium() -> Iterator[Any]:
    """A browser with a profile that is thrown away."""
    there = installed()
    if there is None:
        raise LoginFailed(Reason.NO_BROWSER)
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = there[0]
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    options.page_load_strategy = "eager"
    with tempfile.TemporaryDirectory(prefix="tandem-login-", ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium's own sandbox does not start for root
        driver = webdriver.Chrome(options=options, service=Service(there[1]))
        try:
            yield driver
        finally:
            with contextlib.suppress(Exception):
                driver.quit()


if __name__ == "__main__":
    sys.exit(main())
