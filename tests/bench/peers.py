"""A whole backtest beside two that people use: the same bars, the same rule and the same size, one after the other in one interpreter.

The rule is an EMA cross of 10 and 30 closes, long only, one unit, at the market on the next open. Ours charges every fill by the tables, checks money,
keeps decisions, fills and trades and makes the report's figures; the others are asked for no more than they do by default. Rates of engines that need
minutes for all bars are taken over the first of them.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from engines import backtest
from engines.backtest import History, Settings
from engines.core.model import Candle, Instrument, Sizing, SizingMode
from engines.market.files import MarketFile
from engines.ports import SystemClock
from tests.bench.figures import Figure
from tests.bench.strategy import SYMBOL, _bare_loop

BARS, FEWER, FEWEST = 400_000, 100_000, 30_000
FAST, SLOW = 10, 30
MINUTE, DAY_AND_NIGHT = 60, 1_672_617_600  # bars without a pause from 2 January 2023 on
TICK = 0.01
ONE = Settings(sizing=Sizing(SizingMode.FIXED_QUANTITY, Decimal(1)))
PARAMS = {"fast": FAST, "slow": SLOW, "direction": "long"}


def measure(_name: str) -> list[Figure]:
    warnings.simplefilter("ignore")
    candles = _random_walk(BARS)
    floor = len(candles) / min(_bare_loop([candle.close for candle in candles])[0] for _ in range(3))
    share = Instrument(SYMBOL, "a share to measure with", "NSE", Decimal("0.01"))
    history = History(Path("walk"), "", MarketFile(candles, (), MINUTE, (), 0), (share,))
    entries: dict[str, int] = {}

    def ours() -> int:
        return backtest.play("ema_cross", PARAMS, history, settings=ONE).played.accounts[0].entries

    rates = {}
    for name, bars, run in (
        ("tandem", BARS, ours),
        ("backtesting.py", FEWER, _backtesting(candles[:FEWER])),
        ("backtrader", FEWEST, _backtrader(candles[:FEWEST])),
    ):
        rates[name], entries[name] = _rate(bars, run, repeats=3 if name == "tandem" else 2)
    part = {
        bars: backtest.play("ema_cross", PARAMS, _first(history, bars), settings=ONE).played.accounts[0].entries for bars in (FEWER, FEWEST)
    }
    about = "EMA cross, one unit, long only, filled at the next open, on bars of a random walk: "
    notes = {"bars": BARS, "entries": entries["tandem"]}
    return [
        Figure("backtest-peers", f"{about}this program", rates["tandem"], "bars/s", 300_000, floor=floor, more_is_better=True, notes=notes),
        _peer(f"{about}backtesting.py", rates, entries, "backtesting.py", FEWER, part[FEWER]),
        _peer(f"{about}backtrader", rates, entries, "backtrader", FEWEST, part[FEWEST]),
    ]


def _peer(about: str, rates: dict[str, float], entries: dict[str, int], name: str, bars: int, ours: int) -> Figure:
    """Somebody else's rate, how many times ours is that, and whether it made the same entries."""
    notes = {"bars": bars, "entries": entries[name], "entries_of_tandem": ours, "tandem_is_times": round(rates["tandem"] / rates[name], 1)}
    return Figure(f"backtest-peers-{name}", about, rates[name], "bars/s", None, more_is_better=True, notes=notes)


def _rate(bars: int, run: Callable[[], int], repeats: int) -> tuple[float, int]:
    clock, best, entries = SystemClock(), 0.0, 0
    for _ in range(repeats):
        gc.collect()
        began = clock.monotonic()
        entries = run()
        best = max(best, bars / (clock.monotonic() - began))
    return best, entries


def _first(history: History, bars: int) -> History:
    return History(history.path, "", MarketFile(history.file.candles[:bars], (), MINUTE, (), 0), history.instruments)


def _random_walk(count: int) -> list[Candle]:
    """Log-normal steps of 5 basis points from 100, each bar opening at the last close, with wicks of 3, on the tick; always the same."""
    import numpy as np

    chance = np.random.default_rng(42)
    close = np.round(100 * np.exp(np.cumsum(chance.normal(0, 0.0005, count))) / TICK) * TICK
    opened = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(chance.normal(0, 0.0003, (2, count))) * close
    high = np.round((np.maximum(opened, close) + wick[0]) / TICK) * TICK
    low = np.round((np.minimum(opened, close) - wick[1]) / TICK) * TICK
    volume = chance.integers(1_000, 100_000, count)
    columns = [np.round(each, 2).tolist() for each in (opened, high, low, close)]
    return [
        Candle(SYMBOL, float(DAY_AND_NIGHT + number * MINUTE), *prices, float(traded))
        for number, (*prices, traded) in enumerate(zip(*columns, volume.tolist(), strict=True))
    ]


def _frame(candles: list[Candle]) -> Any:
    import pandas as pd

    index = pd.to_datetime([candle.start for candle in candles], unit="s")
    rows = [candle[2:] for candle in candles]
    return pd.DataFrame(rows, index=index, columns=["Open", "High", "Low", "Close", "Volume"])


def _average(values: Any, period: int) -> list[float]:
    """Exponential, seeded with the first value."""
    average = float(values[0])
    found = []
    for value in values.tolist():
        average += 2 / (period + 1) * (value - average)
        found.append(average)
    return found


def _backtesting(candles: list[Candle]) -> Callable[[], int]:
    from backtesting import Backtest, Strategy

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast = self.I(_average, self.data.Close, FAST)
            self.slow = self.I(_average, self.data.Close, SLOW)

        def next(self) -> None:
            if len(self.data) <= SLOW:
                return
            above, was = self.fast[-1] > self.slow[-1], self.fast[-2] > self.slow[-2]
            if above and not was and not self.position:
                self.buy(size=1)
            elif was and not above and self.position:
                self.position.close()

    frame = _frame(candles)
    return lambda: int(Backtest(frame, Cross, cash=1_000_000, finalize_trades=True).run()["# Trades"])


def _backtrader(candles: list[Candle]) -> Callable[[], int]:
    import backtrader

    class Cross(backtrader.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.fast = backtrader.ind.EMA(self.data.close, period=FAST)
            self.slow = backtrader.ind.EMA(self.data.close, period=SLOW)
            self.entries = 0

        def next(self) -> None:
            above, was = self.fast[0] > self.slow[0], self.fast[-1] > self.slow[-1]
            if above and not was and not self.position:
                self.buy(size=1)
                self.entries += 1
            elif was and not above and self.position:
                self.close()

    frame = _frame(candles)

    def run() -> int:
        cerebro = backtrader.Cerebro(stdstats=False)
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Cross)
        cerebro.broker.setcash(1_000_000)
        return int(cerebro.run()[0].entries)

    return run
