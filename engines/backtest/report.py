"""What came of a backtest, with everything that it was made from: data, parameters, costs and the way assumed through a bar.

Adds up and tells; it decides nothing. Money is exact; the drawdown and the curve are floats rounded to the paisa.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engines.backtest.equity import Equity, follow, prices_of
from engines.backtest.history import History
from engines.backtest.records import Decision, Log, Trade
from engines.backtest.settings import SAID, Settings, Way
from engines.backtest.track import Track
from engines.core.codec import to_plain
from engines.core.model import ZERO, StrategyConfig, Timestamp
from engines.core.prices import exact

MOST_BAD_ROWS = 100
FEW_TRADES = 30
"""Below so many trades a result says little (a rule of thumb of statistics)."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What was still held at the end, valued at the last price."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    last_price: Decimal
    unrealised: Decimal


@dataclass(frozen=True, slots=True)
class ByExit:
    """Trades that ended for one reason."""

    reason: str
    trades: int
    wins: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class Report:
    """`gross` is before charges and counts what is still held at its last price, so that net = gross − charges = equity_end − capital.

    Wins, losses and `win_rate` are of closed trades after charges (a trade of exactly zero is neither); `win_rate` is a percentage.
    `ambiguous_bars` are bars whose outcome hangs on which of their extremes came first. `bars_per_second` leaves reading the file out.
    """

    kind: str
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    timeframe: str
    settings: Settings
    way: Way
    source: str
    data_hash: str
    bars: int
    bad_rows: tuple[str, ...]
    bad_row_count: int
    first: Timestamp
    last: Timestamp
    decisions: tuple[Decision, ...]
    trades: tuple[Trade, ...]
    by_exit: tuple[ByExit, ...]
    holdings: tuple[Holding, ...]
    fills: int
    refused: Mapping[str, int]
    unfilled: int
    gross: Decimal
    charges: Decimal
    equity_end: Decimal
    equity: Equity
    ambiguous_bars: int
    running_seconds: float
    reading_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def net(self) -> Decimal:
        return self.gross - self.charges

    @property
    def wins(self) -> int:
        return sum(trade.net > 0 for trade in self.trades)

    @property
    def losses(self) -> int:
        return sum(trade.net < 0 for trade in self.trades)

    @property
    def win_rate(self) -> Decimal | None:
        counted = self.wins + self.losses
        return Decimal(self.wins) * 100 / counted if counted else None

    @property
    def profit_factor(self) -> Decimal | None:
        """What winners won for each rupee that losers lost, after charges; None when nothing was lost."""
        lost = -sum((trade.net for trade in self.trades if trade.net < 0), ZERO)
        return sum((trade.net for trade in self.trades if trade.net > 0), ZERO) / lost if lost else None

    @property
    def bars_per_second(self) -> float | None:
        return self.bars / self.running_seconds if self.running_seconds > 0 else None

    @property
    def assumed_path(self) -> str:
        return SAID[self.way]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before believing the numbers."""
        said = list(self.notes)
        if len(self.trades) < FEW_TRADES:
            said.append(f"only {len(self.trades)} closed trades: too few to tell skill from luck")
        if self.bad_row_count:
            said.append(f"{self.bad_row_count} rows of the file were left out")
        if self.refused:
            said.append(f"{sum(self.refused.values())} orders were refused")
        if self.ambiguous_bars:
            said.append(f"{self.ambiguous_bars} bars could have ended otherwise: which of their extremes came first is not known")
        return tuple(said)

    def as_json(self) -> dict[str, Any]:
        """Plain values: money, prices, quantities and percentages as exact text, times as RFC 3339 UTC, counts and rates as numbers."""
        return {
            "strategy": {"kind": self.kind, "params": dict(self.params), "timeframe": self.timeframe},
            "data": {
                "file": self.source,
                "sha256": self.data_hash,
                "symbols": list(self.symbols),
                "bars": self.bars,
                "first": utc(self.first),
                "last": utc(self.last),
                "bad_rows": self.bad_row_count,
                "bad_row_reasons": list(self.bad_rows),
            },
            "assumptions": to_plain(self.settings) | {"way": self.way.value, "path": self.assumed_path},
            "result": self._result(),
            "by_exit": {each.reason: {"trades": each.trades, "wins": each.wins, "net": money(each.net)} for each in self.by_exit},
            "refused": dict(self.refused),
            "warnings": list(self.warnings),
            "holdings": [to_plain(each) for each in self.holdings],
            "trades": [_trade(each) for each in self.trades],
            "equity_curve": [{"day": day, "equity": f"{value:.2f}"} for day, value in self.equity.curve],
            "speed": {
                "bars_per_second": None if self.bars_per_second is None else round(self.bars_per_second),
                "running_seconds": round(self.running_seconds, 6),
                "reading_seconds": round(self.reading_seconds, 6),
            },
        }

    def _result(self) -> dict[str, Any]:
        share = Decimal(self.ambiguous_bars) * 100 / self.bars if self.bars else ZERO
        return {
            "decisions": len(self.decisions),
            "fills": self.fills,
            "trades": len(self.trades),
            "wins": self.wins,
            "losses": self.losses,
            "win_rate": None if self.win_rate is None else f"{self.win_rate:.2f}",
            "profit_factor": None if self.profit_factor is None else f"{self.profit_factor:.4f}",
            "gross": money(self.gross),
            "charges": money(self.charges),
            "net": money(self.net),
            "equity_start": money(self.settings.capital),
            "equity_end": money(self.equity_end),
            "max_drawdown": f"{self.equity.max_drawdown:.2f}",
            "max_drawdown_pct": f"{self.equity.max_drawdown_pct:.4f}",
            "bars_held": self.equity.bars_held,
            "ambiguous_bars": self.ambiguous_bars,
            "ambiguous_bars_pct": f"{share:.4f}",
            "unfilled_at_the_end": self.unfilled,
        }

    def as_html(self) -> str:
        """A page that stands alone: no script, no font, nothing from elsewhere."""
        from engines.backtest.page import page

        return page(self)


def report_on(
    history: History,
    config: StrategyConfig,
    settings: Settings,
    way: Way,
    tracks: Sequence[Track],
    log: Log,
    cash: Decimal,
    elapsed: Callable[[], float],
    reading: float,
) -> Report:
    """Add up what a run has left behind. `elapsed` seconds since it began are asked last, so that adding up counts, too."""
    file = history.file
    holdings = tuple(_holding(track, exact(track.mark)) for track in tracks if track.position.quantity and track.mark is not None)
    charges = sum((track.position.charges for track in tracks), ZERO)
    equity_end = settings.capital + cash + sum((each.quantity * each.last_price for each in holdings), ZERO)
    first, last = (file.candles[0].start, file.candles[-1].start) if file.candles else (file.ticks[0].at, file.ticks[-1].at)
    return Report(
        kind=config.kind,
        params=config.params,
        symbols=config.instruments,
        timeframe=config.timeframe.value,
        settings=settings,
        way=way,
        source=history.path.name,
        data_hash=history.data_hash,
        bars=len(file.candles) or len(file.ticks),
        bad_rows=tuple(map(str, file.bad[:MOST_BAD_ROWS])),
        bad_row_count=file.bad_count,
        first=first,
        last=last,
        decisions=tuple(log.decisions),
        trades=tuple(log.trades),
        by_exit=_by_exit(log.trades),
        holdings=holdings,
        fills=log.fills,
        refused=dict(sorted(log.refused.items())),
        unfilled=log.unfilled,
        gross=equity_end - settings.capital + charges,
        charges=charges,
        equity_end=equity_end,
        equity=follow(prices_of((history,), tracks[0].instrument.exchange), log.changes, float(settings.capital)),
        ambiguous_bars=log.ambiguous,
        running_seconds=elapsed(),
        reading_seconds=reading,
        notes=history.notes,
    )


def money(amount: Decimal) -> str:
    """To the paisa, as a statement shows it."""
    return f"{amount:.2f}"


def utc(at: Timestamp) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _holding(track: Track, last_price: Decimal) -> Holding:
    position = track.position
    return Holding(track.symbol, position.quantity, position.average_price or ZERO, last_price, position.unrealised(last_price))


def _by_exit(trades: Sequence[Trade]) -> tuple[ByExit, ...]:
    reasons = sorted({trade.exit_reason for trade in trades})
    parts = {reason: [trade for trade in trades if trade.exit_reason == reason] for reason in reasons}
    return tuple(
        ByExit(reason, len(part), sum(trade.net > 0 for trade in part), sum((trade.net for trade in part), ZERO))
        for reason, part in parts.items()
    )


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": trade.side.value,
        "quantity": f"{trade.quantity.normalize():f}",
        "entry_at": utc(trade.entry_at),
        "entry_price": f"{trade.entry_price:.4f}",
        "exit_at": utc(trade.exit_at),
        "exit_price": f"{trade.exit_price:.4f}",
        "gross": money(trade.gross),
        "charges": money(trade.charges),
        "net": money(trade.net),
        "exit_reason": trade.exit_reason,
    }
