"""Routes of engines, halts, incidents and health."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.system import service
from app.api.system.schemas import (
    EmergencyStopIn,
    HaltList,
    HaltOut,
    HaltReportOut,
    IncidentOut,
    IncidentQuery,
    LiftAnswer,
    LiftIn,
    StatusOut,
    StopAnswer,
    SwitchAnswer,
    SwitchIn,
)
from app.api.wire import Page

routes = Routes("system")


@routes.post("/api/system/start", body=SwitchIn, out=SwitchAnswer, errors=(409,))
def start(call: Call) -> SwitchAnswer:
    """Engines on. 409 while a stop holds: it is lifted first."""
    return service.switch_engines(call.user, True, call.body, call.by)


@routes.post("/api/system/stop", always=True, body=SwitchIn, out=SwitchAnswer)
def stop(call: Call) -> SwitchAnswer:
    """Engines off: entries are denied, open positions stay, their exit plans stay armed."""
    return service.switch_engines(call.user, False, call.body, call.by)


@routes.get("/api/system/status", out=StatusOut)
def status(call: Call) -> StatusOut:
    """Threads, halts, accounts, feed, latency, queues."""
    return service.status(call.user)


@routes.post("/api/system/emergency-stop", always=True, way_out=True, body=EmergencyStopIn, out=StopAnswer, status=202, also=(200,))
def emergency_stop(call: Call) -> tuple[StopAnswer, int]:
    """Halt first, then cancel all, then flatten all, every account in parallel. 200 when a stop of this scope holds already."""
    return service.emergency_stop(call.user, call.body, call.by)


@routes.get("/api/system/halts", query=HaltList, out=Page[HaltOut])
def halts(call: Call) -> Page[HaltOut]:
    """Stops that hold; with holding=false those that were lifted, with all=true both."""
    asked: HaltList = call.query
    holding = None if asked.all else asked.holding is not False
    return service.list_halts(call.user, asked.model_copy(update={"holding": holding}))


@routes.get("/api/system/halts/{id}", out=HaltReportOut)
def halt(call: Call, id: str) -> HaltReportOut:  # noqa: A002 - the name of the path's parameter
    """How far each account has come on its way to flat."""
    return service.halt_report(call.user, id)


@routes.post("/api/system/halts/{id}/lift", body=LiftIn, out=LiftAnswer, errors=(409,))
def lift(call: Call, id: str) -> LiftAnswer:  # noqa: A002
    """Ends a stop; needs the caller's own sign-in password (403 if wrong). While engines are off, entries go on only after start."""
    return service.lift(call.user, id, call.body, call.by)


@routes.get("/api/incidents", query=IncidentQuery, out=Page[IncidentOut])
def incidents(call: Call) -> Page[IncidentOut]:
    """What a person should know about, open ones and past ones."""
    return service.list_incidents(call.user, call.query)
