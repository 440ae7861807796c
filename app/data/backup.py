"""A copy of everything that is needed to start elsewhere, taken from the running database without stopping it.

It holds the database, the keys and the halts; market data and the results of back-tests only when asked for, because they are large. A list of what
is in it (no secret) lies in front.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from app.data.credentials import open_box, write_private
from app.data.database import connect, stored_fingerprint, stored_version
from app.data.errors import DataError

MANIFEST = "backup.json"
LARGE = ("market", "studies")
"""Folders of files that can be had again: imported or recorded prices, results of back-tests."""
MOST_COPIES = 5
"""One rotation changes the key file twice."""
COUNTED = {
    "people": "users",
    "accounts": "accounts",
    "strategies": "strategies",
    "signals": "signals",
    "orders": "orders",
    "fills": "fills",
    "datasets": "datasets",
    "studies": "studies",
}


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy, whatever is being written meanwhile."""
    with closing(connect(source, read_only=True)) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


def contents(database: Path) -> dict[str, Any]:
    """What a database holds, in numbers, and the end of its audit log."""
    with closing(connect(database, read_only=True)) as db:
        counts = {name: int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for name, table in COUNTED.items()}
        counts["open positions"] = int(db.execute("SELECT count(*) FROM positions WHERE is_open").fetchone()[0])
        last = db.execute("SELECT audit_id, hash FROM audit ORDER BY audit_id DESC LIMIT 1").fetchone()
    log = {"rows": last[0] if last else 0, "head": last[1] if last else ""}
    return {"schema": stored_version(database), "counts": counts, "log": log}


def backup(
    database: Path,
    others: Sequence[Path],
    target: Path,
    *,
    key_file: Path | None = None,
    about: Mapping[str, Any] | None = None,
    large: Sequence[Path] = (),
) -> dict[str, Any]:
    """One zip file with the database, the keys that open it, those of the other files that exist, and the folders `large`; complete or not there at all.

    `key_file` None: the keys are not in a file. Returns what is in it, with `about` (when, keys from where) added. Raises DataError."""
    partial = target.with_name(target.name + ".partial")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            copy = Path(folder) / database.name
            keys = _copy_with_keys(database, copy, key_file)
            holds = {**(about or {}), "database": database.name, **contents(copy), "large": [path.name for path in large if path.is_dir()]}
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    archive.writestr(MANIFEST, json.dumps(holds, indent=1))
                    for path in (copy, *keys, *(other for other in others if other.exists())):
                        archive.write(path, path.name)
                    for path in large:
                        _add_folder(archive, path)
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, target)
        return holds
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"the backup {target} cannot be written: {error}") from error


def _copy_with_keys(database: Path, copy: Path, key_file: Path | None) -> Sequence[Path]:
    """The database, and beside it the key file as it was all the while: keys that are rotated meanwhile would leave a copy that nothing opens."""
    if key_file is None:
        copy_database(database, copy)
        return ()
    for _ in range(MOST_COPIES):
        keys = key_file.read_text(encoding="utf-8")
        copy_database(database, copy)
        if key_file.read_text(encoding="utf-8") == keys:
            kept = copy.with_name(key_file.name)
            write_private(kept, keys)
            open_box(kept, None, may_make=False).check(stored_fingerprint(copy))
            return (kept,)
    raise DataError("the keys were changed again and again while the backup was made: make it when they are not")


def _add_folder(archive: zipfile.ZipFile, folder: Path) -> None:
    """What is half made has a dot in front; what goes away meanwhile is not there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and not path.is_symlink():
            try:
                archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
            except FileNotFoundError:
                continue
