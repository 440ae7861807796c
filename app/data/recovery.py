"""What the engines need to go on after a stop of any kind, read from the books in one consistent moment.

Positions start from the newest stored opening, so that a start does not fold years of fills; the openings can be thrown away and made again.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.data import decode
from app.data import tables as t
from app.data.database import Readers
from app.data.values import from_json, micros
from engines.core.codec import dumps, loads
from engines.core.model import AccountDay, CombinedState, ExitPlan, Fill, JobRun, Order, Position, PositionKey, Timestamp
from engines.core.positions import empty, fold
from engines.execution.incidents import KEPT
from engines.ports import Recovered

LIVE = "state IN ('planned', 'sending', 'unknown', 'open', 'partly_filled')"
"""Word for word as in the index of live orders, or SQLite does not use it."""
_OVERTAKEN = f"""
SELECT orders.*, (
    SELECT later.body FROM signals AS mine JOIN signals AS later ON later.user_id = mine.user_id AND later.symbol = mine.symbol
    WHERE mine.key = orders.signal_key AND later.seq > mine.seq AND later.side <> orders.side AND later.strategy_id IS orders.strategy_id
    AND json_extract(later.body, '$.reduce_only') ORDER BY later.seq LIMIT 1
) AS body FROM orders WHERE {LIVE} AND role = 'entry' AND body IS NOT NULL ORDER BY orders.seq"""
_OPEN_INCIDENTS = "SELECT * FROM incidents WHERE until IS NULL ORDER BY seq"
_TRIPS = 200
_OPENINGS_KEPT = 3
_JOB_DAYS = 3
_NEWEST_COMBINED = "SELECT rule_id, max(day), body FROM combined_states GROUP BY rule_id"


@dataclass(frozen=True, slots=True)
class Openings:
    """Every position as folded from the fills before `at`; `last_fill` is the newest row of fills that was seen."""

    at: Timestamp
    positions: Sequence[Position]
    last_fill: int


def load(readers: Readers, since: Timestamp) -> tuple[Recovered, Openings | None]:
    """All that is known, positions split at `since`; with openings when fills had to be folded for them and they are worth keeping."""
    with readers.use() as db:
        db.execute("BEGIN")
        try:
            last_fill = db.execute("SELECT coalesce(max(seq), 0) FROM fills").fetchone()[0]
            openings, is_new = _openings(db, since)
            fills = [
                decode.fill(row) for row in db.execute("SELECT * FROM fills WHERE traded_at >= ? ORDER BY traded_at, seq", (micros(since),))
            ]
            states = db.execute("SELECT strategy_id, state, quarantined FROM strategy_states").fetchall()
            recovered = Recovered(
                live_orders=[decode.order(row) for row in db.execute(f"SELECT * FROM orders WHERE {LIVE} ORDER BY seq")],
                signals=[
                    decode.signal(row)
                    for row in db.execute(f"SELECT * FROM signals WHERE key IN (SELECT signal_key FROM orders WHERE {LIVE}) ORDER BY seq")
                ],
                opening=_needed(openings, fills),
                fills=fills,
                booked=_pairs(db, f"SELECT order_id, trade_id FROM fills WHERE order_id IN (SELECT order_id FROM orders WHERE {LIVE})"),
                settled_cash=_settled(openings),
                plans=[*_plans(db, "state = 'stopped'"), *_plans(db, "state = 'armed'")],
                overtaken=[(decode.order(row), decode.signal(row)) for row in db.execute(_OVERTAKEN)],
                days=_newest_days(db),
                halts=[decode.halt(row) for row in db.execute("SELECT * FROM halts WHERE lifted_at IS NULL ORDER BY seq")],
                kill_switches=dict(_pairs(db, "SELECT account_id, reason FROM kill_switches WHERE is_on")),
                engines_off={user_id or None: by for user_id, by in _pairs(db, "SELECT user_id, by FROM engine_switches WHERE NOT is_on")},
                strategy_states={row["strategy_id"]: from_json(row["state"]) for row in states},
                quarantined={row["strategy_id"]: row["quarantined"] for row in states if row["quarantined"] is not None},
                closed_trades=_closed_trades(db),
                job_runs=_job_runs(db),
                real_prices=[row["symbol"] for row in db.execute("SELECT symbol FROM markets WHERE live ORDER BY symbol")],
                incidents=tuple(one for one in map(decode.incident, db.execute(_OPEN_INCIDENTS)) if one.kind in KEPT),
                combined=[loads(CombinedState, row["body"]) for row in db.execute(_NEWEST_COMBINED)],
            )
        finally:
            db.execute("ROLLBACK")
    return recovered, Openings(since, tuple(openings.values()), last_fill) if is_new else None


def find_signal(readers: Readers, user_id: str, signal_id: str) -> tuple[str, Sequence[Order]] | None:
    with readers.use() as db:
        row = db.execute("SELECT key FROM signals WHERE user_id = ? AND signal_id = ?", (user_id, signal_id)).fetchone()
        if row is None:
            return None
        return row["key"], [decode.order(o) for o in db.execute("SELECT * FROM orders WHERE signal_key = ? ORDER BY seq", (row["key"],))]


def keep_openings(db: sqlite3.Connection, openings: Openings) -> None:
    """Stores what was folded, unless a fill from before that moment has come in since."""
    at = micros(openings.at)
    if db.execute("SELECT 1 FROM fills WHERE seq > ? AND traded_at < ?", (openings.last_fill, at)).fetchone():
        return
    t.OPENINGS.write(db, [(at, position.position_id, dumps(position)) for position in openings.positions])
    db.execute(
        "DELETE FROM openings WHERE at < (SELECT min(at) FROM (SELECT DISTINCT at FROM openings ORDER BY at DESC LIMIT ?))",
        (_OPENINGS_KEPT,),
    )


def _openings(db: sqlite3.Connection, since: Timestamp) -> tuple[dict[PositionKey, Position], bool]:
    """Every position as folded from the fills before `since`; True when fills had to be folded for it."""
    at = db.execute("SELECT max(at) FROM openings WHERE at <= ?", (micros(since),)).fetchone()[0]
    stored = [loads(Position, row["body"]) for row in db.execute("SELECT body FROM openings WHERE at = ?", (at,))]
    positions = {position.key: position for position in stored}
    rows = db.execute("SELECT * FROM fills WHERE traded_at >= ? AND traded_at < ?", (at or 0, micros(since)))
    by_key: dict[PositionKey, list[Fill]] = defaultdict(list)
    for row in rows:
        fill = decode.fill(row)
        by_key[fill.position_key].append(fill)
    for key, fills in by_key.items():
        positions[key] = fold(positions.get(key) or empty(key), fills)
    return positions, bool(by_key)


def _needed(openings: Mapping[PositionKey, Position], fills: Sequence[Fill]) -> list[Position]:
    traded = {fill.position_key for fill in fills}
    needed = (position for key, position in openings.items() if position.quantity or key in traded)
    return sorted(needed, key=lambda position: position.position_id)


def _settled(openings: Mapping[PositionKey, Position]) -> dict[str, Decimal]:
    cash: dict[str, Decimal] = defaultdict(Decimal)
    for position in openings.values():
        cash[position.key.account_id] += position.cash_flow - position.charges
    return dict(cash)


def _plans(db: sqlite3.Connection, which: str) -> list[ExitPlan]:
    """`which` is word for word as in an index, or SQLite does not use it."""
    return [decode.plan(row) for row in db.execute(f"SELECT body FROM plans WHERE {which} ORDER BY updated_at")]


def _newest_days(db: sqlite3.Connection) -> list[AccountDay]:
    return [
        decode.day(row)
        for row in db.execute("SELECT account_id, max(day) AS day, trades, locked, warned FROM account_days GROUP BY account_id")
    ]


def _closed_trades(db: sqlite3.Connection) -> dict[tuple[str, str], list[Decimal]]:
    """Net results of the newest round trips of each account and strategy, oldest first."""
    trades: dict[tuple[str, str], list[Decimal]] = {}
    pairs = db.execute("SELECT DISTINCT account_id, strategy_id FROM round_trips WHERE strategy_id IS NOT NULL").fetchall()
    for account_id, strategy_id in pairs:
        rows = db.execute(
            "SELECT net FROM round_trips WHERE account_id = ? AND strategy_id = ? ORDER BY seq DESC LIMIT ?",
            (account_id, strategy_id, _TRIPS),
        ).fetchall()
        trades[account_id, strategy_id] = [Decimal(net) for (net,) in reversed(rows)]
    return trades


def _job_runs(db: sqlite3.Connection) -> list[JobRun]:
    newest = "SELECT DISTINCT day FROM job_runs ORDER BY day DESC LIMIT ?"
    return [
        decode.job_run(row) for row in db.execute(f"SELECT * FROM job_runs WHERE day IN ({newest}) ORDER BY day, planned_at", (_JOB_DAYS,))
    ]


def _pairs(db: sqlite3.Connection, sql: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in db.execute(sql)]
