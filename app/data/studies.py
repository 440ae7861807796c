"""Back-tests and sweeps that people have asked for: what was asked, how far each has come, the few figures that lists show.

Their results lie in files beside the database. Nothing here changes who trades what, so that a study never wakes the engines.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.data.errors import Conflict, Invalid
from app.data.paging import check_limit
from app.data.rows import Actor, Page
from app.data.store import Store, found
from app.data.values import from_json, seconds, seconds_or_none, to_json
from engines.core.model import Timestamp

MOST_WAITING = 100
"""Studies that one person may have in the queue."""
MOST_ATTEMPTS = 2
"""A study that has twice taken the program down with it is not begun a third time."""
_ONE = "SELECT * FROM studies WHERE study_id = ? AND (? IS NULL OR user_id = ?)"


class StudyState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self not in (StudyState.QUEUED, StudyState.RUNNING)


@dataclass(frozen=True, slots=True)
class StudyRow:
    """`spec` is what was asked, `summary` the figures of what came of it; `progress` from 0 to 1 as of when it last stopped."""

    study_id: str
    user_id: str
    name: str
    kind: str  # "backtest" | "sweep"
    state: StudyState
    spec: Mapping[str, Any]
    created_at: Timestamp
    progress: float = 0.0
    summary: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    attempts: int = 0
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Studies:
    store: Store

    # --- what people do -------------------------------------------------------------------------------------------

    def add(self, user_id: str, name: str, kind: str, spec: Mapping[str, Any], *, by: Actor) -> StudyRow:
        """Put into the queue. Conflict when this person has too many waiting already."""
        study_id, text = self.store.ids.new(), to_json(spec)

        def work(db: sqlite3.Connection) -> StudyRow:
            waiting = db.execute("SELECT COUNT(*) FROM studies WHERE user_id = ? AND state = 'queued'", (user_id,)).fetchone()[0]
            if waiting >= MOST_WAITING:
                raise Conflict(f"{MOST_WAITING} studies are waiting already: cancel some, or wait for them")
            db.execute(
                "INSERT INTO studies (study_id, user_id, name, kind, state, spec, created_at) VALUES (?, ?, ?, ?, 'queued', ?, ?)",
                (study_id, user_id, name, kind, text, self.store.now()),
            )
            self.store.audit(db, by, "study.created", study_id, after={"name": name, "kind": kind})
            return self._row(db, study_id)

        return self.store.journal.run(work)

    def get(self, user_id: str | None, study_id: str) -> StudyRow:
        return _row(found(self.store.readers.one(_ONE, (study_id, user_id, user_id)), "study"))

    def list(
        self, user_id: str, *, kind: str | None = None, state: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[StudyRow]:
        """Newest first."""
        before, before_id = _place(cursor)
        rows = self.store.readers.all(
            "SELECT * FROM studies WHERE user_id = :user AND (:kind IS NULL OR kind = :kind) AND (:state IS NULL OR state = :state)"
            " AND (:before IS NULL OR created_at < :before OR (created_at = :before AND study_id < :id))"
            " ORDER BY created_at DESC, study_id DESC LIMIT :most",
            {"user": user_id, "kind": kind, "state": state, "before": before, "id": before_id, "most": check_limit(limit) + 1},
        )
        items = tuple(map(_row, rows[:limit]))
        return Page(items, f"{rows[limit - 1]['created_at']}.{items[-1].study_id}" if len(rows) > limit else None)

    def rename(self, user_id: str, study_id: str, name: str, *, by: Actor) -> StudyRow:
        def work(db: sqlite3.Connection) -> StudyRow:
            old = self._row(db, study_id, user_id)
            db.execute("UPDATE studies SET name = ? WHERE study_id = ?", (name, study_id))
            self.store.audit(db, by, "study.renamed", study_id, before={"name": old.name}, after={"name": name})
            return self._row(db, study_id)

        return self.store.journal.run(work)

    def withdraw(self, user_id: str, study_id: str, *, by: Actor) -> StudyRow:
        """Take it out of the queue; one that is running is only noted as asked (whoever runs it ends it). Conflict when it is over."""

        def work(db: sqlite3.Connection) -> StudyRow:
            row = self._row(db, study_id, user_id)
            if row.state.over:
                raise Conflict(f"it is over already: {row.state.value}")
            if row.state is StudyState.QUEUED:
                db.execute("UPDATE studies SET state = 'cancelled', ended_at = ? WHERE study_id = ?", (self.store.now(), study_id))
            self.store.audit(db, by, "study.cancelled", study_id)
            return self._row(db, study_id)

        return self.store.journal.run(work)

    def delete(self, user_id: str, study_id: str, *, by: Actor) -> None:
        """Conflict while it is running."""

        def work(db: sqlite3.Connection) -> None:
            row = self._row(db, study_id, user_id)
            if row.state is StudyState.RUNNING:
                raise Conflict("it is running: cancel it first")
            db.execute("DELETE FROM studies WHERE study_id = ?", (study_id,))
            self.store.audit(db, by, "study.deleted", study_id, before={"name": row.name, "kind": row.kind})

        self.store.journal.run(work)

    # --- what the queue does --------------------------------------------------------------------------------------

    def waiting(self) -> int:
        """How many are in the queue, of all people."""
        row = self.store.readers.one("SELECT COUNT(*) FROM studies WHERE state = 'queued'")
        return int(row[0]) if row else 0

    def begin(self) -> StudyRow | None:
        """The next of the queue, running from now on. The person with none running or done most recently goes first; within one person the oldest."""

        def work(db: sqlite3.Connection) -> StudyRow | None:
            row = db.execute(
                "SELECT q.study_id FROM studies AS q WHERE q.state = 'queued'"
                " ORDER BY (SELECT COALESCE(MAX(s.started_at), 0) FROM studies AS s WHERE s.user_id = q.user_id), q.created_at, q.study_id LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE studies SET state = 'running', started_at = ?, ended_at = NULL, progress = 0, error = '', attempts = attempts + 1"
                " WHERE study_id = ?",
                (self.store.now(), row["study_id"]),
            )
            return self._row(db, row["study_id"])

        return self.store.journal.run(work)

    def end(
        self, study_id: str, state: StudyState, *, progress: float = 1.0, summary: Mapping[str, Any] | None = None, error: str = ""
    ) -> StudyRow | None:
        """What became of it; None when it has been deleted."""
        text = to_json(summary or {})

        def work(db: sqlite3.Connection) -> StudyRow | None:
            db.execute(
                "UPDATE studies SET state = ?, progress = ?, summary = ?, error = ?, ended_at = ? WHERE study_id = ?",
                (state.value, progress, text, error, self.store.now(), study_id),
            )
            row = db.execute(_ONE, (study_id, None, None)).fetchone()
            return None if row is None else _row(row)

        return self.store.journal.run(work)

    def put_back(self, study_id: str) -> None:
        """We are stopping, and that is not its fault: the next start begins it again."""
        sql = "UPDATE studies SET state = 'queued', started_at = NULL, attempts = MAX(attempts - 1, 0) WHERE study_id = ? AND state = 'running'"
        self.store.journal.run(lambda db: db.execute(sql, (study_id,)))

    def recover(self) -> tuple[int, int]:
        """At a start nothing is running: what a crash cut short waits again, but not for ever. → (queued again, given up)"""
        words = f"interrupted {MOST_ATTEMPTS} times: the program went down while it ran (too little memory?)"

        def work(db: sqlite3.Connection) -> tuple[int, int]:
            again = db.execute(
                "UPDATE studies SET state = 'queued', started_at = NULL WHERE state = 'running' AND attempts < ?", (MOST_ATTEMPTS,)
            )
            lost = db.execute(
                "UPDATE studies SET state = 'failed', error = ?, ended_at = ? WHERE state = 'running'", (words, self.store.now())
            )
            return again.rowcount, lost.rowcount

        return self.store.journal.run(work)

    def _row(self, db: sqlite3.Connection, study_id: str, user_id: str | None = None) -> StudyRow:
        return _row(found(db.execute(_ONE, (study_id, user_id, user_id)).fetchone(), "study"))


def _place(cursor: str | None) -> tuple[int | None, str]:
    if cursor is None:
        return None, ""
    at, _, study_id = cursor.partition(".")
    if not (at.isascii() and at.isdigit()) or len(at) > 18 or not study_id:
        raise Invalid.field("cursor", "is not a cursor of this list")
    return int(at), study_id


def _row(row: sqlite3.Row) -> StudyRow:
    return StudyRow(
        study_id=row["study_id"],
        user_id=row["user_id"],
        name=row["name"],
        kind=row["kind"],
        state=StudyState(row["state"]),
        spec=from_json(row["spec"]),
        created_at=seconds(row["created_at"]),
        progress=row["progress"],
        summary=from_json(row["summary"]),
        error=row["error"],
        attempts=row["attempts"],
        started_at=seconds_or_none(row["started_at"]),
        ended_at=seconds_or_none(row["ended_at"]),
    )
