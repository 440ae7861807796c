"""Sign-ins at brokers, kept encrypted so that a restart need not sign in again, and what the automated log-in did last.

Writes go through the journal's writer and do not count as a change of configuration: an account whose session is renewed is not read anew.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from app.data.credentials import CredentialBox
from app.data.errors import DataError
from app.data.rows import SignIn
from app.data.store import Store
from app.data.values import micros, micros_or_none, seconds, seconds_or_none
from engines.login.memory import AutoLogin
from engines.ports import Session

log = logging.getLogger("tandem.data")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SqliteSessions:
    """Implements engines.ports.Sessions."""

    store: Store
    box: CredentialBox

    def load(self, account_id: str) -> Session | None:
        """None also for one that was encrypted with a key that is gone: signing in again repairs that."""
        row = self.store.readers.one("SELECT * FROM broker_sessions WHERE account_id = ?", (account_id,))
        if row is None:
            return None
        try:
            tokens = self.box.open(row["sealed"])
        except DataError as error:
            log.warning("a stored broker session cannot be used: %s", error)
            return None
        return Session(row["user_id"], tokens, seconds(row["started_at"]), seconds_or_none(row["expires_at"]))

    def save(self, account_id: str, session: Session) -> None:
        """In place of the one before. For an account that has gone meanwhile nothing is kept. Raises JournalDown."""
        row = (self.box.seal(session.tokens), session.user_id, micros(session.started_at), micros_or_none(session.expires_at))

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO broker_sessions (account_id, sealed, user_id, started_at, expires_at)"
                " SELECT account_id, ?, ?, ?, ? FROM accounts WHERE account_id = ? AND archived_at IS NULL",
                (*row, account_id),
            )

        self.store.journal.run(work)

    def clear(self, account_id: str) -> None:
        self.store.journal.run(lambda db: db.execute("DELETE FROM broker_sessions WHERE account_id = ?", (account_id,)))

    def forgive(self, account_id: str) -> None:
        """A person has acted: a refusal that is kept in the place of a session does not stop the next try."""
        kept = self.load(account_id)
        if kept is not None and "refused" in kept.tokens:
            self.clear(account_id)

    def sign_ins(self) -> Mapping[str, SignIn]:
        """account_id → what may be shown of its session."""
        rows = self.store.readers.all("SELECT account_id, user_id, started_at, expires_at FROM broker_sessions")
        return {
            row["account_id"]: SignIn(row["account_id"], row["user_id"], seconds(row["started_at"]), seconds_or_none(row["expires_at"]))
            for row in rows
        }


@dataclass(frozen=True, slots=True)
class AutoLogins:
    """The memory of the automated log-in: it outlives a restart, so that neither the day's turn nor a failure is forgotten."""

    store: Store

    def get(self, account_id: str) -> AutoLogin:
        row = self.store.readers.one("SELECT * FROM auto_logins WHERE account_id = ?", (account_id,))
        return AutoLogin(account_id) if row is None else _auto_login(row)

    def all(self) -> Mapping[str, AutoLogin]:
        """By account, of those that have ever tried."""
        return {row["account_id"]: _auto_login(row) for row in self.store.readers.all("SELECT * FROM auto_logins")}

    def save(self, told: AutoLogin) -> None:
        """For an account that has gone meanwhile nothing is kept. Raises JournalDown."""
        row = (told.day, micros(told.at), told.failures, told.reason, told.message)

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO auto_logins (account_id, day, at, failures, reason, message)"
                " SELECT account_id, ?, ?, ?, ?, ? FROM accounts WHERE account_id = ? AND archived_at IS NULL",
                (*row, told.account_id),
            )

        self.store.journal.run(work)

    def forgive(self, account_id: str) -> None:
        """A person has acted: failures count anew."""
        self.store.journal.run(
            lambda db: db.execute("UPDATE auto_logins SET failures = 0, reason = '', message = '' WHERE account_id = ?", (account_id,))
        )


def _auto_login(row: sqlite3.Row) -> AutoLogin:
    return AutoLogin(row["account_id"], row["day"], seconds(row["at"]), row["failures"], row["reason"], row["message"])
