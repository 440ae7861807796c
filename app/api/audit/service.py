"""What a person may read of the audit log, with names in place of ids where they may know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.audit import naming
from app.api.audit.schemas import AuditCheckOut, AuditOut, AuditQuery
from app.api.wire import Page, moment
from app.data import AuditFilter, AuditRow, User, UserRole
from app.problems import Problem
from app.workspace import workspace

_ANY = AuditQuery()
MACHINE = {"cli": "command line", "web": "somebody not signed in"}


def list_audit(user: User, query: AuditQuery = _ANY) -> Page[AuditOut]:
    """Newest first."""
    owner = user.role is UserRole.OWNER
    asked = AuditFilter(
        action=query.action,
        object_kind=query.object_kind,
        object_id=query.object_id,
        actor=query.actor,
        via=query.via,
        since=query.from_,
        until=query.to,
        q=query.q,
    )
    data = workspace().data
    found = data.audit.seen_by(user.user_id, asked, owner=owner, limit=query.limit, cursor=query.cursor)
    people, things = naming.people(data, owner=owner), naming.things(user, data)
    return Page(items=[_out(row, user, people, things) for row in found.items], next=found.next)


def check(user: User) -> AuditCheckOut:
    if user.role is not UserRole.OWNER:
        raise Problem(403, "Only the owner may check the whole log.")
    found = workspace().data.audit.check()
    broken = None if found.broken_at is None else str(found.broken_at)
    return AuditCheckOut(whole=found.whole, rows=found.rows, head=found.head, broken_at=broken, what=found.what)


def _out(row: AuditRow, user: User, people: Mapping[str, str], things: Mapping[str, str]) -> AuditOut:
    own = row.user_id == user.user_id
    known = {**people, user.user_id: "you", **things}
    return AuditOut(
        id=str(row.audit_id),
        at=moment(row.at),
        actor=row.user_id if (own or people) and row.via != "system" else None,
        actor_name=_actor_name(row, user, people),
        via=row.via,
        ip=row.ip if own or people else None,
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        object_name=_object_name(row, user, people, things),
        before=_plain(row.before),
        after=_plain(row.after),
        names=naming.named(row.before, known) | naming.named(row.after, known),
    )


def _actor_name(row: AuditRow, user: User, people: Mapping[str, str]) -> str:
    """Nobody but an owner is told who another person is. What the machine did to somebody's things is in their log, but not by them: the row says why."""
    if row.via == "system":
        return "Tandem"
    if row.user_id == user.user_id:
        return "you"
    if row.user_id is None:
        return MACHINE.get(row.via, "Tandem")
    return people.get(row.user_id, "the owner")


def _object_name(row: AuditRow, user: User, people: Mapping[str, str], things: Mapping[str, str]) -> str:
    if row.object_id in things:
        return things[row.object_id]
    if row.object_kind == "user":
        return "you" if row.object_id == user.user_id else people.get(row.object_id, "")
    for side in (row.after, row.before):
        if side and isinstance(side.get("name"), str):
            return str(side["name"])
    return ""


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(values) if values is not None else None
