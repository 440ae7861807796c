"""How far trades went against and for their owner before they ended (MAE and MFE), and what they risked.

A bar tells four prices and not their order, so what counts is said here and nowhere guessed: of the bar of the entry all of it when the entry was at its
open, else its close and its losing extreme; of the bar of the exit its open and the exit itself, and its losing extreme when a target ended the trade,
for the declared way through a bar goes there first. Nothing here decides what trades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engines.backtest.columns import Columns
from engines.backtest.records import Trade
from engines.core.model import Side, Timestamp

_Prices = tuple[float, float]
"""The lowest and the highest that was seen."""


@dataclass(frozen=True, slots=True)
class Excursion:
    """Of one trade: `adverse` and `favourable` are points from its entry price, 0 or above; `bars` is in how many it was held."""

    adverse: float
    favourable: float
    bars: int


def excursions(trades: Sequence[Trade], columns: Mapping[str, Columns]) -> list[Excursion]:
    """One for each trade. Accounts that traded the same at the same moments share the search."""
    seen: dict[tuple[str, Timestamp, Timestamp, Side, str], tuple[_Prices, int]] = {}
    found = []
    for trade in trades:
        name = (trade.symbol, trade.entry_at, trade.exit_at, trade.side, trade.exit_reason)
        if name not in seen:
            mine = columns.get(trade.symbol)
            seen[name] = ((float("inf"), float("-inf")), 0) if mine is None else _between(mine, trade)
        (low, high), bars = seen[name]
        entry, leave = float(trade.entry_price), float(trade.exit_price)
        below, above = max(entry - min(low, leave), 0.0), max(max(high, leave) - entry, 0.0)
        adverse, favourable = (below, above) if trade.side is Side.BUY else (above, below)
        found.append(Excursion(adverse, favourable, bars))
    return found


def risk(trade: Trade) -> Decimal | None:
    """What the trade would have lost at its first stop, in money and before charges; None without a stop on the losing side."""
    if trade.first_stop is None:
        return None
    distance = (trade.entry_price - trade.first_stop) * trade.side.sign
    return distance * trade.quantity if distance > 0 else None


def _between(columns: Columns, trade: Trade) -> tuple[_Prices, int]:
    """The extremes between entry and exit, without the prices of these two."""
    first, last = columns.at(trade.entry_at), columns.at(trade.exit_at)
    lows, highs = [float("inf")], [float("-inf")]
    if first < last:
        _see(columns, first, trade, lows, highs, whole=trade.entry_at <= columns.starts[first])
        if first + 1 < last:
            lows.append(min(columns.lows[first + 1 : last]))
            highs.append(max(columns.highs[first + 1 : last]))
    if trade.exit_at > columns.starts[last]:
        if first < last or trade.entry_at <= columns.starts[last]:
            lows.append(columns.opens[last])
            highs.append(columns.opens[last])
        if trade.exit_reason == "target":
            (lows if trade.side is Side.BUY else highs).append((columns.lows if trade.side is Side.BUY else columns.highs)[last])
    return (min(lows), max(highs)), last - first + (trade.exit_at > columns.starts[last])


def _see(columns: Columns, row: int, trade: Trade, lows: list[float], highs: list[float], *, whole: bool) -> None:
    low, high, close = columns.lows[row], columns.highs[row], columns.closes[row]
    lows.append(low if whole or trade.side is Side.BUY else close)
    highs.append(high if whole or trade.side is Side.SELL else close)
