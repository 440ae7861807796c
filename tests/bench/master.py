"""How long 150,000 instruments of two brokers take to become a searchable file, and how quick a search and a lookup over them are."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from app.data import Instruments
from app.data.build_master import FOLDER, Source, _keep
from app.data.instrument_file import ListAge
from engines.market.masters.kite import HEADER
from engines.market.masters.spelling import MONTHS, contract_name
from tests.bench.figures import Figure, quantile

ROWS = 150_000
SHARES = 9_000
TODAY = date(2026, 8, 17)
NOW = 1_786_950_000.0
TYPED = (
    "nifty 24500 ce", "infy", "banknifty fut", "n", "ni", "nif", "nifty", "nifty 2", "nifty 24", "ce", "c", "2", "25 aug", "und0100 pe",
    "24500 pe sep nifty", "nifty24500ce", "bank nifty 57500", "und 1000", "a b c", "share", "1 2 3", "call", "fut", "zzzz", "sh4000", "u p 1 a",
)  # fmt: skip


def measure(_name: str) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        kite, angel = lists()
        built, child_mb = _build(Path(folder), kite, angel)
        held = Instruments(Path(folder))
        held.swap()
        looked, found = _laps(held.search, TYPED, 20), held.search("nifty 24500 ce")
        assert found[0].strike == 24_500
        symbols = [each.symbol for each in random.Random(7).sample(list(held.search("", limit=ROWS)), 2_000)]
        reads = _laps(held.get, symbols, 1)
        size = held.path.stat().st_size / 1e6
        held.close()
    slowest = max(looked, key=lambda q: quantile(looked[q], 0.5))
    laps = [lap for each in looked.values() for lap in each]
    about = {"rows": ROWS, "file_mb": round(size, 1), "process_mb": child_mb}
    typed = {"slowest": slowest, "slowest_ms": round(quantile(looked[slowest], 0.5), 3), "typed": len(TYPED)}
    point = [lap for each in reads.values() for lap in each]
    return [
        Figure(
            "master-build",
            f"{ROWS:,} instruments at two brokers read, merged and indexed by a process of its own",
            built,
            "s",
            30.0,
            notes=about,
        ),
        Figure("master-search", f"search as typed over {ROWS:,} instruments, p99", quantile(laps, 0.99), "ms", 10.0, notes=typed),
        Figure("master-get", f"one instrument by symbol out of {ROWS:,}, p99", quantile(point, 0.99), "ms", 1.0),
    ]


def lists() -> tuple[bytes, bytes]:
    """Kite's and Angel's list of the same ROWS instruments: shares, and chains of options and futures."""
    kite, angel, token = [HEADER], [], 1
    names = ["NIFTY", "BANKNIFTY", "FINNIFTY", *(f"UND{number:04d}" for number in range(220))]
    for number in range(SHARES):
        symbol = names[number] if 3 <= number < len(names) else f"SH{number:05d}"
        kite.append(f"{token * 256 + 1},{token},{symbol},Share number {number} Limited,0,,0,0.05,1,EQ,NSE,NSE")
        angel.append(_angel(token, f"{symbol}-EQ", symbol, "", "NSE", "", "-1.000000"))
        token += 1
    expiries = [TODAY + timedelta(days=1 + 7 * week) for week in range(6)]
    chains = [(name, expiry) for expiry in expiries for name in names]
    each = (ROWS - SHARES) // len(chains)
    for place, (name, expiry) in enumerate(chains):
        count = each if place < len(chains) - 1 else ROWS - SHARES - each * (len(chains) - 1)
        middle = {"NIFTY": 24_500, "BANKNIFTY": 57_500}.get(name, 1_000 + place % 220 * 100)
        monthly = not any(other > expiry and other.month == expiry.month for other in expiries)
        for step in range(count):
            kind, strike = ("CE", "PE")[step % 2], middle + (step // 2 - count // 4) * 50 if middle > 9_000 else middle + step // 2 * 5
            symbol = contract_name(name, expiry.isoformat(), strike, kind, monthly=monthly)  # type: ignore[arg-type]
            kite.append(f"{token * 256 + 2},{token},{symbol},{name},0,{expiry},{strike},0.05,65,{kind},NFO-OPT,NFO")
            spelled = f"{expiry.day:02}{MONTHS[expiry.month - 1]}{expiry.year}"
            angel.append(_angel(token, f"{name}{spelled}{strike}{kind}", name, spelled, "NFO", "OPTIDX", f"{strike * 100}.000000"))
            token += 1
    return ("\n".join(kite) + "\n").encode(), json.dumps(angel).encode()


def _angel(token: int, symbol: str, name: str, expiry: str, exchange: str, kind: str, strike: str) -> dict[str, Any]:
    row = {"token": str(token), "symbol": symbol, "name": name, "expiry": expiry, "strike": strike, "lotsize": "65", "instrumenttype": kind}
    return row | {"exch_seg": exchange, "tick_size": "5.000000", "freeze_qty": "1800", "is_cas_enabled": False}


def _build(folder: Path, kite: bytes, angel: bytes) -> tuple[float, float]:
    """Seconds of the whole process, and the memory it took at most. The lists lie on disk as if they had been fetched."""
    (folder / FOLDER).mkdir()
    for broker, body in (("zerodha", kite), ("angelone", angel)):
        _keep(folder / FOLDER / f"{broker}.z", ListAge(broker, NOW, ROWS, Source(broker, "").url), body)
    job = json.dumps({"folder": str(folder), "now": NOW, "fetch": []})
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "app.data.build_master"], input=job, capture_output=True, text=True, check=True, timeout=300
    )
    seconds = time.perf_counter() - started
    assert json.loads(done.stdout)["instruments"] == ROWS, done.stdout
    return seconds, round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 0)


def _laps(call: Callable[[str], Any], asked: Any, times: int) -> dict[str, list[float]]:
    """Milliseconds of each call."""
    found: dict[str, list[float]] = {}
    for _ in range(times):
        for text in asked:
            started = time.perf_counter()
            call(text)
            found.setdefault(text, []).append((time.perf_counter() - started) * 1000)
    return found
