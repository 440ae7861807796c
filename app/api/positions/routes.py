"""Routes of positions."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.positions import service
from app.api.positions.schemas import CloseAllIn, CloseIn, ExitPlanIn, PositionOut, PositionQuery
from app.api.signals.schemas import SignalAnswer, SignalAnswers
from app.api.wire import Page

routes = Routes("positions")


@routes.get("/api/positions", query=PositionQuery, out=Page[PositionOut])
def index(call: Call) -> Page[PositionOut]:
    """The caller's open positions; with flat=true those of the session that are flat again, too."""
    return service.list_positions(call.user, call.query)


@routes.get("/api/positions/{id}", out=PositionOut)
def show(call: Call, id: str) -> PositionOut:  # noqa: A002 - the name of the path's parameter
    """One position."""
    return service.get_position(call.user, id)


@routes.post("/api/positions/{id}/close", always=True, way_out=True, body=CloseIn, out=SignalAnswer, status=202, errors=(409,))
def close(call: Call, id: str) -> SignalAnswer:  # noqa: A002
    """Exit it, in whole or in part; more than is held is capped."""
    return service.close(call.user, id, call.body, call.by)


@routes.post("/api/positions/{id}/closed-elsewhere", out=SignalAnswer, errors=(409,))
def closed_elsewhere(call: Call, id: str) -> SignalAnswer:  # noqa: A002
    """Book, at the last price, what the broker's books prove was closed outside of Tandem. No order is sent."""
    return service.closed_elsewhere(call.user, id, call.by)


@routes.post("/api/positions/close-all", always=True, way_out=True, body=CloseAllIn, out=SignalAnswers, status=202, errors=(409,))
def close_all(call: Call) -> SignalAnswers:
    """Exit every position of the caller, or of the accounts named."""
    return service.close_all(call.user, call.body, call.by)


@routes.put("/api/positions/{id}/exit-plan", body=ExitPlanIn, out=PositionOut, errors=(409,))
def exit_plan(call: Call, id: str) -> PositionOut:  # noqa: A002
    """Stop, targets and trailing of an open position; {} takes the plan away."""
    return service.set_exit_plan(call.user, id, call.body, call.by)
