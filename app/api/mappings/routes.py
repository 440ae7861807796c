"""Routes of mappings."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.mappings import service
from app.api.mappings.schemas import MappingIn, MappingOut, MappingPatch, MappingQuery
from app.api.wire import Page

routes = Routes("mappings")


@routes.get("/api/mappings", query=MappingQuery, out=Page[MappingOut])
def index(call: Call) -> Page[MappingOut]:
    """Which strategy, one's own or one that somebody shares, trades on which of the caller's accounts, with how much."""
    return service.list_mappings(call.user, call.query)


@routes.post("/api/mappings", body=MappingIn, out=MappingOut, status=201, errors=(409,))
def create(call: Call) -> MappingOut:
    """422 when the account's allocations would exceed 100 %, 409 when the pair exists."""
    return service.create_mapping(call.user, call.body, call.by)


@routes.get("/api/mappings/{id}", out=MappingOut)
def show(call: Call, id: str) -> MappingOut:  # noqa: A002 - the name of the path's parameter
    """One mapping."""
    return service.get_mapping(call.user, id)


@routes.patch("/api/mappings/{id}", body=MappingPatch, out=MappingOut, errors=(409,))
def change(call: Call, id: str) -> MappingOut:  # noqa: A002
    """Only the fields that are sent change.
    Off: no entry follows; what is held keeps its exit plans and leaves with the strategy's exits. 409 when it is to be switched on although the strategy
    is no longer shared."""
    return service.change_mapping(call.user, id, call.body, call.by)


@routes.delete("/api/mappings/{id}")
def delete(call: Call, id: str) -> None:  # noqa: A002
    """The strategy no longer trades on the account; what is open stays guarded."""
    service.delete_mapping(call.user, id, call.by)
