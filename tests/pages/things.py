"""A book written by hand: five accounts (paper, live, halted), strategies, positions and halts; what pages show without any engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.api.accounts.schemas import AccountOut, DayRulesOut, PaperOut
from app.api.combined.schemas import CombinedOut
from app.api.consents.schemas import ConsentOut
from app.api.exits import ExitPlanOut, ExitsOut, PlanTargetOut, StopOut, TargetOut, TrailingOut
from app.api.groups.schemas import GroupOut, GroupPnlOut, MemberOut
from app.api.groups.service import state_of
from app.api.mappings.schemas import MappingOut, SizingOut
from app.api.positions.schemas import PositionOut
from app.api.strategies.reentry import ReentryOut
from app.api.strategies.schemas import LadderOut, LevelOut, LevelsOut, OwnerOut, PresetOut, ShareOut, StrategyKindOut, StrategyOut
from app.api.system.schemas import (
    HaltOut,
)
from app.api.watchlists.schemas import DayOut, WatchlistOut
from engines.core import ranges
from engines.core.model import Side
from engines.strategies.range_level import RangeLevel

NOW = datetime(2026, 11, 20, 6, 12, 41, 250_000, tzinfo=UTC)  # 11:42:41 in India
D = Decimal


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def account(id: str, name: str, broker: str, capital: str, day: str | None, **changes: Any) -> AccountOut:
    known = day is not None
    fields: dict[str, Any] = {
        "id": id,
        "name": name,
        "broker": broker,
        "credentials": {} if broker == "paper" else {"api_key": "kt1…9qz", "api_secret": "••••••"},
        "capital": D(capital),
        "max_daily_loss": D(capital) * D("0.02"),
        "max_daily_loss_pct": None,
        "max_daily_profit": None,
        "max_daily_profit_pct": None,
        "max_trades_per_day": 40,
        "max_open_positions": 6,
        "max_order_value": None,
        "max_order_value_pct": D(50),
        "max_position_value": None,
        "max_position_value_pct": D(80),
        "flatten_on_limit": False,
        "leverage": D(5),
        "dry_run": False,
        "auto_trade": True,
        "enabled": True,
        "day_rules": DayRulesOut(
            keep=None,
            holds=changes.get("broker", "paper") != "paper",
            first_entry="09:20",
            last_entry=None,
            square_off=True,
            square_off_cash="15:10",
            square_off_derivatives="15:15",
        ),
        "paper": PaperOut(latency_ms=0, slippage_ticks=D(0), partial_fills=False, reject_pct=D(0), session_hours=False, seed=7)
        if broker == "paper"
        else None,
        "state": "ready",
        "state_detail": "",
        "session_expires_at": None if broker == "paper" else NOW + timedelta(hours=18),
        "equity": D(capital) + D(day or 0) if known else None,
        "available": D(capital) * D("0.62") if known else None,
        "used_margin": D(capital) * D("0.38") if known else None,
        "realised": D(day) * D("0.6") if known else None,
        "unrealised": D(day) * D("0.45") if known else None,
        "charges": abs(D(day)) * D("0.05") if known else None,
        "day_pnl": D(day) if known else None,
        "day_trades": 12 if known else None,
        "day_loss_used_pct": max(-D(day), D(0)) / (D(capital) * D("0.02")) * 100 if known else None,
        "open_positions": 2 if known else None,
        "kill_switch": False,
        "kill_reason": "",
        "locked": None,
        "connected": known,
        "currency": "INR",
        "queue_depth": 0,
        "source_address": None,
        "auto_login": False,
        "auto_login_failures": 0,
        "auto_login_message": "",
        "broker_user_id": None if broker == "paper" or not known else "A…34",
        "created_at": ago(86400 * 40),
    }
    return AccountOut(**{**fields, **changes})


ACCOUNTS = [
    account("A1", "Family paper", "paper", "500000", "6240.75"),
    account("A2", "Aggressive paper", "paper", "200000", "-3412.40", max_daily_loss_pct=D(2), open_positions=3),
    account("A3", "Zerodha main", "zerodha", "1250000", "18450.10", dry_run=True, auto_trade=False),
    account(
        "A4",
        "Zerodha HUF",
        "zerodha",
        "800000",
        None,
        state="needs_login",
        state_detail="The session ended at 06:00. Sign in to trade today.",
    ),
    account(
        "A5",
        "Careful paper",
        "paper",
        "100000",
        "-1985.00",
        kill_switch=True,
        kill_reason="by hand",
        locked="daily_loss",
        state="halted",
        state_detail="closed for the day: daily loss limit",
    ),
]


def member(of: AccountOut, state: str, detail: str = "", consent: str = "none", objection: str = "") -> MemberOut:
    return MemberOut(
        account_id=of.id,
        name=of.name,
        live=of.broker != "paper",
        state=state,
        detail=detail,
        consent=consent,
        consent_until=NOW + timedelta(days=9) if consent == "stands" else None,
        objection=objection,
        day_pnl=of.day_pnl,
        open_positions=of.open_positions,
        entries_waiting=1 if state == "paused" else 0,
        currency=of.currency,
    )


def group(id: str, name: str, days: int, *members: MemberOut) -> GroupOut:
    return GroupOut(
        id=id,
        name=name,
        account_ids=[each.account_id for each in members],
        created_at=ago(86400 * days),
        state=state_of([each.state for each in members]),
        running=sum(each.state == "running" for each in members),
        total=len(members),
        members=members,
        pnl=[
            GroupPnlOut(
                currency="INR",
                live=live,
                day_pnl=sum((each.day_pnl or D(0) for each in members if each.live == live), D(0)),
                open_positions=sum(each.open_positions or 0 for each in members if each.live == live),
            )
            for live in (True, False)
            if any(each.live == live for each in members)
        ],
    )


_NO = "the consent of Meera Rao (spouse) was revoked on 12 Nov 2026: record a new one to trade this account"
GROUPS = [
    group(
        "G1",
        "Family",
        20,
        member(ACCOUNTS[0], "running"),
        member(ACCOUNTS[1], "running", consent="stands"),
        member(ACCOUNTS[4], "stopped", "kill switch: by hand", "revoked", _NO),
    ),
    group(
        "G2",
        "Real money",
        2,
        member(ACCOUNTS[2], "paused", "auto-trade is off: strategies enter nothing"),
        member(ACCOUNTS[3], "waiting", "The session ended at 06:00. Sign in to trade today.", "self"),
    ),
    group("G3", "Nobody yet", 1),
]


def consent(id: str, account: AccountOut | None, holder: str, relation: str, state: str, **changes: Any) -> ConsentOut:
    fields: dict[str, Any] = {
        "id": id,
        "account_id": account.id if account else "gone",
        "account_name": account.name if account else None,
        "group_id": "G1",
        "holder": holder,
        "relation": relation,
        "scope": "signals",
        "note": "",
        "given_at": ago(86400 * 230),
        "until": None,
        "state": state,
        "revoked_at": None,
        "revoked_by": None,
        "auto_trade": account is not None and account.auto_trade,
    }
    return ConsentOut(**{**fields, **changes})


CONSENTS = [
    consent("C4", ACCOUNTS[3], "Asha Rao", "self", "stands", group_id=None, scope="manage"),
    consent("C1", ACCOUNTS[1], "Kiran Rao", "child", "stands", until=NOW + timedelta(days=9), note="letter of 4 April, in the blue folder"),
    consent("C2", ACCOUNTS[4], "Meera Rao", "spouse", "revoked", revoked_at=ago(86400 * 8), revoked_by="Asha Rao on behalf of Meera Rao"),
    consent("C3", None, "R. Iyer", "partner", "over", until=ago(86400 * 60), scope="manage"),
]


def combined(id: str, scope: str, scope_id: str, pnl: str | None, **changes: Any) -> CombinedOut:
    fields: dict[str, Any] = dict.fromkeys(CombinedOut.model_fields)
    counts = ("live", "paper")
    amounts = {name: D(value) if type(value) is int and name not in counts else value for name, value in changes.items()}
    fields |= {
        "id": id,
        "scope": scope,
        "scope_id": scope_id,
        "pnl": None if pnl is None else D(pnl),
        "why": "",
        "enabled": True,
        "live": 0,
        "paper": 1,
    }
    return CombinedOut(**{**fields, "day": "2026-11-20", "created_at": ago(86400 * 9), "updated_at": ago(86400), **amounts})


COMBINED = [
    combined(
        "R1", "group", "G1", "843.35", stop=10000, target=25000, lock_at=5000, lock=2000, step=1000, rise=500, best=2310, leave_at=-10000
    ),
    combined("R2", "account", "A3", "18450.10", stop=15000, trail_start=15000, trail_by=4000, best=19020, floor=15020, leave_at=15020),
    combined("R3", "strategy", "S2", "-3120.50", stop=5000, target=8000, best=410, leave_at=-5000, live=1, paper=2),
    combined("R4", "account", "A5", "-1985", stop=1500, best=120, leave_at=-1500, left="stop", left_at=ago(5400), left_pnl=D("-1512.40")),
    combined(
        "R5",
        "strategy",
        "S1",
        "12380",
        stop=9000,
        trail_start=12000,
        trail_by=2500,
        best=15100,
        floor=12600,
        leave_at=12600,
        left="trail",
        left_at=ago(2400),
        left_pnl=D(12400),
    ),
    combined("R6", "group", "G2", None, stop=20000, why="Zerodha HUF cannot be valued now: a price is missing", leave_at=-20000),
    combined("R7", "account", "A1", "6240.75", target=20000, best=6300, enabled=False),
]

KINDS = [
    StrategyKindOut(
        kind="ema_cross",
        name="EMA cross",
        description="Buys when the fast average crosses above the slow one, sells when it falls below.",
        params_schema={
            "properties": {
                "fast": {"type": "integer", "title": "Fast average", "description": "candles", "default": 9, "minimum": 1, "maximum": 500},
                "slow": {
                    "type": "integer",
                    "title": "Slow average",
                    "description": "candles",
                    "default": 21,
                    "minimum": 2,
                    "maximum": 1000,
                },
                "sides": {"enum": ["long", "long_short"], "title": "Sides", "type": "string", "default": "long"},
            },
            "type": "object",
        },
    ),
    StrategyKindOut(
        kind="threshold",
        name="Buy and sell threshold",
        description="Buys when the price has moved by a percentage from its reference, and sells at another.",
        params_schema={
            "$defs": {"Reference": {"enum": ["open", "previous_close", "last_exit"], "type": "string"}},
            "properties": {
                "buy_pct": {
                    "anyOf": [{"type": "number"}, {"type": "string"}],
                    "title": "Buy at",
                    "description": "% from the reference",
                    "default": "-1.0",
                },
                "sell_pct": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}], "title": "Sell at", "default": None},
                "reference": {"$ref": "#/$defs/Reference", "default": "open", "title": "Reference"},
                "once_a_day": {"type": "boolean", "title": "Once a day", "default": True},
                "ladder": {"type": "array", "items": {"type": "number"}, "title": "Ladder", "default": [1, 2]},
            },
            "required": ["buy_pct"],
            "type": "object",
        },
    ),
]

KINDS.append(
    StrategyKindOut(
        kind=RangeLevel.kind,
        name=RangeLevel.name,
        description=RangeLevel.description,
        params_schema=RangeLevel.Params.model_json_schema(),
        presets=[PresetOut(id=name, name=one.name, about=one.about, params=dict(one.params)) for name, one in RangeLevel.presets.items()],
        candles="1m",
        own_exits=True,
    )
)

RECIPE = ExitsOut(
    stop_loss=StopOut(price=None, pct=D("0.8"), points=None),
    targets=[
        TargetOut(price=None, pct=D("0.6"), points=None, share_pct=D(50), then_stop=None),
        TargetOut(price=None, pct=D("1.4"), points=None, share_pct=D(50), then_stop=None),
    ],
    trailing=TrailingOut(mode="percent", value=D("0.8"), step=None, start=None),
    cost_after_target=1,
    booking="remainder",
    exit_at="15:10",
    max_minutes=None,
)

LADDER = ExitsOut(
    stop_loss=StopOut(price=None, pct=None, points=D(50)),
    targets=[
        TargetOut(
            price=None,
            pct=None,
            points=D(10 * n),
            share_pct=D(10),
            then_stop=StopOut(price=None, pct=None, points=D(10 * (n - 1))) if n < 10 else None,
        )
        for n in range(1, 11)
    ],
    trailing=None,
    cost_after_target=None,
    booking="even",
    exit_at="15:05",
    max_minutes=90,
)


AGAIN = ReentryOut(mode="momentum", most=2, after="stop", cool_down_minutes=5, until="14:30", reverse=False, move_pct=D("0.4"))


def strategy(id: str, name: str, kind: str, instruments: list[str], state: str = "running", **changes: Any) -> StrategyOut:
    fields: dict[str, Any] = {
        "id": id,
        "name": name,
        "kind": kind,
        "params": {"fast": 9, "slow": 21} if kind == "ema_cross" else {"buy_pct": "-0.5", "sell_pct": "0.7", "reference": "open"},
        "timeframe": "5m",
        "instruments": instruments,
        "active": state != "off",
        "exit_plan": RECIPE,
        "reentry": None,
        "state": state,
        "state_detail": "",
        "created_at": ago(86400 * 30),
        "updated_at": ago(86400),
    }
    return StrategyOut(**{**fields, **changes})


SHARES = [
    ShareOut(user_id="U2", name="Ben Mathew", email="ben@example.com", role="trader", shared_at=ago(86400)),
    ShareOut(user_id="U3", name="", email="a.very.long.address.of.somebody@somewhere.example.com", role="viewer", shared_at=ago(3600)),
]
STRATEGIES = [
    strategy("S1", "Bank momentum", "ema_cross", ["NSE:SBIN", "NSE:ICICIBANK", "NSE:HDFCBANK"], reentry=AGAIN, shares=SHARES),
    strategy("S2", "IT dip buyer", "threshold", ["NSE:INFY", "NSE:TCS"], timeframe="1m", exit_plan=None),
    strategy(
        "S3",
        "Reliance swing",
        "ema_cross",
        ["NSE:RELIANCE"],
        "quarantined",
        timeframe="15m",
        state_detail="ZeroDivisionError in on_candle",
        exit_plan=LADDER,
    ),
    strategy("S4", "Nifty watcher", "ema_cross", ["NSE:LT"], "off", timeframe="1h"),
    strategy(
        "S5",
        "Infosys 810/910",
        "range_level",
        ["NSE:INFY", "NSE:TCS"],
        timeframe="1m",
        exit_plan=None,
        params=RangeLevel.Params().model_dump(mode="json"),
    ),
    strategy(
        "S6", "Ben's breakout", "ema_cross", ["NSE:RELIANCE"], owned=False, shared_by=OwnerOut(name="Ben Mathew", email="ben@example.com")
    ),
]


def mapping(id: str, account_id: str, strategy_id: str, pct: str, mode: str, value: str, **changes: Any) -> MappingOut:
    fields: dict[str, Any] = {
        "id": id,
        "account_id": account_id,
        "strategy_id": strategy_id,
        "allocation_pct": D(pct),
        "sizing": SizingOut(mode=mode, value=D(value), kelly_cap_pct=D(25), kelly_min_trades=20, kelly_fallback_pct=D(2)),
        "risk_per_trade_pct": D(2),
        "multiplier": D(1),
        "enabled": True,
        "created_at": ago(90000),
        "updated_at": ago(90000),
    }
    return MappingOut(**{**fields, **changes})


MAPPINGS = [
    mapping("M1", "A1", "S1", "40", "percent", "50"),
    mapping("M2", "A2", "S1", "60", "risk", "1"),
    mapping("M3", "A3", "S1", "25", "fixed_amount", "150000"),
    mapping("M4", "A1", "S2", "40", "fixed_quantity", "50", multiplier=D("1.5")),
    mapping("M5", "A2", "S2", "40", "kelly", "0.5"),
    mapping("M7", "A1", "S5", "20", "fixed_quantity", "50"),
    mapping("M6", "A5", "S3", "50", "percent", "100", enabled=False),
    mapping("M8", "A5", "S9", "10", "percent", "100", enabled=False),  # of a strategy that is no longer shared
]

RULE = ranges.Rule()
FRAME = ranges.Frame(low=1498.0, high=1525.0, open=1509.5, prev_close=1510.2, unit=27.0)


def levels() -> LevelsOut:
    """Infosys on the day of the book: B 1519.87, S 1500.43."""
    found = ranges.levels(RULE, FRAME)
    assert found is not None
    drawn = ranges.chart_levels(RULE, found, FRAME.unit, tuple(Side))
    return LevelsOut(
        strategy_id="S5",
        symbol="NSE:INFY",
        day="2026-11-20",
        says="OPEN long",
        levels=[LevelOut(name=one.name, price=D(f"{one.price:.4f}"), kind=one.kind, side=one.side.value) for one in drawn],
        at=ago(1200),
    )


def ladder(account_id: str, state: str, detail: str = "", reached: int = 0, lots: int = 0, realised: str | None = None) -> LadderOut:
    steps = ranges.ladder(RULE, Side.BUY, 1519.87, FRAME.unit)
    held = lots > 0
    return LadderOut(
        account_id=account_id,
        symbol="NSE:INFY",
        state=state,
        detail=detail,
        side="BUY" if held else None,
        quantity=D(lots),
        lots_left=D(lots),
        entry_price=D("1519.90") if held else None,
        stage=reached + 1 if held else None,
        stop=D(f"{steps.stops[reached]:.2f}") if held else None,
        locked_points=D(f"{steps.stops[reached] - 1519.90:.2f}") if held else None,
        targets=10 if held else 0,
        reached=reached,
        next_target=reached + 1 if held else None,
        next_price=D(f"{steps.targets[reached]:.2f}") if held else None,
        realised=None if realised is None else D(realised),
    )


LADDERS = [
    ladder("A1", "open", reached=3, lots=35, realised="60.75"),
    ladder("A2", "open", reached=0, lots=120, realised="0"),
    ladder("A3", "blocked", "insufficient_funds"),
    ladder("A4", "off", "auto-trade is off"),
    ladder("A5", "done", realised="-412.00"),
]

PRICES = {
    "NSE:INFY": "1520.05",
    "NSE:SBIN": "812.40",
    "NSE:RELIANCE": "2941.30",
    "NSE:TCS": "4102.00",
    "NSE:HDFCBANK": "1688.90",
    "NSE:ICICIBANK": "1254.15",
    "NSE:LT": "3610.80",
}


WATCHLISTS = [
    WatchlistOut(id="W1", name="Morning", symbols=list(PRICES), created_at=ago(86400)),
    WatchlistOut(id="W2", name="Later", symbols=[], created_at=ago(3600)),
]


def watched_day(symbol: str) -> DayOut:
    """One instrument up, the next one down, the last without a day before it."""
    last = D(PRICES[symbol])
    number = list(PRICES).index(symbol)
    known = number < len(PRICES) - 1
    close = last * (D("0.988") if number % 2 else D("1.007")) if known else None
    mark = {"strategy_id": "S5", "strategy": "Range", "kind": "entry"}
    levels = [
        {**mark, "name": "B", "side": "BUY", "price": f"{last * D('1.006'):.2f}"},
        {**mark, "name": "S", "side": "SELL", "price": f"{last * D('0.991'):.2f}"},
    ]
    return DayOut(
        symbol=symbol,
        last_price=last,
        bid=last - D("0.05"),
        ask=last + D("0.05"),
        as_of=NOW,
        open=last * D("0.997") if known else None,
        high=last * D("1.004") if known else None,
        low=last * D("0.993") if known else None,
        previous_close=close,
        change=None if close is None else last - close,
        change_pct=None if close is None else (last - close) * 100 / close,
        levels=levels if number < 3 else [],
    )


def plan(entry: str, stop: str, targets: list[str], side: int = 1) -> ExitPlanOut:
    return ExitPlanOut(
        version="5f1e0c2ab7d94e36",
        plan_id="PL" + entry,
        state="armed",
        quantity=D(100),
        entry_price=D(entry),
        stop=D(stop),
        best_price=D(entry) + 4 * side,
        deadline=None,
        updated_at=ago(300),
        stop_loss=StopOut(price=None, pct=D("0.8"), points=None),
        targets=[
            PlanTargetOut(
                price=D(t),
                pct=D("0.6") * (i + 1),
                points=None,
                share_pct=D(50),
                then_stop=StopOut(price=D(entry), pct=D(0), points=None) if i == 0 else None,
                quantity=D(50),
                fired=i == 0,
            )
            for i, t in enumerate(targets)
        ],
        trailing=TrailingOut(mode="percent", value=D("0.8"), step=None, start=None),
        cost_after_target=1,
        booking="remainder",
        exit_at=None,
        max_minutes=None,
    )


def position(
    id: str, account_id: str, symbol: str, quantity: str, average: str, strategy_id: str | None, exit_plan: ExitPlanOut | None
) -> PositionOut:
    last, held = D(PRICES[symbol]), D(quantity)
    return PositionOut(
        id=id,
        account_id=account_id,
        symbol=symbol,
        product="MIS",
        strategy_id=strategy_id,
        quantity=held,
        average_price=D(average) if held else None,
        last_price=last,
        realised=D("840.50") if account_id == "A1" else D("-120.25"),
        unrealised=(last - D(average)) * held if held else D(0),
        charges=D("61.37"),
        exit_plan=exit_plan,
        opened_at=ago(3600),
        updated_at=ago(20),
    )


POSITIONS = [
    position("P1", "A1", "NSE:SBIN", "150", "806.15", "S1", plan("806.15", "802.60", ["811.00", "817.45"])),
    position("P2", "A1", "NSE:INFY", "75", "1531.20", "S2", None),
    position("P3", "A2", "NSE:SBIN", "62", "806.20", "S1", plan("806.20", "802.65", ["811.05", "817.50"])),
    position("P4", "A2", "NSE:RELIANCE", "-20", "2932.00", None, plan("2932.00", "2955.45", ["2914.40"], -1)),
    position("P5", "A3", "NSE:HDFCBANK", "88", "1671.05", "S1", plan("1671.05", "1657.70", ["1681.10", "1694.45"])),
    position("P6", "A2", "NSE:TCS", "0", "4102.00", "S2", None),
]

HALT = HaltOut(
    halt_id="H1", scope="user", scope_id="U1", reason="news at noon", since=ago(95), by="U1", flatten=True, lifted_at=None, lifted_by=None
)
OLD_HALT = HALT.model_copy(
    update={"halt_id": "H0", "reason": "", "since": ago(86400 * 3), "lifted_at": ago(86400 * 3 - 1200), "lifted_by": "U1"}
)
