"""How a position's lots go to its targets: whole lots only, by share, and never more than there are.

"remainder" gives each target its share rounded down and what that leaves over to the largest remainders. "even" books a lot as soon as the shares so
far make a whole one, so that m equal lots leave evenly spread over the targets and the last of them at the last target. Knows no prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from engines.core.model import ZERO
from engines.core.prices import round_lot_down

BOOKINGS = ("remainder", "even")


def quantities(
    quantity: Decimal, shares_pct: Sequence[Decimal], lot: Decimal, booking: str, kept: Mapping[int, Decimal]
) -> tuple[Decimal, ...]:
    """Units for each target. Those in `kept` (place to units) are settled already; the others take what these leave."""
    if booking == "even":
        return _evenly(quantity, shares_pct, lot, kept)
    wanted = _by_remainder(quantity, shares_pct, lot)
    free = quantity - sum(kept.values(), ZERO)
    parts = []
    for n, share in enumerate(wanted):
        part = kept[n] if n in kept else min(share, round_lot_down(free, lot))
        free -= ZERO if n in kept else part
        parts.append(part)
    return tuple(parts)


def _evenly(quantity: Decimal, shares_pct: Sequence[Decimal], lot: Decimal, kept: Mapping[int, Decimal]) -> tuple[Decimal, ...]:
    """Up to and including each target, as many lots as the shares so far come to: lot q of m leaves at target ceil(10 q / m) of ten equal ones."""
    lots, free = quantity // lot, quantity - sum(kept.values(), ZERO)
    parts: list[Decimal] = []
    so_far = booked = ZERO
    for n, share in enumerate(shares_pct):
        so_far += share
        part = kept[n] if n in kept else max(ZERO, min(lots * so_far // 100 * lot - booked, round_lot_down(free, lot)))
        free -= ZERO if n in kept else part
        booked += part
        parts.append(part)
    return tuple(parts)


def _by_remainder(quantity: Decimal, shares_pct: Sequence[Decimal], lot: Decimal) -> list[Decimal]:
    """What rounding leaves over goes to the largest remainders, so that shares of 100 % let go of every whole lot."""
    exact = [quantity * share / 100 for share in shares_pct]
    parts = [round_lot_down(part, lot) for part in exact]
    over = round_lot_down(sum(exact, ZERO), lot) - sum(parts, ZERO)
    by_remainder = sorted(range(len(parts)), key=lambda n: parts[n] - exact[n])
    for n in by_remainder[: int(over / lot)]:
        parts[n] += lot
    return parts
