"""The database file: where it is, that it is ours and of this version, and the connections to it.

Readers take a connection from a pool and can never write; the one connection that writes belongs to the journal.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from app.data.errors import DataError

HEAD = "0004"
"""The newest migration; `schema.sql` is the same schema in one piece."""

_SCHEMA = Path(__file__).with_name("schema.sql")


def database_path(data_dir: Path, database_url: str | None) -> Path:
    """`sqlite:///relative/to/here` or `sqlite:////absolute`; without a URL it is tandem.db in the data folder."""
    if not database_url:
        return data_dir / "tandem.db"
    prefix = "sqlite:///"
    if not database_url.startswith(prefix) or database_url == prefix:
        raise DataError("DATABASE_URL must name an SQLite file: sqlite:///path/to/file.db")
    return Path(database_url.removeprefix(prefix).partition("?")[0])


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are begun by name) that waits two seconds for others: also a process that ends holds the
    file for a moment."""
    connection = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def stored_version(path: Path) -> str | None:
    """The migration the file is at; None for a file that is not there or empty. Raises DataError for a file that is not ours."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(sqlite3.connect(path, timeout=2)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return None
            if "alembic_version" not in tables:
                raise DataError(f"{path} is not a Tandem database")
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None
    except sqlite3.Error as error:
        raise DataError(f"the database {path} cannot be read: {error}") from error


def stored_fingerprint(path: Path) -> str:
    """Of the key that this database's credentials are encrypted with."""
    with closing(connect(path, read_only=True)) as connection:
        row = connection.execute("SELECT value FROM meta WHERE name = 'key_fingerprint'").fetchone()
        return str(row[0]) if row else ""


def create(path: Path, key_fingerprint: str) -> None:
    """The newest schema in an empty file: all of it or, after a crash, nothing."""
    schema = _SCHEMA.read_text(encoding="utf-8")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with closing(connect(path)) as connection:
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                raise DataError(f"the folder {path.parent} does not support SQLite's write-ahead log (a network drive?)")
            connection.executescript(f"BEGIN IMMEDIATE; {schema}")
            connection.execute("INSERT INTO meta (name, value) VALUES ('key_fingerprint', ?)", (key_fingerprint,))
            connection.execute("COMMIT")
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"the database {path} cannot be made: {error}") from error


class Readers:
    """A pool of connections that read: any thread may ask, each query has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path, read_only=True)
        try:
            yield connection
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    def all(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        with self.use() as connection:
            return connection.execute(sql, params).fetchall()

    def one(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Row | None:
        with self.use() as connection:
            row: sqlite3.Row | None = connection.execute(sql, params).fetchone()
            return row

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < 16:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        for connection in idle:
            connection.close()
