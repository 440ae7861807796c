"""The main job on real input: a week of one-minute NIFTY candles through the live engine, at full speed, into ten paper accounts.

Afterwards every book balances to the paisa, and a second run of the same week gives the same orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from app.data import Actor, Data, open_data
from app.live import Hub
from engines.core import charges as charge_rules
from engines.core.model import (
    Account,
    AccountMapping,
    ExitSpec,
    Fill,
    Instrument,
    OrderState,
    PaperSettings,
    Sizing,
    SizingMode,
    StrategyConfig,
    TargetSpec,
    Timeframe,
    TrailingSpec,
)
from engines.core.positions import empty, fold
from engines.core.sessions import session_day
from engines.market.replay import ReplayFeed
from engines.ports import RandomIds
from engines.system import EngineSettings, TradingSystem

IST = timezone(timedelta(hours=5, minutes=30))
FUTURE = Instrument("NFO:NIFTY24JANFUT", "NIFTY", "NFO", Decimal("0.05"), lot_size=50, freeze_quantity=1800, segment="FUT")
MODES = (
    Sizing(SizingMode.FIXED_QUANTITY, Decimal(50)),
    Sizing(SizingMode.FIXED_QUANTITY, Decimal(2000)),  # above the freeze quantity: sliced
    Sizing(SizingMode.FIXED_AMOUNT, Decimal(3_000_000)),
    Sizing(SizingMode.PERCENT, Decimal(90)),
    Sizing(SizingMode.RISK, Decimal(1)),
)


@dataclass(frozen=True)
class Week:
    """What a run leaves behind."""

    orders: list[tuple[object, ...]]
    fills: list[Fill]
    pnl: dict[str, tuple[Decimal, Decimal]]  # account → (what the views say, cash plus mark)
    positions: dict[tuple[str, str | None], Decimal]


def prepare(data: Data) -> None:
    by = Actor(None, "tests")
    user = data.users.add("owner@example.com", "correct horse battery", by=by)
    plan = ExitSpec(
        stop_pct=Decimal("0.4"),
        targets=(TargetSpec(Decimal(50), pct=Decimal("0.3")),),
        trailing=TrailingSpec("percent", Decimal("0.35")),
        cost_after_target=1,
    )
    ema = StrategyConfig(
        "", user.user_id, "cross", "ema_cross", Timeframe.M5, (FUTURE.symbol,), {"fast": 5, "slow": 13}, active=True, exit_plan=plan
    )
    strategy = data.strategies.add(ema, by=by).strategy.strategy_id
    for number in range(10):
        account = Account(
            "",
            user.user_id,
            f"account {number}",
            "paper",
            Decimal(10_000_000 + 5_000_000 * number),
            auto_trade=True,
            paper=PaperSettings(partial_fills=number == 9, slippage_ticks=Decimal(number % 3), seed=number),
        )
        row = data.accounts.add(account, {}, by=by)
        mapping = AccountMapping("", row.account.account_id, strategy, Decimal(100), MODES[number % len(MODES)], Decimal("0.5"))
        data.mappings.add(user.user_id, mapping, by=by)


def run_week(folder: Path, file: Path) -> Week:
    monday = datetime(2024, 1, 8, tzinfo=IST).timestamp()
    feed = ReplayFeed(file, FUTURE.symbol, speed=0, instruments=[FUTURE], start=monday, end=monday + 5 * 86_400)
    with open_data(folder, clock=feed.clock, exclusive=True) as data:
        prepare(data)
        system = TradingSystem(
            journal=data.journal,
            latch=data.latch,
            directory=data.directory,
            notifier=Hub(feed.clock),
            clock=feed.clock,
            ids=RandomIds(feed.clock),
            feed=feed,
            settings=EngineSettings(lockstep=True),
        )
        start, feed.start = feed.start, lambda on_ticks: None  # the week is played on this thread, once everything is ready
        system.start()
        feed.play(system.runtime.on_ticks)
        feed.start = start
        week = read(system, data)
        system.stop()
    return week


def read(system: TradingSystem, data: Data) -> Week:
    data.journal.commit()
    names = {row.account.account_id: row.account.name for row in data.accounts.list(None)}
    orders, cursor = [], None
    while True:
        page = data.books.orders(None, limit=500, cursor=cursor)
        orders += page.items
        cursor = page.next
        if cursor is None:
            break
    fills = [
        fill for desk in system.roster.desks() for book in desk.books.values() for fill in all_fills(data, book.position.key.account_id)
    ]
    return Week(
        orders=sorted(
            (o.created_at, names[o.account_id], o.role.value, o.side.value, o.quantity, o.state.value, o.reason, o.average_price)
            for o in orders
        ),
        fills=list({(fill.order_id, fill.trade_id): fill for fill in fills}.values()),
        pnl={
            account_id: (
                system.account(account_id).equity - system.roster.desk(account_id).account.capital,
                cash_plus_mark(system, data, account_id),
            )
            for account_id in names
        },
        positions={(p.key.account_id, p.key.strategy_id): p.quantity for d in system.roster.desks() for p in d.open_positions()},
    )


def all_fills(data: Data, account_id: str) -> list[Fill]:
    fills, cursor = [], None
    while True:
        page = data.books.trades(None, account_id=account_id, limit=500, cursor=cursor)
        fills += [row.fill for row in page.items]
        cursor = page.next
        if cursor is None:
            return fills


def cash_plus_mark(system: TradingSystem, data: Data, account_id: str) -> Decimal:
    mark = system.prices.mark(FUTURE.symbol)
    fills = all_fills(data, account_id)
    cash = sum((-f.side.sign * f.quantity * f.price - f.charges for f in fills), Decimal(0))
    return cash + mark * sum((f.side.sign * f.quantity for f in fills), Decimal(0))


def test_a_week_of_nifty_through_the_live_engine_balances_and_repeats(tmp_path: Path, nifty_fortnight: Path) -> None:
    week = run_week(tmp_path / "first", nifty_fortnight)

    assert len(week.fills) > 300
    assert {row[5] for row in week.orders} <= {state.value for state in (OrderState.FILLED, OrderState.DENIED)}
    assert len({row[1] for row in week.orders if row[5] == "filled"}) == 10  # every account has traded
    for told, counted in week.pnl.values():
        assert told == counted
    folded: dict[tuple[str, str | None], Decimal] = {}
    for key in {fill.position_key for fill in week.fills}:
        folded[(key.account_id, key.strategy_id)] = fold(empty(key), [f for f in week.fills if f.position_key == key]).quantity
    assert {key: quantity for key, quantity in folded.items() if quantity} == week.positions
    charges_are_those_of_the_tables(week.fills)

    assert run_week(tmp_path / "second", nifty_fortnight).orders == week.orders


def charges_are_those_of_the_tables(fills: list[Fill]) -> None:
    """Each order's charges are those of the dated tables for all that it traded, however many fills it took."""
    by_order: dict[str, list[Fill]] = {}
    for fill in sorted(fills, key=lambda f: (f.traded_at, f.trade_id)):
        by_order.setdefault(fill.order_id, []).append(fill)
    kind = charge_rules.kind_of(FUTURE, fills[0].product)
    for parts in by_order.values():
        turnover = sum((f.quantity * f.price for f in parts), Decimal(0))
        quantity = sum((f.quantity for f in parts), Decimal(0))
        day = session_day(parts[0].traded_at, FUTURE.exchange)
        whole = charge_rules.order_charges(kind, parts[0].side, quantity, turnover / quantity, day, "paper", exchange="NFO").total
        assert abs(sum((f.charges for f in parts), Decimal(0)) - whole) <= Decimal("0.0005") * len(parts)
