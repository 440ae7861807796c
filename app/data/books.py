"""The books as people read them: signals, orders and their stories, trades, positions, results. Only reads.

Every query is scoped: `user_id` None means every user's and is for the system's own use, never for a page.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.data import decode
from app.data.query import Query
from app.data.recovery import LIVE
from app.data.results import Results
from app.data.rows import OrderStory, Page, PositionRow, SignalRow, StrategyStatus, TradeRow
from app.data.store import Store, found
from app.data.values import from_json, seconds, to_json
from engines.core.model import Candle, Halt, Incident, Order, Timestamp


@dataclass(frozen=True, slots=True)
class Books(Results):
    store: Store

    # --- signals and orders ----------------------------------------------------------------------------------------

    def signals(
        self,
        user_id: str | None,
        *,
        source: str | None = None,
        symbol: str | None = None,
        side: str | None = None,
        strategy_id: str | None = None,
        account_id: str | None = None,
        since: Timestamp | None = None,
        until: Timestamp | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[SignalRow]:
        """With their orders, but those without their checks (`order` has them)."""
        with self.store.readers.use() as db:
            query = Query(db, "signals", user_id)
            query.equal(source=source, symbol=symbol, side=side, strategy_id=strategy_id).between(since, until)
            if account_id is not None:
                query.where("key IN (SELECT signal_key FROM orders WHERE account_id = :account_id)", account_id=account_id)
            rows, following = query.page(limit, cursor)
            orders = _orders_of(db, [row["key"] for row in rows])
            return Page(tuple(_signal_row(row, orders[row["key"]]) for row in rows), following)

    def signal(self, user_id: str, signal_id: str) -> SignalRow:
        """By the caller's own id. Raises NotFound."""
        with self.store.readers.use() as db:
            sql = "SELECT * FROM signals WHERE user_id = ? AND signal_id = ?"
            return _whole_signal(db, found(db.execute(sql, (user_id, signal_id)).fetchone(), "signal"))

    def orders(
        self,
        user_id: str | None,
        *,
        account_id: str | None = None,
        symbol: str | None = None,
        side: str | None = None,
        state: str | None = None,
        role: str | None = None,
        strategy_id: str | None = None,
        signal_id: str | None = None,
        order_type: str | None = None,
        product: str | None = None,
        reason: str | None = None,
        live: bool | None = None,
        since: Timestamp | None = None,
        until: Timestamp | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Order]:
        with self.store.readers.use() as db:
            query = Query(db, "orders", user_id)
            query.equal(account_id=account_id, symbol=symbol, side=side, state=state, role=role, strategy_id=strategy_id)
            query.equal(order_type=order_type, product=product, reason=reason)
            query.between(since, until)
            if signal_id is not None:
                whose = "" if user_id is None else "AND user_id = :user_id"
                keys = f"SELECT key FROM signals WHERE signal_id = :signal_id {whose}"
                query.where(f"signal_key IN ({keys})", signal_id=signal_id).by("orders_signal")
            elif live:
                query.by("orders_live")
            if live is not None:
                query.where(LIVE if live else f"NOT ({LIVE})")
            rows, following = query.page(limit, cursor)
            return Page(tuple(map(decode.order, rows)), following)

    def signal_ids(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Signal key → the caller's own signal id, for the orders of a list."""
        sql = "SELECT key, signal_id FROM signals WHERE key IN (SELECT value FROM json_each(?))"
        return {row["key"]: row["signal_id"] for row in self.store.readers.all(sql, (to_json(sorted(set(keys))),))}

    def order(self, user_id: str | None, order_id: str) -> OrderStory:
        """The whole story of one order. Raises NotFound."""
        with self.store.readers.use() as db:
            order = decode.order(found(_own(db, "orders", "order_id", order_id, user_id), "order"))
            signal = db.execute("SELECT * FROM signals WHERE key = ?", (order.signal_key,)).fetchone()
            events = db.execute("SELECT * FROM order_events WHERE order_id = ? ORDER BY seq", (order_id,))
            fills = db.execute("SELECT * FROM fills WHERE order_id = ? ORDER BY seq", (order_id,))
            return OrderStory(
                order,
                None if signal is None else _whole_signal(db, signal),
                tuple(map(decode.event, events)),
                tuple(map(decode.fill, fills)),
            )

    def trades(
        self,
        user_id: str | None,
        *,
        account_id: str | None = None,
        symbol: str | None = None,
        side: str | None = None,
        strategy_id: str | None = None,
        order_id: str | None = None,
        since: Timestamp | None = None,
        until: Timestamp | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[TradeRow]:
        with self.store.readers.use() as db:
            query = Query(db, "fills", user_id, "traded_at")
            query.equal(account_id=account_id, symbol=symbol, side=side, strategy_id=strategy_id, order_id=order_id).between(since, until)
            if order_id is not None:
                query.by("fills_order")
            rows, following = query.page(limit, cursor)
            return Page(tuple(TradeRow(decode.fill(row), row["user_id"], Decimal(row["realised"])) for row in rows), following)

    # --- positions -------------------------------------------------------------------------------------------------

    def positions(
        self,
        user_id: str | None,
        *,
        account_id: str | None = None,
        symbol: str | None = None,
        strategy_id: str | None = None,
        flat: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[PositionRow]:
        """As last booked; `flat` adds those with nothing left."""
        with self.store.readers.use() as db:
            query = Query(db, "positions", user_id).equal(account_id=account_id, symbol=symbol, strategy_id=strategy_id)
            if not flat:
                query.where("is_open").by("positions_open")
            rows, following = query.page(limit, cursor, _POSITION)
            return Page(tuple(map(_position_row, rows)), following)

    def position(self, user_id: str | None, position_id: str) -> PositionRow:
        with self.store.readers.use() as db:
            return _position_row(found(_own(db, "positions", "position_id", position_id, user_id, _POSITION), "position"))

    # --- what happened to the machine ------------------------------------------------------------------------------

    def incidents(
        self,
        user_id: str | None,
        *,
        machine: bool = False,
        open_only: bool = False,
        kind: str | None = None,
        severity: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Incident]:
        """`machine` adds those that are nobody's, for the owner."""
        with self.store.readers.use() as db:
            query = Query(db, "incidents", None if machine else user_id).equal(kind=kind, severity=severity)
            if machine and user_id is not None:
                query.where("(+user_id = :user_id OR +user_id IS NULL)", user_id=user_id)  # "+": along the table, which is in order already
            if open_only:
                query.where("until IS NULL").by("incidents_open")
            rows, following = query.page(limit, cursor)
            return Page(tuple(map(decode.incident, rows)), following)

    def halts(self, user_id: str | None, *, holding: bool | None = None, limit: int = 100, cursor: str | None = None) -> Page[Halt]:
        """Those that concern the user: the system's, and those on what is theirs."""
        with self.store.readers.use() as db:
            query = Query(db, "halts", None)
            if user_id is not None:
                query.where(_CONCERNS, user_id=user_id)
            if holding is not None:
                query.where(f"lifted_at IS {'' if holding else 'NOT '}NULL")
            rows, following = query.page(limit, cursor)
            return Page(tuple(map(decode.halt, rows)), following)

    def strategy_status(self, user_id: str | None, strategy_id: str) -> StrategyStatus | None:
        """None while it has saved nothing, and for a strategy that is not this user's."""
        row = self.store.readers.one(
            "SELECT s.* FROM strategy_states AS s JOIN strategies USING (strategy_id) WHERE strategy_id = ? AND (? IS NULL OR user_id = ?)",
            (strategy_id, user_id, user_id),
        )
        return StrategyStatus(strategy_id, from_json(row["state"]), row["quarantined"], seconds(row["at"])) if row else None

    def candles(
        self,
        symbol: str,
        timeframe: str,
        *,
        live: bool = False,
        start: Timestamp | None = None,
        end: Timestamp | None = None,
        limit: int = 2000,
    ) -> tuple[Candle, ...]:
        """The newest `limit` of the span, oldest first: of real prices (`live`) or of the others."""
        with self.store.readers.use() as db:
            query = Query(db, "candles", None).equal(symbol=symbol, timeframe=timeframe, live=live)
            if start is not None:
                query.where("start >= :first", first=round(start * 1e6))
            if end is not None:
                query.where("start < :beyond", beyond=round(end * 1e6))
            return tuple(map(decode.candle, reversed(query.rows(f"ORDER BY start DESC LIMIT {int(limit)}"))))

    def counts(self) -> Mapping[str, int]:
        """How many rows the growing tables have had, and the size of the file in bytes: for the health page."""
        tables = ("signals", "orders", "order_events", "fills", "positions", "round_trips", "incidents", "set_aside")
        with self.store.readers.use() as db:
            counts = {table: int(db.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()[0]) for table in tables}
            pages = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
        return {**counts, "bytes": int(pages)}


_POSITION = f"seq, user_id, {decode.POSITION_COLUMNS}"
_CONCERNS = (
    "(scope = 'system' OR (scope = 'user' AND scope_id = :user_id)"
    " OR (scope = 'account' AND scope_id IN (SELECT account_id FROM accounts WHERE user_id = :user_id))"
    " OR (scope = 'strategy' AND scope_id IN (SELECT strategy_id FROM strategies WHERE user_id = :user_id)))"
)


def _own(db: sqlite3.Connection, table: str, column: str, value: str, user_id: str | None, columns: str = "*") -> sqlite3.Row | None:
    sql = f"SELECT {columns} FROM {table} WHERE {column} = ? AND (? IS NULL OR user_id = ?)"
    row: sqlite3.Row | None = db.execute(sql, (value, user_id, user_id)).fetchone()
    return row


def _orders_of(db: sqlite3.Connection, keys: Sequence[str]) -> Mapping[str, list[Order]]:
    """Without their checks, which are most of the work of reading an order and never shown in a list."""
    orders: dict[str, list[Order]] = defaultdict(list)
    sql = f"SELECT {decode.ORDER_COLUMNS}, '[]' AS checks FROM orders WHERE signal_key IN (SELECT value FROM json_each(?)) ORDER BY seq"
    for row in db.execute(sql, (to_json(list(keys)),)):
        orders[row["signal_key"]].append(decode.order(row))
    return orders


def _whole_signal(db: sqlite3.Connection, row: sqlite3.Row) -> SignalRow:
    return _signal_row(row, map(decode.order, db.execute("SELECT * FROM orders WHERE signal_key = ? ORDER BY seq", (row["key"],))))


def _signal_row(row: sqlite3.Row, orders: Iterable[Order]) -> SignalRow:
    return SignalRow(decode.signal(row), tuple(orders), decode.timing(row))


def _position_row(row: sqlite3.Row) -> PositionRow:
    return PositionRow(decode.position(tuple(row)[2:]), row["user_id"])
