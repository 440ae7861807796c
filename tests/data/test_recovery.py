"""Start = recovery: what was booked comes back as it was, split at the start of the session."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from app.data import Data, open_data
from engines.core import facts as f
from engines.core import positions
from engines.core.model import (
    AccountDay,
    Check,
    ExitPlan,
    ExitSpec,
    Fill,
    Halt,
    HaltScope,
    Order,
    OrderState,
    PlanState,
    PlanTarget,
    PositionKey,
    Product,
    Side,
    Signal,
    TargetSpec,
    TrailingSpec,
    Warned,
)
from engines.ports import Recovered
from tests.data.making import DAY, NOON, D, Ledger, changed, order, planned, signal

FULL_SPEC = ExitSpec(
    stop_pct=D("1.5"),
    targets=(TargetSpec(D(50), points=D(10)), TargetSpec(D(50), price=D("1600.05"))),
    trailing=TrailingSpec("percent", D(1)),
)


def test_an_order_comes_back_exactly_as_it_was_last_told(data: Data) -> None:
    wish = signal(exits=FULL_SPEC, price=D("1520.05"), strategy_id="S1")
    made = order(
        wish, price=D("1520.05"), trigger_price=D("1519.95"), checks=(Check("funds", True, "1,00,000 ≥ 15,200"), Check("halted", False))
    )
    data.journal.commit(f.SignalPlanned(wish, (made,)))
    later = changed(made, OrderState.OPEN, NOON + 0.25, broker_order_id="B1", sent_at=NOON + 0.1, acknowledged_at=NOON + 0.2, plan_id="P1")
    data.journal.commit(later)
    recovered = data.journal.load(NOON)
    assert recovered.live_orders == [later.order]
    assert recovered.signals == [wish]


@pytest.mark.parametrize("state", list(OrderState))
def test_orders_that_have_not_ended_come_back_and_no_others(data: Data, state: OrderState) -> None:
    fact = planned()
    data.journal.commit(fact, changed(fact.orders[0], state))
    assert [one.state for one in data.journal.load(NOON).live_orders] == ([state] if replace(fact.orders[0], state=state).live else [])


def test_an_entry_that_may_still_come_comes_back_with_the_first_exit_after_it(data: Data) -> None:
    def put(state: OrderState, **changes: object) -> tuple[Order, Signal]:
        wish = signal(strategy_id="S1", **changes)
        made = order(wish)
        data.journal.commit(f.SignalPlanned(wish, (made,)))
        fact = changed(made, state)
        data.journal.commit(fact)
        return fact.order, wish

    put(OrderState.DENIED, side=Side.SELL, reduce_only=True)
    entry, _ = put(OrderState.UNKNOWN)
    put(OrderState.DENIED, side=Side.SELL)
    put(OrderState.DENIED, side=Side.SELL, reduce_only=True, symbol="NSE:TCS")
    _, after = put(OrderState.DENIED, side=Side.SELL, reduce_only=True)
    put(OrderState.DENIED, side=Side.SELL, reduce_only=True)
    put(OrderState.UNKNOWN)
    assert data.journal.load(NOON).overtaken == [(entry, after)]


def test_plans_days_halts_switches_and_states_come_back(data: Data) -> None:
    key = PositionKey("A1", "NSE:INFY", Product.MIS, "S1")
    plan = ExitPlan(
        "P1", key, "U1", Side.BUY, D("1520.05"), D(10), FULL_SPEC, D("1497.25"), (PlanTarget(D("1530.05"), D(5), True),), D("1531"),
        PlanState.ARMED, NOON, "K1"
    )  # fmt: skip
    halt = Halt("H1", HaltScope.USER, "U1", "enough for today", NOON, "U1", False)
    data.journal.commit(
        f.PlanChanged(plan),
        f.PlanChanged(replace(plan, plan_id="P2", state=PlanState.DONE)),
        f.PlanChanged(replace(plan, plan_id="P3", state=PlanState.STOPPED, updated_at=NOON + 1)),
        f.DayChanged(AccountDay("A1", "2026-01-02", 7)),
        f.DayChanged(AccountDay("A1", "2026-01-05", 2, "daily_loss", Warned.LOSS | Warned.PROFIT)),
        f.HaltChanged(halt),
        f.HaltChanged(replace(halt, halt_id="H0", lifted_at=NOON, lifted_by="U1")),
        f.EngineSwitched(False, None, "U1", NOON),
        f.EngineSwitched(False, "U2", "U2", NOON),
        f.EngineSwitched(True, "U2", "U2", NOON),
        f.KillSwitched("A1", True, "too hot", "U1", NOON),
        f.KillSwitched("A2", True, "too hot", "U1", NOON),
        f.KillSwitched("A2", False, "", "U1", NOON),
        f.StrategyStateSaved("S1", {"fast": 1.5, "seen": [1, 2]}, None, NOON),
        f.StrategyStateSaved("S2", {}, "ZeroDivisionError: division by zero", NOON),
    )
    recovered = data.journal.load(NOON)
    assert recovered.plans == [replace(plan, plan_id="P3", state=PlanState.STOPPED, updated_at=NOON + 1), plan]
    assert recovered.days == [AccountDay("A1", "2026-01-05", 2, "daily_loss", Warned.LOSS | Warned.PROFIT)]
    assert recovered.halts == [halt]
    assert recovered.engines_off == {None: "U1"}
    assert recovered.kill_switches == {"A1": "too hot"}
    assert recovered.strategy_states == {"S1": {"fast": 1.5, "seen": [1, 2]}, "S2": {}}
    assert recovered.quarantined == {"S2": "ZeroDivisionError: division by zero"}


def test_a_warning_stored_before_its_side_was_noted_hides_neither_side(data: Data) -> None:
    data.journal.commit(f.DayChanged(AccountDay("A1", "2026-01-05", 2)))
    data.journal.run(lambda db: db.execute("UPDATE account_days SET warned = 1"))
    (day,) = data.journal.load(NOON).days
    assert day.warned is Warned.SOME


def test_which_instruments_had_real_prices_last_comes_back(data: Data) -> None:
    turns = [("NSE:TCS", True), ("NSE:INFY", True), ("NSE:SBIN", True), ("NSE:TCS", False)]
    data.journal.commit(*(f.MarketChanged(symbol, live, NOON) for symbol, live in turns))
    assert data.journal.load(DAY).real_prices == ["NSE:INFY", "NSE:SBIN"]


def test_an_empty_database_has_nothing_to_bring(data: Data) -> None:
    assert data.journal.load(NOON) == Recovered(
        live_orders=[],
        signals=[],
        opening=[],
        fills=[],
        booked=[],
        plans=[],
        overtaken=[],
        days=[],
        halts=[],
        job_runs=[],
        combined=[],
        real_prices=[],
    )


def _trade(data: Data, ledger: Ledger, rng: random.Random, at: float, count: int) -> None:
    for _ in range(count):
        wish = signal(
            side=rng.choice(list(Side)), symbol=rng.choice(["NSE:INFY", "NSE:SBIN"]), strategy_id=rng.choice([None, "S1"]), created_at=at
        )
        made = order(wish, rng.choice(["A1", "A2"]))
        moment = round(at + rng.random() * DAY / 3, 3)
        price = D(rng.randrange(10_000, 20_000)) / 10
        booked = ledger.fill(made, rng.randrange(1, 20), str(price), at=moment, charges=str(D(rng.randrange(0, 90_000)) / 10_000))
        data.journal.append(f.SignalPlanned(wish, (made,)), booked)


def _expected(fills: list[Fill], before: float | None = None) -> dict[PositionKey, positions.Position]:
    chosen = [fill for fill in fills if before is None or fill.traded_at < before]
    return {
        key: positions.fold(positions.empty(key), [x for x in chosen if x.position_key == key]) for key in {x.position_key for x in chosen}
    }


def _agrees(recovered: Recovered, fills: list[Fill], since: float) -> None:
    """Opening and fills are those of the whole history, split at `since`; together they are the positions of now."""
    before, now = _expected(fills, since), _expected(fills)
    today = {fill.position_key for fill in fills if fill.traded_at >= since}
    assert {one.key: one for one in recovered.opening} == {k: p for k, p in before.items() if p.quantity or k in today}
    assert sorted(f"{x.order_id}{x.trade_id}" for x in recovered.fills) == sorted(
        f"{x.order_id}{x.trade_id}" for x in fills if x.traded_at >= since
    )
    assert [x.traded_at for x in recovered.fills] == sorted(x.traded_at for x in recovered.fills)
    cash: dict[str, Decimal] = {}
    for position in before.values():
        cash[position.key.account_id] = cash.get(position.key.account_id, D(0)) + position.cash_flow - position.charges
    assert recovered.settled_cash == cash
    opening = {one.key: one for one in recovered.opening}
    for key in today:
        start = opening.get(key) or positions.empty(key)
        assert positions.fold(start, [x for x in recovered.fills if x.position_key == key]) == now[key]


def test_positions_are_the_fold_of_all_fills_wherever_the_session_begins(data: Data) -> None:
    rng, ledger = random.Random(5), Ledger()
    for day in range(4):
        _trade(data, ledger, rng, NOON + day * DAY, 30)
    for since in (NOON + 2 * DAY, NOON + 3 * DAY, NOON + DAY, NOON + 3 * DAY, NOON - DAY, NOON + 9 * DAY):
        _agrees(data.journal.load(since), ledger.fills, since)


def test_a_fill_that_comes_in_days_late_is_in_the_openings_all_the_same(data: Data) -> None:
    rng, ledger = random.Random(6), Ledger()
    for day in range(3):
        _trade(data, ledger, rng, NOON + day * DAY, 10)
    since = NOON + 2 * DAY
    data.journal.load(since)
    _trade(data, ledger, rng, NOON, 3)
    _agrees(data.journal.load(since), ledger.fills, since)


def test_a_start_does_not_read_the_fills_that_an_earlier_start_has_folded(data: Data) -> None:
    rng, ledger = random.Random(7), Ledger()
    _trade(data, ledger, rng, NOON, 20)
    since = NOON + 2 * DAY
    expected = data.journal.load(since)
    data.journal.run(lambda db: db.execute("DELETE FROM fills"))
    assert data.journal.load(since) == expected


def test_what_was_appended_before_is_in_what_is_loaded(data: Data) -> None:
    fact = planned()
    data.journal.append(fact)
    assert data.journal.load(NOON).live_orders == list(fact.orders)


def test_closed_trades_are_the_newest_two_hundred_of_each_account_and_strategy(data: Data) -> None:
    ledger = Ledger()
    for n in range(205):
        for side, price in ((Side.BUY, 100), (Side.SELL, 101 + n)):
            wish = signal(side=side, strategy_id="S1")
            data.journal.append(ledger.fill(order(wish), 10, price, at=NOON + n, charges="0.5"))
    data.journal.append(ledger.fill(order(signal(strategy_id=None)), 10, 100))
    trades = data.journal.load(NOON).closed_trades
    assert trades == {("A1", "S1"): [D(10) * (n + 1) - 1 for n in range(5, 205)]}
    assert trades["A1", "S1"] == positions.round_trips(x for x in ledger.fills if x.strategy_id)[-200:]


@pytest.mark.parametrize("seed", range(5))
def test_round_trips_and_daily_results_are_those_of_the_fills(data: Data, seed: int) -> None:
    """Also when positions are turned around: trips as `round_trips` finds them, results as the fold has them."""
    rng, ledger = random.Random(seed), Ledger()
    at = NOON
    for _ in range(60):
        at += rng.random() * DAY / 8
        wish = signal(side=rng.choice(list(Side)), strategy_id="S1")
        price = str(D(rng.randrange(10_000, 12_000)) / 10)
        data.journal.append(ledger.fill(order(wish), rng.randrange(1, 10), price, at=at, charges=str(D(rng.randrange(90_000)) / 10_000)))
    assert data.journal.load(NOON).closed_trades["A1", "S1"] == positions.round_trips(ledger.fills)
    (position,) = ledger.positions.values()
    days = data.books.pnl_daily("U1")
    assert sum((day.realised for day in days), D(0)) == position.realised
    assert sum((day.charges for day in days), D(0)) == position.charges
    assert sum(day.fills for day in days) == 60
    assert sum((trade.realised for trade in data.books.trades("U1").items), D(0)) == position.realised


def test_everything_is_there_after_the_process_ended(tmp_path: Path) -> None:
    fact = planned(accounts=3)
    with open_data(tmp_path) as first:
        first.journal.append(fact)
    with open_data(tmp_path) as second:
        assert second.journal.load(NOON).live_orders == list(fact.orders)


def test_an_engine_that_starts_a_flat_position_anew_still_adds_up(data: Data) -> None:
    """The engines may have forgotten a position that is flat: the next fill then tells a position that begins at nothing."""
    book: list[Callable[[Ledger], f.FillBooked]] = [
        lambda ledger: ledger.fill(order(signal()), 10, 100),
        lambda ledger: ledger.fill(order(signal(side=Side.SELL)), 10, 110),
    ]
    for _ in range(2):
        ledger = Ledger()
        for step in book:
            data.journal.append(step(ledger))
    data.journal.run(lambda db: None)
    (day,) = data.books.pnl_daily("U1")
    assert (day.realised, day.fills, day.turnover) == (D(200), 4, D(4200))
