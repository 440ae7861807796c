"""How many one-minute bars a second a whole backtest takes in, from candles in memory to the figures of its report."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from engines import backtest
from engines.backtest import History, Settings
from engines.core.model import Candle, Instrument, Sizing, SizingMode, Timeframe
from engines.market.files import MarketFile
from engines.ports import SystemClock
from engines.strategies import registry
from tests.bench.figures import Figure
from tests.bench.strategy import BARS, MINUTE, SYMBOL, walk

BEST_OF = 5
FIRST_MINUTE = 1_704_080_700  # 2024-01-01 09:15 IST: charges are dated
PARAMS = {"fast": 10, "slow": 30, "direction": "both"}
SMALL = Settings(
    sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(100))
)  # all of the capital would be charged away in 2,000 trades, and the rest refused


def measure(_name: str) -> list[Figure]:
    history = minutes(BARS)
    reports = [backtest.play("ema_cross", PARAMS, history, settings=SMALL) for _ in range(BEST_OF)]
    best = max(report.bars_per_second or 0.0 for report in reports)
    floor = max(_bare_loop(history.file.candles) for _ in range(BEST_OF))
    about = "EMA cross traded on one-minute bars, stop and reverse at the market, from candles in memory to the figures of the report"
    notes = {"bars": BARS, "fills": reports[0].fills, "trades": len(reports[0].trades), "best_of": BEST_OF}
    return [Figure("backtest-rate", about, best, "bars/s", 300_000, floor=floor, more_is_better=True, notes=notes)]


def minutes(count: int) -> History:
    candles = [candle._replace(start=FIRST_MINUTE + candle.start) for candle in walk(count)]
    share = Instrument(SYMBOL, "a share to measure with", "NSE", Decimal("0.01"))
    return History(Path("walk"), "", MarketFile(candles, (), MINUTE, (), 0), (share,))


def _bare_loop(candles: list[Candle]) -> float:
    """Bars a second of the loop alone: the strategy decides on each, and nobody trades."""
    clock = SystemClock()
    on_candle = registry.create("ema_cross", PARAMS, SYMBOL, Timeframe.M1).on_candle
    began = clock.monotonic()
    for candle in candles:
        on_candle(candle)
    return len(candles) / (clock.monotonic() - began)
