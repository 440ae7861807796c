"""The route of the live stream."""

from __future__ import annotations

from typing import Annotated

from flask import Response, current_app, request
from pydantic import StringConstraints

from app.api.endpoint import Call, Routes
from app.api.stream.pulse import Pulse
from app.api.wire import Body
from app.auth import still_welcome
from app.data import UserRole
from app.live import TooManyStreams
from app.problems import Problem, field_problem
from app.workspace import workspace

PULSE = "tandem_pulse"
routes = Routes("stream")


class StreamQuery(Body):
    """`symbols`: EXCHANGE:NAME, separated by commas; their prices are told, too. `last_event_id`: where the header cannot be set."""

    symbols: Annotated[str, StringConstraints(max_length=20_000)] = ""
    last_event_id: Annotated[str, StringConstraints(pattern=r"^\d{1,20}$")] | None = None


@routes.get("/api/stream", query=StreamQuery, raw=True, media="text/event-stream", errors=(503,))
def stream(call: Call) -> Response:
    """Server-sent events: pnl, order, position, signal, engine, halt, incident, message (something to read), and price for the symbols asked.
    Every event has an id; Last-Event-ID replays what was missed, and a reset event says when that is no longer possible."""
    shop = workspace()
    symbols = {symbol.strip() for symbol in call.query.symbols.split(",") if symbol.strip()}
    if len(symbols) > 500:
        raise field_problem("symbols", "must name at most 500 instruments")
    last = request.headers.get("Last-Event-ID") or call.query.last_event_id
    number = int(last) if last and last.isdecimal() and len(last) <= 20 else None
    owner = call.user.role is UserRole.OWNER
    try:
        listener = shop.live.open(call.user.user_id, owner=owner, topics=symbols, last_event_id=number)
    except TooManyStreams:
        raise Problem(503, "Too many live streams are open.", headers={"Retry-After": "5"}) from None
    pulse: Pulse = current_app.extensions[PULSE]
    pulse.greet(call.user)
    answer = Response(shop.live.stream(listener, still_welcome(call.user)), mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    answer.call_on_close(lambda: shop.live.close_listener(listener))  # also when the client was gone before the first byte
    return answer
