"""Routes of one's own look."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.look import service
from app.api.look.schemas import LookIn, LookOut, LookPatch, PreviewQuery, TriedOut

routes = Routes("look")


@routes.get("/api/me/look", out=LookOut)
def show(call: Call) -> LookOut:
    """How Tandem looks to the caller: theme, colours of profit and loss, own colours."""
    return service.get_look(call.user)


@routes.put("/api/me/look", body=LookIn, out=LookOut, own=True)
def keep(call: Call) -> LookOut:
    """The whole look; {} is Tandem's own. 422 with the contrast for a colour on which something could not be read. Viewers may, too."""
    return service.set_look(call.user, call.body, call.by)


@routes.patch("/api/me/look", body=LookPatch, out=LookOut, own=True)
def change(call: Call) -> LookOut:
    """Only the fields that are sent change. Viewers may, too."""
    return service.change_look(call.user, call.body, call.by)


@routes.get("/api/me/look/preview", query=PreviewQuery, out=TriedOut)
def preview(call: Call) -> TriedOut:
    """What own colours would look like in one scheme: the style sheet and the contrast of each. Nothing is kept."""
    return service.preview(call.user, call.query)
