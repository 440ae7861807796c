"""Form fields from a JSON schema: a strategy's parameters become labelled inputs with their bounds, in the order they were written.

Only shapes that pydantic makes of simple fields are known (number, integer, text, boolean, a choice, each possibly optional); any other
shape becomes a field of JSON text, so that no parameter is ever out of reach.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SchemaField:
    name: str
    label: str
    kind: str  # decimal | number | integer | flag | choice | text | json
    value: Any
    hint: str
    required: bool
    options: tuple[tuple[str, str], ...] = ()
    group: str = ""  # the heading it stands under


def schema_fields(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[SchemaField]:
    required = set(schema.get("required", ()))
    return [_field(name, part, schema, values, name in required) for name, part in schema.get("properties", {}).items()]


def _field(name: str, part: Mapping[str, Any], schema: Mapping[str, Any], values: Mapping[str, Any], required: bool) -> SchemaField:
    shape, optional = _resolved(part, schema)
    kind, options = _kind(shape)
    label = part.get("title") or shape.get("title") or name.replace("_", " ").capitalize()
    value = values.get(name, part.get("default", shape.get("default")))
    if kind == "json":
        value = "" if value is None else json.dumps(value)
    hint = " · ".join(text for text in (part.get("description") or shape.get("description", ""), _bounds(shape)) if text)
    return SchemaField(name, label, kind, value, hint, required and not optional, options, str(part.get("group", "")))


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The shape behind references and `X or null`, and whether null is allowed."""
    if "$ref" in part:
        return _resolved(schema.get("$defs", {}).get(part["$ref"].rpartition("/")[2], {}), schema)
    if len(part.get("allOf", ())) == 1:
        return _resolved(part["allOf"][0], schema)
    forms = part.get("anyOf")
    if forms:
        real = [form for form in forms if form.get("type") != "null"]
        numbers = [form for form in real if form.get("type") in ("number", "integer")]
        shape, _ = _resolved(numbers[0] if numbers else real[0], schema) if real else ({}, True)
        return shape, len(real) < len(forms)
    return part, False


def _kind(shape: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    if "enum" in shape:
        return "choice", tuple((str(value), str(value).replace("_", " ")) for value in shape["enum"])
    if "const" in shape:
        return "choice", ((str(shape["const"]), str(shape["const"])),)
    return {"integer": "integer", "number": "number", "boolean": "flag", "string": "text"}.get(str(shape.get("type")), "json"), ()


def _bounds(shape: Mapping[str, Any]) -> str:
    low, above = shape.get("minimum"), shape.get("exclusiveMinimum")
    high, below = shape.get("maximum"), shape.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    parts = [
        *([f"at least {low:g}"] if low is not None else []),
        *([f"above {above:g}"] if above is not None else []),
        *([f"at most {high:g}"] if high is not None else []),
        *([f"below {below:g}"] if below is not None else []),
    ]
    return ", ".join(parts)
