"""One-time codes and links: six digits for a sign-up, links for invitations and forgotten passwords. Each is good once, and not for long.

What was sent is kept as a keyed hash, and sealed for the owner of a workspace that cannot send mail. What each kind is good for is the business of
`sign_ups`, `invites` and `resets`, which stand on this.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.data.credentials import CredentialBox
from app.data.mailboxes import BY_EMAIL, email_key, email_keys
from app.data.outbox import Outbox
from app.data.rows import User, UserRole
from app.data.store import Store, found
from app.data.users import Users, insert_user, one_user
from app.data.values import from_json, micros, seconds, to_json
from engines.core.model import Timestamp
from engines.ports import TandemError

TRIES = 5
RESEND_AFTER = 60.0
HOUR = 3600.0
PER_HOUR = 5  # codes or links of one purpose to one address
KEPT = 24 * HOUR  # after its end, so that the owner still sees that there was one


class Purpose(StrEnum):
    SIGN_UP = "sign_up"
    INVITE = "invite"
    RESET = "reset"


LASTS: Mapping[Purpose, float] = {Purpose.SIGN_UP: 600.0, Purpose.INVITE: 72 * HOUR, Purpose.RESET: HOUR}
"""Seconds for which each is good."""


class TooSoon(TandemError):
    """One was sent a moment ago, or too many this hour; `after` seconds it may be asked again."""

    def __init__(self, after: float) -> None:
        super().__init__("this address was sent a code or link too often")
        self.after = after


@dataclass(frozen=True, slots=True)
class Post:
    """How people are reached: the address that links begin with, and whether mail can be sent at all."""

    base_url: str
    mail: bool


@dataclass(frozen=True, slots=True)
class Code:
    """One code or link, without what is secret of it. `user_id`: who has this address already; `by`: who invited."""

    code_id: str
    purpose: Purpose
    email: str
    name: str
    role: UserRole | None
    user_id: str | None
    by: str | None
    sends: int
    sent_at: Timestamp
    created_at: Timestamp
    expires_at: Timestamp


@dataclass(frozen=True, slots=True)
class Pending:
    """What the owner passes on where no mail is sent: a code, or the path of a link. None: the address has an account, so there is no code."""

    code: Code
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Codes:
    store: Store
    box: CredentialBox
    users: Users
    outbox: Outbox
    key: Callable[[], bytes] = field(repr=False)
    """What the hashes are keyed with: whoever has the database alone cannot try out a million codes."""

    # --- links ------------------------------------------------------------------------------------------------------------------

    def look(self, purpose: Purpose, token: str) -> Code | None:
        """What this link is for, while it is good. Looking uses nothing up."""
        with self.store.readers.use() as db:
            row = self.by_token(db, purpose, token)
        return None if row is None else code_of(row)

    def pending(self) -> tuple[Pending, ...]:
        """All that is good now, with what was not mailed: for an owner, where no mail can be sent."""
        sql = "SELECT * FROM codes WHERE used_at IS NULL AND expires_at > ? AND tries < ? ORDER BY created_at DESC, code_id"
        rows = self.store.readers.all(sql, (self.store.now(), TRIES))
        told = []
        for row in rows:
            if row["purpose"] == Purpose.RESET and row["user_id"] is None:
                continue  # nobody has this address
            known = row["purpose"] == Purpose.SIGN_UP and row["user_id"] is not None
            told.append(Pending(code_of(row), None if known else self.box.open(row["sealed"])["secret"]))
        return tuple(told)

    def by_token(self, db: sqlite3.Connection, purpose: Purpose, token: str) -> sqlite3.Row | None:
        """The row of a link that is good: of an active person, or from an inviter who still is an owner."""
        row = self.open(db, "purpose = ? AND secret_hash = ?", (purpose, self.hash(purpose, token)))
        if row is None:
            return None
        if purpose is Purpose.RESET:
            stands = db.execute("SELECT 1 FROM users WHERE user_id = ? AND active", (row["user_id"],)).fetchone()
        else:
            stands = db.execute("SELECT 1 FROM users WHERE user_id = ? AND active AND role = 'owner'", (body_of(row)["by"],)).fetchone()
        return row if stands else None

    # --- rows -------------------------------------------------------------------------------------------------------------------

    def open(self, db: sqlite3.Connection, where: str, given: tuple[Any, ...]) -> sqlite3.Row | None:
        """One that is still good, by a condition of ours."""
        sql = f"SELECT * FROM codes WHERE {where} AND used_at IS NULL AND expires_at > ?"
        row: sqlite3.Row | None = db.execute(sql, (*given, self.store.now())).fetchone()
        return row

    def insert(
        self,
        db: sqlite3.Connection,
        code_id: str,
        purpose: Purpose,
        email: str,
        body: Mapping[str, Any],
        secret: str,
        sealed: bytes,
        user_id: str | None,
    ) -> None:
        """A new one; `sealed` is of `seal`. What was over a day ago goes."""
        now = self.store.now()
        db.execute("DELETE FROM codes WHERE expires_at <= ?", (now - micros(KEPT),))
        hashed = self.hash(code_id if purpose is Purpose.SIGN_UP else purpose, secret)
        db.execute(
            "INSERT INTO codes (code_id, purpose, email, email_key, user_id, body, secret_hash, sealed, sent_at, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                code_id,
                purpose,
                email,
                email_key(email),
                user_id,
                to_json(dict(body)),
                hashed,
                sealed,
                now,
                now,
                now + micros(LASTS[purpose]),
            ),
        )

    def renew(self, db: sqlite3.Connection, row: sqlite3.Row, secret: str, sealed: bytes) -> None:
        """Another secret in place of the old one, good for as long as a new one."""
        purpose, now = Purpose(row["purpose"]), self.store.now()
        hashed = self.hash(row["code_id"] if purpose is Purpose.SIGN_UP else purpose, secret)
        db.execute(
            "UPDATE codes SET secret_hash = ?, sealed = ?, tries = 0, sends = sends + 1, sent_at = ?, expires_at = ? WHERE code_id = ?",
            (hashed, sealed, now, now + micros(LASTS[purpose]), row["code_id"]),
        )

    def join(self, db: sqlite3.Connection, row: sqlite3.Row, name: str, hashed: str, role: UserRole) -> User:
        """A new person in exchange for the code."""
        user_id = self.store.ids.new()
        insert_user(db, user_id, row["email"], name, role, hashed, self.store.now())
        db.execute("UPDATE codes SET used_at = ? WHERE code_id = ?", (self.store.now(), row["code_id"]))
        return one_user(db, user_id)

    def seal(self, shown: str) -> bytes:
        """What the owner passes on where no mail is sent: the code itself, or the path of the link. Never on the writer's thread, which has orders
        to write."""
        return self.box.seal({"secret": shown})

    def not_too_soon(self, db: sqlite3.Connection, email: str, purpose: Purpose) -> None:
        """TooSoon when this address was sent one within the minute, or five within the hour, by whichever way."""
        now = self.store.clock.now()
        sql = "SELECT max(sent_at) AS newest, min(created_at) AS oldest, sum(sends) AS sends FROM codes WHERE email_key = ? AND purpose = ? AND created_at > ?"
        row = db.execute(sql, (email_key(email), purpose, micros(now - HOUR))).fetchone()
        if row["sends"] is None:
            return
        wait = seconds(row["oldest"]) + HOUR - now if row["sends"] >= PER_HOUR else seconds(row["newest"]) + RESEND_AFTER - now
        if wait > 0:
            raise TooSoon(wait)

    def hash(self, kind: str, secret: str) -> str:
        """A code is hashed together with its id, so that equal codes differ; a link together with its purpose, so that none serves another."""
        return hmac.new(self.key(), f"{kind}|{secret.strip()}".encode(errors="replace"), "sha256").hexdigest()

    # --- mail -------------------------------------------------------------------------------------------------------------------

    def mail(self, db: sqlite3.Connection, dedupe: str, to: str, kind: str, fields: Mapping[str, Any], purpose: Purpose) -> None:
        until = self.store.clock.now() + LASTS[purpose]
        self.outbox.mail(db, to=to, kind=kind, fields=fields, dedupe=f"code:{dedupe}", expires_at=until)

    def mailed(self) -> None:
        """After the transaction: whoever sends mail need not look by itself."""
        self.outbox.wake()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def user_id_of(db: sqlite3.Connection, email: str) -> str | None:
    row = db.execute(BY_EMAIL, email_keys(email)).fetchone()
    return None if row is None else str(row["user_id"])


def row_of(db: sqlite3.Connection, code_id: str) -> sqlite3.Row:
    return found(db.execute("SELECT * FROM codes WHERE code_id = ?", (code_id,)).fetchone(), "invite")


def body_of(row: sqlite3.Row) -> dict[str, Any]:
    read: dict[str, Any] = from_json(row["body"])
    return read


def code_of(row: sqlite3.Row) -> Code:
    body = body_of(row)
    return Code(
        code_id=row["code_id"],
        purpose=Purpose(row["purpose"]),
        email=row["email"],
        name=body.get("name", ""),
        role=UserRole(body["role"]) if "role" in body else None,
        user_id=row["user_id"],
        by=body.get("by"),
        sends=row["sends"],
        sent_at=seconds(row["sent_at"]),
        created_at=seconds(row["created_at"]),
        expires_at=seconds(row["expires_at"]),
    )
