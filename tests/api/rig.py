"""The whole application for tests: real data on a temporary folder, the real trading system on the paper exchange and the simulated market."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.data import Actor, Data, User, UserRole, open_data
from app.live import Hub
from config import Settings
from engines.market.simulated import SimulatedFeed
from engines.ports import RandomIds, SystemClock
from engines.system import BrokerMaker, EngineSettings, TradingSystem
from tests.support import canaries

PASSWORD = "correct horse battery"
MACHINE = Actor(None, "cli")
_names = itertools.count(1)
PATIENT = EngineSettings(max_price_age=60.0, stall_after=60.0, connect_patience=30.0, ask_patience=30.0)
"""A machine that stands still for seconds is no old price and no silent broker: what those mean is asserted with settings of its own."""


class Person:
    """Somebody with a token: `me.post("/api/...", {...})` answers with status and JSON."""

    def __init__(self, rig: Rig, user: User | None, token: str | None) -> None:
        self.rig = rig
        self.user = user
        self.token = token
        self.client = rig.app.test_client()

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, data: Any = None) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= dict(headers or {})
        if body is not None:
            data = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        answer = self.client.open(path, method=method, data=data, headers=sent)
        canaries.saw(answer.data)
        return answer

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("POST", path, body, **more)

    def patch(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("PATCH", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("PUT", path, body, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.call("DELETE", path, **more)

    # --- what most tests need first ---------------------------------------------------------------------------------

    def account(self, **changes: Any) -> dict[str, Any]:
        body = {"name": f"Paper {next(_names)}", "broker": "paper", "capital": "1000000", "auto_trade": True, **changes}
        answer = self.post("/api/accounts", body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def strategy(self, **changes: Any) -> dict[str, Any]:
        body = {
            "name": f"Cross {next(_names)}",
            "kind": "ema_cross",
            "params": {},
            "timeframe": "1m",
            "instruments": ["NSE:INFY"],
            **changes,
        }
        answer = self.post("/api/strategies", body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def mapping(self, account: str, strategy: str, **changes: Any) -> dict[str, Any]:
        sizing = {"mode": "fixed_quantity", "value": "5"}
        body = {"account_id": account, "strategy_id": strategy, "allocation_pct": "50", "sizing": sizing, **changes}
        answer = self.post("/api/mappings", body)
        assert answer.status_code == 201, answer.text
        return answer.json

    def buy(self, *accounts: str, status: int = 200, **changes: Any) -> dict[str, Any]:
        body = {
            "account_ids": list(accounts),
            "symbol": "NSE:INFY",
            "side": "BUY",
            "order_type": "MARKET",
            "quantity": "10",
            "wait_ms": 30_000,
            **changes,
        }
        answer = self.post("/api/signals/manual", {name: value for name, value in body.items() if value is not None})
        assert answer.status_code == status, answer.text
        return answer.json

    def bought(self, account: str, **changes: Any) -> dict[str, Any]:
        """The order of a buy that has filled. A machine that stands still for seconds lets prices grow old, and then a buy is rightly denied: it is
        asked again."""
        for _ in range(20):
            order = self.buy(account, **changes)["orders"][0]
            if order["reason"] != "stale_price":
                break
            time.sleep(0.5)
        assert order["state"] == "filled", order
        return order

    def price(self, symbol: str = "NSE:INFY") -> float:
        return float(self.get(f"/api/quotes?symbols={symbol}").json["items"][0]["last_price"])


class Rig:
    """Start with `with Rig(folder) as rig`. `rig.owner`, `rig.trader`, `rig.other` (another trader), `rig.viewer`, `rig.nobody`."""

    def __init__(self, folder: Path, brokers: Mapping[str, BrokerMaker] | None = None) -> None:
        self.folder = folder
        self.brokers = brokers

    def __enter__(self) -> Self:
        clock = SystemClock()
        self.data: Data = open_data(self.folder, exclusive=True)
        self.hub = Hub(clock)
        self.system = TradingSystem(
            journal=self.data.journal,
            latch=self.data.latch,
            directory=self.data.directory,
            notifier=self.hub,
            clock=clock,
            ids=RandomIds(clock),
            feed=SimulatedFeed(clock, seed=7),
            brokers=self.brokers,
            settings=PATIENT,
        )
        self.system.start()
        self.settings = Settings(data_dir=self.folder, secret_key=self.data.secret_key().decode())
        self.app: Flask = create_app(self.system, self.data, self.settings, live=self.hub)
        return self

    @cached_property
    def owner(self) -> Person:
        return self.person("owner@example.com", UserRole.OWNER)

    @cached_property
    def trader(self) -> Person:
        return self.person("trader@example.com", UserRole.TRADER)

    @cached_property
    def other(self) -> Person:
        return self.person("other@example.com", UserRole.TRADER)

    @cached_property
    def viewer(self) -> Person:
        return self.person("viewer@example.com", UserRole.VIEWER)

    @cached_property
    def nobody(self) -> Person:
        return Person(self, None, None)

    def person(self, email: str, role: UserRole) -> Person:
        if role is not UserRole.OWNER:
            assert self.owner.user, "there is always an owner"
        user = self.data.users.find(email) or self.data.users.add(email, PASSWORD, role=role, by=MACHINE)
        _, token = self.data.tokens.create(user.user_id, "tests", by=MACHINE)
        return Person(self, user, token)

    def __exit__(self, *failure: object) -> None:
        self.hub.close()
        self.system.stop()
        self.data.close()
