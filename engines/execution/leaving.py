"""How positions are taken out: one exit, or everything until the account is flat. Jobs of the lane, urgent ones.

Whatever leaves is planned here at the last moment, from what is held then, and never more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

from engines.core.facts import PlanChanged
from engines.core.model import ZERO, ExitPlan, Order, OrderState, OrderType, PositionKey, Role, Timestamp
from engines.execution import refused
from engines.execution.compare import compare_now
from engines.execution.desk import Desk
from engines.execution.exits import ExitDesk
from engines.execution.jobs import GoBefore, Send, cancel_in_turn
from engines.execution.lane import Lane
from engines.execution.outcomes import Tracker
from engines.execution.work import AfterDeath
from engines.ports import JournalDown

FLATTEN_EVERY, FLATTEN_AT_LEAST = 0.3, 10.0
"""Seconds between two rounds: the first quickly one after the other, then ever less often, because what was refused ten times will be again."""
UNREADY_PAUSE = 2.0
"""Seconds between two looks while the account is not signed in or not reconciled."""
LOOK_EVERY = 10
"""Rounds between two looks at what the broker really holds, the first before the first close."""
LONGEST_WAIT, TOLD_AFTER = 1.0, 25
"""Seconds between two looks of an exit that waits for the answer to another, and the look with which a person is told (after some 20 seconds)."""


@dataclass(slots=True)
class Exit:
    """Take a position out, in whole or in part: a stop, a target, a close. It is planned here, at the last moment, so that it never exceeds
    what is held (law 7), journaled, and sent at once."""

    desk_exits: ExitDesk
    key: PositionKey
    role: Role
    quantity: Decimal | None = None
    plan: ExitPlan | None = None  # the plan as it is after firing: durable together with the exit it caused
    tracker: Tracker | None = None
    attempt: int = 0
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW_IF_UNMADE
    plan_id: str | None = None  # the exit plan that asks for it
    once: bool = False  # whoever asks looks again by itself
    not_before: float = 0.0  # monotonic; holds while the market is shut: it was refused a moment ago
    # Since when the position is open that is to be taken out; where a plan asks for it, from the first look on.
    opened_at: Timestamp | None = None

    def run(self, lane: Lane) -> None:
        desk = lane.desk
        if self._is_over(desk):
            return
        if not desk.ready:
            lane.put_later(self, 0.2)
            return
        if lane.tools.clock.monotonic() < self.not_before and refused.is_shut(self.desk_exits.market(desk, self.key.symbol)):
            lane.put_later(self, refused.LOOK_EVERY)
            return
        if not self._is_left(desk):
            return
        if self.role is Role.EXIT and self.plan is None and not self.attempt:
            compare_now(lane, at_once=True)  # a person has the time to ask what is really there; a stop has not, its watch asks beforehand
        if not self.once and self._makes_way(lane):
            self._again(lane, 0.1)
            return
        if self._is_short(desk):
            self._wait(lane)
            return
        try:
            orders = self.desk_exits.plan(
                lane, self.key, self.quantity, self.role, self.tracker, self._facts(desk), self.plan_id, goes_before=self._is_close
            )
        except JournalDown:
            self._again(lane, 0.25)  # nothing is sent that is not journaled; the gate is closed and the page says so
            return
        if orders is None:
            self._wait(lane)
            return
        self._send(lane, orders)

    def _send(self, lane: Lane, orders: Sequence[Order]) -> None:
        desk = lane.desk
        for order in orders:
            if order.order_id in desk.behind:
                lane.put(GoBefore(order.order_id, desk.position(self.key).opened_at))
        sends = [Send(order.order_id, urgent=True) for order in orders if order.order_id not in desk.behind]
        while sends:
            try:
                sends.pop(0).run(lane)
            except Exception:  # the lane dies of one; of the others it is known that nothing has left
                for send in sends:
                    lane.put(send)
                raise

    @property
    def _is_close(self) -> bool:
        """A person's own close is on record before what rests at a price is taken back: nobody else knows of it."""
        return self.tracker is not None and self.role is Role.EXIT

    def _is_over(self, desk: Desk) -> bool:
        """The position that was meant has ended while this exit waited: what is held since is another."""
        if self.plan_id is None and self.opened_at is None:
            return False
        with desk.lock:
            opened_at, held = desk.position(self.key).opened_at, desk.holds(self.key)
        before = self.opened_at
        self.opened_at = before or opened_at
        return before is not None and (not held or (opened_at is not None and opened_at > before))

    def _is_left(self, desk: Desk) -> bool:
        """Whether anything of what its plan let go of is still to leave, and no more than that: a person may have closed some of it while this waited, and
        what was bought since is not the plan's."""
        if self.role not in (Role.STOP, Role.SQUARE_OFF):
            return True
        with desk.lock:
            left = desk.left_of(self.key, self.plan_id)
        if left is not None:
            self.quantity = left if self.quantity is None else min(self.quantity, left)
        return left is None or left > ZERO

    def _facts(self, desk: Desk) -> tuple[PlanChanged, ...]:
        """The plan that fired, as it is by now; one that has been replaced or has ended meanwhile says nothing any more."""
        now = desk.plans.get(self.key)
        return (PlanChanged(now),) if self.plan is not None and now is not None and now.plan_id == self.plan.plan_id else ()

    def _makes_way(self, lane: Lane) -> bool:
        """Asks what rests to be taken back; whether something of it is still in the way."""
        for order in (*self._resting_entries(lane.desk), *self._in_the_way(lane.desk)):
            cancel_in_turn(lane, order)
        return bool(self._in_the_way(lane.desk)) and self.attempt < 20

    def _resting_entries(self, desk: Desk) -> list[Order]:
        """A stop or square-off also takes back entries that would build the position up again."""
        if self.role not in (Role.STOP, Role.SQUARE_OFF):
            return []
        with desk.lock:
            mine = [order for order in desk.live_orders() if order.position_key == self.key and order.raises_exposure]
        return [order for order in mine if order.state is not OrderState.UNKNOWN]  # it is being looked for already

    def _in_the_way(self, desk: Desk) -> list[Order]:
        """Resting exits that hold what this one needs: they are cancelled first, so that both can never fill (law 9). One that follows a signal to close
        leaves alone what is at the market: that may be the signal's own. A person's close has orders that wait for what rests at a price."""
        follows = self.role is Role.EXIT and self.tracker is None
        with desk.lock:
            held = abs(desk.position(self.key).quantity)
            wanted = held if self.quantity is None else min(held, self.quantity)
            if held - desk.pending_exits(self.key) >= wanted:
                return []
            return [
                order
                for order in desk.live_orders()
                if order.position_key == self.key
                and not order.raises_exposure
                and order.state in (OrderState.OPEN, OrderState.PARTLY_FILLED)
                and (order.plan_id is None or order.plan_id != self.plan_id)  # what leaves for the same plan is leaving already
                and not (follows and order.order_type is OrderType.MARKET)
                and not (self._is_close and order.order_type is not OrderType.MARKET)
            ]

    def _is_short(self, desk: Desk) -> bool:
        """A target takes all of its share at once, or its rest would be neither sent nor under the stop again."""
        if self.role is not Role.TARGET or self.quantity is None:
            return False
        with desk.lock:
            held = abs(desk.position(self.key).quantity)
            return held - desk.pending_exits(self.key) < min(held, self.quantity)

    def _wait(self, lane: Lane) -> None:
        """What is held is promised to exits without an answer. A plan that has fired fires no second time, so this one stays until they have theirs."""
        if self.attempt == TOLD_AFTER:
            message = f"{self.key.symbol}: a {self.role.value} has fired and waits: what is held is promised to an exit without an answer"
            lane.tools.on_trouble("exit_failed", "critical", message, self.key.account_id)
        self._again(lane, min(0.1 * 1.3 ** min(self.attempt, 10), LONGEST_WAIT))

    def _again(self, lane: Lane, pause: float) -> None:
        if not self.once:
            lane.put_later(replace(self, attempt=self.attempt + 1), pause)


@dataclass(slots=True)
class Progress:
    """How far one account has come in a stop; read by the report, written only by the lane."""

    cancels: set[str] = field(default_factory=set)  # order ids
    closes: set[PositionKey] = field(default_factory=set)
    rounds: int = 0
    detail: str = ""


def pause_after(rounds: int) -> float:
    """Seconds until a flattening looks again: soon at first, then ever less often."""
    return min(FLATTEN_EVERY * 1.3 ** min(max(0, rounds - LOOK_EVERY), 20), FLATTEN_AT_LEAST)


@dataclass(slots=True)
class Flatten:
    """Cancel everything, then close everything, and look again until the account is verifiably flat.

    While `holds` says yes (a halt or kill switch) whatever else turns up is cancelled and closed too; a plain square-off (`holds` None) ends
    what was there when it began and nothing that came later. `strategy_id` narrows it to one strategy's orders and positions.
    """

    desk_exits: ExitDesk
    progress: Progress
    close: bool
    holds: Callable[[], bool] | None = None
    strategy_id: str | None = None
    urgent: bool = True
    after_death: ClassVar[AfterDeath] = AfterDeath.ANEW
    _orders: frozenset[str] | None = None
    _keys: frozenset[PositionKey] | None = None

    def run(self, lane: Lane) -> None:
        if self.holds is not None and not self.holds():
            return  # lifted by a person
        if self.holds is None and self._orders is None:
            with lane.desk.lock:
                live, held = lane.desk.live_orders(), lane.desk.open_positions()
            self._orders = frozenset(order.order_id for order in live)
            # also what an entry that has no answer yet turns out to have bought
            self._keys = frozenset({position.key for position in held} | {order.position_key for order in live if order.raises_exposure})
        if not lane.desk.needs_login:
            self._round(lane)
        if self._to_cancel(lane.desk) or self._to_close(lane.desk):
            lane.put_later(self, pause_after(self.progress.rounds) if lane.desk.ready else UNREADY_PAUSE)
        elif self.holds is not None:
            lane.put_later(self, FLATTEN_AT_LEAST)  # it ends with the stop: an order can be found much later than its account was flat

    def _round(self, lane: Lane) -> None:
        for order in self._to_cancel(lane.desk):
            self._cancel(lane, order)
        if not lane.desk.ready:
            return  # what an unready lane is asked to close now it would do later, and then once too often
        self.progress.rounds += 1
        if self.close and self.progress.rounds % LOOK_EVERY == 1:
            compare_now(lane, at_once=True)
        for key in self._to_close(lane.desk):
            self._close(lane, key)

    def _to_cancel(self, desk: Desk) -> list[Order]:
        """Entries always; exits too when everything is to be closed, except our own square-offs on their way."""
        with desk.lock:
            return [
                order
                for order in desk.live_orders()
                if (order.raises_exposure or (self.close and order.role is not Role.SQUARE_OFF))
                and (self._orders is None or order.order_id in self._orders)
                and self.strategy_id in (None, order.strategy_id)
            ]

    def _to_close(self, desk: Desk) -> list[PositionKey]:
        if not self.close:
            return []
        with desk.lock:
            return [
                position.key
                for position in desk.open_positions()
                if (self._keys is None or position.key in self._keys) and self.strategy_id in (None, position.key.strategy_id)
            ]

    def _cancel(self, lane: Lane, order: Order) -> None:
        self.progress.detail = cancel_in_turn(lane, order)
        self.progress.cancels.add(order.order_id)

    def _close(self, lane: Lane, key: PositionKey) -> None:
        with lane.desk.lock:
            free = lane.desk.free_to_exit(key)
        self.progress.closes.add(key)
        if free > ZERO and refused.is_early(
            lane.desk, key, Role.SQUARE_OFF, self.desk_exits.market(lane.desk, key.symbol), lane.tools.clock.now()
        ):
            self.progress.detail = f"{key.symbol}: refused while its market is shut; asked for again when it opens"
        elif free > ZERO:
            Exit(self.desk_exits, key, Role.SQUARE_OFF, once=True).run(lane)
