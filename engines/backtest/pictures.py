"""The candles that a report's chart shows: one file for each instrument that traded, thinned until a browser draws them at once.

Only the picture is thinned; what was played is whole.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from engines.backtest.played import Played
from engines.core.model import Candle
from engines.core.sessions import exchange_of, utc_offset

MOST_BARS = 6_000
MOST_FILES = 100
_UNFIT = re.compile(r"[^A-Za-z0-9&_.-]+")


def chart_name(symbol: str) -> str:
    """The file of a symbol's candles."""
    return _UNFIT.sub("_", symbol) + ".json"


def write_charts(folder: Path, played: Played) -> tuple[str, ...]:
    """`{"seconds", "bars": [[start, open, high, low, close], …]}` for each instrument that traded, the busiest first. → their symbols."""
    trades: dict[str, int] = {}
    for account in played.accounts:
        for trade in account.trades:
            trades[trade.symbol] = trades.get(trade.symbol, 0) + 1
    wanted = sorted(trades, key=lambda symbol: (-trades[symbol], symbol))[:MOST_FILES]
    candles: dict[str, list[Candle]] = {symbol: [] for symbol in wanted}
    for history in played.histories:
        for candle in history.file.candles:
            if candle.symbol in candles:
                candles[candle.symbol].append(candle)
    folder.mkdir(exist_ok=True)
    for symbol, bars in candles.items():
        seconds = next((history.file.seconds for history in played.histories if symbol in history.file.symbols), 60.0)
        (folder / chart_name(symbol)).write_text(json.dumps(thinned(bars, seconds), separators=(",", ":")), encoding="utf-8")
    return tuple(wanted)


def thinned(bars: list[Candle], seconds: float) -> dict[str, Any]:
    """Several bars of a session become one, until there are few enough."""
    if not bars:
        return {"seconds": seconds, "bars": []}
    offset = utc_offset(exchange_of(bars[0].symbol))
    step = -(-len(bars) // MOST_BARS)
    rows: list[list[float]] = []
    held, day = 0, -1.0
    for bar in bars:
        today = (bar.start + offset) // 86_400
        if held == 0 or held == step or today != day:
            rows.append([bar.start, bar.open, bar.high, bar.low, bar.close])
            held, day = 1, today
            continue
        row = rows[-1]
        row[2], row[3], row[4] = max(row[2], bar.high), min(row[3], bar.low), bar.close
        held += 1
    return {"seconds": seconds * step, "bars": rows}
