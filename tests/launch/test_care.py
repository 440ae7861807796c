"""`backup`, `restore`, `keys` and `doctor`: a copy that starts elsewhere, a key that changes, and a look that says what is wrong."""

from __future__ import annotations

import importlib
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

import config
from app.data import DataError
from app.data.credentials import new_key
from app.launch import entry
from app.launch.doctor import Finding, examine
from run_strategy_system import parse
from tests.support.server import Server, run_command


def findings(data_dir: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(config.load({}, env_file=Path("none"), data_dir=data_dir, port=0))}


def here(*words: str) -> int:
    """A command in this process, without the terminal around it: its exit code."""
    args = parse(words)
    return int(importlib.import_module(entry.COMMANDS[args.command]).run(args))


def test_a_backup_of_a_running_workspace_is_restored_elsewhere_and_serves_the_same_books(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    me = server.client()
    account = me.post("/api/accounts", {"name": "Main", "broker": "paper", "capital": "1000000", "auto_trade": True}).json["id"]
    kite = {"name": "Kite", "api_key": "abcdefghijk", "api_secret": "canary-of-the-backup", "capital": "1000"}
    live = me.post("/api/accounts/create-zerodha", kite).json["account_id"]
    order = {"account_ids": [account], "symbol": "NSE:INFY", "side": "BUY", "order_type": "MARKET", "quantity": "10", "wait_ms": 5000}
    assert me.post("/api/signals/manual", order).json["orders"][0]["state"] == "filled"
    target = tmp_path / "copy.zip"
    done = run_command("backup", str(target), data_dir=server.data_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 accounts" in done.stdout
    assert "canary" not in done.stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    for words in (("restore", str(target), "--replace"), ("keys", "rotate")):
        with pytest.raises(DataError, match="in use by another Tandem"):
            here(*words, "--data-dir", str(server.data_dir))
    books = {name: me.get(f"/api/{name}").json["items"] for name in ("orders", "trades", "signals")}
    server.stop()
    assert here("keys", "rotate", "--data-dir", str(server.data_dir)) == 0
    assert "sealed anew: 2 accounts" in capsys.readouterr().out
    back = run_command("restore", str(target), data_dir=tmp_path / "elsewhere")
    assert (back.returncode, back.stderr) == (0, "")
    assert "Engines are off until you start them" in back.stdout
    with Server(tmp_path / "elsewhere") as other:
        other.token = server.token
        again = other.client()
        assert {name: again.get(f"/api/{name}").json["items"] for name in books} == books
        assert [row["quantity"] for row in again.get("/api/positions").json["items"]] == ["10"]
        shown = again.post(f"/api/accounts/{live}/credentials/reveal", {"password": server.owner[1]}).json
        assert shown["credentials"]["api_secret"] == "canary-of-the-backup"
        assert again.get("/api/system/status").json["on"] is False
        assert again.post("/api/system/start").status == 200
    assert not [finding for finding in findings(tmp_path / "elsewhere").values() if finding.well is False]
    (tmp_path / "elsewhere" / "replaced-20261121").mkdir()
    assert findings(tmp_path / "elsewhere")["put aside"].well is None


def test_a_backup_never_writes_over_a_file(shared_server: Server, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    done = run_command("backup", str(target), data_dir=shared_server.data_dir)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert target.read_text() == "keep me"


def test_a_backup_of_nothing_makes_nothing(data_dir: Path, tmp_path: Path) -> None:
    done = run_command("backup", str(tmp_path / "copy.zip"), data_dir=data_dir)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not data_dir.exists()
    assert not (tmp_path / "copy.zip").exists()


def test_a_healthy_workspace_is_well_while_it_serves(server: Server) -> None:
    done = run_command("doctor", data_dir=server.data_dir, env={"PORT": str(server.port)})
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout
    assert "in use" in done.stdout


def test_the_doctor_makes_no_workspace(data_dir: Path) -> None:
    assert findings(data_dir)["data folder"].well is None
    assert not data_dir.exists()


def test_keys_that_others_can_read_are_found(data_dir: Path) -> None:
    Server(data_dir).make_owner()
    assert findings(data_dir)["keys"].well
    (data_dir / "credentials.key").chmod(0o644)
    assert not findings(data_dir)["keys"].well


def test_an_open_door_without_tls_is_noted(data_dir: Path) -> None:
    settings = config.load({"HOST": "0.0.0.0"}, env_file=Path("none"), data_dir=data_dir, port=0)
    assert next(examine(settings)).well is None


def test_links_that_other_devices_cannot_open_are_noted(data_dir: Path) -> None:
    def noted(**env: str) -> list[str]:
        settings = config.load(env, env_file=Path("none"), data_dir=data_dir)
        return [finding.detail for finding in examine(settings) if finding.check == "links"]

    assert "http://127.0.0.1:5000 and open on this machine only" in noted(HOST="0.0.0.0")[0]
    assert noted(TANDEM_PUBLIC_URL="https://tandem.example.com") == []


def test_a_log_that_somebody_changed_and_secrets_that_no_key_opens_are_found(data_dir: Path) -> None:
    Server(data_dir).make_owner()
    found = findings(data_dir)
    assert (found["audit log"].well, found["secrets"].well) == (True, True)
    with closing(sqlite3.connect(data_dir / "tandem.db")) as db, db:
        db.execute("DROP TRIGGER audit_stays")
        db.execute("UPDATE audit SET after = '{}' WHERE audit_id = 2")
        db.execute("UPDATE users SET totp = x'00'")
    found = findings(data_dir)
    assert (found["audit log"].well, found["audit log"].detail) == (False, "row 2 is not as it was written; 1 rows before it are whole")
    assert (found["secrets"].well, "users " in found["secrets"].detail) == (False, True)


def test_a_change_of_the_key_that_was_cut_short_is_noted(data_dir: Path) -> None:
    Server(data_dir).make_owner()
    with (data_dir / "credentials.key").open("r+") as file:
        old = file.read()
        file.seek(0)
        file.write(f"{new_key()}\n{old}")
    assert findings(data_dir)["secrets"].well is None


def test_a_new_key_is_alone_on_standard_output(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert here("keys", "new") == 0
    assert len(capsys.readouterr().out) == 45
    assert not data_dir.exists()
