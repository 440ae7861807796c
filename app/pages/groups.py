"""Groups of accounts: how each stands, the three things that can be done with it, and who agreed to their account being traded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, abort, request

from app.pages import format as fmt
from app.pages.attention import days_left
from app.pages.room import accounts, form, page, reads, room
from engines.core.sessions import HOME_EXCHANGE, session_day

routes = room("groups")

RELATIONS = (
    ("spouse", "spouse"),
    ("child", "child"),
    ("parent", "parent"),
    ("partner", "business partner"),
    ("firm", "the firm"),
    ("other", "somebody else"),
    ("self", "I am the holder"),
)
SCOPES = (
    ("signals", "Signals", "strategies trade on it"),
    ("manage", "Everything", "also orders by hand and settings"),
)
STATES = {
    "running": ("running", "ok"),
    "partly": ("partly running", "warn"),
    "waiting": ("waiting", "warn"),
    "paused": ("paused", ""),
    "stopped": ("stopped", "bad"),
    "disabled": ("switched off", ""),
    "empty": ("no accounts", ""),
}

DRY_RUN = ("dry run", "info")
"""An account that runs and sends nothing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A group as the page tells it."""

    group: Any
    state: str
    tone: str
    live: tuple[str, ...]
    refused: int  # accounts that a start would leave as they are
    ruled: bool


@routes.get("/groups")
def index() -> Response:
    read = reads()
    ruled = {rule.scope_id for rule in read.combined_rules()}
    consents = read.consents()
    now = datetime.now(UTC)
    return page(
        "groups/list.html",
        groups=[_shown(group, ruled) for group in read.groups()],
        accounts=accounts(),
        by_id={account.id: account for account in accounts()},
        states=STATES,
        dry_run=DRY_RUN,
        consents=[(consent, *_told(consent, now)) for consent in consents],
        relations={**dict(RELATIONS), "self": "trades it"},
        scopes={value: label for value, label, _ in SCOPES},
        last_day=last_day,
    )


@routes.get("/groups/new")
@form
def new() -> Response:
    return page("groups/form.html", group=None, accounts=accounts())


@routes.get("/groups/<group_id>/edit")
@form
def edit(group_id: str) -> Response:
    return page("groups/form.html", group=_group(group_id), accounts=accounts())


@routes.get("/groups/<group_id>/stop")
@form
def stop(group_id: str) -> Response:
    return page("groups/stop.html", group=_group(group_id))


@routes.get("/groups/consent")
@form
def consent() -> Response:
    groups = reads().groups()
    return page(
        "groups/consent.html",
        choices_of=[(account.id, account.name) for account in accounts()],
        account_id=request.args.get("account", ""),
        group_id=request.args.get("group", ""),
        groups=[("", "no group"), *((group.id, group.name) for group in groups)] if groups else [],
        relations=RELATIONS,
        scopes=SCOPES,
        today=session_day(time.time(), HOME_EXCHANGE),
    )


def _group(group_id: str) -> Any:
    return next((one for one in reads().groups() if one.id == group_id), None) or abort(404)


def _shown(group: Any, ruled: set[str]) -> Shown:
    label, tone = STATES[group.state]
    if group.state in ("running", "partly"):
        label = f"{group.running} of {group.total} running"
        if group.dry_run and group.dry_run == group.running:
            label, tone = "dry run" if group.running == group.total else f"{group.running} of {group.total} in dry run", DRY_RUN[1]
        elif group.dry_run:
            label += f", {group.dry_run} in dry run"
    return Shown(
        group=group,
        state=label,
        tone=tone,
        live=tuple(member.name for member in group.members if member.live),
        refused=sum(bool(member.objection) or member.state == "disabled" for member in group.members),
        ruled=group.id in ruled,
    )


def last_day(until: datetime) -> str:
    """A consent until the end of a day is told by that day."""
    return fmt.date(until - timedelta(microseconds=1))


def _told(consent: Any, now: datetime) -> tuple[str, str]:
    """A record's state in words, and its tone."""
    match consent.state:
        case "revoked":
            return "revoked", "bad"
        case "over":
            return "over", "bad"
        case _:
            days = days_left(consent, now)
            if days is None:
                return "stands", "ok"
            return (f"ends in {days} day{'' if days == 1 else 's'}" if days else "ends today"), "warn"
