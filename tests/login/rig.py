"""The application with real adapters in front of an emulated Kite, and a person who goes through the broker's log-in without a browser."""

from __future__ import annotations

import http.client
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import pyotp
from werkzeug.test import Client, TestResponse

from app import create_app
from app.data import Actor, Data, User, UserRole, open_data
from app.live import Hub
from app.logins import Logins
from app.workspace import EXTENSION
from config import Endpoints, Settings
from engines.brokers.makers import BrokerEndpoints, makers
from engines.brokers.tools import BrokerTools, KiteEndpoints
from engines.market.simulated import SimulatedFeed
from engines.ports import RandomIds, SystemClock
from engines.system import TradingSystem
from tests.data.making import cheap_user
from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.kite.emulator import KiteEmulator

MACHINE = Actor(None, "cli")


class MovedClock(SystemClock):
    """The machine's clock, put forward by hand."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class LoginRig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        self.kite = KiteEmulator(seed=3).start()
        self.clock = MovedClock()
        self.data: Data = open_data(self.folder, exclusive=True)
        settings = Settings(data_dir=self.folder, secret_key=self.data.secret_key().decode())
        places = replace(Endpoints(), kite_api_root=self.kite.url, kite_login_root=self.kite.url, kite_ws_root=self.kite.ws_url)
        self.settings = replace(settings, endpoints=places)
        kite = KiteEndpoints(self.kite.url, self.kite.url, self.kite.ws_url)
        tools = BrokerTools(SystemClock(), self.data.sessions, NoMaster(), random.Random(1))
        hub = Hub(self.clock)
        self.system = TradingSystem(
            journal=self.data.journal,
            latch=self.data.latch,
            directory=self.data.directory,
            notifier=hub,
            clock=self.clock,
            ids=RandomIds(),
            feed=SimulatedFeed(SystemClock(), seed=7),
            brokers=makers(tools, BrokerEndpoints(kite=kite)),
        )
        self.system.start()
        self.app = create_app(self.system, self.data, self.settings, live=hub, clock=self.clock)
        return self

    def __exit__(self, *_: object) -> None:
        self.system.stop()
        self.data.close()
        self.kite.stop()

    @property
    def logins(self) -> Logins:
        made: Logins = self.app.extensions[EXTENSION].logins
        return made

    def person(self, name: str, role: UserRole = UserRole.TRADER) -> Someone:
        cheap_user(self.data, f"{name}@example.com", role.value)
        user = self.data.users.find(f"{name}@example.com")
        assert user is not None
        return Someone(self, user)


class Someone:
    """Signed in here by cookie; `web` keeps the broker's cookies of one log-in."""

    def __init__(self, rig: LoginRig, user: User) -> None:
        self.rig, self.user = rig, user
        self.client: Client = rig.app.test_client()
        with rig.app.test_request_context():
            token = rig.data.tokens.create(user.user_id, "tests", by=MACHINE)[1]
        self.headers = {"Authorization": f"Bearer {token}"}
        sign_in_id = rig.data.sign_ins.begin(user.user_id, "127.0.0.1", "tests")
        with self.client.session_transaction() as session:
            session["_user_id"] = f"{user.user_id}:{user.session_epoch}:{sign_in_id}"
            session["_fresh"] = True

    def api(self, method: str, path: str, body: Any = None) -> TestResponse:
        return self.client.open(path, method=method, json=body, headers=self.headers)

    def page(self, address: str) -> TestResponse:
        return self.client.get(address)

    def account(self, of: EmulatedAccount, name: str = "Kite", **more: Any) -> str:
        keys = {name: of.credentials[name] for name in ("api_key", "api_secret")} | more
        answer = self.api("POST", "/api/accounts", {"name": name, "broker": "zerodha", "capital": "100000", "credentials": keys})
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def begin(self, account_id: str) -> str:
        answer = self.page(f"/zerodha/login/{account_id}")
        assert answer.status_code == 302, answer.text
        return str(answer.headers["Location"])

    def at_the_broker(self, address: str, of: EmulatedAccount) -> str:
        """Through the broker's pages as this user; the address that they lead back to, ours without the host."""
        cookies = _ask(self.rig.kite.url, "GET", address)[1]
        first = {"user_id": of.name, "password": of.credentials["password"]}
        request_id = _ask(self.rig.kite.url, "POST", "/api/login", first, cookies)[2]["data"]["request_id"]
        code = self._code(of)
        second = {"user_id": of.name, "request_id": request_id, "twofa_value": code, "twofa_type": "totp"}
        cookies |= _ask(self.rig.kite.url, "POST", "/api/twofa", second, cookies)[1]
        place = _ask(self.rig.kite.url, "GET", address, cookies=cookies)[0]
        back = urlsplit(_ask(self.rig.kite.url, "GET", place, cookies=cookies)[0])
        return f"{back.path}?{back.query}"

    def _code(self, of: EmulatedAccount) -> str:
        """One that was not used before: the broker takes the neighbours of the present one, too."""
        used: set[str] = of.extra.setdefault("codes", set())
        near = (pyotp.TOTP(of.credentials["totp_secret"]).at(time.time() + shift) for shift in (0, 30, -30))
        code = next(code for code in near if code not in used)
        used.add(code)
        return code

    def come_back(self, address: str) -> TestResponse:
        """The page on which the way back ends; the one in between is never a page."""
        passing = self.page(address)
        assert (passing.status_code, passing.headers["Location"].partition("/")[0]) == (302, "")
        return self.page(passing.headers["Location"])

    def log_in(self, account_id: str, of: EmulatedAccount) -> TestResponse:
        return self.come_back(self.at_the_broker(self.begin(account_id), of))


def _ask(
    root: str, method: str, address: str, form: dict[str, str] | None = None, cookies: dict[str, str] | None = None
) -> tuple[str, dict[str, str], Any]:
    """(where it leads, cookies that it set, its JSON)."""
    parts = urlsplit(address if address.startswith("http") else root + address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        said = answer.read().decode()
        given = dict(line.split(";")[0].split("=", 1) for name, line in answer.getheaders() if name.lower() == "set-cookie")
        return answer.headers.get("Location", ""), given, json.loads(said) if said.startswith("{") else None
    finally:
        connection.close()


class NoMaster:
    """No list of instruments: signing in needs none."""

    def get(self, symbol: str) -> None:
        return None

    def search(self, q: str, exchange: str | None = None, limit: int = 20) -> tuple[()]:
        return ()

    def listing(self, broker: str, symbol: str) -> None:
        return None

    def by_token(self, broker: str, exchange: str, token: str) -> None:
        return None

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> None:
        return None

    def loaded_at(self, broker: str) -> None:
        return None

    def on_change(self, callback: object) -> None:
        return None
