"""The audit log on the wire: who did what to which thing, when, from where, with what was there before and after. No secret is ever in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from app.api.wire import Moment, Out, PageQuery, When


class AuditQuery(PageQuery):
    """`from` on, before `to`. `q`: a piece of the action, the object's id or what was before and after."""

    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    actor: str | None = None
    via: Literal["web", "token", "webhook", "cli", "system"] | None = None
    from_: When | None = Field(default=None, validation_alias="from")
    to: When | None = None
    q: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] | None = None


class AuditOut(Out):
    """`actor` null: the machine, its command line, or somebody of whom the caller knows only `actor_name`.
    `names`: what ids in `before` and `after` are called, where the caller may know it."""

    id: str
    at: Moment
    actor: str | None
    actor_name: str
    via: str
    ip: str | None
    action: str
    object_kind: str
    object_id: str
    object_name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    names: dict[str, str] = Field(default_factory=dict)


class AuditCheckOut(Out):
    """Whether the log is as it was written. `head`: the hash of the newest row; note it elsewhere to be sure of everything up to it."""

    whole: bool
    rows: int
    head: str
    broken_at: str | None
    what: str
