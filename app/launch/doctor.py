"""`doctor`: looks at everything a trading day leans on and says what it found, one line a check; exit 0 = healthy.

It may run beside a serving workspace, and it changes nothing but a probe file that it takes away again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.data import AccountRow, AutoLogin, Data, Instruments, SignIn
from app.launch import masters
from app.launch.common import opened, settings_for
from app.logins import is_our_address
from config import Settings
from engines.core.model import Account
from engines.core.sessions import IST
from engines.login.browser import installed
from engines.login.reasons import WORDS, Reason

SLOW_FLUSH_MS = 20.0
LEAST_FREE_MB = 500
FLUSHES = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """`well` None: worth knowing, no reason to be ill."""

    check: str
    well: bool | None
    detail: str


def run(args: argparse.Namespace) -> int:
    settings = settings_for(args)
    findings = list(examine(settings))
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        mark = {True: "ok  ", False: "FAIL", None: "note"}[finding.well]
        print(f"{mark}  {finding.check:<{width}}  {finding.detail}")
    return 1 if any(finding.well is False for finding in findings) else 0


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, the cheap ones first. Raises DataError when the data folder cannot be opened at all."""
    yield _settings(settings)
    yield from _links(settings)
    yield _listening(settings)
    yield from _clock()
    if not settings.data_dir.is_dir():
        yield Finding("data folder", None, f"{settings.data_dir} does not exist yet; the first start makes it")
        return
    with opened(settings) as data:
        yield _database(data)
        yield _disk(settings.data_dir)
        yield from _left_over(settings.data_dir)
        yield _flush(settings.data_dir)
        yield _keys(settings)
        yield _secrets(settings, data)
        yield _log(data)
        yield _instruments(data)
        yield from _accounts(data)


def _settings(settings: Settings) -> Finding:
    loopback = settings.host in {"localhost", "::1"} or settings.host.startswith("127.")
    if not loopback and not (settings.public_url or "").startswith("https://"):
        return Finding(
            "settings", None, f"listens on {settings.host} without TLS: put a proxy in front and set TANDEM_PUBLIC_URL=https://…"
        )
    return Finding("settings", True, f"data folder {settings.data_dir}, {settings.base_url}, feed {settings.feed}")


def _links(settings: Settings) -> Iterator[Finding]:
    if settings.links_stay_here:
        detail = (
            f"begin with {settings.base_url} and open on this machine only; set TANDEM_PUBLIC_URL to the address that other devices use"
        )
        yield Finding("links", None, f"those of invitations and new passwords {detail}")


def _listening(settings: Settings) -> Finding:
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex(("127.0.0.1", settings.port)) == 0
    return Finding(
        "port", None if taken else True, f"{settings.port} is in use (by this workspace, or by another program)" if taken else "free"
    )


def _clock() -> Iterator[Finding]:
    """A clock that steps while we look, or a machine without Indian time, spoils sessions and candles."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.2)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    sane = wall > 1_700_000_000  # November 2023: an unset clock starts in 1970
    detail = f"UTC {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(wall))}, {drift * 1000:.1f} ms of step while watching"
    yield Finding("clock", sane and drift < 0.1, detail)
    yield Finding("time sync", *_synchronised())


def _synchronised() -> tuple[bool | None, str]:
    marker = Path("/run/systemd/timesync/synchronized")
    if marker.exists():
        return True, "synchronised"
    return None, "cannot tell here whether the clock is kept by NTP; candles and sessions need it right to a second"


def _database(data: Data) -> Finding:
    counts = data.books.counts()
    known = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Finding("database", data.journal.healthy, known or "empty")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free >> 20
    return Finding("disk", free >= LEAST_FREE_MB, f"{free:,} MB free")


def _left_over(folder: Path) -> Iterator[Finding]:
    """What restores and updates put aside is never deleted by itself; keys and credentials of then are in it."""
    found = sorted(path.name for pattern in ("replaced-*", "*.bak", ".restoring") for path in folder.glob(pattern))
    if found:
        yield Finding("put aside", None, f"{', '.join(found)}: from before a restore or an update, keys included; delete when not needed")


def _flush(folder: Path) -> Finding:
    """Every order waits for one flush before it may leave, so this is a floor of the time to market."""
    laps = []
    handle, name = tempfile.mkstemp(prefix="doctor-", dir=folder)
    try:
        for _ in range(FLUSHES):
            os.write(handle, b"x" * 4096)
            started = time.perf_counter()
            os.fsync(handle)
            laps.append((time.perf_counter() - started) * 1000)
    finally:
        os.close(handle)
        Path(name).unlink()
    laps.sort()
    middle, worst = laps[len(laps) // 2], laps[-1]
    return Finding("disk flush", True if middle < SLOW_FLUSH_MS else None, f"{middle:.2f} ms median, {worst:.2f} ms worst of {FLUSHES}")


def _keys(settings: Settings) -> Finding:
    """Whoever can read a key file can read every broker credential."""
    if os.name == "nt":
        return Finding("keys", None, "make sure that only your user can read the data folder")
    loose = [p.name for p in settings.data_dir.iterdir() if p.is_file() and "key" in p.name and p.stat().st_mode & 0o077]
    return Finding("keys", not loose, f"readable by others: {', '.join(loose)}" if loose else "readable by their owner only")


def _secrets(settings: Settings, data: Data) -> Finding:
    """Whether the key opens what is sealed: a backup is worth as much."""
    lost = data.unreadable()
    if lost:
        return Finding(
            "secrets", False, f"cannot be read with these keys, enter it again: {', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}"
        )
    if not settings.credential_keys and len(data.box) > 1:
        return Finding("secrets", None, "a change of the key was cut short: stop the workspace and run keys rotate")
    return Finding("secrets", True, "all that is encrypted can be read")


def _log(data: Data) -> Finding:
    """Every row of the audit log is there and as it was written. The head is what to note elsewhere, against one who makes the whole chain anew."""
    told = data.audit.check()
    if told.whole:
        return Finding("audit log", True, f"{told.rows} rows, whole; head {told.head[:16] or '-'}")
    return Finding("audit log", False, f"{told.what}; {told.rows} rows before it are whole")


def _instruments(data: Data) -> Finding:
    """Whether the brokers' lists are there and of today, for the brokers that have an account."""
    lists = Instruments(data.data_dir)
    try:
        return Finding("instruments", *masters.health(lists, masters.brokers_in_use(data.directory), time.time()))
    finally:
        lists.close()


def _accounts(data: Data) -> Iterator[Finding]:
    """Whether each account has what its broker needs to sign in; the sessions themselves belong to the process that serves."""
    rows = data.accounts.list(None)
    if not rows:
        yield Finding("accounts", None, "none yet")
    signed = data.sessions.sign_ins()
    refused = {one.account_id: one.message for one in data.books.incidents(None, kind="needs_login", open_only=True).items}
    for row in rows:
        if row.account.enabled:
            why = refused.get(row.account.account_id, "").removeprefix(f"{row.account.name}: ")
            yield _account(row, NEEDED.get(row.account.broker, _nothing), why)
            if row.account.live:
                yield from _connection(row.account, signed.get(row.account.account_id))
            if row.account.auto_login:
                yield _auto_login(row, data.auto_logins.get(row.account.account_id))


def _account(row: AccountRow, missing: Callable[[Mapping[str, str]], str], refused: str) -> Finding:
    """`refused`: why the last sign-in came to nothing. Where a person logs in each day that is an ordinary morning."""
    lacks = missing(row.credentials)
    if refused and not lacks:
        well = None if row.account.broker == "zerodha" else False
        return Finding(f"account {row.account.name}", well, f"{row.account.broker}: is not signed in: {refused}")
    return Finding(f"account {row.account.name}", not lacks, f"{row.account.broker}: {lacks or 'has what it needs to sign in'}")


def _connection(account: Account, signed: SignIn | None) -> Iterator[Finding]:
    """Today's session, and whether this machine has the address that the account's calls are to leave from."""
    if signed is not None and (signed.expires_at is None or signed.expires_at > time.time()):
        until = "" if signed.expires_at is None else f" until {datetime.fromtimestamp(signed.expires_at + IST, UTC):%d %b %H:%M} IST"
        yield Finding(f"session {account.name}", True, f"signed in{until}")
    elif account.broker == "zerodha":
        yield Finding(f"session {account.name}", None, "none for today: log in from the account's page")
    if account.source_address is not None:
        ours = is_our_address(account.source_address)
        told = (
            f"calls leave from {account.source_address}"
            if ours
            else f"{account.source_address} is not an address of this machine: no call can leave"
        )
        yield Finding(f"address {account.name}", ours, told)


def _auto_login(row: AccountRow, told: AutoLogin) -> Finding:
    check = f"log-in {row.account.name}"
    if installed() is None:
        return Finding(check, False, WORDS[Reason.NO_BROWSER])
    if told.stopped:
        return Finding(check, False, f"the automated log-in has stopped: {told.message}")
    return Finding(check, None if told.failures else True, told.message or "a browser signs in at 08:15 IST on trading days")


def _nothing(_credentials: Mapping[str, str]) -> str:
    return ""


def _lacking(*names: str) -> Callable[[Mapping[str, str]], str]:
    def missing(credentials: Mapping[str, str]) -> str:
        lacks = [name for name in names if not credentials.get(name)]
        return f"lacks {', '.join(lacks)}" if lacks else ""

    return missing


NEEDED: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "zerodha": _lacking("api_key", "api_secret"),
    "angelone": _lacking("api_key", "client_code", "pin", "totp_secret"),
    "binance_spot": _lacking("api_key", "api_secret"),
    "binance_usdm": _lacking("api_key", "api_secret"),
}
