"""The page of the audit log: who did what, when, from where, with what was there before and after side by side; as CSV, too."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from flask import Response, request
from flask_login import current_user

from app.pages import export
from app.pages.changes import changes
from app.pages.room import currency_of, filters, older, page, reads, room

routes = room("audit")
FILTERS = ("action", "object_kind", "object_id", "actor", "via", "from", "to", "q")
KINDS = {
    "account": "Accounts",
    "strategy": "Strategies",
    "mapping": "Mappings",
    "group": "Groups",
    "consent": "Consents",
    "combined_rule": "Combined rules",
    "signal": "Signals",
    "order": "Orders",
    "position": "Positions",
    "halt": "Stops",
    "engines": "Engines",
    "user": "People",
    "invite": "Invitations",
    "workspace": "Workspace",
    "token": "API tokens",
    "webhook": "Webhooks",
    "destination": "Where messages go",
    "message": "Messages",
    "sign_in": "Sign-ins",
    "preference": "Own look",
    "setting": "Settings",
    "keys": "Keys",
    "backup": "Backups",
    "watchlist": "Watchlists",
    "dataset": "Market data",
    "study": "Back-tests",
    "replay": "Replays",
    "calendar": "Calendar",
}
VIAS = {"web": "browser", "token": "API token", "webhook": "webhook", "cli": "command line", "system": "Tandem itself"}
PLACES = {"account": "/accounts/", "strategy": "/strategies/", "order": "/orders/", "signal": "/signals/"}
NAMELESS = frozenset({"user", "halt", "sign_in", "message", "invite", "position", "mapping", "replay"})
"""Things whose id tells nobody anything: the row says what it is about, and the file has the id."""
IST_OFFSET = "T00:00:00+05:30"
COLUMNS = ("time", "who", "user_id", "via", "ip", "action", "kind", "id", "name", "before", "after")
FEW = 4
"""Lines of a change that are shown at once; the rest opens."""


@routes.get("/settings/log")
def log() -> Response:
    args = filters(*FILTERS)
    owner = str(current_user.role) == "owner"
    found = reads().audit(_asked(args))
    return page(
        "log.html",
        rows=found,
        changes={row.id: changes(row, currency_of(_account_of(row))) for row in found.items},
        few=FEW,
        args=args,
        next_url=older(args, found.next),
        kinds=KINDS,
        vias=VIAS,
        places=PLACES,
        nameless=NAMELESS,
        people=[(person.id, person.name or person.email) for person in reads().people()] if owner else [],
        check=reads().audit_check() if owner and "check" in request.args else None,
        said=said,
    )


@routes.get("/settings/log.csv")
def log_csv() -> Response:
    rows = export.every(reads().audit, _asked(filters(*FILTERS)))
    return export.answer("audit-log", COLUMNS, (_line(row) for row in rows))


def _asked(args: Mapping[str, str]) -> dict[str, str]:
    """Days as people mean them: Indian ones, the last one with all its hours. What is no day is left for the service to refuse."""
    asked = dict(args)
    with contextlib.suppress(ValueError, OverflowError):
        if "from" in args:
            asked["from"] = f"{date.fromisoformat(args['from'])}{IST_OFFSET}"
        if "to" in args:
            asked["to"] = f"{date.fromisoformat(args['to']) + timedelta(days=1)}{IST_OFFSET}"
    return asked


def _line(row: Any) -> tuple[Any, ...]:
    return (
        row.at,
        row.actor_name,
        row.actor,
        row.via,
        row.ip,
        row.action,
        row.object_kind,
        row.object_id,
        row.object_name,
        _json(row.before),
        _json(row.after),
    )


def _account_of(row: Any) -> str:
    """Whose money its amounts are: the account itself, or the one that it is about."""
    sides: dict[str, Any] = {**(row.before or {}), **(row.after or {})}
    return str(row.object_id if row.object_kind == "account" else sides.get("account_id", ""))


def _json(values: Mapping[str, Any] | None) -> str:
    return "" if values is None else json.dumps(values, ensure_ascii=False, default=str)


def said(row: Any) -> str:
    """What was done: "account credentials shown", "engines start". What somebody did to themselves needs no "person" before it."""
    kind, _, verb = row.action.replace("_", " ").partition(".")
    if kind == "user":
        kind = "" if row.object_name == row.actor_name else "person"
    return f"{kind} {verb}".strip()
