"""Levels of a strategy's day and the ladder on each account."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.api.strategies.ladders import ladder_out, stage_of
from engines.core import exits
from engines.core.facts import LevelsFixed
from engines.core.model import (
    Account,
    AccountMapping,
    ChartLevel,
    ExitSpec,
    Order,
    OrderState,
    Position,
    PositionKey,
    Product,
    Side,
    TargetSpec,
)
from engines.execution.views import PositionView
from tests.api.rig import Person, Rig
from tests.market.making import INFY

D = Decimal
DRAWN = (
    ChartLevel("B", 181.0, "entry", Side.BUY),
    ChartLevel("T1", 186.00004, "target", Side.BUY),
    ChartLevel("Y1", 131.5, "stop", Side.BUY),
)


def test_levels_are_read_by_instrument_and_day_the_newest_first_choice(rig: Rig, trader: Person) -> None:
    made = trader.strategy(kind="range_level", instruments=["NSE:INFY", "NSE:SBIN"])
    path = f"/api/strategies/{made['id']}/levels"
    assert trader.get(path).json["items"] == []
    for symbol, day, says in (
        ("NSE:INFY", "2026-05-20", "SKIPPED: no"),
        ("NSE:INFY", "2026-05-21", "ARMED: buys at 181.00"),
        ("NSE:SBIN", "2026-05-20", "DONE for today"),
    ):
        rig.data.journal.append(LevelsFixed(made["id"], symbol, day, DRAWN if day.endswith("21") else (), says, 1.0))
    rig.data.journal.run(lambda _: None)
    newest = trader.get(path).json["items"]
    assert [(row["symbol"], row["day"], row["says"]) for row in newest] == [
        ("NSE:INFY", "2026-05-21", "ARMED: buys at 181.00"),
        ("NSE:SBIN", "2026-05-20", "DONE for today"),
    ]
    assert newest[0]["levels"][1] == {"name": "T1", "price": "186.00004", "kind": "target", "side": "BUY"}
    (old,) = trader.get(f"{path}?symbol=NSE:INFY&day=2026-05-20").json["items"]
    assert (old["says"], old["levels"]) == ("SKIPPED: no", [])
    assert trader.get(f"{path}?day=2026-05-22").json["items"] == []
    assert trader.get(f"{path}?day=yesterday").status_code == 422
    assert rig.other.get(path).status_code == 404


def test_ladders_show_every_mapped_account_of_ones_own(rig: Rig, trader: Person) -> None:
    made, one, two = trader.strategy(kind="range_level"), trader.account(), trader.account(auto_trade=False)
    for account in (one, two):
        trader.mapping(account["id"], made["id"])
    path = f"/api/strategies/{made['id']}/ladders"
    rows = {row["account_id"]: row for row in trader.get(path).json["items"]}
    assert {key: (row["state"], row["detail"]) for key, row in rows.items()} == {
        one["id"]: ("idle", ""),
        two["id"]: ("off", "auto-trade is off"),
    }
    assert trader.get(f"{path}?symbol=NSE:SBIN").status_code == 404
    assert rig.other.get(path).status_code == 404
    trader.patch(f"/api/strategies/{made['id']}", {"instruments": ["NSE:INFY", "NSE:TCS"]})
    trader.buy(strategy_id=made["id"], account_ids=None, symbol="NSE:TCS", quantity="3")
    shown = {(row["account_id"], row["symbol"]): row["quantity"] for row in trader.get(path).json["items"]}
    both = {(account["id"], symbol): "0" for account in (one, two) for symbol in ("NSE:INFY", "NSE:TCS")}
    assert shown == both | {(one["id"], "NSE:TCS"): "3", (two["id"], "NSE:TCS"): "3"}
    assert [row["symbol"] for row in trader.get(f"{path}?symbol=NSE:TCS").json["items"]] == ["NSE:TCS"] * 2


ACCOUNT = Account("A1", "U1", "Mine", "paper", D(100000), auto_trade=True)
MAPPING = AccountMapping("M1", "A1", "S1")
KEY = PositionKey("A1", INFY.symbol, Product.MIS, "S1")
SPEC = ExitSpec(stop_points=D(50), targets=tuple(TargetSpec(D(25), points=D(5 * n), then_points=D(5 * (n - 1))) for n in range(1, 5)))


def held(quantity: int = 100, *prices: str, side: Side = Side.BUY) -> PositionView:
    plan = exits.make_plan("P1", KEY, "U1", side, D(180), D(100), SPEC, INFY, 0.0)
    for price in prices:
        assert plan is not None
        plan, _ = exits.on_price(plan, D(price), 1.0)
    signed = quantity * side.sign
    return PositionView(Position(KEY, "PO1", D(signed), open_cost=D(180 * signed)), D(180), None, plan if quantity else None)


def order(state: OrderState, reason: str | None = None) -> Order:
    made: dict[str, Any] = {"side": Side.BUY, "quantity": D(100), "order_type": "MARKET", "product": Product.MIS, "role": "entry"}
    return Order("O1", "A1", "U1", "K1", INFY.symbol, created_at=0.0, updated_at=0.0, state=state, reason=reason, **made)


STATES: list[tuple[str, PositionView | None, Order | None, str, str, str]] = [
    ("waits for the range", None, None, "WAITING for the range", "idle", ""),
    ("the levels stand", None, None, "ARMED: buys at 181.00", "armed", ""),
    ("a day that is not traded", None, None, "SKIPPED: the range is zero", "skipped", "the range is zero"),
    ("an order is under way", None, order(OrderState.OPEN), "OPEN long", "entry_sent", ""),
    ("the limits said no", None, order(OrderState.DENIED, "max_trades"), "OPEN long", "blocked", "max_trades"),
    ("the broker said no", None, order(OrderState.REJECTED, "margin"), "OPEN long", "blocked", "margin"),
    ("it holds and is guarded", held(), order(OrderState.FILLED), "OPEN long", "open", ""),
    ("its stop has fired", held(100, "100"), order(OrderState.FILLED), "OPEN long", "exit_sent", ""),
    ("it is flat again", held(0), order(OrderState.FILLED), "DONE for today", "done", ""),
    ("it is flat, and may go in again", held(0), order(OrderState.FILLED), "ARMED: buys at 181.00", "armed", "for another entry"),
    ("the day is over without a trade", None, None, "DONE for today", "done", "not entered"),
]


@pytest.mark.parametrize(("words", "view", "entry", "says", "state", "detail"), STATES, ids=[row[0] for row in STATES])
def test_the_state_of_a_ladder(words: str, view: PositionView | None, entry: Order | None, says: str, state: str, detail: str) -> None:
    row = ladder_out(INFY.symbol, MAPPING, ACCOUNT, INFY, view, entry, says)
    assert (row.state, row.detail) == (state, detail), words


def test_a_switched_off_mapping_or_account_is_off_and_says_why() -> None:
    for mapping, account, why in (
        (replace(MAPPING, enabled=False), ACCOUNT, "the mapping is off"),
        (MAPPING, replace(ACCOUNT, auto_trade=False), "auto-trade is off"),
        (MAPPING, replace(ACCOUNT, enabled=False), "the account is off"),
    ):
        row = ladder_out(INFY.symbol, mapping, account, INFY, None, None, "ARMED: buys at 181.00")
        assert (row.state, row.detail) == ("off", why)


@pytest.mark.parametrize("side", Side)
def test_the_rungs_of_an_open_ladder(side: Side) -> None:
    """Two of four targets reached: Y3 is active at T1, T3 is next, and the stop locks in what lies between it and the entry."""
    view = held(50, str(180 + 11 * side.sign), side=side)
    assert view.plan is not None
    assert stage_of(view.plan) == 3
    row = ladder_out(INFY.symbol, MAPPING, ACCOUNT, INFY, view, None, "")
    assert (row.side, row.stage, row.reached, row.targets, row.next_target, row.next_price) == (
        side.value,
        3,
        2,
        4,
        3,
        180 + 15 * side.sign,
    )
    assert (row.quantity, row.lots_left, row.stop, row.locked_points) == (
        D(50),
        D(50),
        view.plan.stop,
        side.sign * ((view.plan.stop or 0) - 180),
    )
