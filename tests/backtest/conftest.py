"""A few days cut from the shared market files, so that no test reads months to play days."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def _cut(name: str, folder: Path, wanted: Callable[[str], bool]) -> Path:
    path = folder / name.removesuffix(".gz")
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as file:
        path.write_text(file.readline() + "".join(filter(wanted, file)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def nifty_week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NIFTY by the minute, 1 to 5 January 2024: five sessions of 375 bars. It names no instrument."""
    return _cut("nifty50_1min_2024.csv.gz", tmp_path_factory.mktemp("nifty"), lambda row: row < "2024-01-06")


@pytest.fixture(scope="session")
def stocks_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-seven shares in five-minute bars, 20 to 22 May 2026: 75 bars a session each."""
    return _cut("nse_stocks_5min_2026-05_06.csv.gz", tmp_path_factory.mktemp("stocks"), lambda row: row.partition(",")[2] < "2026-05-23")
