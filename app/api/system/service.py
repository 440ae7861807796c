"""Engines on and off, emergency stops, halts, incidents, health. The order of things in a stop is the engines' own; here is who may ask for what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from app.api.orders.service import plain
from app.api.pages import keep, page_of
from app.api.system.schemas import (
    AccountCountsOut,
    AccountHaltOut,
    EmergencyStopIn,
    EngineOut,
    FeedOut,
    HaltOut,
    HaltQuery,
    HaltReportOut,
    IncidentOut,
    IncidentQuery,
    LiftAnswer,
    LiftIn,
    OthersOut,
    StatusOut,
    StopAnswer,
    SwitchAnswer,
    SwitchIn,
)
from app.api.system.scope import LANE, concerns, scoped, streams
from app.api.wire import Page, moment, moment_or_none
from app.auth import guard_password
from app.data import Actor, Conflict, NotFound, User, UserRole
from app.problems import Problem
from app.workspace import Workspace, workspace
from config import VERSION
from engines.core.model import Halt, HaltScope, Incident
from engines.execution.views import AccountHalt, SystemStatus, ThreadStatus

_HALTS = HaltQuery()
_INCIDENTS = IncidentQuery()
_WHOSE = {"prices_zerodha": "Zerodha", "prices_angelone": "Angel One", "prices_binance_spot": "Binance", "prices_binance_usdm": "Binance"}


def status(user: User) -> StatusOut:
    shop = workspace()
    return status_of(shop, user, shop.system.status())


def status_of(shop: Workspace, user: User, now: SystemStatus) -> StatusOut:
    """Health of the machine for everyone; halts, lanes and counts of accounts only as far as they are the caller's. Owners see all counts."""
    owned = set(shop.owners.account_ids(user.user_id))
    now = scoped(shop, user, now)
    return StatusOut(
        engines={name: _engine(thread) for name, thread in now.engines.items() if _may_see(name, owned)},
        on=shop.system.engines_on(user.user_id),
        halts=[halt_out(shop, user, halt) for halt in now.halts if concerns(shop, user, halt)],
        accounts=AccountCountsOut(total=now.accounts_total, connected=now.accounts_connected, halted=now.accounts_halted),
        feed=FeedOut(source=now.feed_source, last_tick_age_ms=now.last_tick_age_ms, trouble=_silent(shop)),
        version=VERSION,
        uptime_s=now.uptime_s,
        latency_ms=_finite(now.latency_ms),
        journal=_finite(now.journal),
        counters=dict(now.counters),
        streams=streams(shop, user),
        extra=plain(now.extra),
    )


def _silent(shop: Workspace) -> str:
    """From the incidents that are open now: real prices may be stale while the simulated feed goes on."""
    brokers = sorted({_WHOSE.get(incident.kind, "") for incident in shop.system.incidents()} - {""})
    return f"{' and '.join(brokers)} prices silent" if brokers else ""


# --- engines -------------------------------------------------------------------------------------------------------


def switch_engines(user: User, on: bool, body: SwitchIn, by: Actor) -> SwitchAnswer:
    shop = workspace()
    scope = _scope(user, body.scope)
    reach = None if scope == "system" else user.user_id
    if on:
        shop.system.set_engines(True, user.user_id, user.user_id)
    if reach is None or not on:
        shop.system.set_engines(on, reach, user.user_id)
    shop.data.audit.add(by, "engines.start" if on else "engines.stop", scope, reach or "")
    shop.written()
    return _switched(shop, user, scope)


def _switched(shop: Workspace, user: User, scope: str) -> SwitchAnswer:
    owned = shop.owners.account_ids(user.user_id)
    views = shop.system.positions(owned)
    on = shop.system.engines_on(user.user_id)
    held = sum(bool(view.position.quantity) for view in views)
    armed = sum(view.plan is not None for view in views)
    if on:
        detail = "Engines are on."
    else:
        detail = f"Engines are off: no new entries. {held} open position(s) stay as they are, {armed} exit plan(s) stay armed."
    return SwitchAnswer(
        engines="on" if on else "off",
        scope=scope,
        open_positions=held,
        armed_exit_plans=armed,
        live_orders=_live_orders(shop, owned),
        detail=detail,
    )


def _live_orders(shop: Workspace, account_ids: Sequence[str]) -> int:
    """From memory: a stop is answered also while nothing can be read."""
    count = 0
    for account_id in account_ids:
        desk = shop.system.roster.desk(account_id)
        if desk is not None:
            with desk.lock:
                count += len(desk.live_orders())
    return count


# --- stopping ------------------------------------------------------------------------------------------------------


def emergency_stop(user: User, body: EmergencyStopIn, by: Actor) -> tuple[StopAnswer, int]:
    """202 and the new halt, or 200 and the one that holds already."""
    shop = workspace()
    scope = _scope(user, body.scope)
    halt_scope, scope_id = (HaltScope.SYSTEM, None) if scope == "system" else (HaltScope.USER, user.user_id)
    halt, created = shop.system.emergency_stop(halt_scope, scope_id, body.reason or "emergency stop", user.user_id, flatten=body.flatten)
    after = {"scope": scope, "reason": body.reason, "flatten": body.flatten}
    shop.data.audit.add(by, "emergency_stop", "halt", halt.halt_id, after=after)
    shop.written()
    answer = StopAnswer(halt_id=halt.halt_id, state="halted", report=f"/api/system/halts/{halt.halt_id}", scope=halt.scope.value)
    return answer, 202 if created else 200


def list_halts(user: User, query: HaltQuery = _HALTS) -> Page[HaltOut]:
    """Those that hold come from the engines, also while the database cannot be written; those that were lifted from the books."""
    shop = workspace()
    holding = [halt_out(shop, user, halt) for halt in shop.system.halts() if concerns(shop, user, halt)]
    if query.holding:
        return page_of(keep(holding, query, "holding", "all"), query, lambda halt: (halt.since, halt.halt_id))
    found = shop.data.books.halts(user.user_id, holding=query.holding, limit=query.limit, cursor=query.cursor)
    listed = {halt.halt_id: halt_out(shop, user, halt) for halt in found.items}
    if query.holding is None and query.cursor is None:
        listed = {halt.halt_id: halt for halt in sorted(holding, key=lambda halt: halt.since, reverse=True)} | listed
    return Page(items=keep(list(listed.values()), query, "holding", "all"), next=found.next)


def halt_report(user: User, halt_id: str) -> HaltReportOut:
    shop = workspace()
    halt, rows = _find(shop, user, halt_id)
    owned = set(shop.owners.account_ids(user.user_id))
    mine = [row for row in rows if row.account_id in owned]
    others = [row for row in rows if row.account_id not in owned]
    return HaltReportOut(
        **dict(halt_out(shop, user, halt)),
        state="lifted" if halt.lifted_at is not None else "halted",
        accounts=[_account_halt(row) for row in mine],
        others=_others(others) if others and user.role is UserRole.OWNER else None,
    )


def lift(user: User, halt_id: str, body: LiftIn, by: Actor) -> LiftAnswer:
    shop = workspace()
    halt, rows = _find(shop, user, halt_id)
    if halt.scope is HaltScope.SYSTEM and user.role is not UserRole.OWNER:
        raise Problem(403, "Only the owner may lift a stop of the whole system.")
    if halt.scope is HaltScope.STRATEGY:
        shop.owners.strategy(user, halt.scope_id or "")
    if not guard_password(user, lambda: shop.data.users.check_password(user.user_id, body.password)):
        raise Problem(403, "That is not your sign-in password.", errors={"password": ["is wrong"]})
    if halt.lifted_at is not None or not shop.system.lift(halt_id, user.user_id):
        raise Conflict("The stop was lifted before.")
    flat = all(row.state == "flat" for row in rows)
    shop.data.audit.add(by, "halt.lift", "halt", halt_id, after={"flat": flat})
    shop.written()
    rest = "" if flat else " Not every account is flat yet: see the report."
    others = sum(_forbids(shop, user, halt, other) for other in shop.system.halts())
    holds = f" {others} other stop{'s hold' if others > 1 else ' holds'} still." if others else ""
    start = "" if shop.system.engines_on(user.user_id) else " Engines are off until you press Start (POST /api/system/start)."
    return LiftAnswer(halt_id=halt_id, state="lifted", flat=flat, detail=f"Lifted.{holds}{start}{rest}")


def _forbids(shop: Workspace, user: User, lifted: Halt, other: Halt) -> bool:
    """Whether something that this person lifted is kept back by another stop, or a part of it."""
    if not concerns(shop, user, other):
        return False
    return other.scope in (HaltScope.SYSTEM, HaltScope.USER) or lifted.scope in (HaltScope.SYSTEM, HaltScope.USER)


def list_incidents(user: User, query: IncidentQuery = _INCIDENTS) -> Page[IncidentOut]:
    found = workspace().data.books.incidents(
        user.user_id,
        machine=user.role is UserRole.OWNER,
        open_only=query.open is True,
        kind=query.kind,
        severity=query.severity,
        limit=query.limit,
        cursor=query.cursor,
    )
    rows = [row for row in found.items if query.open is not False or row.until is not None]
    return Page(items=[incident_out(row) for row in rows], next=found.next)


# --- who may what --------------------------------------------------------------------------------------------------


def _scope(user: User, wanted: str | None) -> str:
    if user.role is UserRole.OWNER:
        return wanted or "system"
    if wanted == "system":
        raise Problem(403, "Only the owner may start or stop the whole system.")
    return "user"


def _find(shop: Workspace, user: User, halt_id: str) -> tuple[Halt, list[AccountHalt]]:
    report = shop.system.halt_report(halt_id)
    if report is not None:
        halt, rows = report.halt, list(report.accounts)
    else:
        halt, rows = _from_history(shop, user, halt_id), []
    if not concerns(shop, user, halt):
        raise NotFound("There is no such stop.")
    return halt, rows


def _from_history(shop: Workspace, user: User, halt_id: str) -> Halt:
    """A stop of an earlier run; there are few of them in the life of a system."""
    cursor: str | None = None
    while True:
        found = shop.data.books.halts(user.user_id, limit=500, cursor=cursor)
        for halt in found.items:
            if halt.halt_id == halt_id:
                return halt
        if found.next is None:
            raise NotFound("There is no such stop.")
        cursor = found.next


def _may_see(thread: str, owned: set[str]) -> bool:
    """Lanes are named after their accounts; a person's own are shown, nobody else's."""
    return not thread.startswith(LANE) or thread.removeprefix(LANE) in owned


# --- shapes --------------------------------------------------------------------------------------------------------


def halt_out(shop: Workspace, reader: User | None, halt: Halt) -> HaltOut:
    """As this person may read it; None: as everybody may."""
    return HaltOut(
        halt_id=halt.halt_id,
        scope=halt.scope.value,
        scope_id=halt.scope_id,
        reason=halt.reason,
        since=moment(halt.since),
        by=_who(shop, reader, halt.by) or "",
        flatten=halt.flatten,
        lifted_at=moment_or_none(halt.lifted_at),
        lifted_by=_who(shop, reader, halt.lifted_by),
    )


def _who(shop: Workspace, reader: User | None, by: str | None) -> str | None:
    """Who did it, for those who may know: oneself, and anybody for an owner. To everybody else a person is what they are here: owner or trader."""
    person = shop.data.users.known(by or "")
    if person is None or (reader is not None and (reader.role is UserRole.OWNER or reader.user_id == by)):
        return by
    return person.role.value


def incident_out(incident: Incident) -> IncidentOut:
    return IncidentOut(
        incident_id=incident.incident_id,
        kind=incident.kind,
        message=incident.message,
        severity=incident.severity,
        since=moment(incident.since),
        until=moment_or_none(incident.until),
        account_id=incident.account_id,
    )


def _engine(thread: ThreadStatus) -> EngineOut:
    return EngineOut(state=thread.state, heartbeat_age_ms=thread.heartbeat_age_ms, queue_depth=thread.queue_depth, detail=thread.detail)


def _account_halt(row: AccountHalt) -> AccountHaltOut:
    return AccountHaltOut(
        account_id=row.account_id,
        cancelled=row.cancelled,
        flattened=row.flattened,
        open_orders=row.open_orders,
        open_positions=row.open_positions,
        state=row.state,
        detail=row.detail,
    )


def _others(rows: list[AccountHalt]) -> OthersOut:
    states = [row.state for row in rows]
    return OthersOut(accounts=len(rows), flat=states.count("flat"), working=states.count("working"), stuck=states.count("stuck"))


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
