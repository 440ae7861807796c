"""The automatic square-off: takes an account's intraday (MIS) positions of one segment out and its waiting entries back, until nothing is left.

It looks at what is open and asks the account's lane for exits; looking twice asks for nothing twice, so it goes on after a crash where it stood. Overnight
and delivery positions are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engines.core.model import Instrument, Order, Position, PositionKey, Product, Role, RunState, Timestamp
from engines.core.timetable import Ended, Job, Segment, segment_of
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.jobs import Cancel
from engines.execution.lane import Lane
from engines.execution.leaving import Exit

LOOK_EVERY = 3.0
"""Seconds between two rounds: an exit that waits for a resting order to be cancelled takes up to two."""
WARN_BEFORE = 60.0
"""Seconds before the close from which whatever is still open is a critical incident."""


@dataclass(frozen=True, slots=True)
class Left:
    """What of a segment an account still has: open positions and entries that may yet fill."""

    positions: Sequence[Position] = ()
    entries: Sequence[Order] = ()

    def __bool__(self) -> bool:
        return bool(self.positions or self.entries)

    def __str__(self) -> str:
        held = [f"{position.key.symbol} {position.quantity}" for position in self.positions]
        return ", ".join(held + [f"an order {order.side} {order.symbol}" for order in self.entries])


@dataclass(frozen=True, slots=True)
class SquareOff:
    """The runner of square-off jobs. Having ended it stands guard until the close: a fill that comes late, or an entry that was made because the
    machine's clock was put back, is taken out like the rest."""

    desk: Callable[[str], Desk | None]
    lane: Callable[[str], Lane | None]
    instrument: Callable[[str], Instrument | None]
    exits: ExitDesk
    on_trouble: Callable[[str, str, str, str | None], None]  # kind, severity, message, account id
    stands: bool = True

    def begin(self, job: Job) -> SquaringOff:
        return SquaringOff(self, job)

    def missed(self, job: Job) -> str:
        left = self.left(job)
        before = [position for position in left.positions if position.opened_at is not None and position.opened_at < job.until]
        if not before:
            return "its time had passed; nothing was open"
        names = str(Left(before))
        self.on_trouble(
            "square_off_missed",
            "critical",
            f"{self._name(job)}: Tandem was not running when {job.segment} positions of {job.day} were to be squared off; still open: {names}",
            job.account_id,
        )
        return f"its time had passed; still open: {names}"

    def left(self, job: Job) -> Left:
        desk = self.desk(job.account_id or "")
        if desk is None:
            return Left()
        with desk.lock:
            positions = [p for p in desk.open_positions() if p.key.product is Product.MIS and self._is_in(p.key.symbol, job)]
            orders = [o for o in desk.live_orders() if o.raises_exposure and o.product is Product.MIS and self._is_in(o.symbol, job)]
        return Left(positions, orders)

    def act(self, job: Job, left: Left) -> None:
        """One round: every entry that waits is taken back, every position that is not leaving already is asked out."""
        desk, lane = self.desk(job.account_id or ""), self.lane(job.account_id or "")
        if desk is None or lane is None or not desk.ready:
            return  # connecting: what an unready lane is asked now it would do later, and then once too often
        for order in left.entries:
            lane.put(Cancel(order.order_id))
        for position in left.positions:
            if not _is_leaving(desk, position.key):
                lane.put(Exit(self.exits, position.key, Role.SQUARE_OFF))

    def warn(self, job: Job, kind: str, left: Left, how: str) -> None:
        self.on_trouble(kind, "critical", f"{self._name(job)}: {how}: {left}", job.account_id)

    def _is_in(self, symbol: str, job: Job) -> bool:
        instrument = self.instrument(symbol)
        if instrument is not None:
            return segment_of(instrument) == job.segment
        derivative = symbol.startswith(("NFO:", "BFO:"))  # no longer listed: by its exchange
        return job.segment is (Segment.DERIVATIVES if derivative else Segment.CASH if symbol.startswith(("NSE:", "BSE:")) else None)

    def _name(self, job: Job) -> str:
        desk = self.desk(job.account_id or "")
        return desk.account.name if desk else str(job.account_id)


@dataclass(slots=True)
class SquaringOff:
    """One segment of one account, under way."""

    runner: SquareOff
    job: Job
    _acted_at: Timestamp | None = None
    _warned: bool = False
    _closed: set[str] = field(default_factory=set)
    _taken_back: set[str] = field(default_factory=set)

    def step(self, now: Timestamp) -> Ended | None:
        left = self.runner.left(self.job)
        if not left:
            self._warned = False
            return Ended(RunState.DONE, self._said(), bool(self._closed or self._taken_back))
        if now >= self.job.until:
            self.runner.warn(self.job, "square_off_failed", left, f"not flat when {self.job.segment} trading closed")
            return Ended(RunState.FAILED, f"still open at the close: {left}")
        if now >= self.job.until - WARN_BEFORE and not self._warned:
            self._warned = True
            self.runner.warn(self.job, "square_off_late", left, f"{self.job.segment} trading closes within a minute and this is still open")
        if self._acted_at is None or abs(now - self._acted_at) >= LOOK_EVERY:
            self._acted_at = now
            self._closed |= {position.position_id for position in left.positions}
            self._taken_back |= {order.order_id for order in left.entries}
            self.runner.act(self.job, left)
        return None

    def _said(self) -> str:
        parts = []
        if self._closed:
            parts.append(f"{len(self._closed)} position{'s' if len(self._closed) != 1 else ''} closed")
        if self._taken_back:
            parts.append(f"{len(self._taken_back)} order{'s' if len(self._taken_back) != 1 else ''} taken back")
        return ", ".join(parts) or "nothing was open"


def _is_leaving(desk: Desk, key: PositionKey) -> bool:
    """Whether a square-off of all that can leave is on its way."""
    with desk.lock:
        orders = [order for order in desk.live_orders() if order.position_key == key and order.role is Role.SQUARE_OFF]
        return bool(orders) and sum(order.remaining for order in orders) >= abs(desk.position(key).quantity)
