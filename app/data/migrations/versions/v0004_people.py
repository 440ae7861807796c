"""People and messages: codes, sign-ins, the second factor, sharing, consents, the outbox, and the chain of the audit log."""

import hashlib
import json

from alembic import op
from sqlalchemy import Connection

revision = "0004"
down_revision = "0003"

STEPS = (
    "ALTER TABLE users ADD COLUMN totp BLOB",
    "ALTER TABLE users ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE idempotency ADD COLUMN sealed BLOB",
    "DELETE FROM idempotency WHERE route IN ('POST /api/tokens', 'POST /api/webhooks')",  # their answers show a secret, kept in clear until now
    """CREATE TABLE markets ( -- whether an instrument had real prices last: what paper holds of it was bought at such prices
        symbol TEXT PRIMARY KEY,
        live INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE recovery_codes ( -- of the second factor, each good once
        user_id TEXT NOT NULL REFERENCES users (user_id),
        code_hash TEXT NOT NULL,
        used_at INTEGER,
        PRIMARY KEY (user_id, code_hash)
    ) WITHOUT ROWID""",
    """CREATE TABLE sign_ins ( -- browsers that are or were signed in
        sign_in_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        ip TEXT NOT NULL,
        agent TEXT NOT NULL,
        ended_at INTEGER
    ) WITHOUT ROWID""",
    "CREATE INDEX sign_ins_user ON sign_ins (user_id, created_at)",
    """CREATE TABLE codes ( -- one-time codes and links that were sent to somebody
        code_id TEXT PRIMARY KEY,
        purpose TEXT NOT NULL, -- sign_up | invite | reset
        email TEXT NOT NULL,
        email_key TEXT NOT NULL, -- case-folded
        user_id TEXT, -- whose password it resets
        body TEXT NOT NULL DEFAULT '{}', -- JSON: name, role, who invited
        secret_hash TEXT NOT NULL,
        sealed BLOB NOT NULL, -- encrypted: shown to the owner where no mail can be sent
        tries INTEGER NOT NULL DEFAULT 0,
        sends INTEGER NOT NULL DEFAULT 1,
        sent_at INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        used_at INTEGER
    ) WITHOUT ROWID""",
    "CREATE INDEX codes_email ON codes (email_key, purpose)",
    """CREATE TABLE strategy_shares ( -- who else may map a strategy to accounts of theirs
        strategy_id TEXT NOT NULL REFERENCES strategies (strategy_id) ON DELETE CASCADE,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        shared_at INTEGER NOT NULL,
        PRIMARY KEY (strategy_id, user_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX strategy_shares_user ON strategy_shares (user_id)",
    """CREATE TABLE shares_ended ( -- what somebody may go on calling a strategy that was shared with them
        user_id TEXT NOT NULL REFERENCES users (user_id),
        strategy_id TEXT NOT NULL,
        name TEXT NOT NULL, -- as it was called when the share ended
        ended_at INTEGER NOT NULL,
        PRIMARY KEY (user_id, strategy_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE consents ( -- that somebody agreed to their account being traded in a group; never deleted
        consent_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id), -- who keeps the record
        group_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        holder TEXT NOT NULL, -- who agreed
        relation TEXT NOT NULL,
        scope TEXT NOT NULL, -- signals | manage
        note TEXT NOT NULL,
        given_at INTEGER NOT NULL,
        until INTEGER,
        revoked_at INTEGER,
        revoked_by TEXT
    ) WITHOUT ROWID""",
    "CREATE INDEX consents_user ON consents (user_id, group_id)",
    "CREATE INDEX consents_account ON consents (account_id)",
    """CREATE TABLE destinations ( -- where a person wants to be told
        destination_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (user_id),
        channel TEXT NOT NULL, -- discord | telegram | email
        name TEXT NOT NULL,
        sealed BLOB NOT NULL, -- encrypted JSON: webhook address, bot token, chat, e-mail address
        shown TEXT NOT NULL, -- JSON, masked
        events TEXT NOT NULL, -- JSON list
        quiet TEXT, -- JSON: from, to, time zone
        enabled INTEGER NOT NULL DEFAULT 1,
        state TEXT NOT NULL DEFAULT 'ok', -- ok | paused | refused
        state_detail TEXT NOT NULL DEFAULT '',
        failures INTEGER NOT NULL DEFAULT 0, -- in a row
        not_before INTEGER NOT NULL DEFAULT 0,
        last_sent_at INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX destinations_user ON destinations (user_id)",
    """CREATE TABLE messages ( -- what somebody is to be told of: written in the transaction of the fact itself
        message_id INTEGER PRIMARY KEY,
        dedupe TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        user_id TEXT NOT NULL, -- '' for everybody (a stop of the whole system), '@' for the owners (the machine)
        account_id TEXT,
        ref TEXT NOT NULL, -- the order, signal, halt or incident it is about
        at INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'new', -- new | told | dropped
        body TEXT -- JSON: what is said, frozen when it is told
    )""",
    "CREATE INDEX messages_new ON messages (message_id) WHERE state = 'new'",
    "CREATE INDEX messages_user ON messages (user_id, message_id)",
    "CREATE INDEX messages_rare ON messages (user_id, kind, message_id) WHERE kind NOT IN ('order', 'signal')",
    """CREATE TABLE deliveries ( -- one message on its way to one destination
        delivery_id INTEGER PRIMARY KEY,
        message_id INTEGER NOT NULL,
        target TEXT NOT NULL, -- a destination's id, or mail:… for a mail to an address of its own
        user_id TEXT NOT NULL,
        sealed BLOB, -- encrypted: a mail with a secret in it; wiped when it has gone
        status TEXT NOT NULL DEFAULT 'pending', -- pending | sending | sent | dead | merged
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL,
        error TEXT NOT NULL DEFAULT '',
        provider_id TEXT NOT NULL DEFAULT '',
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        sent_at INTEGER,
        UNIQUE (message_id, target)
    )""",
    "CREATE INDEX plans_stopped ON plans (state) WHERE state = 'stopped'",
    "CREATE INDEX deliveries_due ON deliveries (target, delivery_id) WHERE status IN ('pending', 'sending')",
    "CREATE INDEX deliveries_user ON deliveries (user_id, delivery_id)",
    "CREATE INDEX deliveries_over ON deliveries (user_id, status, message_id) WHERE status IN ('dead', 'merged')",
    "CREATE INDEX deliveries_dead ON deliveries (user_id, message_id) WHERE status = 'dead'",
)
STAYS = "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END"


def upgrade() -> None:
    bind = op.get_bind()
    for step in STEPS:
        bind.exec_driver_sql(step)
    bind.exec_driver_sql("DROP TRIGGER audit_stays")
    _chain(bind)
    bind.exec_driver_sql(STAYS)


def _chain(bind: Connection) -> None:
    """Rows from before the chain get their links now: the log of today can be checked from its first row on."""
    before = ""
    names = "audit_id, at, user_id, via, ip, action, object_kind, object_id, before, after"
    for row in bind.exec_driver_sql(f"SELECT {names} FROM audit ORDER BY audit_id").fetchall():
        before = hashlib.sha256(json.dumps([before, *row], ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
        bind.exec_driver_sql("UPDATE audit SET hash = ? WHERE audit_id = ?", (before, row[0]))
