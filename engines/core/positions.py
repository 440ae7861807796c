"""Positions: the fold of fills for (account, instrument, product, strategy), at average cost.

A position is never edited, only folded; `realised` is kept as cash flow + open cost, so that realised + unrealised = cash flow + quantity x mark
holds to the last digit whatever was rounded on the way. Nothing here knows prices of now: marks come from the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b

from engines.core.model import ZERO, Fill, Position, PositionKey, Side, Timestamp

_COST_STEP = Decimal("1e-8")
"""Open cost after a partial close is a division; it is kept to the places that are shown, so that what is shown adds up to the last digit. What is
rounded away stays in `realised`."""
_CHARGE_STEP = Decimal("1e-4")


def position_id(key: PositionKey) -> str:
    """16 characters of 0-9a-f, the same for the same key on every machine and after every restart."""
    words = (key.account_id, key.symbol, key.product.value, key.strategy_id or "")
    return blake2b("\x1f".join(words).encode(), digest_size=8).hexdigest()


def empty(key: PositionKey) -> Position:
    return Position(key, position_id(key))


def fill_order(fill: Fill) -> tuple[Timestamp, str, str]:
    """Where a fill stands in the one sequence in which fills are folded."""
    return fill.traded_at, fill.trade_id, fill.order_id


def book(position: Position, fill: Fill) -> Position:
    """The position after one more fill. The fill must be new, and for the same books as `fold` it must come after
    those already booked by `fill_order`; when one arrives late, fold again (total P&L is the same either way, the split between realised
    and unrealised may differ)."""
    if fill.position_key != position.key:
        raise ValueError(f"fill {fill.trade_id} is of {fill.position_key}, not of {position.key}")
    if not fill.quantity > 0:
        raise ValueError(f"fill {fill.trade_id} has the quantity {fill.quantity}")
    held, moved = position.quantity, fill.moved
    now = held + moved
    paid = fill.side.sign * fill.quantity * fill.price  # for all units, also for those that the broker kept as its fee
    cash_flow = position.cash_flow - paid
    if held * moved >= 0:  # opened or grown
        open_cost = position.open_cost + paid
    elif now * held > 0:  # part of it closed, at average cost
        open_cost = (position.open_cost * now / held).quantize(_COST_STEP)
    else:  # flat, or turned around: what is left was opened by this very fill
        open_cost = now * fill.price
    return replace(
        position,
        quantity=now,
        cash_flow=cash_flow,
        open_cost=open_cost,
        realised=cash_flow + open_cost,
        charges=position.charges + fill.charges,
        opened_at=_opened_at(position, now, fill),
        updated_at=max(position.updated_at, fill.traded_at),
    )


def _opened_at(position: Position, now: Decimal, fill: Fill) -> Timestamp | None:
    if not now:
        return None
    return position.opened_at if position.quantity * now > 0 else fill.traded_at


def fold(opening: Position, fills: Iterable[Fill]) -> Position:
    """The position after these fills, whatever order they come in and however often one is repeated; (order_id, trade_id) names a fill."""
    distinct = {(fill.order_id, fill.trade_id): fill for fill in fills}
    position = opening
    for fill in sorted(distinct.values(), key=fill_order):
        position = book(position, fill)
    return position


def split(quantity_held: Decimal, pending_exits: Decimal, side: Side, quantity: Decimal) -> tuple[Decimal, Decimal]:
    """(exit, entry) quantities of an order for `quantity` on a position of `quantity_held` (signed).

    What reduces the position is an exit, what goes beyond is an entry. `pending_exits` (unsigned) are on their way already:
    their part of the position is not free to leave a second time.
    """
    if quantity_held * side.sign >= 0:
        return ZERO, quantity
    free = max(ZERO, abs(quantity_held) - pending_exits)
    leaving = min(free, quantity)
    return leaving, quantity - leaving


def round_trips(fills: Iterable[Fill]) -> list[Decimal]:
    """Net P&L of each trade from flat to flat, in the order in which they closed; a fill that turns a position around ends one trade and
    begins the next, its charges shared by quantity. Trades still open are not counted."""
    distinct = {(fill.order_id, fill.trade_id): fill for fill in fills}
    running: dict[PositionKey, tuple[Decimal, Decimal]] = {}  # quantity and net cash of the trade that is open
    closed: list[Decimal] = []
    for fill in sorted(distinct.values(), key=fill_order):
        held, net = running.get(fill.position_key, (ZERO, ZERO))
        now = held + fill.moved
        if held * now < 0:
            closing_charges = (fill.charges * abs(held) / fill.quantity).quantize(_CHARGE_STEP)
            closed.append(net + held * fill.price - closing_charges)
            running[fill.position_key] = now, -now * fill.price - (fill.charges - closing_charges)
            continue
        net -= fill.side.sign * fill.quantity * fill.price + fill.charges
        if now:
            running[fill.position_key] = now, net
        else:
            closed.append(net)
            running.pop(fill.position_key, None)
    return closed
