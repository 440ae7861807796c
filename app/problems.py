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
    found = re.match(r"there is no (?:such )?(web hook|[a-z]+)", text, re.IGNORECASE)
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
    template = _MESSAGES.get(kind)
    return template.format(**context) if template else str(each["msg"])


_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must look like {pattern}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
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
