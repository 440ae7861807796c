"""How a request becomes a call of a plain function: who asks, may they, what do they say, did they say it before, and the answer as JSON.

A route is declared with its schemas; the same declaration makes the checks here and the OpenAPI document. It holds no rule of trading. Written by
hand over Flask, because this is on the way of every order: it costs some tens of microseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel

from app.api.idempotency import answer_once
from app.api.wire import Out
from app.auth import NoCsrf, NotSignedIn, identify, only_reads, refuse_who_has_changed
from app.auth.identity import SAFE
from app.data import Actor, User, UserRole
from app.problems import Problem
from app.workspace import workspace

JSON = "application/json"
MOST_BYTES = 1024 * 1024
MOST_UPLOAD = 64 * MOST_BYTES
VIEWERS_LOOK = "Viewers can look but not change anything."
VIEWERS_LEAVE = "Viewers can close, cancel and stop what is their own, but not begin or change anything."


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, as it is declared."""

    method: str
    path: str  # as in OpenAPI: /api/accounts/{id}
    call: Callable[..., Any]
    tag: str
    summary: str
    detail: str = ""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    out: Any = None
    status: int = 200
    also: Sequence[int] = ()  # other good answers, of the same shape
    role: UserRole | None = None  # OWNER: nobody else
    public: bool = False
    own: bool = False  # about the caller, not the workspace: viewers may, too
    way_out: bool | Callable[[Any], bool] = (
        False  # of what one owns: viewers who have accounts may, too (where given: with bodies of which it is true)
    )
    always: bool = False  # a way to stop or get out: it works also while the database cannot be written
    secret: bool = False  # the answer shows what is shown this once: nothing of it is kept for a repeat
    sealed: bool = False  # the answer shows a secret: what is kept of it for a repeat is encrypted
    raw: bool = False  # the function reads the body itself and answers with a Response
    upload: bool = False  # what is sent is a file, up to MOST_UPLOAD (with `raw`)
    media: str = JSON
    errors: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """What a route's function is given."""

    user: User
    by: Actor
    query: Any = None
    body: Any = None


@dataclass(frozen=True, slots=True)
class Routes:
    """The operations of one resource. Use `get`, `post`, … as decorators of functions (call, **ids) → schema, (schema, status) or None."""

    tag: str
    operations: list[Operation] = field(default_factory=list)

    def get(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return partial(self._add, "GET", path, declared)

    def post(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return partial(self._add, "POST", path, declared)

    def patch(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return partial(self._add, "PATCH", path, declared)

    def put(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return partial(self._add, "PUT", path, declared)

    def delete(self, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return partial(self._add, "DELETE", path, {"status": 204, **declared})

    def _add(self, method: str, path: str, declared: Mapping[str, Any], call: Callable[..., Any]) -> Callable[..., Any]:
        summary, _, detail = (call.__doc__ or call.__name__).strip().partition("\n")
        self.operations.append(Operation(method, path, call, self.tag, summary.strip(), " ".join(detail.split()), **declared))
        return call

    def register(self, blueprint: Blueprint) -> None:
        for number, operation in enumerate(self.operations):
            rule = re.sub(r"{(\w+)}", r"<\1>", operation.path)
            view = partial(serve, operation)
            blueprint.add_url_rule(rule, f"{self.tag}-{number}", view, methods=[operation.method])


# --- one request ---------------------------------------------------------------------------------------------------


def serve(operation: Operation, **ids: str) -> Response:
    if operation.public:
        result = operation.call(**ids)
        return result if isinstance(result, Response) else write(operation, result)
    user, by = _admit(operation)
    query = _query(operation)
    if operation.raw:
        result = operation.call(Call(user, by, query), **ids)
        return result if isinstance(result, Response) else write(operation, result)
    if operation.method in SAFE:
        return write(operation, operation.call(Call(user, by, query), **ids))
    said = read_body()
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _do(operation, user, by, query, said, ids)
    return answer_once(
        user,
        key,
        said,
        lambda: _do(operation, user, by, query, said, ids),
        always=operation.always,
        secret=operation.secret,
        sealed=operation.sealed,
    )


def _do(operation: Operation, user: User, by: Actor, query: Any, said: dict[str, Any], ids: Mapping[str, str]) -> Response:
    if operation.body is not None:
        body = operation.body.model_validate(said)
    elif said:
        raise Problem(422, "This address takes no fields.", errors={name[:100]: ["is not a known field"] for name in list(said)[:20]})
    else:
        body = None
    if user.role is UserRole.VIEWER and callable(operation.way_out) and not operation.way_out(body):
        raise Problem(403, VIEWERS_LEAVE)
    if not _leads_out(operation, body):
        refuse_who_has_changed(user)
    return write(operation, operation.call(Call(user, by, query, body), **ids))


def _leads_out(operation: Operation, body: Any) -> bool:
    """Stops and gets out: that is done for whoever was let in."""
    return operation.way_out(body) if callable(operation.way_out) else operation.way_out or operation.always


def _admit(operation: Operation) -> tuple[User, Actor]:
    try:
        user, by = identify()
    except NotSignedIn:
        raise Problem(401, "Send a valid API token, or sign in.") from None
    except NoCsrf:
        raise Problem(400, "The X-CSRFToken header is missing or not the one of this sign-in. Load the page again.") from None
    if operation.method not in SAFE and user.role is UserRole.VIEWER and not _open_to_viewers(operation, user):
        raise Problem(403, VIEWERS_LOOK)
    if operation.role is not None and user.role is not operation.role:
        raise Problem(403, f"Only the {operation.role.value} may do this.")
    return user, by


def _open_to_viewers(operation: Operation, user: User) -> bool:
    """What is about themselves, and the way out of accounts that they still have; neither with a token that may only look."""
    wanted = operation.own or (operation.way_out and workspace().owners.account_ids(user.user_id))
    return bool(wanted) and not only_reads(user)


def _query(operation: Operation) -> Any:
    given: dict[str, Any] = request.args.to_dict()
    if operation.query is not None:
        return operation.query.model_validate(given)
    if given:
        raise Problem(422, "Unknown query parameter.", errors={name[:100]: ["is not a known field"] for name in list(given)[:20]})
    return None


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_body() -> dict[str, Any]:
    """The JSON object of the request; none at all equals {}. Numbers stay exact. Raises 400, 413, 415, 422."""
    if (request.content_length or 0) > MOST_BYTES:
        raise Problem(413, "The request is larger than 1 MiB.")
    data = request.get_data(cache=False)
    if not data.strip():
        return {}
    mime = request.mimetype
    if mime != JSON and not mime.endswith("+json"):
        raise Problem(415, "Send JSON: Content-Type: application/json.")
    return parse_object(data)


def parse_object(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data, parse_float=Decimal, parse_constant=_reject_constant)
        if b"\\u" in data:  # half a surrogate pair is legal in JSON and in Python, but is no text that can be stored
            json.dumps(said, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError, ArithmeticError):
        raise Problem(400, "The body is not valid JSON.") from None
    if not isinstance(said, dict):
        raise Problem(422, "The body must be a JSON object.", errors={"body": ["must be an object"]})
    return said


def write(operation: Operation, result: Any) -> Response:
    status = operation.status
    if isinstance(result, tuple):
        result, status = result
    if result is None:
        return Response(b"", 204)
    assert isinstance(result, Out)
    return Response(result.model_dump_json(), status, mimetype=JSON)
