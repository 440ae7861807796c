"""What every request asks, answered from memory: who owns this token, this web hook, this cookie.

The whole (small) set is read at once and thrown away when configuration changes, also when another process changed it.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.data.rows import ApiToken, User, UserRole, Webhook
from app.data.store import Store
from app.data.values import from_json, seconds, seconds_or_none


@dataclass(frozen=True, slots=True)
class _Everybody:
    users: Mapping[str, User]
    tokens: Mapping[str, tuple[ApiToken, str, User]]  # by prefix: the row, its hash, and whom it stands for
    webhooks: Mapping[str, Webhook]  # by hash


class People:
    """The cache behind Users.session, Tokens.authenticate and Webhooks.find."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._everybody: _Everybody | None = None
        self._age = 0
        store.changes.on_change(self.forget)

    def forget(self) -> None:
        self._age += 1
        self._everybody = None

    def user(self, user_id: str) -> User | None:
        found = self._all().users.get(user_id)
        if found is None and self._refreshed():
            found = self._all().users.get(user_id)
        return found

    def token(self, token: str) -> tuple[ApiToken, User] | None:
        """None for a token that is unknown, revoked or expired, or whose user is switched off."""
        prefix, dot, secret = token.partition(".")
        if not dot:
            return None
        known = self._all().tokens.get(prefix)
        if known is None and self._refreshed():
            known = self._all().tokens.get(prefix)
        if known is None:
            return None
        row, secret_hash, user = known
        if not hmac.compare_digest(digest(secret), secret_hash) or not user.active:
            return None
        if row.expires_at is not None and row.expires_at <= self._store.clock.now():
            return None
        return row, user

    def webhook(self, secret: str) -> Webhook | None:
        key = digest(secret)
        found = self._all().webhooks.get(key)
        if found is None and self._refreshed():
            found = self._all().webhooks.get(key)
        if found is not None:
            user = self._all().users.get(found.user_id)
            if user is None or not user.active:
                return None
        return found

    def _refreshed(self) -> bool:
        """Somebody is asked for whom we do not know: perhaps another process has just made them."""
        before = self._everybody
        self._store.changes.look()
        return self._everybody is not before

    def _all(self) -> _Everybody:
        everybody = self._everybody
        if everybody is None:
            age = self._age
            with self._store.readers.use() as db:
                everybody = _read(db)
            if age == self._age:  # else it was read too early to be kept
                self._everybody = everybody
        return everybody


def digest(secret: str) -> str:
    """Secrets of 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _read(db: sqlite3.Connection) -> _Everybody:
    db.execute("BEGIN")
    try:
        users = {row["user_id"]: user_row(row) for row in db.execute("SELECT * FROM users")}
        tokens = {
            row["prefix"]: (token_row(row), row["secret_hash"], _reduced(users[row["user_id"]], row["scope"]))
            for row in db.execute("SELECT * FROM tokens")
        }
        webhooks = {row["secret_hash"]: webhook_row(row) for row in db.execute("SELECT * FROM webhooks")}
    finally:
        db.execute("ROLLBACK")
    return _Everybody(users, tokens, webhooks)


def _reduced(user: User, scope: str) -> User:
    return user if scope == "full" else replace(user, role=UserRole.VIEWER)


def user_row(row: sqlite3.Row) -> User:
    return User(
        user_id=row["user_id"],
        email=row["email"],
        name=row["name"],
        role=UserRole(row["role"]),
        created_at=seconds(row["created_at"]),
        active=bool(row["active"]),
        session_epoch=row["session_epoch"],
        last_sign_in_at=seconds_or_none(row["last_sign_in_at"]),
    )


def token_row(row: sqlite3.Row) -> ApiToken:
    return ApiToken(
        token_id=row["token_id"],
        user_id=row["user_id"],
        name=row["name"],
        prefix=row["prefix"],
        scope=row["scope"],
        created_at=seconds(row["created_at"]),
        expires_at=seconds_or_none(row["expires_at"]),
        last_used_at=seconds_or_none(row["last_used_at"]),
    )


def webhook_row(row: sqlite3.Row) -> Webhook:
    return Webhook(
        webhook_id=row["webhook_id"],
        user_id=row["user_id"],
        name=row["name"],
        created_at=seconds(row["created_at"]),
        strategy_id=row["strategy_id"],
        account_ids=tuple(from_json(row["account_ids"])),
        last_used_at=seconds_or_none(row["last_used_at"]),
    )
