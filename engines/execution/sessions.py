"""Watches broker sessions: tells before one ends, closes the account's gate when it has, and says so until somebody has signed in again.

It reads what the broker's client knows and the clock; it signs nobody in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.execution.incidents import IncidentLog
from engines.execution.lane import Lane
from engines.ports import Clock

WARN_BEFORE = 1800.0


@dataclass(slots=True)
class SessionWatch:
    clock: Clock
    lanes: Callable[[], Sequence[Lane]]
    incidents: IncidentLog

    def step(self) -> None:
        """Called a few times a second."""
        now = self.clock.now()
        for lane in self.lanes():
            desk = lane.desk
            ends = lane.broker.session_expires_at
            if ends is None or not desk.ready:
                continue
            account_id, name = desk.account.account_id, desk.account.name
            if now >= ends:
                self.incidents.resolve("session_ends_soon", account_id)
                lane.tools.on_needs_login(desk, "the session at the broker has ended: log in again")
            elif now >= ends - WARN_BEFORE:
                minutes = max(1, round((ends - now) / 60))
                self.incidents.raise_("session_ends_soon", "warning", f"{name}: the broker's session ends in {minutes} min", account_id)
            else:
                self.incidents.resolve("session_ends_soon", account_id)
