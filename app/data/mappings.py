"""Which strategy trades on which account, and with how much. What is given out of an account can never exceed the whole of it:
the sum is taken inside the write transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from app.data.errors import Conflict, Invalid, NotFound
from app.data.may import refuse_who_may_not_trade
from app.data.rows import Actor, MappingRow
from app.data.store import Store, found
from app.data.strategies import SEEN
from app.data.values import exact, seconds
from engines.core.codec import dumps, loads
from engines.core.model import ZERO, AccountMapping, Sizing

WHOLE = Decimal(100)
_ONE = "SELECT * FROM mappings WHERE mapping_id = ? AND (? IS NULL OR user_id = ?)"


@dataclass(frozen=True, slots=True)
class Mappings:
    store: Store

    def add(self, user_id: str, mapping: AccountMapping, *, by: Actor) -> MappingRow:
        """`mapping.mapping_id` "" gets a new id. NotFound when the account is not this user's or the strategy neither theirs nor shared with them,
        Conflict when the two are mapped already or as in `change`, Invalid when the account has not that much left."""
        made = replace(mapping, mapping_id=mapping.mapping_id or self.store.ids.new())

        def work(db: sqlite3.Connection) -> MappingRow:
            sql = "SELECT 1 FROM accounts WHERE account_id = ? AND user_id = ? AND archived_at IS NULL"
            found(db.execute(sql, (made.account_id, user_id)).fetchone(), "account")
            if not _may_trade(db, user_id, made.strategy_id):
                raise NotFound("there is no such strategy")
            if made.enabled:
                refuse_who_may_not_trade(db, user_id)
            pair = (made.account_id, made.strategy_id)
            if db.execute("SELECT 1 FROM mappings WHERE account_id = ? AND strategy_id = ?", pair).fetchone():
                raise Conflict("this strategy is mapped to this account already")
            _check(db, made)
            now = self.store.now()
            db.execute(
                "INSERT INTO mappings (mapping_id, user_id, account_id, strategy_id, allocation_pct, sizing, risk_per_trade_pct, multiplier, enabled,"
                " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (made.mapping_id, user_id, *pair, *_values(made), now, now),
            )
            self.store.audit(db, by, "mapping.created", made.mapping_id, after=made)
            return _row(db.execute(_ONE, (made.mapping_id, None, None)).fetchone())

        return self.store.write(work)

    def get(self, user_id: str | None, mapping_id: str) -> MappingRow:
        return _row(found(self.store.readers.one(_ONE, (mapping_id, user_id, user_id)), "mapping"))

    def list(self, user_id: str | None, *, account_id: str | None = None, strategy_id: str | None = None) -> tuple[MappingRow, ...]:
        rows = self.store.readers.all(
            "SELECT * FROM mappings WHERE (:user IS NULL OR user_id = :user) AND (:account IS NULL OR account_id = :account)"
            " AND (:strategy IS NULL OR strategy_id = :strategy) ORDER BY created_at, mapping_id",
            {"user": user_id, "account": account_id, "strategy": strategy_id},
        )
        return tuple(map(_row, rows))

    def change(self, user_id: str | None, mapping_id: str, edit: Callable[[AccountMapping], AccountMapping], *, by: Actor) -> MappingRow:
        """`edit` gets the mapping as it is inside the transaction. Account, strategy and id cannot be changed. Conflict when it would be switched on
        although its strategy is no longer shared with whose account it is, or they may not trade (any more)."""

        def work(db: sqlite3.Connection) -> MappingRow:
            row = _row(found(db.execute(_ONE, (mapping_id, user_id, user_id)).fetchone(), "mapping"))
            old = row.mapping
            new = replace(edit(old), mapping_id=old.mapping_id, account_id=old.account_id, strategy_id=old.strategy_id)
            if new.enabled and not old.enabled:
                refuse_who_may_not_trade(db, row.user_id)
                if not _may_trade(db, row.user_id, old.strategy_id):
                    raise Conflict("its strategy is no longer shared with you: the mapping stays off")
            _check(db, new)
            db.execute(
                "UPDATE mappings SET allocation_pct = ?, sizing = ?, risk_per_trade_pct = ?, multiplier = ?, enabled = ?, updated_at = ?"
                " WHERE mapping_id = ?",
                (*_values(new), self.store.now(), mapping_id),
            )
            self.store.audit(db, by, "mapping.changed", mapping_id, before=old, after=new)
            return _row(db.execute(_ONE, (mapping_id, None, None)).fetchone())

        return self.store.write(work)

    def delete(self, user_id: str | None, mapping_id: str, *, by: Actor) -> None:
        def work(db: sqlite3.Connection) -> None:
            old = _row(found(db.execute(_ONE, (mapping_id, user_id, user_id)).fetchone(), "mapping")).mapping
            db.execute("DELETE FROM mappings WHERE mapping_id = ?", (mapping_id,))
            self.store.audit(db, by, "mapping.deleted", mapping_id, before=old)

        self.store.write(work)


def _may_trade(db: sqlite3.Connection, user_id: str, strategy_id: str) -> bool:
    sql = f"SELECT 1 FROM strategies AS s WHERE s.strategy_id = ? AND s.archived_at IS NULL AND {SEEN}"
    return db.execute(sql, (strategy_id, user_id, user_id)).fetchone() is not None


def _allocated(db: sqlite3.Connection, account_id: str, *, except_for: str = "") -> Decimal:
    rows = db.execute("SELECT allocation_pct FROM mappings WHERE account_id = ? AND mapping_id <> ?", (account_id, except_for))
    return sum((Decimal(pct) for (pct,) in rows), ZERO)


def _check(db: sqlite3.Connection, mapping: AccountMapping) -> None:
    """Mappings that are switched off count as well, so that switching them on is always possible."""
    for name in ("allocation_pct", "multiplier"):
        if not getattr(mapping, name) > 0:
            raise Invalid.field(name, "must be more than zero")
    if not mapping.risk_per_trade_pct >= 0:
        raise Invalid.field("risk_per_trade_pct", "must be zero or more")
    given = _allocated(db, mapping.account_id, except_for=mapping.mapping_id)
    if given + mapping.allocation_pct > WHOLE:
        left = max(ZERO, WHOLE - given)
        raise Invalid.field("allocation_pct", f"the allocations of an account may not exceed 100 %: {exact(left)} % is left")


def _values(mapping: AccountMapping) -> tuple[object, ...]:
    m = mapping
    return exact(m.allocation_pct), dumps(m.sizing), exact(m.risk_per_trade_pct), exact(m.multiplier), m.enabled


def _row(row: sqlite3.Row) -> MappingRow:
    mapping = AccountMapping(
        mapping_id=row["mapping_id"],
        account_id=row["account_id"],
        strategy_id=row["strategy_id"],
        allocation_pct=Decimal(row["allocation_pct"]),
        sizing=loads(Sizing, row["sizing"]),
        risk_per_trade_pct=Decimal(row["risk_per_trade_pct"]),
        multiplier=Decimal(row["multiplier"]),
        enabled=bool(row["enabled"]),
    )
    return MappingRow(mapping, row["user_id"], seconds(row["created_at"]), seconds(row["updated_at"]))
