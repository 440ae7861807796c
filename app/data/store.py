"""What every repository stands on: read, write with an audit row, and tell everyone that something changed.

A counter in the database moves with each write of configuration, so that changes made by another process (`user add`) are seen within half a second.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from app.data.chain import COLUMNS, link, next_link
from app.data.database import Readers
from app.data.errors import NotFound
from app.data.journal import SqliteJournal
from app.data.rows import Actor
from app.data.values import micros, to_json
from engines.core.codec import to_plain
from engines.ports import Clock, Ids

T = TypeVar("T")
log = logging.getLogger("tandem.data")

POLL = 0.5


class Changes:
    """Says when configuration changed, whoever changed it. Callbacks run on the thread that wrote, or on the watching thread."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._callbacks: list[Callable[[], None]] = []
        self._known = self._stored()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def watch(self) -> None:
        self._watcher = threading.Thread(target=self._watch, name="data-changes", daemon=True)
        self._watcher.start()

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def tell(self, version: int) -> None:
        self._known = max(self._known, version)
        for callback in tuple(self._callbacks):
            try:
                callback()
            except Exception:
                log.exception("a listener to changes of configuration failed")

    def look(self) -> None:
        """Asks the database now; tells when another process has written."""
        stored = self._stored()
        if stored > self._known:
            self.tell(stored)

    def close(self) -> None:
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5)

    def _stored(self) -> int:
        row = self._readers.one("SELECT value FROM meta WHERE name = 'config_version'")
        return int(row[0]) if row else 0

    def _watch(self) -> None:
        while not self._stop.wait(POLL):
            try:
                self.look()
            except sqlite3.Error as error:  # a locked or damaged database is the journal's to report; looking goes on
                log.warning("cannot look for changes: %s", error)


@dataclass(frozen=True, slots=True)
class Store:
    """The tools of a repository."""

    readers: Readers
    journal: SqliteJournal
    changes: Changes
    clock: Clock
    ids: Ids

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` in one durable transaction and tells that configuration changed; what `work` raises undoes everything."""

        def write(db: sqlite3.Connection) -> tuple[T, int]:
            result = work(db)
            db.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE name = 'config_version'")
            return result, int(db.execute("SELECT value FROM meta WHERE name = 'config_version'").fetchone()[0])

        result, version = self.journal.run(write)
        self.changes.tell(version)
        return result

    def now(self) -> int:
        return micros(self.clock.now())

    def audit(self, db: sqlite3.Connection, by: Actor, action: str, object_id: str, *, before: object = None, after: object = None) -> None:
        """`action` is "kind.verb"; before and after are values or mappings without secrets, reduced to what differs."""
        old, new = _difference(_plain(before), _plain(after))
        write_audit(db, self.now(), by, action, action.partition(".")[0], object_id, old, new)


def write_audit(
    db: sqlite3.Connection,
    at: int,
    by: Actor,
    action: str,
    object_kind: str,
    object_id: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """The next row of the log, linked to the one before it. In the writer's transaction: either both, what was done and that it was, or neither."""
    number, last = next_link(db)
    row = (number, at, by.user_id, by.via, by.ip, action, object_kind, object_id, _text(before), _text(after))
    db.execute(f"INSERT INTO audit ({COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, link(last, row)))


def found(row: sqlite3.Row | None, what: str) -> sqlite3.Row:
    if row is None:
        raise NotFound(f"there is no such {what}")
    return row


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else to_json(value)


def _plain(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    plain = to_plain(value)
    return plain if isinstance(plain, dict) else {"value": plain}


def _difference(before: dict[str, Any] | None, after: dict[str, Any] | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if before is None or after is None:
        return before, after
    names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in sorted(names)}, {name: after.get(name) for name in sorted(names)}
