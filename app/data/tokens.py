"""API tokens and web hooks: what programs show instead of a password. Only hashes are stored; the secret is told once."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.data.errors import Invalid
from app.data.people import People, digest, token_row, webhook_row
from app.data.rows import Actor, ApiToken, User, Webhook
from app.data.store import Store, found
from app.data.values import micros, micros_or_none, to_json
from engines.core.model import Timestamp

LAST_USE_EVERY = 60.0  # seconds between two writes of when a token was last used


@dataclass(frozen=True, slots=True)
class _LastUse:
    """Notes when something was used, at most once a minute for each, without making the user wait."""

    store: Store
    sql: str
    noted: dict[str, Timestamp] = field(default_factory=dict)

    def note(self, object_id: str) -> None:
        now = self.store.clock.now()
        if now - self.noted.get(object_id, 0.0) >= LAST_USE_EVERY:
            self.noted[object_id] = now
            self.store.journal.post(lambda db: db.execute(self.sql, (micros(now), object_id)))


class Tokens:
    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people
        self._last_use = _LastUse(store, "UPDATE tokens SET last_used_at = ? WHERE token_id = ?")

    def create(
        self, user_id: str, name: str, *, scope: str = "full", expires_at: Timestamp | None = None, by: Actor
    ) -> tuple[ApiToken, str]:
        """The token's row and the token itself. Scope "read" lets its holder look only, whatever the user may do."""
        if scope not in ("full", "read"):
            raise Invalid.field("scope", "must be full or read")
        if not name.strip():
            raise Invalid.field("name", "must not be empty")
        prefix, secret, token_id = "tdm" + secrets.token_hex(5), secrets.token_urlsafe(32), self._store.ids.new()

        def work(db: sqlite3.Connection) -> ApiToken:
            found(db.execute("SELECT 1 FROM users WHERE user_id = ?", (user_id,)).fetchone(), "user")
            db.execute(
                "INSERT INTO tokens (token_id, user_id, name, prefix, secret_hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (token_id, user_id, name.strip(), prefix, digest(secret), scope, self._store.now(), micros_or_none(expires_at)),
            )
            made = token_row(db.execute("SELECT * FROM tokens WHERE token_id = ?", (token_id,)).fetchone())
            self._store.audit(db, by, "token.created", token_id, after=made)
            return made

        return self._store.write(work), f"{prefix}.{secret}"

    def authenticate(self, token: str) -> User | None:
        """Whom the token stands for. Answered from memory; a holder of a "read" token comes as a viewer."""
        known = self._people.token(token)
        if known is None:
            return None
        row, user = known
        self._last_use.note(row.token_id)
        return user

    def list(self, user_id: str) -> tuple[ApiToken, ...]:
        rows = self._store.readers.all("SELECT * FROM tokens WHERE user_id = ? ORDER BY created_at DESC, token_id DESC", (user_id,))
        return tuple(map(token_row, rows))

    def revoke(self, user_id: str, token_id: str, *, by: Actor) -> None:
        def work(db: sqlite3.Connection) -> None:
            row = found(db.execute("SELECT * FROM tokens WHERE token_id = ? AND user_id = ?", (token_id, user_id)).fetchone(), "token")
            db.execute("DELETE FROM tokens WHERE token_id = ?", (token_id,))
            self._store.audit(db, by, "token.revoked", token_id, before=token_row(row))

        self._store.write(work)


class Webhooks:
    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people
        self._last_use = _LastUse(store, "UPDATE webhooks SET last_used_at = ? WHERE webhook_id = ?")

    def create(
        self, user_id: str, name: str, *, strategy_id: str | None = None, account_ids: Sequence[str] = (), by: Actor
    ) -> tuple[Webhook, str]:
        """The row and the secret of its address. It serves a strategy's mappings or fixed accounts, never both; all must be the user's."""
        if (strategy_id is None) == (not account_ids):
            raise Invalid.field("strategy_id", "name either a strategy or accounts")
        if not name.strip():
            raise Invalid.field("name", "must not be empty")
        secret, webhook_id = secrets.token_urlsafe(32), self._store.ids.new()

        def work(db: sqlite3.Connection) -> Webhook:
            found(db.execute("SELECT 1 FROM users WHERE user_id = ?", (user_id,)).fetchone(), "user")
            if strategy_id is not None:
                sql = "SELECT 1 FROM strategies WHERE strategy_id = ? AND user_id = ? AND archived_at IS NULL"
                found(db.execute(sql, (strategy_id, user_id)).fetchone(), "strategy")
            for account_id in account_ids:
                sql = "SELECT 1 FROM accounts WHERE account_id = ? AND user_id = ? AND archived_at IS NULL"
                found(db.execute(sql, (account_id, user_id)).fetchone(), "account")
            db.execute(
                "INSERT INTO webhooks (webhook_id, user_id, name, secret_hash, strategy_id, account_ids, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (webhook_id, user_id, name.strip(), digest(secret), strategy_id, to_json(list(account_ids)), self._store.now()),
            )
            made = webhook_row(db.execute("SELECT * FROM webhooks WHERE webhook_id = ?", (webhook_id,)).fetchone())
            self._store.audit(db, by, "webhook.created", webhook_id, after=made)
            return made

        return self._store.write(work), secret

    def find(self, secret: str) -> Webhook | None:
        """Answered from memory; None also when its user is switched off."""
        webhook = self._people.webhook(secret)
        if webhook is not None:
            self._last_use.note(webhook.webhook_id)
        return webhook

    def list(self, user_id: str) -> tuple[Webhook, ...]:
        rows = self._store.readers.all("SELECT * FROM webhooks WHERE user_id = ? ORDER BY created_at DESC, webhook_id DESC", (user_id,))
        return tuple(map(webhook_row, rows))

    def delete(self, user_id: str, webhook_id: str, *, by: Actor) -> None:
        def work(db: sqlite3.Connection) -> None:
            row = found(
                db.execute("SELECT * FROM webhooks WHERE webhook_id = ? AND user_id = ?", (webhook_id, user_id)).fetchone(), "web hook"
            )
            db.execute("DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,))
            self._store.audit(db, by, "webhook.deleted", webhook_id, before=webhook_row(row))

        self._store.write(work)
