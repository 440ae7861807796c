"""Routes of messages."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.messages import service
from app.api.messages.schemas import MessageOut, MessageQuery
from app.api.wire import Page

routes = Routes("messages")


@routes.get("/api/messages", query=MessageQuery, out=Page[MessageOut])
def index(call: Call) -> Page[MessageOut]:
    """What the caller was told or is about to be, newest first, with what came of it at each destination."""
    return service.list_messages(call.user, call.query)


@routes.get("/api/messages/{id}", out=MessageOut)
def show(call: Call, id: str) -> MessageOut:  # noqa: A002 - the name of the path's parameter
    """One message."""
    return service.get_message(call.user, id)


@routes.post("/api/deliveries/{id}/resend", status=204, errors=(409,))
def resend(call: Call, id: str) -> None:  # noqa: A002
    """Tries again what was given up."""
    service.resend(call.user, id, call.by)
