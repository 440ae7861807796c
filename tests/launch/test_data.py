"""`data` on the command line: in, listed, compared with the calendar, out again; and one clear line for what cannot be done."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import run_strategy_system as launcher
from app.data import Actor, UserRole, open_data
from app.launch.data import _instruments
from app.launch.entry import run

HEAD = "datetime,open,high,low,close,volume\n"
GOOD = HEAD + "2024-01-02 09:15:00,10,12,9,11,100\n2024-01-02 09:16:00,11,11.5,10.5,10.75,50\n"


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command sends the log lines of its whole process to its own standard error, and a test's is gone when the test is."""
    root, structured = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structured)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    with open_data(tmp_path / "var") as data:
        data.users.add("owner@example.com", "long enough it is", role=UserRole.OWNER, by=Actor(None, "cli"))
    (tmp_path / "infy.csv").write_text(GOOD)
    (tmp_path / "bad.csv").write_text(GOOD + "noon,1,1,1,1,1\n")
    return tmp_path


def data(house: Path, *words: str) -> int:
    return run(launcher.parse(["data", words[0], "--data-dir", str(house / "var"), *words[1:]]))


def test_in_and_out_again(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data(house, "import", str(house / "infy.csv"), "--symbol", "NSE:INFY", "--name", "Infosys") == 0
    assert "imported Infosys: NSE:INFY, 1m, 2 rows, 2024-01-02 to 2024-01-02" in capsys.readouterr().out
    assert data(house, "list") == 0
    assert "Infosys  NSE:INFY, 1m, 2 rows" in capsys.readouterr().out
    assert data(house, "gaps", "Infosys") == 0
    assert "  2024-01-02 09:17 to 15:30 (373 candles)" in capsys.readouterr().out
    assert data(house, "gaps", str(house / "infy.csv"), "--symbol", "NSE:INFY", "--json") == 0
    assert json.loads(capsys.readouterr().out)["symbols"][0]["missing"] == 373
    for name, start in (("x.csv", b"time,sym"), ("x.csv.gz", b"\x1f\x8b"), ("x.parquet", b"PAR1")):
        assert data(house, "export", "Infosys", str(house / name)) == 0
        assert (house / name).read_bytes().startswith(start)
    capsys.readouterr()
    assert data(house, "export", "Infosys", str(house / "x.xls")) == 2
    assert "its name must end with .csv, .csv.gz or .parquet" in capsys.readouterr().err
    assert not (house / "x.xls").exists()
    assert data(house, "import", str(house / "x.parquet"), "--name", "again") == 0
    assert {path.name[:1] for path in (house / "var" / "market").iterdir()} == {"0"}, "two datasets, nothing half made"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "none.csv"), "there is no file"),
        (("import", "infy.csv"), "infy.csv: it names no instrument"),
        (("import", "infy.csv", "--symbol", "infy"), "--symbol 'infy' is not an instrument's name"),
        (("import", "infy.csv", "--symbol", "NSE:X", "--user", "who@example.com"), "there is no who@example.com"),
        (("import", "bad.csv", "--symbol", "NSE:X"), "nothing was imported; mend these rows, or leave them out with --leave-out-bad"),
        (("gaps", "none"), "there is no dataset none"),
        (("export", "none", "x.csv"), "there is no dataset none"),
        (("import", "infy.csv", "--symbol", "NSE:X", "--zone", "Mars/Base"), "tandem: --zone: there is no time zone 'Mars/Base'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    house: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(house)
    assert data(house, *words) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert len(told.err.splitlines()) == 1
    assert not list((house / "var").glob("market/*"))
    if words[1] == "bad.csv":
        assert "line 4: not a time: 'noon'" in told.out


def test_a_reader_that_has_seen_enough_is_no_error(
    house: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `data list | head -1`: no stack trace, also not when the interpreter ends and writes what is left."""
    assert data(house, "import", str(house / "infy.csv"), "--symbol", "NSE:INFY") == 0
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert data(house, "list") == 141
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_one_instrument_is_not_several() -> None:
    assert [_instruments(count) for count in (1, 2)] == ["1 instrument", "2 instruments"]
