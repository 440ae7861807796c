"""The automated log-in of one account, for whoever asked for it: one attempt at a time, every outcome kept, stopped after two failures.

It decides whether an attempt may be made and what came of it; the browser is a program of its own. It never repeats an attempt by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engines.login.browser import Task
from engines.login.memory import MOST_FAILURES, AutoLogin, Memory
from engines.login.program import Outcome, run_browser
from engines.login.reasons import PASSING, WORDS, LoginFailed, Reason
from engines.login.zerodha import ZerodhaSignIn
from engines.ports import Clock, JournalDown, TandemError

log = logging.getLogger("tandem.login")

NEEDED = ("user_id", "password", "totp_secret")
"""What a browser must know to sign in by itself, besides the app's key and secret."""


class Busy(TandemError):
    """An attempt for this account is under way."""


@dataclass(slots=True)
class AutomaticLogin:
    """`address`: the log-in page of an api key; `tell` gets the account and, when it failed, why ("" when it is well)."""

    clock: Clock
    sign_in: ZerodhaSignIn
    credentials: Callable[[str], Mapping[str, str]]
    memory: Memory
    address: Callable[[str], str]
    tell: Callable[[str, str], None]
    run: Callable[[Task], Outcome] = run_browser
    seconds: float = 60.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: set[str] = field(default_factory=set)
    _steps: dict[str, int] = field(default_factory=dict)

    def attempt(self, account_id: str, *, day: str | None = None) -> AutoLogin:
        """Sign in now and answer what came of it. `day`: the attempt is the schedule's for this day. Raises Busy, or JournalDown before anything
        was tried: an attempt that cannot be counted is not made."""
        with self._lock:
            if account_id in self._running:
                raise Busy("A log-in for this account is under way.")
            self._running.add(account_id)
        try:
            return self._attempt(account_id, day)
        finally:
            with self._lock:
                self._running.discard(account_id)

    def _attempt(self, account_id: str, day: str | None) -> AutoLogin:
        before = self.memory.get(account_id)
        counted = replace(before, day=before.day if day is None else day, at=self.clock.now(), failures=before.failures + 1)
        self.memory.save(
            replace(counted, reason=Reason.CRASHED.value, message=WORDS[Reason.CRASHED])
        )  # holds if we do not live to say better
        try:
            self._sign_in(account_id)
            told = replace(counted, failures=0, reason="", message="")
        except LoginFailed as failure:
            final = failure.reason not in PASSING
            told = replace(
                counted, failures=MOST_FAILURES if final else counted.failures, reason=failure.reason.value, message=str(failure)
            )
        except JournalDown:
            raise
        except TandemError as error:  # the exchange of the token: its words are fit for a person
            told = replace(counted, reason=Reason.REFUSED.value, message=f"{WORDS[Reason.REFUSED]} {error}")
        except Exception as error:
            log.error("an automated log-in failed in an unexpected way: %s", type(error).__name__)
            told = replace(counted, reason=Reason.CRASHED.value, message=WORDS[Reason.CRASHED])
        self.memory.save(told)
        self.tell(account_id, told.message)
        return told

    def _sign_in(self, account_id: str) -> None:
        own = self.credentials(account_id)
        if any(not own.get(name) for name in (*NEEDED, "api_key", "api_secret")):
            raise LoginFailed(Reason.MISSING)
        task = Task(
            address=self.address(own["api_key"]),
            user_id=own["user_id"],
            password=own["password"],
            totp_secret=own["totp_secret"],
            seconds=self.seconds,
            after_step=self._steps.get(own["user_id"]),
        )
        outcome = self.run(task)
        if outcome.step is not None:
            self._steps[own["user_id"]] = outcome.step
        if outcome.reason is not None:
            raise LoginFailed(outcome.reason)
        self.sign_in.finish(account_id, outcome.request_token)
