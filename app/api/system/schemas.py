"""Engines, halts, incidents and health on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import StrictStr

from app.api.wire import Body, Flag, Moment, Note, Out, PageQuery


class EmergencyStopIn(Body):
    """`scope`: an owner stops the whole system unless it says user; a trader's own accounts are all that a trader can stop."""

    reason: Note = ""
    flatten: Flag = True
    scope: Literal["system", "user"] | None = None


class SwitchIn(Body):
    """Engines on or off: an owner's reach is the system unless `scope` says user."""

    scope: Literal["system", "user"] | None = None


class LiftIn(Body):
    password: StrictStr
    """The caller's own sign-in password."""


class EngineOut(Out):
    state: str
    heartbeat_age_ms: int | None
    queue_depth: int
    detail: str


class HaltOut(Out):
    """`by` and `lifted_by`: the person's id for themselves and for owners, to everybody else what they are: owner or trader."""

    halt_id: str
    scope: str
    scope_id: str | None
    reason: str
    since: Moment
    by: str
    flatten: bool
    lifted_at: Moment | None
    lifted_by: str | None


class AccountHaltOut(Out):
    """How far one account has come. `state`: flat, working or stuck."""

    account_id: str
    cancelled: int
    flattened: int
    open_orders: int
    open_positions: int
    state: str
    detail: str


class OthersOut(Out):
    """Accounts of other people that the same halt covers: how many, never which."""

    accounts: int
    flat: int
    working: int
    stuck: int


class HaltReportOut(HaltOut):
    state: str
    """halted while it holds, lifted after."""
    accounts: list[AccountHaltOut]
    others: OthersOut | None


class StopAnswer(Out):
    halt_id: str
    state: str
    report: str
    scope: str


class LiftAnswer(Out):
    halt_id: str
    state: str
    flat: bool
    detail: str


class SwitchAnswer(Out):
    """`engines`: on or off. Stopping leaves positions open and their exit plans armed: the counts say what is left."""

    engines: str
    scope: str
    open_positions: int
    armed_exit_plans: int
    live_orders: int
    detail: str


class AccountCountsOut(Out):
    total: int
    connected: int
    halted: int


class FeedOut(Out):
    """`trouble`: whose real prices have fallen silent, in a few words; empty while none have."""

    source: str
    last_tick_age_ms: int | None
    trouble: str = ""


class StatusOut(Out):
    engines: dict[str, EngineOut]
    on: bool
    halts: list[HaltOut]
    accounts: AccountCountsOut
    feed: FeedOut
    version: str
    uptime_s: int
    latency_ms: dict[str, float | None]
    journal: dict[str, float | None]
    counters: dict[str, int]
    streams: int
    extra: dict[str, Any]


class HaltQuery(PageQuery):
    halt_id: str | None = None
    scope: Literal["system", "user", "account", "strategy"] | None = None
    holding: bool | None = None


class HaltList(HaltQuery):
    """Only the stops that hold, unless `holding=false` (those that were lifted) or `all=true`."""

    all: bool = False


class IncidentQuery(PageQuery):
    kind: str | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    open: bool | None = None


class IncidentOut(Out):
    incident_id: str
    kind: str
    message: str
    severity: str
    since: Moment
    until: Moment | None
    account_id: str | None
