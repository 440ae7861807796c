"""The types of the wire: how money, quantities, moments, ids and lists look in JSON, in and out.

Every schema of the API is built from these. They hold no rule of trading and never touch the database or the engines.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
)

from app.data.shown import HIDDEN, is_shown

MOST_DIGITS = 15
MOST_PLACES = 8
_DECIMAL = re.compile(r"[+-]?(\d{1,15}(\.\d{0,8})?|\.\d{1,8})", re.ASCII)
_PLACES = Decimal(1).scaleb(-MOST_PLACES)
_DECIMAL_PATTERN = r"^[+-]?(\d{1,15}(\.\d{0,8})?|\.\d{1,8})$"


class BadValue(ValueError):
    """A value that cannot be read; the text is for the person who sent it."""


# --- decimals ------------------------------------------------------------------------------------------------------


def read_decimal(value: Any) -> Decimal:
    """Text or a JSON number as an exact decimal; no exponent in text, at most 15 digits before the point and 8 behind it."""
    if value is None or value == "":
        raise BadValue("must not be empty")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadValue("must be a number")
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise BadValue("must be a plain number such as 1520.05 (at most 15 digits before the point and 8 behind it)")
        return Decimal(value)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise BadValue("must be a finite number")
    if number and (number.adjusted() >= MOST_DIGITS or number.normalize().as_tuple().exponent < -MOST_PLACES):  # type: ignore[operator]
        raise BadValue("must have at most 15 digits before the point and 8 behind it")
    return number


def show_decimal(value: Decimal) -> str:
    """Plain digits without exponent or trailing zeros, so that equal amounts are equal text; rounded at 8 places (averages may be endless)."""
    if value.as_tuple().exponent < -MOST_PLACES:  # type: ignore[operator]
        value = value.quantize(_PLACES)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _bound(check: Callable[[Decimal], bool], message: str) -> AfterValidator:
    def validate(value: Decimal) -> Decimal:
        if not check(value):
            raise BadValue(message)
        return value

    return AfterValidator(validate)


def _number_schema(**bounds: Any) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": _DECIMAL_PATTERN}, {"type": "number", **bounds}], "description": "exact decimal"},
        mode="validation",
    )


_SHOWN = PlainSerializer(show_decimal, return_type=str)
_SHOWN_SCHEMA = WithJsonSchema({"type": "string", "format": "decimal"}, mode="serialization")

Amount = Annotated[Decimal, _SHOWN, _SHOWN_SCHEMA]
"""Out: money, price, quantity or percentage as text."""

AnyDecimal = Annotated[Decimal, BeforeValidator(read_decimal), _SHOWN, _number_schema()]
Positive = Annotated[
    Decimal, BeforeValidator(read_decimal), _bound(lambda x: x > 0, "must be above 0"), _SHOWN, _number_schema(exclusiveMinimum=0)
]
NotNegative = Annotated[
    Decimal, BeforeValidator(read_decimal), _bound(lambda x: x >= 0, "must be 0 or more"), _SHOWN, _number_schema(minimum=0)
]
Percent = Annotated[
    Decimal,
    BeforeValidator(read_decimal),
    _bound(lambda x: 0 < x <= 100, "must be above 0 and at most 100"),
    _SHOWN,
    _number_schema(exclusiveMinimum=0, maximum=100),
]
SharePercent = Annotated[
    Decimal,
    BeforeValidator(read_decimal),
    _bound(lambda x: 0 <= x <= 100, "must be from 0 to 100"),
    _SHOWN,
    _number_schema(minimum=0, maximum=100),
]
LimitPercent = Annotated[
    Decimal,
    BeforeValidator(read_decimal),
    _bound(lambda x: 0 <= x <= 1000, "must be from 0 to 1000"),
    _SHOWN,
    _number_schema(minimum=0, maximum=1000),
]


# --- text, ids, moments --------------------------------------------------------------------------------------------


def _printable(value: str) -> str:
    if not is_shown(value):
        raise BadValue(HIDDEN)
    return value


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), AfterValidator(_printable)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_printable)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{1,20}:[A-Za-z0-9 &._-]{1,60}$")]
SignalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Flag = StrictBool
Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def show_moment(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(text: str) -> float:
    """RFC 3339, an ISO date, or seconds/milliseconds since the epoch → seconds since the epoch. Without a zone: UTC."""
    try:
        if re.fullmatch(r"\d{9,11}(\.\d{1,6})?", text, re.ASCII):
            return float(text)
        if re.fullmatch(r"\d{12,14}", text, re.ASCII):
            return int(text) / 1000
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadValue("must be a time such as 2026-11-21T09:15:00Z") from error


Moment = Annotated[
    datetime, PlainSerializer(show_moment, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization")
]
When = Annotated[
    float, BeforeValidator(lambda value: read_moment(value) if isinstance(value, str) else value), WithJsonSchema({"type": "string"})
]
"""A moment in a query string, as seconds since the epoch."""


# --- schemas -------------------------------------------------------------------------------------------------------
# Each is made ready (`defer_build`) when it is first used: there are hundreds, and making them all took a sixth of every start.


class Body(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class Out(BaseModel):
    """An answer. Times are aware datetimes and amounts are Decimals until they are written as JSON."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class PageQuery(Body):
    """What every list understands."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None


Item = TypeVar("Item")


class Page(Out, Generic[Item]):
    items: list[Item]
    next: str | None = None


def make_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def open_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise BadValue("is not one of ours") from error
