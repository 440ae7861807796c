"""What an exit at the market finds promised to exits that rest at a price: it goes before them.

Pure reading of one desk. Whatever leaves at the market already is left alone: it is no slower than what would take its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from engines.core.model import ZERO, Order, OrderState, OrderType, PositionKey, Signal
from engines.execution.desk import Desk


def resting_exits(desk: Desk, key: PositionKey) -> list[Order]:
    """Those that rest, and those that will. Hold the desk's lock."""
    live = [order for order in desk.live_orders() if order.position_key == key and not order.raises_exposure]
    return [order for order in live if order.order_type is not OrderType.MARKET]


def held_back(desk: Desk, signal: Signal, made: Sequence[Order]) -> Decimal:
    """Units that this close at the market was to take out and that exits which rest have: `made` is what was planned for it here."""
    if not signal.reduce_only or signal.order_type is not OrderType.MARKET:
        return ZERO
    key = desk.key_of(signal)
    with desk.lock:
        position = desk.position(key).quantity
        held, resting = abs(position), sum((order.remaining for order in resting_exits(desk, key)), ZERO)
        if position * signal.side.sign >= 0 or not resting:
            return ZERO
        planned = sum((order.quantity for order in made if order.state is OrderState.PLANNED), ZERO)
        wanted = held if signal.quantity is None else min(held, signal.quantity)
        return max(ZERO, min(wanted - planned, resting, held - (desk.pending_exits(key) - resting)))
