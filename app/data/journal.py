"""The journal: the one thread that writes. Callers that wait are released together when their shared transaction is on disk.

While the database cannot be written, whoever waits is refused, what was appended stays queued in order, and the thread goes on trying.
A fact that can never be written (a bug) is set aside with its text and does not take its neighbours down.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from app.data import database, items, recovery
from app.data.database import Readers
from app.data.encode import Group
from app.data.items import DONE, LEFT, QUEUED, WRITING, Item
from app.data.tables import SET_ASIDE
from app.data.values import micros
from engines.core import facts as f
from engines.core.model import Order, Timestamp
from engines.ports import Clock, JournalDown, Recovered

T = TypeVar("T")
log = logging.getLogger("tandem.journal")

WAIT = 2.0  # seconds a caller waits before it gives up
RUN_WAIT = 10.0
GROUP = 120  # rows after which a transaction ends: about three milliseconds, so that whoever comes next does not wait long for its end
TIDY_IDLE = 500  # rows after which the write-ahead log is moved into the database when nothing has come for a while ...
TIDY_ANYWAY = 3_000  # ... and in any case: every millisecond put off here is paid by some commit later

_BOOKS = (f.SignalPlanned, f.OrderChanged, f.FillBooked, f.PlanChanged, f.DayChanged)


class SqliteJournal:
    """Implements engines.ports.Journal, and `run` for every other write of the product."""

    def __init__(
        self,
        path: Path,
        readers: Readers,
        clock: Clock,
        *,
        wait: float | None = None,
        connect: Callable[[Path], sqlite3.Connection] = database.connect,
    ) -> None:
        self._path = path
        self._connect = connect
        self._readers = readers
        self._clock = clock
        self._wait = WAIT if wait is None else wait
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._backlog: deque[Item] = deque()  # taken from the queue, in order, not written yet
        self._waiting = 0  # how many of them are waited for
        self._ending = False
        self._states = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._healthy = True
        self._broken_books = False
        self._closed = False
        self._failures = 0
        self._name = secrets.token_hex(6)
        self._serial = 0
        # a transaction whose end was not seen, with the mark that it leaves when it is on disk
        self._attempt: tuple[str, list[Item]] | None = None
        self._ghosts: set[str] = set()  # signals on disk whose caller was told that they were not written
        self._since_tidy = 0
        self._flushes: deque[float] = deque(maxlen=1000)
        self._counts = {"commits": 0, "facts": 0, "set_aside": 0, "callback_errors": 0}
        self._thread = threading.Thread(target=self._loop, name="journal", daemon=True)
        self._thread.start()

    # --- what others call ------------------------------------------------------------------------------------------

    def commit(self, *facts: f.Fact) -> None:
        self._submit(Item(facts, waits=True), self._wait)

    def append(self, *facts: f.Fact, then: Callable[[], None] | None = None) -> None:
        item = Item(facts, waits=False)
        item.then = then
        if self._closed:
            raise JournalDown("the journal is closed")
        self._queue.put(item)

    def run(self, work: Callable[[sqlite3.Connection], T], wait: float = RUN_WAIT) -> T:
        """Runs `work` on the writer's thread and returns or raises what it does: what raises has changed nothing. JournalDown when it is not durable
        within `wait` seconds, or twice as many when it is just being written. It sees everything handed in before it, and may be run again when the
        transaction that it shares has to be."""
        result: T = self._submit(Item((), waits=True, run=work), wait)
        return result

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """As `run`, without waiting: for what may be lost in a crash of the machine (audit of reads, last use). Retried while the database is down."""
        self._queue.put(Item((), waits=False, run=work))

    def load(self, since: Timestamp) -> Recovered:
        self.run(lambda _: None)  # what was appended before this call is in the answer
        recovered, openings = recovery.load(self._readers, since)
        if openings:
            self.post(lambda connection: recovery.keep_openings(connection, openings))
        return recovered

    def find_signal(self, user_id: str, signal_id: str) -> tuple[str, Sequence[Order]] | None:
        return recovery.find_signal(self._readers, user_id, signal_id)

    @property
    def healthy(self) -> bool:
        return self._healthy and not self._broken_books and self._thread.is_alive()

    def stats(self) -> Mapping[str, float]:
        flushes = sorted(self._flushes.copy())
        at = len(flushes) - 1
        return {
            "queue_depth": self._queue.qsize() + len(self._backlog),
            "flush_ms_p50": round(flushes[at // 2] * 1000, 3) if flushes else 0.0,
            "flush_ms_p99": round(flushes[at * 99 // 100] * 1000, 3) if flushes else 0.0,
            "failures": self._failures,
            **self._counts,
        }

    def close(self) -> None:
        """Writes what is queued and ends the thread; tries for about two seconds when the database cannot be written."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join(timeout=10)

    def _submit(self, item: Item, wait: float) -> Any:
        if self._closed or not self._thread.is_alive():
            raise JournalDown("the journal is closed")
        if threading.current_thread() is self._thread:
            raise RuntimeError("a callback of the journal must not wait for the journal")
        assert item.gate is not None
        self._queue.put(item)
        if not item.gate.acquire(timeout=wait):
            self._give_up(item, wait)
        if item.error is not None:
            raise item.error
        return item.result

    def _give_up(self, item: Item, wait: float) -> None:
        """Leaves without an answer. What is being written at this very moment gets a second chance; after that it is undone by the writer."""
        assert item.gate is not None
        with self._states:
            if item.state == QUEUED:
                item.state = LEFT
                raise JournalDown("the database did not answer in time")
        if not item.gate.acquire(timeout=wait):
            with self._states:
                if item.state == WRITING:
                    item.state = LEFT
                    raise JournalDown("the database did not answer in time")
            item.gate.acquire()

    # --- the writer's thread ---------------------------------------------------------------------------------------

    def _loop(self) -> None:
        pause = 0.5
        while True:
            came = self._take(pause)
            if self._write_all():
                pause = 0.5
                if not came:
                    self._tidy(TIDY_IDLE)
            else:
                pause = min(1.0, 0.05 * 2 ** min(self._failures, 5))
            if self._ending:
                self._finish()
                return

    def _take(self, pause: float = 0.0) -> bool:
        """Moves everything that has come into the backlog, waiting `pause` seconds for the first; False when nothing came."""
        came = False
        with contextlib.suppress(Empty):
            item = self._queue.get(timeout=pause) if pause else self._queue.get_nowait()
            while True:
                came = True
                if item is None:
                    self._ending = True
                else:
                    self._backlog.append(item)
                    self._waiting += item.gate is not None
                item = self._queue.get_nowait()
        return came

    def _write_all(self) -> bool:
        """False when the database could not be written: those that waited were told, the rest is in the backlog."""
        if not self._backlog and self._healthy and not self._ghosts:
            return True
        while True:
            group: list[Item] = []
            try:
                self._resolve_attempt()
                group = self._next_group()
                self._write_group(group)
            except Exception as error:
                if not isinstance(error, sqlite3.Error):
                    log.exception("the journal's writer failed in an unexpected way")
                self._fail(group, error)
                return False
            self._healthy = True
            self._tidy(TIDY_ANYWAY)
            self._take()  # what came meanwhile: whoever waits among it is written in the very next transaction
            if not self._backlog:
                return True

    def _next_group(self) -> list[Item]:
        """From the front of the backlog, never out of order: up to the first that is waited for, however far behind it is, and then as much as
        keeps the transaction short."""
        group: list[Item] = []
        owed = self._waiting > 0
        rows = 0
        with self._states:
            while self._backlog and (owed or rows < GROUP):
                item = self._backlog.popleft()
                if item.gate is not None:
                    self._waiting -= 1
                    owed = False
                if item.state == LEFT:
                    owed = self._waiting > 0
                    continue
                item.state = WRITING
                group.append(item)
                rows += item.rows
        return group

    def _fail(self, group: list[Item], error: Exception) -> None:
        left = [*group, *self._backlog]
        self._backlog.clear()
        self._waiting = 0
        self._failures += 1
        if self._healthy:
            log.error("the database cannot be written: %s", error)
        self._healthy = False
        if not items.busy(error):
            self._drop_connection()
        reason = "another process has locked the database" if items.busy(error) else f"the database cannot be written: {error}"
        for item in left:
            if item.gate is None:
                item.state = QUEUED
                self._backlog.append(item)
                continue
            with self._states:
                item.state = DONE
            item.settle(JournalDown(reason))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = items.for_writing(self._connect(self._path))
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _write_group(self, group: list[Item]) -> None:
        """One transaction for all; when one of them is refused for what it is, each in a savepoint of its own. An empty one tries the database."""
        started = self._clock.monotonic()
        errors: dict[Item, Exception] = {}
        try:
            self._transaction(group, lambda connection: self._write_items(connection, group, errors, singly=False))
        except Exception as error:
            if items.of_the_database(error):
                raise
            self._transaction(group, lambda connection: self._write_items(connection, group, errors, singly=True))
        self._since_tidy += sum(item.rows for item in group)
        facts = sum(len(item.facts) for item in group)
        if facts:
            self._flushes.append(self._clock.monotonic() - started)
            self._counts["commits"] += 1
            self._counts["facts"] += facts
        self._settle(group, errors)

    def _write_items(self, connection: sqlite3.Connection, group: list[Item], errors: dict[Item, Exception], *, singly: bool) -> None:
        errors.clear()
        together = Group()
        for item in group:
            if item.run is None and not singly:
                together.add(item.facts)
                continue
            together.write(connection)
            together = Group()
            connection.execute("SAVEPOINT item")
            try:
                self._write_one(connection, item)
            except Exception as error:
                if items.of_the_database(error):
                    raise
                connection.execute("ROLLBACK TO item")
                errors[item] = error
                if item.run is None and (item.gate is None or not items.is_duplicate(error)):
                    self._set_aside(connection, item, error)
            connection.execute("RELEASE item")
        together.write(connection)

    def _write_one(self, connection: sqlite3.Connection, item: Item) -> None:
        if item.run is not None:
            result = item.run(connection)
            # a cursor that ended on another thread would reset a statement which this one may be executing again by then
            item.result = None if isinstance(result, sqlite3.Cursor) else result
            return
        alone = Group()
        alone.add(item.facts)
        alone.write(connection)

    def _set_aside(self, connection: sqlite3.Connection, item: Item, error: Exception) -> None:
        log.error("a fact was set aside: %s", error, exc_info=error)
        self._counts["set_aside"] += 1
        if item.gate is None and any(isinstance(fact, _BOOKS) for fact in item.facts):
            self._broken_books = True  # the books on disk are no longer those in memory: gates stay closed until a restart reconciles
        now = micros(self._clock.now())
        SET_ASIDE.write(connection, [(now, type(fact).__name__, repr(fact), repr(error)) for fact in item.facts])

    def _settle(self, group: list[Item], errors: Mapping[Item, Exception]) -> None:
        with self._states:
            for item in group:
                if item.state == LEFT:
                    self._ghosts.update(items.signal_keys(item))
                item.state = DONE
        for item in group:
            error = errors.get(item)
            item.settle(items.told(error) if error is not None and item.run is None else error)
            if error is not None and item.run is not None and item.gate is None:
                self._counts["callback_errors"] += 1
                log.error("a write that nobody waits for failed", exc_info=error)
        for item in group:
            if item.then is not None and item not in errors:
                self._call(item.then)

    def _call(self, then: Callable[[], None]) -> None:
        try:
            then()
        except Exception:
            self._counts["callback_errors"] += 1
            log.exception("a callback of the journal failed")

    def _transaction(self, group: list[Item], write: Callable[[sqlite3.Connection], object]) -> None:
        connection = self._open()
        items.begin(connection)
        try:
            if self._ghosts:
                items.purge(connection, self._ghosts)
            write(connection)
            if any(item.facts or item.gate is None for item in group):  # whoever only waits is told; nothing of it would be tried again
                self._serial += 1
                mark = f"{self._name}.{self._serial}"
                connection.execute("UPDATE meta SET value = ? WHERE name = 'journal_mark'", (mark,))
                self._attempt = (mark, group)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        self._attempt = None
        self._ghosts.clear()

    def _resolve_attempt(self) -> None:
        """After a COMMIT that failed: did it reach the disk all the same? Then its facts are not written a second time, and what its callers
        were told was not written is taken out again."""
        if self._attempt is None:
            return
        mark, attempt = self._attempt
        self._drop_connection()
        stored = self._open().execute("SELECT value FROM meta WHERE name = 'journal_mark'").fetchone()[0]
        self._attempt = None
        if stored != mark:
            return
        self._backlog = deque(item for item in self._backlog if item not in attempt)
        for item in attempt:
            if item.gate is not None:
                self._ghosts.update(items.signal_keys(item))
            elif item.then is not None:
                self._call(item.then)

    def _tidy(self, rows: int) -> None:
        """Moves the write-ahead log into the database when enough has gathered, so that no commit has to."""
        if self._since_tidy >= rows and self._connection is not None:
            self._since_tidy = 0
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _finish(self) -> None:
        self._take()
        for _ in range(8):
            if not self._backlog or self._write_all():
                break
            time.sleep(0.25)
        if self._backlog:
            log.critical("%d writes were lost, because the database could not be written until the end", len(self._backlog))
        self._drop_connection()
