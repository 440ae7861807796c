"""The browser's rooms: server-rendered pages, a blueprint each, and everything that draws them.

Pages read through the API's service functions and write only through its JSON routes; this package holds no rule of trading and no query.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, request
from flask_login import current_user
from jinja2 import StrictUndefined

from app.pages import (
    accounts,
    audit,
    backtests,
    calendar,
    dashboard,
    data,
    errors,
    groups,
    guide,
    limits,
    look,
    machine,
    mappings,
    messages,
    people,
    positions,
    profit,
    replay,
    security,
    settings,
    strategies,
    study,
    timetable,
    trade,
    watchlists,
    words,
    zerodha,
)
from app.pages import format as fmt
from app.pages.assets import Assets
from app.pages.assets import blueprint as assets_blueprint
from app.pages.room import EXTENSION, FILTERS, past_strategy
from app.pages.room import reads as the_reads

STATIC = Path(__file__).resolve().parents[2] / "static"
ROOMS = (
    dashboard,
    accounts,
    strategies,
    mappings,
    groups,
    limits,
    trade,
    watchlists,
    positions,
    profit,
    backtests,
    replay,
    data,
    machine,
    messages,
    timetable,
    calendar,
    audit,
    settings,
    people,
    security,
    look,
    guide,
    zerodha,
)
for _room in ROOMS:  # once, where they are made: a blueprint that an application has registered takes no more
    _room.routes.register_error_handler(Exception, errors.answer)
SMALL = 1024  # bytes below which compressing an answer saves nothing

Stop = Callable[[Any, str, bool, bool], str]
"""(signed-in person, reason, flatten, only their own accounts) → halt id."""


def init_app(app: Flask, reads: Callable[[Any], Any] | None = None, stop: Stop | None = None) -> None:
    """Registers the rooms. `reads` makes the reads of a signed-in person; without it, and without `stop`, the API's services are used."""
    assets = Assets(STATIC)
    app.extensions[EXTENSION] = {"reads": reads or _service_reads, "stop": stop or _service_stop, "assets": assets}
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.filters.update(fmt.FILTERS)
    app.jinja_env.filters.update(words.FILTERS)
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.filters.update(study.FILTERS)
    app.jinja_env.globals["asset"] = assets.url
    app.jinja_env.globals["past_strategy"] = past_strategy
    app.jinja_env.globals["months_names"] = study.months
    app.context_processor(_preferences)
    app.register_blueprint(assets_blueprint(assets))
    for room in ROOMS:
        app.register_blueprint(room.routes)
    app.after_request(_compress)


def _service_reads(user: Any) -> Any:
    from app.pages.reads import Reads

    return Reads(user.user)


def _service_stop(user: Any, reason: str, flatten: bool, own: bool) -> str:
    """`own`: an owner, too, stops only accounts of their own."""
    from app.api.system.schemas import EmergencyStopIn
    from app.api.system.service import emergency_stop
    from app.auth import actor

    answer, _ = emergency_stop(user.user, EmergencyStopIn(reason=reason, flatten=flatten, scope="user" if own else None), actor())
    return str(answer.halt_id)


def _preferences() -> dict[str, Any]:
    """The look of whoever is signed in, so that the first byte of a page is already right; before sign-in it is Tandem's own."""
    return {"prefs": _look(), "chrome": None}


def _look() -> dict[str, Any]:
    if "look" not in g:
        g.look = {"theme": "dark", "scheme": "dark", "palette": "green", "css": None}
        if current_user and current_user.is_authenticated:
            try:
                own = the_reads().look()
                g.look = {"theme": own.theme, "scheme": "light" if own.theme == "light" else "dark", "palette": own.palette, "css": own.css}
            except Exception:  # a page, also the one about a fault, is drawn whatever became of the settings
                current_app.logger.exception("the look of a person could not be read")
    found: dict[str, Any] = g.look
    return found


def _compress(answer: Response) -> Response:
    """Pages travel compressed; streams, files and the JSON of the order path are left alone."""
    if (
        answer.mimetype not in ("text/html", "text/csv", "text/css")
        or answer.is_streamed
        or answer.direct_passthrough
        or "Content-Encoding" in answer.headers
    ):
        return answer
    answer.headers["Vary"] = ", ".join(filter(None, (answer.headers.get("Vary"), "Accept-Encoding")))
    answer.headers.setdefault("Cache-Control", "no-store")
    body = answer.get_data()
    if len(body) >= SMALL and "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.set_data(gzip.compress(body, 5))
        answer.headers["Content-Encoding"] = "gzip"
    return answer
