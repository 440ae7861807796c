"""How soon an exit that was refused is asked for again. It is never given up; while its market is shut, which is why most are, ever more rarely.

Pure, but for reading a desk. The moment a market opens ends every wait: whoever waits looks at it each second.
"""

from __future__ import annotations

from engines.core.model import PositionKey, Role, Timestamp
from engines.execution.desk import Desk
from engines.execution.planning import Market

LONGEST_OPEN, LONGEST_SHUT = 30.0, 1800.0
"""Seconds between two tries; the first come after half a second."""
LOOK_EVERY = 1.0
"""Seconds between two looks at whether the market has opened."""


def pause_after(refusals: int, *, shut: bool) -> float:
    return min(0.5 * 2.0 ** min(refusals, 12), LONGEST_SHUT if shut else LONGEST_OPEN)


def is_shut(market: Market | None) -> bool:
    return market is not None and not market.open


def refusals(desk: Desk, key: PositionKey, role: Role) -> list[Timestamp]:
    """When this session's exits of that kind have ended."""
    with desk.lock:
        return [o.updated_at for o in desk.session_orders() if o.position_key == key and o.role is role and not o.live]


def is_early(desk: Desk, key: PositionKey, role: Role, market: Market | None, now: Timestamp) -> bool:
    """Whether a close that is asked for again and again is to wait, because its market is shut and it was refused a moment ago."""
    if not is_shut(market):
        return False
    ended = refusals(desk, key, role)
    return bool(ended) and abs(now - max(ended)) < pause_after(len(ended), shut=True)
