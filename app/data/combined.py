"""Rules of the combined P&L, one for each strategy, account or group. What a rule means is `engines.core.combined`'s business."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.data.errors import Conflict, Invalid
from app.data.rows import Actor, CombinedRow
from app.data.store import Store, found
from app.data.values import seconds
from engines.core.codec import dumps, loads
from engines.core.combined import BadRule, check_rule
from engines.core.model import CombinedRule, CombinedScope

_ONE = "SELECT * FROM combined_rules WHERE rule_id = ? AND (? IS NULL OR user_id = ?)"
_THERE = {
    CombinedScope.STRATEGY: "SELECT 1 FROM strategies WHERE strategy_id = ? AND user_id = ? AND archived_at IS NULL",
    CombinedScope.ACCOUNT: "SELECT 1 FROM accounts WHERE account_id = ? AND user_id = ? AND archived_at IS NULL",
    CombinedScope.GROUP: "SELECT 1 FROM account_groups WHERE group_id = ? AND user_id = ?",
}


@dataclass(frozen=True, slots=True)
class CombinedRules:
    store: Store

    def add(self, rule: CombinedRule, *, by: Actor) -> CombinedRow:
        """`rule.rule_id` "" gets a new id. NotFound when its scope is not this user's, Conflict when the scope has a rule already."""
        made = replace(rule, rule_id=rule.rule_id or self.store.ids.new())

        def work(db: sqlite3.Connection) -> CombinedRow:
            found(db.execute(_THERE[made.scope], (made.scope_id, made.user_id)).fetchone(), made.scope.value)
            if db.execute("SELECT 1 FROM combined_rules WHERE scope = ? AND scope_id = ?", (made.scope.value, made.scope_id)).fetchone():
                raise Conflict(f"this {made.scope.value} has a combined P&L rule already: change that one")
            _check(made)
            now = self.store.now()
            db.execute(
                "INSERT INTO combined_rules (rule_id, user_id, scope, scope_id, body, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (made.rule_id, made.user_id, made.scope.value, made.scope_id, dumps(made), now, now),
            )
            self.store.audit(db, by, "combined_rule.created", made.rule_id, after=made)
            return _row(db.execute(_ONE, (made.rule_id, None, None)).fetchone())

        return self.store.write(work)

    def get(self, user_id: str | None, rule_id: str) -> CombinedRow:
        return _row(found(self.store.readers.one(_ONE, (rule_id, user_id, user_id)), "rule"))

    def list(self, user_id: str | None) -> tuple[CombinedRow, ...]:
        rows = self.store.readers.all(
            "SELECT * FROM combined_rules WHERE (? IS NULL OR user_id = ?) ORDER BY created_at, rule_id", (user_id, user_id)
        )
        return tuple(map(_row, rows))

    def change(self, user_id: str | None, rule_id: str, edit: Callable[[CombinedRule], CombinedRule], *, by: Actor) -> CombinedRow:
        """`edit` gets the rule as it is inside the transaction. Its scope cannot be changed."""

        def work(db: sqlite3.Connection) -> CombinedRow:
            old = _row(found(db.execute(_ONE, (rule_id, user_id, user_id)).fetchone(), "rule")).rule
            new = replace(edit(old), rule_id=old.rule_id, user_id=old.user_id, scope=old.scope, scope_id=old.scope_id)
            _check(new)
            db.execute("UPDATE combined_rules SET body = ?, updated_at = ? WHERE rule_id = ?", (dumps(new), self.store.now(), rule_id))
            self.store.audit(db, by, "combined_rule.changed", rule_id, before=old, after=new)
            return _row(db.execute(_ONE, (rule_id, None, None)).fetchone())

        return self.store.write(work)

    def delete(self, user_id: str | None, rule_id: str, *, by: Actor) -> None:
        def work(db: sqlite3.Connection) -> None:
            old = _row(found(db.execute(_ONE, (rule_id, user_id, user_id)).fetchone(), "rule")).rule
            db.execute("DELETE FROM combined_rules WHERE rule_id = ?", (rule_id,))
            db.execute("DELETE FROM combined_states WHERE rule_id = ?", (rule_id,))
            self.store.audit(db, by, "combined_rule.deleted", rule_id, before=old)

        self.store.write(work)


def forget_scope(db: sqlite3.Connection, scope: CombinedScope, scope_id: str) -> None:
    """With the thing that it guards a rule goes, too."""
    db.execute("DELETE FROM combined_rules WHERE scope = ? AND scope_id = ?", (scope.value, scope_id))


def _check(rule: CombinedRule) -> None:
    try:
        check_rule(rule)
    except BadRule as error:
        raise Invalid.field(error.field, str(error)) from error


def _row(row: sqlite3.Row) -> CombinedRow:
    return CombinedRow(loads(CombinedRule, row["body"]), seconds(row["created_at"]), seconds(row["updated_at"]))
