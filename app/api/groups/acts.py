"""A group acts: start, pause and stop for all of its accounts, answered account by account so that nothing stays half-said.

It only turns the switches that a person could turn on each account; what a switch forbids is the engines' business.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from app.api.groups.schemas import DoneOut, GroupDoneOut, GroupOut, GroupStartIn, GroupStopIn, MemberOut
from app.api.groups.service import get_group
from app.data import Actor, User
from app.problems import field_problem
from app.workspace import Workspace, workspace

log = logging.getLogger(__name__)

MOST_AT_ONCE = 64
"""Accounts that are stopped side by side: a lane that hangs in a write holds up its own account alone."""


def start(user: User, group_id: str, body: GroupStartIn, by: Actor) -> GroupDoneOut:
    """Auto-trade first, in one transaction: what cannot be written lifts no kill switch either."""
    shop = workspace()
    group = get_group(user, group_id)
    if any(member.live for member in group.members) and body.confirm != group.name:
        raise field_problem("confirm", "type the name of the group to let strategies trade real money on its live accounts")
    done = shop.data.groups.switch(user.user_id, group_id, group.account_ids, on=True, by=by)
    refused = {each.account_id: each.refused for each in done if each.refused}
    shop.taken_over()
    stopped = {member.account_id for member in group.members if member.state == "stopped"}
    for each in done:
        if each.account_id in stopped and not each.refused:
            shop.system.kill_switch(each.account_id, False, "", user.user_id)
            _audit(shop, by, each.account_id, on=False, reason=f"group {group.name} started", flatten=False)
    shop.written()
    _connect_paper(shop, {member.account_id for member in group.members if not member.live} - refused.keys())
    return _told(user, group_id, "started", refused)


def pause(user: User, group_id: str, by: Actor) -> GroupDoneOut:
    shop = workspace()
    group = get_group(user, group_id)
    shop.data.groups.switch(user.user_id, group_id, group.account_ids, on=False, by=by)
    shop.taken_over()
    return _told(user, group_id, "paused", {})


def stop(user: User, group_id: str, body: GroupStopIn, by: Actor) -> GroupDoneOut:
    """Works also while the database cannot be written, like every way to stop."""
    shop = workspace()
    group = get_group(user, group_id)
    reason = body.reason or f"group {group.name}"

    def one(account_id: str) -> str:
        try:
            shop.system.kill_switch(account_id, True, reason, user.user_id, flatten=body.flatten)
        except Exception as error:  # the others must be stopped whatever becomes of this one; the answer names it
            log.exception("an account of a group could not be stopped")
            return f"could not be stopped: {error}"
        return ""

    if group.account_ids:
        with ThreadPoolExecutor(min(len(group.account_ids), MOST_AT_ONCE), thread_name_prefix="stop") as pool:
            failed = {key: why for key, why in zip(group.account_ids, pool.map(one, group.account_ids), strict=True) if why}
    else:
        failed = {}
    after = {"account_ids": [key for key in group.account_ids if key not in failed], "flatten": body.flatten, "reason": reason}
    shop.data.audit.add(by, "group.stopped", "group", group_id, after={**after, **({"failed": failed} if failed else {})})
    for key in group.account_ids:
        if key not in failed:
            _audit(shop, by, key, on=True, reason=reason, flatten=body.flatten)
    shop.written()
    return _told(user, group_id, "stopped", failed, flatten=body.flatten)


def _audit(shop: Workspace, by: Actor, account_id: str, *, on: bool, reason: str, flatten: bool) -> None:
    after = {"on": on, "reason": reason, "flatten": flatten}
    shop.data.audit.add(by, "account.kill_switch", "account", account_id, after=after)


def _connect_paper(shop: Workspace, account_ids: Collection[str]) -> None:
    """Paper accounts connect in an instant: whoever starts them sees them run."""
    for view in shop.system.accounts():
        if view.account_id in account_ids and not view.connected and view.state != "disabled":
            shop.system.connect(view.account_id)


# --- what is answered ------------------------------------------------------------------------------------------------

_STAY = {
    "started": "",
    "paused": "strategies enter nothing; positions and their stops stay",
    "stopped": "nothing enters; positions stay, with their stops",
}


def _told(user: User, group_id: str, what: str, left: Mapping[str, str], *, flatten: bool = False) -> GroupDoneOut:
    """`left`: accounts that were left as they were, with the reason."""
    group = get_group(user, group_id)
    says = "nothing enters; what is open is being closed" if flatten else _STAY[what]
    accounts = [_done(member, left.get(member.account_id, ""), says, what) for member in group.members]
    return GroupDoneOut(id=group.id, state=group.state, ok=not left, said=_sentence(group, what, accounts), accounts=accounts)


def _done(member: MemberOut, left: str, says: str, what: str) -> DoneOut:
    state = ("failed" if what == "stopped" else "refused") if left else member.state
    detail = left or (says if member.state in ("paused", "stopped") else member.detail)
    if what == "paused" and member.entries_waiting:
        detail = f"{detail}; {waiting_words(member.entries_waiting)}"
    return DoneOut(account_id=member.account_id, name=member.name, state=state, detail=detail)


def waiting_words(entries: int) -> str:
    return f"{entries} entr{'y' if entries == 1 else 'ies'} still wait{'s' if entries == 1 else ''} at the broker"


def _sentence(group: GroupOut, what: str, accounts: Sequence[DoneOut]) -> str:
    name = group.name
    if not accounts:
        return f"{name} has no accounts"
    left = [each for each in accounts if each.state in ("refused", "failed")]
    waits = [each for each in accounts if each.state == "waiting"] if what == "started" else []
    said = f"{name}: {len(accounts) - len(left)} of {len(accounts)} {what}"
    if waits:
        said += f", {len(waits)} waiting ({'; '.join(f'{each.name}: {each.detail}' for each in waits)})"
    if what == "started" and group.dry_run:
        said += f", {group.dry_run} of them in dry run: what they would send is recorded, and nothing is sent"
    entries = sum(member.entries_waiting for member in group.members) if what == "paused" else 0
    if entries:
        said += f"; {waiting_words(entries)}: cancel {'it' if entries == 1 else 'them'}, or stop the group"
    if left:
        said += f". Not {what}: {'; '.join(f'{each.name}: {each.detail}' for each in left)}"
    return said
