"""`demo`: a workspace that is ready and already trading on paper: five accounts, four strategies, and a few positions to look at.

It seeds only an empty data folder of its own and never touches a folder that holds somebody's workspace. Everything in it goes through the same
data service, engines and checks as in earnest; nothing is shown that did not happen.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from app.data import Data, User, UserRole
from app.launch.common import CLI, settings_for
from app.launch.errors import CannotRun
from app.launch.serve import serve
from config import ROOT, Settings
from engines.core.model import (
    Account,
    AccountMapping,
    CombinedRule,
    CombinedScope,
    ExitSpec,
    Group,
    Limits,
    PaperSettings,
    ReentrySpec,
    Side,
    Signal,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    TargetSpec,
    Timeframe,
    TrailingSpec,
)
from engines.ports import RandomIds, SystemClock
from engines.system import TradingSystem

DEMO_DIR = ROOT / "var" / "demo"
EMAIL = "demo@example.com"
SIGN_IN = "demo-sign-in.txt"
D = Decimal


def run(args: argparse.Namespace) -> int:
    settings = settings_for(args, default_dir=DEMO_DIR)
    demo = Demo()
    return serve(settings, engines=not args.no_engines, browser=not args.no_browser, prepare=demo.prepare, begin=demo.begin)


class Demo:
    """One start of the demo: seeds what is missing, then opens the first positions, once in the life of its folder."""

    def __init__(self) -> None:
        self._fresh: Seeded | None = None

    def prepare(self, data: Data) -> None:
        note = data.data_dir / SIGN_IN
        if data.users.count() == 0:
            password = "-".join(secrets.token_hex(2) for _ in range(3))
            _write_private(note, f"{EMAIL}\n{password}\n")
            self._fresh = seed(data, password)
        elif not note.exists():
            raise CannotRun(f"{data.data_dir} holds a workspace that is not the demo; give the demo a folder of its own")
        email, password = note.read_text(encoding="utf-8").split()
        print(f"sign in as {email} with the password {password}", flush=True)

    def begin(self, system: TradingSystem, _data: Data, _settings: Settings) -> None:
        if self._fresh is not None and system.engines_on(self._fresh.user.user_id):
            open_first_positions(system, self._fresh)


# --- what is in it ---------------------------------------------------------------------------------------------------

QUIET = PaperSettings()
BUSY = PaperSettings(latency_ms=120, slippage_ticks=D(1), seed=11)
THIN = PaperSettings(latency_ms=60, partial_fills=True, seed=23)

ACCOUNTS: Mapping[str, Account] = {
    name: Account("", "", name, "paper", D(capital), limits, leverage=D(leverage), auto_trade=True, paper=paper)
    for name, capital, leverage, paper, limits in (
        ("Family core", 1_000_000, 5, QUIET, Limits(max_daily_loss=D(20_000), max_trades_per_day=60, max_open_positions=8)),
        ("Growth", 500_000, 5, BUSY, Limits(max_daily_loss_pct=D(3), max_daily_profit_pct=D(6), max_position_value=D(400_000))),
        ("Cautious", 200_000, 2, QUIET, Limits(max_daily_loss=D(2_000), max_order_value=D(40_000), max_open_positions=2)),
        ("Pilot", 100_000, 1, QUIET, Limits(max_daily_loss_pct=D(1), max_trades_per_day=15)),
        ("High tide", 750_000, 5, THIN, Limits(max_daily_loss_pct=D(4), max_order_value_pct=D(60), flatten_on_limit=True)),
    )
}

STRATEGIES: Mapping[str, StrategyConfig] = {
    "Quick cross": StrategyConfig(
        "",
        "",
        "Quick cross",
        "ema_cross",
        Timeframe.M1,
        ("NSE:INFY", "NSE:SBIN", "NSE:RELIANCE"),
        {"fast": 5, "slow": 13, "direction": "both"},
        active=True,
        exit_plan=ExitSpec(stop_pct=D("0.6"), targets=(TargetSpec(D(50), pct=D("0.5")),), cost_after_target=1),
    ),
    "Buy the dip": StrategyConfig(
        "",
        "",
        "Buy the dip",
        "threshold",
        Timeframe.M1,
        ("NSE:HDFCBANK", "NSE:ICICIBANK"),
        {"reference": "last_exit", "buy_pct": -0.15, "sell_pct": 0.15, "direction": "long", "check": "tick"},
        active=True,
        exit_plan=ExitSpec(stop_pct=D("0.8"), trailing=TrailingSpec("percent", D("0.8"))),
    ),
    "Ladder": StrategyConfig(
        "",
        "",
        "Ladder",
        "threshold",
        Timeframe.M1,
        ("NSE:ITC",),
        {"reference": "day_open", "buy_pct": 0.1, "sell_pct": -0.1, "direction": "both"},
        active=True,
        exit_plan=ExitSpec(
            stop_pct=D("0.3"),
            targets=tuple(TargetSpec(D(10), pct=D(n) / 20, then_pct=D(n - 1) / 20) for n in range(1, 11)),
            booking="even",
        ),
        reentry=ReentrySpec("cost", most=2, cool_down_minutes=2),
    ),
    "Slow trend": StrategyConfig(
        "",
        "",
        "Slow trend",
        "ema_cross",
        Timeframe.M5,
        ("NSE:TCS", "NSE:LT"),
        {"fast": 9, "slow": 21, "direction": "long"},
        active=True,
        exit_plan=ExitSpec(stop_pct=D("1.2"), targets=(TargetSpec(D(50), pct=D(1)), TargetSpec(D(50), pct=D(2)))),
    ),
}

WATCHED = tuple(f"NSE:{name}" for name in ("INFY", "SBIN", "RELIANCE", "TCS", "HDFCBANK", "ICICIBANK", "ITC", "LT"))
PERCENT = Sizing(SizingMode.PERCENT, D(20))
AMOUNT = Sizing(SizingMode.FIXED_AMOUNT, D(15_000))
ONE_SHARE = Sizing(SizingMode.FIXED_QUANTITY, D(1))
RISK = Sizing(SizingMode.RISK)
KELLY = Sizing(SizingMode.KELLY, D("0.5"), kelly_fallback_pct=D(8))

# account, strategy, allocation %, sizing, risk per trade %, multiplier
MAPPINGS = (
    ("Family core", "Quick cross", 40, PERCENT, "1", "1"),
    ("Family core", "Slow trend", 40, PERCENT, "1", "1"),
    ("Family core", "Ladder", 20, PERCENT, "1", "1"),
    ("Growth", "Quick cross", 50, RISK, "0.5", "1"),
    ("Growth", "Buy the dip", 50, RISK, "0.5", "1"),
    ("Cautious", "Slow trend", 60, AMOUNT, "1", "1"),
    ("Cautious", "Buy the dip", 30, AMOUNT, "1", "0.5"),
    ("Cautious", "Ladder", 10, AMOUNT, "1", "1"),
    ("Pilot", "Quick cross", 30, ONE_SHARE, "1", "1"),
    ("Pilot", "Buy the dip", 30, ONE_SHARE, "1", "2"),
    ("Pilot", "Slow trend", 30, ONE_SHARE, "1", "1"),
    ("High tide", "Buy the dip", 60, KELLY, "1", "1.5"),
    ("High tide", "Quick cross", 40, PERCENT, "1", "1"),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    user: User
    strategies: Mapping[str, StrategyConfig]


def seed(data: Data, password: str) -> Seeded:
    """The owner, the accounts, the strategies and the mappings, in a workspace that has nobody yet."""
    user = data.users.add(EMAIL, password, role=UserRole.OWNER, name="Demo", by=CLI)
    accounts = {
        name: data.accounts.add(replace(account, user_id=user.user_id), {}, by=CLI).account.account_id for name, account in ACCOUNTS.items()
    }
    strategies = {
        name: data.strategies.add(replace(strategy, user_id=user.user_id), by=CLI).strategy for name, strategy in STRATEGIES.items()
    }
    for account, strategy, allocation, sizing, risk, multiplier in MAPPINGS:
        data.mappings.add(
            user.user_id,
            AccountMapping("", accounts[account], strategies[strategy].strategy_id, D(allocation), sizing, D(risk), D(multiplier)),
            by=CLI,
        )
    desk = data.groups.add(Group("", user.user_id, "Family", (accounts["Family core"], accounts["Cautious"])), by=CLI).group
    for rule in (
        CombinedRule(
            "",
            user.user_id,
            CombinedScope.GROUP,
            desk.group_id,
            stop=D(15_000),
            lock_at=D(4_000),
            lock=D(1_000),
            step=D(1_000),
            rise=D(500),
        ),
        CombinedRule("", user.user_id, CombinedScope.STRATEGY, strategies["Quick cross"].strategy_id, stop=D(10_000), target=D(20_000)),
    ):
        data.combined_rules.add(rule, by=CLI)
    data.watchlists.add(user.user_id, "Morning", WATCHED, by=CLI)
    return Seeded(user, strategies)


def open_first_positions(system: TradingSystem, seeded: Seeded) -> None:
    """One signal for each strategy, as a person would send it, so that the first look shows positions and their exit plans."""
    clock, ids = SystemClock(), RandomIds()
    for number, strategy in enumerate(seeded.strategies.values(), start=1):
        system.submit(
            Signal(
                key=ids.new(),
                signal_id=f"demo-{number}",
                user_id=seeded.user.user_id,
                source=Source.MANUAL,
                symbol=strategy.instruments[0],
                side=Side.BUY,
                created_at=clock.now(),
                strategy_id=strategy.strategy_id,
                exits=strategy.exit_plan or ExitSpec(),
                note="sent by the demo, so that there is something to look at",
            )
        )


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
