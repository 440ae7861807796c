"""One backtest over many instruments on many accounts with everything switched on: how long it takes and how much memory it needs."""

from __future__ import annotations

import resource
from decimal import Decimal
from pathlib import Path

from engines.backtest import History, Job, Seat, Settings, play_job
from engines.backtest.report import report_on
from engines.backtest.settings import seat_of
from engines.core.model import (
    Account,
    Candle,
    CombinedRule,
    CombinedScope,
    DayRules,
    ExitSpec,
    Instrument,
    Limits,
    Sizing,
    SizingMode,
    TargetSpec,
    Timeframe,
)
from engines.market.files import MarketFile
from engines.ports import SystemClock
from tests.bench.figures import Figure

SHARES, SHARE_DAYS = 47, 22
INDEX_DAYS = 156
ACCOUNTS = 10
FIRST_MORNING = 1_704_080_700  # 2024-01-01 09:15 IST
DAY = 86_400
PARAMS = {"fast": 10, "slow": 30, "direction": "both"}
LADDER = ExitSpec(
    stop_pct=Decimal(1),
    targets=tuple(TargetSpec(Decimal(20), pct=Decimal(n) / 2, then_pct=Decimal(n - 1) / 2) for n in range(1, 6)),
    booking="even",
)


def measure(_name: str) -> list[Figure]:
    shares = _history("shares", [f"NSE:S{n}" for n in range(SHARES)], SHARE_DAYS, 300)
    index = _history("index", ["NSE:INDEX"], INDEX_DAYS, 60)
    seats = tuple(_seat(number) for number in range(1, ACCOUNTS + 1))
    rule = CombinedRule(
        "R1", "U1", CombinedScope.STRATEGY, "S1", stop=Decimal(2_000_000), trail_start=Decimal(500_000), trail_by=Decimal(300_000)
    )
    job = Job("ema_cross", params=PARAMS, timeframe=Timeframe.M5, exits=LADDER, seats=seats, rules=(rule,), strategy_id="S1")
    clock = SystemClock()
    began = clock.monotonic()
    played = play_job(job, (shares, index))
    playing = clock.monotonic() - began
    report_on(played).as_json()
    took = clock.monotonic() - began
    fills = sum(len(each.fills) for each in played.accounts)
    notes = {"bars": played.bars, "instruments": SHARES + 1, "accounts": ACCOUNTS, "fills": fills, "without_the_report": round(playing, 2)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    about = "one backtest of 48 instruments on 10 accounts with ladders, limits, square-off and a combined rule: "
    return [
        Figure("backtest-many", f"{about}until its report", took, "s", 30, notes=notes),
        Figure("backtest-many-memory", f"{about}memory at its peak", peak, "MB", 500),
    ]


def _seat(number: int) -> Seat:
    usual = seat_of(Settings(sizing=Sizing(SizingMode.PERCENT, Decimal(10))), "S1")
    account = Account(
        f"A{number}",
        "U1",
        f"Account {number}",
        "paper",
        Decimal(1_000_000 * number),
        Limits(max_daily_loss_pct=Decimal(3), max_open_positions=30),
        day_rules=DayRules(keep=True),
    )
    return Seat(account, usual.mapping)


def _history(name: str, symbols: list[str], days: int, seconds: int) -> History:
    """Walks on the tick, from a multiplicative congruential generator, in the hours of the exchange on its weekdays."""
    state, candles = 42, []
    prices = dict.fromkeys(symbols, 1000.0)
    weekdays = [day for day in range(2 * days) if day % 7 < 5][:days]
    for start in (FIRST_MORNING + day * DAY + bar * seconds for day in weekdays for bar in range(22_500 // seconds)):
        for symbol in symbols:
            state = state * 48271 % 2147483647
            opened = prices[symbol]
            price = prices[symbol] = round(max(100.0, opened * (1 + (state / 2147483647 - 0.5) * 0.004)), 1)
            candles.append(Candle(symbol, float(start), opened, max(opened, price), min(opened, price), price, 100.0))
    instruments = tuple(Instrument(symbol, symbol, "NSE", Decimal("0.1")) for symbol in symbols)
    return History(Path(name), name, MarketFile(candles, (), seconds, (), 0), instruments)
