"""The adapter against the emulated SmartAPI: a real log-in, real sockets, a market that trades, and the ways in which answers get lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from engines.brokers.angelone import AngelOneBroker
from engines.brokers.socket import SocketState
from engines.brokers.tools import BrokerTools, SmartApiEndpoints, Timing
from engines.core.model import Account, Instrument, OrderState, OrderType, Product, Side
from engines.ports import Listing, NeedsLogin, OrderReport, OrderRequest, Refused, TandemError, Unknown
from tests.brokers.angelone.rig import PATIENCE, Clock, Kept, until
from tests.brokers.angelone.test_broker import Gate
from tests.emulators.core.faults import Fault
from tests.emulators.smartapi.emulator import SmartApiEmulator

D = Decimal
INFY = "NSE:INFY"


class Master:
    """What the emulator lists."""

    def __init__(self, emulator: SmartApiEmulator) -> None:
        self._scrips = emulator.scrips

    def listing(self, broker: str, symbol: str) -> Listing | None:
        return self._listing(self._scrips.of(symbol))

    def by_token(self, broker: str, exchange: str, token: str) -> Listing | None:
        return self._listing(self._scrips.by_token(exchange, token))

    def by_trading_symbol(self, broker: str, exchange: str, trading_symbol: str) -> Listing | None:
        return self._listing(self._scrips.by_symbol(exchange, trading_symbol))

    def _listing(self, scrip: Any) -> Listing | None:
        return scrip and Listing(scrip.instrument.symbol, "angelone", scrip.token, scrip.exchange, scrip.symbol)


class HouseClock:
    """The emulator's time of day; what waits is measured by a clock that never jumps."""

    def __init__(self, emulator: SmartApiEmulator) -> None:
        self.now, self.monotonic = emulator.clock.now, time.monotonic


class House:
    """One account, connected."""

    def __init__(self, emulator: SmartApiEmulator) -> None:
        self.emulator, self.told = emulator, list[OrderReport]()
        self.account = emulator.add_account()
        self.canaries = (*self.account.canaries(),)
        addresses = emulator.endpoints()
        endpoints = SmartApiEndpoints(addresses["SMARTAPI_ROOT"], addresses["SMARTAPI_WS_ROOT"], addresses["SMARTAPI_ORDER_WS_ROOT"])
        timing = Timing(connect=PATIENCE, read=PATIENCE, poll=0.05, safety_poll=20.0, silent_after=PATIENCE)
        tools = BrokerTools(HouseClock(emulator), Kept(), Master(emulator), Random(2), timing, paced=False)  # type: ignore[arg-type]
        account = Account(self.account.name, "user", "Angel", "angelone", D(100_000))
        self.broker = AngelOneBroker(account, self.account.credentials, tools, endpoints)
        self.broker.connect(self.told.append)
        self._number = 0

    def instrument(self) -> Instrument:
        return self.emulator.scrips.of(INFY).instrument

    def request(self, **changes: Any) -> OrderRequest:
        self._number += 1
        fields: dict[str, Any] = {
            "client_id": f"0LZ8K3M1Q2ABCD{self._number:04d}",
            "instrument": self.instrument(),
            "side": Side.BUY,
            "quantity": D(10),
            "order_type": OrderType.MARKET,
            "product": Product.MIS,
            "quote": D("1500.00"),
        }
        return OrderRequest(**{**fields, **changes})

    def place(self, **changes: Any) -> OrderReport:
        return self.broker.place(self.request(**changes), Gate())

    def newest(self, order_id: str) -> OrderReport | None:
        return next((report for report in reversed(self.told) if report.broker_order_id == order_id), None)

    def wait(self, order_id: str, state: OrderState) -> OrderReport:
        until(lambda: (told := self.newest(order_id)) is not None and told.state is state)
        found = self.newest(order_id)
        assert found is not None
        return found

    def later(self) -> None:
        """Another one-time code, and no session is young any more."""
        self.emulator.advance(90)

    def listening(self) -> None:
        news = self.broker._news
        assert news is not None
        until(lambda: news.socket.state is SocketState.OPEN)


@pytest.fixture(scope="module")
def emulator() -> Iterator[SmartApiEmulator]:
    with SmartApiEmulator(seed=5, clock=Clock()) as made:
        yield made


@pytest.fixture
def house(emulator: SmartApiEmulator) -> Iterator[House]:
    emulator.no_faults()
    emulator.price(INFY, 1500, 1499.5, 1500)
    made = House(emulator)
    yield made
    made.broker.close()


def test_a_market_order_trades_and_is_told_by_the_socket(house: House) -> None:
    house.listening()
    report = house.place()
    assert (report.state, report.fills) == (OrderState.OPEN, ())
    told = house.wait(report.broker_order_id, OrderState.FILLED)
    truth = house.emulator.fills(house.account)
    assert [(fill.trade_id, fill.quantity, fill.price) for fill in told.fills] == [(t.trade_id, t.quantity, t.price) for t in truth]
    assert (told.client_id, told.symbol, told.filled_quantity) == (report.client_id, INFY, 10)
    (booked,) = house.emulator.book(house.account)
    assert (booked.client_id, booked.quantity) == (report.client_id, 10)
    (position,) = house.broker.positions()
    assert (position.symbol, position.product, position.quantity) == (INFY, Product.MIS, 10)
    assert house.broker.balance().available < 10_000_000
    assert [trade.broker_order_id for trade in house.broker.trades()] == [report.broker_order_id]


def test_a_resting_order_is_changed_and_cancelled(house: House) -> None:
    house.listening()
    resting = house.request(order_type=OrderType.LIMIT, price=D(1400))
    order_id = house.broker.place(resting, Gate()).broker_order_id
    house.broker.modify(order_id, resting, quantity=D(5), price=D(1410), trigger_price=None)
    house.broker.cancel(order_id, resting)
    told = house.wait(order_id, OrderState.CANCELLED)
    assert (told.quantity, told.filled_quantity) == (5, 0)
    with pytest.raises(Refused, match="does not know this order"):
        house.broker.cancel(order_id, resting)


def test_a_stop_rests_until_its_trigger_trades(house: House) -> None:
    house.place()
    stop = house.place(order_type=OrderType.SL_M, side=Side.SELL, trigger_price=D(1490), quote=None)
    house.emulator.price(INFY, 1489, 1488.5, 1489)
    assert house.wait(stop.broker_order_id, OrderState.FILLED).side is Side.SELL
    assert house.emulator.position(house.account, INFY) == 0


@pytest.mark.parametrize(
    ("fault", "booked"),
    [
        (Fault.LOST, False),
        (Fault.BOOKED_NO_ANSWER, True),
        (Fault.BOOKED_THEN_RESET, True),
        (Fault.MALFORMED_JSON, True),
        (Fault.SERVER_ERROR_BOOKED, True),
        (Fault.SERVER_ERROR_HTML, False),
        (Fault.RATE_LIMITED, False),
    ],
)
def test_an_order_whose_answer_is_lost_is_found_by_its_name(house: House, fault: Fault, booked: bool) -> None:
    house.emulator.fault(fault, account=house.account, seconds=0.1)
    request, gate = house.request(), Gate()
    with pytest.raises(Unknown):
        house.broker.place(request, gate)
    assert gate.entered == 1
    named = [report.client_id for report in house.broker.order_book()]
    assert named == ([request.client_id] if booked else [])
    assert len(house.emulator.requests(house.account, "place")) == 1


def test_news_come_without_the_socket(house: House) -> None:
    house.emulator.mute_updates()
    try:
        report = house.place()
        house.wait(report.broker_order_id, OrderState.FILLED)
    finally:
        house.emulator.mute_updates(False)


def test_a_socket_that_is_cut_comes_back_and_what_happened_meanwhile_is_told(house: House) -> None:
    house.listening()
    by_hand = house.emulator.by_hand(house.account, INFY, Side.BUY, 3)
    house.emulator.cut_sockets(house.account, "orders")
    told = house.wait(by_hand, OrderState.FILLED)
    assert (told.client_id, told.filled_quantity) == (None, 3)
    until(lambda: house.emulator.sockets(house.account, "orders") == 1)


def test_an_unregistered_address_is_said_plainly(house: House) -> None:
    house.emulator.set_address(house.account, ("203.0.113.9",))
    with pytest.raises(Refused, match="address is not registered"):
        house.place()
    house.emulator.set_address(house.account, None)
    assert house.place().broker_order_id


def test_a_session_that_ends_in_the_day_is_renewed_by_whoever_notices(house: House) -> None:
    house.listening()
    house.later()
    house.emulator.expire_session(house.account)
    report = house.place()
    house.wait(report.broker_order_id, OrderState.FILLED)
    assert len(house.emulator.requests(house.account, "login")) == 2
    house.listening()


def test_a_key_that_is_dead_is_said_once(house: House) -> None:
    house.later()
    house.emulator.revoke(house.account)
    for _ in range(2):
        with pytest.raises(NeedsLogin, match="API key"):
            house.place()
    assert len(house.emulator.requests(house.account, "login")) == 2


def test_nothing_secret_is_written(house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    texts = []
    for fault in (Fault.MALFORMED_JSON, Fault.SERVER_ERROR_HTML, Fault.SESSION_ENDS, Fault.BOOKED_THEN_RESET):
        house.emulator.fault(fault, account=house.account)
        house.later()
        try:
            house.place()
        except TandemError as error:
            texts.append(repr(error))
    out = capfd.readouterr()
    everything = "\n".join([*texts, caplog.text, out.out, out.err, repr(house.broker), repr(house.broker.stream_key())])
    assert len(texts) == 3  # a session that ended was renewed
    assert house.canaries
    assert not [secret for secret in (*house.canaries, *house.account.canaries()) if secret in everything]
