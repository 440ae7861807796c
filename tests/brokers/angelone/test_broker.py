"""Whole calls over loopback: what an order becomes on the wire, what answers become in the port's words, and what comes of lost ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from engines.brokers.tools import Timing
from engines.core.model import OrderState, OrderType, Product, Side
from engines.ports import Balance, BrokerFill, BrokerPosition, Halted, NeedsLogin, Refused, Retry, TandemError, Unknown
from tests.brokers.angelone.rig import ID, INFY, KEY, OVER, Rig, ok, refusal, request, until

D = Decimal
RATE = (403, "Access denied because of exceeding access rate")
HTML = (502, "<html><body>Bad gateway</body></html>")


class Gate:
    """A permit that counts, or that says no."""

    def __init__(self, why_not: str = "") -> None:
        self.entered = 0
        self._why_not = why_not

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self._why_not:
            raise Halted(self._why_not)
        self.entered += 1
        yield


def test_a_limit_order_on_the_wire(rig: Rig) -> None:
    broker, gate = rig.connect(), Gate()
    report = broker.place(request(), gate)
    (fields,) = rig.api.calls("place")
    assert fields == {
        "variety": "NORMAL",
        "tradingsymbol": "INFY-EQ",
        "symboltoken": "1594",
        "exchange": "NSE",
        "producttype": "INTRADAY",
        "duration": "DAY",
        "ordertype": "LIMIT",
        "price": "1500.50",
        "triggerprice": "0",
        "transactiontype": "BUY",
        "quantity": "10",
        "disclosedquantity": "0",
        "squareoff": "0",
        "stoploss": "0",
        "ordertag": "0LZ8K3M1Q2ABCDEFGH",
    }
    headers = next(seen for call, _, seen in rig.api.seen if call == "place")
    sent = {name.lower(): value for name, value in headers.items()}
    assert (sent["x-privatekey"], sent["x-usertype"], sent["x-sourceid"]) == (KEY, "USER", "WEB")
    assert sent["authorization"] == f"Bearer {rig.api.valid}"
    assert (report.broker_order_id, report.state, report.client_id, report.filled_quantity, report.fills) == (
        ID, OrderState.OPEN, "0LZ8K3M1Q2ABCDEFGH", 0, (),
    )  # fmt: skip
    assert gate.entered == 1


def test_a_market_order_leaves_as_a_limit(rig: Rig) -> None:
    rig.connect().place(request(order_type=OrderType.MARKET, price=None), Gate())
    (fields,) = rig.api.calls("place")
    assert (fields["ordertype"], fields["price"], fields["duration"]) == ("LIMIT", "1507.50", "DAY")


def test_a_closed_gate_lets_nothing_out(rig: Rig) -> None:
    broker = rig.connect()
    with pytest.raises(Halted):
        broker.place(request(), Gate("halted"))
    assert rig.api.calls("place") == []


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        (refusal("AB1009", "Symbol not found"), Refused),
        (refusal("AB4036"), Refused),
        ({"success": False, "message": "Access denied: Unregistered IP address.", "errorCode": "AG7002", "data": ""}, Refused),
        (refusal("AB1004"), Unknown),
        (refusal("AB1007", "failed response, error Put Order Response : Request not registered"), Unknown),
        (RATE, Unknown),
        (HTML, Unknown),
        ((200, ""), Unknown),
        ((200, "null"), Unknown),
        ((200, "[]"), Unknown),
        ((200, '{"status": tr'), Unknown),
        ((200, "[" * 100_000), Unknown),
        ({"status": False}, Unknown),  # the SDK stumbles over the missing message
        ({"status": "false", "message": "no", "errorcode": "AB1004", "data": "null"}, Unknown),
        ({"status": "true", "message": "SUCCESS", "errorcode": "", "data": {"orderid": ID}}, Unknown),
        (ok(None), Unknown),
        (ok({"orderid": ""}), Unknown),
        ((503, '{"status": true, "message": "SUCCESS", "errorcode": "", "data": {"orderid": "1"}}'), Unknown),
        (None, Unknown),
    ],
    ids=["symbol", "consent", "address", "fault", "back office", "rate", "page", "empty", "null", "list", "broken", "deep", "no message", "text false",
         "text true", "no data", "no id", "booked and 503", "hung up"],
)  # fmt: skip
def test_what_placing_comes_to(rig: Rig, answer: Any, means: type[TandemError]) -> None:
    broker, gate = rig.connect(), Gate()
    rig.api.answers["place"] = [answer]
    with pytest.raises(means):
        broker.place(request(), gate)
    assert len(rig.api.calls("place")) == gate.entered == 1  # never sent twice


def test_an_instrument_that_is_not_listed_is_refused_before_anything_is_sent(rig: Rig) -> None:
    broker = rig.connect()
    from dataclasses import replace

    with pytest.raises(Refused, match="does not list"):
        broker.place(request(instrument=replace(INFY, symbol="NSE:NOBODY")), Gate())
    assert rig.api.calls("place") == []


def test_nobody_there_is_a_retry_before_the_gate(rig: Rig) -> None:
    broker, gate = rig.connect(), Gate()
    rig.api.stop()
    broker.abort()
    with contextlib.suppress(Unknown, Retry):  # if the server's side is still up
        broker.place(request(), Gate())
    with pytest.raises(Retry):
        broker.place(request(), gate)
    assert gate.entered == 0


def test_cancel_and_modify(rig: Rig) -> None:
    broker = rig.connect()
    broker.place(request(order_type=OrderType.SL_M, side=Side.SELL, price=None, trigger_price=D(1490)), Gate())
    broker.cancel(ID, request(order_type=OrderType.SL_M))
    assert rig.api.calls("cancel") == [{"variety": "STOPLOSS", "orderid": ID}]
    broker.modify(ID, request(), quantity=D(5), price=D(1499), trigger_price=None)
    (fields,) = rig.api.calls("modify")
    assert (fields["orderid"], fields["quantity"], fields["price"], fields["ordertype"]) == (ID, "5", "1499", "LIMIT")
    rig.api.answers["cancel"] = [refusal("AB3001", "OrderId not found")]
    with pytest.raises(Refused, match="OrderId not found"):
        broker.cancel(ID, request())


@pytest.mark.parametrize("known", [True, False], ids=["details", "after a restart"])
def test_a_market_order_that_rests_is_changed_at_its_present_limit(rig: Rig, known: bool) -> None:
    broker = rig.connect()
    market = request(order_type=OrderType.MARKET, price=None)
    if known:
        broker.place(market, Gate())
    rig.api.answers["details"] = [ok(rig.row(price=1507.55))]
    rig.api.answers["orders"] = [ok([rig.row(price=1507.55)])]
    broker.modify(ID, market, quantity=D(4), price=None, trigger_price=None)
    (fields,) = rig.api.calls("modify")
    assert (fields["quantity"], fields["price"], fields["ordertype"]) == ("4", "1507.55", "LIMIT")
    assert bool(rig.api.calls("details")) is known


def test_the_order_book_tells_orders_with_their_trades(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.answers["orders"] = [
        ok([rig.row(ordertag="0LZ8K3M1Q2ABCDEFGH", orderstatus="complete", filledshares="10", averageprice=1500.5)])
    ]
    rig.api.answers["trades"] = [ok([rig.trade(4, "T1"), rig.trade(6, "T2"), rig.trade(1, "T9", orderid="another")])]
    (report,) = broker.order_book()
    assert (report.state, report.symbol, report.filled_quantity, report.client_id) == (
        OrderState.FILLED,
        "NSE:INFY",
        10,
        "0LZ8K3M1Q2ABCDEFGH",
    )
    assert [(fill.trade_id, fill.quantity, fill.price) for fill in report.fills] == [("T1", 4, D("1500.50")), ("T2", 6, D("1500.50"))]


def test_trades_that_lag_behind_keep_the_order_at_work(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.answers["orders"] = [ok([rig.row(orderstatus="complete", filledshares="10")])]
    rig.api.answers["trades"] = [ok([rig.trade(4, "T1")]), ok([rig.trade(4, "T1"), rig.trade(6, "T2")])]
    (report,) = broker.order_book()
    assert (report.state, report.filled_quantity) == (OrderState.PARTLY_FILLED, 4)
    until(lambda: any(told.state is OrderState.FILLED for told in rig.told))  # and is looked at again by itself
    assert [fill.trade_id for fill in rig.told[-1].fills] == ["T1", "T2"]


def test_an_empty_book_is_empty_only_when_the_status_says_so(rig: Rig) -> None:
    broker = rig.connect()
    assert broker.order_book() == []


@pytest.mark.parametrize(
    "answer",
    [
        refusal("AB1004"),
        {"status": False, "message": "", "errorcode": "", "data": None},
        {"message": "SUCCESS", "data": None},
        {"status": "true", "data": None},
        RATE,
        HTML,
        (200, ""),
        (200, "null"),
        (500, '{"status": true, "data": null}'),
        ok({"rows": 1}),
        ok([None]),
        ok([{"orderstatus": "open"}]),
        None,
    ],
    ids=["fault", "false", "no status", "text", "rate", "page", "empty", "null", "500", "mapping", "none row", "row without id", "hung up"],
)
def test_a_book_that_may_be_a_failure_raises(rig: Rig, answer: Any) -> None:
    broker = rig.connect()
    rig.api.answers["orders"] = [answer]
    with pytest.raises(Retry):
        broker.order_book()


def test_a_book_that_forgets_an_order_is_a_failed_read(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.answers["orders"] = [ok([rig.row()]), ok(None)]
    assert len(broker.order_book()) == 1
    rig.clock.moved += 2
    with pytest.raises(Retry, match="shown before"):
        broker.order_book()


def test_a_book_that_stays_empty_after_an_order_was_accepted_is_a_failed_read(rig: Rig) -> None:
    broker = rig.connect()
    broker.place(request(), Gate())
    assert broker.order_book() == []  # it may lag
    rig.clock.moved += 6
    with pytest.raises(Retry, match="empty although"):
        broker.order_book()


def test_an_order_whose_answer_was_lost_is_found_by_its_name(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.answers["place"] = [None]
    with pytest.raises(Unknown):
        broker.place(request(), Gate())
    rig.api.answers["orders"] = [ok([rig.row(ordertag="0LZ8K3M1Q2ABCDEFGH"), rig.row(orderid="2")])]
    assert [(r.broker_order_id, r.client_id) for r in broker.order_book()] == [(ID, "0LZ8K3M1Q2ABCDEFGH"), ("2", None)]


def test_without_names_it_is_found_by_what_it_is_if_only_one_can_be_it(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.answers["place"] = [None]
    with pytest.raises(Unknown):
        broker.place(request(), Gate())
    others = [rig.row(orderid="2", quantity="11"), rig.row(orderid="3", price=1500.55), rig.row(orderid="4", transactiontype="SELL")]
    rig.api.answers["orders"] = [ok([*others, rig.row()])]
    assert [r.broker_order_id for r in broker.order_book() if r.client_id == "0LZ8K3M1Q2ABCDEFGH"] == [ID]


@pytest.mark.parametrize(
    "rows",
    [
        lambda rig: [rig.row(), rig.row(orderid="2")],  # two could be it
        lambda rig: [rig.row(updatetime="01-Sep-2025 09:20:31")],  # older than ours
        lambda rig: [
            rig.row(),
            rig.row(orderid="2", ordertag="0LZ8K3M1Q2ZZZZZZZZ"),
        ],  # names are repeated, so the nameless one is somebody else's
    ],
    ids=["two", "older", "names are repeated"],
)
def test_what_may_be_somebody_elses_is_not_adopted(rig: Rig, rows: Callable[[Rig], list[dict[str, Any]]]) -> None:
    broker = rig.connect()
    rig.api.answers["place"] = [None]
    with pytest.raises(Unknown):
        broker.place(request(), Gate())
    rig.api.answers["orders"] = [ok(rows(rig))]
    assert all(report.client_id != "0LZ8K3M1Q2ABCDEFGH" for report in broker.order_book())


def test_the_accounts_other_books(rig: Rig) -> None:
    broker = rig.connect()
    assert (broker.positions(), broker.holdings(), broker.trades()) == ([], [], [])
    position = {
        "exchange": "NSE",
        "symboltoken": "1594",
        "tradingsymbol": "INFY-EQ",
        "producttype": "INTRADAY",
        "netqty": "-5",
        "netprice": "1500.5",
    }
    rig.clock.moved += 2
    rig.api.answers["positions"] = [ok([position])]
    rig.api.answers["trades"] = [ok([rig.trade(4, "T1")])]
    assert broker.positions() == [BrokerPosition("NSE:INFY", Product.MIS, D(-5), D("1500.5"))]
    (trade,) = broker.trades()
    assert (trade.broker_order_id, trade.symbol, trade.fill.trade_id) == (ID, "NSE:INFY", "T1")
    assert isinstance(trade.fill, BrokerFill)
    assert broker.balance() == Balance(D("1000.50"), D(0), D("1000.50"), D("1000.50"))
    assert broker.profile().user_id == "A424242"
    broker.keep_alive()


def test_news_come_by_polling_while_there_is_no_socket(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.answers["orders"] = [ok([rig.row(ordertag="0LZ8K3M1Q2ABCDEFGH", orderstatus="cancelled", filledshares="4")])]
    rig.api.answers["trades"] = [ok([rig.trade(4, "T1")])]
    broker.place(request(), Gate())
    until(lambda: bool(rig.told))
    (report,) = rig.told
    assert (report.state, report.filled_quantity, report.client_id) == (OrderState.CANCELLED, 4, "0LZ8K3M1Q2ABCDEFGH")


def test_reads_keep_to_the_published_rate(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.timing = Timing(poll=1000.0, safety_poll=1000.0)  # nobody else reads
    broker = rig.make(paced=True)
    broker.connect(rig.told.append)
    now = rig.clock.monotonic()
    monkeypatch.setattr(rig.clock, "monotonic", lambda: now)
    broker.order_book()
    with pytest.raises(Retry) as told:
        broker._budget.take("order_book", patience=0.1)  # one a second
    assert 0.5 < told.value.after < 1.1


def test_traits_are_the_published_limits(rig: Rig) -> None:
    traits = rig.broker.traits
    assert (traits.orders_per_second, traits.daily_book) == (9.0, True)
    assert [(calls, round(seconds)) for calls, seconds in traits.windows] == [(9, 1), (500, 60), (1000, 3600)]


def test_before_it_has_connected_nothing_can_be_asked(rig: Rig) -> None:
    with pytest.raises(NeedsLogin):
        rig.broker.place(request(), Gate())
    with pytest.raises(NeedsLogin):
        rig.broker.order_book()
    assert rig.api.seen == []
    assert rig.broker.stream_key() is None
    assert rig.broker.session_expires_at is None


def test_a_session_that_ended_is_renewed_and_the_order_sent_once_more(rig: Rig) -> None:
    broker, gate = rig.connect(), Gate()
    rig.next_code()
    rig.api.valid = "another"
    report = broker.place(request(), gate)
    assert report.broker_order_id == ID
    assert len(rig.api.calls("place")) == gate.entered == 2  # the first answer was AG8001: nothing of it was booked
    assert len(rig.api.calls("login")) == 2


def test_a_stop_between_the_two_holds(rig: Rig) -> None:
    broker = rig.connect()
    rig.next_code()
    rig.api.answers["place"] = [OVER, ...]
    gates = iter([Gate(), Gate("halted")])
    with pytest.raises(Halted):
        broker.place(request(), lambda: next(gates)())
    assert len(rig.api.calls("place")) == 1
