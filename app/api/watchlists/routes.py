"""Routes of watchlists."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.watchlists import service
from app.api.watchlists.schemas import DayOut, DayQuery, WatchlistIn, WatchlistOut, WatchlistPatch, WatchlistQuery
from app.api.wire import Page

routes = Routes("watchlists")


@routes.get("/api/watchlists", query=WatchlistQuery, out=Page[WatchlistOut])
def index(call: Call) -> Page[WatchlistOut]:
    """The caller's watchlists."""
    return service.list_watchlists(call.user, call.query)


@routes.post("/api/watchlists", body=WatchlistIn, out=WatchlistOut, status=201, errors=(409,))
def create(call: Call) -> WatchlistOut:
    """A new list; 409 when there is one of that name."""
    return service.create_watchlist(call.user, call.body, call.by)


@routes.get("/api/watchlists/{id}", out=WatchlistOut)
def show(call: Call, id: str) -> WatchlistOut:  # noqa: A002 - the name of the path's parameter
    """One list."""
    return service.get_watchlist(call.user, id)


@routes.patch("/api/watchlists/{id}", body=WatchlistPatch, out=WatchlistOut, errors=(409,))
def change(call: Call, id: str) -> WatchlistOut:  # noqa: A002
    """Another name, another order, instruments added or taken away."""
    return service.change_watchlist(call.user, id, call.body, call.by)


@routes.delete("/api/watchlists/{id}")
def delete(call: Call, id: str) -> None:  # noqa: A002
    """The list goes; nothing else does."""
    service.delete_watchlist(call.user, id, call.by)


@routes.get("/api/days", query=DayQuery, out=Page[DayOut])
def days(call: Call) -> Page[DayOut]:
    """The session of each instrument so far: last price, change, range, the levels of the caller's strategies. In the order asked."""
    return service.days(call.user, call.query)
