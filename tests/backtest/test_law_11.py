"""Law 11: the same file through the live engine, in lockstep, and through a backtest gives the same signals, by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engines.backtest import Settings, Way, play, read_history
from engines.backtest.history import History
from engines.core.facts import SignalPlanned
from engines.core.model import (
    AccountMapping,
    ExitSpec,
    Side,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    TargetSpec,
    Timeframe,
    TrailingSpec,
)
from engines.core.positions import round_trips
from engines.market.replay import ReplayFeed
from engines.system import EngineSettings, TradingSystem
from tests.execution.house import USER, CountingIds, ListNotifier, MemoryJournal, MemoryLatch, StaticDirectory, account

SYMBOL = "NSE:NIFTY_FUTURE"
TEN = Sizing(SizingMode.FIXED_QUANTITY, Decimal(10))
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("ema_cross", {"fast": 5, "slow": 13, "direction": "both"}),
    ("ema_cross", {"fast": 9, "slow": 21, "direction": "long"}),
    ("threshold", {"reference": "day_open", "buy_pct": -0.1, "sell_pct": 0.1, "direction": "both"}),
]


@pytest.fixture(scope="module")
def two_days(nifty_week: Path) -> History:
    return read_history(nifty_week, symbol=SYMBOL, last=date(2024, 1, 2))


def live(
    kind: str, params: Mapping[str, Any], history: History, timeframe: Timeframe = Timeframe.M1, exits: ExitSpec | None = None
) -> MemoryJournal:
    """The live engine on a replay of the same candles, each batch finished before the next one comes."""
    feed = ReplayFeed(history.path, SYMBOL, speed=0, instruments=history.instruments, file=history.file)
    config = StrategyConfig("S1", USER, kind, kind, timeframe, (SYMBOL,), params, active=True, exit_plan=exits)
    journal = MemoryJournal()
    system = TradingSystem(
        journal=journal,
        latch=MemoryLatch(),
        directory=StaticDirectory([account()], [config], [AccountMapping("M1", "A1", "S1", sizing=TEN)]),
        notifier=ListNotifier(),
        clock=feed.clock,
        ids=CountingIds(),
        feed=feed,
        settings=EngineSettings(lockstep=True),
    )
    begin, feed.start = feed.start, lambda on_ticks: None  # type: ignore[method-assign]  # played on this thread, once everything is ready
    system.start()
    try:
        feed.play(system.runtime.on_ticks)
    finally:
        feed.start = begin  # type: ignore[method-assign]
        system.stop()
    return journal


def said_by(journal: MemoryJournal) -> list[tuple[str, Side, bool]]:
    signals = [fact.signal for fact in journal.facts if isinstance(fact, SignalPlanned) and fact.signal.source is Source.STRATEGY]
    return [(signal.signal_id, signal.side, signal.reduce_only) for signal in signals]


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_law_11_the_live_engine_and_the_backtest_give_the_same_signals(kind: str, params: dict[str, Any], two_days: History) -> None:
    said = said_by(live(kind, params, two_days))

    for way in (Way.STOP_FIRST, Way.REPLAY):
        report = play(kind, params, two_days, settings=Settings(sizing=TEN, way=way), strategy_id="S1")
        decided = [(decision.signal_id, decision.side, decision.reduce_only) for decision in report.decisions]
        assert decided == said

    assert len(said) >= 4


def test_a_replayed_backtest_trades_at_the_prices_and_charges_of_the_live_engine(two_days: History) -> None:
    kind, params = KINDS[0]
    fills = sorted(live(kind, params, two_days).fills(), key=lambda fill: (fill.traded_at, fill.trade_id))
    report = play(kind, params, two_days, settings=Settings(sizing=TEN, way=Way.REPLAY), strategy_id="S1")
    assert report.fills == len(fills) > 50
    assert report.charges == sum((fill.charges for fill in fills), Decimal(0))
    cash = sum((-fill.side.sign * fill.quantity * fill.price for fill in fills), Decimal(0))
    held = sum((holding.quantity * holding.last_price for holding in report.holdings), Decimal(0))
    assert report.gross == cash + held


LADDER = ExitSpec(
    stop_pct=Decimal("0.1"),
    targets=(TargetSpec(Decimal(50), pct=Decimal("0.1")), TargetSpec(Decimal(50), pct=Decimal("0.2"))),
    cost_after_target=1,
)
TRAIL = ExitSpec(stop_pct=Decimal("0.15"), trailing=TrailingSpec("percent", Decimal("0.1")))
GUARDED: list[tuple[str, dict[str, Any], ExitSpec, Timeframe]] = [
    ("ema_cross", {"fast": 5, "slow": 13, "direction": "both"}, LADDER, Timeframe.M1),
    ("ema_cross", {"fast": 3, "slow": 8, "direction": "both"}, TRAIL, Timeframe.M5),
    ("threshold", {"reference": "last_exit", "buy_pct": -0.1, "sell_pct": 0.1, "direction": "both"}, TRAIL, Timeframe.M1),
    ("threshold", {"reference": "day_open", "buy_pct": -0.1, "sell_pct": 0.1, "direction": "both", "check": "tick"}, LADDER, Timeframe.M1),
]


@pytest.mark.parametrize(("kind", "params", "exits", "timeframe"), GUARDED)
def test_law_11_holds_with_stops_targets_and_trails_to_the_paisa_of_every_trade(
    kind: str, params: dict[str, Any], exits: ExitSpec, timeframe: Timeframe, nifty_week: Path
) -> None:
    week = read_history(nifty_week, symbol=SYMBOL)
    journal = live(kind, params, week, timeframe, exits)
    settings = Settings(sizing=TEN, exits=exits, way=Way.REPLAY)
    report = play(kind, params, week, timeframe=timeframe, settings=settings, strategy_id="S1")

    assert [(decision.signal_id, decision.side, decision.reduce_only) for decision in report.decisions] == said_by(journal)
    assert [trade.net for trade in report.trades] == round_trips(journal.fills())
    assert report.charges == sum((fill.charges for fill in journal.fills()), Decimal(0))
    assert {"stop", "moved_stop", "target"} & {trade.exit_reason for trade in report.trades}
