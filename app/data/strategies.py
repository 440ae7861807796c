"""Strategies as people configure them. What a kind's parameters mean is the registry's business, not ours: they are kept as JSON.

Everything is scoped to the strategy's owner but `seen` and `list_seen`, which also give what others share with a person.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from app.data.combined import forget_scope
from app.data.errors import Conflict, Invalid
from app.data.history import has_history, refuse_while_trading
from app.data.rows import Actor, StrategyRow
from app.data.shares import Shares
from app.data.store import Store, found
from app.data.values import from_json, seconds, seconds_or_none, to_json
from engines.core.codec import dumps, loads, to_plain
from engines.core.model import CombinedScope, ExitSpec, ReentrySpec, StrategyConfig, Timeframe

_WITH = "(SELECT json_group_array(h.user_id) FROM strategy_shares AS h WHERE h.strategy_id = s.strategy_id) AS shared_with"
_ROWS = f"SELECT s.*, {_WITH} FROM strategies AS s"
_ONE = f"{_ROWS} WHERE s.strategy_id = ? AND (? IS NULL OR s.user_id = ?)"
SEEN = "(s.user_id = ? OR EXISTS (SELECT 1 FROM strategy_shares AS h WHERE h.strategy_id = s.strategy_id AND h.user_id = ?))"
"""Of a strategy `s`: whether it is this person's or shared with them (the user id twice)."""


@dataclass(frozen=True, slots=True)
class Strategies:
    store: Store
    shares: Shares

    def add(self, strategy: StrategyConfig, *, by: Actor) -> StrategyRow:
        """`strategy.strategy_id` "" gets a new id."""
        made = replace(strategy, strategy_id=strategy.strategy_id or self.store.ids.new())
        _check(made)

        def work(db: sqlite3.Connection) -> StrategyRow:
            now = self.store.now()
            found(db.execute("SELECT user_id FROM users WHERE user_id = ?", (made.user_id,)).fetchone(), "user")
            db.execute(
                "INSERT INTO strategies (strategy_id, user_id, name, kind, timeframe, instruments, params, active, exit_plan, reentry, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (made.strategy_id, made.user_id, *_values(made), now, now),
            )
            self.store.audit(db, by, "strategy.created", made.strategy_id, after=made)
            return _row(db.execute(_ONE, (made.strategy_id, None, None)).fetchone())

        return self.store.write(work)

    def get(self, user_id: str | None, strategy_id: str) -> StrategyRow:
        return _row(found(self.store.readers.one(_ONE, (strategy_id, user_id, user_id)), "strategy"))

    def list(self, user_id: str | None, *, archived: bool = False) -> tuple[StrategyRow, ...]:
        rows = self.store.readers.all(
            f"{_ROWS} WHERE (? IS NULL OR s.user_id = ?) AND (? OR s.archived_at IS NULL) ORDER BY s.created_at, s.strategy_id",
            (user_id, user_id, archived),
        )
        return tuple(map(_row, rows))

    def seen(self, user_id: str, strategy_id: str) -> StrategyRow:
        """One's own, archived or not, or one that somebody shares."""
        sql = f"{_ROWS} WHERE s.strategy_id = ? AND {SEEN} AND (s.archived_at IS NULL OR s.user_id = ?)"
        return _row(found(self.store.readers.one(sql, (strategy_id, user_id, user_id, user_id)), "strategy"))

    def list_seen(self, user_id: str) -> tuple[StrategyRow, ...]:
        """One's own and what others share, without what is archived."""
        sql = f"{_ROWS} WHERE {SEEN} AND s.archived_at IS NULL ORDER BY s.created_at, s.strategy_id"
        return tuple(map(_row, self.store.readers.all(sql, (user_id, user_id))))

    def change(self, user_id: str | None, strategy_id: str, edit: Callable[[StrategyConfig], StrategyConfig], *, by: Actor) -> StrategyRow:
        """`edit` gets the strategy as it is inside the transaction. Owner, id and kind cannot be changed."""

        def work(db: sqlite3.Connection) -> StrategyRow:
            before = _row(found(db.execute(_ONE, (strategy_id, user_id, user_id)).fetchone(), "strategy"))
            if before.archived_at is not None:
                raise Conflict("the strategy is archived")
            old = before.strategy
            new = replace(edit(old), strategy_id=old.strategy_id, user_id=old.user_id, kind=old.kind)
            _check(new)
            db.execute(
                "UPDATE strategies SET name = ?, kind = ?, timeframe = ?, instruments = ?, params = ?, active = ?, exit_plan = ?, reentry = ?, updated_at = ?"
                " WHERE strategy_id = ?",
                (*_values(new), self.store.now(), strategy_id),
            )
            self.store.audit(db, by, "strategy.changed", strategy_id, before=old, after=new)
            changed = [each.name for each in fields(new) if getattr(new, each.name) != getattr(old, each.name)]
            if changed:
                self.shares.strategy_changes(db, strategy_id, changed)
            return _row(db.execute(_ONE, (strategy_id, None, None)).fetchone())

        return self.store.write(work)

    def delete(self, user_id: str | None, strategy_id: str, *, by: Actor) -> bool:
        """True: gone; False: archived, because somebody has history with it. Conflict while it has live orders or open positions of its owner's; what
        others hold keeps its exit plans, and they are told that nothing else closes it any more."""

        def work(db: sqlite3.Connection) -> bool:
            row = found(db.execute(_ONE, (strategy_id, user_id, user_id)).fetchone(), "strategy")
            refuse_while_trading(db, "strategy", row["user_id"], strategy_id)
            self.shares.strategy_ends(db, strategy_id, by=by)
            everybody = [each["user_id"] for each in db.execute("SELECT user_id FROM users")]
            gone = not any(has_history(db, "strategy", person, strategy_id) for person in everybody)
            db.execute("DELETE FROM mappings WHERE strategy_id = ?", (strategy_id,))
            forget_scope(db, CombinedScope.STRATEGY, strategy_id)
            db.execute("DELETE FROM webhooks WHERE strategy_id = ?", (strategy_id,))
            if gone:
                db.execute("DELETE FROM strategies WHERE strategy_id = ?", (strategy_id,))
                db.execute("DELETE FROM strategy_states WHERE strategy_id = ?", (strategy_id,))
                db.execute("DELETE FROM strategy_levels WHERE strategy_id = ?", (strategy_id,))
            else:
                db.execute("UPDATE strategies SET archived_at = ?, active = 0 WHERE strategy_id = ?", (self.store.now(), strategy_id))
            self.store.audit(db, by, "strategy.deleted" if gone else "strategy.archived", strategy_id, before=_row(row).strategy)
            return gone

        return self.store.write(work)


def _values(strategy: StrategyConfig) -> tuple[object, ...]:
    s = strategy
    exit_plan = None if s.exit_plan is None else dumps(s.exit_plan)
    reentry = None if s.reentry is None else dumps(s.reentry)
    return s.name, s.kind, s.timeframe.value, to_json(list(s.instruments)), to_json(to_plain(s.params)), s.active, exit_plan, reentry


def _row(row: sqlite3.Row) -> StrategyRow:
    strategy = StrategyConfig(
        strategy_id=row["strategy_id"],
        user_id=row["user_id"],
        name=row["name"],
        kind=row["kind"],
        timeframe=Timeframe(row["timeframe"]),
        instruments=tuple(from_json(row["instruments"])),
        params=from_json(row["params"]),
        active=bool(row["active"]),
        exit_plan=None if row["exit_plan"] is None else loads(ExitSpec, row["exit_plan"]),
        reentry=None if row["reentry"] is None else loads(ReentrySpec, row["reentry"]),
        shared_with=tuple(from_json(row["shared_with"])),
    )
    return StrategyRow(strategy, seconds(row["created_at"]), seconds(row["updated_at"]), seconds_or_none(row["archived_at"]))


def _check(strategy: StrategyConfig) -> None:
    errors: dict[str, list[str]] = {}
    if not strategy.name.strip():
        errors["name"] = ["must not be empty"]
    if not strategy.instruments:
        errors["instruments"] = ["must name at least one"]
    if errors:
        raise Invalid(errors)
