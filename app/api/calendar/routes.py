"""Routes of the calendar."""

from __future__ import annotations

from flask import Response

from app.api.calendar import service
from app.api.calendar.schemas import CalendarDayIn, CalendarDayQuery, CalendarImported, CalendarImportIn, CalendarOut, CalendarQuery
from app.api.endpoint import Call, Routes
from app.data import UserRole

routes = Routes("calendar")


@routes.get("/api/calendar", query=CalendarQuery, out=CalendarOut)
def index(call: Call) -> CalendarOut:
    """Holidays, special sessions and hours of a year: those that ship, and what people have put over them."""
    return service.get_calendar(call.user, call.query)


@routes.get("/api/calendar/export", query=CalendarQuery, raw=True, media="text/csv")
def export(call: Call) -> Response:
    """The same as CSV: day, exchange, hours, note. Without a year: all of them."""
    text = service.export_days(call.user, call.query)
    name = f"calendar-{call.query.year or 'all'}.csv"
    return Response(text, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


@routes.post("/api/calendar/import", body=CalendarImportIn, out=CalendarImported, role=UserRole.OWNER)
def read(call: Call) -> CalendarImported:
    """Put a whole table over the calendar. 422 names every wrong line, and then nothing is taken."""
    return service.import_days(call.user, call.body, call.by)


@routes.put("/api/calendar/{id}", body=CalendarDayIn, out=CalendarOut, role=UserRole.OWNER)
def put(call: Call, id: str) -> CalendarOut:  # noqa: A002 - the name of the path's parameter
    """Put a day (an ISO date) over the calendar, for one exchange or `*` for all that have hours; it holds at once. Answers with its year."""
    return service.put_day(call.user, id, call.body, call.by)


@routes.delete("/api/calendar/{id}", query=CalendarDayQuery, role=UserRole.OWNER)
def delete(call: Call, id: str) -> None:  # noqa: A002
    """The day is again as the calendar that ships has it."""
    service.remove_day(call.user, id, call.query.exchange, call.by)
