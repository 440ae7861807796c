"""Named sets of one user's accounts (a family, a desk)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from app.data.consents import objection, of_account
from app.data.errors import Conflict, Invalid
from app.data.may import refuse_who_may_not_trade
from app.data.rows import Actor, GroupRow
from app.data.store import Store, found
from app.data.values import seconds
from engines.core.model import Group

_ONE = "SELECT * FROM account_groups WHERE group_id = ? AND (? IS NULL OR user_id = ?)"


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of one account when its group was started or paused; `refused`: why it was left as it is, empty when it was not."""

    account_id: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    store: Store

    def add(self, group: Group, *, by: Actor) -> GroupRow:
        """`group.group_id` "" gets a new id. NotFound when one of its accounts is not this user's, Conflict when the name is taken."""
        made = replace(group, group_id=group.group_id or self.store.ids.new())

        def work(db: sqlite3.Connection) -> GroupRow:
            _check(db, made)
            db.execute(
                "INSERT INTO account_groups (group_id, user_id, name, created_at) VALUES (?, ?, ?, ?)",
                (made.group_id, made.user_id, made.name, self.store.now()),
            )
            _keep_members(db, made)
            self.store.audit(db, by, "group.created", made.group_id, after=made)
            return _rows(db.execute(_ONE, (made.group_id, None, None)).fetchall(), _members(db.execute(_MEMBERS).fetchall()))[0]

        return self.store.write(work)

    def get(self, user_id: str | None, group_id: str) -> GroupRow:
        row = found(self.store.readers.one(_ONE, (group_id, user_id, user_id)), "group")
        return _rows([row], _members(self.store.readers.all(_MEMBERS)))[0]

    def list(self, user_id: str | None) -> tuple[GroupRow, ...]:
        rows = self.store.readers.all(
            "SELECT * FROM account_groups WHERE (? IS NULL OR user_id = ?) ORDER BY created_at, group_id", (user_id, user_id)
        )
        return tuple(_rows(rows, _members(self.store.readers.all(_MEMBERS))))

    def change(self, user_id: str | None, group_id: str, edit: Callable[[Group], Group], *, by: Actor) -> GroupRow:
        """`edit` gets the group as it is inside the transaction. Owner and id cannot be changed."""

        def work(db: sqlite3.Connection) -> GroupRow:
            row = found(db.execute(_ONE, (group_id, user_id, user_id)).fetchone(), "group")
            old = _rows([row], _members(db.execute(_MEMBERS).fetchall()))[0].group
            new = replace(edit(old), group_id=old.group_id, user_id=old.user_id)
            _check(db, new)
            db.execute("UPDATE account_groups SET name = ? WHERE group_id = ?", (new.name, group_id))
            db.execute("DELETE FROM group_accounts WHERE group_id = ?", (group_id,))
            _keep_members(db, new)
            self.store.audit(db, by, "group.changed", group_id, before=old, after=new)
            return GroupRow(new, seconds(row["created_at"]))

        return self.store.write(work)

    def switch(self, user_id: str, group_id: str, account_ids: Collection[str], *, on: bool, by: Actor) -> tuple[Switched, ...]:
        """Auto-trade on or off for these accounts of the group, all in one transaction. On: one that is disabled, or whose holder does not agree, stays
        as it is and is named with the reason; an account that has left the group meanwhile is left alone. Conflict when their person may not trade."""

        def work(db: sqlite3.Connection) -> tuple[Switched, ...]:
            found(db.execute(_ONE, (group_id, user_id, user_id)).fetchone(), "group")
            if on:
                refuse_who_may_not_trade(db, user_id)
            members = set(_members(db.execute(_MEMBERS).fetchall()).get(group_id, ()))
            done = tuple(self._switch(db, key, on, by) for key in account_ids if key in members)
            refused = {each.account_id: each.refused for each in done if each.refused}
            after = {"account_ids": [each.account_id for each in done if not each.refused], **({"refused": refused} if refused else {})}
            self.store.audit(db, by, "group.started" if on else "group.paused", group_id, after=after)
            return done

        return self.store.write(work)

    def _switch(self, db: sqlite3.Connection, account_id: str, on: bool, by: Actor) -> Switched:
        row = db.execute("SELECT enabled, auto_trade FROM accounts WHERE account_id = ?", (account_id,)).fetchone()
        why = ""
        if on:
            why = objection(of_account(db, account_id), self.store.clock.now())
            if not row["enabled"]:
                why = "the account is switched off: enable it first"
        if not why and bool(row["auto_trade"]) != on:
            db.execute("UPDATE accounts SET auto_trade = ?, updated_at = ? WHERE account_id = ?", (on, self.store.now(), account_id))
            self.store.audit(db, by, "account.changed", account_id, before={"auto_trade": not on}, after={"auto_trade": on})
        return Switched(account_id, why)

    def delete(self, user_id: str | None, group_id: str, *, by: Actor) -> None:
        """Conflict while a combined rule is on it: what guards money is taken away by name, not in passing."""

        def work(db: sqlite3.Connection) -> None:
            row = found(db.execute(_ONE, (group_id, user_id, user_id)).fetchone(), "group")
            if db.execute("SELECT 1 FROM combined_rules WHERE scope = 'group' AND scope_id = ?", (group_id,)).fetchone():
                raise Conflict("the group has a combined P&L rule: remove that first")
            old = _rows([row], _members(db.execute(_MEMBERS).fetchall()))[0].group
            db.execute("DELETE FROM account_groups WHERE group_id = ?", (group_id,))
            self.store.audit(db, by, "group.deleted", group_id, before=old)

        self.store.write(work)


_MEMBERS = (
    "SELECT g.group_id, g.account_id FROM group_accounts g JOIN accounts a USING (account_id) WHERE a.archived_at IS NULL"
    " ORDER BY a.created_at, a.account_id"
)


def _check(db: sqlite3.Connection, group: Group) -> None:
    if not group.name.strip():
        raise Invalid.field("name", "must not be empty")
    sql = "SELECT 1 FROM account_groups WHERE user_id = ? AND name = ? AND group_id <> ?"
    if db.execute(sql, (group.user_id, group.name, group.group_id)).fetchone():
        raise Conflict("there is a group of that name already")
    for account_id in group.account_ids:
        sql = "SELECT 1 FROM accounts WHERE account_id = ? AND user_id = ? AND archived_at IS NULL"
        found(db.execute(sql, (account_id, group.user_id)).fetchone(), "account")


def _keep_members(db: sqlite3.Connection, group: Group) -> None:
    rows = [(group.group_id, account_id) for account_id in dict.fromkeys(group.account_ids)]
    db.executemany("INSERT INTO group_accounts (group_id, account_id) VALUES (?, ?)", rows)


def _members(rows: Sequence[sqlite3.Row]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault(row["group_id"], []).append(row["account_id"])
    return members


def _rows(rows: Sequence[sqlite3.Row], members: dict[str, list[str]]) -> list[GroupRow]:
    return [
        GroupRow(Group(row["group_id"], row["user_id"], row["name"], tuple(members.get(row["group_id"], ()))), seconds(row["created_at"]))
        for row in rows
    ]
