"""The page of the audit log: who did what, when, from where, with what was there before and after side by side; as CSV, too."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import Response, request
from flask_login import current_user

from app.pages import export
from app.pages.room import filters, older, page, reads, room

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
    "calendar": "Calendar",
}
VIAS = {"web": "browser", "token": "API token", "webhook": "webhook", "cli": "command line", "system": "Tandem itself"}
PLACES = {"account": "/accounts/", "strategy": "/strategies/", "order": "/orders/", "signal": "/signals/"}
IST_OFFSET = "T00:00:00+05:30"
COLUMNS = ("time", "who", "user_id", "via", "ip", "action", "kind", "id", "name", "before", "after")
FEW = 4
"""Lines of a change that are shown at once; the rest opens."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field; `before` or `after` None: it was not there."""

    name: str
    before: str | None
    after: str | None


@routes.get("/settings/log")
def log() -> Response:
    args = filters(*FILTERS)
    owner = str(current_user.role) == "owner"
    found = reads().audit(_asked(args))
    return page(
        "log.html",
        rows=found,
        changes={row.id: changes(row) for row in found.items},
        few=FEW,
        args=args,
        next_url=older(args, found.next),
        kinds=KINDS,
        vias=VIAS,
        places=PLACES,
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


def _json(values: Mapping[str, Any] | None) -> str:
    return "" if values is None else json.dumps(values, ensure_ascii=False, default=str)


def said(action: str) -> str:
    """ "account.credentials_shown" → "credentials shown"; what has one word is that word."""
    verb = action.partition(".")[2] or action
    return verb.replace("_", " ")


def changes(row: Any) -> list[Change]:
    """Field by field what differs, with what lies inside of fields told by name: limits › max daily loss. Of what was made or has gone, what was set:
    the row says already what it is and whose."""
    old, new = dict(_flat(row.before or {})), dict(_flat(row.after or {}))
    names = list(dict.fromkeys((*old, *new)))
    if row.before is None or row.after is None:
        known = {row.object_id, row.actor, row.object_name}
        return [
            Change(name.replace("_", " "), _words(old[name]) if name in old else None, _words(new[name]) if name in new else None)
            for name in names
            if not _unset(value := old.get(name, new.get(name))) and not (isinstance(value, str) and value in known)
        ]
    return [
        Change(name.replace("_", " "), _words(old.get(name)), _words(new.get(name))) for name in names if old.get(name) != new.get(name)
    ]


def _unset(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name} › ")
        else:
            yield f"{prefix}{name}", value


def _words(value: Any) -> str:
    if _unset(value):
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(_words(each) for each in value)
    return str(value)
