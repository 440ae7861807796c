"""A database with a journal on it, and ways to keep it busy and to look at it from outside."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.data import database
from app.data.journal import SqliteJournal


@dataclass
class House:
    """A database and a journal on it; `rows` looks at the file from outside."""

    path: Path
    readers: database.Readers
    journal: SqliteJournal

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, timeout=30)) as outside:
            return outside.execute(sql, params).fetchall()

    def one(self, sql: str, *params: object) -> Any:
        return self.rows(sql, *params)[0][0]

    def hold(self) -> threading.Event:
        """Keeps the writer busy until the event is set: what is handed in meanwhile shares a transaction."""
        busy, go = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            busy.set()
            go.wait(120)

        threading.Thread(target=self.journal.run, args=(wait,)).start()
        assert busy.wait(30)
        return go

    def written(self) -> None:
        """Returns when everything appended so far has been tried."""
        done = threading.Event()
        self.journal.append(then=done.set)
        assert done.wait(30)


def together(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def eventually(true: Callable[[], bool]) -> bool:
    waiting = threading.Event()
    return any(true() or waiting.wait(0.02) for _ in range(1500))
