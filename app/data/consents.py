"""That somebody agreed to their account being traded: who, as what, how far, until when, and who took it back. Records are never deleted or changed.

The one place that says whether auto-trade may be on for an account (`objection`), whoever wants to switch it on. It never talks to a broker and never
switches anything on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import partial

from app.data.errors import Conflict, Invalid
from app.data.outbox import Outbox
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import micros, micros_or_none, seconds, seconds_or_none
from engines.core.model import Timestamp
from engines.core.sessions import HOME_EXCHANGE, session_day


class Relation(StrEnum):
    """What the holder of the account is to whoever trades it."""

    SELF = "self"
    SPOUSE = "spouse"
    CHILD = "child"
    PARENT = "parent"
    PARTNER = "partner"
    FIRM = "firm"
    OTHER = "other"


class ConsentScope(StrEnum):
    """What was agreed to. Either lets auto-trade be on; which one it was is for the record."""

    SIGNALS = "signals"  # signals of strategies are traded
    MANAGE = "manage"  # everything on the account is decided by whoever trades it


class ConsentState(StrEnum):
    STANDS = "stands"
    OVER = "over"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Consent:
    """`user_id` keeps the record, `holder` agreed. `until` None: until it is revoked. `group_id` "" where no group is meant."""

    consent_id: str
    user_id: str
    account_id: str
    holder: str
    relation: Relation
    scope: ConsentScope
    given_at: Timestamp
    until: Timestamp | None = None
    group_id: str = ""
    note: str = ""
    revoked_at: Timestamp | None = None
    revoked_by: str | None = None

    def state(self, now: Timestamp) -> ConsentState:
        if self.revoked_at is not None:
            return ConsentState.REVOKED
        if self.until is not None and self.until <= now:
            return ConsentState.OVER
        return ConsentState.STANDS


def objection(consents: Sequence[Consent], now: Timestamp) -> str:
    """Why auto-trade may not be on for the account that these records are of, in words; empty: it may. The table in docs/groups.md, row by row."""
    others = [consent for consent in consents if consent.relation is not Relation.SELF]
    if not others or any(consent.state(now) is ConsentState.STANDS for consent in consents):
        return ""
    last = max(others, key=_end)
    said = f"was revoked on {_day(_end(last))}" if last.state(now) is ConsentState.REVOKED else f"ran out on {_day(_end(last) - 1e-6)}"
    return f"the consent of {last.holder} ({last.relation}) {said}: record a new one to trade this account"


def _end(consent: Consent) -> Timestamp:
    if consent.revoked_at is not None:
        return consent.revoked_at
    return float("inf") if consent.until is None else consent.until


def _day(at: Timestamp) -> str:
    day = date.fromisoformat(session_day(at, HOME_EXCHANGE))
    return f"{day.day} {day:%b %Y}"


def of_account(db: sqlite3.Connection, account_id: str) -> tuple[Consent, ...]:
    return tuple(map(_row, db.execute("SELECT * FROM consents WHERE account_id = ? ORDER BY given_at, consent_id", (account_id,))))


def refuse_without_consent(db: sqlite3.Connection, account_id: str, now: Timestamp) -> None:
    """Inside the transaction that would switch auto-trade on: Conflict with the reason when a holder does not (any longer) agree."""
    why = objection(of_account(db, account_id), now)
    if why:
        raise Conflict(f"auto-trade stays off: {why}")


@dataclass(frozen=True, slots=True)
class Consents:
    store: Store
    outbox: Outbox

    def add(self, consent: Consent, *, by: Actor) -> Consent:
        """`consent.consent_id` "" gets a new id. NotFound when account or group are not this user's, Invalid for times that make no sense."""
        made = replace(consent, consent_id=consent.consent_id or self.store.ids.new())
        now = self.store.clock.now()
        if not made.holder.strip():
            raise Invalid.field("holder", "must not be empty")
        if made.given_at > now:
            raise Invalid.field("given_at", "lies ahead: record a consent when it has been given")
        if made.until is not None and made.until <= now:
            raise Invalid.field("until", "must lie ahead")

        def work(db: sqlite3.Connection) -> Consent:
            sql = "SELECT 1 FROM accounts WHERE account_id = ? AND user_id = ? AND archived_at IS NULL"
            found(db.execute(sql, (made.account_id, made.user_id)).fetchone(), "account")
            if made.group_id:
                found(
                    db.execute("SELECT 1 FROM account_groups WHERE group_id = ? AND user_id = ?", (made.group_id, made.user_id)).fetchone(),
                    "group",
                )
                inside = "SELECT 1 FROM group_accounts WHERE group_id = ? AND account_id = ?"
                if not db.execute(inside, (made.group_id, made.account_id)).fetchone():
                    raise Invalid.field("group_id", "the account is not in this group")
            db.execute(
                "INSERT INTO consents (consent_id, user_id, group_id, account_id, holder, relation, scope, note, given_at, until)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    made.consent_id,
                    made.user_id,
                    made.group_id,
                    made.account_id,
                    made.holder,
                    made.relation.value,
                    made.scope.value,
                    made.note,
                    micros(made.given_at),
                    micros_or_none(made.until),
                ),
            )
            self.store.audit(db, by, "consent.given", made.consent_id, after=made)
            self._told(db, "consent_given", made, f"Until {_day(made.until - 1e-6)}." if made.until is not None else "Until it is revoked.")
            return made

        return self.store.write(work)

    def get(self, user_id: str | None, consent_id: str) -> Consent:
        sql = "SELECT * FROM consents WHERE consent_id = ? AND (? IS NULL OR user_id = ?)"
        return _row(found(self.store.readers.one(sql, (consent_id, user_id, user_id)), "consent"))

    def list(self, user_id: str) -> tuple[Consent, ...]:
        """Oldest first."""
        return tuple(
            map(_row, self.store.readers.all("SELECT * FROM consents WHERE user_id = ? ORDER BY given_at, consent_id", (user_id,)))
        )

    def revoke(self, user_id: str | None, consent_id: str, revoked_by: str, *, by: Actor) -> Consent:
        """A no is a no: auto-trade of its account goes off in the same transaction, whatever else was agreed. Conflict when it was revoked before."""

        def work(db: sqlite3.Connection) -> Consent:
            sql = "SELECT * FROM consents WHERE consent_id = ? AND (? IS NULL OR user_id = ?)"
            old = _row(found(db.execute(sql, (consent_id, user_id, user_id)).fetchone(), "consent"))
            if old.revoked_at is not None:
                raise Conflict(f"it was revoked on {_day(old.revoked_at)} already")
            new = replace(old, revoked_at=self.store.clock.now(), revoked_by=revoked_by)
            db.execute(
                "UPDATE consents SET revoked_at = ?, revoked_by = ? WHERE consent_id = ?",
                (micros(new.revoked_at or 0), revoked_by, consent_id),
            )
            self.store.audit(db, by, "consent.revoked", consent_id, before=old, after=new)
            self._off(db, new.account_id, by)
            self._told(db, "consent_revoked", new, f"By {revoked_by}. {_STAYS}")
            return new

        return self.store.write(work)

    def run_out(self) -> Iterator[str]:
        """Switches auto-trade off wherever nobody agrees any longer, each in a transaction of its own; each account that it was on for, as soon as it is
        off: whoever asks knows of it also when the database goes away before the next."""
        for row in self.store.readers.all(_UNAGREED, {"now": self.store.now()}):
            account_id = str(row["account_id"])
            if self.store.write(partial(self._run_out, account_id=account_id)):
                yield account_id

    def _run_out(self, db: sqlite3.Connection, account_id: str) -> bool:
        consents = of_account(db, account_id)
        if not objection(consents, self.store.clock.now()) or not self._off(db, account_id, Actor(None)):
            return False
        self._told(db, "consent_over", max((c for c in consents if c.relation is not Relation.SELF), key=_end), _STAYS)
        return True

    def _off(self, db: sqlite3.Connection, account_id: str, by: Actor) -> bool:
        """Whether it was on. The engines take it over when they are told that configuration changed."""
        sql = "UPDATE accounts SET auto_trade = 0, updated_at = ? WHERE account_id = ? AND auto_trade AND archived_at IS NULL"
        if not db.execute(sql, (self.store.now(), account_id)).rowcount:
            return False
        self.store.audit(db, by, "account.changed", account_id, before={"auto_trade": True}, after={"auto_trade": False})
        return True

    def _told(self, db: sqlite3.Connection, kind: str, consent: Consent, why: str) -> None:
        row = db.execute("SELECT name FROM accounts WHERE account_id = ?", (consent.account_id,)).fetchone()
        self.outbox.tell(
            db,
            kind,
            dedupe=f"{kind}:{consent.consent_id}",
            user_id=consent.user_id,
            account_id=consent.account_id,
            ref=consent.consent_id,
            fields={"account": row["name"] if row else "", "holder": consent.holder, "relation": consent.relation.value, "why": why},
        )


_STAYS = "Positions stay, with their stops."
_UNAGREED = (
    "SELECT a.account_id FROM accounts a WHERE a.auto_trade AND a.archived_at IS NULL"
    " AND EXISTS (SELECT 1 FROM consents c WHERE c.account_id = a.account_id AND c.relation <> 'self')"
    " AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.account_id = a.account_id AND c.revoked_at IS NULL"
    " AND (c.until IS NULL OR c.until > :now)) ORDER BY a.account_id"
)


def _row(row: sqlite3.Row) -> Consent:
    return Consent(
        consent_id=row["consent_id"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        holder=row["holder"],
        relation=Relation(row["relation"]),
        scope=ConsentScope(row["scope"]),
        given_at=seconds(row["given_at"]),
        until=seconds_or_none(row["until"]),
        group_id=row["group_id"],
        note=row["note"],
        revoked_at=seconds_or_none(row["revoked_at"]),
        revoked_by=row["revoked_by"],
    )
