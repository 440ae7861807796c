"""The exchange, the faults and the control that all emulated brokers share."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from engines.core.model import OrderType, Product, Side
from tests.emulators.core.exchange import FINAL, EmulatedAccount, EmulatedExchange, EmulatedOrder, NotBooked, Status
from tests.emulators.core.faults import Armed, Fault, Switchboard
from tests.emulators.core.listing import derivative_name, indian_market, monthly_expiry, option_expiries
from tests.emulators.core.rates import Rate, Rates
from tests.emulators.core.remote import ROOT, Remote, emulator_process
from tests.emulators.core.schedule import Schedule
from tests.emulators.kite import KiteEmulator
from tests.support.http import Answer, Client

NOW = 1_795_000_000.0
INFY = "NSE:INFY"


@pytest.fixture
def exchange() -> EmulatedExchange:
    return EmulatedExchange(indian_market(NOW), now=lambda: NOW, rng=Random(1))


@pytest.fixture
def account(exchange: EmulatedExchange) -> EmulatedAccount:
    return exchange.open_account("A", {}, Decimal(1_000_000))


def place(
    exchange: EmulatedExchange, account: EmulatedAccount, side: str, quantity: int, kind: str = "MARKET", **more: Any
) -> EmulatedOrder:
    price, trigger = (None if more.get(x) is None else Decimal(str(more.pop(x))) for x in ("price", "trigger"))
    instrument = exchange.quotes[more.pop("symbol", INFY)].instrument
    product = more.pop("product", Product.MIS)
    identity = f"O{len(account.orders) + 1}"
    return exchange.place(account, identity, instrument, Side(side), Decimal(quantity), OrderType(kind), product, price, trigger, **more)


def words(order: EmulatedOrder) -> list[str]:
    return [row.status.value for row in order.history]


class TestExchange:
    def test_a_market_order_goes_through_every_state_and_fills(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 10)
        assert words(order) == ["received", "validating", "sending", "open", "complete"]
        assert (order.filled, order.average_price, exchange.net(account, INFY)) == (10, Decimal(1500), 10)

    def test_a_limit_rests_until_the_market_comes(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 10, "LIMIT", price=1490)
        assert order.status is Status.OPEN
        exchange.move(INFY, Decimal(1495))
        assert order.status is Status.OPEN
        exchange.move(INFY, Decimal(1489))
        assert (order.status, order.average_price) == (Status.COMPLETE, Decimal(1490))

    def test_a_stop_says_that_it_was_triggered(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "SELL", 10, "SL", price=1480, trigger=1490)
        assert order.status is Status.TRIGGER_PENDING
        exchange.move(INFY, Decimal(1485), bid=Decimal(1470), ask=Decimal(1485))
        assert (order.status, order.filled) == (Status.OPEN, 0)
        exchange.move(INFY, Decimal(1484))
        assert words(order) == ["received", "validating", "sending", "trigger_pending", "open", "complete"]

    def test_partial_fills_add_up(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 50, partial=True)
        ticks = 0
        while order.status not in FINAL:
            exchange.move(INFY, Decimal(1500 + ticks % 2))
            ticks += 1
        assert ticks > 0
        assert sum(x.quantity for x in order.trades) == order.filled == 50
        assert len({x.trade_id for x in order.trades}) == len(order.trades)

    def test_a_modified_order_tells_each_step(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 10, "LIMIT", price=1490)
        exchange.modify(account, order, price=Decimal(1491), quantity=Decimal(5))
        assert words(order)[-4:] == ["modify_validating", "modify_sending", "modified", "open"]
        exchange.move(INFY, Decimal(1491))
        assert (order.filled, order.average_price) == (5, Decimal(1491))

    def test_a_cancelled_order_is_out_of_the_market(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 10, "LIMIT", price=1490)
        exchange.cancel(account, order)
        exchange.move(INFY, Decimal(1480))
        assert (order.status, order.filled, order.cancelled) == (Status.CANCELLED, 0, 10)
        with pytest.raises(NotBooked):
            exchange.cancel(account, order)

    def test_what_the_exchange_refuses_is_booked_only_when_asked(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        with pytest.raises(NotBooked, match="insufficient funds"):
            place(exchange, account, "BUY", 100_000)
        assert not account.orders
        order = place(exchange, account, "BUY", 100_000, book_refused=True)
        assert order.status is Status.REJECTED
        assert "insufficient funds" in order.message

    def test_a_stuck_order_comes_later(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 10, stuck=True)
        assert order.status is Status.RECEIVED
        exchange.release(order)
        assert order.status is Status.COMPLETE

    def test_an_immediate_order_leaves_nothing_behind(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        assert place(exchange, account, "BUY", 10, "LIMIT", price=1490, validity="IOC").status is Status.CANCELLED

    def test_money_follows_the_trades(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        place(exchange, account, "BUY", 100)
        assert exchange.used_margin(account) == Decimal(100 * 1500) / 5
        exchange.move(INFY, Decimal(1510))
        assert exchange.unrealised(account) == 1000
        place(exchange, account, "SELL", 150)
        assert (exchange.realised(account), exchange.net(account, INFY)) == (1000, -50)
        assert exchange.used_margin(account) == Decimal(50 * 1510) / 5
        assert exchange.money(account) == 1_000_000 + 1000 - Decimal(50 * 1510) / 5

    def test_delivery_sells_only_what_is_owned(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        with pytest.raises(NotBooked, match="delivery"):
            place(exchange, account, "SELL", 1, product=Product.CNC)
        place(exchange, account, "BUY", 5, product=Product.CNC)
        assert place(exchange, account, "SELL", 5, product=Product.CNC).status is Status.COMPLETE

    def test_the_day_ends_what_still_works(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        order = place(exchange, account, "BUY", 10, "LIMIT", price=1490)
        exchange.expire()
        assert (order.status, order.cancelled) == (Status.EXPIRED, 10)

    def test_events_in_order(self, exchange: EmulatedExchange, account: EmulatedAccount) -> None:
        seen: list[str] = []
        exchange.on_event = lambda event: seen.append(event.kind)
        order = place(exchange, account, "BUY", 10, "LIMIT", price=1490)
        exchange.modify(account, order, price=Decimal(1491))
        exchange.move(INFY, Decimal(1490))
        assert seen == ["placed", "opened", "modified", "fill"]


class TestListing:
    @pytest.mark.parametrize(
        ("expiry", "name"),
        [
            (date(2026, 9, 1), "NIFTY2690124350PE"),  # a week
            (date(2026, 8, 25), "NIFTY26AUG24350PE"),  # the month's last Tuesday
            (date(2026, 10, 6), "NIFTY26O0624350PE"),
        ],
    )
    def test_names_of_options(self, expiry: date, name: str) -> None:
        assert derivative_name("NIFTY", expiry, "24350PE") == name

    def test_expiries(self) -> None:
        assert option_expiries(date(2026, 11, 21)) == (date(2026, 11, 24), date(2026, 12, 1))
        assert [monthly_expiry(date(2026, 11, 25), x) for x in (0, 1, 2)] == [date(2026, 12, 29), date(2027, 1, 26), date(2027, 2, 23)]

    def test_symbols_and_tokens_are_unique(self) -> None:
        rows = indian_market(NOW)
        assert len({x.instrument.symbol for x in rows}) == len({(x.token, x.instrument.exchange) for x in rows}) == len(rows)
        assert {"NSE:NIFTY 50", INFY, "NSE:SBIN"} <= {x.instrument.symbol for x in rows}


class TestFaults:
    def test_a_fault_waits_for_its_account_and_call(self) -> None:
        board = Switchboard()
        board.arm(Armed(Fault.LOST, "A", "place", 2))
        everything = frozenset(Fault)
        assert board.take("B", "place", everything) is None
        assert board.take("A", "cancel", everything) is None
        assert board.take("A", "place", everything - {Fault.LOST}) is None
        assert [board.take("A", "place", everything) is not None for _ in range(3)] == [True, True, False]

    def test_schedules_come_from_their_seed(self) -> None:
        assert Schedule.random(5) == Schedule.random(5) != Schedule.random(6)
        assert all(0 < x.seconds <= 0.2 for x in Schedule.random(1, longest=0.2))

    def test_rates_count_by_calendar_window(self) -> None:
        rates = Rates([Rate({"place"}, 2, 1)])
        moments = [10.1, 10.5, 10.9, 11.0]
        assert [rates.refused("A", "place", x) is None for x in moments] == [True, True, False, True]
        assert rates.refused("B", "place", 10.9) is None
        assert rates.refused("A", "orders", 10.9) is None


@pytest.fixture(scope="module")
def emulator() -> Iterator[KiteEmulator]:
    with KiteEmulator(seed=3) as made:
        yield made


@pytest.fixture
def trader(emulator: KiteEmulator) -> EmulatedAccount:
    return emulator.add_account()


def send_order(emulator: KiteEmulator, trader: EmulatedAccount, client: Client | None = None, timeout: float = 30.0, **more: Any) -> Answer:
    fields = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS", "order_type": "LIMIT"}
    body = urlencode({**fields, "price": 1500, "tag": "T1", **more})
    token = f"token {trader.credentials['api_key']}:{trader.credentials['access_token']}"
    made = client or Client(emulator.port, timeout=timeout)
    try:
        return made.post("/orders/regular", body, Authorization=token, Content_Type="application/x-www-form-urlencoded")
    finally:
        if client is None:
            made.close()


def arrived(emulator: KiteEmulator, trader: EmulatedAccount) -> None:
    """Whoever gives up soon may have given up before the order was read."""
    pause = threading.Event()
    assert any(emulator.book(trader) or pause.wait(0.02) for _ in range(1500))


NO_ANSWER = (http.client.RemoteDisconnected, ConnectionResetError)


class TestFaultsOverHttp:
    """What a client sees, and what the broker has: the two columns that everything about unknown orders is built on."""

    @pytest.mark.parametrize(("fault", "booked"), [(Fault.LOST, 0), (Fault.BOOKED_THEN_RESET, 1), (Fault.BOOKED_NO_ANSWER, 1)])
    def test_no_answer(self, emulator: KiteEmulator, trader: EmulatedAccount, fault: Fault, booked: int) -> None:
        emulator.fault(fault, account=trader, seconds=0.05)
        with pytest.raises(NO_ANSWER):
            send_order(emulator, trader)
        assert len(emulator.book(trader)) == booked

    def test_silence_lasts_until_the_client_gives_up(self, emulator: KiteEmulator, trader: EmulatedAccount) -> None:
        emulator.fault(Fault.BOOKED_NO_ANSWER, account=trader)
        with pytest.raises(TimeoutError):
            send_order(emulator, trader, timeout=0.1)
        arrived(emulator, trader)
        assert [x.client_id for x in emulator.book(trader)] == ["T1"]

    @pytest.mark.parametrize(
        ("fault", "status", "booked"),
        [
            (Fault.RATE_LIMITED, 429, 0),
            (Fault.SERVER_ERROR_HTML, 502, 0),
            (Fault.SERVER_ERROR_BOOKED, 503, 1),
            (Fault.MALFORMED_JSON, 200, 1),
            (Fault.SLOW, 200, 1),
            (Fault.SESSION_ENDS, 403, 0),
        ],
    )
    def test_an_answer(self, emulator: KiteEmulator, trader: EmulatedAccount, fault: Fault, status: int, booked: int) -> None:
        emulator.fault(fault, account=trader, seconds=0.02)
        assert send_order(emulator, trader).status == status
        assert len(emulator.book(trader)) == booked
        assert [(x.call, x.fault) for x in emulator.requests(trader)] == [("place", fault.value)]

    def test_malformed_json_breaks_off(self, emulator: KiteEmulator, trader: EmulatedAccount) -> None:
        emulator.fault(Fault.MALFORMED_JSON, account=trader)
        with pytest.raises(json.JSONDecodeError):
            _ = send_order(emulator, trader).json

    def test_a_fault_is_used_up(self, emulator: KiteEmulator, trader: EmulatedAccount) -> None:
        emulator.fault("rate_limited", account=trader, times=2)
        with Client(emulator.port) as client:
            assert [send_order(emulator, trader, client).status for _ in range(3)] == [429, 429, 200]

    def test_latency_counts_from_the_arrival(self, trader: EmulatedAccount) -> None:
        with KiteEmulator(latency=0.03) as slow:
            there = slow.add_account()
            answer = send_order(slow, there)
            assert answer.status == 200
            clock = slow.clock.monotonic
            began = clock()
            send_order(slow, there)
            assert clock() - began >= 0.03


class TestControl:
    def test_every_control_over_http(self, emulator: KiteEmulator, trader: EmulatedAccount) -> None:
        remote = Remote(emulator.url)
        try:
            made = remote.add_account(cash=5000)
            assert set(made["credentials"]) >= {"api_key", "api_secret", "access_token"}
            order = remote.by_hand(account=trader.name, symbol=INFY, side="BUY", quantity=3, price=1400)
            remote.price(symbol=INFY, last="1399.95")
            remote.price(symbol=INFY, last=1500)
            assert remote.book(account=trader.name)[0]["broker_order_id"] == order
            assert (remote.position(account=trader.name, symbol=INFY), remote.fills(account=trader.name)[0]["price"]) == ("3", "1400")
            remote.fault(fault="lost", account=trader.name)
            remote.no_faults()
            assert send_order(emulator, trader).status == 200
            assert remote.sockets() == 0
            with pytest.raises(RuntimeError, match=r"no control .shutdown."):
                remote.shutdown()
        finally:
            remote.close()

    def test_a_broker_that_was_down_comes_back_with_its_books(self) -> None:
        made = KiteEmulator()
        with made:
            trader, port = made.add_account(), made.port
            assert send_order(made, trader).status == 200
        with pytest.raises(ConnectionRefusedError):
            send_order(made, trader)
        with made:
            assert made.port == port
            assert send_order(made, trader).status == 200
            assert len(made.book(trader)) == 2

    def test_prices_walk(self, trader: EmulatedAccount) -> None:
        with KiteEmulator(seed=9) as made:
            before = {symbol: x.last for symbol, x in made.exchange.quotes.items()}
            made.walk(10.0)
            after = {symbol: x.last for symbol, x in made.exchange.quotes.items()}
        assert sum(before[x] != after[x] for x in before) > len(before) / 2
        assert all(x > 0 for x in after.values())

    def test_canaries_are_every_secret_it_ever_had(self, emulator: KiteEmulator, trader: EmulatedAccount) -> None:
        first = trader.credentials["access_token"]
        second = emulator.sign_in(trader)
        assert {first, second, trader.credentials["api_secret"], trader.credentials["totp_secret"]} <= set(trader.canaries())

    def test_in_a_process_of_its_own(self) -> None:
        with emulator_process("kite", "--accounts", "1", "--seed", "4") as remote:
            assert remote.endpoints["KITE_API_ROOT"] == remote.url
            name = remote.accounts[0]["name"]
            remote.by_hand(account=name, symbol=INFY, side="BUY", quantity=2)
            assert remote.position(account=name, symbol=INFY) == "2"


def test_a_control_that_is_none_is_answered_with_those_that_are():
    with KiteEmulator() as emulator:
        remote = Remote(emulator.url)
        with pytest.raises(RuntimeError, match=r"no control 'prise'; there are .*price"):
            remote.prise(symbol=INFY)
        with pytest.raises(RuntimeError, match="no control 'hide_orders'"):  # another broker's
            remote.hide_orders()
        remote.close()
        with Client(urlsplit(emulator.url).port or 0) as client:
            assert client.post("/_emulator/prise").status == 404


def test_an_emulator_without_an_input_runs_until_it_is_ended():
    command = [sys.executable, "-m", "tests.emulators", "kite", "--json", "--accounts", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        remote = Remote(json.loads(process.stdout.readline())["url"])
        assert remote.url == remote.call("url")
        remote.close()
        process.terminate()
        assert process.wait(30) == 0
