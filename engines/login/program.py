"""Runs the browser in a process of its own, under a hard time limit, and takes everything of it down when that is over."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engines.login.browser import Task
from engines.login.reasons import Reason

PROGRAM = (sys.executable, "-m", "engines.login.browser")
GRACE = 10.0
"""Seconds beyond the browser's own time, for starting and closing it."""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`step`: the half minute whose code was typed, None when none was; `reason` None: signed in, and `request_token` is there."""

    step: int | None
    reason: Reason | None = None
    request_token: str = field(default="", repr=False)


def run_browser(task: Task, *, program: Sequence[str] = PROGRAM) -> Outcome:
    """Returns within `task.seconds` + GRACE, whatever the browser does."""
    child = subprocess.Popen(  # noqa: S603 - our own program
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # a group of its own, so that it ends with everything it began
    )
    try:
        said, _ = child.communicate(json.dumps(asdict(task)), timeout=task.seconds + GRACE)
    except subprocess.TimeoutExpired:
        return Outcome(None, Reason.TIMEOUT)
    except OSError:
        return Outcome(None, Reason.CRASHED)
    finally:
        _end(child)
    return _outcome(said)


def _outcome(said: str) -> Outcome:
    try:
        told = json.loads(said)
        token, step = str(told.get("request_token", "")), told.get("step")
        reason = None if token else Reason(told.get("reason", Reason.CRASHED))
    except (ValueError, AttributeError):
        return Outcome(None, Reason.CRASHED)
    return Outcome(step if isinstance(step, int) else None, reason, token)


def _end(child: subprocess.Popen[str]) -> None:
    """The browser's own processes are children of the child: the whole group goes."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(child.pid)], capture_output=True, check=False)  # noqa: S603, S607 - Windows' own
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait(timeout=10)
