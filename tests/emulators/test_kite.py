"""The emulated Kite, asked by the unmodified official SDK: orders, books, money, market data and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from kiteconnect import exceptions as kite_errors
from requests.adapters import HTTPAdapter

from tests.emulators.core.faults import Fault
from tests.emulators.kite import KiteEmulator
from tests.emulators.kite_rig import Customer

INFY = "NSE:INFY"


@pytest.fixture(scope="module")
def emulator() -> Iterator[KiteEmulator]:
    with KiteEmulator(seed=11) as made:
        yield made


@pytest.fixture
def customer(emulator: KiteEmulator) -> Iterator[Customer]:
    emulator.price(INFY, 1500)
    with Customer(emulator) as made:
        yield made


def option(emulator: KiteEmulator, strike: str = "24400CE") -> str:
    return next(x for x in emulator.exchange.quotes if x.endswith(strike)).partition(":")[2]


class TestOrders:
    def test_a_market_order_becomes_a_protected_limit(self, customer: Customer) -> None:
        row = customer.row(customer.order("BUY", 10))
        assert (row["status"], row["order_type"], row["price"], row["market_protection"]) == ("COMPLETE", "LIMIT", 1507.5, 0)
        assert (row["tag"], row["tags"]) == ("T1", ["T1", "mktp", "mktp:0.50"])
        assert (row["filled_quantity"], row["average_price"], row["pending_quantity"]) == (10, 1500, 0)
        assert isinstance(row["order_timestamp"], datetime)

    def test_the_tag_may_get_lost_beside_system_tags(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.order_desk.drops_tags = True
        try:
            row = customer.row(customer.order())
        finally:
            emulator.order_desk.drops_tags = False
        assert (row["tag"], row["tags"]) == (None, ["mktp", "mktp:0.50"])

    def test_what_protection_keeps_back_stays_open(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.price(INFY, 1500, bid=1490, ask=1510)
        row = customer.row(customer.order())
        assert (row["status"], row["price"], row["pending_quantity"]) == ("OPEN", 1507.5, 1)
        emulator.price(INFY, 1506)
        assert customer.row(row["order_id"])["average_price"] == 1507.5

    def test_the_history_has_each_state(self, customer: Customer) -> None:
        order = customer.order(price=1490)
        customer.kite.modify_order(variety="regular", order_id=order, price=1491, quantity=2)
        customer.kite.cancel_order(variety="regular", order_id=order)
        rows = customer.kite.order_history(order)
        assert [x["status"] for x in rows] == [
            "PUT ORDER REQ RECEIVED",
            "VALIDATION PENDING",
            "OPEN PENDING",
            "OPEN",
            "MODIFY VALIDATION PENDING",
            "MODIFY PENDING",
            "MODIFIED",
            "OPEN",
            "CANCEL PENDING",
            "CANCELLED",
        ]
        assert [rows[0]["exchange_order_id"], rows[0]["price"], rows[-1]["price"], rows[-1]["cancelled_quantity"]] == [None, 1490, 1491, 2]

    def test_a_stop_waits_then_trades(self, emulator: KiteEmulator, customer: Customer) -> None:
        order = customer.order("SELL", 5, order_type="SL-M", trigger_price=1490)
        row = customer.row(order)
        assert (row["status"], row["order_type"], row["trigger_price"], row["price"]) == ("TRIGGER PENDING", "SL", 1490, 1482.55)
        emulator.price(INFY, 1489)
        assert customer.row(order)["status"] == "COMPLETE"

    def test_trades_belong_to_their_orders(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.fault(Fault.PARTIAL_FILLS, account=customer.account)
        order = customer.order(quantity=40)
        while customer.row(order)["status"] != "COMPLETE":
            emulator.price(INFY, 1500)
        trades = customer.kite.order_trades(order)
        assert sum(x["quantity"] for x in trades) == 40
        assert [x["trade_id"] for x in trades] == [x["trade_id"] for x in customer.kite.trades()]
        assert isinstance(trades[0]["fill_timestamp"], datetime)
        assert len(trades[0]["order_timestamp"]) == 8

    def test_a_rejection_comes_later(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.fault(Fault.REJECTED_LATER, account=customer.account, seconds=0.0)
        order = customer.order()
        while customer.row(order)["status"] == "PUT ORDER REQ RECEIVED":
            pass
        row = customer.row(order)
        assert row["status"] == "REJECTED"
        assert row["status_message_raw"].startswith("RMS:")

    def test_a_stuck_order_can_be_neither_changed_nor_cancelled(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.fault(Fault.STUCK, account=customer.account, seconds=60)
        order = customer.order()
        with pytest.raises(kite_errors.InputException, match="being processed"):
            customer.kite.cancel_order(variety="regular", order_id=order)

    def test_timed_out_and_yet_placed(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.fault(Fault.TIMED_OUT_BOOKED_LATER, account=customer.account, seconds=0.03)
        with pytest.raises(kite_errors.InputException, match="check the order book"):
            customer.order()
        assert customer.kite.orders() == []
        while not customer.kite.orders():
            pass
        assert customer.kite.orders()[0]["tag"] == "T1"

    def test_no_more_than_25_changes(self, customer: Customer) -> None:
        order = customer.order(price=1400)
        for step in range(25):
            customer.kite.modify_order(variety="regular", order_id=order, price=1401 + step)
        with pytest.raises(kite_errors.OrderException, match="modifications exceeded"):
            customer.kite.modify_order(variety="regular", order_id=order, price=1450)

    def test_an_order_to_market_fills(self, customer: Customer) -> None:
        order = customer.order(price=1400)
        with pytest.raises(kite_errors.InputException, match="protection"):
            customer.kite.modify_order(variety="regular", order_id=order, order_type="MARKET")
        customer.kite.modify_order(variety="regular", order_id=order, order_type="MARKET", market_protection=1)
        assert customer.row(order)["status"] == "COMPLETE"

    def test_a_large_order_is_sliced(self, emulator: KiteEmulator, customer: Customer) -> None:
        fields = {
            "exchange": "NFO",
            "tradingsymbol": option(emulator),
            "variety": "regular",
            "transaction_type": "BUY",
            "quantity": 65 * 60,
            "product": "NRML",
            "order_type": "LIMIT",
            "price": 100,
        }
        with pytest.raises(kite_errors.InputException, match="freeze quantity of 1800"):
            customer.kite.place_order(**fields)
        made = customer.kite.place_autoslice_order(**fields)
        quantities = [customer.row(x["order_id"])["quantity"] for x in made["children"]]
        assert quantities == [1755, 1755, 390]
        assert customer.row(made["children"][0]["order_id"])["tags"] == ["autoslice", f"autoslice:{made['order_id']}"]

    def test_slices_are_refused_one_by_one(self, emulator: KiteEmulator) -> None:
        with Customer(emulator, cash=200_000) as poor:
            made = poor.kite.place_autoslice_order(
                variety="regular", exchange="NFO", tradingsymbol=option(emulator), transaction_type="BUY", quantity=65 * 50, product="NRML",
                order_type="LIMIT", price=100,
            )  # fmt: skip
        assert ["error" in x for x in made["children"]] == [False, True]
        assert made["children"][1]["error"]["error_type"] == "MarginException"

    def test_an_order_from_the_app_is_in_the_book(self, emulator: KiteEmulator, customer: Customer) -> None:
        order = emulator.by_hand(customer.account, INFY, "SELL", 3)
        row = customer.row(order)
        assert (row["status"], row["tag"], row["order_type"], "tags" in row) == ("COMPLETE", None, "MARKET", False)


class TestRefusals:
    """Refused before the exchange: an error with Kite's words, and nothing in the book."""

    @pytest.mark.parametrize(
        ("change", "error", "text"),
        [
            ({"market_protection": None}, kite_errors.InputException, "without market protection"),
            ({"market_protection": 0}, kite_errors.InputException, "without market protection"),
            ({"market_protection": 101}, kite_errors.InputException, "market_protection"),
            ({"market_protection": True}, kite_errors.InputException, "market_protection"),
            ({"tradingsymbol": "NOSUCH"}, kite_errors.InputException, "expired or does not exist"),
            ({"quantity": 0}, kite_errors.InputException, "quantity"),
            ({"quantity": "x"}, kite_errors.InputException, "quantity"),
            ({"tag": "T" * 21}, kite_errors.InputException, "tag"),
            ({"tag": "T_1"}, kite_errors.InputException, "tag"),
            ({"product": "BO"}, kite_errors.InputException, "product"),
            ({"variety": "bo"}, kite_errors.InputException, "variety"),
            ({"order_type": "LIMIT", "price": 1500.03}, kite_errors.InputException, "Tick size"),
            ({"order_type": "LIMIT"}, kite_errors.InputException, "greater than zero"),
            ({"order_type": "LIMIT", "price": 3000}, kite_errors.InputException, "circuit limits"),
            ({"order_type": "SL", "price": 1490, "trigger_price": 1491}, kite_errors.InputException, "Trigger price"),
            ({"order_type": "SL", "price": 1490, "trigger_price": 1510}, kite_errors.InputException, "Trigger price"),
            ({"quantity": 1_000_000}, kite_errors.GeneralException, "Insufficient funds"),
            ({"transaction_type": "SELL", "product": "CNC"}, kite_errors.GeneralException, "Insufficient stock holding"),
            ({"tradingsymbol": "NIFTY 50"}, kite_errors.InputException, "index"),
        ],
    )
    def test_refused(self, customer: Customer, change: dict[str, Any], error: type[Exception], text: str) -> None:
        fields = {
            "variety": "regular",
            "exchange": "NSE",
            "tradingsymbol": "INFY",
            "transaction_type": "BUY",
            "quantity": 1,
            "product": "MIS",
        }
        fields |= {"order_type": "MARKET", "market_protection": -1}
        with pytest.raises(error, match=text) as refusal:
            customer.kite.place_order(**{**fields, **change})
        assert refusal.value.code == 400
        assert customer.kite.orders() == []

    def test_a_lot_is_whole(self, emulator: KiteEmulator, customer: Customer) -> None:
        with pytest.raises(kite_errors.InputException, match="multiples of lot size 65"):
            customer.order(quantity=64, exchange="NFO", tradingsymbol=option(emulator), product="NRML")

    @pytest.mark.parametrize("act", ["cancel", "modify"])
    def test_nothing_to_change(self, customer: Customer, act: str) -> None:
        done = customer.order()
        change = {"cancel": customer.kite.cancel_order, "modify": customer.kite.modify_order}[act]
        with pytest.raises(kite_errors.InputException, match="already COMPLETE"):
            change(variety="regular", order_id=done)
        with pytest.raises(kite_errors.OrderException, match="Couldn't find"):
            change(variety="regular", order_id="1")

    def test_writes_only_from_a_registered_address(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.set_address(customer.account, ("127.0.0.9",))
        with pytest.raises(kite_errors.PermissionException, match=r"IP \(127.0.0.1\) is not allowed") as refusal:
            customer.order()
        assert refusal.value.code == 403
        assert customer.kite.orders() == []
        emulator.set_address(customer.account, ("127.0.0.1",))
        assert customer.order()

    def test_the_address_is_the_one_that_the_connection_comes_from(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.set_address(customer.account, ("127.0.0.9",))
        customer.kite.reqsession.mount("http://", From("127.0.0.9"))
        assert customer.order()
        assert emulator.requests(customer.account, "place")[-1].source == "127.0.0.9"

    def test_a_session_that_is_over(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.expire_session(customer.account)
        called: list[int] = []
        customer.kite.set_session_expiry_hook(lambda: called.append(1))
        with pytest.raises(kite_errors.TokenException, match="Incorrect `api_key` or `access_token`"):
            customer.kite.orders()
        assert called == [1]
        customer.kite.set_access_token(emulator.sign_in(customer.account))
        assert customer.kite.orders() == []

    def test_a_revoked_key_does_not_come_back(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.revoke(customer.account)
        customer.kite.set_access_token(emulator.sign_in(customer.account))
        with pytest.raises(kite_errors.TokenException):
            customer.kite.profile()

    def test_sessions_end_at_six(self) -> None:
        with KiteEmulator() as made, Customer(made) as customer:
            assert customer.kite.profile()
            made.advance(24 * 3600 + 1)
            with pytest.raises(kite_errors.TokenException):
                customer.kite.profile()

    def test_limits_when_asked(self) -> None:
        with KiteEmulator(rates=True, clock=Still()) as made, Customer(made) as customer:
            for _ in range(10):
                customer.order()
            with pytest.raises(kite_errors.NetworkException, match="Too many requests") as refusal:
                customer.order()
            assert refusal.value.code == 429
            assert len(customer.kite.orders()) == 10
            customer.kite.ltp(INFY)
            with pytest.raises(kite_errors.NetworkException):
                customer.kite.ltp(INFY)
            made.advance(1)
            assert customer.order()

    def test_hours_when_asked(self) -> None:
        with KiteEmulator(hours=True, clock=Still()) as made, Customer(made) as customer:
            with pytest.raises(kite_errors.InputException, match="closed"):
                customer.order()
            assert customer.row(customer.order(variety="amo"))["status"] == "AMO REQ RECEIVED"

    @pytest.mark.parametrize(
        ("fault", "error", "code"),
        [
            (Fault.RATE_LIMITED, kite_errors.NetworkException, 429),
            (Fault.SERVER_ERROR_HTML, kite_errors.DataException, 502),
            (Fault.SERVER_ERROR_BOOKED, kite_errors.NetworkException, 503),
            (Fault.MALFORMED_JSON, kite_errors.DataException, 502),
        ],
    )
    def test_faults_as_the_sdk_tells_them(
        self, emulator: KiteEmulator, customer: Customer, fault: Fault, error: type[Exception], code: int
    ) -> None:
        emulator.fault(fault, account=customer.account)
        with pytest.raises(error) as refusal:
            customer.order()
        assert refusal.value.code == code

    def test_an_order_book_that_fails_or_lies(self, emulator: KiteEmulator, customer: Customer) -> None:
        customer.order()
        emulator.fault(Fault.BOOK_FAILS, account=customer.account)
        emulator.fault(Fault.EMPTY_ORDER_BOOK, account=customer.account)
        with pytest.raises(kite_errors.GeneralException):
            customer.kite.orders()
        assert customer.kite.orders() == []
        assert len(customer.kite.orders()) == 1


class From(HTTPAdapter):
    """Calls that leave from an address of their own."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, source_address=(self.address, 0))


class Still:
    """A Saturday noon that does not pass by itself."""

    def now(self) -> float:
        return 1_795_242_600.0

    def monotonic(self) -> float:
        return 0.0


class TestPortfolio:
    def test_positions_and_money(self, emulator: KiteEmulator, customer: Customer) -> None:
        customer.order("BUY", 10)
        emulator.price(INFY, 1510)
        customer.order("SELL", 4)
        row = customer.kite.positions()["net"][0]
        expected = {
            "quantity": 6,
            "average_price": 1500,
            "realised": 40,
            "pnl": 100,
            "buy_quantity": 10,
            "sell_value": 6040,
            "last_price": 1510,
        }
        assert {name: row[name] for name in expected} == expected
        equity = customer.kite.margins("equity")
        assert equity["net"] == 10_000_000 + 40 - 6 * 1500 / 5
        assert equity["utilised"]["m2m_unrealised"] == 60
        assert customer.kite.margins()["commodity"]["net"] == 0

    def test_flat_rows_remain(self, customer: Customer) -> None:
        customer.order("BUY")
        customer.order("SELL")
        assert [x["quantity"] for x in customer.kite.positions()["net"]] == [0]

    def test_holdings_can_be_sold(self, emulator: KiteEmulator, customer: Customer) -> None:
        emulator.hold(customer.account, "NSE:SBIN", 20, 700)
        row = customer.kite.holdings()[0]
        assert (row["tradingsymbol"], row["quantity"], row["average_price"], row["pnl"]) == ("SBIN", 20, 700, 20 * 120.5)
        customer.order("SELL", 5, tradingsymbol="SBIN", product="CNC")
        assert customer.kite.holdings()[0]["used_quantity"] == 5
        assert customer.kite.positions()["net"][0]["quantity"] == -5

    def test_a_position_changes_its_product(self, customer: Customer) -> None:
        customer.order("BUY", 10)
        assert customer.kite.convert_position(
            exchange="NSE",
            tradingsymbol="INFY",
            transaction_type="BUY",
            position_type="day",
            quantity=10,
            old_product="MIS",
            new_product="CNC",
        )
        assert {x["product"]: x["quantity"] for x in customer.kite.positions()["net"]} == {"MIS": 0, "CNC": 10}

    def test_the_margin_of_an_order(self, customer: Customer) -> None:
        order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular", "product": "MIS"}
        asked = [{**order, "order_type": "LIMIT", "quantity": 10, "price": 1500}]
        assert customer.kite.order_margins(asked)[0]["total"] == 3000


class TestMarketData:
    def test_instruments(self, emulator: KiteEmulator, customer: Customer) -> None:
        rows = {(x["exchange"], x["tradingsymbol"]): x for x in customer.kite.instruments()}
        assert rows["NSE", "INFY"]["instrument_token"] == 408065
        index = rows["NSE", "NIFTY 50"]
        assert (index["instrument_token"], index["segment"], index["lot_size"]) == (256265, "INDICES", 0)
        strike = rows["NFO", option(emulator)]
        assert (strike["strike"], strike["instrument_type"], strike["lot_size"], strike["segment"]) == (24400, "CE", 65, "NFO-OPT")
        assert {x["exchange"] for x in customer.kite.instruments("NFO")} == {"NFO"}

    def test_quotes(self, customer: Customer) -> None:
        assert customer.kite.ltp(INFY, "NSE:NOSUCH") == {INFY: {"instrument_token": 408065, "last_price": 1500}}
        assert customer.kite.ltp(408065)["408065"]["last_price"] == 1500
        quote = customer.kite.quote([INFY, "NSE:NIFTY 50"])[INFY]
        assert [len(quote["depth"][x]) for x in ("buy", "sell")] == [5, 5]
        assert customer.kite.ohlc(INFY)[INFY]["ohlc"]["close"] == 1500
        assert customer.kite.trigger_range("BUY", INFY)[INFY]["lower"] == 1455

    def test_candles(self) -> None:
        with KiteEmulator(clock=Still()) as made, Customer(made) as customer:
            rows = customer.kite.historical_data(408065, "2026-11-19 09:15:00", "2026-11-20 15:30:00", "5minute", oi=True)
            assert len(rows) == 150
            assert (rows[0]["date"].isoformat(), rows[0]["oi"]) == ("2026-11-19T09:15:00+05:30", 0)
            assert rows == customer.kite.historical_data(408065, "2026-11-19 09:15:00", "2026-11-20 15:30:00", "5minute", oi=True)
            assert len(customer.kite.historical_data(408065, "2026-11-02", "2026-11-13", "day")) == 10
            with pytest.raises(kite_errors.InputException, match="exceeds max limit: 60 days"):
                customer.kite.historical_data(408065, "2026-01-01", "2026-06-01", "minute")

    def test_a_list_from_a_file(self, tmp_path: Any) -> None:
        file = tmp_path / "list.csv"
        head = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange"
        file.write_text(f"{head}\n1025,4,AAA,A,0,,0,0.05,1,EQ,NSE,NSE\n2050,8,BBB,B,0,2026-12-29,0,0.05,1,FUT,NFO-FUT,NFO\n")
        with KiteEmulator(instruments_file=file) as made, Customer(made) as customer:
            assert [x["tradingsymbol"] for x in customer.kite.instruments()] == ["AAA", "BBB"]
            assert [x["tradingsymbol"] for x in customer.kite.instruments("NFO")] == ["BBB"]


def test_the_ground_truth_agrees_with_the_book(emulator: KiteEmulator, customer: Customer) -> None:
    emulator.price(INFY, 1500)
    made = [customer.order("BUY", 3), customer.order("SELL", 1, 1600), customer.order("SELL", 2)]
    truth = emulator.book(customer.account)
    assert [x.broker_order_id for x in truth] == made
    assert [(x.client_id, x.filled, x.status) for x in truth] == [("T1", 3, "complete"), ("T1", 0, "open"), ("T1", 2, "complete")]
    assert [x.quantity for x in emulator.fills(customer.account)] == [3, 2]
    assert emulator.position(customer.account, INFY) == Decimal(1)
    assert [x.call for x in emulator.requests(customer.account, "place")] == ["place"] * 3
