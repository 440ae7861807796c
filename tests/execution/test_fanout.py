"""One signal, every account: exits and entries, denials, repeats and timing, through the real lanes on the paper exchange."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from engines.core.model import AccountMapping, Denial, Limits, OrderState, Role, Sizing, SizingMode, StrategyConfig, Timeframe
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
        assert [o.state for o in house.send("BUY", 5)] == [OrderState.FILLED]
        from engines.core.model import Source

        orders = house.send("SELL", 5, source=Source.WEBHOOK)
        assert outcomes(orders) == [("A1", "exit", "filled", "5", None)]


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
