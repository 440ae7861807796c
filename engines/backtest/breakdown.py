"""A back-test's trades sorted into rows: by instrument, way out, hour, weekday, side, account and month, before and after charges.

Sums are exact. Hours and weekdays are those of the entry, in the zone of the instrument's exchange; months those of the exit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from engines.backtest.records import Trade
from engines.core.model import ZERO, Side, Timestamp
from engines.core.sessions import exchange_of, utc_offset

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
REASONS = {
    "signal": "own signal",
    "stop": "first stop",
    "moved_stop": "moved stop",
    "target": "target",
    "time": "time exit",
    "square_off": "square-off",
    "daily_loss": "day's loss limit",
    "daily_profit": "day's profit limit",
    "combined_stop": "combined stop loss",
    "combined_target": "combined target",
    "combined_lock": "combined lock",
    "combined_trail": "combined trail",
}


@dataclass(frozen=True, slots=True)
class Row:
    """The trades of one kind. A trade of exactly zero (after charges) is neither a win nor a loss."""

    key: str
    trades: int
    wins: int
    losses: int
    gross: Decimal
    charges: Decimal

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges

    @property
    def win_rate(self) -> float | None:
        counted = self.wins + self.losses
        return self.wins / counted if counted else None

    @property
    def expectancy(self) -> Decimal:
        """Net, for each trade."""
        return self.net / self.trades


Key = Callable[[Trade], str]


def local(at: Timestamp, symbol: str) -> datetime:
    """A moment on the clock of an instrument's exchange (without a zone, for it is only shown)."""
    return datetime.fromtimestamp(at + utc_offset(exchange_of(symbol)), UTC).replace(tzinfo=None)


def by_symbol(trade: Trade) -> str:
    return trade.symbol


def by_exit(trade: Trade) -> str:
    return trade.exit_reason


def by_hour(trade: Trade) -> str:
    return f"{local(trade.entry_at, trade.symbol):%H}:00"


def by_weekday(trade: Trade) -> str:
    return WEEKDAYS[local(trade.entry_at, trade.symbol).weekday()]


def by_side(trade: Trade) -> str:
    return "long" if trade.side is Side.BUY else "short"


def by_account(trade: Trade) -> str:
    return trade.account_id


def by_entry(trade: Trade) -> str:
    """What the strategy said of its entry ("re-entry 1 of 2 after stop"); plain entries say nothing."""
    return trade.note or "plain"


KEYS: dict[str, Key] = {
    "symbol": by_symbol,
    "exit": by_exit,
    "hour": by_hour,
    "weekday": by_weekday,
    "side": by_side,
    "account": by_account,
    "entry": by_entry,
}


def rows(trades: Iterable[Trade], key: Key) -> tuple[Row, ...]:
    """A row for each key, in the order of weekdays or of the keys' names."""
    parts: dict[str, list[Trade]] = {}
    for trade in trades:
        parts.setdefault(key(trade), []).append(trade)
    return tuple(_row(name, parts[name]) for name in sorted(parts, key=_place))


def _row(key: str, trades: Sequence[Trade]) -> Row:
    nets = [trade.gross - trade.charges for trade in trades]
    return Row(
        key=key,
        trades=len(trades),
        wins=sum(net > 0 for net in nets),
        losses=sum(net < 0 for net in nets),
        gross=sum((trade.gross for trade in trades), ZERO),
        charges=sum((trade.charges for trade in trades), ZERO),
    )


def _place(key: str) -> tuple[int, str]:
    return (WEEKDAYS.index(key), "") if key in WEEKDAYS else (len(WEEKDAYS), key)
