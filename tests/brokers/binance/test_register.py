"""Which of Binance's orders are one of ours, in whatever order the news come."""

from __future__ import annotations

from decimal import Decimal

from engines.brokers.binance.register import Register
from engines.brokers.binance.rows import AlgoRow, Market, OrderRow
from engines.core.model import OrderState, Side
from engines.ports import BrokerFill

OPEN, CANCELLED, FILLED = OrderState.OPEN, OrderState.CANCELLED, OrderState.FILLED
ONE = Decimal(1)
FILL = BrokerFill("t1", ONE, Decimal(60000), 1.0)


def _row(
    client_id: str = "MINE", order_id: str = "7", state: OrderState = OPEN, filled: int = 0, quantity: int = 3, at: float = 1.0
) -> OrderRow:
    return OrderRow("BTCUSDT", order_id, client_id, Side.BUY, state, Decimal(quantity), Decimal(filled), at)


def _register(market: Market = "spot", conditional: bool = False) -> Register:
    register = Register(market)
    register.expect("MINE", "BTCUSDT", Side.BUY, Decimal(3), conditional, 0.0)
    return register


def test_our_order_is_told_under_our_name() -> None:
    report = _register().take(_row())
    assert report is not None
    assert (report.broker_order_id, report.client_id, report.symbol) == ("7", "MINE", "BINANCE:BTCUSDT")


def test_somebody_elses_order_is_not_ours() -> None:
    register = _register()
    assert register.take(_row("web_1")) is None
    assert register.stranger(_row("web_1", "8")).broker_order_id == "8"
    assert register.orders_behind("8") == ("BTCUSDT", ("8",))


def test_an_order_is_asked_for_until_it_has_ended() -> None:
    register = _register()
    register.take(_row())
    assert [e.client_id for e in register.open(1.0)] == ["MINE"]
    register.take(_row(state=FILLED, filled=3))
    assert register.open(1.0) == []
    assert [r.state for r in register.ended()] == [FILLED]


def test_an_order_nobody_has_seen_is_asked_for_a_while() -> None:
    register = _register()
    assert len(register.open(10.0)) == 1
    assert register.open(10_000.0) == []


def test_a_refused_order_is_forgotten_but_never_one_that_binance_has() -> None:
    register = _register()
    register.forget("MINE")
    assert register.get("MINE") is None
    register = _register()
    register.take(_row())
    register.forget("MINE")
    assert register.get("MINE") is not None


def test_old_news_do_not_undo_an_end() -> None:
    register = _register()
    register.take(_row(state=CANCELLED, filled=1, at=5.0))
    register.take(_row(filled=1, at=4.0))
    assert register.get("MINE").last.state is CANCELLED  # type: ignore[union-attr]


def test_a_replacement_is_told_as_the_same_order() -> None:
    register = _register()
    register.take(_row(filled=1))
    entry = register.get("MINE")
    assert entry is not None
    entry.changing = True
    assert register.take(_row(state=CANCELLED, filled=1)) is None  # the cancel that makes way for it
    entry.leg, entry.changing = 1, False
    report = register.take(_row("MINE-1", "9", quantity=2, filled=1))
    assert report is not None
    assert (report.broker_order_id, report.client_id, report.quantity, report.filled_quantity) == ("7", "MINE", 3, 2)
    assert register.take(_row(state=CANCELLED, filled=1)) is None  # late news of the leg that is over
    assert register.orders_behind("7") == ("BTCUSDT", ("7", "9"))
    assert register.name_of("BTCUSDT", "9") == "7"


def test_a_late_trade_of_a_leg_that_is_over_still_counts() -> None:
    register = _register()
    register.take(_row())
    entry = register.get("MINE")
    assert entry is not None
    entry.leg = 1
    report = register.take(_row(filled=1), FILL)
    assert report is not None
    assert (report.state, report.fills) == (OPEN, (FILL,))


def test_a_replacement_made_before_a_restart_is_found() -> None:
    register = _register()
    report = register.take(_row("MINE-2", "11"))
    assert report is not None
    assert (report.client_id, register.get("MINE").leg) == ("MINE", 2)  # type: ignore[union-attr]


def _algo(state: OrderState = OPEN, order_id: str | None = None) -> AlgoRow:
    return AlgoRow("BTCUSDT", "500", "MINE", Side.BUY, state, Decimal(3), 1.0, order_id)


def test_a_conditional_order_keeps_its_name_when_it_becomes_another() -> None:
    register = _register("usdm", conditional=True)
    report = register.take_algo(_algo())
    assert report is not None
    assert (report.broker_order_id, report.symbol, report.state) == ("500", "BINANCE:BTCUSDT.P", OPEN)
    assert register.may_become("BTCUSDT")
    assert register.take_algo(_algo(order_id="77")) is None
    assert not register.may_become("BTCUSDT")
    became = register.take(_row("whatever", "77", FILLED, 3))
    assert became is not None
    assert (became.broker_order_id, became.client_id, became.state) == ("500", "MINE", FILLED)
    assert register.orders_behind("500") == ("BTCUSDT", ("77",))


def test_a_conditional_order_that_ends_untriggered_has_ended() -> None:
    register = _register("usdm", conditional=True)
    register.take_algo(_algo(CANCELLED))
    assert register.open(1.0) == []
