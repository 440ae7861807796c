"""What people are told about their own safety: a sign-in from somewhere new, a second factor that was taken away.

Both go to their messages and, where mail can be sent, to the address that they sign in with, whatever they chose to be told: nobody who got in can
switch it off. Only rows are written here, in the transaction of what happened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from app.data.outbox import Outbox
from engines.core.model import Timestamp

MAIL_LASTS = 24 * 3600.0  # seconds after which a mail that could not be sent is no news


def new_sign_in(
    db: sqlite3.Connection, outbox: Outbox, user_id: str, sign_in_id: str, *, ip: str, browser: str, at: Timestamp, mail: bool
) -> None:
    """From an address that this person never used before. `browser`: in words; `mail`: whether mail can be sent at all."""
    said = datetime.fromtimestamp(at, UTC).strftime("%-d %B %Y, %H:%M UTC")
    _tell(db, outbox, "new_sign_in", user_id, sign_in_id, {"ip": ip, "agent": browser, "at": said}, mail)


def second_factor_cleared(db: sqlite3.Connection, outbox: Outbox, user_id: str, *, mail: bool) -> None:
    """By somebody else: it may not have been asked for by this person."""
    _tell(db, outbox, "second_factor_cleared", user_id, outbox.store.ids.new(), {}, mail)


def _tell(db: sqlite3.Connection, outbox: Outbox, kind: str, user_id: str, ref: str, fields: Mapping[str, str], mail: bool) -> None:
    dedupe = f"{kind}:{ref}"
    outbox.tell(db, kind, dedupe=dedupe, user_id=user_id, ref=ref, fields=fields or None)
    if mail:
        (to,) = db.execute("SELECT email FROM users WHERE user_id = ?", (user_id,)).fetchone()
        until = outbox.store.clock.now() + MAIL_LASTS
        outbox.mail(db, to=to, kind=kind, fields=fields, dedupe=dedupe, expires_at=until, user_id=user_id)
