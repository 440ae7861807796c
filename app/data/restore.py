"""Brings a backup back: into an empty folder, or in place of what is there, which is put aside and never deleted.

Everything is tried in a folder of its own first (the zip, the schema, the keys, the whole database, its log); only what can be opened takes the place.
A restore that is cut short leaves a mark, and nobody starts on a folder that bears it. Never over a running workspace: it holds the server's lock.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.data import chain, database
from app.data.backup import LARGE, MANIFEST, contents
from app.data.credentials import open_box, sync_folder, write_private
from app.data.errors import DataError
from app.data.locks import FileLock
from app.data.rows import Actor
from engines.core import facts as f
from engines.ports import Clock

if TYPE_CHECKING:
    from app.data.service import Data

UNFINISHED = "restore.unfinished"
_TRIAL = ".restoring"
_STAY = frozenset({"serve.lock", "setup.lock", UNFINISHED, _TRIAL, "logs"})
_PRIVATE = ("credentials.key", "session.key", "halts.json")
_TORN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError)
_MOST = 64 * 1024**3  # bytes unpacked: more is no backup of ours
_MOST_READ = 16 * 1024**2  # bytes of what is read in one piece
_SEALED = 0x1  # the flag of an entry under a password
_LIST = {"made_at": str, "keys": str, "database": str, "schema": str, "counts": dict, "log": dict, "large": list}
_SESSION_KEY = re.compile(rb"[0-9a-f]{64}")

Opener = Callable[[Path], "Data"]


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now. `put_aside`: where the former content lies; `unreadable`: values that no key opens; `missing_files`: datasets without a file."""

    holds: dict[str, Any]
    put_aside: Path | None
    unreadable: tuple[str, ...]
    missing_files: int
    upgraded_from: str | None


def inspect(archive: Path) -> dict[str, Any]:
    """The list in front of a backup, {} for one that was made before there was such a list. DataError for what is no backup of ours."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            _check_names(zipped, archive)
            return _list_in(zipped, archive) if MANIFEST in zipped.namelist() else {}
    except (OSError, ValueError, RecursionError, *_TORN) as error:
        raise DataError(f"{archive} is not a backup that can be read: {error}") from error


def restore(
    archive: Path,
    data_dir: Path,
    *,
    opener: Opener,
    database_url: str | None,
    credential_keys: str | None,
    replace: bool,
    clock: Clock,
    by: Actor,
    step: Callable[[str], None] = lambda _step: None,
) -> Restored:
    """`opener` opens a data folder with these settings. Raises DataError, and then the folder is as it was, or bears the mark."""
    holds = inspect(archive)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"the data folder {data_dir} cannot be made: {error.strerror}") from error
    lock = FileLock(data_dir / "serve.lock")
    if not lock.acquire():
        raise DataError(f"the data folder {data_dir} is in use by another Tandem; stop it first")
    try:
        target = database.database_path(data_dir, database_url).absolute()
        large = [name for name in LARGE if name in holds.get("large", ())]
        present = _present(data_dir, target)
        if present and not replace and not (data_dir / UNFINISHED).exists():
            raise DataError(
                f"{data_dir} is not empty ({present[0].name} is there): say --replace to put its content aside, or another folder"
            )
        trial = data_dir / _TRIAL
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(mode=0o700)
        try:
            _unpack(archive, trial, holds)
            version = _check(trial, holds, credential_keys)
            step("tried")
            told = _prepare(trial, opener, clock, by)
            step("prepared")
        except BaseException:
            shutil.rmtree(trial, ignore_errors=True)
            raise
        aside = _take_the_place(data_dir, trial, target, large, clock, step)
        missing = _market_files(data_dir, target, aside, kept="market" not in large)
        (data_dir / UNFINISHED).unlink()
        sync_folder(data_dir)
        shutil.rmtree(trial, ignore_errors=True)
        if aside is not None and not any(aside.iterdir()):
            aside.rmdir()
            aside = None
        upgraded = version if version != database.HEAD else None
        return Restored({**holds, **contents(target)}, aside, told, missing, upgraded)
    except (OSError, sqlite3.Error, *_TORN) as error:
        raise DataError(f"{archive} cannot be restored into {data_dir}: {error}") from error
    finally:
        lock.release()


def _present(data_dir: Path, target: Path) -> list[Path]:
    """What a restore would put aside."""
    inside = [path for path in sorted(data_dir.iterdir()) if path.name not in _STAY and not path.name.startswith("replaced-")]
    return inside if target.parent == data_dir or not target.exists() else [target, *inside]


# --- trying it -----------------------------------------------------------------------------------------------------


def _check_names(zipped: zipfile.ZipFile, archive: Path) -> None:
    for info in zipped.infolist():
        parts = Path(info.filename).parts
        ours = parts and (parts[0] in LARGE) == (len(parts) > 1)
        if not ours or ".." in parts or info.filename.startswith(("/", "\\")) or ":" in info.filename:
            raise DataError(f"{archive} is not a backup of Tandem: it holds {info.filename[:60]!r}")
        if info.flag_bits & _SEALED:
            raise DataError(f"{archive} is not a backup of Tandem: it is under a password")
        if info.filename in (MANIFEST, *_PRIVATE) and info.file_size > _MOST_READ:
            raise DataError(f"{archive} is not a backup of Tandem: its {info.filename} is far too large")
    if sum(info.file_size for info in zipped.infolist()) > _MOST:
        raise DataError(f"{archive} is not a backup of Tandem: it is far too large")


def _list_in(zipped: zipfile.ZipFile, archive: Path) -> dict[str, Any]:
    holds = json.loads(zipped.read(MANIFEST))
    if not isinstance(holds, dict) or not all(isinstance(holds[name], kind) for name, kind in _LIST.items() if name in holds):
        raise DataError(f"{archive} is not a backup of Tandem: its {MANIFEST} is not one that Tandem writes")
    return holds


def _unpack(archive: Path, trial: Path, holds: dict[str, Any]) -> None:
    with zipfile.ZipFile(archive) as zipped:
        bad = zipped.testzip()
        if bad is not None:
            raise DataError(f"{archive} is damaged: {bad} is not as it was written")
        names = zipped.namelist()
        found = holds.get("database") or next((name for name in names if name.endswith(".db")), None)
        if found not in names:
            raise DataError(f"{archive} is not a backup of Tandem: it holds no database")
        for name in names:
            if name == found or name in _PRIVATE or Path(name).parts[0] in LARGE:
                where = trial / ("tandem.db" if name == found else name)
                where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with zipped.open(name) as source, os.fdopen(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                    file.flush()
                    os.fsync(file.fileno())


def _check(trial: Path, holds: dict[str, Any], credential_keys: str | None) -> str:
    """The version of the schema; DataError for a newer one, a damaged database, a wrong key or none, a log that is not as it was written."""
    path = trial / "tandem.db"
    version = database.stored_version(path)
    if version is None:
        raise DataError("the backup holds an empty database")
    if version > database.HEAD:
        raise DataError(f"the backup was made by a newer Tandem (version {version}, this program knows {database.HEAD})")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        said = db.execute("PRAGMA quick_check").fetchone()[0]
        if said != "ok":
            raise DataError(f"the database in the backup is damaged: {said}")
        log = chain.check(db) if version >= "0004" else None
    if log is not None and not log.whole:
        raise DataError(f"the audit log in the backup is not as it was written: {log.what}")
    if log is not None and holds.get("log", {}).get("head", log.head) != log.head:
        raise DataError("the audit log in the backup does not end as its list says")
    key_file = trial / "credentials.key"
    if not credential_keys and not key_file.exists():
        raise DataError("the backup holds no key file: it was made with CREDENTIAL_KEYS, which have to be set here, too")
    open_box(key_file, credential_keys, may_make=False).check(database.stored_fingerprint(path))
    session_key = trial / "session.key"
    if session_key.exists() and not _SESSION_KEY.fullmatch(session_key.read_bytes()):
        raise DataError("the session key in the backup is not one that Tandem makes: whoever knows it could sign in as anybody")
    return version


def _prepare(trial: Path, opener: Opener, clock: Clock, by: Actor) -> tuple[str, ...]:
    """Opens it as a start would (an older one is brought to this version), and sees to what time has passed over. Returns what no key opens.

    Engines are off until a person has looked: the world has moved on, and perhaps another machine trades these accounts. What was to be told or
    was good once (messages under way, codes, links, signed-in browsers) is over."""
    with opener(trial) as data:
        now = round(clock.now() * 1_000_000)

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE sign_ins SET ended_at = ? WHERE ended_at IS NULL", (now,))
            db.execute("UPDATE codes SET used_at = ? WHERE used_at IS NULL", (now,))
            db.execute("UPDATE messages SET state = 'dropped' WHERE state = 'new'")
            db.execute(
                "UPDATE deliveries SET status = 'dead', sealed = NULL, error = 'restored from a backup' WHERE status IN ('pending', 'sending')"
            )

        data.journal.run(work)
        data.journal.commit(f.EngineSwitched(on=False, user_id=None, by="restore", at=clock.now()))
        data.audit.add_now(by, "backup.restored", "backup", "")
        unreadable = data.unreadable()
    for left in ("serve.lock", "setup.lock", "tandem.db-wal", "tandem.db-shm", *(path.name for path in trial.glob("*.bak"))):
        (trial / left).unlink(missing_ok=True)
    return unreadable


# --- taking the place ----------------------------------------------------------------------------------------------


def _take_the_place(data_dir: Path, trial: Path, target: Path, large: list[str], clock: Clock, step: Callable[[str], None]) -> Path | None:
    """From here on a start is refused until the last file is in its place."""
    write_private(data_dir / UNFINISHED, "run restore again\n")
    stamp = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y%m%d-%H%M%S-%f")
    aside = data_dir / f"replaced-{stamp}"
    aside.mkdir(mode=0o700)
    staying = {name for name in LARGE if name not in large}
    for path in _present(data_dir, target):
        if path.name not in staying or path == target:
            _put_aside(path, aside)
            step(f"{path.name} is aside")
    for suffix in ("-wal", "-shm"):
        if (beside := target.with_name(target.name + suffix)).exists():
            _put_aside(beside, aside)
    for path in sorted(trial.iterdir(), key=lambda path: path.name == "tandem.db"):
        if path.name == "tandem.db":
            half = target.with_name(target.name + ".partial")
            shutil.move(path, half)
            os.replace(half, target)
            sync_folder(target.parent)
        else:
            os.replace(path, data_dir / path.name)
        step(f"{path.name} is in its place")
    sync_folder(data_dir)
    return aside


def _put_aside(path: Path, aside: Path) -> None:
    shutil.move(path, aside / path.name)


def _market_files(data_dir: Path, target: Path, aside: Path | None, *, kept: bool) -> int:
    """How many datasets have no file. Files that the restored list does not know are put aside: the next start would sweep them away."""
    with closing(database.connect(target, read_only=True)) as db:
        known = {row[0] for row in db.execute("SELECT file FROM datasets")}
    folder = data_dir / "market"
    there = {path.name for path in folder.iterdir() if path.is_file()} if folder.is_dir() else set()
    if kept and aside is not None:
        for name in sorted(there - known):
            (aside / "market").mkdir(mode=0o700, exist_ok=True)
            _put_aside(folder / name, aside / "market")
    return len(known - there)
