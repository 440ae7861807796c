"""What people and programs talk to: pages, the JSON API, sign-in and the data service.

`create_app` puts them together around a trading system and a data service that it is handed; it starts and stops neither.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.routing import Rule

if TYPE_CHECKING:
    from app.data import Data
    from app.live import Hub
    from app.workspace import Lists
    from config import Settings
    from engines.market.recorder import Recorder
    from engines.ports import Clock, Ids
    from engines.system import TradingSystem

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 1024 * 1024
_PROGRAMS = ("/api/", "/healthz", "/metrics")

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


class Route(Rule):
    """Compiles the code that puts its address together when one is first asked for: of some hundreds of routes a dozen are linked to by name,
    and compiling them all was most of what making an application took."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        name, compiled = "_build_unknown" if append_unknown else "_build", super()._compile_builder

        def first(rule: Rule, /, **values: Any) -> tuple[str, str]:
            build: Callable[..., tuple[str, str]] = compiled(append_unknown).__get__(rule, None)
            setattr(rule, name, build)
            return build(**values)

        return first


def create_app(
    system: TradingSystem,
    data: Data,
    settings: Settings,
    *,
    live: Hub | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    lists: Lists | None = None,
    recorder: Recorder | None = None,
) -> Flask:
    """The web application. `live` is the hub that the system publishes to (default: its notifier), `lists` keeps the instrument lists fresh,
    `recorder` keeps what is seen of prices."""
    from app.api import blueprint as api
    from app.api.metrics import blueprint as metrics
    from app.auth import init_app as init_auth
    from app.live import Hub
    from app.logins import Logins
    from app.pages import init_app as init_pages
    from app.post import PostOffice
    from app.replays import Replays
    from app.studies import StudyQueue
    from app.workspace import EXTENSION, Ownership, Workspace

    app = Flask("tandem", root_path=str(ROOT), template_folder=str(ROOT / "templates"), static_folder=None)
    _configure(app, settings)
    the_clock = clock or system.clock
    hub = live or (system.notifier if isinstance(system.notifier, Hub) else Hub(the_clock))
    hub.most_streams = settings.max_streams
    shop = Workspace(
        system,
        data,
        settings,
        hub,
        the_clock,
        ids or system.ids,
        Ownership(data.directory),
        Logins(system, data, settings, the_clock),
        Replays(the_clock, ids or system.ids),
        StudyQueue(data, the_clock, lambda user, kind, told: (hub.publish if kind == "news" else hub.pulse)("study", user, told)),
        PostOffice(data, settings, on_trouble=system.incident_log.raise_, on_clear=system.incident_log.resolve),
        lists,
        recorder,
    )
    hub.whose_halt = shop.owners.owner_of_halt
    app.extensions[EXTENSION] = shop
    app.extensions["tandem_live"] = hub
    app.before_request(lambda: _check_host(settings))
    init_auth(app, the_clock)
    app.register_blueprint(metrics)
    api.init_app(app, shop)
    init_pages(app)
    app.register_error_handler(Exception, _answer_error)
    app.after_request(_secure)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SESSION_COOKIE_NAME="tandem",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        MAX_CONTENT_LENGTH=MOST_BYTES,
        WTF_CSRF_CHECK_DEFAULT=False,  # pages' forms check their own token, the API asks for the header
        WTF_CSRF_TIME_LIMIT=None,  # as long as the sign-in: a dashboard stays open all day
    )
    app.url_rule_class = Route
    app.url_map.merge_slashes = False


def _for_programs() -> bool:
    return request.path.startswith(_PROGRAMS) or request.path == "/api"


def _check_host(settings: Settings) -> None:
    """On loopback only names of this machine are served: a stranger's web page that re-points its own name at us gets nothing."""
    from app.problems import Problem

    if not _loopback(settings.host):
        return
    name = (urlsplit(f"//{request.host}").hostname or "").rstrip(".")
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    if name in ("localhost", public) or name.endswith(".localhost") or _is_address(name):
        return
    raise Problem(400, "This name is not served here. Set TANDEM_PUBLIC_URL to the address that browsers use.")


def _loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _secure(answer: Response) -> Response:
    headers = answer.headers
    if answer.mimetype == "text/html":
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
    else:
        headers["X-Content-Type-Options"] = "nosniff"
    if "Cache-Control" not in headers and _for_programs():
        headers["Cache-Control"] = "no-store"
    return answer


def _answer_error(error: Exception) -> Any:
    """Programs get a problem as JSON, people a page; a fault of ours is logged and tells nobody its insides."""
    from werkzeug.exceptions import HTTPException

    from app import problems
    from app.pages import errors

    if isinstance(error, HTTPException) and (error.code or 500) < 400:
        return error.get_response()
    problem = problems.as_problem(error)
    if problem is None:
        log.error("a request failed: %s %s", request.method, request.url_rule, exc_info=error)
        problem = problems.Problem(500, "Something went wrong on our side. It is in the log.")
    if _for_programs():
        return problems.response(problem)
    page = errors.page(problem.status, problem.detail)
    page.headers.update(problem.headers)
    return page
