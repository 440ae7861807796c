"""What Binance wants differently from the other brokers, against the emulated exchange; what all brokers must do is in tests/contract."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, getcontext

import pytest

from engines.brokers.binance import BinanceBroker
from engines.brokers.binance.keys import NO_ADDRESSES, NOT_CHECKED
from engines.brokers.tools import BrokerTools
from engines.core.model import Order, OrderState, OrderType, Product, Role, Side
from engines.ports import Halted, NeedsLogin, OrderReport, OrderRequest, Refused, Retry, SystemClock, Unknown
from tests.brokers.binance.conftest import Desk
from tests.contract.venues import PATIENCE, TIMING, Station, endpoints_of
from tests.emulators.binance.emulator import BinanceEmulator
from tests.emulators.core.faults import Fault

OPEN, FILLED, CANCELLED = OrderState.OPEN, OrderState.FILLED, OrderState.CANCELLED


def calls(station: Station, name: str) -> int:
    return len(station.emulator.requests(station.emulated, name))


def held(station: Station) -> Decimal:
    return station.emulator.position(station.emulated, station.venue.symbol)


# --- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "flags", "words"),
    [
        ("spot", {"enableWithdrawals": True}, "can withdraw"),
        ("usdm", {"permitsUniversalTransfer": True}, "can transfer between accounts"),
        ("spot", {"enableSpotAndMarginTrading": False}, "Enable Spot & Margin Trading"),
        ("usdm", {"enableFutures": False}, "Enable Futures"),
    ],
)
def test_a_key_is_looked_at_before_it_is_used(
    binance: BinanceEmulator, desk: Desk, market: str, flags: dict[str, bool], words: str
) -> None:
    station = desk(market)
    binance.permit(station.emulated, **flags)
    with pytest.raises(Refused, match=words):
        station.connect()


def test_a_key_without_addresses_works_and_is_warned_of(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot")
    binance.permit(station.emulated, ipRestrict=False)
    assert station.connect().broker.profile().warnings == (NO_ADDRESSES,)


def test_a_test_account_is_not_asked_what_its_key_may_do(desk: Desk) -> None:
    station = desk("usdm")
    broker = BinanceBroker(
        station.account,
        {**station.emulated.credentials, "testnet": True},
        BrokerTools(SystemClock(), station.sessions, station.master, random.Random(1), TIMING),
        endpoints_of(station.emulator).binance,
        "usdm",
    )
    broker.connect(lambda report: None)
    assert broker.profile().warnings == (NOT_CHECKED,)
    assert not calls(station, "profile")
    broker.close()


def test_an_account_without_keys_says_so(desk: Desk) -> None:
    with pytest.raises(Refused, match="no API key"):
        desk("spot", credentials={}).connect()


def test_a_key_that_is_deleted_is_noticed_by_the_one_that_only_watches(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    station.place(station.limit(station.below))
    binance.revoke(station.emulated)
    binance.cut_sockets(station.emulated)

    def over() -> bool:
        try:
            station.broker.keep_alive()
        except NeedsLogin:
            return True
        return False

    station.wait(over)


# --- the clock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_clock_that_differs_is_measured_anew_and_the_order_sent_once_more(binance: BinanceEmulator, desk: Desk, market: str) -> None:
    station = desk(market).connect()
    binance.fault(Fault.CLOCK_SKEW, account=station.emulated)
    assert station.place(station.limit(station.below)).state is OPEN
    assert (station.placed(), station.permits, len(binance.book(station.emulated))) == (2, 2, 1)


def test_a_clock_that_stays_wrong_is_said_and_books_nothing(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    binance.fault(Fault.CLOCK_SKEW, account=station.emulated, times=2)
    with pytest.raises(Retry, match="NTP"):
        station.place(station.limit(station.below))
    assert not binance.book(station.emulated)


def test_law_4_a_stop_between_the_two_sendings_holds(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    binance.fault(Fault.CLOCK_SKEW, account=station.emulated)
    asked: list[int] = []

    @contextmanager
    def closing() -> Iterator[None]:
        asked.append(1)
        if len(asked) > 1:
            raise Halted("halted")
        yield

    with pytest.raises(Refused):
        station.broker.place(station.limit(station.below), closing)
    assert not binance.book(station.emulated)


# --- fees ------------------------------------------------------------------------------------------------------------


def test_a_spot_buy_pays_its_fee_in_the_coin_and_a_sale_in_money(desk: Desk) -> None:
    station = desk("spot").connect()
    bought = station.place(station.request())
    station.wait(lambda: station.told(bought.broker_order_id, FILLED))
    (fill,) = bought.fills
    assert fill.fee_quantity == Decimal("0.00001")
    assert fill.charges == 0
    sold = station.place(station.request(Side.SELL, Decimal("0.00999")))
    assert sold.fills[0].fee_quantity == 0
    assert sold.fills[0].charges == pytest.approx(Decimal("0.5994"), abs=Decimal("0.01"))


def test_a_perpetual_pays_in_money(desk: Desk) -> None:
    station = desk("usdm").connect()
    report = station.place(station.request())
    station.wait(lambda: station.told(report.broker_order_id, FILLED))
    (fill,) = station.reports[-1].fills
    assert fill.charges
    assert fill.fee_quantity == 0


# --- what the account is set to -----------------------------------------------------------------------------------------


def test_leverage_and_margin_mode_are_set_once_for_each_symbol_and_never_for_exits(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    for _ in range(3):
        station.place(station.limit(station.below))
    (leverage,) = binance.requests(station.emulated, "leverage")
    assert (leverage.fields["symbol"], leverage.fields["leverage"]) == ("BTCUSDT", "5")
    assert station.emulated.extra["margin_types"] == {"BTCUSDT": "ISOLATED"}
    other = desk("usdm").connect()
    with pytest.raises(Refused):
        other.place(other.request(Side.SELL, reduce_only=True))  # nothing to reduce
    assert not binance.requests(other.emulated, "leverage")


def test_the_position_mode_is_read_again_where_it_was_changed_and_never_switched(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    station.emulated.extra["dual"] = True
    report = station.place(station.request())
    station.wait(lambda: station.told(report.broker_order_id, FILLED))
    first, second = binance.requests(station.emulated, "place")
    assert "positionSide" not in first.fields
    assert second.fields["positionSide"] == "LONG"
    assert station.emulated.extra["dual"] is True
    (position,) = station.broker.positions()
    assert (position.symbol, position.quantity, position.product) == ("BINANCE:BTCUSDT.P", Decimal("0.01"), Product.MIS)


def test_an_exit_of_a_perpetual_can_only_reduce(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    report = station.place(station.request())
    station.wait(lambda: station.told(report.broker_order_id, FILLED))
    station.place(station.request(Side.SELL, reduce_only=True))
    assert binance.requests(station.emulated, "place")[-1].fields["reduceOnly"] == "true"


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_name_that_binance_has_already_is_our_order(binance: BinanceEmulator, desk: Desk, market: str) -> None:
    """As when a lost request did arrive: the same name is never a second order."""
    station = desk(market).connect()
    request = station.limit(station.below)
    binance.fault(Fault.BOOKED_THEN_RESET, account=station.emulated)
    with pytest.raises(Unknown):
        station.place(request)
    again = station.place(request)
    (booked,) = binance.book(station.emulated)
    assert (again.broker_order_id, again.client_id, again.state) == (booked.broker_order_id, request.client_id, OPEN)


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_one_answer_that_it_does_not_exist_proves_nothing(binance: BinanceEmulator, desk: Desk, market: str) -> None:
    station = desk(market).connect()
    request = station.request()
    binance.fault(Fault.BOOKED_THEN_RESET, account=station.emulated)
    binance.fault(Fault.NO_UPDATES, account=station.emulated, times=50)
    binance.hide_orders(station.emulated, times=2)
    with pytest.raises(Unknown):
        station.place(request)
    station.wait(lambda: (found := station.look(request.client_id)) is not None and found.state is FILLED)
    assert len(binance.book(station.emulated)) == 1


def test_an_overloaded_binance_took_nothing(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    binance.overload()
    with pytest.raises(Retry, match="overloaded"):
        station.place(station.limit(station.below))
    assert not binance.book(station.emulated)


def test_an_order_from_binances_own_app_is_told_and_is_nobodys(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    theirs = binance.by_hand(station.emulated, station.venue.symbol, Side.BUY, station.venue.quantity, station.below)
    (row,) = station.broker.order_book()
    assert (row.broker_order_id, row.state) == (theirs, OPEN)


# --- after a restart ---------------------------------------------------------------------------------------------------


def order_of(request: OrderRequest, account_id: str) -> Order:
    return Order(
        request.client_id,
        account_id,
        "U1",
        "S1",
        request.instrument.symbol,
        request.side,
        request.quantity,
        request.order_type,
        request.product,
        Role.ENTRY,
        0.0,
        0.0,
        trigger_price=request.trigger_price,
        state=OrderState.UNKNOWN,
    )


def reborn(station: Station, requests: Sequence[OrderRequest]) -> tuple[BinanceBroker, list[OrderReport]]:
    """The account in a new process, which knows its orders from the journal."""
    station.broker.close()
    told: list[OrderReport] = []
    orders = [order_of(request, "A1") for request in requests]
    tools = BrokerTools(SystemClock(), station.sessions, station.master, random.Random(1), TIMING, paced=False, orders=lambda _: orders)
    broker = BinanceBroker(
        replace(station.account, account_id="A1-again"),
        station.emulated.credentials,
        tools,
        endpoints_of(station.emulator).binance,
        station.venue.kind.removeprefix("binance_"),
    )
    broker.connect(told.append)
    station.broker = broker
    return broker, told


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_law_1_a_new_process_finds_what_the_old_one_sent(desk: Desk, market: str) -> None:
    station = desk(market).connect()
    trigger = station.venue.price + station.venue.tick * 40
    filled, resting, never = station.request(), station.limit(station.below), station.limit(station.below)
    stop = station.request(order_type=OrderType.SL_M, trigger_price=trigger)
    for request in (filled, resting, stop):
        station.place(request)
    broker, _ = reborn(station, (filled, resting, stop, never))
    told = {report.client_id: report for report in broker.order_book()}
    assert {told[r.client_id].state for r in (resting, stop)} == {OPEN}
    assert told[filled.client_id].state is FILLED
    assert sum(fill.quantity for fill in told[filled.client_id].fills) == filled.quantity
    assert never.client_id not in told
    broker.cancel(told[stop.client_id].broker_order_id, stop)
    broker.cancel(told[resting.client_id].broker_order_id, resting)
    states = {report.client_id: report.state for report in broker.order_book()}
    assert (states[stop.client_id], states[resting.client_id]) == (CANCELLED, CANCELLED)


# --- stops of USD-M ------------------------------------------------------------------------------------------------------


def stop_order(station: Station, ticks: int = 40) -> OrderRequest:
    return station.request(order_type=OrderType.SL_M, trigger_price=station.venue.price + station.venue.tick * ticks)


def test_a_stop_becomes_another_order_and_keeps_its_name(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    request = stop_order(station)
    report = station.place(request)
    binance.price(station.venue.symbol, request.trigger_price or 0)
    station.wait(lambda: station.told(report.broker_order_id, FILLED))
    assert held(station) == request.quantity
    mine = [row for row in station.broker.order_book() if row.client_id == request.client_id]
    assert [(row.broker_order_id, row.state, row.filled_quantity) for row in mine] == [(report.broker_order_id, FILLED, request.quantity)]
    assert {trade.broker_order_id for trade in station.broker.trades()} == {report.broker_order_id}


def test_a_stop_that_triggers_unheard_is_found(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    binance.fault(Fault.NO_UPDATES, account=station.emulated, times=50)
    request = stop_order(station)
    report = station.place(request)
    binance.price(station.venue.symbol, request.trigger_price or 0)
    station.wait(lambda: station.told(report.broker_order_id, FILLED))


def test_a_stop_can_be_cancelled_and_moved(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    request = stop_order(station)
    report = station.place(request)
    further = station.venue.price + station.venue.tick * 80
    moved = station.broker.modify(report.broker_order_id, request, quantity=None, price=None, trigger_price=further)
    assert moved is not None
    assert (moved.broker_order_id, moved.client_id, moved.state) == (report.broker_order_id, request.client_id, OPEN)
    binance.price(station.venue.symbol, request.trigger_price or 0)
    assert held(station) == 0  # the old one is gone
    said = station.broker.cancel(report.broker_order_id, request)
    assert said is not None
    assert said.state is CANCELLED


# --- changing ------------------------------------------------------------------------------------------------------------


def test_a_changed_spot_order_is_the_same_order_to_us(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    request = station.limit(station.below)
    report = station.place(request)
    lower = station.below - station.venue.tick * 100
    changed = station.broker.modify(report.broker_order_id, request, quantity=None, price=lower, trigger_price=None)
    assert changed is not None
    assert (changed.broker_order_id, changed.state, changed.filled_quantity) == (report.broker_order_id, OPEN, 0)
    (mine,) = [row for row in station.broker.order_book() if row.client_id == request.client_id]
    assert (mine.broker_order_id, mine.state) == (report.broker_order_id, OPEN)
    said = station.broker.cancel(report.broker_order_id, request)
    assert said is not None
    assert said.state is CANCELLED
    assert [row.status for row in binance.book(station.emulated)] == ["cancelled", "cancelled"]


def test_only_what_has_not_filled_is_placed_anew(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    binance.fault(Fault.PARTIAL_FILLS, account=station.emulated)
    request = station.limit(station.venue.price + station.venue.tick * 50, quantity=Decimal(1))
    report = station.place(request)
    for step in range(50):
        if held(station):
            break
        binance.price(station.venue.symbol, station.venue.price + station.venue.tick * (step % 3))
    before = sum(fill.quantity for fill in binance.fills(station.emulated))
    if before == request.quantity:
        pytest.skip("it filled at once")
    station.broker.modify(
        report.broker_order_id, request, quantity=None, price=station.venue.price + station.venue.tick * 100, trigger_price=None
    )
    binance.no_faults()
    for step in range(50):
        binance.price(station.venue.symbol, station.venue.price + station.venue.tick * (step % 3))
        if sum(fill.quantity for fill in binance.fills(station.emulated)) >= request.quantity:
            break
    station.wait(lambda: station.told(report.broker_order_id, FILLED))
    assert sum(row.filled for row in binance.book(station.emulated)) == request.quantity
    assert sum(quantity for quantity, _ in station.fills(report.broker_order_id).values()) == request.quantity


def test_a_change_that_is_refused_leaves_a_cancelled_order_and_says_so(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    request = station.limit(station.below)
    report = station.place(request)
    station.place(station.request(quantity=Decimal(100)))  # and there is too little money for the change
    with pytest.raises(Refused, match="taken back"):
        station.broker.modify(report.broker_order_id, request, quantity=Decimal(150), price=None, trigger_price=None)
    station.wait(lambda: station.told(report.broker_order_id, CANCELLED))


def test_a_change_off_the_grid_changes_nothing(desk: Desk) -> None:
    station = desk("spot").connect()
    request = station.limit(station.below)
    report = station.place(request)
    with pytest.raises(Refused, match="in steps of"):
        station.broker.modify(report.broker_order_id, request, quantity=None, price=station.below + Decimal("0.001"), trigger_price=None)
    assert station.look(request.client_id).state is OPEN  # type: ignore[union-attr]


# --- what it owns ----------------------------------------------------------------------------------------------------------


def test_coins_are_holdings_and_worth_something(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("spot").connect()
    before = station.broker.balance()
    station.place(station.request())
    (holding,) = [h for h in station.broker.holdings() if h.symbol == "BINANCE:BTCUSDT"]
    after = station.broker.balance()
    assert holding.quantity == held(station) == Decimal("0.00999")
    assert after.available < before.available
    assert after.equity == pytest.approx(before.equity, rel=Decimal("0.01"))
    assert after.currency == "USDT"


def test_what_an_order_blocks_is_not_available(desk: Desk) -> None:
    station = desk("spot").connect()
    before = station.broker.balance()
    station.place(station.limit(station.below))
    after = station.broker.balance()
    assert after.used_margin == station.below * station.venue.quantity
    assert after.available == before.available - after.used_margin
    assert after.cash == before.cash


def test_a_symbol_that_binance_does_not_list_is_refused_in_words(desk: Desk) -> None:
    station = desk("spot").connect()
    request = station.request()
    moon = replace(request.instrument, symbol="BINANCE:MOONUSDT")
    with pytest.raises(Refused, match=r"does not list|Invalid symbol"):
        station.place(replace(request, instrument=moon))
    with pytest.raises(Refused, match="spot account"):
        station.place(replace(request, instrument=replace(moon, symbol="BINANCE:BTCUSDT.P")))
    assert station.placed() == 0


# --- news ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_news_come_over_the_socket_though_every_read_fails(binance: BinanceEmulator, desk: Desk, market: str) -> None:
    station = desk(market).connect()
    until(lambda: binance.sockets(station.emulated, "orders") == 1)
    for read in ("orders", "order", "trades"):
        binance.fault(Fault.SERVER_ERROR_HTML, account=station.emulated, on=read, times=10_000)
    report = station.place(station.limit(station.below))
    binance.price(station.venue.symbol, station.below - station.venue.tick * 20)
    station.wait(lambda: station.told(report.broker_order_id, FILLED))
    assert station.fills(report.broker_order_id) == station.truth(report.broker_order_id)


def test_a_listen_key_is_asked_for_again_when_it_expires(binance: BinanceEmulator, desk: Desk) -> None:
    station = desk("usdm").connect()
    until(lambda: binance.sockets(station.emulated, "orders") == 1)
    report = station.place(station.limit(station.below))
    binance.cut_sockets(station.emulated)
    until(lambda: binance.sockets(station.emulated, "orders") == 1)
    binance.price(station.venue.symbol, station.below - station.venue.tick * 20)
    station.wait(lambda: station.told(report.broker_order_id, FILLED))


def until(true: Callable[[], object]) -> None:
    deadline = SystemClock().monotonic() + PATIENCE
    while not true():
        assert SystemClock().monotonic() < deadline
        threading.Event().wait(0.005)


def test_ccxts_rounding_rules_stay_with_ccxt(desk: Desk) -> None:
    """It rounds half up by changing the rules of the thread it runs on, and a lane books money on that thread."""
    station, before = desk("spot").connect(), getcontext().copy()
    station.place(station.limit(station.below))
    assert (getcontext().rounding, getcontext().traps) == (before.rounding, before.traps)
