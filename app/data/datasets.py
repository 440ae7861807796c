"""Market data that belongs to the workspace: rows here, files in the data folder, always both or neither.

A person's imports are theirs alone; what Tandem recorded itself is the archive of the whole workspace: everybody reads it, its owner keeps it.
What is inside a file is the business of `engines.market`; nothing here opens one.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.data.errors import Conflict, Invalid
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import from_json, micros, seconds, to_json
from engines.core.model import Timestamp

IMPORTED, RECORDED = "imported", "recorded"
CANDLES, TICKS = "candles", "ticks"
FOLDER = "market"
SUFFIX = ".csv.gz"
INCOMING = ".incoming-"
LEFT_BEHIND = 3600.0
"""Seconds after which a file without a row is nobody's work in progress."""
_MINE = "(? IS NULL OR user_id = ? OR source = 'recorded')"
_ONE = f"SELECT * FROM datasets WHERE dataset_id = ? AND {_MINE}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file of candles (each of `seconds`) or ticks (`seconds` 0) in the canonical form that `read_market_file` reads. `first_at`, `last_at`: of
    its first and last row; `report`: what the import found, as JSON."""

    dataset_id: str
    user_id: str
    name: str
    kind: str  # "candles" | "ticks"
    seconds: int
    symbols: tuple[str, ...]
    rows: int
    first_at: Timestamp
    last_at: Timestamp
    sha256: str
    file: str
    source: str  # "imported" | "recorded"
    created_at: Timestamp
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A finished file that waits outside the list; `add` takes it over. It must lie on the same disk as the data folder (see `Datasets.incoming`)."""

    path: Path
    kind: str
    seconds: int
    symbols: tuple[str, ...]
    rows: int
    first_at: Timestamp
    last_at: Timestamp
    report: Mapping[str, Any] = field(default_factory=dict)


class Datasets:
    """`path(dataset)` is what a back-test or a replay reads. Every `user_id` None: of everybody."""

    def __init__(self, store: Store, data_dir: Path) -> None:
        self.store = store
        self.folder = data_dir / FOLDER

    def list(self, user_id: str | None) -> tuple[Dataset, ...]:
        """The person's own and the recorded ones, newest first."""
        rows = self.store.readers.all(f"SELECT * FROM datasets WHERE {_MINE} ORDER BY created_at DESC, dataset_id DESC", (user_id, user_id))
        return tuple(map(_row, rows))

    def get(self, user_id: str | None, dataset_id: str) -> Dataset:
        """NotFound for what is unknown or another's."""
        return _row(found(self.store.readers.one(_ONE, (dataset_id, user_id, user_id)), "dataset"))

    def path(self, dataset: Dataset) -> Path:
        """Where its file lies. Conflict when somebody took it away by hand."""
        path = self.folder / dataset.file
        if not path.is_file():
            raise Conflict(f"the file of {dataset.name} is gone from the data folder: delete the dataset and import it again")
        return path

    def incoming(self) -> Path:
        """A new path for a file in the making, on the right disk; whoever asked removes it unless `add` took it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder / f"{INCOMING}{self.store.ids.new()}{SUFFIX}"

    def add(self, user_id: str, name: str, made: NewDataset, *, source: str = IMPORTED, by: Actor) -> Dataset:
        """Conflict when the person has one of that name; then, as on any failure, the file is left where it was."""
        dataset_id = self.store.ids.new()
        file = f"{dataset_id}{SUFFIX}"
        digest = sha256_of(made.path)
        clean = _name(name)

        def work(db: sqlite3.Connection) -> Dataset:
            found(db.execute("SELECT user_id FROM users WHERE user_id = ?", (user_id,)).fetchone(), "user")
            _check_free(db, user_id, clean)
            db.execute(
                "INSERT INTO datasets (dataset_id, user_id, name, kind, seconds, symbols, rows, first_at, last_at, sha256, file, source, report,"
                " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    dataset_id,
                    user_id,
                    clean,
                    made.kind,
                    made.seconds,
                    to_json(list(made.symbols)),
                    made.rows,
                    micros(made.first_at),
                    micros(made.last_at),
                    digest,
                    file,
                    source,
                    to_json(made.report),
                    self.store.now(),
                ),
            )
            dataset = _row(db.execute(_ONE, (dataset_id, None, None)).fetchone())
            self.store.audit(db, by, "dataset.added", dataset_id, after=_told(dataset))
            return dataset

        # Moved first and not inside: the journal may try a write twice. What a crash in between leaves is for `sweep`.
        os.replace(made.path, self.folder / file)
        try:
            return self.store.write(work)
        except BaseException:
            os.replace(self.folder / file, made.path)
            raise

    def rename(self, user_id: str, dataset_id: str, name: str, *, by: Actor) -> Dataset:
        """Conflict when the name is taken, or the dataset is of the archive and the person is not its keeper."""
        clean = _name(name)

        def work(db: sqlite3.Connection) -> Dataset:
            before = _own(db, user_id, dataset_id)
            if clean != before.name:
                _check_free(db, user_id, clean)
                db.execute("UPDATE datasets SET name = ? WHERE dataset_id = ?", (clean, dataset_id))
            after = _row(db.execute(_ONE, (dataset_id, None, None)).fetchone())
            self.store.audit(db, by, "dataset.renamed", dataset_id, before=_told(before), after=_told(after))
            return after

        return self.store.write(work)

    def delete(self, user_id: str, dataset_id: str, *, by: Actor) -> None:
        """The row, then the file; what was worked out from it stays."""

        def work(db: sqlite3.Connection) -> Dataset:
            dataset = _own(db, user_id, dataset_id)
            db.execute("DELETE FROM datasets WHERE dataset_id = ?", (dataset_id,))
            self.store.audit(db, by, "dataset.deleted", dataset_id, before=_told(dataset))
            return dataset

        (self.folder / self.store.write(work).file).unlink(missing_ok=True)

    def sweep(self) -> None:
        """At start: removes what a crash left behind, files without a row and files half made. Younger ones may be another process's present import."""
        if not self.folder.is_dir():
            return
        known = {row["file"] for row in self.store.readers.all("SELECT file FROM datasets")}
        for path in self.folder.glob(f"*{SUFFIX}"):
            if (
                path.name not in known and time.time() - path.stat().st_mtime > LEFT_BEHIND
            ):  # file times are the machine's, whatever our clock
                path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _own(db: sqlite3.Connection, user_id: str, dataset_id: str) -> Dataset:
    dataset = _row(found(db.execute(_ONE, (dataset_id, user_id, user_id)).fetchone(), "dataset"))
    if dataset.user_id != user_id:
        raise Conflict("this is the archive of the workspace: only its owner may change it")
    return dataset


def _check_free(db: sqlite3.Connection, user_id: str, name: str) -> None:
    if db.execute("SELECT 1 FROM datasets WHERE user_id = ? AND name = ?", (user_id, name)).fetchone():
        raise Conflict(f"you have a dataset called {name} already")


def _name(name: str) -> str:
    clean = name.strip()
    if not clean:
        raise Invalid.field("name", "must not be empty")
    return clean


def _told(dataset: Dataset) -> dict[str, Any]:
    """What the audit log keeps of it."""
    return {"name": dataset.name, "kind": dataset.kind, "rows": dataset.rows, "sha256": dataset.sha256, "source": dataset.source}


def _row(row: sqlite3.Row) -> Dataset:
    return Dataset(
        dataset_id=row["dataset_id"],
        user_id=row["user_id"],
        name=row["name"],
        kind=row["kind"],
        seconds=row["seconds"],
        symbols=tuple(from_json(row["symbols"])),
        rows=row["rows"],
        first_at=seconds(row["first_at"]),
        last_at=seconds(row["last_at"]),
        sha256=row["sha256"],
        file=row["file"],
        source=row["source"],
        created_at=seconds(row["created_at"]),
        report=from_json(row["report"]),
    )
