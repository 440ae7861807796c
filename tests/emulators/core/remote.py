"""The control of an emulator in another process, with the same names; and a way to run one there.

Answers are JSON: decimals come as texts, rows as dictionaries.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[3]


class Remote:
    """`Remote(url).price(symbol="NSE:INFY", last="1500")` and so on: every control, by keyword. One thread at a time."""

    def __init__(self, url: str, accounts: list[dict[str, Any]] | None = None, endpoints: dict[str, str] | None = None) -> None:
        self.url = url
        self.accounts = accounts or []
        self.endpoints = endpoints or {}
        self.pid = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port or 80, timeout=30)

    def call(self, name: str, **given: Any) -> Any:
        body = json.dumps(given, default=str)
        self._connection.request("POST", f"/_emulator/{name}", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(told["error"])
        return told["result"]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **given: self.call(name, **given)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def emulator_process(kind: str, *options: str) -> Iterator[Remote]:
    """An emulator in a process of its own: `emulator_process("kite", "--accounts", "50", "--latency-ms", "50")`."""
    command = [sys.executable, "-m", "tests.emulators", kind, "--json", "--until-eof", *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        told = json.loads(process.stdout.readline())
        remote = Remote(told["url"], told["accounts"], told["endpoints"])
        remote.pid = process.pid
        try:
            yield remote
        finally:
            remote.close()
            process.stdin.close()
