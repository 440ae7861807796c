"""The tables of trading facts as the journal writes them: which columns, what names a row, what may change.

Many rows go in with one statement: each step into SQLite gives up the interpreter's lock, and getting it back in a busy process costs more than a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Row = tuple[Any, ...]

_CHUNKS = (32, 16, 8, 4, 2, 1)


@dataclass(frozen=True, slots=True)
class Table:
    """`key`: how many leading columns name a row (0: every row is a new one). `kept`: columns that never change after the first write."""

    name: str
    columns: tuple[str, ...]
    key: int
    kept: frozenset[str] = field(default_factory=frozenset)
    once: bool = False  # a second row of the same key changes nothing
    found: str = ""  # a statement that itself finds the rows that one of ours stands for

    def write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        if self.found:
            connection.executemany(self.found, rows)
            return
        at = 0
        for size in _CHUNKS:
            while len(rows) - at >= size:
                connection.execute(_statement(self, size), [value for row in rows[at : at + size] for value in row])
                at += size


@cache
def _statement(table: Table, rows: int) -> str:
    values = ", ".join(["(" + ", ".join("?" * len(table.columns)) + ")"] * rows)
    sql = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES {values}"
    if not table.key:
        return sql
    names = table.columns[: table.key]
    changing = [name for name in table.columns[table.key :] if name not in table.kept]
    if table.once or not changing:
        return f"{sql} ON CONFLICT ({', '.join(names)}) DO NOTHING"
    return f"{sql} ON CONFLICT ({', '.join(names)}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in changing)}"


def _table(name: str, columns: str, key: int, *, kept: str = "", once: bool = False) -> Table:
    return Table(name, tuple(columns.split()), key, frozenset(kept.split()), once)


SIGNALS = _table("signals", "key user_id signal_id source symbol side strategy_id created_at body", 1, once=True)
ORDERS = _table(
    "orders",
    "order_id account_id user_id signal_key symbol side quantity order_type product role created_at updated_at strategy_id price trigger_price"
    " state reason broker_order_id filled_quantity average_price plan_id sent_at acknowledged_at checks",
    1,
    kept="account_id user_id signal_key symbol side product role created_at strategy_id",
)
EVENTS = _table("order_events", "order_id kind at detail", 0)
FILLS = _table(
    "fills",
    "order_id trade_id user_id account_id symbol side product strategy_id broker_order_id quantity price charges realised traded_at fee_quantity",
    2,
    once=True,
)
POSITIONS = _table(
    "positions",
    "position_id user_id account_id symbol product strategy_id is_open quantity cash_flow open_cost realised charges opened_at updated_at trip_net",
    1,
    kept="user_id account_id symbol product strategy_id",
)
TRIPS = _table("round_trips", "position_id user_id account_id strategy_id symbol closed_at net", 0)
PNL = _table("pnl_daily", "user_id account_id strategy_id day realised charges fills turnover", 4)
OPENINGS = _table("openings", "at position_id body", 2)
PLANS = _table("plans", "plan_id user_id account_id state updated_at body", 1, kept="user_id account_id")
DAYS = _table("account_days", "account_id day trades locked warned", 2)
HALTS = _table("halts", "halt_id scope scope_id reason since by flatten lifted_at lifted_by", 1)
ENGINES = _table("engine_switches", "user_id is_on by at", 1)
KILLS = _table("kill_switches", "account_id is_on reason by at", 1)
STATES = _table("strategy_states", "strategy_id state quarantined at", 1)
EQUITY = _table("equity", "account_id at equity realised unrealised charges", 2)
INCIDENTS = _table("incidents", "incident_id kind message severity since user_id account_id until", 1)
CANDLES = _table("candles", "symbol timeframe live start open high low close volume", 4)
JOBS = _table("job_runs", "day job state planned_at at detail", 2)
COMBINED = _table("combined_states", "rule_id day body", 2)
LEVELS = _table("strategy_levels", "strategy_id symbol day at says levels", 3)
MARKETS = _table("markets", "symbol live at", 1)
DAY_BOOKS = _table("day_books", "account_id day at body", 2)
SET_ASIDE = _table("set_aside", "at kind fact error", 0)
MESSAGES = _table("messages", "dedupe kind user_id account_id ref at", 1, once=True)


def _told(to: str, dedupe: str = "?1") -> str:
    """`to`: the people, found where the fact itself is written; what is rare enough may look."""
    return f"INSERT OR IGNORE INTO messages (dedupe, kind, user_id, account_id, ref, at) SELECT {dedupe}, ?2, {to}"


_MESSAGE = tuple("dedupe kind whose ref at".split())
MESSAGES_OF_ACCOUNT = Table(
    "messages of accounts", _MESSAGE, 1, found=_told("user_id, account_id, ?4, ?5 FROM accounts WHERE account_id = ?3")
)
MESSAGES_OF_STRATEGY = Table(
    "messages of strategies",
    _MESSAGE,
    1,
    found=_told(
        "user_id, NULL, ?4, ?5 FROM (SELECT user_id FROM strategies WHERE strategy_id = ?3"
        " UNION SELECT user_id FROM mappings WHERE strategy_id = ?3 AND enabled)",
        "?1 || ':' || user_id",
    ),
)
MESSAGES_OF_DAY = Table(
    "messages of days",
    ("dedupe", "kind", "account_id", "ref", "at"),
    3,
    found=_told("user_id, NULL, ?4, ?5 FROM accounts WHERE account_id = ?3", "?1 || ':' || user_id"),
)
