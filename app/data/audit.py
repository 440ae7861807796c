"""The audit log as it is written and read: who did what, when, from where, and what was there before and after.

Rows are only ever added and chained (`chain`). Nothing secret is handed to it: before and after come from what may be shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.data import chain
from app.data.paging import check_limit, place
from app.data.rows import Actor, AuditRow, Page
from app.data.store import Store, write_audit
from app.data.values import mapping_or_none, micros, seconds
from engines.core.codec import to_plain
from engines.core.model import Timestamp

SHARED = (
    "user",
    "sign_in",
    "second_factor",
    "invite",
    "code",
    "workspace",
    "setting",
    "system",
    "engines",
    "emergency_stop",
    "halt",
    "keys",
    "backup",
    "instruments",
    "job",
    "calendar",
)
"""What an owner sees whoever did it, by the first word of the action: people, the workspace, the machine and its stops. Never what somebody trades."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """None: whatever it is. `q`: a piece of the action, the object's id or what was before and after."""

    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    actor: str | None = None
    via: str | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    q: str | None = None


_ANY = AuditFilter()


@dataclass(frozen=True, slots=True)
class Audit:
    """Configuration writes add their own rows (`Store.audit`); `add` is for what changes no configuration (orders, stops)."""

    store: Store

    def add(
        self,
        by: Actor,
        action: str,
        object_kind: str,
        object_id: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Returns at once; the row is written in turn, also when the database is down at this moment."""
        at = self.store.now()
        old, new = to_plain(before), to_plain(after)
        self.store.journal.post(lambda db: write_audit(db, at, by, action, object_kind, object_id, old, new))

    def add_now(self, by: Actor, action: str, object_kind: str, object_id: str, *, after: Mapping[str, Any] | None = None) -> None:
        """As `add`, but on disk when it returns: for what may only happen if it is in the log. Raises JournalDown."""
        at, new = self.store.now(), to_plain(after)
        self.store.journal.run(lambda db: write_audit(db, at, by, action, object_kind, object_id, None, new))

    def list(
        self,
        user_id: str | None,
        *,
        action: str | None = None,
        object_kind: str | None = None,
        object_id: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[AuditRow]:
        """What this user did, or (None) everybody; newest first."""
        own = "" if user_id is None else "user_id = :me"
        return self._page([own], {"me": user_id}, AuditFilter(action, object_kind, object_id), limit, cursor)

    def seen_by(
        self, user_id: str, asked: AuditFilter = _ANY, *, owner: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[AuditRow]:
        """What this user did, what was done to them, and what the machine did with their accounts; an owner also sees what is SHARED."""
        parts = [_OWN, _ABOUT_ME, _MACHINE, *([_SHARED] if owner else [])]
        return self._page(parts, {"me": user_id}, asked, limit, cursor)

    def check(self) -> chain.ChainCheck:
        """Whether the whole log is as it was written."""
        with self.store.readers.use() as db:
            return chain.check(db)

    def _page(self, parts: Sequence[str], given: Mapping[str, Any], asked: AuditFilter, limit: int, cursor: str | None) -> Page[AuditRow]:
        """Each part enters the log by an index of its own, newest first, so that none has to pass over what only another looks for."""
        where, wanted = _conditions(asked)
        before = place(cursor)
        if before is not None:
            where.append("audit_id < :before")
        piece = "SELECT * FROM (SELECT * FROM audit {} ORDER BY {}audit_id DESC LIMIT :most)"
        pieces = []
        for part in parts:
            words = [part, *where] if part else where
            by_action = (
                "+" if part is _SHARED else ""
            )  # what is shared is a small part of the log: it is gathered, not looked for row by row
            pieces.append(piece.format(f"WHERE {' AND '.join(words)}" if words else "", by_action))
        sql = f"{' UNION '.join(pieces)} ORDER BY audit_id DESC LIMIT :most" if len(pieces) > 1 else pieces[0]
        rows = self.store.readers.all(sql, {**given, **wanted, "before": before, "most": check_limit(limit) + 1})
        items = tuple(map(_row, rows[:limit]))
        return Page(items, str(items[-1].audit_id) if len(rows) > limit else None)


_OWN = "user_id = :me"
_ABOUT_ME = "object_kind = 'user' AND object_id = :me AND user_id IS NOT :me"
_MACHINE = "user_id IS NULL AND object_kind = 'account' AND object_id IN (SELECT account_id FROM accounts WHERE user_id = :me)"
_SHARED = "(" + " OR ".join(f"(action >= '{name}' AND action < '{name}/')" for name in SHARED) + ")"
"""Ranges of the index of actions: "user" and all that begins with "user." ("/" is what comes behind ".")."""


def _conditions(asked: AuditFilter) -> tuple[list[str], dict[str, Any]]:
    equal = {
        "action": asked.action,
        "object_kind": asked.object_kind,
        "object_id": asked.object_id,
        "user_id": asked.actor,
        "via": asked.via,
    }
    given: dict[str, Any] = {name: value for name, value in equal.items() if value is not None}
    where = [f"{name} = :{name}" for name in given]
    if asked.since is not None:
        where.append("at >= :since")
        given["since"] = micros(asked.since)
    if asked.until is not None:
        where.append("at < :until")
        given["until"] = micros(asked.until)
    if asked.q:
        where.append("instr(lower(action || ' ' || object_id || ' ' || coalesce(before, '') || ' ' || coalesce(after, '')), :q) > 0")
        given["q"] = asked.q.lower()
    return where, given


def _row(row: sqlite3.Row) -> AuditRow:
    return AuditRow(
        audit_id=row["audit_id"],
        at=seconds(row["at"]),
        user_id=row["user_id"],
        via=row["via"],
        ip=row["ip"],
        action=row["action"],
        object_kind=row["object_kind"],
        object_id=row["object_id"],
        before=mapping_or_none(row["before"]),
        after=mapping_or_none(row["after"]),
    )
