"""The whole suite with the one command that a newcomer and CI use, timed."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.figures import Figure
from tests.support.server import LAUNCHER, clean_environment


def measure(_name: str) -> list[Figure]:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, str(LAUNCHER), "test"], capture_output=True, text=True, env=clean_environment(), check=False)
    seconds = time.perf_counter() - started
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    return [
        Figure("suite", "whole test suite, one command, offline", seconds, "s", 180, notes={"exit_code": done.returncode, "pytest": last})
    ]
