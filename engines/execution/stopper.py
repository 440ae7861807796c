"""Stopping: halts that hold before they are acknowledged, kill switches, engine switches, and the way to verifiably flat.

The order of things is the point: the board first (every gate sees it), then the latch file (it survives a restart), then the barrier through every
gate (nobody is still writing), and only then the answer. Cancelling and flattening follow, every account in its own lane.

Whoever sets or lifts anything does so on board, latch and journal under one lock, so that the three never tell of another order of things: a stop that
comes while another is being lifted holds on all of them. A stop is on the board even before its turn. No broker is called under the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engines.core.facts import EngineSwitched, HaltChanged, KillSwitched
from engines.core.model import Account, Halt, HaltScope, OrderState, Timestamp
from engines.crashpoints import crash
from engines.execution.exits import ExitDesk
from engines.execution.halts import HaltBoard, covers, kill_as_halt, off_as_halt
from engines.execution.lane import Lane
from engines.execution.leaving import Flatten, Progress
from engines.execution.views import AccountHalt, HaltReport
from engines.ports import Clock, Ids, Journal, Latch

BARRIER_PATIENCE = 0.1
"""Seconds a stop waits for a write in progress before it cuts that connection."""
STUCK_AFTER = 10.0


@dataclass(slots=True)
class _Running:
    """A stop at work: what each account has done so far."""

    halt: Halt
    began: float
    progress: dict[str, Progress] = field(default_factory=dict)


@dataclass(slots=True)
class Stopper:
    board: HaltBoard
    latch: Latch
    journal: Journal
    clock: Clock
    ids: Ids
    exits: ExitDesk
    lanes: Callable[[], Sequence[Lane]]
    tell: Callable[[str, str | None, Mapping[str, Any]], None]
    on_trouble: Callable[[str, str, str, str | None], None]
    running: dict[str, _Running] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    # --- halts

    def stop(self, scope: HaltScope, scope_id: str | None, reason: str, by: str, flatten: bool) -> tuple[Halt, bool]:
        """Halt now; when this returns no exposure-raising order of the scope will be written to any socket (law 4). A stop of everything, or of
        a person, switches those engines off as well: it ends with lift and start, also where the machine dies in the middle of it. One that holds
        already does all of it again: engines may be on again since, and accounts there that were not."""
        asked = Halt(self.ids.new(), scope, scope_id, reason, self.clock.now(), by, flatten)
        early = self.board.add(asked)
        with self._changing:
            added = self.board.add(asked)  # again: it may have been lifted before its turn came
            halt = added.halt
            created = added.created or halt.halt_id not in self.running
            whose = [scope_id if scope is HaltScope.USER else None] if scope in (HaltScope.SYSTEM, HaltScope.USER) else []
            off = [user_id for user_id in whose if created or not self._are_off(user_id)]
            kept = [self._put_off(user_id, by, asked.since) for user_id in off]  # on disk before the halt that they belong to
            # Also what holds already: its latch may have failed.
            kept += [self.latch.set(off_as_halt(user_id, asked.since, by)) for user_id in whose if user_id not in off]
            kept.append(self.latch.set(halt))
            if created or early.widened or added.widened:
                self.journal.append(HaltChanged(halt))
            self.running.setdefault(halt.halt_id, _Running(halt, self.clock.monotonic()))
        self._told_if_lost(all(kept))
        lanes = self._lanes_of(halt)
        self.barrier(lanes)  # also for one that holds already: whoever set it may still be on the way through the gates
        crash("after-halt-before-flatten")
        self._begin(halt.halt_id, lanes)
        self.tell("halt", None, {"halt": halt})
        for user_id in off:
            self.tell("engine", user_id, {"on": False})
        return halt, created

    def _are_off(self, user_id: str | None) -> bool:
        """Off for good and not only for this run. The caller holds the lock."""
        record = off_as_halt(user_id, self.clock.now(), "").halt_id
        return self.board.is_off(user_id) and any(halt.halt_id == record for halt in self.latch.active())

    def _put_off(self, user_id: str | None, by: str, now: Timestamp) -> bool:
        """Engines off, on board, latch and journal; False when it is not on disk. The caller holds the lock and passes the barrier."""
        self.board.switch_engines(False, user_id)
        kept = self.latch.set(off_as_halt(user_id, now, by))
        self.journal.append(EngineSwitched(False, user_id, by, now))
        return kept

    def _told_if_lost(self, kept: bool) -> None:
        if not kept:
            self.on_trouble(
                "halt_not_durable", "critical", "The stop holds, but could not be written to disk: a restart would lose it", None
            )

    def _unlatch(self, halt_id: str) -> bool:
        """False when it stays on disk."""
        return all(halt.halt_id != halt_id for halt in self.latch.active()) or self.latch.lift(halt_id)

    def _told_if_it_stays(self, lifted: bool) -> None:
        if not lifted:
            self.on_trouble("halt_not_durable", "critical", "The lift could not be written to disk: a restart brings the stop back", None)

    def barrier(self, lanes: Sequence[Lane]) -> None:
        """Pass through every gate; a lane that is still writing after the patience has its connection cut (its order becomes unknown)."""
        for lane in lanes:
            if not lane.gate.pass_through(BARRIER_PATIENCE):
                lane.broker.abort()
                lane.gate.pass_through(BARRIER_PATIENCE)

    def resume(self, halts: Sequence[Halt], killed: Sequence[Halt]) -> None:
        """After a restart the halts and kill switches still hold and their flattening goes on."""
        for halt in halts:
            self._begin(halt.halt_id, self._lanes_of(halt))
        for halt in killed:
            for lane in self._lanes_of(halt):
                self._close_killed(lane)

    def _begin(self, halt_id: str, lanes: Sequence[Lane]) -> None:
        """Cancel and close as the halt asks for by now; what was begun for it before ends with that, and its figures go on."""
        with self._changing:
            halt = self.board.find(halt_id)
            if halt is None:
                return  # lifted meanwhile
            before = self.running.get(halt_id)
            running = self.running[halt_id] = _Running(halt, self.clock.monotonic())
            if before is not None:
                running.progress |= {key: replace(done, rounds=0) for key, done in before.progress.items()}
            for lane in lanes:
                progress = running.progress.setdefault(lane.desk.account.account_id, Progress())
                lane.put(
                    Flatten(
                        self.exits,
                        progress,
                        close=halt.flatten,
                        holds=lambda: self.board.find(halt_id) is not None and self.running.get(halt_id) is running,
                        strategy_id=halt.scope_id if halt.scope is HaltScope.STRATEGY else None,
                    )
                )

    def lift(self, halt_id: str, by: str) -> Halt | None:
        with self._changing:
            lifted = self.board.lift(halt_id, by, self.clock.now())
            if lifted is None:
                return None
            gone = self._unlatch(halt_id)
            self.journal.append(HaltChanged(lifted))
        self._told_if_it_stays(gone)
        if halt_id in self.running:
            self.running[halt_id].halt = lifted
        self.tell("halt", None, {"halt": lifted})
        return lifted

    def report(self, halt_id: str) -> HaltReport | None:
        running = self.running.get(halt_id)
        if running is None:
            halt = self.board.find(halt_id)
            return HaltReport(halt, ()) if halt else None
        lanes = {lane.desk.account.account_id: lane for lane in self.lanes()}
        rows = [self._row(lanes[key], progress, running) for key, progress in running.progress.items() if key in lanes]
        return HaltReport(running.halt, rows)

    def _row(self, lane: Lane, progress: Progress, running: _Running) -> AccountHalt:
        desk = lane.desk
        with desk.lock:
            orders = [order for order in desk.live_orders() if order.raises_exposure or running.halt.flatten]
            positions = desk.open_positions()
            gone = [p for p in positions if (d := desk.differences.get(p.key.symbol)) is not None and not d.theirs]
            elsewhere = [d for d in desk.differences.values() if d.theirs and (not d.ours or d.less)]
            cancelled = sum(desk.orders[key].state is OrderState.CANCELLED for key in progress.cancels if key in desk.orders)
            flattened = sum(not desk.position(key).quantity for key in progress.closes)
        unknown = sum(order.state is OrderState.UNKNOWN for order in orders)
        flat = not orders and len(positions) == len(gone) and not elsewhere
        kept = not orders and not running.halt.flatten  # as far as it was asked to go
        late = self.clock.monotonic() - running.began > STUCK_AFTER or not desk.ready
        detail = progress.detail
        if unknown:
            detail = f"{unknown} order(s) unknown, asking the broker"
        elif not desk.ready:
            detail = desk.state_detail
        elif elsewhere:
            detail = f"the broker holds {', '.join(f'{d.theirs} {d.symbol}' for d in elsewhere)} that Tandem did not make: close it there"
        elif kept:
            detail = "positions stay open, with their stops, as asked"
        return AccountHalt(
            account_id=desk.account.account_id,
            cancelled=cancelled,
            flattened=flattened,
            open_orders=len(orders),
            open_positions=len(positions),
            state="flat" if flat else "stuck" if late and not kept else "working",
            detail=detail if not flat else "closed elsewhere: the broker has none of what our books still show" if gone else "",
        )

    def _lanes_of(self, halt: Halt) -> list[Lane]:
        return [lane for lane in self.lanes() if covers(halt, lane.desk.account, None) or halt.scope is HaltScope.STRATEGY]

    # --- switches

    def switch_engines(self, on: bool, user_id: str | None, by: str) -> Halt | None:
        """Off denies entries and leaves positions guarded; like a stop, it holds before this returns, and over a restart. On answers the stop that holds by
        now and changes nothing then: it may have been asked for before that was pressed, and a lift alone must not let anything trade."""
        now = self.clock.now()
        if on:
            with self._changing:
                holds = self.board.held(HaltScope.SYSTEM, None) or (self.board.held(HaltScope.USER, user_id) if user_id else None)
                if holds is not None:
                    return holds
                self.board.switch_engines(True, user_id)
                gone = self._unlatch(off_as_halt(user_id, now, by).halt_id)
                self.journal.append(EngineSwitched(True, user_id, by, now))
            self._told_if_it_stays(gone)
        else:
            self.board.switch_engines(False, user_id)
            with self._changing:
                kept = self._put_off(user_id, by, now)
            self._told_if_lost(kept)
            self.barrier([lane for lane in self.lanes() if user_id is None or lane.desk.account.user_id == user_id])
        self.tell("engine", user_id, {"on": on})
        return None

    def switch_kill(self, account: Account, lane: Lane | None, on: bool, reason: str, by: str, flatten: bool) -> None:
        """On: no entry of the account leaves once this returns, also after a restart; `flatten`, once asked for, holds for as long as the switch is on."""
        key, now = account.account_id, self.clock.now()
        if on:
            self.board.switch_kill(key, True, reason, flatten)
        with self._changing:
            kill = self.board.switch_kill(key, on, reason, flatten)
            record = kill_as_halt(key, reason, now, by, kill is not None and kill.flatten)
            done = self._unlatch(record.halt_id) if kill is None else self.latch.set(record)
            self.journal.append(KillSwitched(key, on, reason, by, now))
        if kill is None:
            self._told_if_it_stays(done)
            return
        self._told_if_lost(done)
        if lane is not None:
            self.barrier([lane])
            self._close_killed(lane)

    def _close_killed(self, lane: Lane) -> None:
        key = lane.desk.account.account_id
        kill = self.board.kill(key)
        if kill is not None:
            lane.put(Flatten(self.exits, Progress(), close=kill.flatten, holds=lambda: self._is_on(key, kill.number)))

    def _is_on(self, account_id: str, number: int) -> bool:
        kill = self.board.kill(account_id)
        return kill is not None and kill.number == number
