"""The chain of the audit log: whole as written, broken by any change, and by what is cut out or off."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.data import Actor, Data, chain
from tests.data.making import CLI, account, cheap_user, opened

PERSON = Actor("U1", "web", "203.0.113.7")
ROWS = 30


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "data"
    with opened(folder) as data:
        for number in range(ROWS):
            data.audit.add(PERSON, "order.cancel", "order", f"Ö{number}", before={"price": "1.50"}, after={"says": "\u20b9 “quoted” \\ \n"})
        data.journal.run(lambda _: None)
    return folder


def forged(written: Path, tmp_path: Path, *sql: str) -> chain.ChainCheck:
    """What a walk says after somebody with the file in hand has changed it."""
    with closing(sqlite3.connect(written / "tandem.db")) as source, closing(sqlite3.connect(tmp_path / "forged.db")) as db:
        source.backup(db)
        for name in ("audit_keeps", "audit_stays"):
            db.execute(f"DROP TRIGGER {name}")
        for one in sql:
            db.execute(one)
        db.commit()
        db.isolation_level = None
        return chain.check(db)


def test_what_was_written_is_whole(written: Path, tmp_path: Path) -> None:
    told = forged(written, tmp_path)
    assert (told.whole, told.rows, told.what) == (True, ROWS, "")


@pytest.mark.parametrize(
    ("sql", "broken_at", "what"),
    [
        ("UPDATE audit SET after = '{}' WHERE audit_id = 7", 7, "row 7 is not as it was written"),
        ("UPDATE audit SET user_id = 'U2' WHERE audit_id = 1", 1, "row 1 is not as it was written"),
        ("UPDATE audit SET at = at + 1 WHERE audit_id = 30", 30, "row 30 is not as it was written"),
        ("UPDATE audit SET before = NULL WHERE audit_id = 12", 12, "row 12 is not as it was written"),
        ("UPDATE audit SET ip = '' WHERE audit_id = 12", 12, "row 12 is not as it was written"),
        ("UPDATE audit SET hash = '' WHERE audit_id = 12", 12, "row 12 is not as it was written"),
        ("DELETE FROM audit WHERE audit_id = 9", 9, "row 9 is missing"),
        ("DELETE FROM audit WHERE audit_id BETWEEN 9 AND 11", 9, "rows 9 to 11 are missing"),
        ("DELETE FROM audit WHERE audit_id = 1", 1, "row 1 is missing"),
        ("DELETE FROM audit WHERE audit_id > 20", 21, "the end is cut off behind row 20: 30 were written"),
        ("DELETE FROM audit", 1, "the end is cut off behind row 0: 30 were written"),
        ("UPDATE audit SET audit_id = 31 WHERE audit_id = 30", 30, "row 30 is missing"),
    ],
)
def test_any_change_breaks_the_chain_at_the_first_row_that_does_not_fit(
    written: Path, tmp_path: Path, sql: str, broken_at: int, what: str
) -> None:
    told = forged(written, tmp_path, sql)
    assert (told.whole, told.broken_at, told.what) == (False, broken_at, what)


def test_two_rows_that_change_places_are_found(written: Path, tmp_path: Path) -> None:
    swap = ("UPDATE audit SET audit_id = -1 WHERE audit_id = 5", "UPDATE audit SET audit_id = 5 WHERE audit_id = 6")
    assert forged(written, tmp_path, *swap, "UPDATE audit SET audit_id = 6 WHERE audit_id = -1").broken_at == 5


def test_what_is_written_behind_a_cut_does_not_hide_it(written: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(written / "tandem.db")) as source, closing(sqlite3.connect(tmp_path / "cut.db")) as db:
        source.backup(db)
        db.execute("DROP TRIGGER audit_keeps")
        db.execute("DELETE FROM audit WHERE audit_id > 20")
        number, before = chain.next_link(db)
        row = (number, 1, None, "cli", None, "a.b", "a", "", None, None)
        db.execute(f"INSERT INTO audit ({chain.COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, chain.link(before, row)))
        db.commit()
        db.isolation_level = None
        assert chain.check(db).what == "rows 21 to 30 are missing"


def test_a_write_that_fails_leaves_neither_a_row_nor_a_gap(data: Data) -> None:
    user_id = cheap_user(data)

    def fails(db: sqlite3.Connection) -> None:
        data.accounts.store.audit(db, CLI, "account.changed", "A", after={"a": 1})
        raise RuntimeError("half-way")

    for _ in range(3):
        with pytest.raises(RuntimeError):
            data.accounts.store.write(fails)
        data.accounts.add(account(user_id), {}, by=CLI)
    told = data.audit.check()
    assert (told.whole, told.rows) == (True, 3)


def test_many_writers_in_two_processes_make_one_chain(folder: Path) -> None:
    with opened(folder) as one, opened(folder) as other:  # two journals on one file, as a command beside the server

        def write(data: Data) -> None:
            for number in range(25):
                data.audit.add(PERSON, "order.cancel", "order", str(number))
                if number % 5 == 0:
                    data.journal.run(lambda _: None)

        threads = [threading.Thread(target=write, args=(data,)) for data in (one, other) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for data in (one, other):
            data.journal.run(lambda _: None)
        told = one.audit.check()
        assert (told.whole, told.rows) == (True, 100)


def test_rows_from_before_the_chain_are_linked_by_the_migration(tmp_path: Path) -> None:
    from app.data import migrate

    path = tmp_path / "old.db"
    migrate.run(path, target="0003")
    columns = chain.COLUMNS.replace("audit_id, ", "")
    with closing(sqlite3.connect(path)) as db, db:
        for number in range(3):
            db.execute(f"INSERT INTO audit ({columns}) VALUES (?, 'U', 'web', NULL, 'a.b', 'a', 'ü', NULL, '{{}}')", (number,))
    migrate.run(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        told = chain.check(db)
        assert (told.whole, told.rows) == (True, 3)


def test_a_hundred_thousand_rows_are_checked_in_a_few_seconds(tmp_path: Path) -> None:
    rows = 20_000
    with closing(sqlite3.connect(tmp_path / "long.db", isolation_level=None)) as db:
        db.execute(f"CREATE TABLE audit (audit_id INTEGER PRIMARY KEY AUTOINCREMENT, {chain.COLUMNS.removeprefix('audit_id, ')}, hash)")
        head, made = "", []
        for number in range(1, rows + 1):
            row = (number, number, "U1", "web", "127.0.0.1", "order.cancel", "order", "O1", None, '{"state":"cancelled"}')
            head = chain.link(head, row)
            made.append((*row, head))
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO audit ({chain.COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", made)
        db.execute("COMMIT")
        started = time.thread_time()
        assert chain.check(db) == chain.ChainCheck(rows, head)
        assert time.thread_time() - started < 1.0  # a fifth of a hundred thousand


def test_nobody_takes_back_what_the_log_says(data: Data) -> None:
    data.audit.add_now(PERSON, "order.cancel", "order", "O1")
    for sql in ("DELETE FROM audit", "UPDATE audit SET action = 'nothing'"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            data.journal.run(lambda db, sql=sql: db.execute(sql))
    assert data.audit.check().whole
