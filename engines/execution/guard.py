"""The trigger book at work: every tick is held against all armed stops, targets and trails, and what fires becomes an exit in its account's lane.

Runs on the feed's thread and does no I/O: a tick that fires nothing costs one comparison, a trail is moved here and now, and an exit is only
handed over. A stop fires at most once, and only on a fresh, sane price. A plan whose deadline has come leaves with the next price of its instrument
or, while its market is open, by the clock alone.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from engines.core import exits as exit_rules
from engines.core.bars import Levels, nearest
from engines.core.model import ExitPlan, PlanState, PositionKey, Tick, Timestamp
from engines.core.triggers import Level, TriggerBook
from engines.execution.desk import Desk

Fire = Callable[[Desk, ExitPlan, Sequence[exit_rules.ExitOrder]], None]
Rule = Callable[[ExitPlan], tuple[ExitPlan, tuple[exit_rules.ExitOrder, ...]]]


@dataclass(slots=True)
class _Guarded:
    desk: Desk
    key: PositionKey
    deadline: Timestamp | None = None  # waits in the heap, or is due


class Guard:
    def __init__(
        self,
        now: Callable[[], float],
        exact: Callable[[Tick], Decimal | None],
        fire: Fire,
        opened: Callable[[str], bool],
    ) -> None:
        """`opened`: whether the market of a symbol is open now; an exit by the clock alone waits for it, or for a price."""
        self._now = now
        self._exact = exact  # this very tick's price: by the end of a batch the newest may be another
        self._fire = fire
        self._opened = opened
        self._lock = threading.Lock()
        self._book = TriggerBook()
        self._guarded: dict[str, _Guarded] = {}
        self._deadlines: list[tuple[Timestamp, str]] = []  # a heap; what has changed since is passed over
        self._next_deadline = inf
        self._due: dict[str, set[str]] = {}  # symbol → plans whose deadline has come
        self.fired = 0

    def watch(self, desk: Desk, plan: ExitPlan) -> None:
        """Arm, re-arm or disarm: called with every change of a plan, under its desk's lock."""
        with self._lock:
            if plan.state is PlanState.ARMED:
                guarded = self._guarded.get(plan.plan_id)
                if guarded is None:
                    guarded = self._guarded[plan.plan_id] = _Guarded(desk, plan.key)
                self._book.set(plan.plan_id, exit_rules.levels(plan))
                self._await(plan, guarded)
            else:
                self._guarded.pop(plan.plan_id, None)
                self._book.remove(plan.plan_id)
                self._forget_due(plan)

    def on_ticks(self, ticks: Iterable[Tick]) -> None:
        self._gather(self._now())
        failed: list[Exception] = []
        for tick in ticks:
            with self._lock:
                hits = self._book.on_tick(tick.symbol, tick.last_price)
                owners = {hit.owner_id: self._guarded.get(hit.owner_id) for hit in hits}
                owners |= {plan_id: self._guarded.get(plan_id) for plan_id in self._due.get(tick.symbol, ())}
            for plan_id, guarded in owners.items():
                if guarded is not None:
                    self._touch(plan_id, guarded, tick, failed)
        if failed:
            raise failed[0]

    def on_clock(self, now: Timestamp) -> None:
        """Deadlines that have come, where the market is open; one comparison when there is none. Safe from any thread, a plan leaves once."""
        self._gather(now)
        if not self._due:
            return
        with self._lock:
            due = [
                (plan_id, self._guarded.get(plan_id)) for symbol, plans in self._due.items() for plan_id in plans if self._opened(symbol)
            ]
        failed: list[Exception] = []
        for plan_id, guarded in due:
            if guarded is not None:
                self._try(plan_id, guarded, lambda plan: exit_rules.on_time(plan, now), failed)
        if failed:
            raise failed[0]

    def levels(self, symbol: str) -> Levels:
        """Where the next stop or target of any account fires; a trail follows between two corners of a bar to where a jump would take it."""
        with self._lock:
            waiting = self._book.waiting(symbol)
        return nearest(*(_as_levels(level) for level in waiting if level.leg != "trail"))

    def deadline(self, symbol: str) -> Timestamp:
        """When the next plan on this symbol ends by the clock."""
        if self._next_deadline == inf:
            return inf
        now = self._now()
        with self._lock:
            mine = [guarded.deadline for guarded in self._guarded.values() if guarded.key.symbol == symbol]
        return min((deadline for deadline in mine if deadline is not None and deadline > now), default=inf)

    def armed(self) -> int:
        return len(self._guarded)

    # --- deadlines

    def _await(self, plan: ExitPlan, guarded: _Guarded) -> None:
        """Under the lock. A deadline that a person has moved is waited for anew."""
        if plan.deadline == guarded.deadline:
            return
        self._forget_due(plan)
        guarded.deadline = plan.deadline
        if plan.deadline is not None:
            heapq.heappush(self._deadlines, (plan.deadline, plan.plan_id))
            self._next_deadline = self._deadlines[0][0]

    def _gather(self, now: Timestamp) -> None:
        if now < self._next_deadline:
            return
        with self._lock:
            while self._deadlines and self._deadlines[0][0] <= now:
                moment, plan_id = heapq.heappop(self._deadlines)
                guarded = self._guarded.get(plan_id)
                if guarded is not None and guarded.deadline == moment:
                    self._due.setdefault(guarded.key.symbol, set()).add(plan_id)
            self._next_deadline = self._deadlines[0][0] if self._deadlines else inf

    def _forget_due(self, plan: ExitPlan) -> None:
        """Under the lock."""
        due = self._due.get(plan.key.symbol)
        if due is not None:
            due.discard(plan.plan_id)
            if not due:
                del self._due[plan.key.symbol]

    # --- one plan

    def _touch(self, plan_id: str, guarded: _Guarded, tick: Tick, failed: list[Exception]) -> None:
        def rule(plan: ExitPlan) -> tuple[ExitPlan, tuple[exit_rules.ExitOrder, ...]]:
            price = self._exact(tick)
            return (plan, ()) if price is None else exit_rules.on_price(plan, price, self._now())

        self._try(plan_id, guarded, rule, failed)

    def _try(self, plan_id: str, guarded: _Guarded, rule: Rule, failed: list[Exception]) -> None:
        """One plan that cannot be stepped keeps no other from its stop, and waits for the next price itself; its fault is raised when all have had their turn."""
        try:
            self._step(plan_id, guarded, rule)
        except Exception as error:
            failed.append(error)
            with guarded.desk.lock:
                plan = guarded.desk.plans.get(guarded.key)
                if plan is not None and plan.plan_id == plan_id and plan.state is PlanState.ARMED:
                    self.watch(guarded.desk, plan)

    def _step(self, plan_id: str, guarded: _Guarded, rule: Rule) -> None:
        desk = guarded.desk
        with desk.lock:
            plan = desk.plans.get(guarded.key)
            if plan is None or plan.plan_id != plan_id or plan.state is not PlanState.ARMED:
                return
            changed, exits = rule(plan)
            if changed == plan:
                self.watch(desk, plan)  # what fired has left the book; nothing came of it, so it is armed again
            else:
                # The fact of a plan that fired travels with its exit: were it durable alone, a crash in between would leave
                # a position with neither stop nor exit.
                desk.replace_plan(changed, journal=not exits)
        if exits:
            self.fired += 1
            self._fire(desk, changed, exits)


def _as_levels(level: Level) -> Levels:
    """A stop or target as (limit buy, stop sell, limit sell, stop buy)."""
    stop, price = level.leg == "stop", level.price
    if level.direction == "down":
        return (-inf, price, inf, inf) if stop else (price, -inf, inf, inf)
    return (-inf, -inf, inf, price) if stop else (-inf, -inf, price, inf)
