"""What the journal's writer works with: one item for each call, and what an error of SQLite means for it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from engines.core import facts as f
from engines.ports import DuplicateSignal, JournalDown

LOCKED_FOR = 0.25  # seconds another process may hold the database before a write fails

QUEUED, WRITING, DONE, LEFT = range(4)


class Item:
    """What one call handed in. `gate` is locked until the item is settled; only those that wait have one."""

    __slots__ = ("error", "facts", "gate", "result", "rows", "run", "state", "then")

    def __init__(self, facts: tuple[f.Fact, ...], *, waits: bool, run: Callable[[sqlite3.Connection], Any] | None = None) -> None:
        self.facts = facts
        self.rows = 1 if run else sum(1 + len(fact.orders) if isinstance(fact, f.SignalPlanned) else 1 for fact in facts)
        self.then: Callable[[], None] | None = None
        self.run = run
        self.gate = threading.Lock() if waits else None
        self.state = QUEUED
        self.error: BaseException | None = None
        self.result: Any = None
        if self.gate:
            self.gate.acquire()

    def settle(self, error: BaseException | None = None) -> None:
        self.error = error
        if self.gate:
            self.gate.release()


_OF_A_WRITE = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.NotSupportedError)


def of_the_database(error: Exception) -> bool:
    """Does it come from the database's condition (locked, full, broken), so that the same write may go through later? Any other error comes from what
    was to be written, and would come again."""
    if isinstance(error, sqlite3.Error):
        return not isinstance(error, _OF_A_WRITE) and getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_ERROR
    return isinstance(error, MemoryError)


def for_writing(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # the journal moves the log into the database when nobody waits
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -8000")  # kilobytes: the ends of all indexes stay at hand
    connection.execute("SELECT value FROM meta WHERE name = 'journal_mark'").fetchone()  # is the file there and can it be read?
    connection.execute("PRAGMA busy_timeout = 0")  # from here on patience is that of `begin`
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Own patience instead of SQLite's, whose sleeps grow to a tenth of a second."""
    for _ in range(round(LOCKED_FOR / 0.002)):
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not busy(error):
                raise
        time.sleep(0.002)
    connection.execute("BEGIN IMMEDIATE")


def busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_duplicate(error: Exception) -> bool:
    return isinstance(error, sqlite3.IntegrityError) and "signals.signal_id" in str(error)


def told(error: Exception) -> Exception:
    if is_duplicate(error):
        return DuplicateSignal("this signal id was used before")
    answer = JournalDown(f"it could not be written: {error}")
    answer.__cause__ = error
    return answer


def signal_keys(item: Item) -> list[str]:
    return [fact.signal.key for fact in item.facts if isinstance(fact, f.SignalPlanned)]


def purge(connection: sqlite3.Connection, keys: set[str]) -> None:
    for key in keys:
        connection.execute("DELETE FROM signals WHERE key = ?", (key,))
        connection.execute("DELETE FROM orders WHERE signal_key = ?", (key,))
