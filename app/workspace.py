"""What the routes, services and pages of one application work with: the trading system, the data service, the live hub, the clock.

Also answers from memory whose an account or strategy is, because the order path may not read SQL. It decides nothing about trading.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from flask import current_app

from app.data import Data, NotFound, User, UserRole
from app.live import Hub
from app.problems import Problem
from engines.core.model import Account, Halt, HaltScope, StrategyConfig
from engines.ports import Clock, Directory, Ids, JournalDown

if TYPE_CHECKING:
    from app.logins import Logins
    from app.post import PostOffice
    from app.replays import Replays
    from app.studies import StudyQueue
    from config import Settings
    from engines.market.recorder import Recorder
    from engines.system import TradingSystem

EXTENSION = "tandem"
A_MOMENT = 0.5
"""Seconds that an answer waits for the books before it leaves without them."""


@dataclass(frozen=True, slots=True)
class _Known:
    accounts: dict[str, Account] = field(default_factory=dict)
    strategies: dict[str, StrategyConfig] = field(default_factory=dict)
    accounts_of: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Ownership:
    """Who owns what, read from the directory once and again after each change of it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._version = 0
        self._known: tuple[int, _Known] | None = None
        directory.on_change(self._changed)

    def account(self, user: User, account_id: str) -> Account:
        """Raises NotFound for unknown and for foreign ids alike."""
        account = self._now().accounts.get(account_id)
        if account is None or account.user_id != user.user_id:
            raise NotFound("There is no such account.")
        return account

    def strategy(self, user: User, strategy_id: str) -> StrategyConfig:
        """One's own, to do something with it. Raises NotFound for what is unknown or not shared, Problem 403 for what is shared but another's."""
        strategy = self.strategy_seen(user, strategy_id)
        if strategy.user_id != user.user_id:
            use = "to look at" if user.role is UserRole.VIEWER else "to look at and to map to accounts of yours"
            raise Problem(403, f"Only its owner may do that: this strategy is shared with you {use}.")
        return strategy

    def strategy_seen(self, user: User, strategy_id: str) -> StrategyConfig:
        """One's own or one that somebody shares, to look at and to map."""
        strategy = self._now().strategies.get(strategy_id)
        if strategy is None or (strategy.user_id != user.user_id and user.user_id not in strategy.shared_with):
            raise NotFound("There is no such strategy.")
        return strategy

    def owns_strategy(self, user_id: str, strategy_id: str) -> bool:
        strategy = self._now().strategies.get(strategy_id)
        return strategy is not None and strategy.user_id == user_id

    def sees_strategy(self, user_id: str, strategy_id: str) -> bool:
        strategy = self._now().strategies.get(strategy_id)
        return strategy is not None and (strategy.user_id == user_id or user_id in strategy.shared_with)

    def owner_of_halt(self, halt: Halt) -> str | None:
        """Whose stop it is; None: the whole system's."""
        known = self._now()
        thing: Account | StrategyConfig | None = None
        match halt.scope:
            case HaltScope.SYSTEM:
                return None
            case HaltScope.USER:
                return halt.scope_id
            case HaltScope.ACCOUNT:
                thing = known.accounts.get(halt.scope_id or "")
            case HaltScope.STRATEGY:
                thing = known.strategies.get(halt.scope_id or "")
        return thing.user_id if thing else halt.by

    def account_ids(self, user_id: str) -> Sequence[str]:
        return self._now().accounts_of.get(user_id, ())

    def brokers(self, user_id: str) -> Mapping[str, str]:
        """Account → kind of broker."""
        known = self._now()
        return {account_id: known.accounts[account_id].broker for account_id in known.accounts_of.get(user_id, ())}

    def _changed(self) -> None:
        with self._lock:
            self._version += 1

    def _now(self) -> _Known:
        known = self._known
        if known is not None and known[0] == self._version:
            return known[1]
        with self._lock:
            version = self._version
        accounts = {a.account_id: a for a in self._directory.accounts()}
        owned: dict[str, list[str]] = {}
        for account in accounts.values():
            owned.setdefault(account.user_id, []).append(account.account_id)
        fresh = _Known(accounts, {s.strategy_id: s for s in self._directory.strategies()}, {k: tuple(v) for k, v in owned.items()})
        self._known = (version, fresh)
        return fresh


@dataclass(frozen=True, slots=True)
class ListState:
    """One broker's instrument list. `wanted`: an account needs it; `problem`: why it could not be renewed, empty when it could."""

    broker: str
    wanted: bool
    loaded_at: float | None
    listed: int
    stale: bool
    problem: str


@dataclass(frozen=True, slots=True)
class ListsStatus:
    """`next_at`: when the lists are renewed by themselves."""

    running: bool
    next_at: float
    lists: tuple[ListState, ...]


class Lists(Protocol):
    """Who keeps the brokers' instrument lists fresh."""

    def refresh_now(self, force: bool = False) -> Collection[str]:
        """Begins to fetch and returns at once: the brokers it is about; none when no account needs a list."""
        ...

    def status(self) -> ListsStatus: ...


@dataclass(frozen=True, slots=True)
class Workspace:
    system: TradingSystem
    data: Data
    settings: Settings
    live: Hub
    clock: Clock
    ids: Ids
    owners: Ownership
    logins: Logins
    replays: Replays
    studies: StudyQueue
    post: PostOffice
    lists: Lists | None = None
    recorder: Recorder | None = None

    def taken_over(self) -> None:
        """After a change of accounts, strategies or mappings: the engines act on it before the answer leaves (a switch that is off is off)."""
        self.system.runtime.refresh_now()

    def written(self) -> None:
        """Waits a moment until what was done and told so far is in the books and the log, so that whoever asks next reads it and a crash keeps it.

        While the database cannot be written this returns at once: nothing that stops or cancels may depend on it."""
        if not self.data.journal.healthy:
            return
        try:
            self.data.journal.run(lambda _: None, A_MOMENT)
        except JournalDown:
            return


def workspace() -> Workspace:
    """The one of the application that serves the present request."""
    return cast(Workspace, current_app.extensions[EXTENSION])
