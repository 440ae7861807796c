"""Groups of accounts and how each stands, for the API and the pages. What is done with a group is in `acts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.api.combined.service import refuse_when_left
from app.api.groups.schemas import GroupIn, GroupOut, GroupPatch, GroupPnlOut, GroupQuery, MemberOut
from app.api.money import currency_of
from app.api.pages import keep, page_of
from app.api.wire import Page, moment, moment_or_none
from app.data import Actor, Consent, ConsentState, GroupRow, Relation, User, objection
from app.workspace import workspace
from engines.core.model import Account, CombinedScope, Group
from engines.execution.views import AccountView

_ALL = GroupQuery()


def list_groups(user: User, query: GroupQuery = _ALL) -> Page[GroupOut]:
    standing = standing_of(user)
    shown = [group_out(row, standing) for row in workspace().data.groups.list(user.user_id)]
    if query.account_id is not None:
        shown = [group for group in shown if query.account_id in group.account_ids]
    return page_of(keep(shown, query, "account_id"), query, lambda g: (g.created_at, g.id))


def get_group(user: User, group_id: str) -> GroupOut:
    return group_out(workspace().data.groups.get(user.user_id, group_id), standing_of(user))


def create_group(user: User, body: GroupIn, by: Actor) -> GroupOut:
    row = workspace().data.groups.add(Group("", user.user_id, body.name, tuple(body.account_ids)), by=by)
    workspace().taken_over()
    return group_out(row, standing_of(user))


def change_group(user: User, group_id: str, body: GroupPatch, by: Actor) -> GroupOut:
    """An account may join at any time, but none leaves a group that a combined rule has closed for today."""
    changes: dict[str, Any] = {} if body.name is None else {"name": body.name}
    if body.account_ids is not None:
        if not set(body.account_ids) >= set(get_group(user, group_id).account_ids):
            _refuse_when_left(user, group_id)
        changes["account_ids"] = tuple(body.account_ids)
    row = workspace().data.groups.change(user.user_id, group_id, lambda now: replace(now, **changes), by=by)
    workspace().taken_over()
    return group_out(row, standing_of(user))


def _refuse_when_left(user: User, group_id: str) -> None:
    for row in workspace().data.combined_rules.list(user.user_id):
        if row.rule.scope is CombinedScope.GROUP and row.rule.scope_id == group_id:
            refuse_when_left(row.rule.rule_id)


def delete_group(user: User, group_id: str, by: Actor) -> None:
    workspace().data.groups.delete(user.user_id, group_id, by=by)
    workspace().taken_over()


# --- how a group stands ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What one person's groups are told with, read once for all of them."""

    accounts: Mapping[str, Account]
    views: Mapping[str, AccountView]
    consents: Mapping[str, Sequence[Consent]]
    engines_on: bool
    now: float


def standing_of(user: User) -> Standing:
    shop = workspace()
    consents: dict[str, list[Consent]] = {}
    for consent in shop.data.consents.list(user.user_id):
        consents.setdefault(consent.account_id, []).append(consent)
    return Standing(
        accounts={row.account.account_id: row.account for row in shop.data.accounts.list(user.user_id)},
        views={view.account_id: view for view in shop.system.accounts()},
        consents=consents,
        engines_on=shop.system.engines_on(user.user_id),
        now=shop.clock.now(),
    )


def group_out(row: GroupRow, standing: Standing) -> GroupOut:
    group = row.group
    members = [member_out(standing.accounts[key], standing) for key in group.account_ids if key in standing.accounts]
    return GroupOut(
        id=group.group_id,
        name=group.name,
        account_ids=list(group.account_ids),
        created_at=moment(row.created_at),
        state=state_of([member.state for member in members]),
        running=sum(member.state == "running" for member in members),
        total=len(members),
        dry_run=sum(member.dry_run and member.state == "running" for member in members),
        members=members,
        pnl=_pnl(members),
    )


def member_out(account: Account, standing: Standing) -> MemberOut:
    view = standing.views.get(account.account_id)
    consents = standing.consents.get(account.account_id, ())
    why = objection(consents, standing.now)
    state, detail = _state(account, view, why, standing.engines_on)
    agreed, until = _consent(consents, standing.now)
    live = workspace().system.live_orders(account.account_id)
    return MemberOut(
        account_id=account.account_id,
        name=account.name,
        live=account.live,
        state=state,
        detail=detail,
        consent=agreed,
        consent_until=moment_or_none(until),
        objection=why,
        day_pnl=view.day_pnl if view else None,
        open_positions=view.open_positions if view else None,
        entries_waiting=sum(order.raises_exposure and order.broker_order_id is not None for order in live),
        currency=view.currency if view else currency_of(account.broker),
        dry_run=account.dry_run,
    )


def _state(account: Account, view: AccountView | None, why: str, engines_on: bool) -> tuple[str, str]:
    if not account.enabled:
        return "disabled", "the account is switched off"
    if view is not None and view.kill_switch:
        return "stopped", f"kill switch: {view.kill_reason}" if view.kill_reason else "its kill switch is on"
    if not account.auto_trade:
        return "paused", why or "auto-trade is off: strategies enter nothing"
    if view is None:
        return "waiting", "not connected"
    if view.state != "ready":
        return "waiting", view.state_detail or view.state.replace("_", " ")
    if not engines_on:
        return "waiting", "the engines are off"
    return "running", "dry run: every check is made and recorded, nothing is sent" if account.dry_run else ""


def state_of(states: Sequence[str]) -> str:
    """A group's state from those of its accounts."""
    kinds = set(states)
    if not kinds:
        return "empty"
    if kinds == {"running"} or kinds == {"stopped"}:
        return kinds.pop()
    if "running" in kinds:
        return "partly"
    return "waiting" if "waiting" in kinds else "paused"


def _consent(consents: Sequence[Consent], now: float) -> tuple[str, float | None]:
    """Of the newest record that stands, else of the newest at all: its state (self where the holder trades), and until when."""
    if not consents:
        return "none", None
    newest = max(consents, key=lambda each: (each.state(now) is ConsentState.STANDS, each.given_at))
    if all(each.relation is Relation.SELF for each in consents):
        return "self", None
    return newest.state(now).value, newest.until


def _pnl(members: Sequence[MemberOut]) -> list[GroupPnlOut]:
    """Real money first."""
    sums: dict[tuple[str, bool], tuple[Decimal, int]] = {}
    for member in sorted(members, key=lambda one: not one.live):
        purse = member.currency, member.live
        net, held = sums.get(purse, (Decimal(0), 0))
        sums[purse] = (net + (member.day_pnl or 0), held + (member.open_positions or 0))
    return [GroupPnlOut(currency=key, live=live, day_pnl=net, open_positions=held) for (key, live), (net, held) in sums.items()]
