"""The jump between simulated and real prices is nobody's profit or loss: paper leaves the old market at its last price, once, and is told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from engines import market_turn
from engines.core.model import (
    Candle,
    CombinedRule,
    CombinedScope,
    ExitSpec,
    Limits,
    Order,
    OrderState,
    OrderType,
    PaperSettings,
    Role,
    TargetSpec,
)
from engines.core.reasons import MARKET_CHANGED
from engines.ports import SystemClock
from tests.execution.house import INFY, House, StaticDirectory, account
from tests.execution.test_live_accounts import HandMarket, wire

D = Decimal
LEFT_AT = {"BUY": 103.0, "SELL": 97.0}
FROM_ITS_COST = ExitSpec(stop_pct=D(10), targets=(TargetSpec(D(100), pct=D(10)),))


def leaving(house: House) -> list[Order]:
    return [order for order in house.journal.orders().values() if order.reason == MARKET_CHANGED and order.role is Role.SQUARE_OFF]


def changes(house: House) -> int:
    return house.notifier.incidents().count("market_changed")


@pytest.mark.parametrize(("side", "real"), [("BUY", 250.0), ("BUY", 20.0), ("SELL", 250.0), ("SELL", 20.0)])
def test_the_jump_to_real_prices_fires_nothing_and_is_no_ones_profit_or_loss(side: str, real: float):
    """Everything that could act on it is armed: a stop, a target, both limits of the day, a rule on the account."""
    market = HandMarket()
    limits = Limits(max_daily_loss=D(200), max_daily_profit=D(200), flatten_on_limit=True)
    rule = CombinedRule("R1", "U1", CombinedScope.ACCOUNT, "P1", stop=D(100), target=D(100))
    with House(wire("A1"), account("P1", limits=limits), rules=[rule], live_market=market) as house:
        house.send(side, 10, account_ids=("P1",), exits=FROM_ITS_COST)
        house.feed.price(INFY.symbol, LEFT_AT[side])
        before = house.system.account("P1").day_pnl
        market.price(INFY.symbol, real)
        assert (house.held("P1"), house.system.account("P1").day_pnl) == (0, before)
        house.system.monitor.step()
        house.system.combined.step()
        (left,) = leaving(house)
        assert (left.state, left.average_price, left.quantity) == (OrderState.FILLED, D(str(LEFT_AT[side])), 10)
        assert {order.role for order in house.journal.orders().values()} == {Role.ENTRY, Role.SQUARE_OFF}
        assert house.system.combined.views()[0].state.left is None
        assert house.system.status().counters["stops_fired"] == 0
        assert (house.system.guard.armed(), changes(house)) == (0, 1)
        assert "limit_reached" not in house.notifier.incidents()
        market.price(INFY.symbol, real + 1)
        assert [o.state for o in house.send("BUY", 1, account_ids=("P1",))] == [OrderState.FILLED]
        market.price(INFY.symbol, real + 2)
        assert (house.held("P1"), changes(house)) == (1, 1), "it changes once"


def test_what_rests_on_paper_is_cancelled_and_not_filled_by_the_jump():
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        (limit,) = house.send("SELL", 10, account_ids=("P1",), order_type=OrderType.LIMIT, price=D(110))
        assert house.system.order(limit.order_id, "P1").state is OrderState.OPEN
        market.price(INFY.symbol, 250.0)
        house.until(lambda: not house.system.live_orders("P1"))
        after = house.journal.orders()[limit.order_id]
        assert (after.state, after.reason, house.held("P1")) == (OrderState.CANCELLED, MARKET_CHANGED, 0)
        assert changes(house) == 1


def test_an_order_on_its_way_to_the_old_market_does_not_reach_the_new_one():
    market = HandMarket()
    slow = account("P1", paper=PaperSettings(latency_ms=150))
    with House(wire("A1"), slow, live_market=market) as house:
        house.send("BUY", 10, account_ids=("P1",))
        (leaving_it,) = house.send("SELL", 10, account_ids=("P1",), reduce_only=True, wait=0.0)
        market.price(INFY.symbol, 250.0)
        house.until(lambda: house.system.roster.lane("P1").idle)
        after = house.journal.orders()[leaving_it.order_id]
        assert (after.filled_quantity, house.held("P1")) == (0, 0), "else it would have opened the other side"


def test_who_holds_nothing_of_it_is_told_nothing_and_the_source_is_named():
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        assert house.system.status().feed_source == "by hand"
        market.price(INFY.symbol, 250.0)
        assert (changes(house), house.system.status().feed_source) == (0, "live + by hand")


def test_a_price_that_is_none_turns_nothing():
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        house.send("BUY", 10, account_ids=("P1",))
        for nothing in (0.0, -1.0, float("nan"), float("inf")):
            market.price(INFY.symbol, nothing)
        assert (house.held("P1"), leaving(house)) == (10, [])


def test_after_a_restart_paper_waits_for_the_real_prices_that_it_was_bought_at():
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        market.price(INFY.symbol, 250.0)
        house.send("BUY", 10, account_ids=("P1",), exits=FROM_ITS_COST)
        with house.restart() as later:
            later.feed.price(INFY.symbol, 100.0)  # the simulated market begins first
            assert (later.held("P1"), later.system.prices.mark(INFY.symbol)) == (10, None)
            market.price(INFY.symbol, 251.0)
            assert (later.held("P1"), leaving(later), later.system.guard.armed()) == (10, [], 1)


@pytest.mark.parametrize(("kept", "price"), [(260.0, D(260)), (None, D(250))])
def test_a_restart_without_any_live_account_leaves_the_real_market_at_its_last_price_or_at_cost(
    kept: float | None, price: Decimal, monkeypatch: pytest.MonkeyPatch
):
    def candles(self: StaticDirectory, symbol: str, timeframe: str, limit: int, *, live: bool = False) -> Sequence[Candle]:
        return [Candle(symbol, SystemClock().now(), kept, kept, kept, kept, 0.0)] if live and kept is not None else []

    monkeypatch.setattr(StaticDirectory, "candles", candles)
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        market.price(INFY.symbol, 250.0)
        house.send("BUY", 10, account_ids=("P1",), exits=FROM_ITS_COST)
        (resting,) = house.send("SELL", 1, account_ids=("P1",), order_type=OrderType.LIMIT, price=D(270))
        house.directory.rows = [row for row in house.directory.rows if not row.live]
        with house.restart() as later:
            (left,) = leaving(later)
            assert (later.held("P1"), left.average_price, later.system.guard.armed()) == (0, price, 0)
            assert later.journal.orders()[resting.order_id].state is OrderState.CANCELLED
            later.feed.price(INFY.symbol, 90.0)
            assert (later.system.prices.mark(INFY.symbol), changes(later)) == (D(90), 1)
            later.send("BUY", 1, account_ids=("P1",))
            with later.restart() as again:
                assert (again.held("P1"), len(leaving(again))) == (1, 1), "it is of the simulated market, and stays there"


@pytest.mark.parametrize("holds", [False, True])
def test_a_restart_waits_a_minute_for_real_prices_and_longer_only_where_somebody_has_something(
    holds: bool, monkeypatch: pytest.MonkeyPatch
):
    """Paper is there at any hour: also on a morning on which nobody has signed in yet."""
    market = HandMarket()
    with House(wire("A1"), account("P1"), live_market=market) as house:
        market.price(INFY.symbol, 250.0)
        if holds:
            house.send("BUY", 10, account_ids=("P1",))
        with house.restart() as later:
            later.system.market_turn.step()
            later.feed.price(INFY.symbol, 100.0)
            assert later.system.prices.mark(INFY.symbol) is None, "it is early yet"
        monkeypatch.setattr(market_turn, "PATIENCE", 0.0)
        with house.restart() as later:
            later.system.market_turn.step()
            later.feed.price(INFY.symbol, 101.0)
            assert later.system.prices.mark(INFY.symbol) == (None if holds else D(101))
            market.price(INFY.symbol, 251.0)
            assert (later.held("P1"), later.system.prices.mark(INFY.symbol), leaving(later)) == (10 if holds else 0, D(251), [])
