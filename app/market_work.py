"""Work on market files for whoever serves: each piece in a process of its own, one at a time, so that it never holds up the engines.

Imports, gap reports and Parquet files come through here; what a process was told and answered is the business of `engines.market.program`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.data import Dataset, Datasets, NewDataset
from app.data.rows import Actor
from engines.core.codec import to_plain
from engines.core.sessions import CalendarDay
from engines.market.imports import Wish
from engines.ports import TandemError

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "engines.market.program")
LONGEST = 600.0
PATIENCE = 60.0
_turn = threading.Lock()


class Busy(TandemError):
    """Another file is being worked on and takes long; try again."""


class CannotUse(TandemError):
    """The file cannot be used as it is; `report` has the rows at fault where there are any."""

    def __init__(self, text: str, report: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.report = report


def import_dataset(
    datasets: Datasets,
    user_id: str,
    source: Path,
    wish: Wish,
    *,
    name: str,
    file_name: str,
    days: Iterable[CalendarDay],
    by: Actor,
    kind: str = "imported",
) -> Dataset:
    """A file becomes a dataset, or nothing changes. Raises CannotUse, Busy, Conflict (the name is taken)."""
    target = datasets.incoming()
    try:
        job = {
            "do": "import",
            "source": str(source),
            "target": str(target),
            "name": file_name,
            "wish": to_plain(wish),
            "days": to_plain(tuple(days)),
        }
        report = work(job)
        return datasets.add(user_id, name, made_of(report, target), source=kind, by=by)
    finally:
        target.unlink(missing_ok=True)


def made_of(report: Mapping[str, Any], path: Path) -> NewDataset:
    """The finished file with what its report says of it."""
    symbols = report["symbols"]
    return NewDataset(
        path=path,
        kind=report["kind"],
        seconds=report["seconds"],
        symbols=tuple(each["symbol"] for each in symbols),
        rows=report["rows_kept"],
        first_at=min(each["first_at"] for each in symbols),
        last_at=max(each["last_at"] for each in symbols),
        report=report,
    )


def work(job: Mapping[str, Any], *, patience: float = PATIENCE) -> dict[str, Any]:
    """What the process answers. Raises CannotUse, and Busy when others take longer than `patience` seconds."""
    if not _turn.acquire(timeout=patience):
        raise Busy("Another file is being read. Try again in a minute.")
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            COMMAND, cwd=ROOT, input=json.dumps(job), capture_output=True, text=True, encoding="utf-8", timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        raise CannotUse(f"it was not done after {LONGEST / 60:.0f} minutes: split the file") from None
    finally:
        _turn.release()
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if "refused" in answer:
            raise CannotUse(answer["refused"], answer["report"])
        result: dict[str, Any] = answer["done"]
        return result
    except (ValueError, IndexError, KeyError):
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise CannotUse(f"the process that reads it failed: {last[0][:200]}") from None
