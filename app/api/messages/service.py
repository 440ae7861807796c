"""Messages: what a person was told, where, and what came of it; what was given up can be sent again."""

from __future__ import annotations

from app.api.messages.schemas import DeliveryOut, MessageLineOut, MessageOut, MessageQuery, UnreadOut
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, DeliveryRow, MessageRow, NotFound, User, UserRole
from app.data.outbox import EVERYBODY, OWNERS
from app.live import Hub
from app.workspace import workspace

_ALL = MessageQuery()
_WAITS = frozenset({"pending", "sending"})


def list_messages(user: User, query: MessageQuery = _ALL) -> Page[MessageOut]:
    page = workspace().data.outbox.list(
        user.user_id, audiences=_audiences(user), kind=query.kind, status=query.status, limit=query.limit, cursor=query.cursor
    )
    return Page(items=[message_out(row) for row in page.items], next=page.next)


def get_message(user: User, message_id: str) -> MessageOut:
    number = _number(message_id, "message")
    page = workspace().data.outbox.list(user.user_id, audiences=_audiences(user), limit=1, cursor=str(number + 1))
    if not page.items or page.items[0].message_id != number:
        raise NotFound("there is no such message")
    return message_out(page.items[0])


def unread(user: User) -> UnreadOut:
    return UnreadOut(unread=workspace().data.outbox.unread(user.user_id, audiences=_audiences(user)))


def read(user: User) -> None:
    workspace().data.outbox.read(user.user_id, audiences=_audiences(user))


def announce(live: Hub, whose: str) -> None:
    """That there is something new to read, or nothing any more: who hears it asks how much."""
    if whose in (EVERYBODY, OWNERS):
        live.pulse("message", None, {}, everyone=whose == EVERYBODY)
    else:
        live.pulse("message", whose, {})


def resend(user: User, delivery_id: str, by: Actor) -> None:
    workspace().data.outbox.resend(user.user_id, _number(delivery_id, "delivery"), by=by)


def _audiences(user: User) -> tuple[str, ...]:
    return (EVERYBODY, OWNERS) if user.role is UserRole.OWNER else (EVERYBODY,)


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise NotFound(f"there is no such {what}")
    return int(text)


def message_out(row: MessageRow) -> MessageOut:
    said = row.message
    return MessageOut(
        id=str(row.message_id),
        kind=row.kind,
        event=said.event.value if said and said.event else None,
        state=row.state,
        at=moment(row.at),
        account_id=row.account_id,
        title=said.title if said else "",
        tone=said.tone.value if said else "info",
        text=said.text if said else "",
        lines=[MessageLineOut(name=line.name, value=line.value, short=line.short) for line in said.lines] if said else [],
        footer=said.footer if said else "",
        mode=said.mode if said else "",
        deliveries=[delivery_out(way) for way in row.deliveries],
    )


def delivery_out(row: DeliveryRow) -> DeliveryOut:
    return DeliveryOut(
        id=str(row.delivery_id),
        destination_id=row.destination_id,
        channel=row.channel,
        destination=row.name,
        status=row.status,
        attempts=row.attempts,
        next_at=moment(row.next_at) if row.status in _WAITS and row.next_at > workspace().clock.now() else None,
        error=row.error,
        sent_at=moment_or_none(row.sent_at),
    )
