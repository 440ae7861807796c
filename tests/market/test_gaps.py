"""Gap reports: what the calendar expects of a file, day by day."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.core.sessions import CalendarDay, load_calendar, midnight, with_days
from engines.market.gaps import SymbolGaps, find_gaps
from engines.market.program import gaps_of

CAL = load_calendar()
SHARED = Path("../shared/data")


def bars(day: str, *spans: tuple[str, str], step: int = 60, exchange: str = "NSE") -> list[float]:
    """Starts of bars on a day, from a time of day to before another."""
    begins = midnight(day, exchange)

    def at(clock: str) -> int:
        return int(clock[:2]) * 3600 + int(clock[3:]) * 60

    return [begins + second for first, last in spans for second in range(at(first), at(last), step)]


def one(starts: list[float], seconds: float = 60, symbol: str = "NSE:INFY") -> SymbolGaps:
    return find_gaps({symbol: starts}, seconds, CAL).symbols[0]


FULL = ("09:15", "15:30")


@pytest.mark.parametrize(
    ("what", "starts", "expected", "missing", "missing_days", "holes", "outside"),
    [
        ("a whole day", bars("2024-01-02", FULL), 375, 0, (), [], 0),
        ("a hole of three minutes", bars("2024-01-02", ("09:15", "11:00"), ("11:03", "15:30")), 375, 3, (), [("11:00", 3)], 0),
        ("a late start and an early end", bars("2024-01-02", ("09:20", "15:29")), 375, 6, (), [("09:15", 5), ("15:29", 1)], 0),
        ("a Saturday that traded", bars("2024-01-19", FULL) + bars("2024-01-20", FULL), 750, 0, (), [], 0),
        ("that Saturday left out", bars("2024-01-19", FULL) + bars("2024-01-23", FULL), 1125, 375, ("2024-01-20",), [], 0),
        ("both parts of a split session", bars("2024-03-02", ("09:15", "10:00"), ("11:30", "12:30")), 105, 0, (), [], 0),
        ("the pause of a split session traded", bars("2024-05-18", ("09:15", "10:00"), ("11:15", "12:30")), 105, 0, (), [], 15),
        ("a weekend between", bars("2024-01-05", FULL) + bars("2024-01-08", FULL), 750, 0, (), [], 0),
        ("a holiday that has candles", bars("2024-01-25", FULL) + bars("2024-01-26", FULL), 375, 0, (), [], 375),
        ("before the open", bars("2024-01-02", ("09:00", "15:30")), 375, 0, (), [], 15),
    ],
)
def test_one_minute_candles(
    what: str, starts: list[float], expected: int, missing: int, missing_days: tuple[str, ...], holes: list[tuple[str, int]], outside: int
) -> None:
    found = one(starts)
    clocks = [
        (f"{int(second // 3600):02}:{int(second % 3600 // 60):02}", hole.bars)
        for hole in found.holes
        for second in [(hole.start + 19_800) % 86_400]
    ]
    assert (found.expected, found.missing, found.missing_days, clocks, found.outside) == (
        expected,
        missing,
        missing_days,
        holes,
        outside,
    ), what
    assert found.whole == (not missing and not outside)


@pytest.mark.parametrize(
    ("starts", "seconds", "symbol", "expected", "missing"),
    [
        (bars("2024-01-02", FULL, step=300), 300, "NSE:INFY", 75, 0),
        (bars("2024-01-02", FULL, step=3600), 3600, "NSE:INFY", 7, 0),  # from 09:15, the last one short
        (bars("2024-01-02", ("09:00", "16:00"), step=3600), 3600, "NSE:INFY", 7, 0),  # from the whole hour
        (bars("2024-01-02", ("00:00", "00:01")) + bars("2024-01-04", ("00:00", "00:01")), 86_400, "NSE:INFY", 3, 1),
        (bars("2024-01-06", ("00:00", "24:00"), step=3600, exchange="BINANCE"), 3600, "BINANCE:BTCUSDT", 24, 0),  # never closes
        (bars("2026-08-03", ("09:15", "15:40"), exchange="NFO"), 60, "NFO:NIFTY26AUGFUT", 385, 0),
    ],
)
def test_other_timeframes_and_exchanges(starts: list[float], seconds: float, symbol: str, expected: int, missing: int) -> None:
    found = one(starts, seconds, symbol)
    assert (found.expected, found.missing, found.outside) == (expected, missing, 0)


def test_where_holidays_are_not_known_a_weekday_without_candles_counts_as_closed_and_that_is_said() -> None:
    day = ("00:00", "00:01")
    tcs = bars("2015-01-05", day) + bars("2015-01-07", day)
    infy = [*tcs[:1], *bars("2015-01-06", day), *tcs[1:], *bars("2015-01-09", day)]
    report = find_gaps({"NSE:INFY": infy, "NSE:TCS": tcs}, 86_400, CAL)
    assert report.notes == ("The holidays of 2015 are not in the calendar: weekdays without any candle in the file count as closed.",)
    assert [each.missing_days for each in report.symbols] == [(), ("2015-01-06",)]  # 8 January: nobody traded


def test_a_day_that_a_person_put_into_the_calendar_counts() -> None:
    starts = {"NSE:INFY": bars("2024-01-02", FULL) + bars("2024-01-04", FULL)}
    assert find_gaps(starts, 60, CAL).symbols[0].missing_days == ("2024-01-03",)
    assert find_gaps(starts, 60, with_days(CAL, [CalendarDay("2024-01-03")])).symbols[0].missing_days == ()


def test_ticks_are_silent_when_nothing_came_for_five_minutes_inside_the_hours() -> None:
    ticks = bars("2024-01-02", ("09:15", "12:00"), step=30) + bars("2024-01-02", ("12:10", "15:30"), step=30)
    found = one(ticks, 0)
    assert [(hole.end - hole.start, hole.bars) for hole in found.holes] == [(630, 0)]
    assert (found.short_days, found.outside, found.expected) == ({"2024-01-02": 1}, 0, 0)


def test_candles_longer_than_a_day_are_not_judged() -> None:
    assert find_gaps({"NSE:INFY": [0.0, 604_800.0]}, 604_800, CAL).notes == (
        "Candles longer than a day are not compared with the calendar.",
    )


def test_the_real_year_lacks_five_days_and_nothing_else() -> None:
    found = gaps_of(SHARED / "nifty50_1min_2024.csv.gz", CAL, "NSE:NIFTY 50").symbols[0]
    assert found.missing_days == ("2024-02-01", "2024-03-04", "2024-04-05", "2024-05-07", "2024-07-10")
    assert (found.days, found.rows, found.missing, found.hole_count, found.outside) == (156, 57_960, 1_875, 0, 0)
