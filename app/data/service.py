"""Opens the data folder and hands out everything that is kept in it. Refuses, with one clear line, what it cannot safely use."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from app.data import database
from app.data.accounts import Accounts
from app.data.audit import Audit
from app.data.books import Books
from app.data.calendar import CalendarDays
from app.data.codes import Codes
from app.data.combined import CombinedRules
from app.data.consents import Consents
from app.data.credentials import CredentialBox, open_box, write_private
from app.data.datasets import Datasets
from app.data.day_books import DayBooks
from app.data.deliveries import Deliveries
from app.data.destinations import Destinations
from app.data.directory import SqliteDirectory
from app.data.errors import DataError
from app.data.groups import Groups
from app.data.invites import Invites
from app.data.journal import SqliteJournal
from app.data.latch import FileLatch
from app.data.levels import Levels
from app.data.locks import FileLock
from app.data.mappings import Mappings
from app.data.office import Idempotency, Settings
from app.data.outbox import Outbox
from app.data.people import People
from app.data.reporting import Reporting
from app.data.resets import Resets
from app.data.rows import Actor
from app.data.second_factor import SecondFactor
from app.data.sessions import AutoLogins, SqliteSessions
from app.data.shares import Shares
from app.data.sign_ins import SignIns
from app.data.sign_ups import SignUps
from app.data.store import Changes, Store
from app.data.strategies import Strategies
from app.data.studies import Studies
from app.data.tokens import Tokens, Webhooks
from app.data.users import Users
from app.data.values import to_json
from app.data.watchlists import Watchlists
from engines.execution.incidents import KEPT
from engines.ports import Clock, Ids, JournalDown, RandomIds, SystemClock

if TYPE_CHECKING:
    from app.data.rotation import Rotated

KEY_FILE = "credentials.key"
SESSION_KEY_FILE = "session.key"


class Data:
    """Everything that is kept. Close it (or use it in a `with`); any thread may use it."""

    def __init__(self, data_dir: Path, path: Path, box: CredentialBox, serve_lock: FileLock, store: Store, *, serving: bool) -> None:
        self.data_dir = data_dir
        self._path = path
        self._serve_lock = serve_lock
        self._store = store
        people = People(store)
        self.journal = store.journal
        self.box = box
        self.latch = FileLatch(data_dir / "halts.json")
        self.outbox = Outbox(store, box)
        self.sign_ins = SignIns(store, self.outbox)
        self.deliveries = Deliveries(store, box)
        self.destinations = Destinations(store, box, self.outbox)
        self.reporting = Reporting(store)
        self.shares = Shares(store, self.outbox)
        self.users = Users(store, people, self.sign_ins, self.outbox, self.shares)
        self.codes = Codes(store, box, self.users, self.outbox, cache(self.secret_key))
        self.sign_ups = SignUps(self.codes)
        self.invites = Invites(self.codes)
        self.resets = Resets(self.codes)
        self.second_factor = SecondFactor(store, box, self.outbox)
        self.tokens = Tokens(store, people)
        self.accounts = Accounts(store, box)
        self.sessions = SqliteSessions(store, box)
        self.auto_logins = AutoLogins(store)
        self.strategies = Strategies(store, self.shares)
        self.mappings = Mappings(store)
        self.groups = Groups(store)
        self.combined_rules = CombinedRules(store)
        self.webhooks = Webhooks(store, people)
        self.idempotency = Idempotency(store, self.box)
        self.audit = Audit(store)
        self.settings = Settings(store)
        self.consents = Consents(store, self.outbox)
        self.unagreed: tuple[str, ...] = ()  # accounts whose consent had run out when this was opened
        self.datasets = Datasets(store, data_dir)
        self.books = Books(store)
        self.calendar = CalendarDays(store)
        self.day_books = DayBooks(store)
        self.levels = Levels(store)
        self.studies = Studies(store)
        self.watchlists = Watchlists(store)
        self.directory = SqliteDirectory(store, self.accounts, self.strategies, self.mappings)
        if serving:
            self.idempotency.free_unfinished()
            self.datasets.sweep()
            self._end_incidents()
            self.unagreed = tuple(self.consents.run_out())
            store.changes.watch()

    def _end_incidents(self) -> None:
        """Whoever noticed them is gone; what still holds is noticed and told again."""
        now, sql = self._store.now(), "UPDATE incidents SET until = ? WHERE until IS NULL AND kind NOT IN (SELECT value FROM json_each(?))"
        self._store.journal.run(lambda db: db.execute(sql, (now, to_json(sorted(KEPT)))))

    def secret_key(self) -> bytes:
        """Signs cookies; made once, readable only by its owner."""
        path = self.data_dir / SESSION_KEY_FILE
        if not path.exists():
            write_private(path, secrets.token_hex(32))
        return path.read_bytes()

    def backup(self, target: Path, *, large: bool = False, keys: str = "file") -> dict[str, Any]:
        """A consistent copy of the running database, the keys and the halts, as one zip file that only its owner can read; with `large` also market
        data and the results of back-tests. `keys`: "file" or "environment". Returns what is in it."""
        from app.data.backup import LARGE, backup

        about = {"made_at": datetime.fromtimestamp(self._store.clock.now(), UTC).isoformat(timespec="seconds"), "keys": keys}
        files = [self.data_dir / name for name in (SESSION_KEY_FILE, "halts.json")]
        folders = [self.data_dir / name for name in LARGE] if large else []
        return backup(self._path, files, target, key_file=self.data_dir / KEY_FILE if keys == "file" else None, about=about, large=folders)

    def rotate_keys(self, configured: str | None, *, by: Actor, step: Callable[[str], None] | None = None) -> Rotated:
        """Seals everything secret with a new key (see `rotation`); for whoever opened the folder `alone`. Close and open it again afterwards."""
        from app.data.rotation import rotate

        told = {} if step is None else {"step": step}
        return rotate(self._store, self.data_dir / KEY_FILE, configured, database.stored_fingerprint(self._path), by, **told)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Called after each change of configuration, also by another process; must return at once."""
        self._store.changes.on_change(callback)

    def unreadable(self) -> tuple[str, ...]:
        """Places ("table id") of what is encrypted and no key of ours opens."""
        from app.data.rotation import unreadable

        return unreadable(self._store.readers, self.box)

    def close(self) -> None:
        self._store.changes.close()
        self._store.journal.close()
        self._store.readers.close()
        self._serve_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_data(
    data_dir: Path,
    *,
    database_url: str | None = None,
    credential_keys: str | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    exclusive: bool = False,
    alone: bool = False,
) -> Data:
    """`exclusive`: for whoever serves; only one process at a time may. `alone`: nobody may serve meanwhile, nothing else is done as a server does.
    Makes what is missing. Raises DataError, then nothing was touched."""
    clock = clock or SystemClock()
    data_dir = data_dir.absolute()
    _make_folder(data_dir)
    serve_lock = FileLock(data_dir / "serve.lock")
    if (exclusive or alone) and not serve_lock.acquire(wait=0.3):
        raise DataError(f"the data folder {data_dir} is in use by another Tandem")
    journal: SqliteJournal | None = None
    try:
        if (data_dir / "restore.unfinished").exists():
            raise DataError(f"a restore into {data_dir} was cut short: run it again")
        path = database.database_path(data_dir, database_url)
        box = _prepare(data_dir, path, credential_keys, serve_lock, exclusive or alone, clock)
        readers = database.Readers(path)
        journal = SqliteJournal(path, readers, clock)
        store = Store(readers, journal, Changes(readers), clock, ids or RandomIds(clock))
        return Data(data_dir, path, box, serve_lock, store, serving=exclusive)
    except BaseException as error:
        if journal is not None:
            journal.close()
        serve_lock.release()
        if isinstance(error, sqlite3.Error | OSError | JournalDown):
            raise DataError(f"the data folder {data_dir} cannot be used: {error}") from error
        raise


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the data folder {data_dir} cannot be made: {error.strerror}") from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise DataError(f"the data folder {data_dir} cannot be written")


def _prepare(data_dir: Path, path: Path, credential_keys: str | None, serve_lock: FileLock, serving: bool, clock: Clock) -> CredentialBox:
    """A database of this version and the keys that fit it: makes both when there is none, migrates an older one, refuses a newer one."""
    key_file = data_dir / KEY_FILE
    if database.stored_version(path) != database.HEAD:
        setup_lock = FileLock(data_dir / "setup.lock")
        if not setup_lock.acquire(wait=30):
            raise DataError(f"the data folder {data_dir} is being prepared by another Tandem; try again in a moment")
        try:
            version = database.stored_version(path)  # another process may have been quicker
            if version is None:
                box = open_box(key_file, credential_keys, may_make=True)
                database.create(path, box.fingerprint())
            elif version > database.HEAD:
                raise DataError(
                    f"the database {path} was written by a newer Tandem (version {version}, this program knows {database.HEAD})"
                )
            elif version < database.HEAD:
                open_box(key_file, credential_keys, may_make=False).check(database.stored_fingerprint(path))
                _migrate(path, version, serve_lock, serving, clock)
        finally:
            setup_lock.release()
    box = open_box(key_file, credential_keys, may_make=False)
    box.check(database.stored_fingerprint(path))
    return box


def _migrate(path: Path, version: str, serve_lock: FileLock, serving: bool, clock: Clock) -> None:
    if not serving and not serve_lock.acquire():
        raise DataError(f"the database {path} is in use by an older Tandem; stop it first")
    try:
        from app.data.migrate import upgrade  # alembic costs 0.4 s: only paid when a migration is due

        upgrade(path, version, datetime.fromtimestamp(clock.now(), UTC).strftime("%Y%m%d-%H%M%S"))
    finally:
        if not serving:
            serve_lock.release()
