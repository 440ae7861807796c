"""Who else may see a strategy and map it to accounts of their own: given by its owner, ended by either of them, and with whatever would leave it without one.

Where a share ends, the mappings of that person are switched off in the same transaction, so that no entry follows; what they hold is theirs and stays. Both
are told. Nothing here tells anybody what another has mapped or holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from app.data.errors import Conflict, Invalid
from app.data.mailboxes import BY_EMAIL, email_keys
from app.data.may import refuse_who_may_not_trade
from app.data.outbox import Outbox
from app.data.people import user_row
from app.data.rows import Actor, User
from app.data.store import Store, found
from app.data.values import seconds
from engines.core.model import Timestamp

SHARED, ENDED, CHANGED, OFF = "strategy_shared", "strategy_unshared", "strategy_changed", "mapping_off"
"""Kinds of messages: to whom it is given; to both when that ends; to whoever trades it when its owner changes what it does; to a viewer whose mapping ends."""

BY_OWNER, LEFT = "{} ended the share.", "{} left it."
DELETED = "The strategy was deleted: nothing but their exit plans closes what it opened."
OWNER_OFF, OWNER_LOOKS = "Its owner was switched off.", "Its owner may only look on from now on."
PERSON_OFF, LOOKS_ONLY = "The person was switched off.", "Whoever may only look trades no strategy of others."
_FIELDS = {"active": "switched {state}", "params": "parameters", "timeframe": "candles", "exit_plan": "exit plan", "reentry": "re-entries"}
NOBODY = "nobody who may sign in here has this e-mail address"

_OF = "SELECT u.*, h.shared_at FROM strategy_shares AS h JOIN users AS u USING (user_id) WHERE h.strategy_id = ? ORDER BY h.shared_at, u.user_id"


@dataclass(frozen=True, slots=True)
class Share:
    """One person to whom a strategy is given."""

    user: User
    shared_at: Timestamp


@dataclass(frozen=True, slots=True)
class Shares:
    store: Store
    outbox: Outbox

    def of(self, strategy_id: str) -> tuple[Share, ...]:
        """Everybody to whom it is given, the first first. Whose it is the caller has asked."""
        return tuple(Share(user_row(row), seconds(row["shared_at"])) for row in self.store.readers.all(_OF, (strategy_id,)))

    def ended_for(self, user_id: str) -> dict[str, str]:
        """Strategy → what it was called when the share with this person ended: their books still speak of it, and nothing newer is told."""
        sql = "SELECT strategy_id, name FROM shares_ended WHERE user_id = ?"
        return {row["strategy_id"]: row["name"] for row in self.store.readers.all(sql, (user_id,))}

    def add(self, owner_id: str, strategy_id: str, email: str, *, by: Actor) -> Share:
        """NotFound when it is not this user's, Invalid when there is no such person (or it is the owner), Conflict when they have it already or its owner
        may not trade (any more)."""

        def work(db: sqlite3.Connection) -> Share:
            strategy = _own(db, owner_id, strategy_id)
            refuse_who_may_not_trade(db, owner_id)
            row = db.execute(BY_EMAIL, email_keys(email)).fetchone()
            if row is None or not row["active"]:
                raise Invalid.field("email", NOBODY)
            person = user_row(row)
            if person.user_id == owner_id:
                raise Invalid.field("email", "this is your own address: the strategy is yours")
            if strategy["archived_at"] is not None:
                raise Conflict("the strategy is archived")
            if db.execute("SELECT 1 FROM strategy_shares WHERE strategy_id = ? AND user_id = ?", (strategy_id, person.user_id)).fetchone():
                raise Conflict(f"the strategy is shared with {person.email} already")
            now = self.store.now()
            db.execute("INSERT INTO strategy_shares (strategy_id, user_id, shared_at) VALUES (?, ?, ?)", (strategy_id, person.user_id, now))
            db.execute("DELETE FROM shares_ended WHERE user_id = ? AND strategy_id = ?", (person.user_id, strategy_id))
            self.store.audit(db, by, "strategy.shared", strategy_id, after={"user_id": person.user_id, "email": person.email})
            self._tell(db, SHARED, person.user_id, strategy, role=person.role.value)
            return Share(person, seconds(now))

        return self.store.write(work)

    def remove(self, owner_id: str, strategy_id: str, user_id: str, *, by: Actor) -> None:
        """NotFound when it is not this user's or not shared with that person."""

        def work(db: sqlite3.Connection) -> None:
            strategy = _own(db, owner_id, strategy_id)
            there = "SELECT 1 FROM strategy_shares WHERE strategy_id = ? AND user_id = ?"
            found(db.execute(there, (strategy_id, user_id)).fetchone(), "share")
            self._end(db, strategy, user_id, BY_OWNER.format(_name(db, owner_id)), by)

        self.store.write(work)

    def leave(self, user_id: str, strategy_id: str, *, by: Actor) -> None:
        """Whoever has it wants it no more; its owner is told. NotFound alike for what is unknown, not shared with them, or their own."""

        def work(db: sqlite3.Connection) -> None:
            sql = "SELECT s.* FROM strategies AS s JOIN strategy_shares AS h USING (strategy_id) WHERE s.strategy_id = ? AND h.user_id = ?"
            strategy = found(db.execute(sql, (strategy_id, user_id)).fetchone(), "share")
            self._end(db, strategy, user_id, LEFT.format(_name(db, user_id)), by)

        self.store.write(work)

    # --- inside the transaction of what ends or changes it -----------------------------------------------------------------

    def strategy_ends(self, db: sqlite3.Connection, strategy_id: str, *, by: Actor) -> None:
        """The strategy is deleted or archived."""
        strategy = db.execute("SELECT * FROM strategies WHERE strategy_id = ?", (strategy_id,)).fetchone()
        for row in db.execute(_OF, (strategy_id,)).fetchall():
            self._end(db, strategy, row["user_id"], DELETED, by)
        for row in db.execute("SELECT user_id, mapping_id FROM mappings WHERE strategy_id = ?", (strategy_id,)).fetchall():
            if row["user_id"] != strategy["user_id"]:
                self.store.audit(db, _for(row["user_id"]), "mapping.deleted", row["mapping_id"], before={"strategy": strategy["name"]})

    def strategy_changes(self, db: sqlite3.Connection, strategy_id: str, fields: Collection[str]) -> None:
        """Its owner has changed these fields: whoever risks money with it is told."""
        strategy = db.execute("SELECT * FROM strategies WHERE strategy_id = ?", (strategy_id,)).fetchone()
        sql = "SELECT DISTINCT user_id FROM mappings WHERE strategy_id = ? AND enabled AND user_id <> ? ORDER BY user_id"
        state = "on" if strategy["active"] else "off"
        what = ", ".join(_FIELDS.get(name, name).format(state=state) for name in sorted(fields))
        text = f"{_name(db, strategy['user_id'])} changed it: {what}. It trades on accounts of yours: look at what it does now."
        for row in db.execute(sql, (strategy_id, strategy["user_id"])).fetchall():
            self._tell(db, CHANGED, row["user_id"], strategy, title=f"{strategy['name']} was changed", text=text)

    def person_changes(self, db: sqlite3.Connection, user: User, *, by: Actor) -> None:
        """Somebody was switched off or may only look from now on. Nobody trades a strategy that its owner cannot stop or change any more, and who may
        only look trades nobody else's."""
        if user.may_trade:
            return
        given = "SELECT h.user_id AS other, s.* FROM strategy_shares AS h JOIN strategies AS s USING (strategy_id) WHERE s.user_id = ?"
        for strategy in db.execute(given, (user.user_id,)).fetchall():
            self._end(db, strategy, strategy["other"], OWNER_LOOKS if user.active else OWNER_OFF, by)
        got = "SELECT s.* FROM strategy_shares AS h JOIN strategies AS s USING (strategy_id) WHERE h.user_id = ?"
        for strategy in db.execute(got, (user.user_id,)).fetchall():
            if not user.active:
                self._end(db, strategy, user.user_id, PERSON_OFF, by)
            elif self._switch_off(db, strategy["strategy_id"], user.user_id, LOOKS_ONLY):
                self._tell(db, OFF, user.user_id, strategy, title=f"{strategy['name']} no longer trades on your accounts", text=LOOKS_ONLY)

    # --- helpers ---------------------------------------------------------------------------------------------------------

    def _end(self, db: sqlite3.Connection, strategy: sqlite3.Row, user_id: str, why: str, by: Actor) -> None:
        person = user_row(db.execute("SELECT * FROM users WHERE user_id = ?", (user_id,)).fetchone())
        db.execute("DELETE FROM strategy_shares WHERE strategy_id = ? AND user_id = ?", (strategy["strategy_id"], user_id))
        keep = "INSERT OR REPLACE INTO shares_ended (user_id, strategy_id, name, ended_at) VALUES (?, ?, ?, ?)"
        db.execute(keep, (user_id, strategy["strategy_id"], strategy["name"], self.store.now()))
        self._switch_off(db, strategy["strategy_id"], user_id, why)
        gone = {"user_id": user_id, "email": person.email}
        self.store.audit(db, by, "strategy.unshared", strategy["strategy_id"], before=gone, after={"why": why})
        self._tell(db, ENDED, user_id, strategy, why=why, role=person.role.value)
        self._tell(db, ENDED, strategy["user_id"], strategy, to=_name(db, user_id), why=why, role=person.role.value)

    def _switch_off(self, db: sqlite3.Connection, strategy_id: str, user_id: str, why: str) -> int:
        """The rows of the log are that person's own: whoever ended it must not learn what was mapped."""
        of = (strategy_id, user_id)
        ids = [row[0] for row in db.execute("SELECT mapping_id FROM mappings WHERE strategy_id = ? AND user_id = ? AND enabled", of)]
        db.execute(
            "UPDATE mappings SET enabled = 0, updated_at = ? WHERE strategy_id = ? AND user_id = ? AND enabled", (self.store.now(), *of)
        )
        for mapping_id in ids:
            self.store.audit(
                db, _for(user_id), "mapping.changed", mapping_id, before={"enabled": True}, after={"enabled": False, "why": why}
            )
        return len(ids)

    def _tell(self, db: sqlite3.Connection, kind: str, whom: str, strategy: sqlite3.Row, **more: str) -> None:
        """`to`: the other's name where its owner is told of them; `role`: of whoever has or had the share."""
        fields = {"name": strategy["name"], "by": _name(db, strategy["user_id"]), **more}
        name = f"{kind}:{strategy['strategy_id']}:{whom}:{self.store.ids.new()}"
        self.outbox.tell(db, kind, dedupe=name, user_id=whom, ref=strategy["strategy_id"], fields=fields)


def _own(db: sqlite3.Connection, owner_id: str, strategy_id: str) -> sqlite3.Row:
    row = db.execute("SELECT * FROM strategies WHERE strategy_id = ? AND user_id = ?", (strategy_id, owner_id)).fetchone()
    return found(row, "strategy")


def _for(user_id: str) -> Actor:
    """The machine, in somebody's own log."""
    return Actor(user_id, "system")


def _name(db: sqlite3.Connection, user_id: str) -> str:
    row = db.execute("SELECT name, email FROM users WHERE user_id = ?", (user_id,)).fetchone()
    return str(row["name"] or row["email"])
