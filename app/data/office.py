"""Settings, and the memory of idempotent requests: small keepers that the rest of the product leans on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.data.credentials import CredentialBox
from app.data.errors import Conflict, Invalid
from app.data.may import refuse_who_is_no_owner
from app.data.rows import Actor, StoredAnswer
from app.data.store import Store
from app.data.values import from_json, to_json
from engines.core.codec import to_plain

KEPT = 24 * 3600 * 1_000_000
"""How long an idempotency key is remembered, in microseconds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Named JSON values, of the whole system (user_id None) or of one user."""

    store: Store

    def get(self, name: str, default: Any = None, *, user_id: str | None = None) -> Any:
        row = self.store.readers.one("SELECT value FROM settings WHERE user_id = ? AND name = ?", (user_id or "", name))
        return default if row is None else from_json(row["value"])

    def all(self, *, user_id: str | None = None) -> Mapping[str, Any]:
        rows = self.store.readers.all("SELECT name, value FROM settings WHERE user_id = ?", (user_id or "",))
        return {row["name"]: from_json(row["value"]) for row in rows}

    def set(self, name: str, value: Any, *, user_id: str | None = None, by: Actor) -> None:
        """Conflict for one of the whole system when `by` is no owner (any more)."""
        text = json.dumps(value, allow_nan=False)

        def work(db: sqlite3.Connection) -> None:
            if user_id is None:
                refuse_who_is_no_owner(db, by)
            old = db.execute("SELECT value FROM settings WHERE user_id = ? AND name = ?", (user_id or "", name)).fetchone()
            db.execute(
                "INSERT INTO settings (user_id, name, value) VALUES (?, ?, ?) ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value",
                (user_id or "", name, text),
            )
            before = {"value": from_json(old["value"])} if old else None
            action = "preference.changed" if user_id else "setting.changed"  # one's own taste, or how the workspace is run
            self.store.audit(db, by, action, name, before=before, after={"value": from_json(text)})

        self.store.write(work)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The first answer to a request, given again to whoever repeats it with the same key within 24 hours."""

    store: Store
    box: CredentialBox

    def begin(self, user_id: str, route: str, key: str, body: bytes) -> StoredAnswer | None:
        """None: do the work, then `finish` (or `abandon`). An answer: give it again. Invalid for another body under the same key,
        Conflict while the first is still at work. Work that a crash cut short may be begun again after a restart."""
        body_hash = hashlib.sha256(body).hexdigest()

        def work(db: sqlite3.Connection) -> sqlite3.Row | None:
            now = self.store.now()
            _forget_old(db, now)
            sql = "SELECT * FROM idempotency WHERE user_id = ? AND route = ? AND key = ?"
            row: sqlite3.Row | None = db.execute(sql, (user_id, route, key)).fetchone()
            if row is None:
                first = "INSERT INTO idempotency (user_id, route, key, body_hash, created_at) VALUES (?, ?, ?, ?, ?)"
                db.execute(first, (user_id, route, key, body_hash, now))
                return None
            if row["body_hash"] != body_hash:
                raise Invalid.field("Idempotency-Key", "was used before with another body")
            if row["answer"] is None:
                raise Conflict("the first request with this Idempotency-Key is still at work")
            return row

        stored = self.store.journal.run(work)
        if stored is None:
            return None
        text = stored["answer"] if stored["sealed"] is None else self.box.open(stored["sealed"])["answer"]
        return StoredAnswer(**from_json(text))

    def finish(self, user_id: str, route: str, key: str, answer: StoredAnswer, *, sealed: bool = False) -> None:
        """`sealed`: there is a secret in it, so it is kept encrypted."""
        text = to_json(to_plain(answer))
        kept = ("", self.box.seal({"answer": text})) if sealed else (text, None)
        sql = "UPDATE idempotency SET answer = ?, sealed = ? WHERE user_id = ? AND route = ? AND key = ?"
        self.store.journal.run(lambda db: db.execute(sql, (*kept, user_id, route, key)))

    def abandon(self, user_id: str, route: str, key: str) -> None:
        """The work failed in a way that may be tried again: the key is free."""
        sql = "DELETE FROM idempotency WHERE user_id = ? AND route = ? AND key = ? AND answer IS NULL"
        self.store.journal.run(lambda db: db.execute(sql, (user_id, route, key)))

    def free_unfinished(self) -> None:
        """At start: whoever was at work is gone."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM idempotency WHERE answer IS NULL")
            _forget_old(db, self.store.now())

        self.store.journal.run(work)


def _forget_old(db: sqlite3.Connection, now: int) -> None:
    db.execute("DELETE FROM idempotency WHERE created_at <= ?", (now - KEPT,))
