"""The OpenAPI document, made from the same declarations that the requests are checked with, so the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter

from app.api.endpoint import JSON, Operation
from app.auth.identity import SAFE
from app.problems import PROBLEM

REF = "#/components/schemas/{model}"
_ERRORS = {
    400: "The request cannot be read",
    401: "No token or sign-in, or one that is not valid",
    403: "The role or the password does not allow it",
    404: "Not there, or not yours",
    405: "Wrong method",
    409: "The present state forbids it",
    413: "Larger than is taken",
    415: "Not JSON",
    422: "A field is wrong",
    429: "Too many tries",
    503: "Cannot be done at the moment; nothing was changed",
}
_GOOD = {200: "Done", 201: "Created", 202: "Accepted", 204: "Gone"}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
    },
}
_FILE = ("application/octet-stream", "text/csv")
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat under the same key returns the first answer; kept for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tandem",
            "version": version,
            "description": "One signal, every account. Money, prices and quantities are text with exact decimals; times are RFC 3339 in UTC.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"cookie": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "tandem", "description": "With X-CSRFToken for writes."},
            },
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "tags": [operation.tag],
        "operationId": _name(operation),
        "summary": operation.summary,
        "responses": _responses(operation, schemas),
    }
    if operation.detail:
        shown["description"] = operation.detail
    if operation.public:
        shown["security"] = []
    parameters = [*_path_parameters(operation), *_query_parameters(operation, schemas)]
    if operation.method not in SAFE and not operation.public:
        parameters.append(_KEY)
    if parameters:
        shown["parameters"] = parameters
    if operation.body is not None:
        schema = _schema(operation.body, schemas, "validation")
        content: dict[str, Any] = {JSON: {"schema": schema}}
        if operation.public:
            content["text/plain"] = {"schema": {"type": "string"}}
        required = any(field.is_required() for field in operation.body.model_fields.values())
        shown["requestBody"] = {"required": required, "content": content}
    if operation.upload:
        shown["requestBody"] = {"required": True, "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in _FILE}}
    return shown


def _name(operation: Operation) -> str:
    words = [part.strip("{}") if not part.startswith("{") else f"by-{part.strip('{}')}" for part in operation.path.split("/")[2:]]
    return "-".join([operation.method.lower(), *words])


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names]


def _query_parameters(operation: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    whole = operation.query.model_json_schema(ref_template=REF, mode="validation")
    _keep(whole.pop("$defs", {}), schemas)
    required = set(whole.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
        for name, schema in whole["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """In a query string a value is there or not; there is no null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    kept = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "title")}
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    if len(choices) == 1:
        return kept | choices[0]
    return kept | {"anyOf": choices} if choices else kept


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {}
    if operation.media != JSON:
        good["content"] = {operation.media: {"schema": {"type": "string"}}}
    elif operation.out is not None:
        good["content"] = {JSON: {"schema": _schema(operation.out, schemas, "serialization")}}
    responses = {str(status): {"description": _GOOD[status], **good} for status in (operation.status, *operation.also)}
    for status in sorted(_failures(operation)):
        content = {PROBLEM: {"schema": {"$ref": REF.format(model="Problem")}}}
        responses[str(status)] = {"description": _ERRORS[status], "content": content}
        if status == 429:
            responses["429"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return responses


def _failures(operation: Operation) -> set[int]:
    failures = {*operation.errors, 405}
    if not operation.public:
        failures |= {401, 422}
    if "{" in operation.path and not operation.public:
        failures.add(404)
    if operation.role is not None:
        failures.add(403)
    if operation.method not in SAFE:
        failures |= {400, 403, 409, 413, 415, 422, 503}
    if operation.body is not None:
        failures.add(404)
    if "password" in (operation.body.model_fields if operation.body else ()) or operation.path.endswith("/password"):
        failures.add(429)
    return failures


def _schema(kind: Any, schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        schema = kind.model_json_schema(ref_template=REF, mode=mode)
        _keep(schema.pop("$defs", {}), schemas)
        name = kind.__name__.replace("[", "_").replace("]", "")
        _keep({name: schema}, schemas)
        return {"$ref": REF.format(model=name)}
    schema = TypeAdapter(kind).json_schema(ref_template=REF, mode=mode)
    _keep(schema.pop("$defs", {}), schemas)
    return schema


def _keep(definitions: dict[str, Any], schemas: dict[str, Any]) -> None:
    for name, schema in definitions.items():
        known = schemas.setdefault(name, schema)
        if known != schema:
            raise ValueError(f"two different schemas are called {name}")
