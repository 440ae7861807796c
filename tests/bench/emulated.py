"""An emulated broker in a process of its own, for benchmarks: prints where it is and its accounts as one line of JSON, and serves until its input ends."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.venues import VENUES

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Place:
    """A running emulator: the settings that point at it, and the credentials of its accounts by kind."""

    endpoints: dict[str, str]
    accounts: dict[str, list[dict[str, str]]]


@contextmanager
def emulated(which: str, counts: dict[str, int], latency_ms: float) -> Iterator[Place]:
    """`which`: kite, smartapi or binance; `counts`: how many accounts of each kind."""
    command = [sys.executable, "-m", "tests.bench.emulated", which, "--latency-ms", str(latency_ms), "--accounts", json.dumps(counts)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
        try:
            yield Place(told["endpoints"], told["accounts"])
        finally:
            process.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("which")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--accounts", type=json.loads, default={})
    args = parser.parse_args()
    venues = {venue.kind: venue for venue in VENUES if venue.emulated_by == args.which}
    emulator = next(iter(venues.values())).emulator(latency=args.latency_ms / 1000)
    with emulator:
        for venue in venues.values():
            emulator.price(venue.symbol, venue.price)
        accounts = {
            kind: [emulator.add_account(**venues[kind].options).credentials for _ in range(count)] for kind, count in args.accounts.items()
        }
        print(json.dumps({"endpoints": emulator.endpoints(), "accounts": accounts}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
