"""What people are told about their own safety: a sign-in from somewhere new, a second factor that was taken away.

Both go to their messages and, where mail can be sent, to the address that they sign in with, whatever they chose to be told: nobody who got in can
switch it off. Nothing is sent here; rows are written in the transaction of what happened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

from app.auth.browsers import in_words
from app.data import Browser, User
from app.workspace import Workspace

MAIL_LASTS = 24 * 3600.0  # seconds after which a mail that could not be sent is no news


def new_address(shop: Workspace, user: User) -> Callable[[sqlite3.Connection, Browser], None]:
    """For a sign-in from an address that this person never used before."""

    def tell(db: sqlite3.Connection, browser: Browser) -> None:
        at = datetime.fromtimestamp(browser.created_at, UTC).strftime("%-d %B %Y, %H:%M UTC")
        fields = {"ip": browser.ip, "agent": in_words(browser.agent), "at": at}
        _tell(shop, db, user, "new_sign_in", browser.sign_in_id, browser.sign_in_id, fields)

    return tell


def factor_cleared(shop: Workspace, person: User) -> Callable[[sqlite3.Connection], None]:
    """For a second factor that an owner took away: it may have been asked for by somebody else."""
    name = shop.ids.new()
    return lambda db: _tell(shop, db, person, "second_factor_cleared", person.user_id, name, {})


def _tell(shop: Workspace, db: sqlite3.Connection, user: User, kind: str, ref: str, name: str, fields: dict[str, str]) -> None:
    outbox, dedupe = shop.data.outbox, f"{kind}:{name}"
    outbox.tell(db, kind, dedupe=dedupe, user_id=user.user_id, ref=ref, fields=fields or None)
    if shop.settings.mail_ready:
        until = shop.clock.now() + MAIL_LASTS
        outbox.mail(db, to=user.email, kind=kind, fields=fields, dedupe=dedupe, expires_at=until, user_id=user.user_id)
