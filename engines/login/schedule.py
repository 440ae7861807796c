"""Which automated log-ins are due: once before each trading day's opening, caught up after a restart, never twice for one day.

When a day's log-ins may begin and until when is the clock of the day's to say. `step` returns at once; attempts run one after the other on a thread of
their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engines.core.model import Account, RunState, Timestamp
from engines.core.sessions import HOME_EXCHANGE, session_day
from engines.core.timetable import Ended, Job
from engines.login.automatic import AutomaticLogin
from engines.login.memory import AutoLogin
from engines.login.reasons import PASSING
from engines.ports import Clock, Sessions

log = logging.getLogger("tandem.login")

AGAIN_AFTER = 300.0
"""Seconds between a first attempt that failed for a passing reason and the second and last one."""


def due(account: Account, told: AutoLogin, session_ends: float | None, now: float, until: Timestamp | None) -> bool:
    """Whether an attempt is to be made now. `session_ends`: when the stored session ends, None when there is none. `until`: when the day's log-ins are
    over (the market closes), None while they have not begun."""
    if not (account.auto_login and account.enabled and account.broker == "zerodha") or told.stopped:
        return False
    if until is None or now >= until or (session_ends is not None and session_ends >= until):
        return False
    if told.day != session_day(now, HOME_EXCHANGE):
        return True
    return told.failures > 0 and told.reason in PASSING and now - told.at >= AGAIN_AFTER


def due_by_key(account: Account, tried: str | None, session_ends: float | None, now: float, until: Timestamp | None) -> bool:
    """Whether an account whose keys alone sign it in (Angel One: PIN and one-time code, by its API) is to do so now: its session of yesterday ended
    at midnight. `tried`: the session day of the last attempt."""
    if account.broker != "angelone" or not account.enabled or tried == session_day(now, HOME_EXCHANGE):
        return False
    if until is None or now >= until:
        return False
    return session_ends is None or session_ends < until


@dataclass(slots=True)
class LoginSchedule:
    clock: Clock
    until: Callable[[], Timestamp | None]
    """When the day's log-ins are over; None while they have not begun."""
    accounts: Callable[[], Sequence[Account]]
    sessions: Sessions
    automatic: AutomaticLogin
    connect: Callable[[str], object]
    _tried: dict[str, str] = field(default_factory=dict)  # account id → the session day of its last sign-in by key
    _thread: threading.Thread | None = field(default=None)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> None:
        """Called every few seconds. Starts the attempts that are due, unless some are under way."""
        with self._lock:  # the timetable's job and the schedule's own thread both ask
            if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            accounts = self.accounts()
            waiting = [account.account_id for account in accounts if self._due(account)]
            by_key = [account.account_id for account in accounts if self._due_by_key(account)]
            if waiting or by_key:
                self._thread = threading.Thread(target=self._work, args=(waiting, by_key), name="log-ins", daemon=True)
                self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way, or one is due that `step` has yet to begin."""
        if self._thread is not None and self._thread.is_alive():
            return True
        return not self._stopping.is_set() and any(self._due(account) or self._due_by_key(account) for account in self.accounts())

    def signed_in(self) -> tuple[int, int]:
        """How many of the accounts that sign in by themselves have a session, and how many there are."""
        wanted = [account for account in self.accounts() if account.enabled and (account.auto_login or account.broker == "angelone")]
        now = self.clock.now()
        sessions = [self.sessions.load(account.account_id) for account in wanted]
        there = [session for session in sessions if session is not None and (session.expires_at is None or session.expires_at > now)]
        return len(there), len(wanted)

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
        return due(account, self.automatic.memory.get(account.account_id), ends, self.clock.now(), self.until())

    def _due_by_key(self, account: Account) -> bool:
        if account.broker != "angelone":
            return False
        session = self.sessions.load(account.account_id)
        ends = None if session is None else session.expires_at
        return due_by_key(account, self._tried.get(account.account_id), ends, self.clock.now(), self.until())

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


@dataclass(frozen=True, slots=True)
class MorningLogIns:
    """The job of the timetable that begins the day's log-ins. Later tries of what failed for a passing reason are the schedule's own."""

    schedule: LoginSchedule
    stands: bool = False

    def begin(self, job: Job) -> MorningLogIns:  # noqa: ARG002 - the same for every day
        return self

    def step(self, now: Timestamp) -> Ended | None:  # noqa: ARG002 - the schedule has its own clock
        self.schedule.step()
        if self.schedule.busy:
            return None
        there, wanted = self.schedule.signed_in()
        if not wanted:
            return Ended(RunState.DONE, "no account signs in by itself")
        return Ended(RunState.DONE if there == wanted else RunState.FAILED, f"{there} of {wanted} accounts signed in")

    def missed(self, job: Job) -> str:  # noqa: ARG002
        return "the market had closed"
