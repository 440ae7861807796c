"""An account's times on ordinary and on special days, and the jobs that a day asks for."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.core.model import Account, DayRules, Instrument, PaperSettings, Product
from engines.core.sessions import IST, CalendarDay, load_calendar, midnight, with_days
from engines.core.timetable import (
    LATEST,
    JobKind,
    Segment,
    binds,
    clock,
    entry_window,
    hours_of,
    jobs_of,
    seconds,
    segment_of,
    square_off_at,
    trades_on,
    why_no_entry,
)

CALENDAR = load_calendar()
RULES = DayRules()
SHARE = Instrument("NSE:SMALLCO", "Small", "NSE", Decimal("0.05"))
AUCTION = replace(SHARE, symbol="NSE:INFY", auction=True)
FUTURE = Instrument("NFO:NIFTY26AUGFUT", "NIFTY", "NFO", Decimal("0.10"), segment="FUT")
INDEX = Instrument("NSE:NIFTY 50", "NIFTY", "NSE", Decimal("0.05"), segment="INDEX")
GOLD = Instrument("MCX:GOLDM26DECFUT", "Gold", "MCX", Decimal(1), segment="FUT")
COIN = Instrument("BINANCE:BTCUSDT", "Bitcoin", "BINANCE", Decimal("0.01"), segment="SPOT")
PAPER = Account("A1", "U1", "Asha", "paper", Decimal(1))


@pytest.mark.parametrize(
    ("broker", "session_hours", "exchanges", "own_hours", "on"),
    [
        ("paper", False, (), (), True),
        ("paper", True, ("NSE", "NFO"), (), False),
        ("paper", True, ("NSE", "BINANCE"), (), True),
        ("zerodha", False, ("NSE", "BSE", "NFO", "BFO"), (), False),
        ("zerodha", False, ("NSE", "MCX"), (), True),
        ("angelone", False, ("CDS",), (), True),
        ("zerodha", False, (), ("zerodha",), True),  # an emulator
        ("binance_spot", False, (), (), True),
    ],
)
def test_who_may_still_trade_when_the_trading_day_is_over(
    broker: str, session_hours: bool, exchanges: tuple[str, ...], own_hours: tuple[str, ...], on: bool
) -> None:
    account = replace(PAPER, broker=broker, paper=PaperSettings(session_hours=session_hours))
    assert trades_on(account, exchanges, own_hours) is on


def at(text: str) -> float:
    return datetime.fromisoformat(text + "+05:30").timestamp()


def shown(moment: float | None) -> str | None:
    return None if moment is None else clock(moment, "NSE")


@pytest.mark.parametrize(
    ("instrument", "segment", "hours"),
    [
        (SHARE, Segment.CASH, "NSE"),
        (AUCTION, Segment.AUCTION, "NSE:CAS"),
        (replace(AUCTION, exchange="BSE"), Segment.CASH, "BSE"),
        (FUTURE, Segment.DERIVATIVES, "NFO"),
        (INDEX, Segment.DERIVATIVES, "NSE"),
        (GOLD, Segment.COMMODITIES, "MCX"),
        (COIN, None, "BINANCE"),
    ],
)
def test_an_instrument_has_a_segment_and_hours(instrument: Instrument, segment: Segment | None, hours: str) -> None:
    assert (segment_of(instrument), hours_of(instrument)) == (segment, hours)


@pytest.mark.parametrize(
    ("day", "instrument", "rules", "leaves"),
    [
        ("2026-11-20", SHARE, RULES, "15:10"),
        ("2026-11-20", FUTURE, RULES, "15:15"),
        ("2026-11-20", INDEX, RULES, "15:15"),
        ("2026-11-20", GOLD, RULES, "23:05"),
        ("2026-11-20", COIN, RULES, None),  # never closes
        ("2026-11-20", SHARE, DayRules(square_off=False), None),
        ("2026-07-31", AUCTION, DayRules(square_off_cash="15:20"), "15:20"),  # the last day before the closing auction
        ("2026-08-03", AUCTION, DayRules(square_off_cash="15:20"), "15:10"),  # the first with it: over before 15:15
        ("2026-08-03", AUCTION, RULES, "15:10"),
        ("2026-08-03", SHARE, DayRules(square_off_cash="15:20"), "15:20"),
        ("2026-11-20", SHARE, DayRules(square_off_cash="15:29"), "15:25"),  # no later than five minutes before the close
        ("2026-07-31", FUTURE, DayRules(square_off_derivatives="15:35"), "15:25"),
        ("2026-08-03", FUTURE, DayRules(square_off_derivatives="15:35"), "15:35"),
        ("2024-01-20", SHARE, RULES, "15:10"),  # Saturday, a full session
        ("2024-03-02", SHARE, RULES, "12:10"),  # split session: closes at 12:30
        ("2024-03-02", FUTURE, RULES, "12:15"),
        ("2024-05-18", SHARE, RULES, "12:10"),
        ("2024-05-18", SHARE, DayRules(square_off_cash="14:00"), "11:30"),  # never before the last window
        ("2026-11-08", SHARE, RULES, "18:40"),  # Muhurat on a Sunday
        ("2026-11-08", AUCTION, RULES, "18:55"),
        ("2026-11-24", SHARE, RULES, None),  # holiday
        ("2026-11-21", SHARE, RULES, None),  # Saturday
    ],
)
def test_the_square_off_keeps_its_distance_from_the_close(day: str, instrument: Instrument, rules: DayRules, leaves: str | None) -> None:
    assert shown(square_off_at(rules, instrument, day, CALENDAR)) == leaves


@pytest.mark.parametrize(
    ("day", "rules", "window"),
    [
        ("2026-11-20", RULES, ("09:15", "15:10")),
        ("2026-11-20", DayRules(first_entry="09:20", last_entry="15:00"), ("09:20", "15:00")),
        ("2026-11-20", DayRules(last_entry="15:20"), ("09:15", "15:10")),  # the square-off comes first
        ("2026-11-20", DayRules(square_off=False), ("09:15", "15:30")),
        ("2026-11-20", DayRules(square_off=False, last_entry="15:20"), ("09:15", "15:20")),
        ("2026-11-20", DayRules(first_entry="08:00"), ("09:15", "15:10")),
        ("2024-03-02", DayRules(first_entry="09:20", last_entry="15:00"), ("09:20", "12:00")),
        ("2026-11-08", DayRules(first_entry="09:20", last_entry="15:00"), ("18:05", "18:30")),
        ("2026-11-24", RULES, None),
    ],
)
def test_entries_have_a_window(day: str, rules: DayRules, window: tuple[str, str] | None) -> None:
    found = entry_window(rules, SHARE, day, CALENDAR)
    assert (found and (shown(found[0]), shown(found[1]))) == window


@pytest.mark.parametrize(
    ("moment", "instrument", "product", "why"),
    [
        ("2026-11-20T09:19:59", SHARE, Product.MIS, "no intraday entry before 09:20"),
        ("2026-11-20T09:20:00", SHARE, Product.MIS, ""),
        ("2026-11-20T14:59:59", SHARE, Product.MIS, ""),
        ("2026-11-20T15:00:00", SHARE, Product.MIS, "no intraday entry from 15:00 on"),
        ("2026-11-20T15:00:00", SHARE, Product.CNC, ""),
        ("2026-11-20T15:00:00", FUTURE, Product.NRML, ""),
        ("2026-11-21T11:00:00", SHARE, Product.MIS, "the market does not trade today"),
        ("2026-11-21T11:00:00", COIN, Product.MIS, ""),
    ],
)
def test_an_entry_outside_its_window_is_told_why(moment: str, instrument: Instrument, product: Product, why: str) -> None:
    rules = DayRules(first_entry="09:20", last_entry="15:00")
    assert why_no_entry(rules, instrument, product, at(moment), CALENDAR) == why


@pytest.mark.parametrize(
    ("account", "bound"),
    [
        (PAPER, False),
        (replace(PAPER, paper=PaperSettings(session_hours=True)), True),
        (replace(PAPER, day_rules=DayRules(keep=True)), True),
        (replace(PAPER, broker="zerodha"), True),
        (replace(PAPER, broker="zerodha", day_rules=DayRules(keep=False)), False),
        (replace(PAPER, broker="angelone"), False),  # an emulator with hours of its own
    ],
)
def test_day_rules_bind_accounts_that_keep_the_markets_hours(account: Account, bound: bool) -> None:
    assert binds(account, own_hours={"angelone"}) is bound


TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02d}:{minute % 60:02d}")
DAYS = st.sampled_from(["2024-01-20", "2024-03-02", "2026-07-31", "2026-08-03", "2026-11-08", "2026-11-20"])


@given(TIMES, TIMES, TIMES, TIMES, DAYS, st.sampled_from([SHARE, AUCTION, FUTURE, INDEX, GOLD]))
def test_a_square_off_is_always_inside_the_last_window_and_no_entry_follows_it(
    cash: str, derivatives: str, first: str, last: str, day: str, instrument: Instrument
) -> None:
    rules = DayRules(first_entry=first, last_entry=last, square_off_cash=cash, square_off_derivatives=derivatives)
    leaves, window = square_off_at(rules, instrument, day, CALENDAR), entry_window(rules, instrument, day, CALENDAR)
    assert leaves is not None
    assert window is not None
    opens, closes = CALENDAR.windows(day, hours_of(instrument))[-1]
    assert opens <= leaves - midnight(day, "NSE") <= closes - LATEST
    assert why_no_entry(rules, instrument, Product.MIS, leaves, CALENDAR)
    assert window[1] <= leaves


# --- the jobs of a day


def names(day: str, *accounts: Account) -> list[tuple[str, str]]:
    return [(clock(job.at, "NSE"), job.name) for job in jobs_of(day, CALENDAR, accounts)]


def test_a_trading_day_has_its_jobs_in_order_of_time() -> None:
    bound = replace(PAPER, day_rules=DayRules(keep=True))
    others = (replace(PAPER, account_id="A2"), replace(bound, account_id="A3", enabled=False))
    assert names("2026-11-20", bound, *others) == [
        ("00:00", "day_start"),
        ("08:15", "log_ins"),
        ("09:00", "instruments"),
        ("15:10", "square_off:A1:auction"),
        ("15:10", "square_off:A1:cash"),
        ("15:15", "square_off:A1:derivatives"),
        ("15:50", "end_of_day"),
    ]


def test_a_day_without_trading_has_no_log_ins_and_no_square_off() -> None:
    for day in ("2026-11-21", "2026-11-24"):
        assert names(day, replace(PAPER, broker="zerodha")) == [("00:00", "day_start"), ("09:00", "instruments"), ("23:59", "end_of_day")]


def test_the_jobs_of_a_split_saturday_move_with_its_close() -> None:
    by_name = {name: at for at, name in names("2024-03-02", replace(PAPER, broker="zerodha"))}
    assert (by_name["square_off:A1:cash"], by_name["square_off:A1:derivatives"], by_name["end_of_day"]) == ("12:10", "12:15", "12:40")


@pytest.mark.parametrize(("segment", "last"), [("auction", "15:15"), ("cash", "15:30"), ("derivatives", "15:40")])
def test_a_square_off_is_sensible_until_its_segment_closes(segment: str, last: str) -> None:
    jobs = jobs_of("2026-11-20", CALENDAR, [replace(PAPER, broker="zerodha")])
    assert [clock(job.until, "NSE") for job in jobs if job.kind is JobKind.SQUARE_OFF and job.segment == segment] == [last]


@given(st.dates(date(2024, 1, 1), date(2026, 12, 31)))
def test_job_names_are_unique_and_lie_within_their_day(day: date) -> None:
    jobs = jobs_of(str(day), CALENDAR, [replace(PAPER, broker="zerodha"), replace(PAPER, account_id="A2", broker="zerodha")])
    assert len({job.name for job in jobs}) == len(jobs)
    assert all(0 <= job.at - midnight(str(day), "NSE") < 86_400 and job.at < job.until for job in jobs)
    assert all(a.at <= b.at for a, b in pairwise(jobs))


# --- what people put over the calendar


@pytest.mark.parametrize(
    ("row", "windows"),
    [
        (CalendarDay("2026-11-24", ordinary=True), {"NSE": ("09:15", "15:30"), "NSE:CAS": ("09:15", "15:15"), "NFO": ("09:15", "15:40")}),
        (CalendarDay("2026-11-25"), {"NSE": None, "NSE:CAS": None, "NFO": None, "MCX": None, "BINANCE": ("00:00", "00:00")}),
        (CalendarDay("2026-11-25", "MCX"), {"NSE": ("09:15", "15:30"), "MCX": None}),
        (CalendarDay("2026-11-28", windows=(("09:15", "15:30"),)), {"NSE": ("09:15", "15:30"), "NSE:CAS": ("09:15", "15:15")}),
        (CalendarDay("2026-11-28", "NSE", (("17:00", "18:00"),)), {"NSE": ("17:00", "18:00"), "NSE:CAS": ("17:00", "18:00"), "NFO": None}),
        (CalendarDay("2026-11-25", "NSE:CAS", (("09:15", "15:20"),)), {"NSE": ("09:15", "15:30"), "NSE:CAS": ("09:15", "15:20")}),
    ],
)
def test_a_day_that_a_person_puts_in_comes_before_the_calendar_that_ships(row: CalendarDay, windows: dict[str, tuple[str, str]]) -> None:
    calendar = with_days(CALENDAR, [row])
    for exchange, hours in windows.items():
        found = calendar.windows(row.day, exchange)
        assert (tuple(clock(midnight(row.day, "NSE") + second, "NSE") for second in found[0]) if found else None) == hours
    assert with_days(calendar, ()).windows(row.day, "NSE") == CALENDAR.windows(row.day, "NSE")


def test_a_year_is_known_once_enough_of_its_holidays_are_in() -> None:
    rows = [CalendarDay(f"2027-03-{day:02d}") for day in range(1, 13)]  # ten of them on weekdays
    assert not with_days(CALENDAR, rows[:3]).knows("2027-01-01")
    assert with_days(CALENDAR, rows).knows("2027-01-01")


def test_times_of_day_are_read_and_shown() -> None:
    assert (seconds("15:10"), clock(15 * 3600 - IST, "NSE")) == (54_600, "15:00")
    for wrong in ("24:00", "9:15", "15.10", "", "15:60"):
        with pytest.raises(ValueError, match="time of day"):
            seconds(wrong)
