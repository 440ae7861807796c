"""Signing in at brokers from this application: the state that goes with a person to the broker's page and back, and the automated log-ins.

Wires `engines.login` to the data service and the trading system. It shows nothing and decides nothing about trading.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from itsdangerous import BadData, URLSafeSerializer

from app.data import Actor, AutoLogin, Data
from engines.brokers.tools import KiteEndpoints
from engines.core.timetable import JobKind
from engines.login.automatic import AutomaticLogin
from engines.login.schedule import LoginSchedule, MorningLogIns
from engines.login.zerodha import ZerodhaSignIn, exchange_at, login_url
from engines.ports import Clock, Session

if TYPE_CHECKING:
    from config import Settings
    from engines.execution.supervisor import Worker
    from engines.system import TradingSystem

STATE_SECONDS = 15 * 60
LOOK_EVERY = 2.0
ENGINE = "log-ins"
MACHINE = Actor(None, "system")


def is_our_address(address: str) -> bool:
    """Whether connections can leave from it."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


class BadState(ValueError):
    """What came back does not fit a log-in that began here; the text says how."""


class Logins:
    """`begin`, then `check` and `finish` for a person; `attempt` for the automated log-in; `schedule.step()` every few seconds."""

    def __init__(self, system: TradingSystem, data: Data, settings: Settings, clock: Clock) -> None:
        places = settings.endpoints
        self._kite = KiteEndpoints(places.kite_api_root, places.kite_login_root, places.kite_ws_root)
        self._system, self._data, self._clock = system, data, clock
        self._signer = URLSafeSerializer(settings.secret_key or data.secret_key(), salt="broker log-in")
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}
        self._sign_in = ZerodhaSignIn(
            exchange=exchange_at(self._kite, clock),
            source_address=lambda account_id: data.accounts.get(None, account_id).account.source_address,
            credentials=data.directory.credentials,
            remember=self._remember,
            sessions=data.sessions,
            memory=data.auto_logins,
            connect=system.connect,
        )
        self.automatic = AutomaticLogin(
            clock=clock,
            sign_in=self._sign_in,
            credentials=data.directory.credentials,
            memory=data.auto_logins,
            address=lambda api_key: login_url(self._kite, api_key, {}),
            tell=self._tell,
        )
        self.schedule = LoginSchedule(clock, self._until, data.directory.accounts, data.sessions, self.automatic, system.connect)

    def begin(self, user_id: str, account_id: str) -> str:
        """The broker's page, with a state that comes back from it: signed, good once, for a quarter of an hour, for this person and account."""
        state = self._signer.dumps([secrets.token_urlsafe(12), user_id, account_id, int(self._clock.now())])
        api_key = self._data.directory.credentials(account_id).get("api_key", "")
        return login_url(self._kite, api_key, {"state": str(state)})

    def check(self, user_id: str, state: str) -> str:
        """The account that the state was made for; it is used up with this. Raises BadState."""
        try:
            nonce, for_user, account_id, began = self._signer.loads(state)
        except (BadData, ValueError, TypeError):
            raise BadState("This log-in did not begin here, or its address was changed on the way.") from None
        if for_user != user_id:
            raise BadState("This log-in was begun by somebody else.")
        now = self._clock.now()
        with self._lock:
            self._used = {known: until for known, until in self._used.items() if until > now}
            if not began - 60 <= now <= began + STATE_SECONDS:
                raise BadState("This log-in took longer than a quarter of an hour.")
            if nonce in self._used:
                raise BadState("This log-in has been used already.")
            self._used[nonce] = began + STATE_SECONDS
        return str(account_id)

    def finish(self, account_id: str, request_token: str) -> Session:
        """Raises LoginFailed or another TandemError with words for a page; then nothing was kept."""
        session = self._sign_in.finish(account_id, request_token)
        self._system.incident_log.resolve("login_failed", account_id)
        return session

    def attempt(self, account_id: str) -> AutoLogin:
        """The automated log-in, now. Raises Busy or JournalDown."""
        return self.automatic.attempt(account_id)

    def start(self) -> None:
        """Automated log-ins once the day's timetable has begun them, on a watched thread that ends with the engines."""
        self._system.day.register(JobKind.LOG_INS, MorningLogIns(self.schedule))
        self._system.supervisor.add(ENGINE, self._loop)

    def _loop(self, worker: Worker) -> None:
        while not worker.pause(LOOK_EVERY):
            worker.beat()
            self.schedule.step()
        self.schedule.stop()

    def _until(self) -> float | None:
        job = self._system.day.under_way(JobKind.LOG_INS)
        return job.until if job is not None else None

    def _remember(self, account_id: str, changes: Mapping[str, str | None]) -> None:
        self._data.accounts.change(None, account_id, lambda account: account, credentials=changes, by=MACHINE)

    def _tell(self, account_id: str, why: str) -> None:
        self._data.audit.add(MACHINE, "account.auto_login", "account", account_id, after={"signed_in": not why})
        if not why:
            self._system.incident_log.resolve("login_failed", account_id)
            return
        name = self._data.accounts.get(None, account_id).account.name
        self._system.incident_log.raise_("login_failed", "critical", f"{name}: the automated log-in failed. {why}", account_id)
