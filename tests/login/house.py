"""Sessions, memory, credentials and a browser of straw for the log-in's own rules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engines.core.model import Account
from engines.login.automatic import AutomaticLogin
from engines.login.browser import Task
from engines.login.memory import AutoLogin
from engines.login.program import Outcome
from engines.login.zerodha import ZerodhaSignIn
from engines.ports import Session
from tests.data.making import D, HandClock

OWN = {
    "api_key": "key",
    "api_secret": "canary-secret",
    "user_id": "AB1234",
    "password": "canary-password",
    "totp_secret": "JBSWY3DPEHPK3PXP",
}
TEN_PAST_EIGHT = 1_767_580_800.0
"""2026-01-05 08:10 IST, a Monday on which the market opens."""


def live(account_id: str = "A1", **fields: object) -> Account:
    return Account(account_id, "U1", "Kite", "zerodha", D(1000), auto_login=True, **fields)  # type: ignore[arg-type]


@dataclass
class House:
    """`say` is what the browser answers, `session` what the exchange gives (or raises)."""

    clock: HandClock = field(default_factory=lambda: HandClock(TEN_PAST_EIGHT))
    own: dict[str, dict[str, str]] = field(default_factory=lambda: {"A1": dict(OWN)})
    say: Outcome = field(default_factory=lambda: Outcome(100, None, "canary-request-token"))
    session: Session | Exception = field(default_factory=lambda: Session("AB1234", {"access_token": "canary-token"}, 1.0, 2.0))
    stored: dict[str, Session] = field(default_factory=dict)
    told: dict[str, AutoLogin] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    exchanged: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    incidents: list[tuple[str, str]] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    # --- Sessions and Memory

    def load(self, account_id: str) -> Session | None:
        return self.stored.get(account_id)

    def clear(self, account_id: str) -> None:
        self.stored.pop(account_id, None)

    def get(self, account_id: str) -> AutoLogin:
        return self.told.get(account_id, AutoLogin(account_id))

    def forgive(self, account_id: str) -> None:
        told = self.get(account_id)
        self.told[account_id] = AutoLogin(account_id, told.day, told.at)

    def save(self, first: str | AutoLogin, session: Session | None = None) -> None:
        if isinstance(first, AutoLogin):
            self.told[first.account_id] = first
        elif session is not None:
            self.stored[first] = session

    # --- the rest

    def remember(self, account_id: str, changes: Mapping[str, str | None]) -> None:
        merged: dict[str, str | None] = {**self.own[account_id], **changes}
        self.own[account_id] = {name: value for name, value in merged.items() if value is not None}

    def exchange(self, api_key: str, api_secret: str, request_token: str, source_address: str | None) -> Session:
        self.exchanged.append((api_key, api_secret, request_token, source_address))
        if isinstance(self.session, Exception):
            raise self.session
        return self.session

    def run(self, task: Task) -> Outcome:
        self.tasks.append(task)
        self.during()
        return self.say

    @property
    def sign_in(self) -> ZerodhaSignIn:
        return ZerodhaSignIn(
            exchange=self.exchange,
            source_address=lambda _: "192.0.2.1",
            credentials=self.own.__getitem__,
            remember=self.remember,
            sessions=self,
            memory=self,
            connect=self.connected.append,
        )

    def automatic(self) -> AutomaticLogin:
        return AutomaticLogin(
            clock=self.clock,
            sign_in=self.sign_in,
            credentials=self.own.__getitem__,
            memory=self,
            address=lambda api_key: f"https://kite/login?{api_key}",
            tell=lambda account_id, why: self.incidents.append((account_id, why)),
            run=self.run,
        )


def wait_for(event: threading.Event) -> None:
    assert event.wait(30)
