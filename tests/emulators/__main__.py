"""`python -m tests.emulators kite|smartapi|binance`: an emulated broker to try Tandem with. It prints what to put in front of `serve`, what to
sign in with, lets prices walk, and stops at Ctrl-C or SIGTERM; with `--until-eof` also when its input ends.
"""

from __future__ import annotations

import argparse
import gc
import json
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.emulators.core.emulator import Emulator
from tests.emulators.core.exchange import EmulatedAccount

KINDS = {"kite": "KiteEmulator", "smartapi": "SmartApiEmulator", "binance": "BinanceEmulator"}


def build(options: argparse.Namespace) -> tuple[Emulator, list[EmulatedAccount]]:
    made = getattr(import_module(f"tests.emulators.{options.kind}.emulator"), KINDS[options.kind])
    given: dict[str, Any] = {"instruments_file": options.instruments} if options.instruments and options.kind == "kite" else {}
    emulator: Emulator = made(
        seed=options.seed, latency=options.latency_ms / 1000, rates=options.rates, hours=options.hours, port=options.port, **given
    )
    return emulator, [emulator.add_account(**_more(options, number)) for number in range(options.accounts)]


def _more(options: argparse.Namespace, number: int) -> dict[str, Any]:
    if options.kind == "binance":
        return {"market": ("spot", "usdm")[number % 2]}
    return {"redirect": options.redirect} if options.redirect and options.kind == "kite" else {}


def tell(emulator: Emulator, accounts: list[EmulatedAccount], as_json: bool) -> str:
    if as_json:
        rows = [{"name": x.name, "market": x.market, "credentials": x.credentials} for x in accounts]
        return json.dumps({"url": emulator.url, "endpoints": emulator.endpoints(), "accounts": rows})
    lines = [
        "Point the server at it (in front of the command, or as lines of .env):",
        "",
        *(f"  {name}={address}" for name, address in emulator.endpoints().items()),
    ]
    for account in accounts:
        lines += ["", f"Account {account.name} {account.market}".rstrip()]
        lines += [f"  {name}: {value}" for name, value in account.credentials.items()]
    return "\n".join([*lines, "", f"Control: POST {emulator.url}/_emulator/price and others. Ctrl-C ends it."])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators",
        description="An emulated broker on this machine. It runs until Ctrl-C or SIGTERM, also in the background and without an input.",
    )
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accounts", type=int, default=2)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long each answer takes")
    parser.add_argument("--walk", type=float, default=0.5, help="seconds between price moves; 0: prices stand still")
    parser.add_argument("--rates", action="store_true", help="enforce the published request limits")
    parser.add_argument("--hours", action="store_true", help="trade in the exchange's hours only")
    parser.add_argument("--redirect", help="kite: the address registered for the apps")
    parser.add_argument("--instruments", type=Path, help="kite: a CSV that is served as the instrument list")
    parser.add_argument("--json", action="store_true", help="one line for programs; prices stand still")
    parser.add_argument(
        "--until-eof", action="store_true", help="end also when standard input ends: for a program that holds its other end"
    )
    options = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)  # a shell's "&" would let it ignore Ctrl-C
    emulator, accounts = build(options)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)  # what it keeps grows with every order: a full collection would be a pause in a measurement
    try:
        with emulator:
            print(tell(emulator, accounts, options.json), flush=True)
            if options.walk and not options.json:
                emulator.walk(options.walk)
            if options.until_eof:
                sys.stdin.read()
            else:
                threading.Event().wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
