"""Where people want to be told, of what, and when not. Addresses are sealed: what is shown of them is masked, and only the dispatcher opens them.

An e-mail address that is not the person's own gets nothing until they have typed the code that was mailed to it.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.data.credentials import CredentialBox
from app.data.errors import Conflict, Invalid
from app.data.mailboxes import email_key
from app.data.outbox import Outbox
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import from_json, micros, seconds, seconds_or_none, to_json
from engines.core.codec import dumps, loads
from engines.core.messages import Event, Quiet
from engines.core.model import Timestamp

MOST = 20
"""Destinations that one person may have."""
CODE_MINUTES = 10
TRIES = 5
RESEND = 60.0  # seconds between two codes
CODES_AN_HOUR = 5
UNCONFIRMED = "unconfirmed"

_ONE = "SELECT * FROM destinations WHERE destination_id = ? AND user_id = ?"


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """`address`: masked. `state`: ok | paused (until `not_before`) | refused | unconfirmed (an e-mail address that has not answered yet)."""

    destination_id: str
    user_id: str
    channel: str  # discord | telegram | email
    name: str
    address: Mapping[str, str]
    events: tuple[Event, ...]
    quiet: Quiet | None
    enabled: bool
    state: str
    state_detail: str
    not_before: Timestamp
    last_sent_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


@dataclass(frozen=True, slots=True)
class Wanting:
    """A destination as the newsroom asks for it. `owner`: its person also hears of the machine."""

    destination_id: str
    user_id: str
    owner: bool
    name: str
    events: frozenset[Event]
    quiet: Quiet | None
    created_at: Timestamp


@dataclass(frozen=True, slots=True)
class Address:
    """`secret`: what the sender needs; `shown`: what of it a page may show."""

    secret: Mapping[str, str]
    shown: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Destinations:
    store: Store
    box: CredentialBox
    outbox: Outbox

    def list(self, user_id: str) -> tuple[DestinationRow, ...]:
        rows = self.store.readers.all("SELECT * FROM destinations WHERE user_id = ? ORDER BY created_at, destination_id", (user_id,))
        return tuple(map(_row, rows))

    def get(self, user_id: str, destination_id: str) -> DestinationRow:
        return _row(found(self.store.readers.one(_ONE, (destination_id, user_id)), "destination"))

    def wanting(self) -> tuple[Wanting, ...]:
        """Those that are switched on, of people who may sign in."""
        rows = self.store.readers.all(
            "SELECT d.*, u.role FROM destinations AS d JOIN users AS u ON u.user_id = d.user_id WHERE d.enabled AND u.active"
        )
        return tuple(_wanting(row) for row in rows)

    def secret(self, user_id: str, destination_id: str) -> Mapping[str, str]:
        """The address itself, for a request to its provider; never for an answer."""
        row = found(self.store.readers.one(_ONE, (destination_id, user_id)), "destination")
        return self.box.open(row["sealed"])

    def add(
        self,
        user_id: str,
        *,
        channel: str,
        name: str,
        address: Address,
        events: tuple[Event, ...],
        quiet: Quiet | None,
        by: Actor,
        code: str | None = None,
    ) -> DestinationRow:
        """Conflict when the person has it already or has too many. With a `code` it is mailed to the address and the destination is off until it came back."""
        made = self.store.ids.new()

        def work(db: sqlite3.Connection) -> DestinationRow:
            rows = db.execute("SELECT * FROM destinations WHERE user_id = ?", (user_id,)).fetchall()
            if len(rows) >= MOST:
                raise Conflict(f"one person may have {MOST} destinations")
            self._once(rows, channel, address)
            now = self.store.now()
            values = (made, user_id, channel, name, self.box.seal(address.secret), to_json(dict(address.shown)), *_choice(events, quiet))
            sql = (
                "INSERT INTO destinations (destination_id, user_id, channel, name, sealed, shown, events, quiet, enabled, state, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            )
            db.execute(sql, (*values, code is None, "ok" if code is None else UNCONFIRMED, now, now))
            if code is not None:
                self._ask(db, user_id, made, address.secret, code)
            row = _one(db, user_id, made)
            self.store.audit(db, by, "destination.created", made, after=_told(row))
            return row

        return self.store.write(work)

    def change(
        self,
        user_id: str,
        destination_id: str,
        changes: Mapping[str, Any],
        *,
        by: Actor,
        address: Address | None = None,
        code: str | None = None,
    ) -> DestinationRow:
        """`changes`: any of name, events, quiet, enabled. Whatever was wrong with it is forgotten: a person has looked after it."""

        def work(db: sqlite3.Connection) -> DestinationRow:
            stored = found(db.execute(_ONE, (destination_id, user_id)).fetchone(), "destination")
            old = _row(stored)
            enabled = bool(changes.get("enabled", old.enabled))
            state = old.state if old.state == UNCONFIRMED and address is None else "ok"
            if address is not None:
                rows = db.execute(
                    "SELECT * FROM destinations WHERE user_id = ? AND destination_id <> ?", (user_id, destination_id)
                ).fetchall()
                self._once(rows, old.channel, address)
                if code is not None:
                    enabled, state = False, UNCONFIRMED
                elif old.state == UNCONFIRMED:
                    enabled = bool(changes.get("enabled", True))
            if state == UNCONFIRMED and changes.get("enabled"):
                raise Conflict("the address has to be confirmed first: type the code that was mailed to it")
            events, quiet = changes.get("events", old.events), changes.get("quiet", old.quiet)
            db.execute(
                "UPDATE destinations SET name = ?, events = ?, quiet = ?, enabled = ?, state = ?, state_detail = '', failures = 0, not_before = 0,"
                " updated_at = ? WHERE destination_id = ?",
                (changes.get("name", old.name), *_choice(events, quiet), enabled, state, self._later(stored), destination_id),
            )
            if address is not None:
                shown = to_json(dict(address.shown))
                sealed = self.box.seal(address.secret)
                db.execute("UPDATE destinations SET sealed = ?, shown = ? WHERE destination_id = ?", (sealed, shown, destination_id))
                if code is not None:
                    self._ask(db, user_id, destination_id, address.secret, code)
            new = _one(db, user_id, destination_id)
            before, after = _told(old), _told(new)
            self.store.audit(db, by, "destination.changed", destination_id, before=before, after=after)
            return new

        row = self.store.write(work)
        self.outbox.wake()
        return row

    def delete(self, user_id: str, destination_id: str, *, by: Actor) -> None:
        """What still waits for it is given up by the dispatcher."""

        def work(db: sqlite3.Connection) -> None:
            old = _one(db, user_id, destination_id)
            db.execute("DELETE FROM destinations WHERE destination_id = ?", (destination_id,))
            self.store.audit(db, by, "destination.deleted", destination_id, before=_told(old))

        self.store.write(work)
        self.outbox.wake()

    def test(self, user_id: str, destination_id: str, *, by: Actor) -> int:
        """Writes a test message for this destination alone; its id. What was refused or paused is tried again."""

        def work(db: sqlite3.Connection) -> int:
            stored = found(db.execute(_ONE, (destination_id, user_id)).fetchone(), "destination")
            row = _row(stored)
            if row.state == UNCONFIRMED:
                raise Conflict("the address has to be confirmed first: type the code that was mailed to it")
            if not row.enabled:
                raise Conflict("this destination is switched off")
            if row.state != "ok":
                sql = "UPDATE destinations SET state = 'ok', state_detail = '', failures = 0, not_before = 0, updated_at = ? WHERE destination_id = ?"
                db.execute(sql, (self._later(stored), destination_id))
            dedupe = f"t:{self.store.ids.new()}"
            self.outbox.tell(db, "test", dedupe=dedupe, user_id=user_id, ref=destination_id)
            self.store.audit(db, by, "destination.tested", destination_id)
            return int(db.execute("SELECT message_id FROM messages WHERE dedupe = ?", (dedupe,)).fetchone()[0])

        return self.store.write(work)

    # --- addresses that have to answer ----------------------------------------------------------------------------------

    def confirm(self, user_id: str, destination_id: str, code: str, *, by: Actor) -> DestinationRow:
        """Invalid for a wrong code, Conflict when there is none to compare with (any more)."""

        def work(db: sqlite3.Connection) -> DestinationRow | None:
            stored = found(db.execute(_ONE, (destination_id, user_id)).fetchone(), "destination")
            if stored["state"] != UNCONFIRMED:
                raise Conflict("this address is confirmed")
            address = self.box.open(stored["sealed"])
            tries, until = int(address.get("tries", TRIES)), float(address.get("until", 0))
            if tries >= TRIES or self.store.clock.now() >= until:
                raise Conflict("the code has expired: ask for a new one")
            if not hmac.compare_digest(address.get("code", ""), _hashed(destination_id, code)):
                sealed = self.box.seal({**address, "tries": str(tries + 1)})
                db.execute("UPDATE destinations SET sealed = ? WHERE destination_id = ?", (sealed, destination_id))
                return None
            kept = {name: value for name, value in address.items() if name not in _PENDING}
            db.execute(
                "UPDATE destinations SET sealed = ?, state = 'ok', enabled = 1, updated_at = ? WHERE destination_id = ?",
                (self.box.seal(kept), self._later(stored), destination_id),
            )
            self.store.audit(db, by, "destination.confirmed", destination_id)
            return _one(db, user_id, destination_id)

        row = self.store.write(work)
        if row is None:  # the try is counted, whatever becomes of the answer
            raise Invalid.field("code", "is not the code that was mailed")
        return row

    def ask_again(self, user_id: str, destination_id: str, code: str, *, by: Actor) -> None:
        """Mails a new code; Conflict when the last one is younger than a minute, or too many were sent."""

        def work(db: sqlite3.Connection) -> None:
            stored = found(db.execute(_ONE, (destination_id, user_id)).fetchone(), "destination")
            if stored["state"] != UNCONFIRMED:
                raise Conflict("this address is confirmed")
            address = self.box.open(stored["sealed"])
            if self.store.clock.now() - float(address.get("sent_at", 0)) < RESEND:
                raise Conflict("a code was sent less than a minute ago")
            self._ask(db, user_id, destination_id, address, code)
            self.store.audit(db, by, "destination.code_sent", destination_id)

        self.store.write(work)
        self.outbox.wake()

    def _ask(self, db: sqlite3.Connection, user_id: str, destination_id: str, address: Mapping[str, str], code: str) -> None:
        now = self.store.clock.now()
        sql = "SELECT count(*) FROM deliveries WHERE user_id = ? AND target LIKE 'mail:confirm:%' AND created_at > ?"
        if db.execute(sql, (user_id, micros(now - 3600))).fetchone()[0] >= CODES_AN_HOUR:
            raise Conflict("too many codes were sent in the last hour: try again later")
        until = now + CODE_MINUTES * 60
        pending = {"code": _hashed(destination_id, code), "tries": "0", "until": repr(until), "sent_at": repr(now)}
        sealed = self.box.seal({**address, **pending})
        db.execute("UPDATE destinations SET sealed = ? WHERE destination_id = ?", (sealed, destination_id))
        self.outbox.mail(
            db,
            to=address["to"],
            kind="confirm_address",
            fields={"code": code, "minutes": CODE_MINUTES},
            dedupe=f"confirm:{self.store.ids.new()}",
            expires_at=until,
            user_id=user_id,
        )

    def _once(self, rows: Sequence[sqlite3.Row], channel: str, address: Address) -> None:
        """Nobody wants everything twice at one place."""
        wanted = _identity(address.secret)
        if any(row["channel"] == channel and _identity(self.box.open(row["sealed"])) == wanted for row in rows):
            raise Conflict("this destination is there already")

    def _later(self, row: sqlite3.Row) -> int:
        """Now, but never the moment of the version before: the dispatcher knows versions apart by it."""
        return max(self.store.now(), int(row["updated_at"]) + 1)


_PENDING = frozenset({"code", "tries", "until", "sent_at"})


def _identity(secret: Mapping[str, str]) -> dict[str, str]:
    return {name: email_key(value) if name == "to" else value for name, value in secret.items() if name not in _PENDING}


def _hashed(destination_id: str, code: str) -> str:
    return sha256(f"{destination_id}:{code}".encode()).hexdigest()


def _choice(events: tuple[Event, ...], quiet: Quiet | None) -> tuple[str, str | None]:
    return to_json([event.value for event in events]), None if quiet is None else dumps(quiet)


def _one(db: sqlite3.Connection, user_id: str, destination_id: str) -> DestinationRow:
    return _row(found(db.execute(_ONE, (destination_id, user_id)).fetchone(), "destination"))


def _told(row: DestinationRow) -> dict[str, Any]:
    """For the audit log: nothing of the address but what is shown of it."""
    return {
        "channel": row.channel,
        "name": row.name,
        "address": dict(row.address),
        "events": [event.value for event in row.events],
        "quiet": None
        if row.quiet is None
        else f"{row.quiet.start}-{row.quiet.end} {row.quiet.zone}{' strict' if row.quiet.strict else ''}",
        "enabled": row.enabled,
    }


def _events(row: sqlite3.Row) -> tuple[Event, ...]:
    return tuple(Event(name) for name in from_json(row["events"]))


def _row(row: sqlite3.Row) -> DestinationRow:
    return DestinationRow(
        destination_id=row["destination_id"],
        user_id=row["user_id"],
        channel=row["channel"],
        name=row["name"],
        address=from_json(row["shown"]),
        events=_events(row),
        quiet=None if row["quiet"] is None else loads(Quiet, row["quiet"]),
        enabled=bool(row["enabled"]),
        state=row["state"],
        state_detail=row["state_detail"],
        not_before=seconds(row["not_before"]),
        last_sent_at=seconds_or_none(row["last_sent_at"]),
        created_at=seconds(row["created_at"]),
        updated_at=seconds(row["updated_at"]),
    )


def _wanting(row: sqlite3.Row) -> Wanting:
    quiet = None if row["quiet"] is None else loads(Quiet, row["quiet"])
    owner = row["role"] == "owner"
    return Wanting(row["destination_id"], row["user_id"], owner, row["name"], frozenset(_events(row)), quiet, seconds(row["created_at"]))
