"""How much of the machine's health a person is shown: its owner all counts, everybody else only their own lanes, accounts, stops and streams.

The machine's own threads, feed, journal and latencies are everybody's. Nothing here names an account that is not the person's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.data import User, UserRole
from app.workspace import Workspace
from engines.core.model import Halt, HaltScope
from engines.execution.views import SystemStatus, ThreadStatus

LANE = "lane "
_WORST_FIRST = ("dead", "off", "restarting", "stuck", "running", "stopped")


def scoped(shop: Workspace, user: User, now: SystemStatus) -> SystemStatus:
    """What `now` says, counted over the accounts that are the person's; the owner's is left as it is."""
    if user.role is UserRole.OWNER:
        return now
    owned = set(shop.owners.account_ids(user.user_id))
    views = [view for view in shop.system.accounts() if view.account_id in owned]
    lanes = {name: thread for name, thread in now.engines.items() if name.startswith(LANE) and name.removeprefix(LANE) in owned}
    engines = {name: thread for name, thread in now.engines.items() if not name.startswith(LANE)} | lanes
    if "execution" in engines:
        engines["execution"] = _execution(engines["execution"], lanes)
    return replace(
        now,
        engines=engines,
        halts=[halt for halt in now.halts if concerns(shop, user, halt)],
        accounts_total=len(views),
        accounts_connected=sum(view.connected for view in views),
        accounts_halted=sum(view.state == "halted" for view in views),
        counters=_counters(shop, owned, now.counters),
        extra={"armed_plans": sum(view.plan is not None for view in shop.system.positions(sorted(owned)))},
    )


def streams(shop: Workspace, user: User) -> int:
    """How many live streams are open: all of them for the owner, their own for everybody else."""
    listeners = shop.live.listeners()
    if user.role is UserRole.OWNER:
        return len(listeners)
    return sum(listener.user_id == user.user_id for listener in listeners)


def concerns(shop: Workspace, user: User, halt: Halt) -> bool:
    match halt.scope:
        case HaltScope.SYSTEM:
            return True
        case HaltScope.USER:
            return halt.scope_id == user.user_id
        case HaltScope.ACCOUNT:
            return halt.scope_id in shop.owners.account_ids(user.user_id)
        case HaltScope.STRATEGY:
            return shop.owners.sees_strategy(user.user_id, halt.scope_id or "")  # a stop of a strategy is one for everybody who trades it


def _execution(whole: ThreadStatus, lanes: Mapping[str, ThreadStatus]) -> ThreadStatus:
    """The engine of all lanes as if the person's own were the only ones."""
    states = sorted((lane.state for lane in lanes.values()), key=_WORST_FIRST.index)
    ages = [lane.heartbeat_age_ms for lane in lanes.values() if lane.heartbeat_age_ms is not None]
    state = "stopped" if whole.state == "stopped" else states[0] if states else "running"
    return ThreadStatus(state, max(ages, default=0), sum(lane.queue_depth for lane in lanes.values()), f"{len(lanes)} lanes")


def _counters(shop: Workspace, owned: set[str], all_of_them: Mapping[str, int]) -> dict[str, int]:
    """What the machine counts stays; what accounts count is added up over the person's own."""
    counted = dict(all_of_them)
    for desk in shop.system.roster.desks():
        if desk.account.account_id not in owned:
            for name, count in dict(desk.counters).items():
                counted[name] = max(0, counted.get(name, 0) - count)
    return counted
