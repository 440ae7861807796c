"""Law 3 through the whole engine: fills are idempotent and commutative, position = fold of fills, and the sum over strategies is the account's."""

from __future__ import annotations

import random
import threading
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from app.data.database import Readers, create
from app.data.journal import SqliteJournal
from engines.core.model import OrderState, OrderType
from engines.ports import BrokerFill, SystemClock
from tests.execution.house import INFY, House, account, books_balance

WIRE = account("A1", broker="wire")


def parts(report, count: int):
    """One order's fills as the broker would push them: cumulative reports, each repeating what was told before."""
    now = SystemClock().now()
    fills = tuple(BrokerFill(f"{report.client_id}-{n}", Decimal(1), Decimal(100 + n), now + n) for n in range(count))
    for n in range(1, count + 1):
        state = OrderState.FILLED if n == count else OrderState.PARTLY_FILLED
        yield replace(report, state=state, filled_quantity=Decimal(n), fills=fills[:n], average_price=Decimal(100))


@pytest.mark.parametrize("seed", range(5))
def test_law_3_fills_are_idempotent_and_commutative_however_they_are_told(seed):
    with House(WIRE, script=lambda request: "open") as house:
        house.send("BUY", 6, strategy_id="S1")
        house.send("BUY", 4)
        house.send("SELL", 3, strategy_id="S2")
        news = [told for report in house.books["A1"].reports.values() for told in parts(report, int(report.quantity))]
        news += news[::2]
        random.Random(seed).shuffle(news)
        middle = len(news) // 2

        def tell(some) -> None:
            for told in some:
                house.wires["A1"].on_report(told)

        threads = [threading.Thread(target=tell, args=(half,)) for half in (news[:middle], news[middle:])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        held = {p.key.strategy_id: p.quantity for p in house.system.roster.desk("A1").open_positions()}
        assert held == {"S1": 6, None: 4, "S2": -3}
        assert house.held() == 7
        assert len(house.journal.fills()) == 13
        books_balance(house)


def test_law_3_the_sum_over_strategies_is_the_accounts():
    with House(account("A1")) as house:
        for strategy, side, quantity in (("S1", "BUY", 5), ("S2", "SELL", 2), (None, "BUY", 1), ("S1", "SELL", 3)):
            house.send(side, quantity, strategy_id=strategy)
        house.feed.price(INFY.symbol, 103.0)
        pnl = house.system.pnl(["A1"])
        rows = list(pnl.by_strategy.values())
        assert sum(row.net for row in rows) == pnl.by_account["A1"].net == pnl.total.net
        view = house.system.account("A1")
        assert view.equity == house.directory.rows[0].capital + pnl.total.net
        assert house.held() == 1


def test_law_3_after_a_restart_on_another_day_an_orders_old_trades_are_not_booked_again(tmp_path):
    """A broker tells an order with all its trades; those of an earlier session are in the opening by then."""
    path = tmp_path / "tandem.db"
    create(path, "")
    readers = Readers(path)
    journal = SqliteJournal(path, readers, SystemClock())
    with (
        closing(readers),
        closing(journal),
        House(account("A1", broker="wire"), journal=journal, script=lambda _: "open") as house,
    ):
        (order,) = house.send("BUY", 10, order_type=OrderType.LIMIT, price=Decimal(99))
        book = house.books["A1"]
        first = BrokerFill("T1", Decimal(4), Decimal(99), SystemClock().now() - 2 * 86400)
        part = replace(
            book.reports[order.order_id],
            state=OrderState.PARTLY_FILLED,
            filled_quantity=Decimal(4),
            average_price=Decimal(99),
            fills=(first,),
        )
        book.reports[order.order_id] = part
        house.wires["A1"].on_report(part)
        house.until(lambda: house.held() == 4)
        with house.restart() as later:
            second = replace(first, trade_id="T2", quantity=Decimal(2), traded_at=SystemClock().now())
            later.wires["A1"].on_report(replace(part, filled_quantity=Decimal(6), fills=(first, second)))
            assert later.held() == 6
