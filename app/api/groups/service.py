"""Groups of accounts, for the API and the pages. What a group is good for (combined P&L rules) is not known here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.api.combined.service import refuse_when_left
from app.api.groups.schemas import GroupIn, GroupOut, GroupPatch, GroupQuery
from app.api.pages import keep, page_of
from app.api.wire import Page, moment
from app.data import Actor, GroupRow, User
from app.workspace import workspace
from engines.core.model import CombinedScope, Group

_ALL = GroupQuery()


def list_groups(user: User, query: GroupQuery = _ALL) -> Page[GroupOut]:
    shown = [group_out(row) for row in workspace().data.groups.list(user.user_id)]
    if query.account_id is not None:
        shown = [group for group in shown if query.account_id in group.account_ids]
    return page_of(keep(shown, query, "account_id"), query, lambda g: (g.created_at, g.id))


def get_group(user: User, group_id: str) -> GroupOut:
    return group_out(workspace().data.groups.get(user.user_id, group_id))


def create_group(user: User, body: GroupIn, by: Actor) -> GroupOut:
    row = workspace().data.groups.add(Group("", user.user_id, body.name, tuple(body.account_ids)), by=by)
    workspace().taken_over()
    return group_out(row)


def change_group(user: User, group_id: str, body: GroupPatch, by: Actor) -> GroupOut:
    """An account may join at any time, but none leaves a group that a combined rule has closed for today."""
    changes: dict[str, Any] = {} if body.name is None else {"name": body.name}
    if body.account_ids is not None:
        if not set(body.account_ids) >= set(get_group(user, group_id).account_ids):
            _refuse_when_left(user, group_id)
        changes["account_ids"] = tuple(body.account_ids)
    row = workspace().data.groups.change(user.user_id, group_id, lambda now: replace(now, **changes), by=by)
    workspace().taken_over()
    return group_out(row)


def _refuse_when_left(user: User, group_id: str) -> None:
    for row in workspace().data.combined_rules.list(user.user_id):
        if row.rule.scope is CombinedScope.GROUP and row.rule.scope_id == group_id:
            refuse_when_left(row.rule.rule_id)


def delete_group(user: User, group_id: str, by: Actor) -> None:
    workspace().data.groups.delete(user.user_id, group_id, by=by)
    workspace().taken_over()


def group_out(row: GroupRow) -> GroupOut:
    group = row.group
    return GroupOut(id=group.group_id, name=group.name, account_ids=list(group.account_ids), created_at=moment(row.created_at))
