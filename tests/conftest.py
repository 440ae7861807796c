"""Fixtures of the whole suite: a network that ends at this machine, folders of one's own, and the real server."""

from __future__ import annotations

import gc
import gzip
import itertools
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from hypothesis import HealthCheck, settings

from app.data import journal, users
from tests.support import canaries
from tests.support.net import forbid_outside
from tests.support.server import Server
from tests.support.templates import Compiled

# Whatever the machine says: a run starts some hundred processes, and each would compile the whole program (and rewrite every assert) anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Two shared cores: time says nothing about a rule, so no deadline; what failed once is printed so that it can be tried again.
settings.register_profile("tandem", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tandem")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--schedules", type=int, default=40, help="how many seeded fault schedules to play over the emulated brokers")
    parser.addoption("--schedule-seed", type=int, default=None, help="play this one fault schedule alone")


def pytest_configure() -> None:
    forbid_outside()  # before any test module is imported: an import may reach out, too
    # As the program itself does it: a traceback tells where, never what the variables held.
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and all modules stay to the end: the collector of garbage need not look through them while they are made, nor ever again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


NIFTY_YEAR = Path(__file__).resolve().parents[2] / "shared" / "data" / "nifty50_1min_2024.csv.gz"
FULL_HASHER = users._hasher
SHIPPED = Path(__file__).resolve().parent / "support" / "shipped"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Random as they are, but what takes long begins first, dealt out to the processes: none is left alone with it at the end."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    shares, left, dealt = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), len(items), []
    for share in range(shares):  # each process is first given as many in a row as these
        size = left // (shares - share)
        mine = slow[share::shares]
        others = max(size - len(mine), 0)
        dealt += mine + rest[:others]
        del rest[:others]
        left -= size
    items[:] = dealt + rest


SECRETS = pytest.StashKey[list[str]]()
"""Where a secret of an emulated broker was seen, by whichever process of the suite."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Whatever a test printed, logged or failed with is looked through for secrets at the end."""
    for name, text in report.sections:
        canaries.saw(text, f"{report.nodeid}, {name}")
    if report.longrepr is not None:
        canaries.saw(str(report.longrepr), f"{report.nodeid}, its failure")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(SECRETS, []).extend(getattr(node, "workeroutput", {}).get("secrets", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    base = getattr(getattr(session.config, "_tmp_path_factory", None), "_basetemp", None)
    places = session.config.stash.setdefault(SECRETS, [])
    places += canaries.found(canaries.files_under(base) if base is not None else ())
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["secrets"] = places
    elif places:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for place in terminalreporter.config.stash.get(SECRETS, []):
        terminalreporter.write_line(f"FAILED: a secret of an emulated broker was seen: {place}", red=True)


@pytest.fixture(scope="session", autouse=True)
def _quick_hashes() -> Iterator[None]:
    """A password's hash takes a fifth of a second and 64 MiB by design: what that is worth is asserted where `full_hashes` is asked for."""
    from argon2 import PasswordHasher

    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "_hasher", lambda: quick)
        yield


@pytest.fixture(scope="session", autouse=True)
def _patient_journal() -> Iterator[None]:
    """Whoever commits gives up after two seconds, and a shared machine may stand still for longer: what that means is asserted with waits of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "WAIT", 30.0)
        patch.setattr(journal.SqliteJournal.run, "__defaults__", (60.0,))
        yield


@pytest.fixture(scope="session", autouse=True)
def _programs_as_they_ship() -> Iterator[None]:
    """The program comes without `rich`, which is here for the tools that check it. structlog takes it where it finds it, and that is a tenth of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(SHIPPED), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once() -> Iterator[None]:
    """Some eighty templates take two seconds to compile, and hundreds of applications are made here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", Flask.jinja_options | {"bytecode_cache": Compiled()})
        yield


@pytest.fixture
def full_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own cost of a hash, for this test."""
    monkeypatch.setattr(users, "_hasher", FULL_HASHER)


@pytest.fixture(scope="session")
def nifty_fortnight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NIFTY by the minute, 1 to 12 January 2024, cut from the year that takes half a second to read: ten sessions. It names no instrument."""
    path = tmp_path_factory.mktemp("fortnight") / "nifty.csv"
    with gzip.open(NIFTY_YEAR, "rt", encoding="utf-8") as year:
        path.write_text(next(year) + "".join(itertools.takewhile(lambda row: row < "2024-01-13", year)), encoding="utf-8")
    return path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder that does not exist yet, as on a first start."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running workspace for all tests of this process that only read, or that make accounts and people of their own and leave engines on."""
    made = Server(tmp_path_factory.mktemp("shared") / "data")
    made.make_owner()
    with made:
        yield made


@pytest.fixture
def server(data_dir: Path) -> Iterator[Server]:
    """A running workspace with an owner (`server.owner`) and the owner's API token (`server.token`, `server.api`)."""
    made = Server(data_dir)
    made.make_owner()
    with made:
        yield made
