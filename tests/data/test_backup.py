"""Backup and restore: what comes back is what was there, wherever the restore is cut short, and nothing that cannot be opened takes the place."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.data import Data, DataError, backup
from app.data.credentials import new_key
from app.data.restore import UNFINISHED, Restored, restore
from engines.ports import SystemClock
from tests.data.making import CLI, NOON, account, cheap_user, opened, planned

KEYS = {"api_key": "restore-me-1234", "api_secret": "restore-me-secret-1234"}


def bring_back(
    archive: Path, folder: Path, *, replace: bool = False, keys: str | None = None, url: str | None = None, **more: Any
) -> Restored:
    return restore(
        archive,
        folder,
        opener=lambda where: opened(where, credential_keys=keys),
        database_url=url,
        credential_keys=keys,
        replace=replace,
        clock=SystemClock(),
        by=CLI,
        **more,
    )


def furnish(data: Data) -> str:
    made = data.accounts.add(account(cheap_user(data)), KEYS, by=CLI).account
    data.secret_key()
    data.journal.commit(planned(made.user_id))
    return made.account_id


def books(data: Data) -> dict[str, Any]:
    tables = ("users", "accounts", "signals", "orders", "order_events")
    return {name: [tuple(row) for row in data.accounts.store.readers.all(f"SELECT * FROM {name} ORDER BY 1")] for name in tables}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A backup of a workspace that somebody works with, its books, and its account."""
    folder = tmp_path_factory.mktemp("original")
    with opened(folder / "data", exclusive=True) as data:
        account_id = furnish(data)
        data.backup(folder / "copy.zip")
        return folder / "copy.zip", books(data), account_id


def test_what_comes_back_is_what_was_there(original: tuple[Path, dict[str, Any], str], folder: Path) -> None:
    archive, before, account_id = original
    done = bring_back(archive, folder)
    assert (done.put_aside, done.unreadable, done.missing_files, done.upgraded_from) == (None, (), 0, None)
    assert done.holds["counts"]["orders"] == 1
    with opened(folder, exclusive=True) as data:
        assert books(data) == before
        assert data.directory.credentials(account_id) == KEYS
        assert data.audit.check().whole
        assert data.audit.list(None).items[0].action == "backup.restored"
        assert [tuple(row) for row in data.accounts.store.readers.all("SELECT user_id, is_on, by FROM engine_switches")] == [
            ("", 0, "restore")
        ]
    assert sorted(path.name for path in folder.iterdir() if path.is_file() and "lock" not in path.name) == [
        "credentials.key",
        "halts.json.reserve",
        "session.key",
        "tandem.db",
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir() if path.is_file())


def test_what_time_has_passed_over_does_not_come_back(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as data:
        user_id = cheap_user(data)
        codes = "code_id, purpose, email, email_key, secret_hash, sealed, sent_at, created_at, expires_at"
        for sql in (
            f"INSERT INTO sign_ins VALUES ('S', '{user_id}', 1, 1, '', '', NULL)",
            f"INSERT INTO codes ({codes}) VALUES ('C', 'reset', 'a@b', 'a@b', '', x'00', 1, 1, 2)",
            "INSERT INTO messages (dedupe, kind, user_id, ref, at) VALUES ('d', 'order', 'U', 'O', 1)",
            "INSERT INTO deliveries (message_id, target, user_id, sealed, next_at, created_at, expires_at) VALUES (1, 'mail:a', 'U', x'00', 1, 1, 2)",
        ):
            data.journal.run(lambda db, sql=sql: db.execute(sql))
        data.backup(tmp_path / "copy.zip")
    bring_back(tmp_path / "copy.zip", tmp_path / "back")
    with closing(sqlite3.connect(tmp_path / "back" / "tandem.db")) as db:
        assert db.execute("SELECT count(*) FROM sign_ins WHERE ended_at IS NULL").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM codes WHERE used_at IS NULL").fetchone() == (0,)
        assert db.execute("SELECT state FROM messages WHERE kind = 'order'").fetchone() == ("dropped",)
        assert db.execute("SELECT status, sealed FROM deliveries").fetchone() == ("dead", None)


def test_a_folder_that_is_in_use_or_not_empty_is_left_alone(original: tuple[Path, dict[str, Any], str], folder: Path) -> None:
    archive, _, _ = original
    with opened(folder, exclusive=True) as data:
        cheap_user(data)
        before = books(data)
        for replace in (False, True):
            with pytest.raises(DataError, match="in use by another Tandem"):
                bring_back(archive, folder, replace=replace)
    with pytest.raises(DataError, match=r"is not empty .* --replace"):
        bring_back(archive, folder)
    with opened(folder) as data:
        assert books(data) == before


def test_what_is_replaced_is_put_aside_whole_with_market_files_that_nobody_knows_any_more(
    original: tuple[Path, dict[str, Any], str], folder: Path
) -> None:
    archive, before, _ = original
    with opened(folder) as data:
        furnish(data)
        former = books(data)
    (folder / "market").mkdir()
    (folder / "market" / "newer.tds").write_text("prices")
    (folder / "studies").mkdir()
    done = bring_back(archive, folder, replace=True)
    assert done.put_aside is not None
    assert (done.put_aside / "market" / "newer.tds").read_text() == "prices"
    with opened(folder) as data:
        assert books(data) == before
    with opened(done.put_aside) as data:
        assert books(data) == former


def test_cut_short_anywhere_nobody_starts_on_it_and_run_again_it_is_done(
    original: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    archive, before, account_id = original

    class Killed(BaseException):
        pass

    def killer(at: int, seen: list[str]) -> Callable[[str], None]:
        def step(what: str) -> None:
            seen.append(what)
            if len(seen) == at:
                raise Killed(what)

        return step

    counted: list[str] = []
    for at in range(12):
        folder = tmp_path / f"cut-{at}"
        with opened(folder) as data:
            furnish(data)
            former = books(data)
        seen: list[str] = []
        try:
            bring_back(archive, folder, replace=True, step=killer(at, seen))
        except Killed:
            if (folder / UNFINISHED).exists():
                with pytest.raises(DataError, match="cut short"):
                    opened(folder)
            else:
                with opened(folder) as data:
                    assert books(data) == former, seen
            bring_back(archive, folder, replace=True)
        counted = max(counted, seen, key=len)
        with opened(folder) as data:
            assert books(data) == before, seen
            assert data.directory.credentials(account_id) == KEYS
        kept = [where for where in folder.glob("replaced-*") if (where / "tandem.db").exists()]
        assert kept, "what was there is never gone"
    assert 6 <= len(counted) < 12


def rewritten(archive: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(archive) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as zipped:
        for name, body in members.items():
            zipped.writestr(name, body)
    return target


def in_database(tmp_path: Path, *sql: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        path = tmp_path / "changed.db"
        path.write_bytes(members["tandem.db"])
        with closing(sqlite3.connect(path)) as db, db:
            for one in sql:
                db.execute(one)
        members["tandem.db"] = path.read_bytes()

    return change


def test_what_cannot_be_opened_takes_no_place(original: tuple[Path, dict[str, Any], str], folder: Path, tmp_path: Path) -> None:
    archive, _, _ = original
    whole = archive.read_bytes()
    torn, noise = tmp_path / "torn.zip", tmp_path / "noise.zip"
    torn.write_bytes(whole[: len(whole) // 2])
    noise.write_bytes(b"no zip at all")
    bent = tmp_path / "bent.zip"
    bent.write_bytes(whole[:3000] + bytes([whole[3000] ^ 0xFF]) + whole[3001:])
    cases = {
        torn: "can be read|damaged|cannot be restored",
        noise: "can be read",
        bent: "can be read|damaged|cannot be restored",
        rewritten(archive, tmp_path / "climbing.zip", lambda m: m.update({"../../evil": b"x"})): "is not a backup of Tandem",
        rewritten(archive, tmp_path / "absolute.zip", lambda m: m.update({"/etc/evil": b"x"})): "is not a backup of Tandem",
        rewritten(archive, tmp_path / "empty.zip", lambda m: m.pop("tandem.db")): "holds no database",
        rewritten(archive, tmp_path / "keyless.zip", lambda m: m.pop("credentials.key")): "holds no key file",
        rewritten(archive, tmp_path / "strange.zip", lambda m: m.update({"credentials.key": new_key().encode()})): "not the key",
        rewritten(
            archive, tmp_path / "newer.zip", in_database(tmp_path, "UPDATE alembic_version SET version_num = '9999'")
        ): "made by a newer Tandem",
        rewritten(
            archive, tmp_path / "forged.zip", in_database(tmp_path, "DROP TRIGGER audit_stays", "UPDATE audit SET action = 'x.y'")
        ): "audit log in the backup is not as it was written",
        rewritten(
            archive, tmp_path / "other.zip", lambda m: m.update({"backup.json": json.dumps({"log": {"head": "x"}}).encode()})
        ): "does not end",
    }
    for path, why in cases.items():
        with pytest.raises(DataError, match=why):
            bring_back(path, folder)
        assert [left.name for left in folder.iterdir() if left.name != "serve.lock"] == [] if folder.exists() else True, path.name
    assert not (tmp_path / "evil").exists()


def listed(change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({"backup.json": json.dumps(change(json.loads(members["backup.json"]))).encode()})


FORGED: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "an entry that is the folder itself": (lambda m: m.update({".": b"x"}), "it holds '.'"),
    "a file where a folder belongs": (lambda m: m.update({"market": b"x"}), "it holds 'market'"),
    "a list of another kind": (listed(lambda _: [1]), "its backup.json is not one"),
    "a list that is text": (listed(lambda _: "x"), "its backup.json is not one"),
    "a list that is no list": (lambda m: m.update({"backup.json": b"{"}), "is not a backup that can be read"),
    "a list without a bottom": (lambda m: m.update({"backup.json": b"[" * 200_000}), "is not a backup that can be read"),
    "a list of any size": (lambda m: m.update({"backup.json": b" " * (17 << 20)}), "its backup.json is far too large"),
    **{
        f"{name} of another kind": (listed(lambda holds, put={name: value}: {**holds, **put}), "its backup.json is not one")
        for name, value in {"log": [1], "large": "market", "database": ["tandem.db"], "made_at": 5, "counts": None}.items()
    },
    "large is a number": (listed(lambda holds: {**holds, "large": 5}), "its backup.json is not one"),
    "an empty session key": (lambda m: m.update({"session.key": b""}), "the session key in the backup is not one"),
    "a session key of somebody's choice": (
        lambda m: m.update({"session.key": b"a" * 63 + b"\n"}),
        "the session key in the backup is not one",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_backup_is_one_clear_line(original: tuple[Path, dict[str, Any], str], folder: Path, tmp_path: Path, what: str) -> None:
    change, why = FORGED[what]
    with pytest.raises(DataError, match=re.escape(why)) as refused:
        bring_back(rewritten(original[0], tmp_path / "forged.zip", change), folder)
    assert "\n" not in str(refused.value)
    assert not folder.exists() or [left.name for left in folder.iterdir()] == ["serve.lock"]


def test_a_zip_under_a_password_is_none_of_ours(original: tuple[Path, dict[str, Any], str], folder: Path, tmp_path: Path) -> None:
    path = rewritten(original[0], tmp_path / "sealed.zip", lambda _: None)
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.infolist()[-1].flag_bits |= 1
        zipped.writestr("more", b"")  # so that the list of entries is written anew
    with pytest.raises(DataError, match="under a password"):
        bring_back(path, folder)


def test_a_backup_of_before_there_was_a_list_comes_back_too(
    original: tuple[Path, dict[str, Any], str], folder: Path, tmp_path: Path
) -> None:
    archive, before, _ = original
    bring_back(rewritten(archive, tmp_path / "old.zip", lambda members: members.pop("backup.json")), folder)
    with opened(folder) as data:
        assert books(data) == before


def test_keys_of_the_environment_are_not_in_the_backup_and_asked_for(folder: Path, tmp_path: Path) -> None:
    keys = new_key()
    with opened(folder, credential_keys=keys) as data:
        account_id = furnish(data)
        data.backup(tmp_path / "copy.zip", keys="environment")
    with zipfile.ZipFile(tmp_path / "copy.zip") as zipped:
        assert sorted(zipped.namelist()) == ["backup.json", "session.key", "tandem.db"]
    with pytest.raises(DataError, match="CREDENTIAL_KEYS"):
        bring_back(tmp_path / "copy.zip", tmp_path / "back")
    with pytest.raises(DataError, match="not the key"):
        bring_back(tmp_path / "copy.zip", tmp_path / "back", keys=new_key())
    elsewhere = tmp_path / "elsewhere" / "books.db"
    elsewhere.parent.mkdir()
    bring_back(tmp_path / "copy.zip", tmp_path / "back", keys=keys, url=f"sqlite:///{elsewhere}")
    with opened(tmp_path / "back", credential_keys=keys, database_url=f"sqlite:///{elsewhere}") as data:
        assert data.directory.credentials(account_id) == KEYS


def test_with_data_the_files_of_market_data_come_along(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as data:
        furnish(data)
        (folder / "market").mkdir()
        (folder / "market" / "one.tds").write_text("prices")
        (folder / "market" / ".incoming-x").write_text("half")
        (folder / "studies" / "S1").mkdir(parents=True)
        (folder / "studies" / "S1" / "result.json").write_text("{}")
        holds = data.backup(tmp_path / "copy.zip", large=True)
    assert holds["large"] == ["market", "studies"]
    bring_back(tmp_path / "copy.zip", tmp_path / "back")
    assert (tmp_path / "back" / "market" / "one.tds").read_text() == "prices"
    assert (tmp_path / "back" / "studies" / "S1" / "result.json").exists()
    assert not (tmp_path / "back" / "market" / ".incoming-x").exists()


def test_what_a_backup_says_of_itself_holds_no_secret(original: tuple[Path, dict[str, Any], str]) -> None:
    with zipfile.ZipFile(original[0]) as zipped:
        said, key = zipped.read("backup.json").decode(), zipped.read("credentials.key").decode().strip()
        assert set(json.loads(said)) == {"made_at", "keys", "database", "schema", "counts", "log", "large"}
    for secret in (key, *KEYS.values()):
        assert secret not in said


def test_an_older_backup_is_brought_to_this_version(folder: Path, tmp_path: Path) -> None:
    from app.data import migrate
    from app.data.credentials import open_box

    box = open_box(tmp_path / "credentials.key", None, may_make=True)
    migrate.run(tmp_path / "tandem.db", target="0003")
    with closing(sqlite3.connect(tmp_path / "tandem.db")) as db, db:
        db.execute("INSERT INTO meta VALUES ('key_fingerprint', ?)", (box.fingerprint(),))
        db.execute(f"INSERT INTO audit (at, via, action, object_kind, object_id) VALUES ({int(NOON)}, 'cli', 'a.b', 'a', '')")
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as zipped:
        for name in ("tandem.db", "credentials.key"):
            zipped.write(tmp_path / name, name)
    done = bring_back(tmp_path / "old.zip", folder)
    assert done.upgraded_from == "0003"
    assert list(folder.glob("*.bak")) == []
    with opened(folder) as data:
        assert data.audit.check().whole


@pytest.mark.parametrize("pause_at", ["the new key is in front", "the fingerprint is the new one", "the old key is gone"])
def test_a_backup_that_is_made_while_keys_are_rotated_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause_at: str) -> None:
    """The database is copied, and the keys go on by this much before anything else is read."""
    with opened(tmp_path / "data") as data:
        account_id = furnish(data)
    real, copies = backup.copy_database, []

    class Killed(Exception):
        pass

    def step(name: str) -> None:
        if name == pause_at:
            raise Killed

    def copied(source: Path, target: Path) -> None:
        real(source, target)
        copies.append(target)
        if len(copies) == 1:
            with opened(tmp_path / "data", alone=True) as other, contextlib.suppress(Killed):
                other.rotate_keys(None, by=CLI, step=step)

    monkeypatch.setattr(backup, "copy_database", copied)
    with opened(tmp_path / "data") as data:
        data.backup(tmp_path / "copy.zip")
    monkeypatch.undo()
    assert len(copies) == 2
    done = bring_back(tmp_path / "copy.zip", tmp_path / "there")
    assert done.unreadable == ()
    with opened(tmp_path / "there") as data:
        assert data.directory.credentials(account_id) == KEYS


def test_a_backup_with_keys_that_do_not_open_it_is_none(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as data:
        furnish(data)
        (tmp_path / "data" / "credentials.key").write_text(new_key())
        with pytest.raises(DataError, match="not the key"):
            data.backup(tmp_path / "copy.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
