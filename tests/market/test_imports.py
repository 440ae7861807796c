"""Imports: what files look like in the wild, what is told of them, and that nothing is ever half there."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.core.model import Candle, Tick
from engines.core.sessions import load_calendar
from engines.market.canonical import Part, candles_of, lines_of, to_parquet, write_rows
from engines.market.files import Reading, RowReader, read_market_file
from engines.market.imports import ImportReport, Refused, Wish, import_file
from engines.market.sheets import BadFile, open_sheet
from tests.market.making import OPEN

Take = Callable[..., ImportReport]
CAL = load_calendar()
SHARED = Path("../shared/data")
HEAD = "datetime,open,high,low,close,volume\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "kept.csv.gz"


@pytest.fixture
def take(tmp_path: Path, target: Path) -> Take:
    def go(content: str | bytes, **wish: Any) -> ImportReport:
        source = tmp_path / "given.csv"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_file(source, target, Wish(**{"symbol": "NSE:INFY", **wish}), CAL)

    return go


def kept(target: Path) -> list[Candle]:
    return list(read_market_file(target).candles)


FORMS = {
    "semicolons": "Date;Open;High;Low;Close;Volume\n2024-01-02 09:15;1;2;1;2;5\n",
    "tabs": "time\topen\thigh\tlow\tclose\tvol\n2024-01-02 09:15\t1\t2\t1\t2\t5\n",
    "bars": "ts|o|h|l|c|v\n2024-01-02 09:15|1|2|1|2|5\n",
    "no names": "2024-01-02 09:15,1,2,1,2,5\n",
    "klines without names": "1704167100000,1,2,1,2,5,1704167159999,7,3,1,1,0\n",
    "decorated names": "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\nINFY,20240102,091500,1,2,1,2,5\n",
    "an exchange's names": '"Symbol","Date ","Open Price","High Price","Low Price","Close Price","Total Traded Quantity"\n'
    '"INFY","02-Jan-2024 09:15","1","2.00","1","2","5"\n',
    "a chart's": "time,open,high,low,close,Volume\n1704167100,1,2,1,2,5\n",
    "a library's": "Datetime,Open,High,Low,Close,Adj Close,Volume\n2024-01-02 09:15:00+05:30,1,2,1,2,2,5\n",
    "dots": "Date,Time,Open,High,Low,Close,TickVol\n2024.01.02,09:15,1,2,1,2,5\n",
    "a byte order mark": "\ufeffdatetime,open,high,low,close,volume\n2024-01-02T09:15:00,1,2,1,2,5\n",
    "windows' lines": "datetime,open,high,low,close,volume\r\n2024-01-02 09:15:00 ,1,2,1,2,5\r\n",
    "days as they are written": "date,open,high,low,close,volume\n02/01/2024 09:15:00 AM,1,2,1,2,5\n",
    "thousands": 'datetime,open,high,low,close,volume\n2024-01-02 09:15,1,2,1,2.0,"5"\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_is_the_same_candle(take: Take, target: Path, form: str) -> None:
    report = take(FORMS[form])
    assert kept(target) == [Candle("NSE:INFY", OPEN, 1, 2, 1, 2, 5)]
    assert (report.rows_read, report.rows_kept, report.bad_count, report.kind, report.seconds) == (1, 1, 0, "candles", 60)


def test_utf_16_and_numbers_with_commas(take: Take, target: Path) -> None:
    text = 'Date;Open;High;Low;Close;Volume\n02-01-24 09:15;1,520.05;"1,520.05";1,500;1,510;12,34,567\n'
    take(text.encode("utf-16"))
    assert kept(target) == [Candle("NSE:INFY", OPEN, 1520.05, 1520.05, 1500, 1510, 1234567)]


@pytest.mark.parametrize("text", ["0,5", "1,50", "1520,05", "0,500", "1,23,45"])
def test_a_comma_that_may_be_a_decimal_one_is_no_number(take: Take, text: str) -> None:
    with pytest.raises(Refused) as refused:
        take(f"Date;Open;High;Low;Close;Volume\n2024-01-02 09:15;1;2000;0.1;{text};1\n")
    assert f"close is not a number: '{text}'" in str(refused.value.report.bad[0])


@pytest.mark.parametrize(
    ("first", "others", "wish", "day", "assumed"),
    [
        ("03/04/2024", ["13/04/2024"], {}, "2024-04-03", False),  # a later row proves it
        ("03/04/2024", ["04/13/2024"], {}, "2024-03-04", False),
        ("03/04/2024", ["05/04/2024"], {}, "2024-04-03", True),  # nothing does
        ("03/04/2024", ["05/04/2024"], {"day_first": False}, "2024-03-04", False),
        ("03-Apr-2024", ["05-Apr-2024"], {"day_first": False}, "2024-04-03", False),
    ],
)
def test_the_order_of_day_and_month_is_that_of_the_whole_file(
    take: Take, target: Path, first: str, others: list[str], wish: dict[str, Any], day: str, assumed: bool
) -> None:
    rows = "".join(f"{text},1,1,1,1\n" for text in (first, *others))
    report = take(f"date,open,high,low,close\n{rows}", **wish)
    assert day in report.days
    assert any("day first" in warning for warning in report.warnings) == assumed


@pytest.mark.parametrize(
    ("zone", "at"), [(None, OPEN), ("UTC", OPEN + 19_800), ("America/New_York", OPEN + 19_800 + 5 * 3600), ("Asia/Kolkata", OPEN)]
)
def test_times_without_an_offset_are_of_the_exchange_or_of_the_zone_that_is_said(
    take: Take, target: Path, zone: str | None, at: float
) -> None:
    take(f"{HEAD}2024-01-02 09:15:00,1,1,1,1,1\n", zone=zone)
    assert kept(target)[0].start == at


def test_times_of_the_candles_ends_are_noticed_and_put_right_when_somebody_says_so(take: Take, target: Path) -> None:
    rows = "".join(f"{OPEN + 60 * n:.0f},1,1,1,1,1\n" for n in range(1, 376))
    assert any("candles' ends" in warning for warning in take(HEAD + rows).warnings)
    report = take(HEAD + rows, stamped_end=True)
    assert (kept(target)[0].start, report.warnings, report.gaps.symbols[0].missing) == (OPEN, (), 0)


def test_wrong_order_and_the_same_candle_twice_are_mended_and_told_with_their_lines(take: Take, target: Path) -> None:
    report = take(f"{HEAD}{OPEN + 60},21,21,21,21,1\n{OPEN},20,20,20,20,1\n{OPEN + 120},22,22,22,22,1\n{OPEN},20,20,20,20,1\n")
    assert [candle.close for candle in kept(target)] == [20, 21, 22]
    assert (report.unordered, [str(row) for row in report.duplicates]) == ((3, 5), ["line 5: the same candle as line 3"])
    assert report.warnings == ("2 rows were not in the order of time; it was sorted.",)
    assert "newest to the oldest" in take(f"{HEAD}{OPEN + 60},2,2,2,2,1\n{OPEN},1,1,1,1,1\n").warnings[0]


def test_two_prices_for_one_moment_are_nobodys_guess(take: Take, target: Path) -> None:
    text = f"{HEAD}{OPEN},1,1,1,1,1\n{OPEN},2,2,2,2,1\nnoon,1,1,1,1,1\n"
    with pytest.raises(Refused) as refused:
        take(text)
    assert [str(row) for row in refused.value.report.bad] == [
        "line 3: another candle of the same time as line 2, which stands",
        "line 4: not a time: 'noon'",
    ]
    assert not target.exists()
    report = take(text, leave_out_bad=True)
    assert (report.rows_read, report.rows_kept, report.bad_count, kept(target)[0].close) == (3, 1, 2, 1)


def test_what_looks_odd_is_said(take: Take) -> None:
    rows = [(0, 100), (60, 100), (120, 130), (190, 130), (180 + 60, 130), (300, 130)]
    said = take(HEAD + "".join(f"{OPEN + at},{price},{price},{price},{price},1\n" for at, price in rows)).warnings
    assert "1 candles do not lie on the 60 s grid" in said[0]
    assert "20% away" in said[1]
    assert "(line 4)" in said[1]


def test_ticks_are_kept_as_they_came_even_twice(take: Take, target: Path) -> None:
    report = take(
        f"time,symbol,ltp,bid,ask,qty\n{OPEN + 0.25},INFY,10,9.5,10.5,3\n{OPEN + 0.25},INFY,10,9.5,10.5,3\n{OPEN},TCS,20,,,1\n", symbol=None
    )
    tick = Tick("NSE:INFY", 10, 9.5, 10.5, OPEN + 0.25, 3)
    assert read_market_file(target).ticks == [Tick("NSE:TCS", 20, 20, 20, OPEN, 1), tick, tick]
    assert (report.kind, report.seconds, [row[:2] for row in report.symbols]) == ("ticks", 0, [("NSE:INFY", 2), ("NSE:TCS", 1)])


@pytest.mark.parametrize("name", ["NSE:lower case", "NSE:A,B", "nse:INFY", "NSE:", "x" * 90])
def test_a_name_that_could_not_be_traded_is_a_bad_row(take: Take, name: str) -> None:
    text = f'time,symbol,open,high,low,close\n{OPEN},"{name}",1,1,1,1\n'
    if name == "NSE:lower case":
        assert take(text, symbol=None).rows_kept == 1
    else:
        with pytest.raises(Refused, match="not an instrument's name"):
            take(text, symbol=None)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield Candle("NSE:INFY", OPEN, 1, 1, 1, 1)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_rows(tmp_path / "half.csv.gz", broken(), ticks=False)
    assert not (tmp_path / "half.csv.gz").exists()


def test_a_real_file_goes_through_unchanged_and_always_makes_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "july.csv"
    lines = gzip.decompress((SHARED / "nifty50_1min_2024.csv.gz").read_bytes()).decode().splitlines(keepends=True)
    source.write_text("".join([lines[0], *lines[-3_000:]]))
    made = [tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"]
    reports = [import_file(source, target, Wish("NSE:NIFTY 50"), CAL) for target in made]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert reports[0].symbols[0][1] == 3_000
    assert read_market_file(made[0]).candles == read_market_file(source, "NSE:NIFTY 50").candles
    again = tmp_path / "c.csv.gz"
    import_file(made[0], again, Wish(), CAL)  # what is kept can be taken in again
    assert again.read_bytes() == made[0].read_bytes()


def test_parquet_goes_out_and_comes_in_again(tmp_path: Path, take: Take, target: Path) -> None:
    take(f"{HEAD}{OPEN},1.05,2,1,2,5\n{OPEN + 86_400},1,2,1,2,5\n")
    packed = tmp_path / "x.parquet"
    assert to_parquet(target, packed, Part()) == 2
    again = tmp_path / "again.csv.gz"
    assert import_file(packed, again, Wish(), CAL).form == "Parquet"
    assert again.read_bytes() == target.read_bytes()
    assert to_parquet(target, packed, Part(first="2024-01-03")) == 1
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(BadFile, match="not a whole Parquet file"):
        import_file(packed, again, Wish(), CAL)


def test_parquet_without_its_package_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1....")
    with pytest.raises(BadFile, match=r"^x\.parquet: Parquet files need the package pyarrow: pip install pyarrow"):
        read_market_file(tmp_path / "x.parquet")


def test_a_part_of_a_file(take: Take, target: Path) -> None:
    take(f"time,symbol,open,high,low,close\n{OPEN},INFY,1,1,1,1\n{OPEN},TCS,1,1,1,1\n{OPEN + 86_400},TCS,2,2,2,2\n", symbol=None)
    parts = [Part(), Part("NSE:TCS"), Part(first="2024-01-03"), Part(last="2024-01-02"), Part("NSE:INFY", first="2024-01-03")]
    assert [len(list(lines_of(target, part))) - 1 for part in parts] == [3, 2, 1, 2, 0]


def test_ticks_are_looked_at_as_the_minutes_that_they_make(take: Take, target: Path) -> None:
    rows = "".join(f"{OPEN + at},INFY,{price},1\n" for at, price in ((0, 10), (20, 12), (59, 11), (60, 13), (86_400, 14)))
    take(f"time,symbol,ltp,qty\n{rows}", symbol=None)
    assert candles_of(target, "NSE:INFY", "2024-01-02", 10) == [
        Candle("NSE:INFY", OPEN, 10, 12, 10, 11, 3),
        Candle("NSE:INFY", OPEN + 60, 13, 13, 13, 13, 1),
    ]
    assert [candle.close for candle in candles_of(target, "NSE:INFY", None, 2)] == [13, 14]


candles = st.builds(
    lambda n, prices, volume: Candle("NSE:INFY", OPEN + 60 * n, prices[1], prices[3], prices[0], prices[2], float(volume)),
    st.integers(0, 5_000),
    st.lists(st.floats(0.01, 1e7, allow_nan=False), min_size=4, max_size=4).map(sorted),
    st.integers(0, 10**12),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(candles, min_size=1, max_size=30, unique_by=lambda candle: candle.start))
def test_every_number_reads_back_as_itself(tmp_path_factory: pytest.TempPathFactory, rows: list[Candle]) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.csv.gz"
    write_rows(path, sorted(rows, key=lambda row: row.start), ticks=False)
    assert read_market_file(path).candles == sorted(rows, key=lambda row: row.start)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_are_a_fault_of_ours(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "junk"
    path.write_bytes(b"time,symbol,open,high,low,close\n" + junk)
    try:
        with open_sheet(path) as sheet:
            list(RowReader(sheet, path, Reading()))
    except BadFile as error:
        assert str(error).startswith("junk")  # noqa: PT017 - it may be readable, too
