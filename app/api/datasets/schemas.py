"""Datasets on the wire: files of candles or ticks that back-tests and replays run on, what an import found, and what they lack by the calendar."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.wire import Body, Moment, Name, Out, PageQuery, Symbol
from engines.backtest.sample import SYMBOLS

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class DatasetQuery(PageQuery):
    kind: Literal["candles", "ticks"] | None = None
    source: Literal["imported", "recorded"] | None = None


class UploadQuery(Body):
    """`symbol` names the instrument where the file does not, or picks one of several. `zone`: of times without an offset, such as UTC (default: the
    exchange's own). `day_first`: the order of days such as 03/04/2026 (default: as the file shows). `stamped` end: the times are those of the candles'
    ends. `leave_out_bad`: rows that cannot be used are left out; without it they refuse the whole file."""

    name: Name | None = None
    filename: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    symbol: Symbol | None = None
    exchange: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{1,20}$")] = "NSE"
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,60}$")] | None = None
    day_first: bool | None = None
    stamped: Literal["start", "end"] = "start"
    leave_out_bad: bool = False


class SampleDatasetIn(Body):
    """Sessions of the simulated market, to try things out on; it proves nothing about a real one."""

    symbols: list[Symbol] = Field(default_factory=lambda: list(SYMBOLS), min_length=1, max_length=4)
    days: Annotated[int, Field(ge=1, le=20)] = 5
    name: Name | None = None


class DatasetPatch(Body):
    name: Name


class ExportQuery(Body):
    """`csv` is plain text, `csv.gz` the file as it is kept, `parquet` needs the package pyarrow. `from` and `to` are days in the market's zone,
    both included."""

    format: Literal["csv", "csv.gz", "parquet"] = "csv"
    symbol: Symbol | None = None
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None


class GapQuery(Body):
    symbol: Symbol | None = None


class BarQuery(Body):
    """`symbol`: the first one when left out. `day` in the market's zone; without it the newest bars of all."""

    symbol: Symbol | None = None
    day: Day | None = None


class BarOut(Out):
    start: Moment
    open: float
    high: float
    low: float
    close: float
    volume: float


class BarsOut(Out):
    """At most the newest 2,000; of ticks the minutes that they make."""

    symbol: str
    day: str | None
    items: list[BarOut]


class DatasetOut(Out):
    """`seconds` of a candle, 0 for ticks. `own`: the caller may rename and delete it. `bad` rows were left out, `missing` candles are not there by the
    calendar, `warnings` are worth reading first."""

    id: str
    name: str
    kind: str
    seconds: int
    timeframe: str
    symbols: list[str]
    rows: int
    first_at: Moment
    last_at: Moment
    sha256: str
    size: int
    source: str
    own: bool
    bad: int
    duplicates: int
    missing: int
    missing_days: int
    warnings: list[str]
    created_at: Moment


class LineOut(Out):
    line: int
    reason: str


class SymbolRowsOut(Out):
    symbol: str
    rows: int
    first_at: Moment
    last_at: Moment


class ReportOut(Out):
    """What the import found. The lines told are the first thousand; the counts are of all."""

    file: str
    size: int
    sha256: str
    form: str
    columns: dict[str, str]
    unused: list[str]
    rows_read: int
    rows_kept: int
    bad_count: int
    bad: list[LineOut]
    duplicate_count: int
    duplicates: list[LineOut]
    unordered_count: int
    unordered: list[int]
    symbols: list[SymbolRowsOut]
    days: list[str]
    warnings: list[str]


class DatasetStoryOut(DatasetOut):
    report: ReportOut


class HoleOut(Out):
    start: Moment
    end: Moment
    bars: int


class SymbolGapsOut(Out):
    """From the first day to the last: days with rows, bars that the calendar expects and that are missing, whole days that are missing, holes inside
    days (the first 200 of `hole_count`), bars missing by day, rows outside of the hours."""

    symbol: str
    first_day: str
    last_day: str
    days: int
    rows: int
    expected: int
    missing: int
    missing_days: list[str]
    holes: list[HoleOut]
    hole_count: int
    outside: int
    short_days: dict[str, int]


class GapsOut(Out):
    seconds: float
    notes: list[str]
    symbols: list[SymbolGapsOut]


class RecordingOut(Out):
    """What is being recorded of live prices, by day until it is over; then it is a dataset. `trouble`: why nothing is, empty when all is well."""

    what: str  # "off" | "candles" | "ticks"
    day: str | None
    candles: int
    ticks: int
    instruments: int
    size: int
    dropped: int
    trouble: str
