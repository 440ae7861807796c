"""The pulse of the live stream: P&L, positions' marks and prices four times a second, the engines' health every few seconds.

It runs only while somebody listens, says only what has changed, and asks the engines' memory, never the database.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from app.api.market.service import quote_out
from app.api.pnl.service import realtime_of
from app.api.positions.service import position_out
from app.api.system.service import status_of
from app.data import User, UserRole
from app.workspace import Workspace

log = logging.getLogger(__name__)

EVERY = 0.25
ENGINES_EVERY = 5.0

_Key = tuple[str, bool]
"""A person and whether an owner listens: with a token that only looks, the same person is told less."""


class Pulse:
    def __init__(self, shop: Workspace) -> None:
        self._shop = shop
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._users: dict[_Key, User] = {}
        self._said: dict[tuple[str, str, str], Any] = {}  # (user, kind, what) → what was said last
        self._engines_told: dict[_Key, float] = {}
        self._wake = threading.Event()

    def greet(self, user: User) -> None:
        """Somebody has begun to listen: they are told everything at the next beat."""
        with self._lock:
            self._users[_key(user)] = user
            for key in [key for key in self._said if key[0] in (user.user_id, "")]:
                del self._said[key]
            self._engines_told.pop(_key(user), None)
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._shop.live.closed or not self._shop.live.listeners():
                    self._thread = None
                    self._users.clear()
                    self._said.clear()
                    self._engines_told.clear()
                    return
                self._wake.clear()
            try:
                self.beat()
            except Exception:  # told, and tried again at the next beat: a page must not stand still for ever
                log.exception("the pulse of the live stream missed a beat")
            self._wake.wait(EVERY)

    def beat(self) -> None:
        listeners = self._shop.live.listeners()
        with self._lock:
            users = [user for key in {(listener.user_id, listener.owner) for listener in listeners} if (user := self._users.get(key))]
        for user_id in {user.user_id for user in users}:
            self._pnl(user_id)
            self._positions(user_id)
        self._prices(sorted({topic for listener in listeners for topic in listener.topics}))
        now = self._shop.clock.monotonic()
        due = [user for user in users if now - self._engines_told.get(_key(user), float("-inf")) >= ENGINES_EVERY]
        if due:
            self._engines_told.update({_key(user): now for user in due})
            self._engines(due)

    def _pnl(self, user_id: str) -> None:
        now = realtime_of(self._shop, user_id)
        if self._news(user_id, "pnl", "", (now.live, now.paper, now.by_account, now.by_strategy)):
            self._shop.live.pulse("pnl", user_id, now)

    def _positions(self, user_id: str) -> None:
        for view in self._shop.system.positions(self._shop.owners.account_ids(user_id)):
            position = view.position
            if self._news(user_id, "position", position.position_id, (position, view.last_price, view.plan)):
                self._shop.live.pulse("position", user_id, position_out(view))

    def _prices(self, symbols: list[str]) -> None:
        for tick in self._shop.system.quotes(symbols):
            if self._news("", "price", tick.symbol, tick[1:4]):
                self._shop.live.pulse("price", None, quote_out(self._shop, tick.symbol, tick), topic=tick.symbol)

    def _engines(self, users: list[User]) -> None:
        now = self._shop.system.status()
        for user in users:
            shown = status_of(self._shop, user, now)
            payload = shown.model_dump(
                mode="json", include={"engines", "on", "feed", "accounts", "halts", "latency_ms", "journal", "uptime_s"}
            )
            user_id, owner = _key(user)
            self._shop.live.pulse("engine", user_id, payload, owner=owner)

    def _news(self, user_id: str, kind: str, what: str, value: Any) -> bool:
        key = (user_id, kind, what)
        if self._said.get(key) == value:
            return False
        self._said[key] = value
        return True


def _key(user: User) -> _Key:
    return user.user_id, user.role is UserRole.OWNER
