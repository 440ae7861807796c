"""The outbox as the dispatcher sees it: what is due for which target, claimed before it is sent, and what came of it.

Implements engines.notify.outbox.Outbox. Addresses and mails are decrypted here, beside the writer's thread, and leave only in a batch.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import NamedTuple

from app.data.credentials import CredentialBox
from app.data.errors import DataError
from app.data.outbox import TELL
from app.data.store import Store
from app.data.values import from_json, micros, seconds, to_json
from engines.core.codec import from_plain, loads
from engines.core.messages import Event, Message, Quiet
from engines.core.model import Timestamp
from engines.notify.outbox import MAILS, Batch, Channel, Claimed, Due, Health, Outcome, SecretMail, Status, Verdict
from engines.notify.quiet import not_before, quiet_now

log = logging.getLogger("tandem.data")

CROWD = 50
"""More than so many that have waited for a while for one destination: what the summary of a signal says anyway is not told order by order."""
CROWD_AFTER = 30.0  # seconds: a burst is none
CROWD_EVERY = 2.0  # seconds between two looks for it
KEPT = 30 * 86_400.0
DEAD_KEPT = 90 * 86_400.0
REFUSED = "destination_refused"
"""Kind of the message that a destination takes no more messages."""
PIECE = 500  # rows deleted in one transaction, so that nobody waits for it

_OPEN = "status IN ('pending', 'sending')"  # word for word as in the index
_IS_MAIL = "target >= 'mail:' AND target < 'mail;'"
_AGENDA = (
    f"WITH waiting AS (SELECT CASE WHEN {_IS_MAIL} THEN '{MAILS}' ELSE target END AS target, min(next_at) AS at FROM deliveries"
    f" WHERE {_OPEN} AND status = 'pending' AND expires_at > ? GROUP BY 1)"
    " SELECT w.target, w.at, d.channel, d.enabled, d.state, d.not_before, d.failures FROM waiting w LEFT JOIN destinations d ON d.destination_id = w.target"
    " LEFT JOIN users u USING (user_id) WHERE u.user_id IS NULL OR u.active"
)
_CLAIM = (
    f"SELECT d.delivery_id, d.target, d.attempts, d.created_at, d.expires_at, d.sealed, m.body FROM deliveries d LEFT JOIN messages m USING (message_id)"
    f" WHERE %s AND d.{_OPEN} AND d.status = 'pending' AND d.next_at <= ? AND d.expires_at > ? ORDER BY %s LIMIT ?"
)
_FIRST_TOLD = "d.delivery_id"
_LEAST_TRIED = "d.attempts, d.delivery_id"
"""Mails to addresses of their own: one at which the mail server hangs each time is not in front of all others each time."""
_CROWD = (
    "WITH crowd AS (SELECT d.delivery_id, d.message_id, d.next_at, m.kind, json_extract(m.body, '$.thread') AS thread,"
    " CASE m.kind WHEN 'signal' THEN json_extract(m.body, '$.covers') END AS covers, CASE m.kind WHEN 'signal' THEN d.next_at END AS opens,"
    " d.expires_at, CASE m.kind WHEN 'signal' THEN d.expires_at END AS lasts"
    f" FROM deliveries d JOIN messages m USING (message_id) WHERE d.target = ? AND d.{_OPEN} AND d.status = 'pending'),"
    " beside AS (SELECT delivery_id, message_id, next_at, expires_at, kind, max(covers) OVER (PARTITION BY thread) AS covers,"
    " max(opens) OVER (PARTITION BY thread) AS opens, min(lasts) OVER (PARTITION BY thread) AS lasts FROM crowd WHERE thread <> '')"
    " SELECT delivery_id FROM beside WHERE kind = 'order' AND message_id <= covers AND opens <= max(next_at, ?) AND expires_at <= lasts"
)
"""Orders that the summary beside them says: all had their last word when it was frozen, this was written down by then, it is due no later and
is worth telling no less long."""
_PART = (
    "WITH lost AS MATERIALIZED (SELECT d.user_id, d.target, json_extract(m.body, '$.thread') AS thread FROM deliveries d JOIN messages m USING (message_id)"
    " WHERE d.delivery_id IN (SELECT value FROM json_each(?)) AND m.kind = 'signal')"
    " UPDATE deliveries INDEXED BY deliveries_over SET status = 'pending', next_at = max(next_at, ?)"
    " WHERE status IN ('dead', 'merged') AND status = 'merged' AND user_id IN (SELECT user_id FROM lost)"
    " AND (target, (SELECT json_extract(m.body, '$.thread') FROM messages m WHERE m.message_id = deliveries.message_id))"
    " IN (SELECT target, thread FROM lost)"
)
"""Orders that were merged into a summary which reaches nobody after all. The index holds the dead and the merged, and wants to be told so in its own words."""
_HELD = (
    "SELECT d.delivery_id FROM deliveries d JOIN messages m USING (message_id) WHERE d.target = ?"
    f" AND d.{_OPEN} AND d.status = 'pending' AND d.next_at <= ? AND d.expires_at > ? AND d.created_at < ?"
    " AND json_extract(m.body, '$.event') IN (SELECT value FROM json_each(?))"
)
_OUTCOME = (
    "UPDATE deliveries SET status = :status, attempts = :attempts, next_at = :next_at, error = :error, provider_id = :provider_id,"
    " sent_at = :sent_at, sealed = CASE WHEN :status = 'pending' THEN sealed END WHERE delivery_id = :id AND status = 'sending'"
)
_VERDICT = (
    "UPDATE destinations SET state = ?, state_detail = ?, failures = ?, not_before = ?, last_sent_at = coalesce(?, last_sent_at)"
    " WHERE destination_id = ? AND updated_at = ?"
)


class _Hold(NamedTuple):
    """What the quiet hours of a destination hold back now: what was put on its way before `since`, when they began or were set. What is due and came
    later was sent again by hand within them, and whoever does that wants it now."""

    events: frozenset[str] = frozenset()
    since: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True)
class Deliveries:
    store: Store
    box: CredentialBox
    _looked: dict[str, float] = field(default_factory=dict)  # target → when it was last looked at for a crowd

    def agenda(self) -> tuple[Due, ...]:
        """A destination that is gone is among them, so that a claim finds that out."""
        dues = []
        for row in self.store.readers.all(_AGENDA, (self.store.now(),)):
            if row["target"] == MAILS:
                dues.append(Due(MAILS, Channel.MAIL, seconds(row["at"])))
            elif row["channel"] is None:
                dues.append(Due(row["target"], Channel.MAIL, 0.0))
            elif row["enabled"] and row["state"] != Health.REFUSED:
                opens, failing = seconds(row["not_before"]), row["failures"] > 0
                dues.append(Due(row["target"], Channel(row["channel"]), seconds(row["at"]), opens, failing))
        return tuple(dues)

    def claim(self, target: str, most: int, now: Timestamp) -> Batch | None:
        """A destination whose address cannot be read is refused, a mail or message that cannot be read is dead; None in both cases."""
        place = None if target == MAILS else self._destination(target)
        if target != MAILS:
            if place is None:
                self._give_up(target)
                return None
            self._merge(target)
        mail = place is not None and place["channel"] == Channel.EMAIL
        hold = _hold(place, now)
        claim = partial(_claim, target=target, most=most, now=micros(now), alike=mail, hold=hold)
        rows, more = self.store.journal.run(claim)
        if more and not rows:
            self._hold_back(target, hold, micros(now))
            rows, more = self.store.journal.run(claim)
        if not rows:
            return None
        try:
            address = {} if place is None else self.box.open(place["sealed"])
        except DataError as error:
            self._refuse(target, rows, str(error))
            return None
        items = tuple(item for row in rows if (item := self._item(row)) is not None)
        if not items:
            return None
        if place is None:
            return Batch(MAILS, Channel.MAIL, address, items, more=more)
        channel = Channel(place["channel"])
        return Batch(target, channel, address, items, place["failures"], place["updated_at"], more=more)

    def record(self, batch: Batch, outcomes: Sequence[Outcome], verdict: Verdict, now: Timestamp) -> None:
        at = micros(now)
        rows = [
            {
                "id": outcome.delivery_id,
                "status": outcome.status,
                "attempts": outcome.attempts,
                "next_at": micros(outcome.next_at),
                "error": outcome.error,
                "provider_id": outcome.provider_id,
                "sent_at": at if outcome.status is Status.SENT else None,
            }
            for outcome in outcomes
        ]
        dead = [outcome.delivery_id for outcome in outcomes if outcome.status is Status.DEAD]
        sent_at = at if any(outcome.status is Status.SENT for outcome in outcomes) else None
        moved = None if verdict.address is None else self.box.seal(verdict.address)

        def work(db: sqlite3.Connection) -> None:
            db.executemany(_OUTCOME, rows)
            if batch.target == MAILS:
                return
            _part(db, dead, at)
            seen = (batch.target, batch.version)
            if verdict.health is Health.REFUSED:
                self._tell(db, batch.target, verdict.detail, batch.version)
            found = (verdict.health, verdict.detail, verdict.failures, micros(verdict.not_before), sent_at)
            db.execute(_VERDICT, (*found, *seen))
            if moved is not None:
                db.execute("UPDATE destinations SET sealed = ? WHERE destination_id = ? AND updated_at = ?", (moved, *seen))

        self.store.journal.run(work)

    def recover(self, targets: Sequence[str] | None = None) -> int:
        """Whether the provider had taken it, nobody knows: it is sent again, and the try counts."""
        where = "" if targets is None else f" AND target IN ({', '.join('?' * len(targets))})"
        if targets is not None and MAILS in targets:
            where = f" AND ({where.removeprefix(' AND ')} OR ({_IS_MAIL}))"
        back = f"UPDATE deliveries SET status = 'pending', attempts = attempts + 1 WHERE {_OPEN} AND status = 'sending'{where}"
        return self.store.journal.run(lambda db: db.execute(back, tuple(targets or ())).rowcount)

    def sweep(self, now: Timestamp) -> int:
        """What was not sent in time is dead; of a mail with a secret nothing is left."""
        late = (
            "UPDATE deliveries SET status = 'dead', sealed = NULL, error = 'not sent in time' || CASE error WHEN '' THEN '' ELSE ': ' || error END"
            f" WHERE {_OPEN} AND status = 'pending' AND expires_at <= ? RETURNING delivery_id"
        )
        at = micros(now)

        def work(db: sqlite3.Connection) -> int:
            dead = [row[0] for row in db.execute(late, (at,)).fetchall()]
            _part(db, dead, at)
            return len(dead) + len(db.execute(late, (at,)).fetchall())  # and what was merged into one of them, as old as it is

        if (
            self.store.readers.one(f"SELECT 1 FROM deliveries WHERE {_OPEN} AND status = 'pending' AND expires_at <= ? LIMIT 1", (at,))
            is None
        ):
            return 0
        return self.store.journal.run(work)

    def tidy(self, now: Timestamp) -> int:
        """Deletes what went out a month ago or was given up three months ago, and messages without deliveries of that age; piece by piece."""
        sent, dead = micros(now - KEPT), micros(now - DEAD_KEPT)
        deliveries = "SELECT delivery_id FROM deliveries WHERE (status IN ('sent', 'merged') AND created_at < ?) OR (status = 'dead' AND created_at < ?)"
        messages = (
            "SELECT message_id FROM messages m WHERE state <> 'new' AND at < ?"
            " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message_id = m.message_id)"
        )
        gone = self._in_pieces("DELETE FROM deliveries WHERE delivery_id = ?", self.store.readers.all(deliveries, (sent, dead)))
        return gone + self._in_pieces("DELETE FROM messages WHERE message_id = ?", self.store.readers.all(messages, (dead,)))

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _in_pieces(self, sql: str, rows: Sequence[sqlite3.Row]) -> int:
        """For each row, by its first column; in short transactions, since the order path waits for their end."""
        for first in range(0, len(rows), PIECE):
            piece = [(row[0],) for row in rows[first : first + PIECE]]
            self.store.journal.run(lambda db, piece=piece: db.executemany(sql, piece))  # type: ignore[misc]
        return len(rows)

    def _hold_back(self, target: str, hold: _Hold, now: int) -> None:
        """What fell due in quiet hours: it failed before they began, or waited when they were set. It is worth telling so much longer."""
        held = self.store.readers.all(_HELD, (target, now, now, hold.since, to_json(sorted(hold.events))))
        later = f"next_at = {hold.until}, expires_at = expires_at + {hold.until - now}"
        self._in_pieces(f"UPDATE deliveries SET {later} WHERE delivery_id = ? AND status = 'pending'", held)

    def _destination(self, target: str) -> sqlite3.Row | None:
        return self.store.readers.one("SELECT * FROM destinations WHERE destination_id = ?", (target,))

    def _give_up(self, target: str) -> None:
        sql = f"UPDATE deliveries SET status = 'dead', error = 'the destination was removed' WHERE target = ? AND {_OPEN} AND status = 'pending'"
        self.store.journal.run(lambda db: db.execute(sql, (target,)))

    def _refuse(self, target: str, rows: Sequence[sqlite3.Row], reason: str) -> None:
        """Its messages wait for a person to enter the address again."""
        log.warning("the address of a destination cannot be read: %s", reason)
        ids = [(row["delivery_id"],) for row in rows]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE deliveries SET status = 'pending' WHERE delivery_id = ? AND status = 'sending'", ids)
            why = "its address was encrypted with another key: enter it again"
            self._tell(db, target, why)
            db.execute("UPDATE destinations SET state = 'refused', state_detail = ? WHERE destination_id = ?", (why, target))

        self.store.journal.run(work)

    def _tell(self, db: sqlite3.Connection, target: str, why: str, version: int | None = None) -> None:
        """Its owner hears of a refusal on their other ways, once: before this it was not refused."""
        sql = "SELECT user_id, name FROM destinations WHERE destination_id = ? AND state <> 'refused' AND updated_at = coalesce(?, updated_at)"
        place = db.execute(sql, (target, version)).fetchone()
        if place is not None:
            now = self.store.now()
            fields = to_json({"name": place["name"], "why": why})
            db.execute(TELL, (f"refused:{target}:{now}", REFUSED, place["user_id"], None, target, now, fields))

    def _item(self, row: sqlite3.Row) -> Claimed | None:
        what: Message | SecretMail
        try:
            what = (
                _mail(self.box.open(row["sealed"])) if row["sealed"] is not None else from_plain(Message, from_json(row["body"] or "null"))
            )
        except (DataError, ValueError, KeyError) as error:
            log.error("a message that waits cannot be read: %s", type(error).__name__)
            self.store.journal.run(lambda db: self._unreadable(db, row["delivery_id"]))
            return None
        return Claimed(row["delivery_id"], row["attempts"], seconds(row["expires_at"]), what)

    def _unreadable(self, db: sqlite3.Connection, delivery_id: int) -> None:
        sql = "UPDATE deliveries SET status = 'dead', error = 'it cannot be read any more', sealed = NULL WHERE delivery_id = ?"
        db.execute(sql, (delivery_id,))
        _part(db, [delivery_id], self.store.now())

    def _merge(self, target: str) -> None:
        """After an outage: orders whose last word is in a summary that waits as well are not told one by one."""
        now = self.store.clock.monotonic()
        if now - self._looked.get(target, -CROWD_EVERY) < CROWD_EVERY:
            return
        self._looked[target] = now
        waits = f"SELECT 1 FROM deliveries WHERE target = ? AND {_OPEN} AND status = 'pending' AND created_at <= ? LIMIT {CROWD + 1}"
        row = self.store.readers.one(f"SELECT count(*) FROM ({waits})", (target, self.store.now() - micros(CROWD_AFTER)))
        if row is None or row[0] <= CROWD:
            return
        merge = "UPDATE deliveries SET status = 'merged' WHERE delivery_id = ? AND status = 'pending'"
        self._in_pieces(merge, self.store.readers.all(_CROWD, (target, self.store.now())))


def _hold(place: sqlite3.Row | None, now: Timestamp) -> _Hold:
    if place is None or place["quiet"] is None:
        return _Hold()
    quiet = loads(Quiet, place["quiet"])
    hours = quiet_now(quiet, now)
    if hours is None:
        return _Hold()
    held = frozenset(event for event in Event if not_before(event, quiet, now) > now)
    return _Hold(held, max(micros(hours[0]), place["updated_at"]), micros(hours[1]))


def _claim(db: sqlite3.Connection, *, target: str, most: int, now: int, alike: bool, hold: _Hold) -> tuple[list[sqlite3.Row], bool]:
    """What is taken, and whether more is due; nothing, but more, where some of it is held back by quiet hours. `alike`: only what was tried as
    often as the first; so what failed together goes together again, as the same mail."""
    where, names, order = (_IS_MAIL, (), _LEAST_TRIED) if target == MAILS else ("d.target = ?", (target,), _FIRST_TOLD)
    if target != MAILS:
        open_ = (
            "SELECT 1 FROM destinations JOIN users USING (user_id)"
            " WHERE destination_id = ? AND enabled AND state <> 'refused' AND not_before <= ? AND active"
        )
        if db.execute(open_, (target, now)).fetchone() is None:
            return [], False
    rows = db.execute(_CLAIM % (where, order), (*names, now, now, most + 1)).fetchall()
    taken = rows[:most]
    if alike:
        taken = list(takewhile(lambda row: row["attempts"] == rows[0]["attempts"], taken))
    if any(row["created_at"] < hold.since and from_json(row["body"] or "{}").get("event") in hold.events for row in taken):
        return [], True
    db.executemany("UPDATE deliveries SET status = 'sending' WHERE delivery_id = ?", [(row["delivery_id"],) for row in taken])
    return taken, len(rows) > len(taken)


def _part(db: sqlite3.Connection, dead: Sequence[int], now: int) -> None:
    """Whatever was merged into one of these waits again by itself."""
    if dead:
        db.execute(_PART, (to_json(list(dead)), now))


def _mail(opened: Mapping[str, str]) -> SecretMail:
    fields = {name.removeprefix("field."): value for name, value in opened.items() if name.startswith("field.")}
    return SecretMail(opened["to"], opened["kind"], fields)
