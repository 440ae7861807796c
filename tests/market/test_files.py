"""Market files: columns by name, and every bad row told with its line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.core.model import Candle, Tick
from engines.market.files import BadFile, read_market_file
from tests.market.making import OPEN

Write = Callable[..., Path]
SHARED = Path("../shared/data")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str, name: str = "data.csv", pack: bool = False) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
        return path

    return put


HEAD = "datetime,open,high,low,close,volume\n"
GOOD = HEAD + "2024-01-02 09:15:00,10,12,9,11,100\n2024-01-02 09:16:00,11,11.5,10.5,10.75,50\n"


@pytest.mark.parametrize("pack", [False, True])
def test_candles_with_times_of_the_exchange(write: Write, pack: bool) -> None:
    file = read_market_file(write(GOOD, pack=pack), "NSE:INFY")
    assert file.candles == [Candle("NSE:INFY", OPEN, 10, 12, 9, 11, 100), Candle("NSE:INFY", OPEN + 60, 11, 11.5, 10.5, 10.75, 50)]
    assert (file.seconds, file.symbols, file.ticks, file.bad) == (60, ("NSE:INFY",), [], ())


@pytest.mark.parametrize(
    "row",
    [
        "2024-01-02 09:15:00",
        "2024-01-02T09:15:00",
        "2024-01-02T09:15:00+05:30",
        "2024-01-02T03:45:00Z",
        "2024-01-02 09:15",
        "1704167100",
        "1704167100000",
        "1704167100000000",
        " 2024-01-02 09:15:00 ",
    ],
)
def test_times_are_understood_in_the_usual_forms(write: Write, row: str) -> None:
    file = read_market_file(write(f"Time,O,H,L,C\n{row},1,1,1,1\n"), "NSE:INFY")
    assert file.candles[0].start == OPEN == 1704167100


def test_a_date_alone_is_the_markets_midnight_and_a_date_and_a_time_column_belong_together(write: Write) -> None:
    day = read_market_file(write("date,open,high,low,close\n2024-01-02,1,1,1,1\n"), "NSE:INFY")
    assert day.candles[0].start == OPEN - (9 * 60 + 15) * 60
    both = read_market_file(write("date,time,open,high,low,close\n2024-01-02,09:15,1,1,1,1\n"), "NSE:INFY")
    assert both.candles[0].start == OPEN
    crypto = read_market_file(write("date,open,high,low,close\n2024-01-02,1,1,1,1\n"), "BINANCE:BTCUSDT")
    assert crypto.candles[0].start == day.candles[0].start + 19_800


def test_several_instruments_are_merged_by_time_and_one_may_be_picked(write: Write) -> None:
    text = "symbol,datetime,open,high,low,close\nINFY,2024-01-02 09:16,2,2,2,2\nINFY,2024-01-02 09:15,1,1,1,1\nBSE:SBIN,2024-01-02 09:15,3,3,3,3\n"
    file = read_market_file(write(text))
    assert [(c.symbol, c.close) for c in file.candles] == [("NSE:INFY", 1), ("BSE:SBIN", 3), ("NSE:INFY", 2)]
    assert read_market_file(write(text), "INFY").symbols == read_market_file(write(text), "NSE:INFY").symbols == ("NSE:INFY",)
    with pytest.raises(BadFile, match="no row is about NSE:TCS"):
        read_market_file(write(text), "NSE:TCS")


def test_ticks_with_and_without_quotes(write: Write) -> None:
    text = "timestamp,symbol,ltp,bid,ask,volume\n1704167100.5,INFY,100,99.5,100.5,10\n1704167100.5,INFY,101,0,,5\n1704167101,INFY,102,103,102,0\n"
    file = read_market_file(write(text))
    assert file.ticks == [
        Tick("NSE:INFY", 100, 99.5, 100.5, 1704167100.5, 10),
        Tick("NSE:INFY", 101, 101, 101, 1704167100.5, 5),
        Tick("NSE:INFY", 102, 102, 103, 1704167101, 0),
    ]
    assert file.candles == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-01-02 09:17:00,1,1,1", "4 columns where the first line has 6"),
        ("2024-01-02 09:17:00,1,1,1,1,1,1", "7 columns where the first line has 6"),
        ("yesterday,1,1,1,1,1", "not a time: 'yesterday'"),
        (",1,1,1,1,1", "not a time: ''"),
        ("12,1,1,1,1,1", "not a time: '12'"),
        ("nan,1,1,1,1,1", "not a time: 'nan'"),
        ("2024-13-02 09:17:00,1,1,1,1,1", "not a time: '2024-13-02 09:17:00'"),
        ("2024-01-02 09:17:00,x,1,1,1,1", "open is not a number: 'x'"),
        ("2024-01-02 09:17:00,1,,1,1,1", "high is not a number: ''"),
        ("2024-01-02 09:17:00,1,1,nan,1,1", "low is not a price: 'nan'"),
        ("2024-01-02 09:17:00,1,inf,1,1,1", "high is not a price: 'inf'"),
        ("2024-01-02 09:17:00,1,1,1,-1,1", "close is not a price: '-1'"),
        ("2024-01-02 09:17:00,0,1,1,1,1", "open is not a price: '0'"),
        ("2024-01-02 09:17:00,1,2,3,2,1", "open 1 or close 2 is outside low 3 to high 2"),
        ("2024-01-02 09:17:00,1,2,1,2.5,1", "open 1 or close 2.5 is outside low 1 to high 2"),
        ("2024-01-02 09:17:00,1,1,1,1,-5", "volume cannot be '-5'"),
        ("2024-01-02 09:17:00,1,1,1,1,many", "volume is not a number: 'many'"),
        ("2024-01-02 09:16:00,11,11.5,10.5,10.75,50", "the same candle as line 3"),
        ("2024-01-02 09:16:00,1,1,1,1,1", "another candle of the same time as line 3, which stands"),
    ],
)
def test_a_bad_row_is_left_out_and_told_with_its_line(write: Write, row: str, reason: str) -> None:
    file = read_market_file(write(GOOD + row + "\n2024-01-02 09:18:00,1,1,1,1,\n"), "NSE:INFY")
    assert [str(bad) for bad in file.bad] == [f"line 4: {reason}"]
    assert [candle.start for candle in file.candles] == [OPEN, OPEN + 60, OPEN + 180]
    assert file.candles[-1].volume == 0


def test_blank_lines_are_nothing_and_line_numbers_stay_true(write: Write) -> None:
    file = read_market_file(write(HEAD + "\n\n2024-01-02 09:15:00,1,1,1,1,1\nbad,1,1,1,1,1\n"), "NSE:INFY")
    assert [bad.line for bad in file.bad] == [5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no column of times"),
        (b"a,b\n1,2\n", "names no column of times"),
        (b"datetime,open,close\n", "names neither open, high, low and close nor a last price"),
        (HEAD.encode(), "holds nothing to replay: it has no rows"),
        (HEAD.encode() + b"x,1,1,1,1,1\n", "holds nothing to replay: line 2: not a time: 'x'"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-12], "cannot be read"),
        (b"datetime,open,high,low,close\n2024,\xff\xfe,1,1,1\n", "cannot be read"),
        (b'datetime,open,high,low,close\n"2024-01-02,1,1,1,1\n', "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"^bad\.csv") as caught:
        read_market_file(path, "NSE:INFY")
    assert words in str(caught.value)


def test_a_missing_file_and_a_missing_name_are_told(tmp_path: Path, write: Write) -> None:
    with pytest.raises(BadFile, match=r"none\.csv cannot be read"):
        read_market_file(tmp_path / "none.csv", "NSE:INFY")
    with pytest.raises(BadFile, match="names no instrument"):
        read_market_file(write(GOOD))


@pytest.mark.parametrize(
    ("name", "symbol", "exchange", "rows", "bad", "seconds", "instruments"),
    [
        ("nifty50_1min_2024.csv.gz", "NSE:NIFTY 50", "NSE", 57_960, 0, 60, 1),
        ("nse_stocks_5min_2026-05_06.csv.gz", None, "NSE", 77_550, 0, 300, 47),
        (
            "nse_stocks_daily_2008_2021.csv.gz",
            None,
            "NSE",
            33_310,
            17,
            86_400,
            10,
        ),  # the file has 17 days of June 2021 twice, with other prices
        ("crypto_daily_2020_2025.csv.gz", None, "BINANCE", 9_120, 0, 86_400, 5),
    ],
)
def test_real_files_are_read_whole(
    name: str, symbol: str | None, exchange: str, rows: int, bad: int, seconds: int, instruments: int
) -> None:
    file = read_market_file(SHARED / name, symbol, exchange)
    assert (len(file.candles), file.bad_count, file.seconds, len(file.symbols)) == (rows, bad, seconds, instruments)
    assert all(" time as line " in row.reason for row in file.bad)
