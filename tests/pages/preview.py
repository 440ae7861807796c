"""The pages alone: an application that draws them from the sample book, for tests and for a person who works on their looks.

`python -m tests.pages.preview [port]` serves it; `?as=viewer`, `?book=empty`, `?book=halted` and `?book=off` switch for the browser's session.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from flask import Blueprint, Flask, Response, redirect, request, session
from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect
from werkzeug.serving import make_server

from app import ROOT, SECURITY
from app.api.look import service as look_service
from app.api.look.schemas import PreviewQuery
from app.pages import errors, init_app
from tests.pages.sample import Sample

PULSE = 1.0
"""Seconds between two signs of life on the stream: who has gone is noticed at the next."""
BOOKS: dict[str, dict[str, bool]] = {"full": {}, "empty": {"empty": True}, "halted": {"halted": True}, "off": {"on": False}}


def person(role: str) -> SimpleNamespace:
    return SimpleNamespace(
        user_id="U1",
        email="asha@example.com",
        name="Asha Rao",
        role=role,
        is_authenticated=True,
        is_active=True,
        is_anonymous=False,
        get_id=lambda: role,
    )


def create_preview(role: str | None = "owner", book: str = "full") -> Flask:
    """`role` None: nobody is signed in. The API answers with the same sample objects."""
    app = Flask("preview", root_path=str(ROOT), template_folder=str(ROOT / "templates"), static_folder=None)
    app.config.update(SECRET_KEY="preview", WTF_CSRF_CHECK_DEFAULT=False)
    CSRFProtect(app)
    login = LoginManager(app)
    login.login_view = "auth.login"
    login.request_loader(lambda _request: person(session.get("as", role)) if role else None)
    init_app(
        app,
        reads=lambda _user: Sample(**BOOKS[session.get("book", book)], look=session.get("look")),
        stop=lambda *_: "H1",
    )
    app.register_blueprint(_auth())
    app.register_blueprint(_api())
    app.register_error_handler(Exception, errors.answer)
    app.before_request(_switch)
    app.after_request(_secure)
    return app


def _switch() -> Any:
    chosen = {name: request.args[name] for name in ("as", "book") if name in request.args}
    if chosen:
        session.update(chosen)
        return redirect(request.path)
    return None


def _secure(answer: Response) -> Response:
    if answer.mimetype == "text/html":
        answer.headers.update(SECURITY)
    return answer


def _auth() -> Blueprint:
    routes = Blueprint("auth", __name__)
    routes.add_url_rule("/login", "login", lambda: "sign in")
    routes.add_url_rule("/logout", "logout", lambda: "bye", methods=["POST"])
    return routes


def _api() -> Blueprint:
    """As much of the API as scripts ask for when a page is only looked at."""
    routes = Blueprint("api", __name__, url_prefix="/api")
    book = Sample()

    def listed(items: list[Any]) -> Response:
        return Response(
            json.dumps({"items": [item.model_dump(mode="json") for item in items], "next": None}), content_type="application/json"
        )

    routes.add_url_rule("/candles", "candles", lambda: listed(book.candles(request.args)))
    routes.add_url_rule("/signals", "signals", lambda: listed(book.signals({"strategy_id": "S1"}).items))
    routes.add_url_rule("/trades", "trades", lambda: listed(book.trades({}).items))
    routes.add_url_rule("/positions", "positions", lambda: listed(book.positions(strategy_id="S1")))
    routes.add_url_rule("/equity", "equity", lambda: listed(book.equity({})))
    routes.add_url_rule("/instruments", "instruments", lambda: listed(book.instruments(request.args)))
    routes.add_url_rule("/quotes", "quotes", lambda: listed(book.quotes(request.args["symbols"].split(","))))
    routes.add_url_rule("/backtests/<id>", "study", lambda id: book.study(id).model_dump(mode="json"))
    routes.add_url_rule("/backtests/<id>/report", "report", lambda id: {"id": id, "report": book.study_report(id)})
    routes.add_url_rule("/backtests/<id>/chart", "study_chart", lambda id: book.study_chart(id, request.args["symbol"]))
    routes.add_url_rule(
        "/backtests/compare",
        "compare",
        lambda: {"items": [c.model_dump(mode="json") for c in book.compared(request.args["ids"].split(","))]},
    )
    routes.add_url_rule("/datasets/<id>/bars", "bars", lambda id: Response(json.dumps({"items": []}), content_type="application/json"))
    routes.add_url_rule("/replays/<id>", "replay", lambda id: Response(book.replay(id).model_dump_json(), content_type="application/json"))
    routes.add_url_rule("/me/messages", "unread", lambda: {"unread": session.get("unread", 0)})
    routes.add_url_rule("/me/messages/read", "read", lambda: ("", 204), methods=["POST"])
    routes.add_url_rule("/docs", "docs", lambda: "docs")
    routes.add_url_rule(
        "/strategies/<strategy_id>/levels",
        "levels",
        lambda strategy_id: listed([found for found in [book.levels(strategy_id, request.args["symbol"])] if found]),
    )

    @routes.post("/signals/preview")
    def preview() -> Response:
        ids = request.get_json().get("account_ids", ["A1", "A2"])
        rows = [
            {
                "account_id": i,
                "quantity": "150" if i != "A5" else "0",
                "reason": "kill_switch" if i == "A5" else None,
                "value": "121860.00",
                "detail": "no stop holds; the funds cover it; 50 % of 2,00,000",
                "note": "the position is guarded already (stop 1498.00)" if i == "A3" else None,
            }
            for i in ids
        ]
        return Response(json.dumps({"orders": rows}), content_type="application/json")

    @routes.route("/me/look", methods=["PUT", "PATCH"])
    def look() -> Response:
        session["look"] = (session.get("look") or {} if request.method == "PATCH" else {}) | request.get_json()
        return Response("{}", content_type="application/json")

    @routes.get("/me/look/preview")
    def preview_look() -> Response:
        tried = look_service.tried_on("green", PreviewQuery.model_validate(request.args.to_dict()))
        return Response(tried.model_dump_json(), content_type="application/json")

    @routes.post("/accounts")
    def wrong() -> Response:
        problem = {
            "type": "about:blank",
            "title": "Unprocessable",
            "status": 422,
            "detail": "capital: must be above 0",
            "errors": {"capital": ["must be above 0"], "name": ["is required"]},
        }
        return Response(json.dumps(problem), 422, content_type="application/problem+json")

    @routes.get("/stream")
    def stream() -> Response:
        def silent() -> Iterator[str]:
            yield "retry: 1000\n: connected\n\n"
            while True:
                time.sleep(PULSE)
                yield ": still here\n\n"

        return Response(silent(), content_type="text/event-stream")

    return routes


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Its base address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()


if __name__ == "__main__":
    from waitress import serve

    serve(create_preview(), host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 5055, threads=24)
