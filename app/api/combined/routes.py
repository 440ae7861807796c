"""Routes of combined P&L rules."""

from __future__ import annotations

from app.api.combined import service
from app.api.combined.schemas import CombinedIn, CombinedOut, CombinedPatch, CombinedQuery
from app.api.endpoint import Call, Routes
from app.api.wire import Page

routes = Routes("combined")


@routes.get("/api/combined", query=CombinedQuery, out=Page[CombinedOut])
def index(call: Call) -> Page[CombinedOut]:
    """The caller's combined P&L rules, with where they stand now."""
    return service.list_rules(call.user, call.query)


@routes.post("/api/combined", body=CombinedIn, out=CombinedOut, status=201, errors=(404, 409))
def create(call: Call) -> CombinedOut:
    """One rule for each strategy, account or group: 409 when it has one."""
    return service.create_rule(call.user, call.body, call.by)


@routes.get("/api/combined/{id}", out=CombinedOut)
def show(call: Call, id: str) -> CombinedOut:  # noqa: A002 - the name of the path's parameter
    """One rule."""
    return service.get_rule(call.user, id)


@routes.patch("/api/combined/{id}", body=CombinedPatch, out=CombinedOut, errors=(409,))
def change(call: Call, id: str) -> CombinedOut:  # noqa: A002
    """Only the fields that are sent change. 409 when a rule that has closed its scope today is to be switched off."""
    return service.change_rule(call.user, id, call.body, call.by)


@routes.delete("/api/combined/{id}", errors=(409,))
def delete(call: Call, id: str) -> None:  # noqa: A002
    """409 while it keeps its scope closed for today."""
    service.delete_rule(call.user, id, call.by)
