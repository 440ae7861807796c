"""A session's counts: begun once a day, never by a clock that jumps; limits warn at 80 %, close the account at 100 %, and flatten if so configured."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from engines.core.model import ExitSpec, Limits, OrderState
from engines.ports import SystemClock
from tests.execution.house import INFY, House, account

IST = timezone(timedelta(hours=5, minutes=30))


def test_a_new_day_begins_once_whatever_the_clock_does():
    with House() as house:
        desk = house.system.roster.desk("A1")
        now = SystemClock().now()
        house.send("BUY", 5)
        assert desk.day.trades == 1
        table = [(now + 60, False, 1), (now - 86_400, False, 1), (now + 86_400, True, 0), (now, False, 0), (now + 86_400, False, 0)]
        for moment, begins, trades in table:
            assert (desk.open_day(moment), desk.day.trades) == (begins, trades)


def test_the_day_is_the_exchanges_not_the_machines():
    with House() as house:
        desk = house.system.roster.desk("A1")
        late = datetime(2031, 1, 6, 23, 59, tzinfo=IST).timestamp()
        desk.open_day(late)
        assert desk.day.day == "2031-01-06"
        desk.open_day(late + 60)
        assert desk.day.day == "2031-01-07"


def test_at_80_percent_a_warning_and_at_100_the_account_is_closed_for_the_day():
    with House(account("A1", limits=Limits(max_daily_loss=Decimal(100)))) as house:
        house.send("BUY", 10)
        house.feed.price(INFY.symbol, 91.5)
        house.until(lambda: "limit_warning" in house.notifier.incidents())
        assert house.system.account("A1").locked is None
        house.feed.price(INFY.symbol, 89.5)
        house.until(lambda: house.system.account("A1").locked == "daily_loss")
        house.feed.price(INFY.symbol, 110.0)  # back in profit: it stays closed
        assert [o.reason for o in house.send("BUY", 1)] == ["daily_loss"]
        assert [o.state for o in house.send("SELL", 10)] == [OrderState.FILLED]
        with house.restart() as later:
            assert [o.reason for o in later.send("BUY", 1)] == ["daily_loss"]


def test_a_profit_limit_closes_the_account_and_flattens_where_it_is_so_configured():
    limits = Limits(max_daily_profit_pct=Decimal("0.01"), flatten_on_limit=True)  # 100 of 1,000,000
    with House(account("A1", limits=limits), account("A2")) as house:
        house.send("BUY", 10, exits=ExitSpec(stop_price=Decimal(50)))
        house.feed.price(INFY.symbol, 111.0)
        house.until(lambda: house.held("A1") == 0)
        assert house.held("A2") == 10
        assert {o.account_id: o.reason for o in house.send("BUY", 1)} == {"A1": "daily_profit", "A2": None}


def test_carried_positions_start_the_next_day_without_yesterdays_result():
    with House() as house:
        desk = house.system.roster.desk("A1")
        house.send("BUY", 10)
        house.send("SELL", 4)
        charges = desk.charges
        assert charges > 0
        desk.open_day(SystemClock().now() + 86_400)
        pnl = desk.pnl()
        assert (pnl.realised, pnl.charges, house.held()) == (0, 0, 6)
        assert desk.equity() == desk.account.capital - charges  # what yesterday cost is in the equity all the same


def test_a_limit_that_was_tightened_holds_from_the_next_order_on():
    with House() as house:
        house.send("BUY", 5)
        house.directory.rows[0] = replace(house.directory.rows[0], limits=Limits(max_trades_per_day=1))
        house.system.runtime.refresh_now()
        assert [o.reason for o in house.send("BUY", 5)] == ["max_trades"]
