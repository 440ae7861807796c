"""A copy of everything that is needed to start elsewhere, taken from the running database without stopping it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.data.database import connect
from app.data.errors import DataError


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy, whatever is being written meanwhile."""
    with closing(connect(source, read_only=True)) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


def backup(database: Path, others: Sequence[Path], target: Path) -> None:
    """One zip file with the database and those of the other files that exist; complete or not there at all. Raises DataError."""
    partial = target.with_name(target.name + ".partial")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            copy = Path(folder) / database.name
            copy_database(database, copy)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    for path in (copy, *(other for other in others if other.exists())):
                        archive.write(path, path.name)
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, target)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"the backup {target} cannot be written: {error}") from error
