"""`backup` and `doctor`: a copy that can be opened again, and a look that says what is wrong."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import config
from app.launch.doctor import Finding, examine
from tests.support.server import Server, run_command


def findings(data_dir: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(config.load({}, env_file=Path("none"), data_dir=data_dir, port=0))}


def test_a_backup_of_a_running_workspace_has_the_database_and_the_keys_and_is_private(shared_server: Server, tmp_path: Path) -> None:
    target = tmp_path / "copy.zip"
    done = run_command("backup", str(target), data_dir=shared_server.data_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    restored = tmp_path / "restored"
    with zipfile.ZipFile(target) as copy:
        copy.extractall(restored)
    again = run_command("token", "add", shared_server.owner[0], "--name", "again", data_dir=restored)
    assert (again.returncode, again.stderr) == (0, "")


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
