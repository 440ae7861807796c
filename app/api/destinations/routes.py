"""Routes of destinations. They are about the caller alone."""

from __future__ import annotations

from app.api.destinations import service
from app.api.destinations.schemas import AddressCodeIn, BotTokenIn, ChatsOut, DestinationIn, DestinationOut, DestinationPatch, SentTestOut
from app.api.endpoint import Call, Routes
from app.api.wire import Page

routes = Routes("destinations")


@routes.get("/api/destinations", out=Page[DestinationOut])
def index(call: Call) -> Page[DestinationOut]:
    """Where the caller is told, of what, and how each of these places stands."""
    return service.list_destinations(call.user)


@routes.post("/api/destinations", body=DestinationIn, out=DestinationOut, status=201, errors=(409,))
def create(call: Call) -> DestinationOut:
    """Only what happens from now on is told there. An e-mail address that is not the caller's own gets a code first and nothing else until it came back."""
    return service.create_destination(call.user, call.body, call.by)


@routes.post("/api/telegram/chats", body=BotTokenIn, out=ChatsOut, status=202, errors=(409,))
def find_chats(call: Call) -> ChatsOut:
    """Looks for the chats that a Telegram bot has been written from; ask for the answer by the id. Nothing is kept of the token."""
    return service.find_chats(call.user, call.body.token)


@routes.get("/api/telegram/chats/{id}", out=ChatsOut)
def chats(call: Call, id: str) -> ChatsOut:  # noqa: A002 - the name of the path's parameter
    """What came of a search for chats."""
    return service.chats(call.user, id)


@routes.get("/api/destinations/{id}", out=DestinationOut)
def show(call: Call, id: str) -> DestinationOut:  # noqa: A002
    """One destination."""
    return service.get_destination(call.user, id)


@routes.patch("/api/destinations/{id}", body=DestinationPatch, out=DestinationOut, errors=(409,))
def change(call: Call, id: str) -> DestinationOut:  # noqa: A002
    """Only the fields that are sent change. One that was refused is tried again."""
    return service.change_destination(call.user, id, call.body, call.by)


@routes.delete("/api/destinations/{id}")
def delete(call: Call, id: str) -> None:  # noqa: A002
    """Nothing is told there any more, not even what waits."""
    service.delete_destination(call.user, id, call.by)


@routes.post("/api/destinations/{id}/test", out=SentTestOut, status=202, errors=(409,))
def test(call: Call, id: str) -> SentTestOut:  # noqa: A002
    """Sends a test message there, whatever was chosen; look at the message for what came of it."""
    return service.test_destination(call.user, id, call.by)


@routes.post("/api/destinations/{id}/confirm", body=AddressCodeIn, out=DestinationOut, errors=(409,))
def confirm(call: Call, id: str) -> DestinationOut:  # noqa: A002
    """The code that was mailed to the address: five tries, ten minutes."""
    return service.confirm(call.user, id, call.body.code, call.by)


@routes.post("/api/destinations/{id}/code", out=DestinationOut, errors=(409,))
def code(call: Call, id: str) -> DestinationOut:  # noqa: A002
    """Mails a new code; once a minute."""
    return service.ask_again(call.user, id, call.by)
