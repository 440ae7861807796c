"""How a strategy's own state becomes plain JSON and comes back, so that authors need not write it.

It knows numbers, text, decimals, lists, tuples, deques, text-keyed dicts and simple objects (indicators) made of those. Anything else is an error
that names the attribute: nothing is forgotten silently.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any

_TAG = "$"  # marks what JSON has no word for
_SIMPLE = (type(None), bool, int, float, str, list, dict, Decimal)


def remember(value: Any, path: str = "value") -> Any:
    """Plain JSON for `value`; TypeError names the part that cannot be kept."""
    if isinstance(value, float):
        return value if isfinite(value) else {_TAG: "float", "as": repr(value)}
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, Decimal):
        return {_TAG: "decimal", "as": str(value)}
    if isinstance(value, list | tuple | deque):
        return [remember(item, f"{path}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str) and key != _TAG for key in value):
            raise TypeError(f"cannot remember {path}: its keys must be text")
        return {key: remember(item, f"{path}[{key!r}]") for key, item in value.items()}
    if callable(value) or isinstance(value, type) or not (hasattr(value, "__dict__") or hasattr(value, "__slots__")):
        raise TypeError(f"cannot remember {path}: a {type(value).__name__}; begin its name with _ if it need not survive a restart")
    return {name: remember(item, f"{path}.{name}") for name, item in parts(value)}


def recall(held: Any, saved: Any) -> Any:
    """What `remember` gave, as the kind of thing that `held` (made by `setup`) is; an object is filled in place."""
    if isinstance(held, deque):
        return deque((recall(None, item) for item in saved), held.maxlen)
    if isinstance(held, tuple):
        return tuple(recall(None, item) for item in saved)
    if isinstance(held, _SIMPLE):
        return _plain(saved)
    for name, value in parts(held):
        if name in saved:
            setattr(held, name, recall(value, saved[name]))
    return held


def parts(value: object) -> Iterator[tuple[str, Any]]:
    """The attributes of an object, whether it has slots or a dict."""
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield name, getattr(value, name)
    yield from getattr(value, "__dict__", {}).items()


def _plain(saved: Any) -> Any:
    if isinstance(saved, list):
        return [_plain(item) for item in saved]
    if not isinstance(saved, dict):
        return saved
    match saved.get(_TAG):
        case None:
            return {key: _plain(item) for key, item in saved.items()}
        case "decimal":
            return Decimal(saved["as"])
        case _:
            return float(saved["as"])
