"""Lists of instruments that a person watches, each in the person's own order. What an instrument is, is the engines' business."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.data.errors import Conflict, Invalid
from app.data.rows import Actor
from app.data.store import Store, found
from app.data.values import seconds
from engines.core.model import Timestamp

MOST_LISTS = 20
MOST_SYMBOLS = 200
_ONE = "SELECT * FROM watchlists WHERE watchlist_id = ? AND user_id = ?"


@dataclass(frozen=True, slots=True)
class Watchlist:
    """`symbols` in the order in which they are shown."""

    watchlist_id: str
    user_id: str
    name: str
    symbols: tuple[str, ...]
    created_at: Timestamp = 0.0


@dataclass(frozen=True, slots=True)
class Watchlists:
    store: Store

    def list(self, user_id: str) -> tuple[Watchlist, ...]:
        """In the order in which they were made."""
        rows = self.store.readers.all("SELECT * FROM watchlists WHERE user_id = ? ORDER BY place, watchlist_id", (user_id,))
        items = "SELECT i.* FROM watchlist_items i JOIN watchlists USING (watchlist_id) WHERE user_id = ? ORDER BY i.place"
        symbols: dict[str, list[str]] = {}
        for row in self.store.readers.all(items, (user_id,)):
            symbols.setdefault(row["watchlist_id"], []).append(row["symbol"])
        return tuple(_row(row, symbols.get(row["watchlist_id"], ())) for row in rows)

    def get(self, user_id: str, watchlist_id: str) -> Watchlist:
        """NotFound for what is unknown or another's."""
        row = found(self.store.readers.one(_ONE, (watchlist_id, user_id)), "watchlist")
        items = self.store.readers.all("SELECT symbol FROM watchlist_items WHERE watchlist_id = ? ORDER BY place", (watchlist_id,))
        return _row(row, [item["symbol"] for item in items])

    def add(self, user_id: str, name: str, symbols: Sequence[str] = (), *, by: Actor) -> Watchlist:
        """Conflict when the person has one of that name, or too many."""
        made = Watchlist(self.store.ids.new(), user_id, name.strip(), tuple(symbols))

        def work(db: sqlite3.Connection) -> Watchlist:
            now = self.store.now()
            count, place = db.execute(
                "SELECT count(*), coalesce(max(place), 0) + 1 FROM watchlists WHERE user_id = ?", (user_id,)
            ).fetchone()
            if count >= MOST_LISTS:
                raise Conflict(f"there are {MOST_LISTS} watchlists already, which is the most")
            _check(db, made)
            db.execute("INSERT INTO watchlists VALUES (?, ?, ?, ?, ?)", (made.watchlist_id, user_id, made.name, place, now))
            _put(db, made)
            self.store.audit(db, by, "watchlist.created", made.watchlist_id, after=made)
            return replace(made, created_at=seconds(now))

        return self.store.write(work)

    def change(self, user_id: str, watchlist_id: str, edit: Callable[[Watchlist], Watchlist], *, by: Actor) -> Watchlist:
        """`edit` gets the list as it is inside the transaction, and may change its name and its symbols."""

        def work(db: sqlite3.Connection) -> Watchlist:
            row = found(db.execute(_ONE, (watchlist_id, user_id)).fetchone(), "watchlist")
            items = db.execute("SELECT symbol FROM watchlist_items WHERE watchlist_id = ? ORDER BY place", (watchlist_id,)).fetchall()
            old = _row(row, [item["symbol"] for item in items])
            asked = edit(old)
            new = replace(old, name=asked.name.strip(), symbols=asked.symbols)
            _check(db, new)
            db.execute("UPDATE watchlists SET name = ? WHERE watchlist_id = ?", (new.name, watchlist_id))
            _put(db, new)
            self.store.audit(db, by, "watchlist.changed", watchlist_id, before=old, after=new)
            return new

        return self.store.write(work)

    def delete(self, user_id: str, watchlist_id: str, *, by: Actor) -> None:
        def work(db: sqlite3.Connection) -> None:
            row = found(db.execute(_ONE, (watchlist_id, user_id)).fetchone(), "watchlist")
            db.execute("DELETE FROM watchlists WHERE watchlist_id = ?", (watchlist_id,))
            self.store.audit(db, by, "watchlist.deleted", watchlist_id, before=_row(row, ()))

        self.store.write(work)


def _put(db: sqlite3.Connection, watchlist: Watchlist) -> None:
    db.execute("DELETE FROM watchlist_items WHERE watchlist_id = ?", (watchlist.watchlist_id,))
    rows = [(watchlist.watchlist_id, symbol, place) for place, symbol in enumerate(watchlist.symbols)]
    db.executemany("INSERT INTO watchlist_items VALUES (?, ?, ?)", rows)


def _check(db: sqlite3.Connection, watchlist: Watchlist) -> None:
    if not watchlist.name:
        raise Invalid.field("name", "must not be empty")
    if len(set(watchlist.symbols)) != len(watchlist.symbols):
        raise Invalid.field("symbols", "each one once")
    if len(watchlist.symbols) > MOST_SYMBOLS:
        raise Invalid.field("symbols", f"a watchlist holds {MOST_SYMBOLS} instruments at most")
    same = "SELECT 1 FROM watchlists WHERE user_id = ? AND name = ? AND watchlist_id <> ?"
    if db.execute(same, (watchlist.user_id, watchlist.name, watchlist.watchlist_id)).fetchone():
        raise Conflict("there is a watchlist of that name already")


def _row(row: sqlite3.Row, symbols: Sequence[str]) -> Watchlist:
    return Watchlist(row["watchlist_id"], row["user_id"], row["name"], tuple(symbols), seconds(row["created_at"]))
