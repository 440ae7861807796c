"""Cuts a quantity above the exchange's freeze limit into orders that the exchange accepts.

Never changes the total, and never makes an order that is not whole lots.
"""

from __future__ import annotations

from decimal import Decimal

from engines.core.prices import is_lot_multiple


def slices(quantity: Decimal, lot: Decimal, freeze_quantity: Decimal | int | None, most: int = 10) -> tuple[Decimal, ...]:
    """`quantity` in as few orders as the freeze limit allows, as equal as possible in whole lots, larger ones first.

    An order of exactly the freeze quantity is accepted, one above it is not (NIFTY: freeze 1800, lot 65 → at most 27 lots = 1755).
    ValueError when the quantity is not in whole lots, when a single lot is too large, or when more than `most` orders would be needed.
    """
    if not is_lot_multiple(quantity, lot):
        raise ValueError(f"{quantity} is not a multiple of the lot {lot}")
    if freeze_quantity is None:
        return (quantity,)
    lots, largest = int(quantity / lot), int(freeze_quantity // lot)
    if largest < 1:
        raise ValueError(f"one lot of {lot} is above the freeze quantity {freeze_quantity}")
    count = -(-lots // largest)
    if count > most:
        raise ValueError(f"{quantity} needs {count} orders of at most {largest * lot}; more than {most} are not sent at once")
    each, larger = divmod(lots, count)
    return (lot * (each + 1),) * larger + (lot * each,) * (count - larger)
