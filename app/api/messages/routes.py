"""Routes of messages."""

from __future__ import annotations

from app.api.endpoint import Call, Routes
from app.api.messages import service
from app.api.messages.schemas import MessageOut, MessageQuery, UnreadOut
from app.api.wire import Page

routes = Routes("messages")


@routes.get("/api/messages", query=MessageQuery, out=Page[MessageOut])
def index(call: Call) -> Page[MessageOut]:
    """What the caller was told or is about to be, newest first, with what came of it at each destination."""
    return service.list_messages(call.user, call.query)


@routes.get("/api/me/messages", out=UnreadOut)
def unread(call: Call) -> UnreadOut:
    """How many of them came since the caller looked last."""
    return service.unread(call.user)


@routes.post("/api/me/messages/read", status=204, own=True)
def read(call: Call) -> None:
    """The caller has looked: nothing is unread until the next one comes. Viewers may, too."""
    service.read(call.user)


@routes.get("/api/messages/{id}", out=MessageOut)
def show(call: Call, id: str) -> MessageOut:  # noqa: A002 - the name of the path's parameter
    """One message."""
    return service.get_message(call.user, id)


@routes.post("/api/deliveries/{id}/resend", status=204, errors=(409,))
def resend(call: Call, id: str) -> None:  # noqa: A002
    """Tries again what was given up."""
    service.resend(call.user, id, call.by)
