"""Combined P&L in the running engines: a scope that its rule leaves is cancelled, closed and denied, alone, once, and across a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NoReturn

from engines.core.facts import CombinedChanged
from engines.core.model import (
    Account,
    AccountMapping,
    CombinedRule,
    CombinedScope,
    CombinedState,
    Group,
    OrderState,
    OrderType,
    Role,
    Source,
    StrategyConfig,
    Timeframe,
)
from engines.core.sessions import HOME_EXCHANGE, session_day
from engines.ports import SystemClock
from tests.execution.house import INFY, House, account

D = Decimal
ON_ACCOUNT = CombinedRule("R1", "U1", CombinedScope.ACCOUNT, "A1", stop=D(100))
ON_STRATEGY = CombinedRule("R2", "U1", CombinedScope.STRATEGY, "S1", target=D(50))
ON_GROUP = CombinedRule("R3", "U1", CombinedScope.GROUP, "G1", stop=D(100))


def states(house: House) -> list[CombinedState]:
    return [fact.state for fact in house.journal.facts if isinstance(fact, CombinedChanged)]


def reasons(house: House, **changes: object) -> dict[str, str | None]:
    return {order.account_id: order.reason for order in house.send("BUY", 1, **changes)}


def test_an_account_at_its_stop_is_left_and_takes_no_entries_until_the_next_session():
    with House(account("A1"), account("A2"), rules=[ON_ACCOUNT]) as house:
        house.send("BUY", 10)
        resting = house.send("BUY", 1, order_type=OrderType.LIMIT, price=D(85))
        house.feed.price(INFY.symbol, 91.0)
        house.until(lambda: house.system.combined.views()[0].state.best is not None)
        assert house.held("A1") == 10
        house.feed.price(INFY.symbol, 89.5)
        house.until(lambda: not house.held("A1"))
        house.until(lambda: not house.system.live_orders("A1"))
        after = {o.account_id: house.system.order(o.order_id, o.account_id).state for o in resting}
        assert after == {"A1": OrderState.CANCELLED, "A2": OrderState.OPEN}
        assert {o.role for o in house.journal.orders().values() if o.side == "SELL"} == {Role.SQUARE_OFF}
        assert house.held("A2") == 10
        house.feed.price(INFY.symbol, 120.0)
        denied = house.send("BUY", 1)
        assert {o.account_id: o.reason for o in denied} == {"A1": "daily_loss", "A2": None}
        check = next(c for o in denied if o.account_id == "A1" for c in o.checks if not c.passed)
        assert (check.name, "combined stop of A1" in check.detail) == ("combined_pnl", True)
        assert house.notifier.incidents().count("combined_left") == 1
        assert [state.left for state in states(house)][-1:] == ["stop"]


def test_a_strategy_is_left_on_every_account_and_what_else_they_hold_stays():
    mappings = [AccountMapping(f"M{name}", name, "S1") for name in ("A1", "A2")]
    with House(account("A1"), account("A2"), mappings=mappings, rules=[ON_STRATEGY]) as house:
        house.send("BUY", 3, strategy_id="S1", source=Source.STRATEGY)
        house.send("BUY", 5)
        house.feed.price(INFY.symbol, 112.0)  # 2 x 3 x 12 less charges
        house.until(lambda: house.held("A1") == house.held("A2") == 5)
        assert reasons(house, strategy_id="S1") == {"A1": "daily_profit", "A2": "daily_profit"}
        assert reasons(house) == {"A1": None, "A2": None}


def test_a_group_is_left_together_though_one_of_its_accounts_has_won():
    group = Group("G1", "U1", "Family", ("A1", "A2"))
    with House(account("A1"), account("A2"), account("A3"), groups=[group], rules=[ON_GROUP]) as house:
        house.send("BUY", 30, account_ids=("A1",))
        house.send("SELL", 10, account_ids=("A2",))
        house.send("BUY", 30, account_ids=("A3",))
        house.feed.price(INFY.symbol, 97.0)  # -90 + 30: not yet
        house.until(lambda: house.system.combined.views()[0].state.best is not None)
        assert (house.held("A1"), house.held("A2")) == (30, -10)
        house.feed.price(INFY.symbol, 94.0)  # -180 + 60
        house.until(lambda: not house.held("A1") and not house.held("A2"))
        assert house.held("A3") == 30
        assert reasons(house) == {"A1": "daily_loss", "A2": "daily_loss", "A3": None}


def test_an_account_that_joins_a_group_which_has_left_today_is_closed_too():
    group = Group("G1", "U1", "Family", ("A1",))
    with House(account("A1"), account("A2"), groups=[group], rules=[ON_GROUP]) as house:
        house.send("BUY", 30)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: not house.held("A1"))
        assert house.held("A2") == 30
        house.directory.group_rows[0] = replace(group, account_ids=("A1", "A2"))
        house.system.runtime.refresh_now()
        house.until(lambda: not house.held("A2"))
        assert reasons(house) == {"A1": "daily_loss", "A2": "daily_loss"}
        with house.restart() as later:
            assert [one.severity for one in later.system.incidents() if one.kind == "combined_left"] == ["info"]


def test_best_and_floor_survive_a_restart_and_what_was_being_left_is_left_after_it():
    trail = replace(ON_ACCOUNT, stop=None, trail_start=D(100), trail_by=D(50))
    with House(account("A1"), rules=[trail]) as house:
        house.send("BUY", 10)
        house.feed.price(INFY.symbol, 120.0)
        house.until(lambda: any(state.floor is not None for state in states(house)))
        floor = states(house)[-1].floor
        later = house.restart()
        try:
            assert later.system.combined.views()[0].state.floor == floor
            later.feed.price(INFY.symbol, 114.0)
            later.until(lambda: not later.held("A1"))
            assert states(later)[-1].left == "trail"
        finally:
            later.system.stop()


def test_a_stop_that_came_down_between_leaving_and_closing_is_finished_by_the_next_start():
    with House(account("A1")) as house:
        house.send("BUY", 10)
        today = session_day(SystemClock().now(), HOME_EXCHANGE)
        house.journal.append(CombinedChanged(CombinedState("R1", today, D(0), None, "stop", SystemClock().now(), D(-150))))
        house.directory.rule_rows.append(ON_ACCOUNT)
        with house.restart() as later:
            later.until(lambda: not later.held("A1"))
            assert reasons(later) == {"A1": "daily_loss"}


def test_accounts_in_two_currencies_and_missing_prices_are_not_added_up():
    group = Group("G1", "U1", "Both", ("A1", "A2"))
    rupees, coins = account("A1", broker="wire"), account("A2", broker="binance_spot")
    with House(rupees, coins, groups=[group], rules=[ON_GROUP, ON_ACCOUNT]) as house:
        views = {view.rule.rule_id: view for view in house.system.combined.views()}
        assert (views["R3"].pnl, "currencies" in views["R3"].why) == (None, True)
        assert (views["R1"].pnl, views["R1"].lower, views["R1"].why) == (D(0), D(-100), "")


def test_a_coin_account_that_cannot_be_connected_is_not_counted_in_rupees():
    def no_keys(account: Account, credentials: Mapping[str, str]) -> NoReturn:
        raise ValueError("these are no keys")

    group = Group("G1", "U1", "Both", ("A1", "A2"))
    rupees, coins = account("A1", broker="wire"), account("A2", broker="binance_spot")
    with House(rupees, coins, groups=[group], rules=[ON_GROUP], brokers={"binance_spot": no_keys}, patience=0.5) as house:
        assert "currencies" in house.system.combined.views()[0].why
        assert {view.account_id: view.currency for view in house.system.accounts()} == {"A1": "INR", "A2": "USDT"}


def test_where_a_scope_has_live_accounts_only_they_are_counted_and_all_of_it_is_left():
    """Paper wins 300 while real money loses 100."""
    group = Group("G1", "U1", "Family", ("P1", "L1"))
    paper, live = account("P1"), account("L1", broker="wire")
    with House(paper, live, groups=[group], rules=[ON_GROUP]) as house:
        house.send("SELL", 30, account_ids=("P1",))
        house.send("BUY", 10, account_ids=("L1",))
        house.feed.price(INFY.symbol, 95.0)
        view = house.system.combined.views()[0]
        assert (view.pnl is not None and -60 < view.pnl < -40, view.live, view.paper) == (True, 1, 1)
        house.feed.price(INFY.symbol, 89.0)
        house.until(lambda: not house.held("L1") and not house.held("P1"))
        assert set(reasons(house).values()) == {"daily_loss"}
        assert states(house)[-1].real


def test_what_paper_had_won_is_not_the_best_of_the_live_account_that_joins():
    trail = replace(ON_GROUP, stop=None, trail_start=D(100), trail_by=D(50))
    group = Group("G1", "U1", "Family", ("P1",))
    with House(account("P1"), account("L1", broker="wire"), groups=[group], rules=[trail]) as house:
        house.send("BUY", 20, account_ids=("P1",))
        house.feed.price(INFY.symbol, 110.0)
        house.until(lambda: any(state.floor is not None for state in states(house)))
        house.directory.group_rows[0] = replace(group, account_ids=("P1", "L1"))
        house.system.runtime.refresh_now()
        house.until(lambda: states(house)[-1].real)
        view = house.system.combined.views()[0]
        assert (view.pnl, view.state.best, view.lower, view.state.left) == (D(0), D(0), None, None)


def test_a_live_account_that_a_strategy_reaches_counts_before_its_first_trade():
    mappings = [AccountMapping(f"M{name}", name, "S1") for name in ("P1", "L1")]
    mine = StrategyConfig("S1", "U1", "Mine", "ema_cross", Timeframe.M1, (INFY.symbol,))
    with House(account("P1"), account("L1", broker="wire"), strategies=[mine], mappings=mappings, rules=[ON_STRATEGY]) as house:
        house.send("BUY", 10, strategy_id="S1", source=Source.STRATEGY, account_ids=("P1",))
        house.feed.price(INFY.symbol, 112.0)
        view = house.system.combined.views()[0]
        assert (view.pnl, view.live, view.paper) == (D(0), 1, 1)


def test_a_rule_that_a_person_changes_holds_from_the_next_look_on():
    with House(account("A1"), rules=[ON_ACCOUNT]) as house:
        house.send("BUY", 10)
        house.directory.rule_rows[0] = replace(ON_ACCOUNT, stop=D(20))
        house.system.runtime.refresh_now()
        house.feed.price(INFY.symbol, 97.0)
        house.until(lambda: not house.held("A1"))
        house.directory.rule_rows.clear()
        house.system.runtime.refresh_now()
        assert reasons(house) == {"A1": None}
