"""Law 11 on a whole day with everything at once: ladders, trails, deadlines, limits, square-off, re-entries and combined rules, on accounts that differ.

A replay through the live engine and a back-test of the same minutes are held against each other line by line.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from contextlib import closing
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from app.data import open_data
from app.launch.replay import Replay
from app.replays import Spec
from engines import backtest
from engines.backtest.events import events_of
from engines.core.eventlog import Event, from_facts, lines
from engines.core.model import (
    Account,
    AccountMapping,
    CombinedRule,
    CombinedScope,
    DayRules,
    ExitSpec,
    Group,
    Instrument,
    Limits,
    PaperSettings,
    ReentrySpec,
    Sizing,
    SizingMode,
    StrategyConfig,
    TargetSpec,
    Timeframe,
    TrailingSpec,
)

D = Decimal
NIFTY = Path("../shared/data/nifty50_1min_2024.csv.gz")
SYMBOL = "NFO:NIFTY24JANFUT"
FUTURE = Instrument(SYMBOL, "NIFTY JAN FUT", "NFO", D("0.05"), lot_size=50, segment="FUT")
DAY = "2024-01-04"
LADDER = ExitSpec(
    stop_pct=D("0.1"),
    targets=tuple(TargetSpec(D(20), pct=D(n) / 20, then_pct=D(n - 2) / 20) for n in range(1, 6)),
    booking="even",
)
TRAIL = ExitSpec(stop_pct=D("0.15"), trailing=TrailingSpec("percent", D("0.1")), max_minutes=25)
TIMED = ExitSpec(stop_points=D(40), targets=(TargetSpec(D(100), points=D(25)),), exit_at="14:00")
CASES: list[tuple[str, dict[str, Any], Timeframe, ExitSpec | None, ReentrySpec | None]] = [
    ("ema_cross", {"fast": 5, "slow": 13, "direction": "both"}, Timeframe.M1, LADDER, None),
    ("ema_cross", {"fast": 3, "slow": 8, "direction": "both"}, Timeframe.M5, TRAIL, ReentrySpec("asap", 3, "any", 3)),
    (
        "threshold",
        {"reference": "day_open", "buy_pct": -0.1, "sell_pct": 0.1, "direction": "both"},
        Timeframe.M1,
        TIMED,
        ReentrySpec("cost", 2),
    ),
    ("range_level", {"max_entries_per_side": 3, "anchor": "fill", "reverse": True}, Timeframe.M1, None, None),
]


def account(number: int, **more: Any) -> Account:
    hours = PaperSettings(session_hours=True)
    return Account(f"A{number}", "U1", f"A{number}", "paper", D(5_000_000), auto_trade=True, paper=hours, **more)


ACCOUNTS = (
    account(1),
    account(2, limits=Limits(max_trades_per_day=3)),
    account(3, limits=Limits(max_daily_loss=D(4_000), flatten_on_limit=True)),
    account(4, day_rules=DayRules(first_entry="10:00", last_entry="13:30", square_off_derivatives="14:30")),
    account(5, leverage=D(1)),
    account(6, leverage=D(1)),  # its money is enough for one position: who turns round must have left first
)
LOTS = {"A1": 3, "A2": 1, "A3": 5, "A4": 10, "A5": 7, "A6": 4}
MAPPINGS = tuple(
    AccountMapping(f"M{n}", a.account_id, "S1", sizing=Sizing(SizingMode.FIXED_QUANTITY, D(50 * LOTS[a.account_id])))
    for n, a in enumerate(ACCOUNTS)
)
GROUPS = (Group("G1", "U1", "Desk", ("A1", "A5")),)
RULES = (
    CombinedRule("R1", "U1", CombinedScope.ACCOUNT, "A4", stop=D(9_000), target=D(12_000)),
    CombinedRule("R2", "U1", CombinedScope.GROUP, "G1", stop=D(15_000), lock_at=D(6_000), lock=D(2_000), step=D(1_000), rise=D(500)),
)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The day and the three before it, which are the strategies' past."""
    path = tmp_path_factory.mktemp("days") / "days.csv"
    with gzip.open(NIFTY, "rt", encoding="utf-8") as whole:
        path.write_text("".join(line for line in islice(whole, 1 + 4 * 375)), encoding="utf-8")
    return path


def of_the_day(events: Iterable[Event]) -> list[str]:
    """Up to the last candle: what is decided when it closes finds no price any more in a back-test."""
    return [line for line in lines(events) if line.startswith(DAY) and line[11:16] < "15:29"]


@pytest.mark.parametrize(("kind", "params", "timeframe", "exits", "reentry"), CASES)
def test_law_11_a_replay_and_a_back_test_of_a_day_are_alike_line_by_line(
    kind: str, params: dict[str, Any], timeframe: Timeframe, exits: ExitSpec | None, reentry: ReentrySpec | None, days: Path, tmp_path: Path
) -> None:
    job = backtest.Job(
        kind=kind,
        params=params,
        timeframe=timeframe,
        sources=(backtest.Source(str(days), SYMBOL),),
        first=DAY,
        last=DAY,
        strategy_id="S1",
        exits=exits,
        reentry=reentry,
        seats=tuple(backtest.Seat(a, m) for a, m in zip(ACCOUNTS, MAPPINGS, strict=True)),
        rules=RULES,
        groups=GROUPS,
    )
    tested = of_the_day(events_of(backtest.run_job(job, instruments=[FUTURE])))

    strategy = StrategyConfig("S1", "U1", kind, kind, timeframe, (SYMBOL,), params, True, exits, reentry)
    spec = Spec(str(days), DAY, DAY, ACCOUNTS, (strategy,), MAPPINGS, (FUTURE,), GROUPS, RULES, symbol=SYMBOL, speed=0)
    with open_data(tmp_path) as data, closing(Replay(spec, data)) as replay:
        replay.begin()
        assert replay.feed._thread is not None
        replay.feed._thread.join(60)
        assert replay.feed.finished
        played = of_the_day(from_facts(replay.journal.heard()))

    assert tested == played
    assert sum(" entry " in line for line in played) >= 5
    assert any(" A6 " in line and " entry " in line for line in played)
