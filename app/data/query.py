"""Builds the queries of the books' lists: filters by field, a span of time, and the piece after a cursor, newest first."""

from __future__ import annotations

import sqlite3
from typing import Any

from app.data.paging import check_limit, place
from app.data.values import micros
from engines.core.model import Timestamp

_SLACK = 86_400_000_000
"""Rows are stored in the order of their time, but for what came in late; nothing comes in later than a day."""


class Query:
    """One list. `scope` None is every user's."""

    def __init__(self, db: sqlite3.Connection, table: str, user_id: str | None, moment: str = "created_at") -> None:
        self._db = db
        self._table = table
        self._moment = moment
        self._where: list[str] = []
        self._params: dict[str, Any] = {}
        self._index = ""
        self.equal(user_id=user_id)

    def equal(self, **fields: str | bool | None) -> Query:
        """None: whatever it is."""
        for name, value in fields.items():
            if value is not None:
                self._where.append(f"{name} = :{name}")
                self._params[name] = value
        return self

    def where(self, condition: str, **params: Any) -> Query:
        self._where.append(condition)
        self._params.update(params)
        return self

    def between(self, since: Timestamp | None, until: Timestamp | None) -> Query:
        """From `since` on, before `until`. The table is entered at the right place instead of being read up to it."""
        if since is not None:
            self.where(f"{self._moment} >= :since AND seq >= :first", since=micros(since), first=self._seq_at(micros(since) - _SLACK))
        if until is not None:
            self.where(f"{self._moment} < :until AND seq < :beyond", until=micros(until), beyond=self._seq_at(micros(until) + _SLACK))
        return self

    def by(self, index: str) -> Query:
        """Enter through this index. SQLite, which does not know how the rows are spread, would often take the one of the user's rows instead."""
        self._index = f"INDEXED BY {index}"
        return self

    def page(self, limit: int, cursor: str | None, columns: str = "*") -> tuple[list[sqlite3.Row], str | None]:
        before = place(cursor)
        if before is not None:
            self.where("seq < :before", before=before)
        rows = self.rows(f"ORDER BY seq DESC LIMIT {check_limit(limit) + 1}", columns)
        more = len(rows) > limit
        return rows[:limit], str(rows[limit - 1]["seq"]) if more else None

    def rows(self, tail: str, columns: str = "*") -> list[sqlite3.Row]:
        where = f"WHERE {' AND '.join(self._where)}" if self._where else ""
        return self._db.execute(f"SELECT {columns} FROM {self._table} {self._index} {where} {tail}", self._params).fetchall()

    def _seq_at(self, moment: int) -> int:
        """The first row of that moment or later, found by halving."""
        ends = f"SELECT (SELECT min(seq) FROM {self._table}), (SELECT max(seq) FROM {self._table})"  # together they would read every row
        low, high = self._db.execute(ends).fetchone()
        if low is None:
            return 0
        high += 1
        while low < high:
            middle = (low + high) // 2
            row = self._db.execute(
                f"SELECT seq, {self._moment} FROM {self._table} WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
            ).fetchone()
            if row is None or row[1] >= moment:
                high = middle
            else:
                low = row[0] + 1
        return int(low)
