"""The browsers in which somebody is signed in: each has a row of its own, so that one of them can be signed out and the others stay.

Whether one is alive is answered from memory, because every request with a cookie asks. It never decides who may sign in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from app.data.notices import new_sign_in
from app.data.outbox import Outbox
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import micros, seconds
from engines.core.model import Timestamp

LASTS = 7 * 24 * 3600.0
"""Seconds after which a sign-in is over whatever happens; the cookie lives as long."""
KEPT = 400 * 24 * 3600.0
"""Seconds for which what is over is remembered: an address seen within them is not new."""
SEEN_EVERY = 60.0  # seconds between two writes of when somebody was last here
MOST_AGENT = 300


@dataclass(frozen=True, slots=True)
class Browser:
    """One sign-in that is not over. `agent` is what the browser says of itself, `ip` where it signed in from."""

    sign_in_id: str
    user_id: str
    created_at: Timestamp
    seen_at: Timestamp
    ip: str
    agent: str


class SignIns:
    """Whether a sign-in is alive is answered by the (small) set of all of them, read at once and thrown away when one begins or ends."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox
        self._alive: Mapping[str, Browser] | None = None
        self._age = 0
        self._noted: dict[str, Timestamp] = {}
        store.changes.on_change(self.forget)

    def forget(self) -> None:
        self._age += 1
        self._alive = None

    def begin(self, user_id: str, ip: str | None, agent: str | None, *, called: str = "", mail: bool = False) -> str:
        """The id that goes into the cookie: on disk when this returns. From an address that is new for this person it is told to them, in the same
        transaction, with the browser as it is `called` in words and by `mail` where that can be sent; their very first sign-in is not news."""
        now = self._store.clock.now()
        made = Browser(self._store.ids.new(), user_id, now, now, ip or "", _clean(agent or ""))

        def work(db: sqlite3.Connection) -> None:
            known = db.execute("SELECT max(ip = ?) AS here FROM sign_ins WHERE user_id = ?", (made.ip, user_id)).fetchone()["here"]
            db.execute("DELETE FROM sign_ins WHERE user_id = ? AND seen_at <= ?", (user_id, micros(now - KEPT)))
            db.execute(
                "INSERT INTO sign_ins (sign_in_id, user_id, created_at, seen_at, ip, agent) VALUES (?, ?, ?, ?, ?, ?)",
                (made.sign_in_id, user_id, micros(now), micros(now), made.ip, made.agent),
            )
            if known == 0:
                told = called or made.agent
                new_sign_in(db, self._outbox, user_id, made.sign_in_id, ip=made.ip, browser=told, at=now, mail=mail)

        self._store.journal.run(work)
        self.forget()
        return made.sign_in_id

    def alive(self, user_id: str, sign_in_id: str) -> bool:
        """Whether this sign-in of this person is not over. From memory."""
        browser = self._all().get(sign_in_id)
        return browser is not None and browser.user_id == user_id and self._store.clock.now() < browser.created_at + LASTS

    def seen(self, sign_in_id: str) -> None:
        """Somebody is here; noted at most once a minute, without waiting."""
        now = self._store.clock.now()
        if now - self._noted.get(sign_in_id, 0.0) < SEEN_EVERY:
            return
        if len(self._noted) > 10_000:
            self._noted = {}
        self._noted[sign_in_id] = now
        sql = "UPDATE sign_ins SET seen_at = ? WHERE sign_in_id = ? AND ended_at IS NULL"
        self._store.journal.post(lambda db: db.execute(sql, (micros(now), sign_in_id)))

    def list(self, user_id: str) -> tuple[Browser, ...]:
        """Those that are not over, the one last seen first."""
        sql = "SELECT * FROM sign_ins WHERE user_id = ? AND ended_at IS NULL AND created_at > ? ORDER BY seen_at DESC, created_at DESC, sign_in_id"
        return tuple(map(_browser, self._store.readers.all(sql, (user_id, self._over()))))

    def end(self, user_id: str, sign_in_id: str, *, by: Actor) -> None:
        """NotFound for one of somebody else, or one that is over."""

        def work(db: sqlite3.Connection) -> None:
            sql = "SELECT * FROM sign_ins WHERE sign_in_id = ? AND user_id = ? AND ended_at IS NULL AND created_at > ?"
            row = found(db.execute(sql, (sign_in_id, user_id, self._over())).fetchone(), "sign-in")
            db.execute("UPDATE sign_ins SET ended_at = ? WHERE sign_in_id = ?", (self._store.now(), sign_in_id))
            self._store.audit(db, by, "sign_in.ended", sign_in_id, before=_browser(row))

        self._store.write(work)

    def end_all(self, user_id: str, except_for: str | None = None, *, by: Actor) -> int:
        """How many ended: all of this person but, where it is named, the one that asks."""

        def work(db: sqlite3.Connection) -> int:
            ended = self.end_within(db, user_id, except_for)
            self._store.audit(db, by, "user.signed_out_everywhere", user_id, after={"ended": ended, "but_this_one": except_for is not None})
            return ended

        return self._store.write(work)

    def end_within(self, db: sqlite3.Connection, user_id: str, except_for: str | None = None) -> int:
        """As `end_all`, inside a transaction of whoever changes a password or switches a person off; they say so in their own audit row."""
        now = self._store.now()
        sql = "UPDATE sign_ins SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL AND sign_in_id <> ? AND created_at > ?"
        return db.execute(sql, (now, user_id, except_for or "", self._over())).rowcount

    def _over(self) -> int:
        return micros(self._store.clock.now() - LASTS)

    def _all(self) -> Mapping[str, Browser]:
        alive = self._alive
        if alive is None:
            age = self._age
            rows = self._store.readers.all("SELECT * FROM sign_ins WHERE ended_at IS NULL AND created_at > ?", (self._over(),))
            alive = {browser.sign_in_id: browser for browser in map(_browser, rows)}
            if age == self._age:  # else it was read too early to be kept
                self._alive = alive
        return alive


def _browser(row: sqlite3.Row) -> Browser:
    return Browser(row["sign_in_id"], row["user_id"], seconds(row["created_at"]), seconds(row["seen_at"]), row["ip"], row["agent"])


def _clean(agent: str) -> str:
    """What a browser says of itself is anything that somebody may send."""
    return "".join(letter if letter.isprintable() else " " for letter in agent)[:MOST_AGENT].strip()
