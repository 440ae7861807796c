"""Changes the key that everything secret at rest is encrypted with: broker credentials and sessions, second factors, codes, destinations, mails.

Killed at any point, and run again, it goes on where it was, and nothing is unreadable meanwhile: the new key is durably in front of the old one
before the first value is sealed with it, and the old one leaves when no value needs it. How far it is, is told by the keys and the values themselves.
It must be the only one that writes: a server that runs on the old key would go on sealing with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.data.credentials import CredentialBox, new_key, open_box, write_private
from app.data.database import Readers
from app.data.errors import DataError
from app.data.rows import Actor
from app.data.store import Store, write_audit

SEALED: tuple[tuple[str, str, str], ...] = (
    ("accounts", "account_id", "credentials"),
    ("broker_sessions", "account_id", "sealed"),
    ("users", "user_id", "totp"),
    ("codes", "code_id", "sealed"),
    ("destinations", "destination_id", "sealed"),
    ("deliveries", "delivery_id", "sealed"),
    ("idempotency", "user_id || ' ' || route || ' ' || key", "sealed"),
)
"""Table, its key, the column that is encrypted: every BLOB of the schema."""
BATCH = 50


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was done. `resealed`: table → values, in this run; `unreadable`: "table id" of what no key opens, left as it was."""

    resealed: dict[str, int]
    unreadable: tuple[str, ...]
    from_environment: bool
    resumed: bool


def _nothing(_step: str) -> None:
    return None


def rotate(
    store: Store, key_file: Path, configured: str | None, fingerprint: str, by: Actor, *, step: Callable[[str], None] = _nothing
) -> Rotated:
    """`fingerprint`: of the key that the database says it is encrypted with. `step` is told before and after each thing that lasts.

    Raises DataError when there is nothing to change to (CREDENTIAL_KEYS with one key, which is the present one), or the keys do not fit."""
    box = open_box(key_file, configured, may_make=False)
    box.check(fingerprint)
    resumed = len(box) > 1
    if configured:
        if box.fingerprint() == fingerprint and len(box) == 1:
            raise DataError("CREDENTIAL_KEYS holds only the present key: put a new one in front (`keys new` makes one), then rotate again")
    elif not resumed:
        step("before the new key")
        old = key_file.read_text(encoding="utf-8").strip()
        write_private(key_file, f"{new_key()}\n{old}\n")
        box = open_box(key_file, None, may_make=False)
        step("the new key is in front")
    resealed, unreadable = _reseal(store, box, step)
    before, after = fingerprint[:12], box.fingerprint()[:12]
    counts = {table: count for table, count in resealed.items() if count}

    def work(db: sqlite3.Connection) -> None:
        if before == after and not counts:  # only the last step was missing
            return
        db.execute("UPDATE meta SET value = ? WHERE name = 'key_fingerprint'", (box.fingerprint(),))
        write_audit(db, store.now(), by, "keys.rotated", "keys", "", {"key": before}, {"key": after, "resealed": counts})

    step("before the fingerprint")
    store.journal.run(work)
    step("the fingerprint is the new one")
    if not configured:
        newest = key_file.read_text(encoding="utf-8").split()[0]
        write_private(key_file, f"{newest}\n")
        step("the old key is gone")
    return Rotated(resealed, tuple(unreadable), bool(configured), resumed)


def _reseal(store: Store, box: CredentialBox, step: Callable[[str], None]) -> tuple[dict[str, int], list[str]]:
    """Every value that is not sealed with the newest key, in small transactions; what is overwritten is wiped from the file."""
    store.journal.run(lambda db: db.execute("PRAGMA secure_delete = ON").fetchone())
    counts: dict[str, int] = {}
    unreadable: list[str] = []
    for table, key, column in SEALED:
        counts[table] = 0
        place: object = None
        while True:
            done, bad, place = store.journal.run(partial(_batch, box=box, where=(table, key, column), after=place))
            counts[table] += done
            unreadable += [f"{table} {each}" for each in bad]
            if place is None:
                break
            step(f"a piece of {table}")
    return counts, unreadable


def _batch(db: sqlite3.Connection, box: CredentialBox, where: tuple[str, str, str], after: object) -> tuple[int, list[object], object]:
    """How many were sealed anew, the keys of those that cannot be opened, and the key behind which to go on (None at the end)."""
    table, key, column = where
    seek = "" if after is None else f"AND {key} > ?"
    sql = f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL {seek} ORDER BY {key} LIMIT {BATCH}"
    rows = db.execute(sql, () if after is None else (after,)).fetchall()
    done, bad = 0, []
    for row in rows:
        try:
            sealed = box.resealed(row[1])
        except DataError:
            bad.append(row[0])
            continue
        if sealed is not None:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (sealed, row[0]))
            done += 1
    return done, bad, rows[-1][0] if len(rows) == BATCH else None


def unreadable(readers: Readers, box: CredentialBox) -> tuple[str, ...]:
    """Places ("table id") of what no key of this box opens."""
    found = []
    with readers.use() as db:
        for table, key, column in SEALED:
            for row in db.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL"):
                try:
                    box.open(row[1])
                except DataError:
                    found.append(f"{table} {row[0]}")
    return tuple(found)
