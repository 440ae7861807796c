"""Messages and mails that wait to be told: written in the transaction of the fact that they are about, taken up later by others.

Nothing here renders, sends or waits for a network. Moments are seconds, as everywhere in the rows that the data service hands out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.data.credentials import CredentialBox
from app.data.errors import Conflict
from app.data.paging import check_limit, place
from app.data.rows import Actor, Page
from app.data.store import Store, found
from app.data.values import from_json, micros, seconds, seconds_or_none, to_json
from engines.core.codec import dumps, from_plain
from engines.core.messages import Message
from engines.core.model import Timestamp

EVERYBODY = ""
OWNERS = "@"
AGAIN = 24 * 3600.0  # seconds that what is sent again by hand may wait
MOST_UNREAD = 100  # counted no further

TELL = "INSERT OR IGNORE INTO messages (dedupe, kind, user_id, account_id, ref, at, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_MAIL = (
    "INSERT OR IGNORE INTO deliveries (message_id, target, user_id, sealed, next_at, created_at, expires_at) VALUES (0, ?, ?, ?, ?, ?, ?)"
)
_SEND = (
    "INSERT OR IGNORE INTO deliveries (message_id, target, user_id, next_at, created_at, expires_at)"
    " SELECT ?, destination_id, user_id, ?, ?, ? FROM destinations WHERE destination_id = ? AND enabled"
)


_READ_UNTIL = (
    "SELECT created_at, coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE user_id = ?1 AND name = 'messages_read'), 0)"
    " FROM users WHERE user_id = ?1"
)
_READ = (
    "INSERT INTO settings (user_id, name, value) VALUES (?, 'messages_read', ?) ON CONFLICT (user_id, name)"
    " DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
)
_MANY = frozenset({"order", "signal"})
_RARE = "m.kind NOT IN ('order', 'signal')"
_OPEN = (
    "m.message_id IN (SELECT message_id FROM deliveries INDEXED BY deliveries_due WHERE status IN ('pending', 'sending') AND user_id = ?"
)
_OVER = "m.message_id IN (SELECT message_id FROM deliveries WHERE status IN ('dead', 'merged') AND user_id = ?"
_STANDS = {
    "sent": "EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = m.message_id AND +d.user_id = ? AND d.status = 'sent')",
    "pending": f"{_OPEN} AND status = 'pending')",
    "sending": f"{_OPEN} AND status = 'sending')",
    "dead": f"{_OVER} AND status = 'dead')",
    "merged": f"{_OVER} AND status = 'merged')",
}
"""What has a delivery of this kind to a person, each along an index that holds little else."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A fact that somebody is to be told of, not yet put into words. `user_id`: '' everybody, '@' the owners."""

    message_id: int
    dedupe: str
    kind: str
    user_id: str
    account_id: str | None
    ref: str
    at: Timestamp
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Send:
    """To which destination a message goes, not before and not after when."""

    destination_id: str
    not_before: Timestamp
    expires_at: Timestamp


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One message on its way to one destination of a person. `channel` and `name` are '' once the destination is gone."""

    delivery_id: int
    message_id: int
    destination_id: str
    channel: str
    name: str
    status: str  # pending | sending | sent | dead | merged
    attempts: int
    next_at: Timestamp
    error: str
    provider_id: str
    created_at: Timestamp
    expires_at: Timestamp
    sent_at: Timestamp | None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as one person sees it: what it says (None until it is put into words) and its ways to that person."""

    message_id: int
    kind: str
    account_id: str | None
    ref: str
    at: Timestamp
    state: str  # new | told | dropped
    message: Message | None
    deliveries: tuple[DeliveryRow, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the outbox stands, for health and metrics."""

    new: int
    pending: int
    sending: int
    dead: int
    oldest_age: float  # seconds that the oldest delivery which is due has waited; 0 when none is


@dataclass(frozen=True, slots=True)
class Outbox:
    store: Store
    box: CredentialBox
    _listeners: list[Callable[[], None]] = field(default_factory=list)
    _watchers: list[Callable[[str], None]] = field(default_factory=list)

    # --- in the transaction of a fact ---------------------------------------------------------------------------------

    def tell(
        self,
        db: sqlite3.Connection,
        kind: str,
        *,
        dedupe: str,
        user_id: str,
        ref: str,
        account_id: str | None = None,
        at: Timestamp | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> bool:
        """One more message, inside the caller's transaction; False when there was one of this `dedupe` already. `fields` are kept with it for
        whoever puts it into words: what cannot be looked up later. Nothing secret may be among them."""
        row = (dedupe, kind, user_id, account_id, ref, _moment(self.store, at), to_json(dict(fields)) if fields else None)
        return db.execute(TELL, row).rowcount == 1

    def mail(
        self,
        db: sqlite3.Connection,
        *,
        to: str,
        kind: str,
        fields: Mapping[str, Any],
        dedupe: str,
        expires_at: Timestamp,
        user_id: str = "",
    ) -> bool:
        """A mail with a secret, inside the caller's transaction; False when there was one of this `dedupe` already (which must not hold the
        secret). It is encrypted until it has gone and given up at `expires_at`. Ask `Settings.mail_ready` before: what nobody can send
        would only wait."""
        from engines.notify.mails import check

        text = {name: str(value) for name, value in fields.items()}
        check(kind, text)
        sealed = self.box.seal({"to": to, "kind": kind, **{f"field.{name}": value for name, value in text.items()}})
        now = self.store.now()
        return db.execute(_MAIL, (f"mail:{dedupe}", user_id, sealed, now, now, _moment(self.store, expires_at))).rowcount == 1

    # --- for whoever puts messages into words ---------------------------------------------------------------------------

    def new(self, limit: int = 1000, *, after: int = 0) -> tuple[NewMessage, ...]:
        """In the order in which they were written."""
        sql = "SELECT * FROM messages WHERE state = 'new' AND message_id > ? ORDER BY message_id LIMIT ?"
        return tuple(_new(row) for row in self.store.readers.all(sql, (after, limit)))

    def newest(self) -> int:
        """The number of the message that was written down last; 0 before the first."""
        row = self.store.readers.one("SELECT coalesce(max(message_id), 0) FROM messages")
        return 0 if row is None else int(row[0])

    def told(self, told: Sequence[tuple[Message, Sequence[Send]]], dropped: Sequence[int] = ()) -> int:
        """Freezes messages (by their message_id) and puts them on their ways, in one transaction; how many deliveries came of it. What was told
        or dropped before is left as it is, and a destination that is gone or switched off gets nothing."""
        rows = [(dumps(message), message.message_id, sends) for message, sends in told]

        def work(db: sqlite3.Connection) -> tuple[int, set[str]]:
            now, count, whose = self.store.now(), 0, set[str]()
            for body, message_id, sends in rows:
                frozen = "UPDATE messages SET state = 'told', body = ? WHERE message_id = ? AND state = 'new' RETURNING user_id"
                if (row := db.execute(frozen, (body, message_id)).fetchone()) is not None:
                    whose.add(row[0])
                    for send in sends:
                        at = max(now, micros(send.not_before))
                        count += db.execute(_SEND, (message_id, at, now, micros(send.expires_at), send.destination_id)).rowcount
            gone = "UPDATE messages SET state = 'dropped', body = NULL WHERE message_id = ? AND state = 'new'"
            db.executemany(gone, [(message_id,) for message_id in dropped])
            return count, whose

        count, whose = self.store.journal.run(work)
        if count:
            self.wake()
        self._say(whose)
        return count

    def on_due(self, listener: Callable[[], None]) -> None:
        """Called after something was put on its way; must return at once."""
        self._listeners.append(listener)

    def wake(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    # --- for pages ----------------------------------------------------------------------------------------------------------

    def on_told(self, watcher: Callable[[str], None]) -> None:
        """Called with whose count of unread messages may be another now ('' everybody's, '@' the owners'); must return at once."""
        self._watchers.append(watcher)

    def _say(self, whose: Collection[str]) -> None:
        for user_id in sorted(whose):
            for watcher in tuple(self._watchers):
                watcher(user_id)

    def unread(self, user_id: str, *, audiences: Sequence[str] = (EVERYBODY,)) -> int:
        """How much this person was told since they came and since they read last. Every page asks, so it is 0 while the database cannot be
        read: the way to a stop must not depend on it."""
        try:
            joined, until = self._read_until(user_id)
            one = "SELECT * FROM (SELECT 1 FROM messages WHERE user_id = ? AND message_id > ? AND at >= ? AND state = 'told' LIMIT ?)"
            names = (user_id, *audiences)
            params = [value for name in names for value in (name, until, joined, MOST_UNREAD)]
            return min(len(self.store.readers.all(" UNION ALL ".join([one] * len(names)), params)), MOST_UNREAD)
        except sqlite3.Error:
            return 0

    def read(self, user_id: str, *, audiences: Sequence[str] = (EVERYBODY,)) -> bool:
        """All that this person was told until now is read; False when it was so already. No act of anybody, so it is not in the audit log."""
        one = "SELECT * FROM (SELECT message_id FROM messages WHERE user_id = ? AND state = 'told' ORDER BY message_id DESC LIMIT 1)"
        names = (user_id, *audiences)
        newest = max((row[0] for row in self.store.readers.all(" UNION ALL ".join([one] * len(names)), names)), default=0)
        if newest <= self._read_until(user_id)[1]:
            return False
        self.store.journal.run(lambda db: db.execute(_READ, (user_id, newest)))
        self._say([user_id])
        return True

    def _read_until(self, user_id: str) -> tuple[int, int]:
        """Since when there is this person, and the number of the newest message that they have read."""
        row = self.store.readers.one(_READ_UNTIL, (user_id,))
        return (row[0], row[1]) if row else (0, 0)

    def resend(self, user_id: str, delivery_id: int, *, by: Actor) -> None:
        """Try again what was given up, at once: it counts as put on its way now, so quiet hours that hold do not hold it back. NotFound for what is
        unknown, another's or a mail with a secret; Conflict for what has not failed."""

        def work(db: sqlite3.Connection) -> None:
            sql = "SELECT status, target FROM deliveries WHERE delivery_id = ? AND user_id = ? AND message_id > 0"
            row = found(db.execute(sql, (delivery_id, user_id)).fetchone(), "delivery")
            if row["status"] != "dead":
                raise Conflict("only what was given up can be sent again")
            found(db.execute("SELECT 1 FROM destinations WHERE destination_id = ?", (row["target"],)).fetchone(), "destination")
            now = self.store.now()
            again = "UPDATE deliveries SET status = 'pending', attempts = 0, created_at = ?, next_at = ?, expires_at = ?, error = '' WHERE delivery_id = ?"
            db.execute(again, (now, now, now + micros(AGAIN), delivery_id))
            self.store.audit(db, by, "message.resent", str(delivery_id))

        self.store.write(work)
        self.wake()

    def list(
        self,
        user_id: str,
        *,
        audiences: Sequence[str] = (EVERYBODY,),
        kind: str | None = None,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[MessageRow]:
        """What this person was told or is about to be, newest first; `audiences`: beside their own, those of everybody, or of the owners ('@').
        `status`: only what has a delivery to this person that stands so."""
        most = check_limit(limit) + 1
        where, params = ["m.user_id = ?", "m.state <> 'dropped'"], list[Any]()
        if kind is not None:
            where.append("m.kind = ?" if kind in _MANY else f"m.kind = ? AND {_RARE}")
            params.append(kind)
        if (before := place(cursor)) is not None:
            where.append("m.message_id < ?")
            params.append(before)
        if status is not None:
            where.append(_STANDS[status])
            params.append(user_id)
        newest = f"SELECT * FROM (SELECT m.message_id FROM messages m WHERE {' AND '.join(where)} ORDER BY m.message_id DESC LIMIT ?)"
        names = (user_id, *audiences)  # each by itself along its index, then the newest of all
        sql = f"SELECT * FROM messages WHERE message_id IN ({' UNION ALL '.join([newest] * len(names))}) ORDER BY message_id DESC LIMIT ?"
        rows = self.store.readers.all(sql, [*(value for name in names for value in (name, *params, most)), most])
        ways = self._ways(user_id, [row["message_id"] for row in rows[:limit]])
        items = tuple(_message_row(row, ways.get(row["message_id"], ())) for row in rows[:limit])
        return Page(items, str(items[-1].message_id) if len(rows) > limit else None)

    def _ways(self, user_id: str, message_ids: Sequence[int]) -> Mapping[int, Sequence[DeliveryRow]]:
        ways: dict[int, list[DeliveryRow]] = {}
        marks = ", ".join("?" * len(message_ids))
        sql = (
            "SELECT d.*, coalesce(t.channel, '') AS channel, coalesce(t.name, '') AS name FROM deliveries d"
            f" LEFT JOIN destinations t ON t.destination_id = d.target WHERE d.message_id IN ({marks}) AND +d.user_id = ? ORDER BY d.delivery_id"
        )
        for row in self.store.readers.all(sql, [*message_ids, user_id]) if message_ids else ():
            ways.setdefault(row["message_id"], []).append(_delivery_row(row))
        return ways

    def stats(self) -> Waiting:
        now = self.store.now()
        new = self.store.readers.one("SELECT count(*) FROM messages WHERE state = 'new'")
        sql = (
            "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'sending'), min(next_at) FROM deliveries"
            " WHERE status IN ('pending', 'sending')"
        )
        open_ = self.store.readers.one(sql)
        dead = self.store.readers.one("SELECT count(*) FROM deliveries WHERE status = 'dead'")
        assert new is not None
        assert open_ is not None
        assert dead is not None
        age = 0.0 if open_[2] is None else max(0.0, seconds(now - open_[2]))
        return Waiting(new[0], open_[0], open_[1], dead[0], age)


def _moment(store: Store, at: Timestamp | None) -> int:
    if at is not None and at > 1e11:
        raise ValueError("a moment is told in seconds here, not in microseconds")
    return store.now() if at is None else micros(at)


def _new(row: sqlite3.Row) -> NewMessage:
    fields = from_json(row["body"]) if row["body"] else {}
    return NewMessage(
        row["message_id"], row["dedupe"], row["kind"], row["user_id"], row["account_id"], row["ref"], seconds(row["at"]), fields
    )


def _message_row(row: sqlite3.Row, deliveries: Sequence[DeliveryRow]) -> MessageRow:
    told = row["state"] == "told" and row["body"]
    message = from_plain(Message, from_json(row["body"])) if told else None
    return MessageRow(
        row["message_id"], row["kind"], row["account_id"], row["ref"], seconds(row["at"]), row["state"], message, tuple(deliveries)
    )


def _delivery_row(row: sqlite3.Row) -> DeliveryRow:
    return DeliveryRow(
        delivery_id=row["delivery_id"],
        message_id=row["message_id"],
        destination_id=row["target"],
        channel=row["channel"],
        name=row["name"],
        status=row["status"],
        attempts=row["attempts"],
        next_at=seconds(row["next_at"]),
        error=row["error"],
        provider_id=row["provider_id"],
        created_at=seconds(row["created_at"]),
        expires_at=seconds(row["expires_at"]),
        sent_at=seconds_or_none(row["sent_at"]),
    )
