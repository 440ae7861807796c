"""Messages on the wire: what was said, and each way that it took."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from app.api.wire import Moment, Out, PageQuery


class MessageQuery(PageQuery):
    """`kind`: order, signal, day, halt, … `status`: only what has a way to the caller that stands so."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] | None = None
    status: Literal["pending", "sending", "sent", "dead", "merged"] | None = None


class UnreadOut(Out):
    """What was told since one looked last; counted up to 100."""

    unread: int


class MessageLineOut(Out):
    name: str
    value: str
    short: bool


class DeliveryOut(Out):
    """`status`: pending (not before `next_at`, if that is ahead) | sending | sent | dead (given up: `error` says why) | merged (in the summary of its signal)."""

    id: str
    destination_id: str
    channel: str
    destination: str
    status: str
    attempts: int
    next_at: Moment | None
    error: str
    sent_at: Moment | None


class MessageOut(Out):
    """`state`: new (not in words yet) | told. `event`: what it counts as in the choice of a destination; null for a test."""

    id: str
    kind: str
    event: str | None
    state: str
    at: Moment
    account_id: str | None
    title: str
    tone: str
    text: str
    lines: list[MessageLineOut]
    footer: str
    mode: str
    deliveries: list[DeliveryOut]
