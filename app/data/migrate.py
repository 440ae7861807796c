"""Brings an older database to this program's schema, after a copy of it was put aside. Only imported when that is due."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from app.data.backup import copy_database
from app.data.errors import DataError

SCRIPTS = Path(__file__).with_name("migrations")


def upgrade(path: Path, version: str, stamp: str, *, scripts: Path = SCRIPTS, target: str = "head") -> Path:
    """All steps in one transaction: it ends at `target`, or stays as it was (DataError). Returns where the copy of before is."""
    copy = path.with_name(f"{path.name}.{version}-{stamp}.bak")
    try:
        copy_database(path, copy)
        copy.chmod(0o600)
        run(path, scripts=scripts, target=target)
    except (OSError, sqlite3.Error, SQLAlchemyError, CommandError) as error:
        raise DataError(
            f"the database {path} could not be brought to this version (it is as it was; a copy is in {copy}): {error}"
        ) from error
    return copy


def run(path: Path, *, scripts: Path = SCRIPTS, target: str = "head") -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _plain(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver would end the transaction at the first change of schema
        connection.execute("PRAGMA foreign_keys = OFF")  # or rebuilding a table would delete what refers to it
        connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, target)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise sqlite3.IntegrityError(f"{len(broken)} rows would refer to nothing, the first in {broken[0][0]}")
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA optimize")
