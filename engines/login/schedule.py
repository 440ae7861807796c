"""When automated log-ins are due: once before each trading day's opening, caught up after a restart, never twice for one day.

`step` returns at once; attempts run one after the other on a thread of their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engines.core.model import Account
from engines.core.sessions import HOME_EXCHANGE, Calendar, closes_at, day_start, session_day
from engines.login.automatic import AutomaticLogin
from engines.login.memory import AutoLogin
from engines.login.reasons import PASSING
from engines.ports import Clock, Sessions

log = logging.getLogger("tandem.login")

BEGINS = (8 * 60 + 15) * 60
"""08:15 IST: after the broker has ended yesterday's sessions for good (06:00, some as late as 07:30), an hour before the opening."""
AGAIN_AFTER = 300.0
"""Seconds between a first attempt that failed for a passing reason and the second and last one."""


def due(account: Account, told: AutoLogin, session_ends: float | None, now: float, calendar: Calendar) -> bool:
    """Whether an attempt is to be made now. `session_ends`: when the stored session ends, None when there is none."""
    if not (account.auto_login and account.enabled and account.broker == "zerodha") or told.stopped:
        return False
    closes = closes_at(now, HOME_EXCHANGE, calendar)
    if closes is None or not day_start(now, HOME_EXCHANGE) + BEGINS <= now < closes:
        return False
    if session_ends is not None and session_ends >= closes:
        return False
    if told.day != session_day(now, HOME_EXCHANGE):
        return True
    return told.failures > 0 and told.reason in PASSING and now - told.at >= AGAIN_AFTER


@dataclass(slots=True)
class LoginSchedule:
    clock: Clock
    calendar: Calendar
    accounts: Callable[[], Sequence[Account]]
    sessions: Sessions
    automatic: AutomaticLogin
    _thread: threading.Thread | None = field(default=None)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def step(self) -> None:
        """Called every few seconds. Starts the attempts that are due, unless some are under way."""
        if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        if waiting := [account.account_id for account in self.accounts() if self._due(account)]:
            self._thread = threading.Thread(target=self._work, args=(waiting,), name="log-ins", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """No attempt begins any more; one that is under way ends by its own time limit."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout)

    def _due(self, account: Account) -> bool:
        if not account.auto_login:
            return False
        session = self.sessions.load(account.account_id)
        ends = None if session is None else session.expires_at if session.expires_at is not None else float("inf")
        return due(account, self.automatic.memory.get(account.account_id), ends, self.clock.now(), self.calendar)

    def _work(self, account_ids: Sequence[str]) -> None:
        for account_id in account_ids:
            if self._stopping.is_set():
                return
            try:
                self.automatic.attempt(account_id, day=session_day(self.clock.now(), HOME_EXCHANGE))
            except Exception as error:  # told by the incident and the account's own page; the next one has its turn
                log.warning("an automated log-in could not be tried: %s", type(error).__name__)
