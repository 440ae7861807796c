"""Destinations on the wire. An address goes in once and comes out masked."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.api.wire import BadValue, Body, Flag, Moment, Name, Out, Secret
from app.problems import wrong
from engines.core.messages import Event

Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Code = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\d{6}$")]
Email = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadValue("is not a time zone such as Asia/Kolkata") from None
    return name


def _each_once(events: list[Event]) -> list[Event]:
    if len(set(events)) != len(events):
        raise BadValue("names an event twice")
    return events


Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}$"), AfterValidator(_zone)]
Events = Annotated[list[Event], Field(max_length=len(Event)), AfterValidator(_each_once)]


class QuietIn(Body):
    """Hours of each day in which only what is urgent is sent; `strict`: not even that. They may lie over midnight."""

    start: Clock
    end: Clock
    zone: Zone = "Asia/Kolkata"
    strict: Flag = False

    @model_validator(mode="after")
    def some_time(self) -> QuietIn:
        if self.start == self.end:
            raise wrong("end", "must differ from the start")
        return self


class DestinationIn(Body):
    """`url`: of a Discord webhook. `token` and `chat`: of a Telegram bot (`thread`: a topic of a group). `to`: an e-mail address, the caller's own if left
    out; any other one gets a code first. Without `events` those that are usual for the channel."""

    channel: Literal["discord", "telegram", "email"]
    name: Name | None = None
    url: Secret | None = None
    token: Secret | None = None
    chat: Secret | None = None
    thread: Annotated[str, StringConstraints(pattern=r"^\d{1,18}$")] | None = None
    to: Email | None = None
    events: Events | None = None
    quiet: QuietIn | None = None

    @model_validator(mode="after")
    def fits(self) -> DestinationIn:
        takes = {"discord": {"url"}, "telegram": {"token", "chat", "thread"}, "email": {"to"}}[self.channel]
        for name in ("url", "token", "chat", "thread", "to"):
            if getattr(self, name) is not None and name not in takes:
                raise wrong(name, f"does not belong to {self.channel}")
        for name in sorted(takes - {"to", "thread"}):
            if getattr(self, name) is None:
                raise wrong(name, "is required")
        return self


class DestinationPatch(Body):
    """Only what is sent changes; the channel never does. `quiet` null: no quiet hours."""

    name: Name | None = None
    url: Secret | None = None
    token: Secret | None = None
    chat: Secret | None = None
    thread: Annotated[str, StringConstraints(pattern=r"^\d{0,18}$")] | None = None
    to: Email | None = None
    events: Events | None = None
    quiet: QuietIn | None = None
    enabled: Flag | None = None

    @model_validator(mode="after")
    def not_null(self) -> DestinationPatch:
        for name in self.model_fields_set - {"quiet"}:
            if getattr(self, name) is None:
                raise wrong(name, "cannot be null")
        return self


class AddressCodeIn(Body):
    code: Code


class BotTokenIn(Body):
    """The token of a Telegram bot that the person has written to."""

    token: Secret


class ChatOut(Out):
    chat: str
    name: str
    kind: str


class ChatsOut(Out):
    """`done` false: ask again in a moment. `problem`: why nothing was found, in words."""

    id: str
    done: bool
    chats: list[ChatOut]
    problem: str


class QuietOut(Out):
    start: str
    end: str
    zone: str
    strict: bool


class DestinationOut(Out):
    """`state`: ok | paused (tried again at `not_before`) | refused (a person has to act) | unconfirmed; `detail` says why, in words."""

    id: str
    channel: str
    name: str
    address: dict[str, str]
    events: list[str]
    quiet: QuietOut | None
    enabled: bool
    state: str
    detail: str
    not_before: Moment | None
    last_sent_at: Moment | None
    created_at: Moment
    updated_at: Moment


class SentTestOut(Out):
    """The message to look at for what came of it: GET /api/messages/{id}."""

    message_id: str
