"""The trigger book at work: every tick is held against all armed stops, targets and trails, and what fires becomes an exit in its account's lane.

Runs on the feed's thread and does no I/O: a tick that fires nothing costs one comparison, a trail is moved here and now, and an exit is only
handed over. A stop fires at most once, and only on a fresh, sane price.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf

from engines.core import exits as exit_rules
from engines.core.bars import Levels, nearest
from engines.core.model import ExitPlan, PlanState, PositionKey, Tick
from engines.core.triggers import Level, TriggerBook
from engines.execution.desk import Desk

Fire = Callable[[Desk, ExitPlan, Sequence[exit_rules.ExitOrder]], None]


@dataclass(slots=True)
class _Guarded:
    desk: Desk
    key: PositionKey


class Guard:
    def __init__(self, now: Callable[[], float], exact: Callable[[Tick], Decimal | None], fire: Fire) -> None:
        self._now = now
        self._exact = exact  # this very tick's price: by the end of a batch the newest may be another
        self._fire = fire
        self._lock = threading.Lock()
        self._book = TriggerBook()
        self._guarded: dict[str, _Guarded] = {}
        self.fired = 0

    def watch(self, desk: Desk, plan: ExitPlan) -> None:
        """Arm, re-arm or disarm: called with every change of a plan, under its desk's lock."""
        with self._lock:
            if plan.state is PlanState.ARMED:
                self._guarded[plan.plan_id] = _Guarded(desk, plan.key)
                self._book.set(plan.plan_id, exit_rules.levels(plan))
            else:
                self._guarded.pop(plan.plan_id, None)
                self._book.remove(plan.plan_id)

    def on_ticks(self, ticks: Iterable[Tick]) -> None:
        for tick in ticks:
            with self._lock:
                hits = self._book.on_tick(tick.symbol, tick.last_price)
                owners = {hit.owner_id: self._guarded.get(hit.owner_id) for hit in hits}
            for plan_id, guarded in owners.items():
                if guarded is not None:
                    self._touch(plan_id, guarded, tick)

    def levels(self, symbol: str) -> Levels:
        """Where the next stop or target of any account fires; a trail follows between two corners of a bar to where a jump would take it."""
        with self._lock:
            waiting = self._book.waiting(symbol)
        return nearest(*(_as_levels(level) for level in waiting if level.leg != "trail"))

    def armed(self) -> int:
        return len(self._guarded)

    def _touch(self, plan_id: str, guarded: _Guarded, tick: Tick) -> None:
        price = self._exact(tick)
        if price is None:
            return
        desk = guarded.desk
        with desk.lock:
            plan = desk.plans.get(guarded.key)
            if plan is None or plan.plan_id != plan_id or plan.state is not PlanState.ARMED:
                return
            changed, exits = exit_rules.on_price(plan, price, self._now())
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
