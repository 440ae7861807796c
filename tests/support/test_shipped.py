"""Programs that tests start find the packages that the product comes with."""

from __future__ import annotations

import subprocess
import sys

from tests.support.server import ROOT, clean_environment


def test_what_is_here_for_the_checks_alone_is_not_there_for_the_program() -> None:
    assert not [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("rich")]
    code = "import structlog.dev; print(structlog.dev.rich)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean_environment(), check=False)
    assert (done.stdout, done.stderr) == ("None\n", "")
