"""The chain of the audit log: each row carries the SHA-256 of the hash before it and of itself, so that a changed, missing or foreign row shows.

It tells that something was tampered with and where; it cannot stop whoever may write the file, nor one who makes every hash after it anew:
against that the newest hash (the head) is told by `doctor` and kept in each backup.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = "audit_id, at, user_id, via, ip, action, object_kind, object_id, before, after"
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def link(before: str, row: Sequence[object]) -> str:
    """The hash of a row, whose values come in the order of COLUMNS, behind the hash `before` ("" for the first)."""
    return hashlib.sha256(_encode([before, *row]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What a walk along the whole log found. `head`: the hash of the newest row; `broken_at`: the first row that does not fit, None when all do."""

    rows: int
    head: str
    broken_at: int | None = None
    what: str = ""

    @property
    def whole(self) -> bool:
        return self.broken_at is None


def next_link(db: sqlite3.Connection) -> tuple[int, str]:
    """The number of the row to come and the hash before it; to be asked inside the transaction that writes the row."""
    last = db.execute("SELECT audit_id, hash FROM audit ORDER BY audit_id DESC LIMIT 1").fetchone()
    taken = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    number = max(last[0] if last else 0, taken[0] if taken else 0) + 1
    return number, last[1] if last else ""


def check(db: sqlite3.Connection) -> ChainCheck:
    """Walks along the log, oldest row first: about 100,000 rows a second."""
    db.execute("BEGIN")  # one look at both tables, whatever is written meanwhile
    try:
        return _walk(db)
    finally:
        db.execute("ROLLBACK")


def _walk(db: sqlite3.Connection) -> ChainCheck:
    head, last = "", 0
    for *row, stored in db.execute(f"SELECT {COLUMNS}, hash FROM audit ORDER BY audit_id"):
        if row[0] != last + 1:
            missing = f"row {last + 1} is missing" if row[0] == last + 2 else f"rows {last + 1} to {row[0] - 1} are missing"
            return ChainCheck(last, head, last + 1, missing)
        if link(head, row) != stored:
            return ChainCheck(last, head, row[0], f"row {row[0]} is not as it was written")
        head, last = stored, row[0]
    taken = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    ever = taken[0] if taken else 0
    if ever != last:
        return ChainCheck(last, head, last + 1, f"the end is cut off behind row {last}: {ever} were written")
    return ChainCheck(last, head)
