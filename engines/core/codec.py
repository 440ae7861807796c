"""Our values as plain JSON and back, for what is stored as text (exit specs and plans, limits, sizing, checks).

Decimals travel as strings, enumerations as their value, dataclasses and named tuples as objects. What comes back is equal to what went in,
or a ValueError that names the place; nothing is guessed, and no float ever becomes a Decimal.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """What `json.dumps` takes. TypeError for a type that we do not store, ValueError for a number that JSON does not have."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal | float):
        if not math.isfinite(value):
            raise ValueError(f"cannot be stored: {value}")
        return str(value) if isinstance(value, Decimal) else value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: to_plain(item) for name, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    raise TypeError(f"cannot be stored: {type(value).__name__}")


def from_plain(cls: type[T], data: Any) -> T:
    """The value of type `cls` that `to_plain` had made `data` from; absent fields take their defaults, unknown ones are an error."""
    return cast(T, _read(cls, data, cls.__name__))


def dumps(value: Any) -> str:
    """Compact JSON text, the same for equal values."""
    return json.dumps(to_plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def loads(cls: type[T], text: str) -> T:
    return from_plain(cls, json.loads(text))


def _key(key: Any) -> str:
    plain = to_plain(key)
    if not isinstance(plain, str):
        raise TypeError(f"cannot be a key: {type(key).__name__}")
    return plain


def _read(kind: Any, data: Any, at: str) -> Any:
    """`kind` is a type or annotation, `at` the path for the error text."""
    if kind is Any:
        return data
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), data, at)
    if origin is not None:
        return _read_container(origin, get_args(kind), data, at)
    if kind in _PLAIN:
        return _PLAIN[kind](data, at)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _read_enum(kind, data, at)
    if is_dataclass(kind) or _is_named_tuple(kind):
        return _read_object(kind, data, at)
    raise TypeError(f"{at}: cannot be read back: {kind}")


def _read_union(choices: tuple[Any, ...], data: Any, at: str) -> Any:
    rest = [choice for choice in choices if choice is not type(None)]
    if data is None and len(rest) < len(choices):
        return None
    if len(rest) != 1:
        raise TypeError(f"{at}: cannot tell which of {rest}")
    return _read(rest[0], data, at)


def _read_container(origin: Any, args: tuple[Any, ...], data: Any, at: str) -> Any:
    if issubclass(origin, Mapping):
        _expect(isinstance(data, dict), at, "an object", data)
        return {_read(args[0], key, at): _read(args[1], item, f"{at}.{key}") for key, item in data.items()}
    _expect(isinstance(data, list), at, "a list", data)
    if origin is tuple and args[-1] is not Ellipsis:
        _expect(len(data) == len(args), at, f"{len(args)} items", data)
        return tuple(_read(kind, item, f"{at}[{n}]") for n, (kind, item) in enumerate(zip(args, data, strict=True)))
    if issubclass(origin, Sequence):
        items = (_read(args[0], item, f"{at}[{n}]") for n, item in enumerate(data))
        return list(items) if origin is list else tuple(items)
    raise TypeError(f"{at}: cannot be read back: {origin}")


def _read_object(kind: type, data: Any, at: str) -> Any:
    _expect(isinstance(data, dict), at, "an object", data)
    shape = _shape(kind)
    if unknown := data.keys() - shape.keys():
        raise ValueError(f"{at}: unknown {', '.join(sorted(unknown))}")
    missing = [name for name, (_, required) in shape.items() if required and name not in data]
    if missing:
        raise ValueError(f"{at}: without {', '.join(missing)}")
    return kind(**{name: _read(shape[name][0], item, f"{at}.{name}") for name, item in data.items()})


def _read_enum(kind: type[Enum], data: Any, at: str) -> Enum:
    try:
        return kind(data)
    except ValueError:
        raise ValueError(f"{at}: no {kind.__name__} is called {data!r}") from None


def _read_decimal(data: Any, at: str) -> Decimal:
    _expect(isinstance(data, str) or (isinstance(data, int) and not isinstance(data, bool)), at, "an exact number", data)
    try:
        number = Decimal(data)
    except InvalidOperation:
        raise ValueError(f"{at}: not a number: {data!r}") from None
    _expect(number.is_finite(), at, "a finite number", data)
    return number


def _read_float(data: Any, at: str) -> float:
    _expect(isinstance(data, int | float) and not isinstance(data, bool) and math.isfinite(data), at, "a number", data)
    return float(data)


def _reads(kind: type, words: str) -> Callable[[Any, str], Any]:
    def read(data: Any, at: str) -> Any:
        _expect(type(data) is kind, at, words, data)
        return data

    return read


_PLAIN: Mapping[Any, Callable[[Any, str], Any]] = {
    Decimal: _read_decimal,
    float: _read_float,
    int: _reads(int, "a whole number"),
    bool: _reads(bool, "true or false"),
    str: _reads(str, "text"),
    type(None): _reads(type(None), "nothing"),
}


def _expect(right: bool, at: str, words: str, data: Any) -> None:
    if not right:
        raise ValueError(f"{at}: not {words}: {data!r}")


def _is_named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


@cache
def _shape(kind: type) -> Mapping[str, tuple[Any, bool]]:
    """Each field of a dataclass or named tuple: its annotation, and whether it must be there."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        return {f.name: (hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in fields(kind)}
    defaults: Mapping[str, Any] = getattr(kind, "_field_defaults", {})
    return {name: (hints[name], name not in defaults) for name in hints}
