"""Routes of signals."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.signals import service
from app.api.signals.schemas import PreviewOut, SignalAnswer, SignalIn, SignalOut, SignalQuery
from app.api.wire import Page

routes = Routes("signals")


@routes.post("/api/signals/manual", body=SignalIn, out=SignalAnswer, status=202, also=(200,))
def manual(call: Call) -> tuple[SignalAnswer, int]:
    """One signal, every account.
    200 when wait_ms was given and all orders are settled, or when the signal id was used before (nothing is sent then)."""
    return service.submit_manual(call.user, call.body, call.by)


@routes.post("/api/signals/preview", body=SignalIn, out=PreviewOut)
def preview(call: Call) -> PreviewOut:
    """What the same signal would do now on each account; nothing is recorded or sent."""
    return service.preview(call.user, call.body)


@routes.get("/api/signals", query=SignalQuery, out=Page[SignalOut])
def index(call: Call) -> Page[SignalOut]:
    """The caller's signals with what became of each on every account."""
    return service.list_signals(call.user, call.query)


@routes.get("/api/signals/{id}", out=SignalOut)
def show(call: Call, id: str) -> SignalOut:  # noqa: A002 - the name of the path's parameter
    """One signal by the caller's own signal_id."""
    return service.get_signal(call.user, id)
