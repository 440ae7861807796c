"""From a parsed command line to the module that carries it out, and from its errors to one clear line and exit code 2.

Each command lives in a module of its own that is imported only when it is asked for, so that none pays for another's imports.
"""

from __future__ import annotations

import argparse
import importlib
import os
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
    "restore": "app.launch.restore",
    "keys": "app.launch.keys",
}
BAD_USE = 2
NOBODY_READS = 141
"""What a shell says of a program that writes into a pipe which nobody reads any more (128 + SIGPIPE)."""


def run(args: argparse.Namespace) -> int:
    """Carry out `args.command` and return its exit code."""
    if args.command not in {"test", "lint"}:
        importlib.import_module("app.launch.logs").to_terminal()
    try:
        code = importlib.import_module(COMMANDS[args.command]).run(args)
        sys.stdout.flush()
    except (CannotRun, ConfigError, TandemError) as error:
        print(f"tandem: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough; what is still in the buffer must not be tried again when the interpreter ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return NOBODY_READS
    return int(code)
