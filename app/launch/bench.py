"""`bench`: measures the rows of the design's table on this machine, each in an interpreter of its own, and tells them as JSON.

It measures and does not judge: a figure that misses its target says so in `met`; only a row that could not be measured fails the command.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from typing import Any

from app.launch.errors import CannotRun
from config import ROOT


def run(args: argparse.Namespace) -> int:
    """0 when everything asked for was measured."""
    rows = importlib.import_module("tests.bench.rows").ROWS
    unknown = [name for name in args.names if name not in rows]
    if unknown:
        raise CannotRun(f"there is no figure {unknown[0]!r}; there are {', '.join(rows)}")
    figures, failed = [], []
    for name in args.names or rows:
        measured = _measure(name)
        figures += measured
        if not measured:
            failed.append(name)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if failed:
        print(f"tandem: not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measure(name: str) -> list[dict[str, Any]]:
    """The figures of one row, passed on as they come."""
    figures = []
    with subprocess.Popen([sys.executable, "-m", "tests.bench", name], cwd=ROOT, stdout=subprocess.PIPE, text=True) as row:
        for line in row.stdout or ():
            if line.startswith("{"):
                print(line.rstrip(), flush=True)
                figures.append(json.loads(line))
    return figures if row.returncode == 0 else []
