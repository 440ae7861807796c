"""Which session a moment belongs to and whether the market trades at it."""

import csv
import gzip
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.model import Timeframe
from engines.core.sessions import DAY, bucket_offset, closes_at, day_start, exchange_of, is_open, load_calendar, session_day

CALENDAR = load_calendar()
INDEX_DATA = Path(__file__).parents[2].parent / "shared" / "data" / "nifty50_1min_2024.csv.gz"


def at(text: str, zone: str = "+05:30") -> float:
    return datetime.fromisoformat(text + zone).timestamp()


@pytest.mark.parametrize(
    ("moment", "exchange", "day"),
    [
        (at("2026-11-20T00:00:00"), "NSE", "2026-11-20"),
        (at("2026-11-19T23:59:59"), "NSE", "2026-11-19"),
        (at("2026-11-20T23:59:59.999"), "NFO", "2026-11-20"),
        (at("2026-11-20T03:00:00"), "BINANCE", "2026-11-19"),  # 21:30 UTC the day before
        (at("2026-11-20T00:00:00", "+00:00"), "BINANCE", "2026-11-20"),
    ],
)
def test_a_moment_belongs_to_the_day_of_its_market(moment: float, exchange: str, day: str) -> None:
    assert session_day(moment, exchange) == day


@given(st.floats(0, 4e9), st.sampled_from(["NSE", "BINANCE"]))
def test_a_session_day_begins_at_the_markets_midnight(moment: float, exchange: str) -> None:
    start = day_start(moment, exchange)
    assert 0 <= moment - start < DAY
    assert session_day(start, exchange) == session_day(moment, exchange)
    assert session_day(start - 1, exchange) != session_day(moment, exchange)


@pytest.mark.parametrize(
    ("moment", "exchange", "answer"),
    [
        ("2026-11-20T09:14:59.999", "NSE", False),
        ("2026-11-20T09:15:00", "NSE", True),
        ("2026-11-20T15:29:59", "NSE", True),
        ("2026-11-20T15:30:00", "NSE", False),
        ("2026-11-20T15:20:00", "NSE:CAS", False),  # the closing auction since 3 Aug 2026
        ("2026-07-31T15:20:00", "NSE:CAS", True),
        ("2026-11-20T15:39:59", "NFO", True),
        ("2026-07-31T15:30:00", "NFO", False),
        ("2026-11-21T11:00:00", "NSE", False),  # Saturday
        ("2026-11-24T11:00:00", "NSE", False),  # holiday
        ("2026-01-15T11:00:00", "NSE", False),  # notified in January
        ("2024-01-20T11:00:00", "NSE", True),  # full Saturday session
        ("2024-03-02T09:59:59", "NSE", True),  # two short sessions
        ("2024-03-02T10:45:00", "NSE", False),
        ("2024-03-02T11:30:00", "NSE", True),
        ("2024-03-02T12:30:00", "NSE", False),
        ("2005-06-01T11:00:00", "NSE", True),  # before the oldest row the oldest row holds
        ("2026-11-22T03:00:00", "BINANCE", True),  # never closes
    ],
)
def test_the_market_is_open_in_its_hours(moment: str, exchange: str, answer: bool) -> None:
    assert is_open(at(moment), exchange, CALENDAR) is answer


@pytest.mark.parametrize(
    ("moment", "exchange", "close"),
    [
        ("2026-11-20T08:00:00", "NSE", "2026-11-20T15:30:00"),
        ("2024-03-02T09:30:00", "NSE", "2024-03-02T12:30:00"),
        ("2026-11-21T08:00:00", "NSE", None),
    ],
)
def test_the_session_closes_with_its_last_window(moment: str, exchange: str, close: str | None) -> None:
    assert closes_at(at(moment), exchange, CALENDAR) == (close and at(close))


def test_every_minute_of_the_index_data_of_2024_is_inside_a_session() -> None:
    with gzip.open(INDEX_DATA, "rt") as file:
        minutes = [row["datetime"] for row in csv.DictReader(file)]
    assert all(is_open(at(minute), "NSE", CALENDAR) for minute in minutes)
    for day, bars in Counter(minute[:10] for minute in minutes).items():
        assert bars == sum(end - start for start, end in CALENDAR.windows(day, "NSE")) / 60


def test_years_without_a_holiday_list_are_told_apart() -> None:
    assert CALENDAR.knows("2026-11-20")
    assert not CALENDAR.knows("2027-01-01")
    weekdays_off = [day for day in CALENDAR.holidays if day.startswith("2026")]
    assert len(weekdays_off) == 16


@pytest.mark.parametrize(
    ("symbol", "timeframe", "moment", "is_start"),
    [
        ("NSE:INFY", Timeframe.H1, "2026-11-20T09:15:00", True),
        ("NSE:INFY", Timeframe.H1, "2026-11-20T10:00:00", False),
        ("NSE:INFY", Timeframe.M15, "2026-11-20T09:15:00", True),
        ("NSE:INFY", Timeframe.M5, "2026-11-20T09:15:00", True),
        ("NSE:INFY", Timeframe.D1, "2026-11-20T00:00:00", True),
        ("BINANCE:BTCUSDT", Timeframe.H1, "2026-11-20T09:30:00", True),  # 04:00 UTC
        ("BINANCE:BTCUSDT", Timeframe.D1, "2026-11-20T05:30:00", True),
    ],
)
def test_candles_are_anchored_on_the_exchanges_session(symbol: str, timeframe: Timeframe, moment: str, is_start: bool) -> None:
    offset = bucket_offset(exchange_of(symbol), timeframe)
    assert ((at(moment) - offset) % timeframe.seconds == 0) is is_start
