"""Nothing of the writer's connection leaves the writer's thread: a cursor that is let go elsewhere would break a statement in use."""

from __future__ import annotations

import sqlite3

from tests.data.house import House


def test_a_cursor_stays_with_the_writer(house: House) -> None:
    seen: list[object] = []

    def work(db: sqlite3.Connection) -> sqlite3.Cursor:
        cursor = db.executemany("UPDATE meta SET value = value WHERE name = ?", [("config_version",)])
        seen.append(type(cursor))
        return cursor

    assert house.journal.run(work) is None
    assert seen == [sqlite3.Cursor]
    assert house.journal.run(lambda db: db.execute("SELECT 1").fetchone()[0]) == 1
