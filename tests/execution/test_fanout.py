"""One signal, every account: exits and entries, denials, repeats and timing, through the real lanes on the paper exchange."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engines.core.model import (
    AccountMapping,
    Denial,
    ExitSpec,
    Instrument,
    Limits,
    OrderState,
    OrderType,
    Role,
    Sizing,
    SizingMode,
    Source,
    StrategyConfig,
    TargetSpec,
    Timeframe,
)
from tests.execution.house import INFY, USER, House, account, books_balance


def outcomes(orders):
    return sorted((order.account_id, order.role.value, order.state.value, str(order.quantity), order.reason) for order in orders)


def test_one_signal_fills_on_every_account():
    with House(account("A1"), account("A2"), account("A3")) as house:
        orders = house.send("BUY", 10)
        assert outcomes(orders) == [(name, "entry", "filled", "10", None) for name in ("A1", "A2", "A3")]
        books_balance(house)


def test_each_mapping_sizes_for_its_own_account():
    accounts = [account("A1", capital=Decimal(100_000)), account("A2", capital=Decimal(500_000))]
    strategy = StrategyConfig("S1", USER, "s", "ema_cross", Timeframe.M1, (INFY.symbol,), active=False)
    mappings = [
        AccountMapping("M1", "A1", "S1", Decimal(50), Sizing(SizingMode.PERCENT, Decimal(100))),
        AccountMapping("M2", "A2", "S1", Decimal(50), Sizing(SizingMode.FIXED_QUANTITY, Decimal(7)), multiplier=Decimal(2)),
    ]
    with House(*accounts, strategies=[strategy], mappings=mappings) as house:
        orders = house.send("BUY", None, strategy_id="S1", account_ids=())
        assert outcomes(orders) == [("A1", "entry", "filled", "500", None), ("A2", "entry", "filled", "14", None)]


def test_a_signal_that_flips_is_one_exit_and_one_entry():
    with House() as house:
        house.send("BUY", 4)
        orders = house.send("SELL", 10)
        assert outcomes(orders) == [("A1", "entry", "filled", "6", None), ("A1", "exit", "filled", "4", None)]
        assert house.held() == -6
        books_balance(house)


def test_a_repeated_signal_id_is_answered_and_sends_nothing():
    with House(account("A1"), account("A2")) as house:
        first = house.system.submit(house.signal(name="twice"), 5)
        again = house.system.submit(house.signal(name="twice"), 5)
        assert (again.duplicate, again.key, [o.order_id for o in again.orders]) == (True, first.key, [o.order_id for o in first.orders])
        assert house.held("A1") == 10
        assert len(house.journal.fills()) == 2


def test_a_repeated_signal_id_is_answered_after_a_restart_too():
    with House() as house:
        first = house.send(name="twice")
        with house.restart() as later:
            again = later.system.submit(later.signal(name="twice"), 5)
            assert again.duplicate
            assert [o.order_id for o in again.orders] == [o.order_id for o in first]
            assert later.held() == 10


def test_every_denial_has_its_reason():
    table = [
        (account("A1", enabled=False), {}, Denial.NOT_CONNECTED),
        (account("A1", auto_trade=False), {"source": "webhook"}, Denial.AUTO_TRADE_OFF),
        (account("A1", dry_run=True), {}, Denial.DRY_RUN),
        (account("A1", limits=Limits(max_trades_per_day=0)), {}, Denial.MAX_TRADES),
        (account("A1", limits=Limits(max_open_positions=0)), {}, Denial.MAX_POSITIONS),
        (account("A1", limits=Limits(max_order_value=Decimal(999))), {}, Denial.ORDER_VALUE),
        (account("A1", limits=Limits(max_position_value=Decimal(999))), {}, Denial.POSITION_VALUE),
        (account("A1", limits=Limits(max_daily_loss=Decimal(0))), {}, Denial.DAILY_LOSS),
        (account("A1", limits=Limits(max_daily_profit=Decimal(0))), {}, Denial.DAILY_PROFIT),
        (account("A1", capital=Decimal(100)), {}, Denial.INSUFFICIENT_FUNDS),
        (account("A1"), {"quantity": Decimal("0.4")}, Denial.LOT_SIZE),
        (account("A1"), {"order_type": "LIMIT", "price": Decimal(10)}, Denial.PRICE_BAND),
    ]
    from engines.core.model import OrderType, Source

    for row, changes, reason in table:
        fixed = dict(changes)
        if "source" in fixed:
            fixed["source"] = Source(fixed["source"])
        if "order_type" in fixed:
            fixed["order_type"] = OrderType(fixed["order_type"])
        with House(row) as house:
            orders = house.send(**fixed)
            assert [(o.state, o.reason) for o in orders] == [(OrderState.DENIED, reason.value)], (row, orders[0].checks)
            assert house.journal.fills() == []


def test_auto_trade_off_denies_no_person_and_no_exit():
    with House(account("A1", auto_trade=False)) as house:
        orders = house.send("BUY", 5)
        assert [o.state for o in orders] == [OrderState.FILLED]
        assert [check.detail for check in orders[0].checks if check.name == "auto_trade_off"] == ["by hand"]
        from engines.core.model import Source

        orders = house.send("SELL", 5, source=Source.WEBHOOK)
        assert outcomes(orders) == [("A1", "exit", "filled", "5", None)]


def test_of_somebody_who_may_not_trade_nothing_enters_by_hand_either_and_exits_leave():
    with House(account("A1", auto_trade=True)) as house:
        assert outcomes(house.send("BUY", 5)) == [("A1", "entry", "filled", "5", None)]
        house.directory.rows[:] = [replace(row, may_enter=False) for row in house.directory.rows]
        house.system.runtime.refresh_now()
        assert outcomes(house.send("BUY", 5)) == [("A1", "entry", "denied", "5", "auto_trade_off")]
        assert outcomes(house.send("SELL", 5)) == [("A1", "exit", "filled", "5", None)]


def test_a_quantity_above_the_freeze_limit_is_sliced():
    from tests.execution.house import NIFTY_FUT

    with House(account("A1", capital=Decimal(10_000_000))) as house:
        orders = house.send("BUY", 65 * 60, symbol=NIFTY_FUT.symbol)
        assert [(o.state, o.quantity) for o in orders] == [(OrderState.FILLED, Decimal(1300))] * 3
        assert house.held() == 3900
        desk = house.system.roster.desk("A1")
        assert desk.day.trades == 1


def test_stale_prices_deny_entries_but_never_exits():
    with House() as house:
        house.send("BUY", 5)
        house.system.settings = replace(house.system.settings, max_price_age=-1.0)
        assert [o.reason for o in house.send("BUY", 5)] == ["stale_price"]
        assert [(o.role, o.state) for o in house.send("SELL", 5)] == [(Role.EXIT, OrderState.FILLED)]


def test_timing_tells_the_spread_over_accounts():
    with House(*[account(f"A{n}") for n in range(5)]) as house:
        timing = house.system.submit(house.signal(), 5).timing
        assert 0 <= timing.planned_ms <= timing.journaled_ms <= timing.first_sent_ms <= timing.last_sent_ms <= timing.last_acknowledged_ms


def test_a_changed_order_passes_the_same_limits_as_a_new_one():
    import pytest

    from engines.core.model import OrderType
    from engines.system import Conflict

    table = [
        (Limits(max_order_value=Decimal(1000)), {"quantity": Decimal(20)}, "order_value"),
        (Limits(max_position_value=Decimal(1000)), {"quantity": Decimal(20)}, "position_value"),
        (Limits(max_order_value=Decimal(1000)), {"price": Decimal(130)}, "price_band"),
        (Limits(), {"quantity": Decimal(1_000_000)}, "insufficient_funds"),
        (Limits(), {"price": Decimal("99.01")}, "tick size"),
    ]
    for limits, change, words in table:
        with House(account("A1", limits=limits)) as house:
            (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
            with pytest.raises(Conflict, match=words):
                house.system.modify_order(order.order_id, **change)
            after = house.system.roster.desk("A1").orders[order.order_id]
            assert (after.state, after.quantity, after.price) == (OrderState.OPEN, 10, 99)


def test_a_change_within_the_limits_goes_through_and_counts_from_then_on():
    from engines.core.model import OrderType

    with House(account("A1", limits=Limits(max_position_value=Decimal(2000), max_trades_per_day=1))) as house:
        (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        house.system.modify_order(order.order_id, quantity=Decimal(20))
        house.system.modify_order(order.order_id, price=Decimal(98))
        after = house.system.roster.desk("A1").orders[order.order_id]
        assert (after.quantity, after.price, after.state) == (20, 98, OrderState.OPEN)
        assert [o.reason for o in house.send("BUY", 1)] == ["max_trades"]
        house.feed.price(INFY.symbol, 97.0)
        house.until(lambda: house.held() == 20)


def test_a_halted_account_takes_no_other_order_but_a_smaller_one():
    import pytest

    from engines.core.model import OrderType
    from engines.system import Conflict

    with House(account("A1", broker="wire"), script=lambda request: "open") as house:
        (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        house.system.stopper.switch_engines(False, None, USER)
        for change in ({"quantity": Decimal(11)}, {"price": Decimal(98)}, {"quantity": Decimal(5), "price": Decimal(98)}):
            with pytest.raises(Conflict, match="halted"):
                house.system.modify_order(order.order_id, **change)
        house.system.modify_order(order.order_id, quantity=Decimal(5))
        assert house.system.roster.desk("A1").orders[order.order_id].quantity == 5


def test_a_partial_close_by_hand_shrinks_the_exit_plan():
    spec = ExitSpec(
        stop_price=Decimal(95), targets=(TargetSpec(Decimal(50), price=Decimal(105)), TargetSpec(Decimal(50), price=Decimal(110)))
    )
    with House() as house:
        house.send("BUY", 100, exits=spec)
        house.send("SELL", 30)
        (plan,) = house.system.roster.desk("A1").plans.values()
        assert (plan.quantity, [target.quantity for target in plan.targets]) == (70, [35, 35])
        house.feed.price(INFY.symbol, 106.0)
        house.until(lambda: house.held() == 35)
        house.feed.price(INFY.symbol, 94.0)
        house.until(lambda: house.held() == 0)


def test_a_stop_asked_for_with_more_of_a_guarded_position_is_not_used_and_that_is_said():
    one, other = ExitSpec(stop_price=Decimal(95)), ExitSpec(stop_price=Decimal(98))
    strategy = StrategyConfig("S1", USER, "s", "ema_cross", Timeframe.M1, (INFY.symbol,), active=False, exit_plan=one)
    with House(account("A1"), strategies=[strategy], mappings=[AccountMapping("M1", "A1", "S1")]) as house:
        for more in ({}, {"strategy_id": "S1", "account_ids": (), "source": Source.WEBHOOK}):

            def told(spec, side="BUY", more=more):
                (order,) = house.send(side, 10, exits=spec, **more)
                return [(check.passed, "(stop 95.00)" in check.detail) for check in order.checks if check.name == "exit_plan"]

            assert told(one) == []
            assert told(ExitSpec()) == []  # nothing of its own: the strategy's settings, or none
            assert told(other) == [(True, True)]
            plan = next(p for p in house.system.roster.desk("A1").plans.values() if p.key.strategy_id == more.get("strategy_id"))
            assert (plan.stop, plan.quantity) == (95, 30)
            assert told(other, "SELL") == []  # takes out a part


def test_an_entry_whose_stop_or_target_lies_where_no_price_goes_is_denied():
    with House() as house:
        for side, spec in (
            ("BUY", ExitSpec(stop_pct=Decimal(100))),
            ("BUY", ExitSpec(stop_points=Decimal(150))),
            ("SELL", ExitSpec(targets=(TargetSpec(Decimal(100), points=Decimal(100)),))),
        ):
            (order,) = house.send(side, 10, exits=spec)
            assert (order.reason, [check.name for check in order.checks if not check.passed]) == ("price_band", ["exit_plan"])
        assert house.held() == 0


def test_what_was_asked_for_is_kept_on_a_denied_order():
    with House() as house:
        assert [(o.reason, o.quantity) for o in house.send("BUY", quantity=Decimal("1.5"))] == [("lot_size", Decimal("1.5"))]


def test_a_change_that_races_a_fill_never_undoes_it():
    import pytest

    from engines.core.model import OrderType
    from engines.execution.planning import check_change

    with House() as house:
        (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        desk = house.system.roster.desk("A1")
        before = desk.orders[order.order_id]
        house.feed.price(INFY.symbol, 98.0)  # it fills while a change of it is on its way
        house.until(lambda: house.held() == 10)
        changed = replace(before, quantity=Decimal(20))
        failed = check_change(desk, before, changed, house.system.market(desk, INFY.symbol), house.system._plan_tools)
        assert failed is not None
        assert desk.orders[order.order_id].state is OrderState.FILLED
        from engines.system import Conflict

        with pytest.raises(Conflict):
            house.system.modify_order(order.order_id, quantity=Decimal(20))


def test_law_10_an_index_is_denied_by_name_on_every_account() -> None:
    """A strategy may be set on an index; nobody may think that its signals went somewhere."""
    index = Instrument("NSE:NIFTY 50", "NIFTY 50", "NSE", Decimal("0.05"), segment="INDEX")
    with House(account("A1"), account("A2"), instruments=(index,)) as house:
        orders = house.send(symbol=index.symbol)
        assert [(order.account_id, order.state, order.reason) for order in orders] == [
            ("A1", OrderState.DENIED, "not_tradable"),
            ("A2", OrderState.DENIED, "not_tradable"),
        ]


@pytest.mark.parametrize(
    ("way_out", "reason"), [({}, None), ({"order_type": OrderType.LIMIT, "price": Decimal(110)}, "insufficient_funds")]
)
def test_who_turns_round_in_two_signals_needs_its_money_only_once(way_out: dict[str, Any], reason: str | None) -> None:
    """The way out is still at the broker when the way in is planned: at the market its margin counts as free, waiting for a price it does not."""
    script = {"SELL": "open"}
    poor = account("A1", broker="wire", capital=Decimal(1_000), leverage=Decimal(1))
    with House(poor, script=lambda request: script.get(request.side.value, "fill")) as house:
        house.send("BUY", 9, strategy_id="S1")
        (leaving,) = house.send("SELL", None, reduce_only=True, strategy_id="S1", **way_out)
        assert leaving.state is OrderState.OPEN
        script["SELL"] = "fill"
        (entry,) = house.send("SELL", 9, strategy_id="S1")
        assert (entry.role, entry.reason) == (Role.ENTRY, reason)
