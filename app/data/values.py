"""How values cross into SQL and back: exact decimals as TEXT, moments as integer microseconds, structures as JSON text.

Every conversion is here, so that no other module can store a float where money belongs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engines.core.model import Timestamp


def exact(value: Decimal) -> str:
    """Plain digits, never an exponent; NaN and infinity are refused."""
    text = str(value)
    if "E" in text or "N" in text or "I" in text:
        if not value.is_finite():
            raise ValueError(f"{text} is not an amount")
        text = format(value, "f")
    return text


def exact_or_none(value: Decimal | None) -> str | None:
    return None if value is None else exact(value)


def decimal_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def micros(moment: Timestamp) -> int:
    return round(moment * 1_000_000)


def micros_or_none(moment: Timestamp | None) -> int | None:
    return None if moment is None else round(moment * 1_000_000)


def seconds(stored: int) -> Timestamp:
    return stored / 1_000_000


def seconds_or_none(stored: int | None) -> Timestamp | None:
    return None if stored is None else stored / 1_000_000


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


def to_json(value: Any) -> str:
    """Compact JSON. What JSON has no word for (a decimal, a path) goes in as its text."""
    return _encoder.encode(value)


def from_json(text: str) -> Any:
    return json.loads(text)


def mapping_or_none(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else json.loads(text)
