"""Exact numbers: how input becomes a Decimal, how a float becomes a price on the tick, how a quantity falls to the lot.

`to_tick` is the one place where market data (floats) turn into prices of orders. Nothing here ever lets NaN or infinity through.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal

from engines.core.model import ZERO

Rounding = Literal["nearest", "up", "down"]

_ROUNDING = {"nearest": ROUND_HALF_UP, "up": ROUND_CEILING, "down": ROUND_FLOOR}
_NOISE = Decimal("1e-6")
"""Of a tick: what arithmetic on floats may be off. Without it 100.05000000000001 rounded up would cost a whole tick."""


def exact(value: Decimal | float | str) -> Decimal:
    """The number a person or program meant, exactly; ValueError when it is not a finite number of a sane size (below 10^15, at most 18 places).

    A float is read as it prints (1520.05 is 1520.05, not the nearest binary fraction)."""
    number = _finite(value)
    if number.adjusted() >= 15 or number.as_tuple().exponent < -18:  # type: ignore[operator]  # finite, so the exponent is a number
        raise ValueError(f"not a number that can be traded with: {number:.3e}")
    return number


def to_tick(value: float | Decimal, tick: Decimal, mode: Rounding = "nearest") -> Decimal:
    """The price on the instrument's tick that is nearest to, not below ("up") or not above ("down") `value`."""
    if not tick > 0:
        raise ValueError(f"tick size must be above zero: {tick}")
    steps = _finite(value) / tick
    whole = steps.to_integral_value(ROUND_HALF_UP)
    if isinstance(value, Decimal) or abs(steps - whole) > _NOISE:
        whole = steps.to_integral_value(_ROUNDING[mode])
    return (whole * tick).quantize(tick)  # as many places as the tick has, so that a price always prints alike


def readable(price: Decimal) -> Decimal:
    """For tables: an average may be endless, so 6 decimals or, of a price below 1, as many as show 6 digits. What has no more stays as it is."""
    places = 6 if price.copy_abs() >= 1 or not price else 5 - price.adjusted()
    return price if -int(price.as_tuple().exponent) <= places else round(price, places)


def is_tick_multiple(price: Decimal, tick: Decimal) -> bool:
    return tick > 0 and price.is_finite() and price % tick == 0


def round_lot_down(quantity: Decimal, lot: Decimal) -> Decimal:
    """The greatest multiple of `lot` that is not above `quantity`; zero for what is negative."""
    if not lot > 0:
        raise ValueError(f"lot must be above zero: {lot}")
    if not quantity.is_finite():
        raise ValueError(f"not a finite quantity: {quantity}")
    return quantity // lot * lot if quantity > 0 else ZERO


def is_lot_multiple(quantity: Decimal, lot: Decimal) -> bool:
    return lot > 0 and quantity.is_finite() and quantity > 0 and quantity % lot == 0


def _finite(value: Decimal | float | str) -> Decimal:
    if isinstance(value, bool):
        raise ValueError(f"not a number: {value}")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"not a number: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a finite number: {value}")
    return number
