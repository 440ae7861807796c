"""Routes of the timetable and the day's books."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.timetable import service
from app.api.timetable.schemas import DayBookOut, DayBookQuery, RunAnswer, TimetableOut, TimetableQuery
from app.api.wire import Page
from app.data import UserRole

routes = Routes("timetable")


@routes.get("/api/timetable", query=TimetableQuery, out=TimetableOut)
def index(call: Call) -> TimetableOut:
    """What a day does by itself and what has run: the machine's jobs, and the square-off of the caller's accounts."""
    return service.get_timetable(call.user, call.query)


@routes.post("/api/timetable/{id}/run", out=RunAnswer, status=202, role=UserRole.OWNER, errors=(409,))
def run(call: Call, id: str) -> RunAnswer:  # noqa: A002 - the name of the path's parameter
    """Begin one of today's jobs now, where doing it twice does no harm (instruments, log_ins, end_of_day); 409 for the others."""
    return service.run_now(call.user, id, call.by)


@routes.get("/api/day-books", query=DayBookQuery, out=Page[DayBookOut])
def books(call: Call) -> Page[DayBookOut]:
    """What each account did in each session, the newest first."""
    return service.list_day_books(call.user, call.query)
