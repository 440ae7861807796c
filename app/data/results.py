"""What was earned: by day, account and strategy, as a curve, and trade by trade. Only reads; sums are exact."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from app.data.query import Query
from app.data.rows import DayPnl, EquityPoint, RoundTrip
from app.data.store import Store
from app.data.values import micros, seconds, to_json
from engines.core.model import Timestamp

ALL = "*"
_GROUPS = {"day": "day", "account": "account_id", "strategy": "strategy_id"}


@dataclass(frozen=True, slots=True)
class Results:
    store: Store

    def pnl_daily(
        self,
        user_id: str | None,
        *,
        since: str | None = None,
        until: str | None = None,
        account_id: str | None = None,
        accounts: Collection[str] | None = None,
        strategy_id: str | None = None,
        by: str = "day",
    ) -> tuple[DayPnl, ...]:
        """ISO dates, both included. `by` "day": a row for each day, newest first; "account" or "strategy": a row for each, added up over the days
        (`day` is the newest); "all": every day, account and strategy. An empty `strategy_id` asks for what no strategy did; `accounts` adds up only over
        these."""
        account = account_id if account_id is not None else None if accounts is not None or by in ("account", "all") else ALL
        strategy = strategy_id if strategy_id is not None else None if by in ("strategy", "all") else ALL
        with self.store.readers.use() as db:
            query = Query(db, "pnl_daily", user_id).equal(account_id=account, strategy_id=strategy)
            if account is None:
                query.where("account_id <> '*'")
                if accounts is not None:
                    query.where("account_id IN (SELECT value FROM json_each(:accounts))", accounts=to_json(list(accounts)))
            if strategy is None:
                query.where("strategy_id <> '*'")
            if since is not None:
                query.where("day >= :since", since=since)
            if until is not None:
                query.where("day <= :until", until=until)
            rows = query.rows(f"ORDER BY {_GROUPS[by]}, day DESC" if by != "all" else "ORDER BY day DESC, account_id, strategy_id")
        if by == "all":
            return tuple(_added([row]) for row in rows)
        added = tuple(_added(list(group)) for _, group in groupby(rows, key=lambda row: row[_GROUPS[by]]))
        return added[::-1] if by == "day" else added

    def equity_curve(
        self,
        user_id: str | None,
        *,
        account_id: str | None = None,
        since: Timestamp | None = None,
        until: Timestamp | None = None,
        points: int = 500,
    ) -> tuple[EquityPoint, ...]:
        """At most `points` for each account, the last of each equal span of time; oldest first."""
        with self.store.readers.use() as db:
            accounts = db.execute(
                "SELECT account_id FROM accounts WHERE (:user IS NULL OR user_id = :user) AND (:account IS NULL OR account_id = :account)",
                {"user": user_id, "account": account_id},
            ).fetchall()
            spans: list[tuple[int, int]] = []
            for (one,) in accounts:
                first, last = db.execute(
                    "SELECT (SELECT at FROM equity WHERE account_id = ? AND at >= ? ORDER BY at LIMIT 1),"
                    " (SELECT at FROM equity WHERE account_id = ? AND at < ? ORDER BY at DESC LIMIT 1)",
                    (one, micros(since or 0), one, micros(until) if until is not None else 2**62),
                ).fetchone()
                if first is not None and last is not None and first <= last:
                    spans.append((first, last))
            if not spans:
                return ()
            bounds = _bounds(min(first for first, _ in spans), max(last for _, last in spans), points)
            rows = db.execute(_CURVE, {"accounts": to_json([one for (one,) in accounts]), "bounds": to_json(bounds)}).fetchall()
        return tuple(
            EquityPoint(
                row["account_id"], seconds(row["at"]), *(Decimal(row[name]) for name in ("equity", "realised", "unrealised", "charges"))
            )
            for row in rows
        )

    def round_trips(
        self, user_id: str | None, *, account_id: str | None = None, strategy_id: str | None = None, limit: int = 200
    ) -> tuple[RoundTrip, ...]:
        """The newest, newest first."""
        with self.store.readers.use() as db:
            query = Query(db, "round_trips", user_id).equal(account_id=account_id, strategy_id=strategy_id)
            rows = query.rows(f"ORDER BY seq DESC LIMIT {int(limit)}")
        return tuple(
            RoundTrip(row["account_id"], row["strategy_id"], row["symbol"], seconds(row["closed_at"]), Decimal(row["net"])) for row in rows
        )


_CURVE = (
    "SELECT e.* FROM json_each(:accounts) AS a CROSS JOIN json_each(:bounds) AS b CROSS JOIN equity AS e ON e.account_id = a.value AND e.at ="
    " (SELECT max(at) FROM equity WHERE account_id = a.value AND at >= json_extract(b.value, '$[0]') AND at < json_extract(b.value, '$[1]'))"
    " ORDER BY e.at, e.account_id"
)
"""One look into the index for each point and account, however long the curve is: a CROSS JOIN is done in the order in which it is written."""


def _bounds(first: int, last: int, points: int) -> list[tuple[int, int]]:
    width = max(1, -(-(last + 1 - first) // max(1, points)))
    return [(low, min(low + width, last + 1)) for low in range(first, last + 1, width)]


def _added(rows: list[sqlite3.Row]) -> DayPnl:
    newest = rows[0]
    return DayPnl(
        day=newest["day"],
        account_id=_name(rows, "account_id"),
        strategy_id=_name(rows, "strategy_id"),
        realised=sum((Decimal(row["realised"]) for row in rows), Decimal(0)),
        charges=sum((Decimal(row["charges"]) for row in rows), Decimal(0)),
        fills=sum(row["fills"] for row in rows),
        turnover=sum((Decimal(row["turnover"]) for row in rows), Decimal(0)),
    )


def _name(rows: list[sqlite3.Row], column: str) -> str | None:
    names = {row[column] for row in rows}
    name = names.pop()
    return None if names or name in (ALL, "") else name
