"""Combined P&L rules, for the API and the pages: kept by the data service, followed by the engines, shown together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from app.api.combined.schemas import CombinedIn, CombinedOut, CombinedPatch, CombinedQuery
from app.api.money import currency_of
from app.api.pages import keep, page_of
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, CombinedRow, Conflict, User
from app.problems import field_problem
from app.workspace import workspace
from engines.core.model import CombinedRule, CombinedScope
from engines.execution.combined import CombinedView

_ALL = CombinedQuery()
_AMOUNTS = ("stop", "target", "lock_at", "lock", "step", "rise", "trail_start", "trail_by")


def list_rules(user: User, query: CombinedQuery = _ALL) -> Page[CombinedOut]:
    views = _views()
    shown = [rule_out(row, views.get(row.rule.rule_id)) for row in workspace().data.combined_rules.list(user.user_id)]
    return page_of(keep(shown, query), query, lambda r: (r.created_at, r.id))


def get_rule(user: User, rule_id: str) -> CombinedOut:
    return rule_out(workspace().data.combined_rules.get(user.user_id, rule_id), _views().get(rule_id))


def create_rule(user: User, body: CombinedIn, by: Actor) -> CombinedOut:
    amounts = {name: getattr(body, name) for name in _AMOUNTS}
    rule = CombinedRule("", user.user_id, body.scope, body.scope_id, **amounts, enabled=body.enabled)
    _check_scope(user, body.scope, body.scope_id)
    row = workspace().data.combined_rules.add(rule, by=by)
    workspace().taken_over()
    return rule_out(row, _views().get(row.rule.rule_id))


def change_rule(user: User, rule_id: str, body: CombinedPatch, by: Actor) -> CombinedOut:
    """What was left today stays left: a rule can be changed then, but not switched off."""
    shop = workspace()
    changes: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    before = shop.data.combined_rules.get(user.user_id, rule_id).rule
    if before.enabled and changes.get("enabled") is False:
        refuse_when_left(rule_id)
    row = shop.data.combined_rules.change(user.user_id, rule_id, lambda now: replace(now, **changes), by=by)
    shop.taken_over()
    return rule_out(row, _views().get(rule_id))


def delete_rule(user: User, rule_id: str, by: Actor) -> None:
    shop = workspace()
    shop.data.combined_rules.get(user.user_id, rule_id)
    refuse_when_left(rule_id)
    shop.data.combined_rules.delete(user.user_id, rule_id, by=by)
    shop.taken_over()


# --- shapes and checks ---------------------------------------------------------------------------------------------


def rule_out(row: CombinedRow, view: CombinedView | None) -> CombinedOut:
    """`view` None: the engines have not taken the rule over yet."""
    rule, state = row.rule, view.state if view is not None else None
    return CombinedOut(
        id=rule.rule_id,
        scope=rule.scope.value,
        scope_id=rule.scope_id,
        **{name: getattr(rule, name) for name in _AMOUNTS},
        enabled=rule.enabled,
        day=state.day if state else None,
        pnl=view.pnl if view else None,
        live=view.live if view else 0,
        paper=view.paper if view else 0,
        why=view.why if view else "not taken over yet",
        best=state.best if state else None,
        floor=state.floor if state else None,
        leave_at=view.lower if view else None,
        left=state.left if state else None,
        left_at=moment_or_none(state.left_at) if state else None,
        left_pnl=state.pnl if state else None,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _views() -> Mapping[str, CombinedView]:
    return {view.rule.rule_id: view for view in workspace().system.combined_rules()}


def refuse_when_left(rule_id: str) -> None:
    """Conflict: what has left today is not undone."""
    if workspace().system.combined.left_today(rule_id):
        raise Conflict("the rule has closed its scope for today: it holds until the next session begins")


def _check_scope(user: User, scope: CombinedScope, scope_id: str) -> None:
    """Sums are of one currency; accounts of a strategy may come and go, so only the watch can judge them."""
    shop = workspace()
    if scope is CombinedScope.STRATEGY:
        shop.owners.strategy(user, scope_id)
    elif scope is CombinedScope.ACCOUNT:
        shop.owners.account(user, scope_id)
    else:
        brokers = shop.owners.brokers(user.user_id)
        if _mixed(brokers[key] for key in shop.data.groups.get(user.user_id, scope_id).group.account_ids if key in brokers):
            raise field_problem("scope_id", "its accounts are in different currencies, which cannot be added up")


def _mixed(brokers: Iterable[str]) -> bool:
    return len({currency_of(broker) for broker in brokers}) > 1
