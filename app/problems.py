"""Errors as programs read them: RFC 9457 `application/problem+json`, with messages for each field where fields are wrong.

One table says which error has which status. Nothing here ever shows a stack trace, a secret or what a person typed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Response
from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import HTTPException

from app.data import Conflict, Invalid, NotFound
from engines import system
from engines.ports import JournalDown

PROBLEM = "application/problem+json"


class Problem(Exception):
    """An answer that ends a request: its status, a sentence for a person, messages for each field, extra headers."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = {name: list(messages) for name, messages in (errors or {}).items()}
        self.headers = dict(headers or {})


def field_problem(name: str, message: str) -> Problem:
    return Problem(422, f"{name}: {message}", errors={name: [message]})


def too_many(what: str, after: float) -> Problem:
    """Too many of `what` ("wrong passwords"): says that, and for how long none is looked at."""
    seconds = max(1, math.ceil(after))
    detail = f"Too many {what}: none is checked for {seconds} s, not even a right one. Wait, then try again."
    return Problem(429, detail, headers={"Retry-After": str(seconds)})


def not_found(text: str) -> str:
    """One wording for everything that is not there or not the caller's, whoever noticed it; ids are left out."""
    found = re.match(r"there is no (?:such )?(web hook|sign-in|[a-z]+)", text, re.IGNORECASE)
    return f"There is no such {found[1].replace(' ', '')}." if found else text


def wrong(name: str, message: str) -> PydanticCustomError:
    """What a schema's validator raises when one field is wrong because of another."""
    return PydanticCustomError("field", "{message}", {"message": message, "field": name})


def as_problem(error: Exception) -> Problem | None:
    """The problem that an error is to the outside; None: a fault of ours (500), to be logged."""
    match error:
        case Problem():
            return error
        case ValidationError():
            errors = field_errors(error)
            return Problem(422, "; ".join(f"{name}: {messages[0]}" for name, messages in list(errors.items())[:3]), errors=errors)
        case NotFound() | system.NotFound():
            return Problem(404, not_found(str(error)) or "There is no such thing.")
        case Conflict() | system.Conflict():
            return Problem(409, str(error))
        case Invalid():
            return Problem(422, str(error), errors=error.errors)
        case JournalDown():
            detail = "The database cannot be written at the moment: nothing was changed and nothing was sent."
            return Problem(503, detail, headers={"Retry-After": "1"})
        case HTTPException():
            headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
            return Problem(error.code or 500, _DETAILS.get(error.code or 500, ""), headers=headers)
    return None


_DETAILS = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "The request is larger than 1 MiB.",
    429: "Too many tries.",
}


def response(problem: Problem) -> Response:
    status = HTTPStatus(problem.status)
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": problem.status,
        "detail": problem.detail or status.phrase,
        "errors": problem.errors,
    }
    answer = Response(json.dumps(body), problem.status, mimetype=PROBLEM)
    answer.headers.update(problem.headers)
    if problem.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="tandem"'
    return answer


# --- pydantic's errors in our words --------------------------------------------------------------------------------


def field_errors(error: ValidationError, prefix: str = "") -> dict[str, list[str]]:
    """Dotted field → messages; what concerns no single field has the key `body`."""
    found: dict[str, list[str]] = {}
    for each in error.errors(include_url=False, include_input=False):
        place = [str(part) for part in each["loc"]]
        if each["type"] == "field":
            place.append(str(each["ctx"]["field"]))
        name = ".".join([prefix, *place] if prefix else place) or "body"
        messages = found.setdefault(name[:200], [])
        message = _message(each)
        if message not in messages:
            messages.append(message)
    return found


def _message(each: Mapping[str, Any]) -> str:
    kind, context = each["type"], each.get("ctx") or {}
    if kind == "value_error":
        return str(context["error"])
    if kind in ("enum", "literal_error"):
        return f"must be one of {context['expected']}".replace("'", "").replace(" or ", ", ")
    if kind == "string_pattern_mismatch":
        return _shape(str(context["pattern"]))
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "must not be empty"
    template = _MESSAGES.get(kind)
    if template is None:
        said = str(each["msg"])
        return f"must {said.removeprefix('Input should ').partition(',')[0]}" if said.startswith("Input should ") else said
    return template.format(**{name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()})


def _shape(pattern: str) -> str:
    """What a text must look like, in words: nobody is asked to read a regular expression."""
    times, auto = pattern.count("[0-5]"), "auto" in pattern
    if times:
        several = "two times of day such as 09:15-15:30" if times > 1 else "a time of day such as 15:10"
        return f"must be auto, or {several}" if auto else f"must be {several}" if times > 1 else "is not a time of day; write it like 15:10"
    return _SHAPES.get(pattern.replace("20\\d\\d", "\\d{4}").replace("\\d\\d", "\\d{2}"), "holds a character that is not allowed here")


_SHAPES = {
    r"^[A-Z0-9_]{1,20}:[A-Za-z0-9 &._-]{1,60}$": "must be EXCHANGE:NAME, such as NSE:INFY",
    r"^[A-Z0-9_]{1,20}$": "must be the code of an exchange, such as NSE",
    r"^[A-Za-z0-9_+/-]{1,60}$": "must be the name of a time zone, such as Asia/Kolkata",
    r"^[A-Za-z0-9_.-]{1,64}$": "must be letters, digits, dots, dashes and underscores, at most 64",
    r"^\d{4}-\d{2}-\d{2}$": "must be a day such as 2026-05-20",
    r"^#[0-9a-f]{6}$": "must be a colour such as #1f6feb",
    r"^\d{4}$": "must be a year such as 2026",
}


_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "multiple_of": "must be a multiple of {multiple_of}",
    "greater_than": "must be above {gt}",
    "less_than": "must be below {lt}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "none_required": "must be null",
}
