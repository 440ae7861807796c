"""Who trades what, as the engines read it: at start and after each change, never on the order path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.data import decode
from app.data.accounts import Accounts
from app.data.mappings import Mappings
from app.data.store import Store
from app.data.strategies import Strategies
from engines.core.codec import loads
from engines.core.model import Account, AccountMapping, Candle, CombinedRule, Group, StrategyConfig
from engines.core.sessions import CalendarDay


@dataclass(frozen=True, slots=True)
class SqliteDirectory:
    """Implements engines.ports.Directory."""

    store: Store
    _accounts: Accounts
    _strategies: Strategies
    _mappings: Mappings

    def accounts(self) -> Sequence[Account]:
        return [row.account for row in self._accounts.list(None)]

    def strategies(self) -> Sequence[StrategyConfig]:
        return [row.strategy for row in self._strategies.list(None)]

    def mappings(self) -> Sequence[AccountMapping]:
        return [row.mapping for row in self._mappings.list(None)]

    def credentials(self, account_id: str) -> Mapping[str, str]:
        return self._accounts.credentials(account_id)

    def candles(self, symbol: str, timeframe: str, limit: int, *, live: bool = False) -> Sequence[Candle]:
        sql = "SELECT * FROM candles WHERE symbol = ? AND timeframe = ? AND live = ? ORDER BY start DESC LIMIT ?"
        return [decode.candle(row) for row in reversed(self.store.readers.all(sql, (symbol, timeframe, live, limit)))]

    def groups(self) -> Sequence[Group]:
        members: dict[str, list[str]] = {}
        for row in self.store.readers.all("SELECT group_id, account_id FROM group_accounts ORDER BY account_id"):
            members.setdefault(row["group_id"], []).append(row["account_id"])
        rows = self.store.readers.all("SELECT * FROM account_groups ORDER BY created_at, group_id")
        return [Group(row["group_id"], row["user_id"], row["name"], tuple(members.get(row["group_id"], ()))) for row in rows]

    def combined_rules(self) -> Sequence[CombinedRule]:
        return [loads(CombinedRule, row["body"]) for row in self.store.readers.all("SELECT body FROM combined_rules ORDER BY rule_id")]

    def calendar_days(self) -> Sequence[CalendarDay]:
        return [decode.calendar_day(row) for row in self.store.readers.all("SELECT * FROM calendar_days ORDER BY day, exchange")]

    def on_change(self, callback: Callable[[], None]) -> None:
        self.store.changes.on_change(callback)
