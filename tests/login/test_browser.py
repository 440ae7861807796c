"""A real browser at an emulated Kite: why it could not sign in, in one word, with nothing left running and nothing said. That it can is shown in
`tests/pages/test_live_account.py`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from engines.brokers.tools import KiteEndpoints
from engines.brokers.zerodha.login import login_url
from engines.login.browser import Task
from engines.login.program import PROGRAM, Outcome, run_browser
from engines.login.reasons import Reason
from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.kite.emulator import KiteEmulator
from tests.support.net import free_port

USER, PASSWORD, SECRET = "AB1234", "canary-password-5521", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(scope="module")
def kite() -> Iterator[KiteEmulator]:
    with KiteEmulator(seed=5) as emulator:
        yield emulator


PATIENT = (sys.executable, "-c", "import sys; from engines.login import browser; browser.OWN_SUBMIT = 60.0; sys.exit(browser.main())")
"""The same program, which gives the page of a busy machine a minute to send the code by itself."""


def attempt(kite: KiteEmulator, customer: EmulatedAccount, settled: float, **changes: str) -> Outcome:
    own = customer.credentials | changes
    task = Task(
        login_url(own["api_key"], None, KiteEndpoints(kite.url, kite.url, kite.ws_url)),
        own["user_id"],
        own["password"],
        own["totp_secret"],
        seconds=90.0,
        settled=settled,
    )
    return run_browser(task, program=PATIENT)


def tries(kite: KiteEmulator) -> tuple[int, int]:
    return len(kite.requests(on="login")), len(kite.requests(on="twofa"))


@pytest.mark.parametrize(
    ("page", "change", "why", "sent"),
    [
        ("changed", {}, Reason.CHANGED_PAGE, (0, 0)),
        ("normal", {"totp_secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}, Reason.WRONG_TOTP, (1, 1)),
    ],
)
def test_it_says_why_not_and_never_tries_twice(
    kite: KiteEmulator, page: str, change: dict[str, str], why: Reason, sent: tuple[int, int]
) -> None:
    customer, before = kite.add_account(), tries(kite)
    kite.set_login_page(page)
    done = attempt(kite, customer, 1.0 if why is Reason.CHANGED_PAGE else 60.0, **change)
    kite.set_login_page("normal")
    assert (done.reason, done.request_token) == (why, "")
    assert tries(kite) == (before[0] + sent[0], before[1] + sent[1])


def test_a_page_that_is_not_there() -> None:
    assert run_browser(Task(f"http://127.0.0.1:{free_port()}/", USER, PASSWORD, SECRET, seconds=90.0)).reason is Reason.UNREACHABLE


def test_a_browser_that_hangs_is_taken_down_with_all_it_began(tmp_path) -> None:  # type: ignore[no-untyped-def]
    mark = tmp_path / "grandchild"
    code = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f" open({str(mark)!r}, 'w').write(str(p.pid)); time.sleep(600)"
    )
    for seconds in (-9.0, -6.0, 5.0, 20.0):  # beside ten of grace; a busy machine may take longer to begin it
        done = run_browser(Task("x", USER, PASSWORD, SECRET, seconds=seconds), program=(sys.executable, "-c", code))
        assert done == Outcome(None, Reason.TIMEOUT)
        if mark.exists():
            break
    ended = time.monotonic() + 30  # it was killed; a busy machine takes a moment to see it off
    while (state := _state(mark.read_text())) and "Z" not in state:
        assert time.monotonic() < ended, "what the browser began lives on"


def _state(pid: str) -> str:
    """Of a process: empty when it is gone, Z when nobody has taken note of its end yet."""
    return subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("said", ["", "not json", "[1]", '{"reason": "no such word"}', '{"request_token": ""}', "{}"])
def test_a_browser_that_talks_nonsense_has_crashed(said: str) -> None:
    done = run_browser(Task("x", USER, PASSWORD, SECRET, seconds=60.0), program=(sys.executable, "-c", f"print({said!r})"))
    assert done == Outcome(None, Reason.CRASHED)


def test_what_it_is_told_is_nowhere_to_be_read() -> None:
    task = Task("http://x", USER, PASSWORD, SECRET)
    assert PASSWORD not in repr(task)
    assert SECRET not in repr(task)
    assert "T0k3n" not in repr(Outcome(1, None, "T0k3n"))
    broken = subprocess.run(PROGRAM, input='{"password": "' + PASSWORD, capture_output=True, text=True, check=False, timeout=120)
    assert PASSWORD not in broken.stdout + broken.stderr
    assert '"reason": "crashed"' in broken.stdout
