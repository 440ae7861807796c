"""The best and the worst trades seen closely: the candles around each, its fills, and where its stop stood meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from engines.backtest.columns import Columns, Shape
from engines.backtest.played import AccountPlayed
from engines.backtest.records import Trade
from engines.core.model import Role, Side, Timestamp

EACH = 3
"""So many of the best and of the worst."""
MOST_CANDLES = 84
FEWEST_AROUND = 14


@dataclass(frozen=True, slots=True)
class Mark:
    """A fill."""

    at: Timestamp
    price: float
    side: Side
    role: Role
    quantity: str


@dataclass(frozen=True, slots=True)
class Closeup:
    """`number`: which of the report's trades, from 1. `seconds`: of one candle. `stops`: (since when, where); the last holds until the exit."""

    number: int
    trade: Trade
    best: bool
    candles: tuple[Shape, ...]
    seconds: float
    marks: tuple[Mark, ...]
    stops: tuple[tuple[Timestamp, float], ...]


def closeups(trades: Sequence[Trade], accounts: Sequence[AccountPlayed], columns: Mapping[str, Columns], each: int = EACH) -> list[Closeup]:
    """The best by net result, then the worst, each only once however many accounts traded it."""
    order = sorted(range(len(trades)), key=lambda n: trades[n].gross - trades[n].charges)
    worst, best = order, order[::-1]
    found: list[Closeup] = []
    seen: set[tuple[str, Timestamp]] = set()
    by_name = {played.account.account_id: played for played in accounts}
    for numbers, good in ((best, True), (worst, False)):
        left = each
        for number in numbers:
            trade = trades[number]
            place = (trade.symbol, trade.entry_at)
            if left and place not in seen and (trade.net > 0) is good and trade.symbol in columns:
                seen.add(place)
                left -= 1
                found.append(_closeup(number, trade, good, columns[trade.symbol], by_name.get(trade.account_id)))
            if not left or (trade.net > 0) is not good:
                break
    return found


def _closeup(number: int, trade: Trade, best: bool, columns: Columns, played: AccountPlayed | None) -> Closeup:
    first, last = columns.at(trade.entry_at), columns.at(trade.exit_at)
    around = max(FEWEST_AROUND, (last - first) // 3)
    begin, end = max(first - around, 0), min(last + around + 1, len(columns.starts))
    per = max(ceil((end - begin) / MOST_CANDLES), 1)
    marks, stops = _marks(trade, played)
    return Closeup(number + 1, trade, best, tuple(columns.shapes(begin, end, per)), columns.seconds * per, marks, stops)


def _marks(trade: Trade, played: AccountPlayed | None) -> tuple[tuple[Mark, ...], tuple[tuple[Timestamp, float], ...]]:
    fills = [] if played is None else [fill for fill in played.fills if _within(fill.symbol, fill.at, trade)]
    marks = tuple(Mark(fill.at, float(fill.price), fill.side, fill.role, f"{fill.quantity.normalize():f}") for fill in fills)
    if not marks:
        quantity = f"{trade.quantity.normalize():f}"
        marks = (
            Mark(trade.entry_at, float(trade.entry_price), trade.side, Role.ENTRY, quantity),
            Mark(trade.exit_at, float(trade.exit_price), trade.side.opposite, Role.EXIT, quantity),
        )
    moves = [] if played is None else [move for move in played.moves if _within(move.symbol, move.at, trade)]
    stops = [(move.at, float(move.stop)) for move in moves if move.stop is not None and move.kind in ("armed", "moved")]
    if not stops and trade.first_stop is not None:
        stops = [(trade.entry_at, float(trade.first_stop))]
    return marks, tuple(stops)


def _within(symbol: str, at: Timestamp, trade: Trade) -> bool:
    return symbol == trade.symbol and trade.entry_at <= at <= trade.exit_at
