"""`test` and `lint`: the whole suite, and what the code must be besides correct. Both run exactly as CI runs them."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from config import ROOT

# Three keep two cores busy, for browsers and emulated brokers are waited for; a test that is given as an argument is run alone, where its output can be watched.
WHOLE_SUITE = ("-n", "3", "--dist", "worksteal")
TOOLS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("lint-imports", "--no-logo"),
    ("djlint", "templates", "--lint", "--quiet"),
)


def run(args: argparse.Namespace) -> int:
    return test(args.pytest_args) if args.command == "test" else lint()


def test(pytest_args: Sequence[str]) -> int:
    """pytest's own exit code. Without arguments: everything, in random order, on three processes."""
    chosen = tuple(pytest_args) or WHOLE_SUITE
    # A hundred processes are started in a run; each would compile the program anew where the machine says that no bytecode is kept.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, "-m", "pytest", *chosen], cwd=ROOT, env=env, check=False).returncode


def lint() -> int:
    """0 when every tool is content; all of them run, so that one look tells everything."""
    failed = []
    for tool, *words in TOOLS:
        print(f"--- {tool} {' '.join(words)}".rstrip(), flush=True)
        program = Path(sys.executable).with_name(tool)
        if subprocess.run([program, *words], cwd=ROOT, check=False).returncode:
            failed.append(tool)
    print(f"lint: {'failed: ' + ', '.join(failed) if failed else 'all green'}", flush=True)
    return 1 if failed else 0
