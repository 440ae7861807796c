"""Routes of profit and loss."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.pnl import service
from app.api.pnl.schemas import DailyQuery, DayPnlOut, EquityPointOut, EquityQuery, RealtimeOut
from app.api.wire import Page

routes = Routes("pnl")


@routes.get("/api/pnl/realtime", out=RealtimeOut)
def realtime(call: Call) -> RealtimeOut:
    """Now: in total, by account and by strategy."""
    return service.realtime(call.user)


@routes.get("/api/pnl/daily", query=DailyQuery, out=Page[DayPnlOut])
def daily(call: Call) -> Page[DayPnlOut]:
    """What was booked on each session day."""
    return service.daily(call.user, call.query)


@routes.get("/api/equity", query=EquityQuery, out=Page[EquityPointOut])
def equity(call: Call) -> Page[EquityPointOut]:
    """The equity curve of the caller's accounts, oldest point first."""
    return service.equity(call.user, call.query)
