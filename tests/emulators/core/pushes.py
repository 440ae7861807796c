"""Order updates on their way out of an emulated broker: gathered for a moment so that they leave after the answer, and the mishaps that befall them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.core.faults import PUSH_FAULTS, Fault
from tests.emulators.core.http import Call

if TYPE_CHECKING:
    from tests.emulators.core.emulator import Emulator

DELAY = 0.003
_EARLY = frozenset({Fault.EARLY_UPDATES})


class Pushes:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.muted = False
        self._outbox: list[tuple[EmulatedAccount, Any]] = []
        self._shuffling: dict[str, list[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, pushes: Sequence[tuple[EmulatedAccount, Any]]) -> None:
        self._outbox += pushes
        loop = self._emulator._loop
        if self._timer is None and loop is not None:
            self._timer = loop.call_later(DELAY, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        waiting, self._outbox = self._outbox, []
        for account, push in waiting:
            self._send(account, push)

    def are_early(self, call: Call) -> bool:
        """Whether what this call causes is to be told before it is answered."""
        if not call.pushes or not self._emulator.faults.waiting():
            return False
        return self._emulator.faults.take(call.account.name if call.account else None, "push", _EARLY) is not None

    def _send(self, account: EmulatedAccount, push: Any) -> None:
        if self.muted:
            return
        emulator = self._emulator
        armed = emulator.faults.take(account.name, "push", PUSH_FAULTS - _EARLY)
        fault = armed.fault if armed else None
        if fault is Fault.NO_UPDATES:
            return
        if armed is not None and fault is Fault.LATE_UPDATES:
            emulator.later(armed.seconds, lambda: emulator.send_push(account, push))
            return
        if armed is not None and fault is Fault.SHUFFLED_UPDATES:
            self._shuffle(account, push, armed.seconds or 0.1)
            return
        emulator.send_push(account, push)
        if fault is Fault.REPEATED_UPDATES:
            emulator.send_push(account, push)

    def _shuffle(self, account: EmulatedAccount, push: Any, seconds: float) -> None:
        kept = self._shuffling.setdefault(account.name, [])
        if not kept:
            self._emulator.later(seconds, lambda: self._deal(account))
        kept.append(push)

    def _deal(self, account: EmulatedAccount) -> None:
        kept = self._shuffling.pop(account.name)
        for push in kept[::-1] if len(kept) == 2 else self._emulator.rng.sample(kept, len(kept)):
            self._emulator.send_push(account, push)
