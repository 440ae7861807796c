"""What forbids exposure-raising orders: halts, engine switches and kill switches, in memory and read on every send.

The board only answers "may this account raise exposure, and if not, why". It never touches a database: the latch file keeps halts over
a restart, the journal keeps the switches, and both are written by whoever changes the board. A switch that forbids is put down in the latch as well, as a
halt of its own kind: what a person was told is stopped stays stopped, whether or not the journal came to write it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from engines.core.model import Account, Denial, Halt, HaltScope, Timestamp


def covers(halt: Halt, account: Account, strategy_id: str | None) -> bool:
    """Whether the halt forbids entries of this account (and strategy)."""
    match halt.scope:
        case HaltScope.SYSTEM:
            return True
        case HaltScope.USER:
            return halt.scope_id == account.user_id
        case HaltScope.ACCOUNT:
            return halt.scope_id == account.account_id
        case HaltScope.STRATEGY:
            return halt.scope_id == strategy_id


@dataclass(frozen=True, slots=True)
class Added:
    halt: Halt  # the one that holds now
    created: bool
    widened: bool = False  # it held before, and closes positions from now on


_KILL, _OFF = "kill:", "off:"


def kill_as_halt(account_id: str, reason: str, since: Timestamp, by: str, flatten: bool) -> Halt:
    """A kill switch that is on, as the latch keeps it."""
    return Halt(_KILL + account_id, HaltScope.ACCOUNT, account_id, reason, since, by, flatten)


def off_as_halt(user_id: str | None, since: Timestamp, by: str) -> Halt:
    """Engines that are off, of a person or (None) of all, as the latch keeps them."""
    scope = HaltScope.SYSTEM if user_id is None else HaltScope.USER
    return Halt(_OFF + (user_id or ""), scope, user_id, "", since, by, flatten=False)


@dataclass(frozen=True, slots=True)
class Latched:
    """What a latch holds, by kind."""

    halts: Sequence[Halt]
    killed: Sequence[Halt]
    off: Sequence[Halt]


def latched(active: Sequence[Halt]) -> Latched:
    return Latched(
        halts=[halt for halt in active if not halt.halt_id.startswith((_KILL, _OFF))],
        killed=[halt for halt in active if halt.halt_id.startswith(_KILL)],
        off=[halt for halt in active if halt.halt_id.startswith(_OFF)],
    )


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill switch that is on."""

    reason: str
    flatten: bool  # closes positions too, once anybody asked for it
    number: int  # tells this switching-on from every other: what an earlier one began ends with it


class HaltBoard:
    """Every change replaces a whole immutable value, so that readers need no lock; writers take one among themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._halts: tuple[Halt, ...] = ()
        self._off: frozenset[str | None] = frozenset()
        self._killed: Mapping[str, Kill] = {}
        self._switched_on = 0  # how many kill switches so far
        self._journal_down = False

    # --- reading

    @property
    def halts(self) -> Sequence[Halt]:
        return self._halts

    def denial(self, account: Account, strategy_id: str | None) -> Denial | None:
        """Why this account may not raise exposure now, or None. Cheap: asked again under the gate of every send."""
        if self._journal_down or None in self._off or account.user_id in self._off:
            return Denial.HALTED
        if self._halts and any(covers(halt, account, strategy_id) for halt in self._halts):
            return Denial.HALTED
        if account.account_id in self._killed:
            return Denial.KILL_SWITCH
        return None

    def find(self, halt_id: str) -> Halt | None:
        return next((halt for halt in self._halts if halt.halt_id == halt_id), None)

    def held(self, scope: HaltScope, scope_id: str | None) -> Halt | None:
        """The halt that already covers the whole of this scope, if one does."""
        for halt in self._halts:
            if (halt.scope, halt.scope_id) == (scope, scope_id):
                return halt
        return None

    def halted(self, account: Account) -> Halt | None:
        return next((halt for halt in self._halts if covers(halt, account, None)), None)

    def engines_on(self, user_id: str | None) -> bool:
        return None not in self._off and (user_id is None or user_id not in self._off)

    def is_off(self, user_id: str | None) -> bool:
        """Whether this switch itself is off; that of the whole system (None) is another."""
        return user_id in self._off

    def kill_reason(self, account_id: str) -> str | None:
        kill = self._killed.get(account_id)
        return None if kill is None else kill.reason

    def kill(self, account_id: str) -> Kill | None:
        return self._killed.get(account_id)

    @property
    def journal_down(self) -> bool:
        return self._journal_down

    # --- changing

    def restore(
        self, halts: Sequence[Halt], off: Sequence[str | None], killed: Mapping[str, str], closing: Collection[str | None] = ()
    ) -> None:
        """`killed`: accounts and reasons; `closing`: those of them whose kill switch closes positions as well."""
        with self._lock:
            self._halts, self._off, self._killed = tuple(halts), frozenset(off), {}
        for account_id, reason in killed.items():
            self.switch_kill(account_id, True, reason, account_id in closing)

    def add(self, halt: Halt) -> Added:
        """Set the halt, or keep the one that already holds for the same scope; whoever asks for positions to be closed as well gets that."""
        with self._lock:
            existing = self.held(halt.scope, halt.scope_id)
            if existing is None:
                self._halts = (*self._halts, halt)
                return Added(halt, True)
            if existing.flatten or not halt.flatten:
                return Added(existing, False)
            wider = replace(existing, flatten=True)
            self._halts = tuple(wider if each is existing else each for each in self._halts)
            return Added(wider, False, widened=True)

    def lift(self, halt_id: str, by: str, now: Timestamp) -> Halt | None:
        with self._lock:
            halt = self.find(halt_id)
            if halt is None:
                return None
            self._halts = tuple(h for h in self._halts if h.halt_id != halt_id)
            return replace(halt, lifted_at=now, lifted_by=by)

    def switch_engines(self, on: bool, user_id: str | None) -> None:
        with self._lock:
            self._off = self._off - {user_id} if on else self._off | {user_id}

    def switch_kill(self, account_id: str, on: bool, reason: str, flatten: bool = False) -> Kill | None:
        """What holds now. One that is on already stays the same one, and goes on closing positions if it did."""
        with self._lock:
            others = {key: kill for key, kill in self._killed.items() if key != account_id}
            if not on:
                self._killed = others
                return None
            before = self._killed.get(account_id)
            if before is None:
                self._switched_on += 1
            kill = Kill(reason, flatten, self._switched_on) if before is None else Kill(reason, before.flatten or flatten, before.number)
            self._killed = others | {account_id: kill}
            return kill

    def set_journal_down(self, down: bool) -> None:
        self._journal_down = down
