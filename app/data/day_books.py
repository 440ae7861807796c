"""The books of each session: what every account did in it, written at its end from what is stored, and the record of the day's jobs.

A book can be written again at any later time and comes to the same; what was traded after the close is in the next writing of it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from app.data import decode
from app.data.store import Store
from app.data.values import micros
from engines.core.facts import DayClosed
from engines.core.model import ZERO, DayBook, JobRun
from engines.core.sessions import DAY, HOME_EXCHANGE, midnight
from engines.core.timetable import JobKind

_MOST_DAYS = 370
_UNENDED = (
    "SELECT day FROM job_runs WHERE job = :job AND state <> 'skipped' AND day < :today"
    " AND day >= coalesce((SELECT max(day) FROM job_runs WHERE job = :job AND state = 'done' AND day < :today), '')"
)
"""Each day that begins ends those before it: what is left is the last that did so, and whatever began since and could not."""


@dataclass(frozen=True, slots=True)
class DayBooks:
    store: Store

    def close(self, day: str, tell: Collection[str] | None = None) -> tuple[DayBook, ...]:
        """Write the book of every account that did anything on an ISO date (Indian midnight to midnight), or held a position at its end. `tell`: the
        accounts whose people may hear of the day now (None: all)."""
        self.store.journal.run(lambda _: None)  # all that the engines have told so far is in the tables
        with self.store.readers.use() as db:
            books = _Day(db, day, self.store.clock.now()).books()
        if books:
            self.store.journal.commit(*(DayClosed(book, tell is None or book.account_id in tell) for book in books))
        return tuple(books)

    def unended(self, today: str) -> Sequence[str]:
        """ISO dates whose last word is due when `today` begins: yesterday, and earlier ones that began here before Tandem was off for days."""
        rows = self.store.readers.all(_UNENDED, {"today": today, "job": JobKind.DAY_START})
        return sorted({row["day"] for row in rows} | {(date.fromisoformat(today) - timedelta(days=1)).isoformat()})

    def list(
        self, user_id: str | None, *, since: str | None = None, until: str | None = None, account_id: str | None = None
    ) -> tuple[DayBook, ...]:
        """ISO dates, both included; the newest day first, within it by account. At most the newest year."""
        rows = self.store.readers.all(
            "SELECT b.body FROM day_books AS b JOIN accounts AS a ON a.account_id = b.account_id"
            " WHERE (:user IS NULL OR a.user_id = :user) AND (:account IS NULL OR b.account_id = :account)"
            " AND b.day >= :since AND b.day <= :until ORDER BY b.day DESC, b.account_id LIMIT :most",
            {"user": user_id, "account": account_id, "since": since or "", "until": until or "9999", "most": _MOST_DAYS * 50},
        )
        return tuple(decode.day_book(row) for row in rows)

    def jobs(self, day: str) -> tuple[JobRun, ...]:
        """What became of the jobs of an ISO date."""
        rows = self.store.readers.all("SELECT * FROM job_runs WHERE day = ? ORDER BY planned_at, job", (day,))
        return tuple(decode.job_run(row) for row in rows)


class _Day:
    """One reading of everything that the books of a day are made from."""

    def __init__(self, db: sqlite3.Connection, day: str, now: float) -> None:
        self.db, self.day, self.now = db, day, now
        self.start = micros(midnight(day, HOME_EXCHANGE))
        self.end = self.start + micros(DAY)

    def books(self) -> list[DayBook]:
        pnl, trips, counts, held = self._pnl(), self._trips(), self._orders(), self._held()
        trades = {row[0]: row[1] for row in self.db.execute("SELECT account_id, trades FROM account_days WHERE day = ?", (self.day,))}
        busy = {account for account, count in trades.items() if count} | pnl.keys() | trips.keys() | counts.keys() | held.keys()
        return [self._book(account, pnl, trips, counts, held, trades) for account in sorted(busy)]

    def _book(
        self,
        account: str,
        pnl: dict[str, sqlite3.Row],
        trips: dict[str, list[Decimal]],
        counts: dict[str, dict[str, int]],
        held: dict[str, int],
        trades: dict[str, int],
    ) -> DayBook:
        row, nets = pnl.get(account), trips.get(account, [])
        last = self.db.execute(
            "SELECT equity, unrealised FROM equity WHERE account_id = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT 1",
            (account, self.start, self.end),
        ).fetchone()
        return DayBook(
            account_id=account,
            day=self.day,
            realised=Decimal(row["realised"]) if row else ZERO,
            charges=Decimal(row["charges"]) if row else ZERO,
            unrealised=Decimal(last["unrealised"]) if last else ZERO,
            equity=Decimal(last["equity"]) if last else None,
            trades=trades.get(account, 0),
            fills=row["fills"] if row else 0,
            turnover=Decimal(row["turnover"]) if row else ZERO,
            wins=sum(net > 0 for net in nets),
            losses=sum(net < 0 for net in nets),
            best=max(nets, default=None),
            worst=min(nets, default=None),
            denied=counts.get(account, {}).get("denied", 0),
            rejected=counts.get(account, {}).get("rejected", 0),
            open_positions=held.get(account, 0),
            at=self.now,
        )

    def _pnl(self) -> dict[str, sqlite3.Row]:
        sql = "SELECT * FROM pnl_daily WHERE day = ? AND account_id <> '*' AND strategy_id = '*'"
        return {row["account_id"]: row for row in self.db.execute(sql, (self.day,))}

    def _trips(self) -> dict[str, list[Decimal]]:
        found: dict[str, list[Decimal]] = defaultdict(list)
        sql = "SELECT account_id, net FROM round_trips WHERE closed_at >= ? AND closed_at < ?"
        for row in self.db.execute(sql, (self.start, self.end)):
            found[row["account_id"]].append(Decimal(row["net"]))
        return found

    def _orders(self) -> dict[str, dict[str, int]]:
        """Orders of the day that we denied or the broker rejected."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        sql = (
            "SELECT account_id, state, COUNT(*) FROM orders WHERE created_at >= ? AND created_at < ?"
            " AND state IN ('denied', 'rejected') GROUP BY account_id, state"
        )
        for account, state, count in self.db.execute(sql, (self.start, self.end)):
            found[account][state] = count
        return found

    def _held(self) -> dict[str, int]:
        """Positions that were open when the day ended: as they are now, unless they have traded since; those are folded up to the day's end."""
        found: dict[str, int] = defaultdict(int)
        sql = "SELECT account_id, symbol, product, strategy_id, is_open, updated_at FROM positions WHERE is_open OR updated_at >= ?"
        for row in self.db.execute(sql, (self.end,)).fetchall():
            if bool(row["is_open"]) if row["updated_at"] < self.end else self._was_open(row):
                found[row["account_id"]] += 1
        return found

    def _was_open(self, position: sqlite3.Row) -> bool:
        fills = self.db.execute(
            "SELECT side, quantity, fee_quantity FROM fills WHERE account_id = ? AND symbol = ? AND product = ? AND strategy_id IS ? AND traded_at < ?",
            (position["account_id"], position["symbol"], position["product"], position["strategy_id"], self.end),
        )
        moved = (Decimal(row["quantity"]) * (1 if row["side"] == "BUY" else -1) - Decimal(row["fee_quantity"]) for row in fills)
        return sum(moved, ZERO) != 0
