"""Migrations: the steps lead to the schema of a new database, keep what is there, and leave a copy of before."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from app.data import DataError, database, migrate, open_data
from app.data.migrate import SCRIPTS
from tests.data.making import CLI, account, cheap_user

TODAY, TOMORROW = database.HEAD, "9999"

NEXT = '''
"""A step of tomorrow."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    {body}
'''


def _schema(path: Path) -> dict[tuple[str, str], str]:
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {
        (kind, name): re.sub(r"\s+", " ", re.sub(r"--.*", "", sql)).replace("( ", "(").replace(" )", ")").replace(" ,", ",").strip()
        for kind, name, sql in rows
    }


def test_the_steps_lead_to_the_schema_of_a_new_database(tmp_path: Path) -> None:
    new, stepped = tmp_path / "new.db", tmp_path / "stepped.db"
    database.create(new, "")
    migrate.run(stepped)
    assert _schema(stepped) == _schema(new)
    with closing(sqlite3.connect(stepped)) as db, closing(sqlite3.connect(new)) as other:
        sql = "SELECT name, value FROM meta WHERE name <> 'key_fingerprint' ORDER BY name"
        assert db.execute(sql).fetchall() == other.execute(sql).fetchall()
        assert db.execute("SELECT * FROM alembic_version").fetchall() == [(database.HEAD,)]


def test_the_first_schemas_rows_are_kept_when_brokers_come(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    migrate.run(path, target="0001")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO users VALUES ('U', 'a@b', 'a@b', '', 'owner', '-', 1, 0, 1, NULL)")
        db.execute("INSERT INTO accounts VALUES ('A', 'U', 'Main', 'paper', '1', '5', '{}', '{}', 0, 0, 1, x'00', '{}', 1, 1, NULL)")
        db.execute("INSERT INTO fills VALUES (1, 'O', 'T', 'U', 'A', 'NSE:INFY', 'BUY', 'MIS', NULL, NULL, '1', '2', '0', '0', 5)")
        db.execute("INSERT INTO candles VALUES ('NSE:INFY', '1m', 60000000, 1, 2, 0.5, 1.5, 7)")
    migrate.run(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT source_address, auto_login FROM accounts").fetchall() == [(None, 0)]
        assert db.execute("SELECT traded_at, fee_quantity FROM fills").fetchall() == [(5, "0")]
        assert db.execute("SELECT * FROM candles").fetchall() == [("NSE:INFY", "1m", 0, 60000000, 1.0, 2.0, 0.5, 1.5, 7.0)]


@pytest.fixture
def tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of tomorrow: it has one more step (a test writes what that does)."""
    scripts = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    real = migrate.upgrade
    monkeypatch.setattr(migrate, "upgrade", lambda path, version, stamp: real(path, version, stamp, scripts=scripts))
    monkeypatch.setattr(database, "HEAD", TOMORROW)
    return scripts / "versions" / "v9999_more.py"


def _older(folder: Path) -> str:
    with pytest.MonkeyPatch.context() as today:
        today.setattr(database, "HEAD", TODAY)
        with open_data(folder) as data:
            return data.accounts.add(account(cheap_user(data)), {"api_key": "abcdefghijklxyz"}, by=CLI).account.account_id


REBUILD = (
    "with op.batch_alter_table('users', recreate='always') as users:\n"
    "        users.alter_column('name', new_column_name='full_name')\n"
    "    op.execute(\"ALTER TABLE accounts ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'\")"
)


@pytest.mark.parametrize("exclusive", [True, False])
def test_an_older_database_is_brought_along_with_a_copy_of_before(folder: Path, tomorrow: Path, exclusive: bool) -> None:
    account_id = _older(folder)
    tomorrow.write_text(NEXT.format(revision=TOMORROW, before=TODAY, body=REBUILD))
    with open_data(folder, exclusive=exclusive) as data:
        assert data.directory.credentials(account_id) == {"api_key": "abcdefghijklxyz"}
        with data.journal._readers.use() as db:
            assert db.execute("SELECT colour FROM accounts").fetchone()[0] == "blue"
            assert db.execute("SELECT full_name FROM users").fetchone()[0] == ""
    (copy,) = folder.glob(f"tandem.db.{TODAY}-*.bak")
    assert database.stored_version(copy) == TODAY
    assert database.stored_version(folder / "tandem.db") == TOMORROW


@pytest.mark.parametrize(
    "body",
    [
        "op.execute('CREATE TABLE half (a)')\n    op.execute('SELECT no_such_thing')",
        "op.execute('CREATE TABLE half (a)')\n    op.execute('DELETE FROM users')",
    ],
)
def test_a_step_that_fails_or_breaks_references_leaves_the_database_as_it_was(folder: Path, tomorrow: Path, body: str) -> None:
    _older(folder)
    before = _schema(folder / "tandem.db")
    tomorrow.write_text(NEXT.format(revision=TOMORROW, before=TODAY, body=body))
    with pytest.raises(DataError, match="as it was"):
        open_data(folder, exclusive=True)
    assert _schema(folder / "tandem.db") == before
    assert database.stored_version(folder / "tandem.db") == TODAY
    with closing(sqlite3.connect(folder / "tandem.db")) as db:
        assert db.execute("SELECT count(*) FROM users").fetchone() == (1,)


def test_nobody_migrates_under_a_program_that_serves(folder: Path, tomorrow: Path) -> None:
    tomorrow.write_text(NEXT.format(revision=TOMORROW, before=TODAY, body="op.execute('SELECT 1')"))
    _older(folder)
    with pytest.MonkeyPatch.context() as today:
        today.setattr(database, "HEAD", TODAY)
        serving = open_data(folder, exclusive=True)
    try:
        with pytest.raises(DataError, match="in use by an older Tandem"):
            open_data(folder)
    finally:
        serving.close()
    with open_data(folder):
        pass


def test_of_many_that_start_one_migrates(folder: Path, tomorrow: Path) -> None:
    tomorrow.write_text(NEXT.format(revision=TOMORROW, before=TODAY, body="op.execute('CREATE TABLE once (a)')"))
    _older(folder)
    errors: list[Exception] = []

    def start() -> None:
        try:
            open_data(folder).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(list(folder.glob("*.bak"))) == 1
