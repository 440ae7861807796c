"""What an exit at the market finds promised to exits that rest at a price: it goes before them.

Pure reading of one desk. Whatever leaves at the market already is left alone: it is no slower than what would take its place.
"""

from __future__ import annotations

from decimal import Decimal

from engines.core.model import ZERO, Order, OrderType, PositionKey, Signal
from engines.execution.desk import Desk


def resting_exits(desk: Desk, key: PositionKey) -> list[Order]:
    """Those that rest, and those that will. Hold the desk's lock."""
    live = [order for order in desk.live_orders() if order.position_key == key and not order.raises_exposure]
    return [order for order in live if order.order_type is not OrderType.MARKET]


def held_back(desk: Desk, signal: Signal, wanted: Decimal | None, leaves: Decimal) -> Decimal:
    """Units that this close at the market is to take out and that exits which rest have: `leaves` go out without them, and `wanted` (None: all that is
    held) in all. Hold the desk's lock."""
    if not signal.reduce_only or signal.order_type is not OrderType.MARKET:
        return ZERO
    key = desk.key_of(signal)
    position = desk.position(key).quantity
    held, resting = abs(position), sum((order.remaining for order in resting_exits(desk, key)), ZERO)
    if position * signal.side.sign >= 0 or not resting:
        return ZERO
    wanted = held if wanted is None else min(held, wanted)
    return max(ZERO, min(wanted - leaves, resting, held - leaves - (desk.pending_exits(key) - resting)))
