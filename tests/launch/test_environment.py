"""A newcomer's first start: the launcher makes `.venv` and fills it, says how far it is, and the second start does nothing of the kind.

Run on a copy of the launcher whose one locked package is a wheel made here, so that it is the real thing without any network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import run_strategy_system as launcher
from tests.support.server import ROOT

ENTRY = "import sys\nimport tandem_probe\n\ndef run(args):\n    print(args.command, tandem_probe.VERSION, sys.prefix)\n    return 7\n"


def make_wheel(folder: Path, version: str) -> None:
    info = f"tandem_probe-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tandem_probe-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tandem_probe.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tandem-probe\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def lock(project: Path, version: str) -> None:
    text = f"--no-index\n--find-links {project.as_posix()}\ntandem-probe=={version}\n"
    (project / "requirements.txt").write_text(text)
    (project / "requirements-dev.txt").write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh clone that needs one package."""
    shutil.copy(ROOT / "run_strategy_system.py", tmp_path)
    package = tmp_path / "app" / "launch"
    package.mkdir(parents=True)
    (package / "entry.py").write_text(ENTRY)
    for version in ("1", "2"):
        make_wheel(tmp_path, version)
    lock(tmp_path, "1")
    return tmp_path


def start(project: Path, command: str = "serve") -> subprocess.CompletedProcess[str]:
    base = Path(sys.base_prefix) / "bin" / "python3"
    return subprocess.run([base, project / "run_strategy_system.py", command], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_first_start_makes_its_own_environment_a_second_finds_it_and_a_changed_lock_renews_it(project: Path) -> None:
    first = start(project)
    assert (first.returncode, first.stdout) == (7, f"serve 1 {project / '.venv'}\n"), first.stderr
    assert "first start: making .venv" in first.stderr
    assert "packages are ready" in first.stderr

    second = start(project)
    assert (second.returncode, second.stdout, second.stderr) == (7, first.stdout, "")

    lock(project, "2")
    changed = start(project)
    assert changed.stdout.split()[1] == "2"
    assert "making .venv" not in changed.stderr

    developer = start(project, "test")
    assert (developer.returncode, developer.stdout.split()[0]) == (7, "test")

    lock(project, "3")
    failed = start(project)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "cannot install the packages of requirements.txt" in failed.stderr.splitlines()[-1]

    lock(project, "2")
    assert (start(project).returncode, start(project).stderr) == (7, "")


def test_an_interpreter_that_has_all_locked_packages_needs_no_environment_of_its_own() -> None:
    assert launcher._this_one_has_all("dev")


def test_the_developers_lock_contains_the_runtime_lock() -> None:
    runtime, developer = (
        {line.strip() for line in (ROOT / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime <= developer


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_package_is_pinned_and_comes_from_wherever_the_machine_gets_its_packages(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert [line for line in lines if "==" not in line or "://" in line or line.startswith("-")] == []
