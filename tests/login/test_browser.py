"""A real browser at a page like the broker's: it signs in, or says in one word why not, and leaves nothing running and nothing said."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from engines.login.browser import Task
from engines.login.program import PROGRAM, Outcome, run_browser
from engines.login.reasons import Reason
from tests.login.kite_page import PASSWORD, SECRET, USER, KitePage, served
from tests.support.net import free_port


@pytest.fixture(scope="module")
def kite() -> Iterator[KitePage]:
    with served() as page:
        yield page


def attempt(kite: KitePage, mode: str = "normal", password: str = PASSWORD, secret: str = SECRET) -> Outcome:
    kite.mode = mode
    kite.codes.clear()
    kite.passwords.clear()
    return run_browser(Task(kite.address, USER, password, secret, seconds=15.0, settled=1.0))


@pytest.mark.parametrize("mode", ["normal", "manual"])
def test_it_signs_in_and_tells_the_token(kite: KitePage, mode: str) -> None:
    done = attempt(kite, mode)
    assert (done.reason, done.request_token) == (None, "T0k3n")
    assert done.step is not None
    assert kite.passwords == [PASSWORD]
    assert len(kite.codes) == 1


@pytest.mark.parametrize(
    ("mode", "password", "secret", "why", "tries"),
    [
        ("captcha", PASSWORD, SECRET, Reason.CAPTCHA, (0, 0)),
        ("changed", PASSWORD, SECRET, Reason.CHANGED_PAGE, (0, 0)),
        ("normal", "canary-wrong", SECRET, Reason.WRONG_PASSWORD, (1, 0)),
        ("normal", PASSWORD, SECRET[:-4] + "AAAA", Reason.WRONG_TOTP, (1, 1)),
        ("consent", PASSWORD, SECRET, Reason.CONSENT, (1, 1)),
    ],
)
def test_it_says_why_not_and_never_tries_twice(
    kite: KitePage, mode: str, password: str, secret: str, why: Reason, tries: tuple[int, int]
) -> None:
    done = attempt(kite, mode, password, secret)
    assert (done.reason, done.request_token) == (why, "")
    assert (len(kite.passwords), len(kite.codes)) == tries


def test_a_page_that_is_not_there() -> None:
    assert run_browser(Task(f"http://127.0.0.1:{free_port()}/", USER, PASSWORD, SECRET, seconds=15.0)).reason is Reason.UNREACHABLE


def test_a_browser_that_hangs_is_taken_down_with_all_it_began(tmp_path) -> None:  # type: ignore[no-untyped-def]
    mark = tmp_path / "grandchild"
    code = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f" open({str(mark)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    started = time.monotonic()
    done = run_browser(Task("x", USER, PASSWORD, SECRET, seconds=-9.0), program=(sys.executable, "-c", code))
    assert done == Outcome(None, Reason.TIMEOUT)
    assert time.monotonic() - started < 5
    assert "Z" in _state(mark.read_text()) or not _state(mark.read_text())


def _state(pid: str) -> str:
    """Of a process: empty when it is gone, Z when nobody has taken note of its end yet."""
    return subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("said", ["", "not json", "[1]", '{"reason": "no such word"}', '{"request_token": ""}', "{}"])
def test_a_browser_that_talks_nonsense_has_crashed(said: str) -> None:
    done = run_browser(Task("x", USER, PASSWORD, SECRET, seconds=5.0), program=(sys.executable, "-c", f"print({said!r})"))
    assert done == Outcome(None, Reason.CRASHED)


def test_what_it_is_told_is_nowhere_to_be_read() -> None:
    task = Task("http://x", USER, PASSWORD, SECRET)
    assert PASSWORD not in repr(task)
    assert SECRET not in repr(task)
    assert "T0k3n" not in repr(Outcome(1, None, "T0k3n"))
    broken = subprocess.run(PROGRAM, input='{"password": "' + PASSWORD, capture_output=True, text=True, check=False, timeout=20)
    assert PASSWORD not in broken.stdout + broken.stderr
    assert '"reason": "crashed"' in broken.stdout
