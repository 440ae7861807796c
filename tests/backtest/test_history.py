"""The past that a backtest plays: which days, which instrument, what warms up, and what a reader must be told."""

from __future__ import annotations

import gzip
import hashlib
from datetime import date
from pathlib import Path

import pytest

from engines.backtest.history import read_history
from engines.core.model import Instrument, Timeframe
from engines.core.sessions import session_day
from engines.market.files import BadFile
from tests.market.making import INFY

HEADER = "datetime,open,high,low,close"
THREE_DAYS = "\n".join(
    [HEADER] + [f"2024-01-0{day} 09:{minute}:00,{100 + day},{101 + day},{99 + day},{100 + day}" for day in (1, 2, 3) for minute in (15, 16)]
)


def written(folder: Path, text: str, name: str = "days.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize(
    ("first", "last", "days", "warming"),
    [
        (None, None, ["2024-01-01", "2024-01-02", "2024-01-03"], 0),
        (date(2024, 1, 2), None, ["2024-01-02", "2024-01-03"], 2),
        (None, date(2024, 1, 2), ["2024-01-01", "2024-01-02"], 0),
        (date(2024, 1, 2), date(2024, 1, 2), ["2024-01-02"], 2),
    ],
)
def test_the_asked_days_are_played_in_the_exchanges_zone_and_what_came_before_warms_up(
    tmp_path: Path, first: date | None, last: date | None, days: list[str], warming: int
) -> None:
    history = read_history(written(tmp_path, THREE_DAYS), first=first, last=last)
    assert sorted({session_day(candle.start, "NSE") for candle in history.file.candles}) == days
    assert len(history.earlier) == warming


def test_days_without_data_are_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="nothing of the time"):
        read_history(written(tmp_path, THREE_DAYS), first=date(2025, 1, 1))


@pytest.mark.parametrize("name", ["days.csv", "days.csv.gz"])
def test_the_print_is_that_of_the_file_on_the_disk(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, THREE_DAYS, name)
    assert read_history(path).data_hash == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "asked", "symbol", "told"),
    [
        ("infy 1min.csv", None, "NSE:INFY_1MIN", "names no instrument"),
        ("infy 1min.csv", "NSE:INFY", "NSE:INFY", None),
        ("x.csv", "NSE:NIFTY 50", "NSE:NIFTY 50", "stands for its future"),
    ],
)
def test_a_file_without_names_is_called_by_what_was_asked_or_by_its_own_name(
    tmp_path: Path, name: str, asked: str | None, symbol: str, told: str | None
) -> None:
    history = read_history(written(tmp_path, THREE_DAYS, name), symbol=asked)
    assert history.file.symbols == (symbol,)
    assert [told in note for note in history.notes] if told else not history.notes


def test_an_index_trades_as_its_future_and_a_known_name_as_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, THREE_DAYS)
    assert [each.segment for each in read_history(path, symbol="NSE:NIFTY 50").instruments] == ["FUT"]
    assert read_history(path, symbol="NSE:INFY", instruments=[INFY]).instruments == (INFY,)


def test_one_of_several_instruments_can_be_picked(tmp_path: Path) -> None:
    rows = "\n".join(["symbol," + HEADER, "SBIN,2024-01-01 09:15:00,9,9,9,9", "INFY,2024-01-01 09:15:00,8,8,8,8"])
    path = written(tmp_path, rows)
    assert read_history(path).file.symbols == ("NSE:SBIN", "NSE:INFY")
    assert read_history(path, symbol="NSE:INFY").file.symbols == ("NSE:INFY",)


def test_bad_rows_are_told_with_their_lines(tmp_path: Path) -> None:
    file = read_history(written(tmp_path, THREE_DAYS + "\nnonsense,1,1,1,1\n2024-01-04 09:15:00,5,4,3,5\n")).file
    assert [row.line for row in file.bad] == [8, 9]
    assert len(file.candles) == 6


@pytest.mark.parametrize(
    ("spacing", "timeframe"), [(60, Timeframe.M1), (180, Timeframe.M15), (300, Timeframe.M5), (1800, Timeframe.H1), (86_400, Timeframe.D1)]
)
def test_a_strategy_runs_on_the_files_own_candles_or_the_shortest_that_are_made_of_them(
    tmp_path: Path, spacing: int, timeframe: Timeframe
) -> None:
    rows = "\n".join(["time,open,high,low,close"] + [f"{1704080700 + n * spacing},5,5,5,5" for n in range(3)])
    assert read_history(written(tmp_path, rows)).timeframe is timeframe


def test_no_timeframe_is_made_of_seven_minute_candles(tmp_path: Path) -> None:
    rows = "\n".join(["time,open,high,low,close"] + [f"{1704080700 + n * 420},5,5,5,5" for n in range(3)])
    with pytest.raises(BadFile, match="420 seconds"):
        _ = read_history(written(tmp_path, rows)).timeframe


def test_instruments_that_nobody_describes_are_read_off_their_prices(tmp_path: Path) -> None:
    (found,) = read_history(written(tmp_path, THREE_DAYS), symbol="NSE:UNHEARD").instruments
    assert isinstance(found, Instrument)
    assert (found.segment, str(found.tick_size)) == ("EQ", "1")
