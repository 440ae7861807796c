"""Pages for what went wrong: not there, not yours, not allowed, broken. They say what to do next and never show a trace."""

from __future__ import annotations

from flask import Response, current_app, render_template
from flask_login import current_user
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from app.data import Invalid
from app.pages.room import shell
from app.problems import as_problem

TEXTS = {
    400: ("That address makes no sense here", "A filter in the address is not one of ours. Open the list afresh from the menu."),
    403: ("Not allowed", "Your role does not reach here. The owner can change it under People."),
    404: ("Nothing here", "It is not there, or it is not yours. The menu leads to everything that is."),
    405: ("Not that way", "This address takes no form. Go back and use the button on the page."),
    413: ("Too large", "What was sent is larger than 1 MiB."),
    429: ("Too many tries", "Wait a minute, then try again."),
    500: ("Something broke", "It was written to the log. Trading goes on independently of this page; Health says how it is."),
    503: ("The database cannot be written", "Nothing was changed. Trading entries wait; halts and exits still work. Health says more."),
}


def page(status: int, detail: str = "") -> Response:
    """The page of a status, inside the chrome for a signed-in person while that can be drawn."""
    title, text = TEXTS.get(status, TEXTS[500] if status >= 500 else TEXTS[400])
    context = {"code": status, "title": title, "text": detail or text}
    body = ""
    if status < 500 and current_user and current_user.is_authenticated:
        try:
            body = render_template("errors/error.html", **shell(), **context)
        except Exception:  # the page about a fault must not fail of another one
            current_app.logger.exception("the frame of an error page could not be drawn")
    return Response(body or render_template("errors/plain.html", **context), status=status, content_type="text/html; charset=utf-8")


def status_of(error: Exception) -> int:
    if isinstance(error, Invalid | ValidationError):
        return 400  # a page reads only its address, so what is invalid is a filter in it
    problem = as_problem(error)
    return problem.status if problem else 500


def answer(error: Exception) -> Response:
    """For a blueprint or the application: whatever was raised becomes its page; a fault of ours is logged."""
    if isinstance(error, HTTPException) and error.response is not None:
        return error.get_response()  # type: ignore[return-value]
    status = status_of(error)
    if status >= 500:
        current_app.logger.error("a page failed", exc_info=error)
    return page(status)
