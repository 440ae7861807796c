"""The calendar: the one that ships and what people have put over it. What is written here holds everywhere from the next question on."""

from __future__ import annotations

from datetime import date, timedelta

from app.api.calendar import table
from app.api.calendar.schemas import CalendarDayIn, CalendarDayOut, CalendarImported, CalendarImportIn, CalendarOut, CalendarQuery, HoursOut
from app.data import Actor, Invalid, NotFound, User
from app.workspace import workspace
from engines.core.sessions import HOME_EXCHANGE, Calendar, CalendarDay, load_calendar, next_trading_day, session_day
from engines.core.timetable import AUCTION_HOURS

NAMES = {
    "NSE": "Shares",
    AUCTION_HOURS: "Shares with a closing auction",
    "BSE": "Shares, BSE",
    "NFO": "Futures and options",
    "BFO": "Futures and options, BSE",
    "MCX": "Commodities",
}


def today() -> str:
    """The session's date by the engines' clock, which in a replay is the replay's."""
    return session_day(workspace().system.clock.now(), HOME_EXCHANGE)


def exchanges() -> tuple[str, ...]:
    return ("*", *load_calendar().hours)


def get_calendar(user: User, query: CalendarQuery) -> CalendarOut:  # noqa: ARG001 - one calendar for everybody
    calendar, now = workspace().system.hours.calendar, today()
    year = query.year or now[:4]
    return CalendarOut(
        year=year,
        known=calendar.knows(f"{year}-01-01"),
        today=now,
        next_trading_day=next_trading_day(now, HOME_EXCHANGE, calendar),
        warnings=warnings(calendar, now),
        hours=hours(calendar, now),
        days=[row for row in _days(calendar) if row.day.startswith(year)],
        exchanges=exchanges(),
    )


def put_day(user: User, day: str, body: CalendarDayIn, by: Actor) -> CalendarOut:
    windows, ordinary = table.read_hours(body.hours)
    row = CalendarDay(_day(day), _exchange(body.exchange), windows, ordinary, body.note)
    workspace().data.calendar.put([row], by=by)
    workspace().taken_over()
    return get_calendar(user, CalendarQuery(year=row.day[:4]))


def remove_day(user: User, day: str, exchange: str, by: Actor) -> None:  # noqa: ARG001 - the route has let only the owner in
    workspace().data.calendar.remove(day, exchange, by=by)
    workspace().taken_over()


def import_days(user: User, body: CalendarImportIn, by: Actor) -> CalendarImported:  # noqa: ARG001 - likewise
    rows = table.from_csv(body.csv, exchanges())
    changed = workspace().data.calendar.put(rows, by=by)
    workspace().taken_over()
    unlike = f"{changed} of them new or different" if changed else "all of them as they were"
    return CalendarImported(rows=len(rows), changed=changed, detail=f"{len(rows)} day{'' if len(rows) == 1 else 's'} read, {unlike}")


def export_days(user: User, query: CalendarQuery) -> str:
    """Every holiday and special session, those that ship and those of people, in the form that the import reads."""
    days = get_calendar(user, query).days if query.year else _days(workspace().system.hours.calendar)
    return table.to_csv(CalendarDay(row.day, row.exchange, tuple(row.windows), row.kind == "ordinary", row.note) for row in days)


def warnings(calendar: Calendar, now: str) -> list[str]:
    """What a person should do about the calendar: this year or that of the next month is not known."""
    soon = (date.fromisoformat(now) + timedelta(days=31)).isoformat()
    years = dict.fromkeys((now[:4], soon[:4])) if calendar.hours else {}
    return [
        f"The holidays of {year} are not in the calendar: every weekday counts as a trading day. Import the exchange's list."
        for year in years
        if not calendar.knows(f"{year}-01-01")
    ]


def hours(calendar: Calendar, day: str, *, of_the_day: bool = False) -> list[HoursOut]:
    """The ordinary hours as they are on that day, or when each part of the market really trades on it: a row for each window."""
    return [
        HoursOut(name=NAMES.get(exchange, exchange), exchange=exchange, opens=_clock(opens), closes=_clock(closes))
        for exchange in calendar.hours
        for opens, closes in (calendar.windows(day, exchange) if of_the_day else (calendar.ordinary(day, exchange),))
    ]


def _days(calendar: Calendar) -> list[CalendarDayOut]:
    """A row for each day that is not as others; what a person said of every exchange hides what ships."""
    own = calendar.own
    shipped = [
        _row(CalendarDay(day, "*", _shipped_windows(calendar, day), note=calendar.names.get(day, "")))
        for day in calendar.holidays | calendar.special.keys()
        if (day, "*") not in own
    ]
    put_in = [_row(row, own=True, instead_of=_instead(calendar, row)) for row in own.values()]
    return sorted(shipped + put_in, key=lambda row: (row.day, row.exchange))


def _row(row: CalendarDay, *, own: bool = False, instead_of: str = "") -> CalendarDayOut:
    return CalendarDayOut(
        day=row.day,
        exchange=row.exchange,
        kind="ordinary" if row.ordinary else "session" if row.windows else "holiday",
        windows=row.windows,
        hours=table.show_hours(row),
        note=row.note,
        own=own,
        instead_of=instead_of,
    )


def _instead(calendar: Calendar, row: CalendarDay) -> str:
    if row.day not in calendar.holidays and row.day not in calendar.special:
        return ""
    return f"{calendar.names.get(row.day, row.day)} ({table.show_hours(CalendarDay(row.day, '*', _shipped_windows(calendar, row.day)))})"


def _shipped_windows(calendar: Calendar, day: str) -> tuple[tuple[str, str], ...]:
    return tuple((_clock(opens), _clock(closes)) for opens, closes in calendar.special.get(day, ()))


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"


def _day(text: str) -> str:
    try:
        return table.read_day(text)
    except ValueError:
        raise NotFound("There is no such day.") from None


def _exchange(name: str) -> str:
    if name not in exchanges():
        raise Invalid.field("exchange", f"must be one of {', '.join(exchanges())}")
    return name
