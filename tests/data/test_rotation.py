"""Rotation of the key: killed at any point and run again it finishes, and at no moment is anything unreadable."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.data import Data, DataError, database, rotation
from app.data.credentials import CredentialBox, new_key
from engines.ports import Session
from tests.data.making import CLI, account, cheap_user, opened

KEYS = {"api_key": "rotate-me-1234", "api_secret": "rotate-me-secret-1234"}


class Killed(BaseException):
    """As good as a kill -9: nothing of ours catches it."""


@dataclass
class Killer:
    """Kills at step `at`; counts otherwise."""

    at: int
    seen: list[str] = field(default_factory=list)

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if len(self.seen) == self.at:
            raise Killed(step)


def furnish(data: Data, accounts: int = 3) -> list[str]:
    """A value in every place where something is sealed."""
    user_id = cheap_user(data)
    ids = [
        data.accounts.add(account(user_id, name=f"A{n}"), {**KEYS, "api_key": f"key-number-{n:04}"}, by=CLI).account.account_id
        for n in range(accounts)
    ]
    data.sessions.save(ids[0], Session("AB1234", {"access_token": "rotate-me-token"}, 1.0, None))
    sealed = data.box.seal({"secret": "rotate-me-too"})
    codes = "code_id, purpose, email, email_key, secret_hash, sealed, sent_at, created_at, expires_at"
    places = "destination_id, user_id, channel, name, sealed, shown, events, created_at, updated_at"
    for sql in (
        "UPDATE users SET totp = :sealed",
        f"INSERT INTO codes ({codes}) VALUES ('C', 'invite', 'a@b', 'a@b', '', :sealed, 1, 1, 2)",
        f"INSERT INTO destinations ({places}) VALUES ('D', '{user_id}', 'discord', 'x', :sealed, '{{}}', '[]', 1, 1)",
        "INSERT INTO deliveries (message_id, target, user_id, sealed, next_at, created_at, expires_at) VALUES (1, 'mail:a', 'U', :sealed, 1, 1, 2)",
        "INSERT INTO deliveries (message_id, target, user_id, sealed, next_at, created_at, expires_at) VALUES (2, 'D', 'U', NULL, 1, 1, 2)",
        "INSERT INTO idempotency VALUES ('U', 'POST /api/tokens', 'k', '', '', 1, :sealed), ('U', 'POST /api/tokens', 'l', '', '{}', 1, NULL)",
    ):
        data.journal.run(lambda db, sql=sql: db.execute(sql, {"sealed": sealed}))
    return ids


def unreadable(data: Data, box: CredentialBox | None = None) -> list[str]:
    return list(rotation.unreadable(data.accounts.store.readers, box or data.box))


def keys_of(folder: Path) -> list[str]:
    return (folder / "credentials.key").read_text().split()


def rotate(folder: Path, configured: str | None = None, step: Callable[[str], None] | None = None) -> rotation.Rotated:
    with opened(folder, alone=True, credential_keys=configured) as data:
        return data.rotate_keys(configured, by=CLI, step=step)


def test_every_encrypted_column_of_the_schema_is_rotated(tmp_path: Path) -> None:
    database.create(tmp_path / "new.db", "")
    sql = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type = 'BLOB'"
    with closing(sqlite3.connect(tmp_path / "new.db")) as db:
        assert set(db.execute(sql)) == {(table, column) for table, _, column in rotation.SEALED}


def test_a_rotation_leaves_one_new_key_that_reads_everything_and_the_old_one_reads_nothing(folder: Path) -> None:
    with opened(folder) as data:
        ids = furnish(data)
    (old,) = keys_of(folder)
    done = rotate(folder)
    assert done.resealed == {
        "accounts": 3,
        "broker_sessions": 1,
        "users": 1,
        "codes": 1,
        "destinations": 1,
        "deliveries": 1,
        "idempotency": 1,
    }
    assert (done.unreadable, done.resumed) == ((), False)
    (new,) = keys_of(folder)
    assert new != old
    with opened(folder) as data:
        assert unreadable(data) == []
        assert len(unreadable(data, CredentialBox([old], "the old key"))) == 9
        assert data.directory.credentials(ids[1])["api_secret"] == KEYS["api_secret"]
        newest = data.audit.list(None).items[0]
        assert (newest.action, newest.via) == ("keys.rotated", "cli")
        assert data.audit.check().whole
    kept = b"".join(path.read_bytes() for path in folder.glob("tandem.db*"))
    assert old.encode() not in kept
    assert new.encode() not in kept


def test_killed_at_any_step_and_run_again_it_finishes_and_nothing_was_ever_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    counting = Killer(at=0)
    with opened(tmp_path / "whole") as data:
        furnish(data)
    rotate(tmp_path / "whole", step=counting)
    assert len(counting.seen) >= 6
    for at in range(1, len(counting.seen) + 1):
        folder = tmp_path / f"killed-{at}"
        with opened(folder) as data:
            furnish(data)
        (old,) = keys_of(folder)
        with pytest.raises(Killed):
            rotate(folder, step=Killer(at))
        with opened(folder, exclusive=True) as data:  # whoever serves in between reads and writes as ever
            assert unreadable(data) == [], counting.seen[at - 1]
            data.accounts.add(account(data.users.all()[0].user_id, name="meanwhile"), KEYS, by=CLI)
        rotate(folder)
        (new,) = keys_of(folder)
        assert new != old
        with opened(folder) as data:
            assert unreadable(data) == [], counting.seen[at - 1]
            assert len(data.accounts.list(None)) == 4


def test_an_interrupted_rotation_that_is_interrupted_again_makes_no_further_key(folder: Path) -> None:
    with opened(folder) as data:
        furnish(data)
    for _ in range(2):
        with pytest.raises(Killed):
            rotate(folder, step=lambda step: (_ for _ in ()).throw(Killed) if step == "before the fingerprint" else None)
        assert len(keys_of(folder)) == 2
    assert rotate(folder).resumed
    assert len(keys_of(folder)) == 1


def test_nobody_rotates_while_somebody_serves(folder: Path) -> None:
    with opened(folder, exclusive=True), pytest.raises(DataError, match="in use by another"):
        opened(folder, alone=True)


def test_with_keys_of_the_environment_the_first_one_seals_and_the_old_one_may_go(folder: Path) -> None:
    old, new = new_key(), new_key()
    with opened(folder, credential_keys=old) as data:
        furnish(data)
    with pytest.raises(DataError, match="put a new one in front"):
        rotate(folder, old)
    done = rotate(folder, f"{new},{old}")
    assert (done.from_environment, sum(done.resealed.values())) == (True, 9)
    assert sum(rotate(folder, f"{new},{old}").resealed.values()) == 0
    with opened(folder, credential_keys=new) as data:
        assert unreadable(data) == []
    with pytest.raises(DataError, match="not the key"):
        opened(folder, credential_keys=old)


def test_a_value_that_no_key_opens_is_named_and_left_and_stops_nothing(folder: Path) -> None:
    with opened(folder) as data:
        ids = furnish(data)
        data.journal.run(lambda db: db.execute("UPDATE accounts SET credentials = x'00' WHERE account_id = ?", (ids[0],)))
    done = rotate(folder)
    assert done.unreadable == (f"accounts {ids[0]}",)
    with opened(folder) as data:
        assert unreadable(data) == list(done.unreadable)
