"""What people have put over the calendar that ships: holidays, special sessions, days that trade after all. One calendar for the whole workspace."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from app.data import decode
from app.data.may import refuse_who_is_no_owner
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import to_json
from engines.core.sessions import CalendarDay

_ONE = "SELECT * FROM calendar_days WHERE day = ? AND exchange = ?"


@dataclass(frozen=True, slots=True)
class CalendarDays:
    store: Store

    def list(self) -> tuple[CalendarDay, ...]:
        """Every day that somebody has changed, oldest first."""
        return tuple(decode.calendar_day(row) for row in self.store.readers.all("SELECT * FROM calendar_days ORDER BY day, exchange"))

    def put(self, rows: Sequence[CalendarDay], *, by: Actor) -> int:
        """Each in the place of what was said of its day and exchange before, all of them or none; how many are new or different. Conflict, here and below,
        when `by` is no owner (any more)."""

        def work(db: sqlite3.Connection) -> int:
            refuse_who_is_no_owner(db, by)
            return sum(self._put(db, row, by) for row in rows)

        return self.store.write(work)

    def remove(self, day: str, exchange: str, *, by: Actor) -> None:
        """The day is again as the calendar that ships has it. NotFound when nothing was said of it."""

        def work(db: sqlite3.Connection) -> None:
            refuse_who_is_no_owner(db, by)
            old = decode.calendar_day(found(db.execute(_ONE, (day, exchange)).fetchone(), "day"))
            db.execute("DELETE FROM calendar_days WHERE day = ? AND exchange = ?", (day, exchange))
            self.store.audit(db, by, "calendar.removed", f"{day} {exchange}", before=old)

        self.store.write(work)

    def _put(self, db: sqlite3.Connection, row: CalendarDay, by: Actor) -> bool:
        found_row = db.execute(_ONE, (row.day, row.exchange)).fetchone()
        old = decode.calendar_day(found_row) if found_row else None
        if old == row:
            return False
        db.execute(
            "INSERT OR REPLACE INTO calendar_days (day, exchange, windows, ordinary, note) VALUES (?, ?, ?, ?, ?)",
            (row.day, row.exchange, to_json([list(window) for window in row.windows]), row.ordinary, row.note),
        )
        self.store.audit(db, by, "calendar.changed" if old else "calendar.added", f"{row.day} {row.exchange}", before=old, after=row)
        return True
