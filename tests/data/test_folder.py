"""Opening the data folder: what is missing is made, what does not fit is refused with one clear line and left as it was."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from app.data import Data, DataError, open_data
from app.data.credentials import mask
from app.data.database import HEAD
from engines.core.model import Halt, HaltScope
from tests.data.making import CLI, NOON, account, cheap_user, planned

ROOT = Path(__file__).resolve().parents[2]
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER_KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


def _fingerprint(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    }


def test_a_first_start_makes_everything_and_only_its_owner_can_read_it(folder: Path) -> None:
    with open_data(folder, exclusive=True) as data:
        data.secret_key()
        assert data.latch.set(Halt("H1", HaltScope.SYSTEM, None, "test", NOON, "U1"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in ("tandem.db", "tandem.db-wal", "credentials.key", "session.key", "halts.json"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name


def test_the_cookie_key_stays_and_is_long(folder: Path) -> None:
    with open_data(folder) as data:
        first = data.secret_key()
    with open_data(folder) as data:
        assert data.secret_key() == first
        assert len(first) == 64


def test_of_two_that_want_to_serve_the_second_is_refused_and_others_are_not(folder: Path) -> None:
    with open_data(folder, exclusive=True):
        with pytest.raises(DataError, match="in use by another Tandem"):
            open_data(folder, exclusive=True)
        with open_data(folder) as beside:
            cheap_user(beside)
    with open_data(folder, exclusive=True) as after:
        assert after.users.count() == 1


def test_the_lock_goes_with_its_process_however_that_ends(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.data import open_data\n"
        "data = open_data(Path(sys.argv[1]), exclusive=True); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(DataError, match="in use"):
            open_data(folder, exclusive=True)
        child.kill()
        child.wait()
        with open_data(folder, exclusive=True):
            pass


def test_many_may_make_the_folder_at_once(folder: Path) -> None:
    made: list[str] = []

    def make(n: int) -> None:
        with open_data(folder) as data:
            made.append(cheap_user(data, f"{n}@example.com"))

    threads = [threading.Thread(target=make, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_data(folder) as data:
        assert {one.user_id for one in data.users.all()} == set(made)
        assert len(made) == 6


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data folder .*file/data"):
        open_data(tmp_path / "file" / "data")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)  # nobody: root may write anywhere
        with pytest.raises(DataError, match=r"the data folder .* cannot be (written|made)"):
            open_data(tmp_path)
    finally:
        os.seteuid(before)


def _made(folder: Path, **options: str) -> None:
    with open_data(folder, **options) as data:  # type: ignore[arg-type]
        data.accounts.add(account(cheap_user(data)), {"api_key": "abcdefghijklxyz"}, by=CLI)


def test_a_newer_database_is_refused_and_left_alone(folder: Path) -> None:
    _made(folder)
    with closing(sqlite3.connect(folder / "tandem.db")) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    before = _fingerprint(folder)
    for exclusive in (True, False):
        with pytest.raises(DataError, match="newer Tandem"):
            open_data(folder, exclusive=exclusive)
    assert _fingerprint(folder) == before


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one " * 100, b"short"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "tandem.db").write_bytes(content)
    with pytest.raises(DataError, match=r"tandem\.db"):
        open_data(folder)
    assert (folder / "tandem.db").read_bytes() == content


def test_somebody_elses_database_is_refused(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "tandem.db")) as theirs:
        theirs.execute("CREATE TABLE orders (id)")
    with pytest.raises(DataError, match="not a Tandem database"):
        open_data(folder)


def test_an_empty_file_is_a_new_database(folder: Path) -> None:
    folder.mkdir()
    (folder / "tandem.db").touch()
    with open_data(folder) as data:
        assert data.users.count() == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OTHER_KEY, "not the key"),
        ("rubbish", "no usable key"),
        ("", "holds no key"),
        ("\udcff", "no usable key"),
        (None, "is missing"),
    ],
)
def test_a_wrong_key_file_is_refused_and_left_alone(folder: Path, content: str | None, message: str) -> None:
    _made(folder)
    key = folder / "credentials.key"
    key.unlink()
    if content is not None:
        key.write_bytes(content.encode(errors="surrogateescape"))
    before = _fingerprint(folder)
    with pytest.raises(DataError, match=message):
        open_data(folder, exclusive=True)
    assert _fingerprint(folder) == before


def test_keys_from_the_environment_need_no_file_and_a_new_one_goes_in_front(folder: Path) -> None:
    _made(folder, credential_keys=KEY)
    assert not (folder / "credentials.key").exists()
    with open_data(folder, credential_keys=f"{OTHER_KEY},{KEY}") as data:
        (row,) = data.accounts.list(None)
        assert data.directory.credentials(row.account.account_id) == {"api_key": "abcdefghijklxyz"}
    for wrong in (OTHER_KEY, "short", " , "):
        with pytest.raises(DataError, match="CREDENTIAL_KEYS"):
            open_data(folder, credential_keys=wrong)


def test_a_database_that_another_program_keeps_locked_is_refused(folder: Path) -> None:
    _made(folder)
    with closing(sqlite3.connect(folder / "tandem.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError, match="locked"):
            open_data(folder, exclusive=True)
    with open_data(folder, exclusive=True) as data:
        assert data.journal.healthy


def test_a_start_that_was_refused_does_not_hold_the_folder(folder: Path) -> None:
    _made(folder, credential_keys=KEY)
    with pytest.raises(DataError):
        open_data(folder, credential_keys=OTHER_KEY, exclusive=True)
    with open_data(folder, credential_keys=KEY, exclusive=True):
        pass


def test_the_database_may_be_elsewhere(tmp_path: Path) -> None:
    with open_data(tmp_path / "data", database_url=f"sqlite:///{tmp_path}/elsewhere.db") as data:
        cheap_user(data)
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "data" / "tandem.db").exists()
    for wrong in ("postgresql://localhost/tandem", "sqlite:///", "tandem.db"):
        with pytest.raises(DataError, match="DATABASE_URL"):
            open_data(tmp_path / "data", database_url=wrong)


def test_opening_costs_no_heavy_import(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.data import open_data\n"
        "open_data(Path(sys.argv[1]), exclusive=True).close()\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'cryptography', 'argon2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_backup_of_the_running_database_starts_elsewhere(data: Data, tmp_path: Path) -> None:
    made = data.accounts.add(account(cheap_user(data)), {"api_key": "abcdefghijklxyz"}, by=CLI).account
    data.secret_key()
    data.journal.commit(planned())
    target = tmp_path / "backup.zip"
    stop = threading.Event()

    def trade() -> None:
        while not stop.is_set():
            data.journal.commit(planned())

    trading = threading.Thread(target=trade)
    trading.start()
    try:
        data.backup(target)
        data.backup(target)
    finally:
        stop.set()
        trading.join()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        assert sorted(archive.namelist()) == ["backup.json", "credentials.key", "session.key", "tandem.db"]
        archive.extractall(tmp_path / "copy")
    with open_data(tmp_path / "copy", exclusive=True) as copy:
        assert copy.directory.credentials(made.account_id) == {"api_key": "abcdefghijklxyz"}
        assert copy.secret_key() == data.secret_key()
        page = copy.books.signals("U1")
        assert page.items
        assert all(len(row.orders) == 1 for row in page.items)


def test_a_backup_that_cannot_be_written_says_so_and_leaves_nothing(data: Data, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        data.backup(tmp_path / "nowhere" / "backup.zip")
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        data.backup(tmp_path / "taken")
    assert not list(tmp_path.glob("*.partial"))


def test_masks_show_the_ends_of_identifiers_and_nothing_of_secrets() -> None:
    assert mask({"api_key": "abcdefghijkl", "client_code": "A123456", "pin": "123456789012345", "empty": ""}) == {
        "api_key": "abc…jkl",
        "client_code": "A…6",
        "pin": "•••",
    }


def test_the_file_knows_its_version(folder: Path) -> None:
    _made(folder)
    with closing(sqlite3.connect(folder / "tandem.db")) as outside:
        assert outside.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert outside.execute("PRAGMA journal_mode").fetchone() == ("wal",)
