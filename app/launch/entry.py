"""From a parsed command line to the module that carries it out, and from its errors to one clear line and exit code 2.

Each command lives in a module of its own that is imported only when it is asked for, so that none pays for another's imports.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from app.launch.errors import CannotRun
from config import ConfigError
from engines.ports import TandemError

COMMANDS = {
    "serve": "app.launch.serve",
    "demo": "app.launch.demo",
    "test": "app.launch.checks",
    "lint": "app.launch.checks",
    "bench": "app.launch.bench",
    "backtest": "app.launch.backtest",
    "sweep": "app.launch.sweep",
    "user": "app.launch.people",
    "token": "app.launch.people",
    "data": "app.launch.data",
    "doctor": "app.launch.doctor",
    "backup": "app.launch.backup",
}
BAD_USE = 2


def run(args: argparse.Namespace) -> int:
    """Carry out `args.command` and return its exit code."""
    if args.command not in {"test", "lint"}:
        importlib.import_module("app.launch.logs").to_terminal()
    try:
        code = importlib.import_module(COMMANDS[args.command]).run(args)
    except (CannotRun, ConfigError, TandemError) as error:
        print(f"tandem: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        return 130
    return int(code)
