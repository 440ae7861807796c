"""Health and halts: threads, lanes, feed, latency and the database; what is stopped, how far each account is from flat, and the way back.

The emergency stop has a plain form here, for a browser whose scripts did not load; it calls the same service as the API.
"""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, redirect, request
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from werkzeug.exceptions import BadRequest
from wtforms import ValidationError

from app.pages.attention import LANE
from app.pages.room import EXTENSION, accounts, by_account, names, page, reads, room, way_out

routes = room("machine")

STAGES = (
    ("planned", "Planned and checked"),
    ("journaled", "Durable in the journal"),
    ("first_sent", "First order sent"),
    ("last_sent", "Last order sent"),
    ("last_acknowledged", "Last answer in"),
    ("broker", "One order at its broker"),
)


@routes.get("/health")
def health() -> Response:
    status = reads().status()
    lanes = {name.removeprefix(LANE): engine for name, engine in status.engines.items() if name.startswith(LANE)}
    return page(
        "health.html",
        status=status,
        engines={name: engine for name, engine in status.engines.items() if not name.startswith(LANE)},
        lanes=lanes,
        accounts=accounts(),
        stages=latency_rows(status.latency_ms),
        journal=status.journal,
        lists=reads().instrument_lists(),
        incidents=reads().incidents(limit=50),
        names=names(),
    )


def latency_rows(latency: dict[str, float | None]) -> list[tuple[str, float | None, float | None]]:
    """(stage, p50, p99) for the stages that the machine measures; those it names beyond ours come after."""
    known = [(label, latency.get(f"{key}_p50"), latency.get(f"{key}_p99")) for key, label in STAGES if f"{key}_p50" in latency]
    others = sorted({name[:-4] for name in latency if name.endswith("_p50")} - {key for key, _ in STAGES})
    return known + [(name.replace("_", " "), latency.get(f"{name}_p50"), latency.get(f"{name}_p99")) for name in others]


@routes.get("/halts")
def halts() -> Response:
    return page("halts.html", halts=reads().halts(limit=200), names=names())


@routes.get("/halts/<halt_id>")
def halt(halt_id: str) -> Response:
    report = reads().halt(halt_id)
    return page("halt.html", report=report, rows=by_account(report.accounts), accounts={account.id: account for account in accounts()})


@routes.get("/emergency-stop")
@way_out
def stop_form() -> Response:
    return page("stop.html")


@routes.post("/emergency-stop")
@way_out
def stop() -> Any:
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError as error:
        raise BadRequest("Open the page afresh and try again.") from error
    halt_id = current_app.extensions[EXTENSION]["stop"](
        current_user, request.form.get("reason", "")[:300], request.form.get("flatten") == "true", request.form.get("scope") == "user"
    )
    return redirect(f"/halts/{halt_id}", 303)
