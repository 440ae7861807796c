"""Tables that unpack to far more than they weigh: they are refused before they are gathered in memory."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from app.api.datasets.uploads import glance
from engines.market import program
from engines.market.sheets import LONGEST_ROW, BadFile, open_sheet

HEAD = "datetime,open,high,low,close\n"
HUGE = 20 * LONGEST_ROW
ENDLESS = {"one line": "a" * HUGE, "one row of many lines": '"a\n' + '","\n' * (HUGE // 4)}


class Counted(gzip.GzipFile):
    """Says how much has come out of it."""

    unpacked = 0

    def read(self, size: int | None = -1) -> bytes:
        return self._out(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._out(super().read1(size))

    @classmethod
    def _out(cls, piece: bytes) -> bytes:
        cls.unpacked += len(piece)
        return piece


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setattr(gzip, "GzipFile", Counted)
    monkeypatch.setattr(Counted, "unpacked", 0)
    return Counted


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_first_row_without_an_end_is_refused_before_it_is_in_memory(
    tmp_path: Path, counted: type[Counted], what: str, encoding: str
) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(ENDLESS[what].encode(encoding)))
    counted.unpacked = 0
    with pytest.raises(BadFile, match=r"^x\.csv\.gz: line \d+ belongs to a row of more than 200,000 characters"):
        glance(path)
    assert LONGEST_ROW <= counted.unpacked <= 3 * LONGEST_ROW


@pytest.mark.parametrize("what", ENDLESS)
def test_a_later_row_without_an_end_is_refused_too(tmp_path: Path, counted: type[Counted], what: str) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress((HEAD + "1,1,1,1,1\n" + ENDLESS[what]).encode()))
    counted.unpacked = 0
    with pytest.raises(BadFile, match=r"^x\.csv\.gz: line \d+ belongs to a row"), open_sheet(path) as sheet:
        list(sheet.rows)
    assert LONGEST_ROW <= counted.unpacked <= 2 * LONGEST_ROW


def test_many_rows_are_no_long_row(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    count = 2 * LONGEST_ROW // len("1,1,1,1,1\n")
    path.write_text(HEAD + '1,1,1,1,"1\n"\n\n' + "1,1,1,1,1\n" * count)
    with open_sheet(path) as sheet:
        assert [line for line, _ in sheet.rows] == [3, *range(5, count + 5)]


def test_what_does_not_fit_into_memory_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(program, "gaps_of", full)
    told = program.run({"do": "gaps", "source": str(tmp_path / "x.csv")}, print)
    assert told == {"refused": "there is not enough memory for so much data at once: split the file", "report": None}
