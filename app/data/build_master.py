"""A process of its own that fetches the brokers' instrument lists and builds the new day's file from them: `python -m app.data.build_master`.

The job comes as JSON on standard input (it may hold a session's token, which therefore is in no argument, file or message), the outcome goes as JSON to
standard output. A list that is cut off or has shrunk is refused, and yesterday's stays. It never touches the database, nor the file that is being read.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.data import instrument_file
from app.data.download import Failed, Limits, fetch
from app.data.instrument_file import ListAge
from app.data.instruments import FILE, NEW_FILE
from engines.core.sessions import session_day
from engines.market.masters import READERS, BadList, Parsed, Row, merge

FOLDER = "instruments"
"""Where each broker's newest good list is kept, inside the data folder."""
LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Source:
    """Where a broker's list is. The headers may be secret."""

    broker: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """`now`: epoch seconds. `force`: take a list also when it has shrunk (a person has looked)."""

    folder: str
    now: float
    fetch: tuple[Source, ...] = ()
    force: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Fetched:
    """`problem` empty: the list is new; else why the old one stays."""

    broker: str
    listed: int = 0
    broken: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`built`: there is a new file to swap in."""

    fetched: tuple[Fetched, ...]
    built: bool = False
    instruments: int = 0
    clashes: int = 0


def run(job: Job) -> Outcome:
    folder = Path(job.folder)
    kept = folder / FOLDER
    kept.mkdir(mode=0o700, exist_ok=True)
    fresh: dict[str, Parsed] = {}
    fetched = [_take(source, job, kept, fresh) for source in job.fetch]
    lists = _lists(kept, fresh) if fresh or not _usable(folder / FILE) else []
    if not lists:
        return Outcome(tuple(fetched))
    today = session_day(job.now, "NSE")
    merged = merge([rows for _, rows in lists], today)
    instrument_file.write(folder / NEW_FILE, merged.entries, [age for age, _ in lists])
    return Outcome(tuple(fetched), True, len(merged.entries), merged.clashes)


def _usable(path: Path) -> bool:
    db = instrument_file.opened(path)
    if db is not None:
        db.close()
    return db is not None


def _take(source: Source, job: Job, kept: Path, fresh: dict[str, Parsed]) -> Fetched:
    """Fetch, check and keep one list."""
    path = kept / f"{source.broker}.z"
    try:
        body = fetch(source.url, source.headers, job.limits)
        parsed = READERS[source.broker](body)
    except (Failed, BadList) as error:
        return Fetched(source.broker, problem=str(error))
    place = _place(source.url)
    known = _age(path)
    if known is not None and known.source == place and not job.force and len(parsed.rows) < known.listed * LEAST_SHARE:
        return Fetched(source.broker, problem=f"it lists {len(parsed.rows):,} instruments, the last one {known.listed:,}: less than half")
    _keep(path, ListAge(source.broker, job.now, len(parsed.rows), place), body)
    fresh[source.broker] = parsed
    return Fetched(source.broker, len(parsed.rows), parsed.broken)


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _lists(kept: Path, fresh: Mapping[str, Parsed]) -> list[tuple[ListAge, Iterable[Row]]]:
    """Every broker's newest list: those of the newest day first, for they know today's lots; within a day in the order of READERS."""
    found: list[tuple[ListAge, Iterable[Row]]] = []
    for broker, read in READERS.items():
        path = kept / f"{broker}.z"
        age = _age(path)
        if age is None:
            continue
        try:
            parsed = fresh.get(broker) or read(_body(path))
        except (BadList, zlib.error, OSError):
            continue  # spoilt on disk: as good as none, until it is fetched again
        found.append((age, parsed.rows))
    return sorted(found, key=lambda each: session_day(each[0].loaded_at, "NSE"), reverse=True)


# --- lists as they are kept: one line about it, then the body, packed -----------------------------------------------


def _keep(path: Path, age: ListAge, body: bytes) -> None:
    about = json.dumps({"loaded_at": age.loaded_at, "listed": age.listed, "source": age.source}).encode()
    new = path.with_suffix(".new")
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(about + b"\n" + zlib.compress(body, 1))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _age(path: Path) -> ListAge | None:
    try:
        with path.open("rb") as file:
            about = json.loads(file.readline(10_000))
        return ListAge(path.stem, float(about["loaded_at"]), int(about["listed"]), str(about["source"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _body(path: Path) -> bytes:
    return zlib.decompress(path.read_bytes().partition(b"\n")[2])


# --- the process ---------------------------------------------------------------------------------------------------


def job_of(said: Mapping[str, Any]) -> Job:
    sources = tuple(Source(each["broker"], each["url"], each.get("headers", {})) for each in said["fetch"])
    return Job(said["folder"], said["now"], sources, said.get("force", False), Limits(**said.get("limits", {})))


def main() -> int:
    """Nothing of a failure is printed but its kind: its text may quote what was sent."""
    gc.disable()  # millions of small values, none of them in a circle, in a process that ends with its job
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(10)  # the engines come first
    try:
        outcome = run(job_of(json.load(sys.stdin)))
    except Exception as error:
        json.dump({"failed": type(error).__name__}, sys.stdout)
        return 1
    fetched = [{"broker": f.broker, "listed": f.listed, "broken": f.broken, "problem": f.problem} for f in outcome.fetched]
    json.dump({"fetched": fetched, "built": outcome.built, "instruments": outcome.instruments, "clashes": outcome.clashes}, sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
