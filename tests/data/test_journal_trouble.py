"""The journal when the database cannot be written, and with facts that cannot be written: nothing lost, doubled or told wrongly."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.data import database
from app.data.journal import SqliteJournal
from engines.core import facts as f
from engines.core.model import OrderState
from engines.ports import JournalDown, SystemClock
from tests.data.house import House, eventually
from tests.data.making import NOON, D, changed, planned

ROOT = Path(__file__).resolve().parents[2]


def test_a_database_locked_by_another_refuses_commits_keeps_appends_and_heals_by_itself(house: House) -> None:
    fact = planned()
    house.journal.commit(fact)
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        house.journal.append(changed(fact.orders[0], OrderState.OPEN))
        with pytest.raises(JournalDown, match="locked"):
            house.journal.commit(planned())
        assert not house.journal.healthy
        assert house.journal.stats()["queue_depth"] >= 1
        done = threading.Event()
        house.journal.append(changed(fact.orders[0], OrderState.FILLED), then=done.set)
        assert not done.is_set()
        other.execute("ROLLBACK")
    assert done.wait(30)
    assert [row[0] for row in house.rows("SELECT kind FROM order_events ORDER BY seq")] == ["open", "filled"]
    assert house.one("SELECT count(*) FROM signals") == 1
    assert eventually(lambda: house.journal.healthy)


def test_an_idle_journal_finds_out_by_itself_that_the_database_can_be_written_again(house: House) -> None:
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalDown):
            house.journal.commit(planned())
        assert not house.journal.healthy
    assert eventually(lambda: house.journal.healthy)


def test_a_short_lock_is_waited_for(house: House) -> None:
    with closing(sqlite3.connect(house.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.05, other.execute, ("ROLLBACK",))
        timer.start()
        house.journal.commit(planned())
        timer.join()
    assert house.journal.healthy


def test_a_full_disk_refuses_commits_keeps_appends_and_heals(make_house: Callable[..., House]) -> None:
    full = False

    def connect(path: Path) -> sqlite3.Connection:
        connection = database.connect(path)
        if full:
            connection.execute("PRAGMA max_page_count = 1")  # as small as it is: not one page more
        return connection

    house = make_house(connect=connect)
    fact = planned(accounts=200)
    house.journal.commit(fact)
    full = True
    house.journal.run(lambda db: db.execute("PRAGMA max_page_count = 1"))
    done = threading.Event()
    house.journal.append(*(changed(order, OrderState.OPEN) for order in fact.orders), then=done.set)
    with pytest.raises(JournalDown, match="full"):
        house.journal.commit(planned(accounts=200))
    assert not house.journal.healthy
    full = False
    assert done.wait(30)
    assert house.rows("SELECT count(*), count(DISTINCT order_id) FROM order_events") == [(200, 200)]
    assert house.one("SELECT count(*) FROM signals") == 1
    assert eventually(lambda: house.journal.healthy)


class _Unclear(sqlite3.Connection):
    """The next COMMIT of facts says that it did not reach the disk: "durable" has reached it all the same, "lost" has not."""

    armed = ""
    facts = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        of_facts, self.facts = self.facts, sql.startswith("UPDATE meta")  # the last statement before its COMMIT
        failing = type(self).armed if sql == "COMMIT" and of_facts else ""
        if failing:
            type(self).armed = ""
            if failing == "durable":
                super().execute(sql)
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


def _unclear(path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, factory=_Unclear)
    made.row_factory = sqlite3.Row
    return made


def test_a_commit_that_failed_is_written_again_also_when_another_process_has_written_before(make_house: Callable[..., House]) -> None:
    house = make_house(connect=_unclear)
    fact = planned()
    house.journal.commit(fact)
    other = SqliteJournal(house.path, house.readers, SystemClock())
    for n in range(3):
        other.run(lambda db, n=n: db.execute("INSERT INTO settings VALUES ('', ?, '1')", (str(n),)))  # type: ignore[misc]
    other.close()
    _Unclear.armed = "lost"
    house.journal.append(changed(fact.orders[0], OrderState.OPEN))
    house.written()
    assert [row[0] for row in house.rows("SELECT kind FROM order_events")] == ["open"]
    assert _Unclear.armed == ""
    assert house.journal.healthy


def test_a_commit_whose_end_was_not_seen_is_neither_written_twice_nor_left_behind(make_house: Callable[..., House]) -> None:
    house = make_house(connect=_unclear)
    known = planned()
    house.journal.commit(known)
    calls: list[str] = []
    fact = planned(signal_id="unclear")
    _Unclear.armed = "durable"
    go = house.hold()
    house.journal.append(changed(known.orders[0], OrderState.OPEN), then=lambda: calls.append("appended"))
    both_wait = threading.Thread(target=lambda: eventually(lambda: house.journal.stats()["queue_depth"] == 2) and go.set())
    both_wait.start()
    with pytest.raises(JournalDown):
        house.journal.commit(fact)
    both_wait.join()
    house.written()
    assert eventually(lambda: house.journal.healthy)
    house.journal.commit(planned(signal_id="unclear"))
    assert [row[0] for row in house.rows("SELECT kind FROM order_events")] == ["open"]
    assert calls == ["appended"]
    assert house.one("SELECT count(*) FROM signals WHERE key = ?", fact.signal.key) == 0
    assert house.one("SELECT count(*) FROM orders WHERE signal_key = ?", fact.signal.key) == 0


def test_a_caller_who_left_before_the_answer_finds_nothing_written(make_house: Callable[..., House]) -> None:
    house = make_house(wait=0.02)
    fact = planned(signal_id="late")
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalDown):
            house.journal.commit(fact)
        other.execute("ROLLBACK")
    house.written()
    assert eventually(lambda: house.one("SELECT count(*) FROM orders") == 0)
    assert eventually(lambda: house.journal.healthy)
    house.journal.run(lambda db: None)
    assert house.one("SELECT count(*) FROM signals") == 0


def test_a_fact_that_cannot_be_written_is_set_aside_and_its_neighbours_are_written(house: House) -> None:
    fact = planned()
    house.journal.commit(fact)
    nan = replace(fact.orders[0], quantity=D("NaN"))
    go = house.hold()
    house.journal.append(changed(fact.orders[0], OrderState.SENDING))
    house.journal.append(f.CandleClosed("NSE:INFY", "1m", NOON, 1.0, float("nan"), 1.0, 1.0, 0.0))
    house.journal.append(changed(fact.orders[0], OrderState.OPEN))
    go.set()
    house.written()
    assert [row[0] for row in house.rows("SELECT kind FROM order_events ORDER BY seq")] == ["sending", "open"]
    assert house.rows("SELECT kind FROM set_aside") == [("CandleClosed",)]
    assert eventually(lambda: house.journal.healthy), "a candle is no reason to stop trading"
    house.journal.append(changed(nan, OrderState.FILLED))
    house.written()
    assert house.one("SELECT state FROM orders") == "open"
    assert not house.journal.healthy, "the books on disk are behind those in memory"


def test_a_commit_that_cannot_be_written_is_refused_and_changes_nothing(house: House) -> None:
    fact = planned()
    bad = f.SignalPlanned(fact.signal, (replace(fact.orders[0], quantity=D("Infinity")),))
    with pytest.raises(JournalDown):
        house.journal.commit(bad)
    with pytest.raises(JournalDown):
        house.journal.commit(object())  # type: ignore[arg-type]
    house.journal.commit(fact)
    assert house.one("SELECT quantity FROM orders") == "10"
    assert house.journal.healthy


def test_work_that_raises_leaves_the_facts_of_its_transaction_alone(house: House) -> None:
    fact = planned()
    go = house.hold()
    house.journal.append(fact)
    house.journal.post(lambda db: db.execute("INSERT INTO settings VALUES ('', 'a', '1')"))
    house.journal.post(lambda db: db.execute("INSERT INTO settings VALUES ('', 'a', '2')"))
    house.journal.post(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
    house.journal.append(changed(fact.orders[0], OrderState.OPEN))
    go.set()
    house.written()
    assert house.rows("SELECT name, value FROM settings") == [("a", "1")]
    assert house.rows("SELECT state FROM orders") == [("open",)]
    assert house.journal.stats()["callback_errors"] == 2
    assert house.journal.healthy


def test_a_locked_database_refuses_work_that_is_waited_for_and_keeps_what_is_not(house: House) -> None:
    with closing(sqlite3.connect(house.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        house.journal.post(lambda db: db.execute("INSERT INTO settings VALUES ('', 'posted', '1')"))
        with pytest.raises(JournalDown):
            house.journal.run(lambda db: db.execute("INSERT INTO settings VALUES ('', 'run', '1')"))
    house.written()
    assert house.rows("SELECT name FROM settings") == [("posted",)]


_CHILD = """
import sys
from pathlib import Path
from app.data import open_data
from tests.data.making import planned

data = open_data(Path(sys.argv[1]), exclusive=True)
while True:
    fact = planned(accounts=3)
    data.journal.commit(fact)
    print(fact.signal.key, flush=True)
"""


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as lines:
        told = [next(lines).strip() for _ in range(100)]
        child.kill()
        told += [line.strip() for line in lines if line.endswith("\n")]
    child.wait()
    with closing(sqlite3.connect(tmp_path / "tandem.db")) as after:
        stored = {key for (key,) in after.execute("SELECT key FROM signals")}
        counts = {count for (count,) in after.execute("SELECT count(*) FROM orders GROUP BY signal_key")}
    assert set(told) <= stored
    assert counts == {3}, "a signal and its orders are there together or not at all"


_SMALL_FILES = """
import resource, sys, threading
from pathlib import Path
from app.data import open_data
from engines.core.model import OrderState
from engines.ports import JournalDown
from tests.data.making import changed, planned

data = open_data(Path(sys.argv[1]), exclusive=True)
first = planned()
data.journal.commit(first)
wal = Path(sys.argv[1]) / "tandem.db-wal"
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 100_000, hard))
kept, appended, refused = 0, 0, 0
for _ in range(1000):
    fact = planned(accounts=20)
    data.journal.append(changed(first.orders[0], OrderState.OPEN))
    appended += 1
    try:
        data.journal.commit(fact)
        kept += 1
    except JournalDown:
        refused += 1
        if refused == 3:
            break
unhealthy = not data.journal.healthy
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
done = threading.Event()
data.journal.append(then=done.set)
assert done.wait(30)
data.journal.commit(planned(accounts=20))
print(kept + 2, appended, refused, unhealthy, data.journal.healthy)
data.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a Unix thing")
def test_a_disk_that_takes_no_more_bytes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _SMALL_FILES, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    signals, events, refused, unhealthy, healthy = done.stdout.split()
    assert (refused, unhealthy, healthy) == ("3", "True", "True")
    with closing(sqlite3.connect(tmp_path / "tandem.db")) as after:
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert after.execute("SELECT count(*) FROM signals").fetchone() == (int(signals),)
        assert after.execute("SELECT count(*) FROM order_events").fetchone() == (int(events),)
