"""Routes of groups of accounts."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.groups import acts, service
from app.api.groups.schemas import GroupDoneOut, GroupIn, GroupOut, GroupPatch, GroupQuery, GroupStartIn, GroupStopIn
from app.api.wire import Page

routes = Routes("groups")


@routes.get("/api/groups", query=GroupQuery, out=Page[GroupOut])
def index(call: Call) -> Page[GroupOut]:
    """The caller's groups of accounts."""
    return service.list_groups(call.user, call.query)


@routes.post("/api/groups", body=GroupIn, out=GroupOut, status=201, errors=(404, 409))
def create(call: Call) -> GroupOut:
    """409 when the name is taken."""
    return service.create_group(call.user, call.body, call.by)


@routes.get("/api/groups/{id}", out=GroupOut)
def show(call: Call, id: str) -> GroupOut:  # noqa: A002 - the name of the path's parameter
    """One group, with each of its accounts as it stands now."""
    return service.get_group(call.user, id)


@routes.patch("/api/groups/{id}", body=GroupPatch, out=GroupOut, errors=(409,))
def change(call: Call, id: str) -> GroupOut:  # noqa: A002
    """Only the fields that are sent change."""
    return service.change_group(call.user, id, call.body, call.by)


@routes.delete("/api/groups/{id}", errors=(409,))
def delete(call: Call, id: str) -> None:  # noqa: A002
    """409 while a combined P&L rule is on it; its accounts stay as they are."""
    service.delete_group(call.user, id, call.by)


@routes.post("/api/groups/{id}/start", body=GroupStartIn, out=GroupDoneOut)
def start(call: Call, id: str) -> GroupDoneOut:  # noqa: A002
    """Auto-trade on and kill switches off, for every account whose holder agrees.

    The others are left as they are and named with the reason. With a live account in the group its name is asked for as confirmation."""
    return acts.start(call.user, id, call.body, call.by)


@routes.post("/api/groups/{id}/pause", out=GroupDoneOut)
def pause(call: Call, id: str) -> GroupDoneOut:  # noqa: A002
    """Auto-trade off on every account: strategies enter nothing; positions stay, with their stops and targets."""
    return acts.pause(call.user, id, call.by)


@routes.post("/api/groups/{id}/stop", always=True, body=GroupStopIn, out=GroupDoneOut)
def stop(call: Call, id: str) -> GroupDoneOut:  # noqa: A002
    """The kill switch of every account, all at once; with flatten they are also brought to flat."""
    return acts.stop(call.user, id, call.body, call.by)
