"""Cold start and idle memory: from typing the command to the first page in hand, and what the process holds once it rests.

The files may be warm in the disk cache, as on any machine that has started it once; the database is made before, as on any second day.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.bench.figures import Figure
from tests.support.server import Server

STARTS = 5
SETTLE_SECONDS = 5.0


def measure(_name: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "data")
        server.make_owner()
        server.start()  # makes what a first start makes
        server.stop()
        laps, resting = [], []
        for _ in range(STARTS):
            laps.append(_first_page_seconds(server))
            resting.append(_resident_mb(server) if len(laps) == STARTS else 0.0)
            assert server.stop() == 0
    floor = _bare_python_seconds()
    return [
        Figure(
            "cold-start", "command typed → first page in hand", median(laps), "s", 1.5, floor=floor, notes={"worst": round(max(laps), 3)}
        ),
        Figure("idle-memory", f"resident memory {SETTLE_SECONDS:.0f} s after the start, engines on", resting[-1], "MB", 120),
    ]


def _first_page_seconds(server: Server) -> float:
    started = time.perf_counter()
    server.start()
    answer = server.client("").get("/login")
    assert answer.status == 200, answer.status
    return time.perf_counter() - started


def _resident_mb(server: Server) -> float:
    assert server.process is not None
    time.sleep(SETTLE_SECONDS)
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _bare_python_seconds() -> float:
    """What an interpreter needs to start and end at all."""
    import subprocess
    import sys

    started = time.perf_counter()
    for _ in range(5):
        subprocess.run([sys.executable, "-c", "pass"], check=True, env=os.environ)
    return (time.perf_counter() - started) / 5
