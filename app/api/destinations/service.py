"""Destinations: made, changed, tried out, confirmed. Nothing here talks to a messenger; what has to is handed to the post office."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import current_app

from app.api.destinations.schemas import (
    ChatOut,
    ChatsOut,
    DestinationIn,
    DestinationOut,
    DestinationPatch,
    QuietIn,
    QuietOut,
    SentTestOut,
)
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, Address, Conflict, DestinationRow, Invalid, NotFound, User
from app.data.credentials import is_masked, unless_shown
from app.data.mailboxes import email_key
from app.data.users import clean_email
from app.problems import Problem, field_problem
from app.workspace import workspace
from engines.core.messages import Event, Quiet

if TYPE_CHECKING:
    from engines.notify.dispatcher import Errand

USUAL: Mapping[str, tuple[Event, ...]] = {
    "discord": tuple(Event),
    "telegram": tuple(Event),
    "email": tuple(event for event in Event if event is not Event.ORDERS),  # a mail for each order on each account is too much
}
NAMES = {"discord": "Discord", "telegram": "Telegram", "email": "E-mail"}
HIDDEN = "•••"
_FIELDS = ("url", "token", "chat", "thread", "to")
_KEPT = 200
_ERRANDS = "tandem_errands"


def list_destinations(user: User) -> Page[DestinationOut]:
    return Page(items=[destination_out(row) for row in workspace().data.destinations.list(user.user_id)], next=None)


def get_destination(user: User, destination_id: str) -> DestinationOut:
    return destination_out(workspace().data.destinations.get(user.user_id, destination_id))


def create_destination(user: User, body: DestinationIn, by: Actor) -> DestinationOut:
    given = {name: value for name in _FIELDS if (value := getattr(body, name)) is not None}
    address, code = _address(user, body.channel, given)
    row = workspace().data.destinations.add(
        user.user_id,
        channel=body.channel,
        name=body.name or NAMES[body.channel],
        address=address,
        events=USUAL[body.channel] if body.events is None else tuple(body.events),
        quiet=_quiet(body.quiet),
        by=by,
        code=code,
    )
    return destination_out(row)


def change_destination(user: User, destination_id: str, body: DestinationPatch, by: Actor) -> DestinationOut:
    places = workspace().data.destinations
    changes: dict[str, Any] = {name: getattr(body, name) for name in ("name", "enabled") if name in body.model_fields_set}
    if body.events is not None:
        changes["events"] = tuple(body.events)
    if "quiet" in body.model_fields_set:
        changes["quiet"] = _quiet(body.quiet)
    given: dict[str, str] = {name: getattr(body, name) for name in _FIELDS if name in body.model_fields_set}
    row = places.get(user.user_id, destination_id)
    given = unless_shown(given, {name: row.address.get(_SHOWN_AS.get(name, name), "") for name in given})
    if not given:
        return destination_out(places.change(user.user_id, destination_id, changes, by=by))
    for name in given:
        if name not in _TAKES[row.channel]:
            raise field_problem(name, f"does not belong to {row.channel}")
        if is_masked(given[name]):
            raise field_problem(name, "is what is shown, not what is stored: leave it out to keep what is stored")
    known = places.secret(user.user_id, destination_id)
    kept = {name: value for name, value in known.items() if name in _TAKES[row.channel]}
    address, code = _address(user, row.channel, {**kept, **given})
    return destination_out(places.change(user.user_id, destination_id, changes, by=by, address=address, code=code))


def delete_destination(user: User, destination_id: str, by: Actor) -> None:
    workspace().data.destinations.delete(user.user_id, destination_id, by=by)


def test_destination(user: User, destination_id: str, by: Actor) -> SentTestOut:
    return SentTestOut(message_id=str(workspace().data.destinations.test(user.user_id, destination_id, by=by)))


def confirm(user: User, destination_id: str, code: str, by: Actor) -> DestinationOut:
    return destination_out(workspace().data.destinations.confirm(user.user_id, destination_id, code, by=by))


def ask_again(user: User, destination_id: str, by: Actor) -> DestinationOut:
    places = workspace().data.destinations
    places.get(user.user_id, destination_id)
    _mail_or_conflict()
    places.ask_again(user.user_id, destination_id, _code(), by=by)
    return get_destination(user, destination_id)


# --- which chats a bot knows ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Errands:
    """What was asked of Telegram for a page; the oldest answers are forgotten."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: OrderedDict[str, tuple[str, Errand]] = field(default_factory=OrderedDict)

    def keep(self, user_id: str, errand: Errand) -> str:
        name = secrets.token_urlsafe(9)
        with self.lock:
            self.known[name] = (user_id, errand)
            while len(self.known) > _KEPT:
                self.known.popitem(last=False)
        return name

    def get(self, user_id: str, name: str) -> Errand:
        whose, errand = self.known.get(name, ("", None))
        if errand is None or whose != user_id:
            raise NotFound("there is no such search")
        return errand

    def waiting(self, user_id: str) -> int:
        with self.lock:
            return sum(whose == user_id and not errand.done for whose, errand in self.known.values())


def find_chats(user: User, token: str) -> ChatsOut:
    post, errands = workspace().post, _errands()
    _checked("token", post.check_token, token)
    if errands.waiting(user.user_id) >= 3:
        raise Conflict("the searches before this one have not come back yet")
    name = errands.keep(user.user_id, post.find_chats(token))
    return chats(user, name)


def chats(user: User, name: str) -> ChatsOut:
    errand = _errands().get(user.user_id, name)
    if not errand.done:
        return ChatsOut(id=name, done=False, chats=[], problem="")
    if errand.error is not None:
        return ChatsOut(id=name, done=True, chats=[], problem=_told(errand.error))
    found = [ChatOut(chat=each.chat, name=each.name, kind=each.kind) for each in errand.result]
    return ChatsOut(
        id=name, done=True, chats=found, problem="" if found else "Nobody has written to this bot lately: send it /start, then look again."
    )


def _told(error: Exception) -> str:
    from engines.notify.telegram import NotFound as Nothing

    return str(error) if isinstance(error, Nothing) else "Telegram could not be asked."


def _errands() -> _Errands:
    made: _Errands = current_app.extensions.setdefault(_ERRANDS, _Errands())
    return made


# --- addresses --------------------------------------------------------------------------------------------------------

_TAKES = {"discord": frozenset({"url"}), "telegram": frozenset({"token", "chat", "thread"}), "email": frozenset({"to"})}

_SHOWN_AS = {"url": "webhook", "token": "bot"}


def _address(user: User, channel: str, given: Mapping[str, str]) -> tuple[Address, str | None]:
    """Checked and masked, and the code that has to come back from it (None: it needs none)."""
    post = workspace().post
    match channel:
        case "discord":
            url = _checked("url", post.check_webhook, given["url"])
            return Address({"url": url}, {"webhook": _webhook(url)}), None
        case "telegram":
            token, chat = _checked("token", post.check_token, given["token"]), _checked("chat", post.check_chat, given["chat"])
            thread = {"thread": given["thread"]} if given.get("thread") else {}
            return Address(
                {"token": token, "chat": chat, **thread}, {"bot": f"{token.partition(':')[0]}:{HIDDEN}", "chat": chat, **thread}
            ), None
    _mail_or_conflict()
    try:
        to = clean_email(given.get("to") or user.email)
    except Invalid as error:
        raise field_problem("to", error.errors["email"][0]) from None
    return Address({"to": to}, {"to": to}), None if email_key(to) == email_key(user.email) else _code()


def _webhook(url: str) -> str:
    """The number of the webhook is no secret, what comes behind it is all of it."""
    head, _, tail = url.partition("/api/webhooks/")
    return f"{head.partition('://')[2]} #{tail.partition('/')[0]}/{HIDDEN}"


def _checked(name: str, check: Callable[[str], str], value: str) -> str:
    try:
        return check(value)
    except ValueError as error:
        raise field_problem(name, str(error)) from None


def _mail_or_conflict() -> None:
    if not workspace().settings.mail_ready:
        raise Problem(409, "This Tandem cannot send mail: MAIL_SERVER and MAIL_DEFAULT_SENDER are not set.")


def _code() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


def _quiet(body: QuietIn | None) -> Quiet | None:
    return None if body is None else Quiet(body.start, body.end, body.zone, body.strict)


def destination_out(row: DestinationRow) -> DestinationOut:
    later = row.not_before > workspace().clock.now()
    return DestinationOut(
        id=row.destination_id,
        channel=row.channel,
        name=row.name,
        address=dict(row.address),
        events=[event.value for event in row.events],
        quiet=None
        if row.quiet is None
        else QuietOut(start=row.quiet.start, end=row.quiet.end, zone=row.quiet.zone, strict=row.quiet.strict),
        enabled=row.enabled,
        state=row.state,
        detail=row.state_detail,
        not_before=moment(row.not_before) if later else None,
        last_sent_at=moment_or_none(row.last_sent_at),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )
