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


def due_by_key(account: Account, tried: str | None, session_ends: float | None, now: float, calendar: Calendar) -> bool:
    """Whether an account whose keys alone sign it in (Angel One: PIN and one-time code, by its API) is to do so now: its session of yesterday ended
    at midnight. `tried`: the session day of the last attempt."""
    if account.broker != "angelone" or not account.enabled or tried == session_day(now, HOME_EXCHANGE):
        return False
    closes = closes_at(now, HOME_EXCHANGE, calendar)
    if closes is None or not day_start(now, HOME_EXCHANGE) + BEGINS <= now < closes:
        return False
    return session_ends is None or session_ends < closes


@dataclass(slots=True)
class LoginSchedule:
    clock: Clock
    calendar: Calendar
    accounts: Callable[[], Sequence[Account]]
    sessions: Sessions
    automatic: AutomaticLogin
    connect: Callable[[str], object]
    _tried: dict[str, str] = field(default_factory=dict)  # account id → the session day of its last sign-in by key
    _thread: threading.Thread | None = field(default=None)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def step(self) -> None:
        """Called every few seconds. Starts the attempts that are due, unless some are under way."""
        if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        accounts = self.accounts()
        waiting = [account.account_id for account in accounts if self._due(account)]
        by_key = [account.account_id for account in accounts if self._due_by_key(account)]
        if waiting or by_key:
            self._thread = threading.Thread(target=self._work, args=(waiting, by_key), name="log-ins", daemon=True)
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

    def _due_by_key(self, account: Account) -> bool:
        if account.broker != "angelone":
            return False
        session = self.sessions.load(account.account_id)
        ends = None if session is None else session.expires_at
        return due_by_key(account, self._tried.get(account.account_id), ends, self.clock.now(), self.calendar)

    def _work(self, account_ids: Sequence[str], by_key: Sequence[str]) -> None:
        for account_id in by_key:
            self._tried[account_id] = session_day(self.clock.now(), HOME_EXCHANGE)
            try:
                self.connect(account_id)
            except Exception as error:  # the account's own state says why
                log.warning("an account could not sign in by its keys: %s", type(error).__name__)
        for account_id in account_ids:
            if self._stopping.is_set():
                return
            try:
                self.automatic.attempt(account_id, day=session_day(self.clock.now(), HOME_EXCHANGE))
            except Exception as error:  # told by the incident and the account's own page; the next one has its turn
                log.warning("an automated log-in could not be tried: %s", type(error).__name__)
