"""What strategies have worked out for a day: the levels to draw and the state in words, as the runner told them. Only reads.

Every query is scoped: `user_id` None means every user's and is for the system's own use, never for a page.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.data.store import Store
from app.data.strategies import SEEN
from app.data.values import from_json, seconds
from engines.core.codec import from_plain
from engines.core.model import ChartLevel, Timestamp


@dataclass(frozen=True, slots=True)
class DayLevels:
    """One strategy, instrument and session. `says`: how the strategy stood when it last told."""

    strategy_id: str
    symbol: str
    day: str
    says: str
    levels: tuple[ChartLevel, ...]
    at: Timestamp


@dataclass(frozen=True, slots=True)
class Levels:
    store: Store

    def of(self, user_id: str | None, strategy_id: str, *, symbol: str | None = None, day: str | None = None) -> tuple[DayLevels, ...]:
        """By instrument; without a day each instrument's newest. Empty for a strategy that is neither this user's nor shared with them."""
        rows = self.store.readers.all(
            "SELECT l.* FROM strategy_levels AS l JOIN strategies AS s USING (strategy_id)"
            f" WHERE l.strategy_id = ? AND (? IS NULL OR {SEEN}) AND (? IS NULL OR l.symbol = ?) AND l.day = coalesce(?,"
            " (SELECT max(n.day) FROM strategy_levels AS n WHERE n.strategy_id = l.strategy_id AND n.symbol = l.symbol)) ORDER BY l.symbol",
            (strategy_id, user_id, user_id, user_id, symbol, symbol, day),
        )
        return tuple(
            DayLevels(
                row["strategy_id"],
                row["symbol"],
                row["day"],
                row["says"],
                tuple(from_plain(ChartLevel, level) for level in from_json(row["levels"])),
                seconds(row["at"]),
            )
            for row in rows
        )
