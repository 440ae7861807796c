"""Routes of replays."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.replays import service
from app.api.replays.schemas import FramesQuery, ReplayCommand, ReplayFramesOut, ReplayIn, ReplayOut, ReplayQuery
from app.api.wire import Page

routes = Routes("replays")


@routes.get("/api/replays", query=ReplayQuery, out=Page[ReplayOut])
def index(call: Call) -> Page[ReplayOut]:
    """The caller's replays since the server began, newest first."""
    return service.list_replays(call.user, call.query)


@routes.post("/api/replays", body=ReplayIn, out=ReplayOut, status=201, errors=(409,))
def create(call: Call) -> ReplayOut:
    """Plays a day on paper copies of the accounts: nothing of it reaches a broker or the books. 409 while too many run."""
    return service.start_replay(call.user, call.body, call.by)


@routes.get("/api/replays/{id}", query=FramesQuery, out=ReplayFramesOut)
def show(call: Call, id: str) -> ReplayFramesOut:  # noqa: A002 - the name of the path's parameter
    """The replay with everything that is new after `after`."""
    return service.frames(call.user, id, call.query)


@routes.post("/api/replays/{id}/control", body=ReplayCommand, out=ReplayOut)
def control(call: Call, id: str) -> ReplayOut:  # noqa: A002
    """Pause, go on, step, another speed, stop; without effect on one that is over."""
    return service.control(call.user, id, call.body, call.by)


@routes.delete("/api/replays/{id}")
def delete(call: Call, id: str) -> None:  # noqa: A002
    """Stops it and forgets what was seen."""
    service.delete_replay(call.user, id, call.by)
