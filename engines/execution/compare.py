"""Holds our positions against the broker's: what was closed or opened in the broker's own app, or by the broker, is noticed and told.

Our books stay the fold of our fills. Where the broker has less than they say, exits are limited to what is really there, because at most brokers
selling what is gone opens a short. It reads; it never sends an order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from engines.core.model import ZERO, OrderState, OrderType, Product
from engines.core.reconcile import Difference, compare_positions
from engines.execution.desk import Desk
from engines.execution.incidents import IncidentLog
from engines.execution.lane import Lane
from engines.execution.work import AfterDeath
from engines.ports import Clock, NeedsLogin, TandemError

HOLDING_EVERY, EMPTY_EVERY = 15.0, 60.0
"""Seconds between two comparisons while something is held, and while nothing is."""
LOOK_AGAIN = 1.0
"""Seconds until a difference is looked at a second time: only what is still there then is believed."""
CALM = 2.0
"""Seconds without a fill before one read alone is believed."""
DIFFERS, ELSEWHERE = "position_differs", "position_elsewhere"
_UNDER_WAY = frozenset({OrderState.PLANNED, OrderState.SENDING, OrderState.UNKNOWN})


@dataclass(slots=True)
class ComparePositions:
    """One comparison, in the lane."""

    urgent: bool = False
    after_death: ClassVar[AfterDeath] = AfterDeath.GONE

    def run(self, lane: Lane) -> None:
        compare_now(lane)


def compare_now(lane: Lane, *, at_once: bool = False, opening: bool = False) -> None:
    """Read the broker's positions. A difference counts when two reads in a row show it, or (`at_once`) when nothing has traded for a moment.
    A read that fails, or that something overtook, changes nothing. `opening`: the account is signed in and about to become ready."""
    desk = lane.desk
    if not desk.account.live or not (desk.ready or opening):
        return
    with desk.lock:
        before, moving = desk.fills_booked, _moving(desk)
    if moving:
        return
    try:
        theirs = _theirs(lane)
        desk.funds = lane.broker.balance()
    except NeedsLogin as error:
        lane.tools.on_needs_login(desk, str(error))
        return
    except (TandemError, OSError, ValueError):
        return
    with desk.lock:
        if desk.fills_booked != before or _moving(desk):
            return
        found = {difference.symbol: difference for difference in compare_positions(_ours(desk), theirs) if _counts(desk, difference)}
        calm = at_once and lane.tools.clock.monotonic() - desk.filled_at >= CALM
        sure = {symbol: difference for symbol, difference in found.items() if calm or desk.suspected.get(symbol) == difference}
        desk.suspected = found
        desk.differences = sure
    if found.keys() - sure.keys():
        lane.put_later(ComparePositions(), LOOK_AGAIN)


def _theirs(lane: Lane) -> dict[str, Decimal]:
    """What the broker holds, by symbol; shares that were carried over from earlier days lie in its holdings."""
    held: dict[str, Decimal] = {}
    for position in lane.broker.positions():
        held[position.symbol] = held.get(position.symbol, ZERO) + position.quantity
    delivered = {p.key.symbol for p in lane.desk.open_positions() if p.key.product is Product.CNC}
    if any(held.get(symbol, ZERO) != quantity for symbol, quantity in _ours(lane.desk).items() if symbol in delivered):
        for holding in lane.broker.holdings():
            if holding.symbol in delivered:
                owned = held.get(holding.symbol, ZERO) + holding.quantity
                held[holding.symbol] = min(owned, _ours(lane.desk)[holding.symbol])  # older shares of the same name are not ours to count
    return held


def _ours(desk: Desk) -> dict[str, Decimal]:
    with desk.lock:
        held: dict[str, Decimal] = {}
        for position in desk.open_positions():
            held[position.key.symbol] = held.get(position.key.symbol, ZERO) + position.quantity
        return held


def _moving(desk: Desk) -> bool:
    """Something is on its way that may change positions at any moment. What waits here has not left."""
    return any(desk.may_have_left(o) and (o.state in _UNDER_WAY or o.order_type is OrderType.MARKET) for o in desk.live_orders())


def _counts(desk: Desk, difference: Difference) -> bool:
    """Coins that lie in a wallet beside ours are nobody's business, and so is dust; fewer of them than we hold is."""
    if desk.account.broker != "binance_spot":
        return True
    instrument = desk.tools.instrument(difference.symbol)
    dust = instrument.lot if instrument is not None else ZERO
    return difference.less and difference.ours - difference.theirs > dust


@dataclass(slots=True)
class PositionWatch:
    """Asks for comparisons often enough, and keeps the incidents about what they find."""

    clock: Clock
    lanes: Callable[[], Sequence[Lane]]
    incidents: IncidentLog
    _asked: dict[str, float] = field(default_factory=dict)
    _strangers: dict[str, int] = field(default_factory=dict)
    _told: dict[str, Mapping[str, Difference]] = field(default_factory=dict)

    def step(self) -> None:
        """Called a few times a second."""
        now = self.clock.monotonic()
        for lane in self.lanes():
            desk = lane.desk
            if not desk.account.live or not desk.ready:
                continue
            key = desk.account.account_id
            strangers = desk.counters.get("strangers_traded", 0)
            every = (
                HOLDING_EVERY if desk.books or desk.differences else EMPTY_EVERY
            )  # thousands of positions are not to be counted this often
            if now - self._asked.setdefault(key, now) >= every or strangers != self._strangers.get(key, 0):
                self._asked[key], self._strangers[key] = now, strangers
                lane.put(ComparePositions())
            self._tell(desk)

    def _tell(self, desk: Desk) -> None:
        key, differences = desk.account.account_id, dict(desk.differences)
        before = self._told.get(key, {})
        if differences == before:
            return
        self._told[key] = differences
        for symbol in before.keys() - differences.keys():
            for kind in (DIFFERS, ELSEWHERE):
                self.incidents.resolve(kind, about=f"{key} {symbol}")
        for symbol, difference in differences.items():
            if before.get(symbol) != difference:
                self._raise(desk, difference)

    def _raise(self, desk: Desk, difference: Difference) -> None:
        where = f"{desk.account.name}: {difference.symbol}: {difference.ours} here, {difference.theirs} at the broker"
        if difference.less:
            kind, severity, what = DIFFERS, "critical", "closed or traded elsewhere; exits are limited to what the broker has"
        else:
            kind, severity, what = ELSEWHERE, "warning", "made elsewhere; Tandem neither guards nor closes it"
        about = f"{desk.account.account_id} {difference.symbol}"
        self.incidents.resolve(kind, about=about)
        self.incidents.raise_(kind, severity, f"{where}: {what}", user_id=desk.account.user_id, about=about)
