"""A day of the sample book: its timetable in the middle of an afternoon, the year's calendar and some days' books."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.api.calendar.schemas import CalendarDayOut, CalendarOut, HoursOut
from app.api.timetable.schemas import AccountTimesOut, DayBookOut, JobOut, SegmentTimesOut, TimetableOut

TODAY = "2026-11-20"
_MIDNIGHT = datetime(2026, 11, 19, 18, 30, tzinfo=UTC)
NOW = _MIDNIGHT + timedelta(hours=15, minutes=12, seconds=20)
HOURS = [
    HoursOut(name="Shares", exchange="NSE", opens="09:15", closes="15:30"),
    HoursOut(name="Shares with a closing auction", exchange="NSE:CAS", opens="09:15", closes="15:15"),
    HoursOut(name="Futures and options", exchange="NFO", opens="09:15", closes="15:40"),
]


def at(clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return _MIDNIGHT + timedelta(hours=int(hours), minutes=int(minutes))


def job(clock: str, name: str, state: str = "planned", detail: str = "", by_hand: str = "") -> JobOut:
    kind, _, rest = name.partition(":")
    account, _, segment = rest.partition(":")
    return JobOut(
        job=name,
        kind=kind,
        account_id=account or None,
        segment=segment or None,
        planned_at=at(clock),
        until=at("15:30") if kind == "square_off" else None,
        state=state,
        at=None if state in ("planned", "due") else at(clock) + timedelta(seconds=3),
        detail=detail,
        by_hand=by_hand,
        may_run_now=kind in ("instruments", "log_ins", "end_of_day"),
    )


JOBS = [
    job("00:00", "day_start", "done", "the limits of 5 accounts begin anew"),
    job("08:15", "log_ins", "failed", "1 of 2 accounts signed in"),
    job("09:00", "instruments", "done", "angelone 98,214; zerodha 101,377", by_hand="by hand: angelone 98,214; zerodha 101,377"),
    job("15:10", "square_off:A1:auction", "done", "1 position closed"),
    job("15:10", "square_off:A1:cash", "started"),
    job("15:10", "square_off:A3:cash", "skipped", "its time had passed; nothing was open"),
    job("15:10", "square_off:A3:auction", "due"),
    job("15:15", "square_off:A1:derivatives"),
    job("15:15", "square_off:A3:derivatives"),
    job("15:50", "end_of_day"),
]
TIMES = [
    SegmentTimesOut(segment="auction", first_entry=at("09:20"), last_entry=at("15:00"), square_off=at("15:10")),
    SegmentTimesOut(segment="cash", first_entry=at("09:20"), last_entry=at("15:00"), square_off=at("15:10")),
    SegmentTimesOut(segment="derivatives", first_entry=at("09:20"), last_entry=at("15:00"), square_off=None),
]


def timetable(day: str | None, *, empty: bool = False) -> TimetableOut:
    today = day in (None, TODAY)
    return TimetableOut(
        day=day or TODAY,
        today=today,
        trading=today,
        note="" if today else "Diwali Balipratipada",
        now=NOW,
        next_trading_day="2026-11-23",
        warnings=["The holidays of 2027 are not in the calendar: every weekday counts as a trading day. Import the exchange's list."],
        hours=HOURS if today else [],
        jobs=[job for job in JOBS if job.account_id is None] if empty else JOBS if today else [],
        accounts=[
            AccountTimesOut(account_id="A1", keeps=True, why="as set on the account", segments=TIMES),
            AccountTimesOut(account_id="A2", keeps=False, why="trades at any hour", segments=[]),
            AccountTimesOut(account_id="A3", keeps=True, why="keeps the market's hours", segments=TIMES),
        ]
        if today and not empty
        else [],
    )


def book(day: str, account: str, net: int, *, wins: int = 3, losses: int = 2) -> DayBookOut:
    return DayBookOut(
        account_id=account,
        day=day,
        realised=Decimal(net + 140),
        charges=Decimal(140),
        net=Decimal(net),
        unrealised=Decimal(0),
        equity=Decimal(500_000 + net),
        trades=wins + losses,
        fills=2 * (wins + losses),
        turnover=Decimal(1_250_000),
        wins=wins,
        losses=losses,
        best=Decimal(2_100),
        worst=Decimal(-900),
        denied=1,
        rejected=0,
        open_positions=0,
        at=at("15:50"),
    )


BOOKS = [book("2026-11-19", "A1", 4_310), book("2026-11-19", "A3", -1_275, wins=1, losses=4), book("2026-11-18", "A1", 860)]


def day_of(day: str, kind: str, note: str, hours: str, **changes: object) -> CalendarDayOut:
    windows = [tuple(window.split("-")) for window in hours.split()] if kind == "session" else []
    fields = {"exchange": "*", "own": False, "instead_of": "", **changes}
    return CalendarDayOut(day=day, kind=kind, note=note, hours=hours, windows=windows, **fields)  # type: ignore[arg-type]


DAYS = [
    day_of("2026-01-26", "holiday", "Republic Day", "closed"),
    day_of("2026-11-08", "session", "Muhurat session", "18:15-19:15", own=True, instead_of="Muhurat session (18:00-19:00)"),
    day_of("2026-11-24", "ordinary", "moved", "ordinary", own=True, instead_of="Guru Nanak Jayanti (closed)"),
    day_of("2026-12-05", "session", "Saturday drill", "09:15-10:00 11:30-12:30", exchange="NSE", own=True),
    day_of("2026-12-25", "holiday", "Christmas", "closed"),
]


def calendar(year: str | None) -> CalendarOut:
    year = year or "2026"
    return CalendarOut(
        year=year,
        known=year == "2026",
        today=TODAY,
        next_trading_day="2026-11-23",
        warnings=["The holidays of 2027 are not in the calendar: every weekday counts as a trading day. Import the exchange's list."],
        hours=HOURS,
        days=[row for row in DAYS if row.day.startswith(year)],
        exchanges=["*", "NSE", "NSE:CAS", "NFO"],
    )
