"""Who trades what, as the engines read it: at start and after each change, never on the order path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.data import decode
from app.data.accounts import Accounts
from app.data.mappings import Mappings
from app.data.store import Store
from app.data.strategies import Strategies
from engines.core.model import Account, AccountMapping, Candle, StrategyConfig


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

    def on_change(self, callback: Callable[[], None]) -> None:
        self.store.changes.on_change(callback)
