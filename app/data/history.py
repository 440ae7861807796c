"""Whether an account or strategy may go: not while it trades, and not without a trace once it has traded."""

from __future__ import annotations

import sqlite3

from app.data.errors import Conflict
from app.data.recovery import LIVE

_OF = {"account": "account_id = :id", "strategy": "user_id = :user AND strategy_id = :id"}


def refuse_while_trading(db: sqlite3.Connection, what: str, user_id: str, object_id: str) -> None:
    """`what`: "account" or "strategy". What was appended to the journal before this transaction is in the books already."""
    ids = {"id": object_id, "user": user_id}
    if db.execute(f"SELECT 1 FROM orders WHERE {_OF[what]} AND {LIVE} LIMIT 1", ids).fetchone():
        raise Conflict(f"the {what} has live orders: cancel them first")
    if db.execute(f"SELECT 1 FROM positions WHERE {_OF[what]} AND is_open LIMIT 1", ids).fetchone():
        raise Conflict(f"the {what} has open positions: close them first")


def has_history(db: sqlite3.Connection, what: str, user_id: str, object_id: str) -> bool:
    ids = {"id": object_id, "user": user_id}
    tables = ("orders", "signals") if what == "strategy" else ("orders",)
    return any(db.execute(f"SELECT 1 FROM {table} WHERE {_OF[what]} LIMIT 1", ids).fetchone() for table in tables)
