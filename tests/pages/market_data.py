"""Datasets of the sample book: a whole one, one with everything that can be wrong with a file, and a recorded one of ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.api.datasets.schemas import (
    DatasetStoryOut,
    GapsOut,
    HoleOut,
    LineOut,
    RecordingOut,
    ReportOut,
    SymbolGapsOut,
    SymbolRowsOut,
)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _days(first: str, last: str, but: tuple[str, ...]) -> list[str]:
    day, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    days = []
    while day <= end:
        if day.weekday() < 5 and day.date().isoformat() not in but:
            days.append(day.date().isoformat())
        day += timedelta(days=1)
    return days


def _dataset(id: str, name: str, symbols: list[str], first: str, last: str, rows: int, **changes: Any) -> DatasetStoryOut:
    missing_days = changes.pop("missing_days", ())
    report = ReportOut(
        file=f"{name}.csv.gz",
        size=718_846,
        sha256="9f31c2" * 10 + "77ab",
        form="gzipped CSV",
        columns={"time": "datetime", "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"},
        unused=["oi"],
        rows_read=rows + changes.get("bad", 0),
        rows_kept=rows,
        bad_count=changes.get("bad", 0),
        bad=[LineOut(line=17, reason="open 10 or close 9 is outside low 11 to high 12")] * bool(changes.get("bad")),
        duplicate_count=changes.get("duplicates", 0),
        duplicates=[LineOut(line=99, reason="the same candle as line 98")] * bool(changes.get("duplicates")),
        unordered_count=0,
        unordered=[],
        symbols=[SymbolRowsOut(symbol=s, rows=rows // len(symbols), first_at=_at(first), last_at=_at(last)) for s in symbols],
        days=_days(first[:10], last[:10], tuple(missing_days)),
        warnings=changes.get("warnings", []),
    )
    given: dict[str, Any] = {
        "kind": "candles",
        "seconds": 60,
        "timeframe": "1m",
        "source": "imported",
        "own": True,
        "bad": 0,
        "duplicates": 0,
        "missing": 0,
        "warnings": [],
        **changes,
    }
    return DatasetStoryOut(
        id=id,
        name=name,
        symbols=symbols,
        rows=rows,
        first_at=_at(first),
        last_at=_at(last),
        sha256="0a1b2c3d" * 8,
        size=777_564,
        created_at=_at("2026-11-19T18:04:00+05:30"),
        missing_days=len(missing_days),
        report=report,
        **given,
    )


MISSING = ("2024-02-01", "2024-03-04")
DATASETS = [
    _dataset(
        "D1",
        "NIFTY 50, 2024",
        ["NSE:NIFTY 50"],
        "2024-01-01T09:15:00+05:30",
        "2024-08-23T15:29:00+05:30",
        57_960,
        missing=1_875,
        missing_days=MISSING,
    ),
    _dataset(
        "D2",
        "Shares, 5 minutes",
        ["NSE:INFY", "NSE:TCS", "NSE:SBIN"],
        "2019-05-20T09:15:00+05:30",
        "2026-06-19T15:25:00+05:30",
        77_550,
        seconds=300,
        timeframe="5m",
        bad=17,
        duplicates=2,
        warnings=["Days such as 03/04/2026 were read with the day first; nothing in the file proves it."],
    ),
    _dataset(
        "D3",
        "2026-11-19 live ticks",
        ["NSE:INFY", "NSE:TCS"],
        "2026-11-19T09:15:00+05:30",
        "2026-11-19T15:29:59+05:30",
        912_004,
        kind="ticks",
        seconds=0,
        timeframe="ticks",
        source="recorded",
        own=False,
    ),
]
RECORDING = RecordingOut(
    what="ticks", day="2026-11-20", candles=3_480, ticks=812_441, instruments=14, size=48_812_004, dropped=0, trouble=""
)


def gaps_of(dataset: DatasetStoryOut, symbol: str | None) -> GapsOut:
    hole = HoleOut(start=_at("2024-01-03T11:00:00+05:30"), end=_at("2024-01-03T11:03:00+05:30"), bars=0 if dataset.kind == "ticks" else 3)
    found = SymbolGapsOut(
        symbol=symbol or dataset.symbols[0],
        first_day=dataset.report.days[0],
        last_day=dataset.report.days[-1],
        days=len(dataset.report.days),
        rows=dataset.rows,
        expected=59_835,
        missing=1_878,
        missing_days=list(MISSING),
        holes=[hole],
        hole_count=1,
        outside=4,
        short_days={"2024-01-03": 3},
    )
    return GapsOut(seconds=dataset.seconds, notes=["The holidays of 2019 to 2023 are not in the calendar."], symbols=[found])
