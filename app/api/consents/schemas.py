"""Consents on the wire: who agreed to what, until when, and who took it back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from app.api.wire import BadValue, Body, Id, Moment, Name, Note, Out, PageQuery, read_moment
from engines.core.model import Timestamp
from engines.core.sessions import DAY, HOME_EXCHANGE, midnight

Relation = Literal["self", "spouse", "child", "parent", "partner", "firm", "other"]
Scope = Literal["signals", "manage"]
State = Literal["stands", "over", "revoked"]

_EARLIEST, _LATEST = read_moment("2000-01-01"), read_moment("2200-01-01")
_A_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _moment(offset: float) -> Callable[[Any], Timestamp]:
    """Text as a moment; a plain day is that day in the market's zone, counted from its beginning."""

    def read(value: Any) -> Timestamp:
        if not isinstance(value, str):
            raise BadValue("must be a day such as 2027-03-31, or a time such as 2027-03-31T10:00:00Z")
        text = value.strip()
        at = read_moment(text)
        if _A_DAY.fullmatch(text):
            at = midnight(text, HOME_EXCHANGE) + offset
        if not _EARLIEST <= at <= _LATEST:
            raise BadValue("must be between 2000 and 2200")
        return at

    return read


_TEXT = WithJsonSchema({"type": "string", "maxLength": 40})
Begins = Annotated[float, BeforeValidator(_moment(0.0)), _TEXT]
Ends = Annotated[float, BeforeValidator(_moment(DAY)), _TEXT]
"""A plain day is meant whole: until its last moment."""


class ConsentIn(Body):
    """`holder` is who agreed, `relation` what they are to you. `until` null: until it is revoked."""

    account_id: Id
    group_id: Id | None = None
    holder: Name
    relation: Relation
    scope: Scope = "signals"
    given_at: Begins | None = None
    """Null: now. Not ahead of now."""
    until: Ends | None = None
    note: Note = ""


class RevokeIn(Body):
    by: Name | None = None
    """Who took it back; null: the holder. Whoever asks for it is on record too: "Asha on behalf of Meera"."""


class ConsentQuery(PageQuery):
    id: str | None = None
    account_id: str | None = None
    group_id: str | None = None
    """Records made for this group, and those of the accounts that are in it."""
    relation: Relation | None = None
    state: State | None = None


class ConsentOut(Out):
    """`state`: stands | over | revoked. `account_name` null: the account is gone. `auto_trade`: whether strategies may enter there now."""

    id: str
    account_id: str
    account_name: str | None
    group_id: str | None
    holder: str
    relation: str
    scope: str
    note: str
    given_at: Moment
    until: Moment | None
    state: str
    revoked_at: Moment | None
    revoked_by: str | None
    auto_trade: bool
