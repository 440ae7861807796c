"""Angel One's sample answers parsed, with their values; and what odd fields become."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.brokers.angelone import rows
from engines.brokers.angelone.rows import Malformed
from engines.brokers.angelone.sdk import loads
from engines.brokers.updates import OrderMemory, tell_whole
from engines.core.model import OrderState, Product, Side
from engines.ports import Balance, BrokerFill, BrokerPosition, Holding, Profile

D = Decimal
SAMPLES = Path(__file__).parents[3].parent / "shared" / "brokers" / "angelone-samples"
REST: dict[str, Any] = loads((SAMPLES / "rest_envelopes.json").read_text())
NOW = datetime(2025, 9, 1, 4, 0, tzinfo=UTC).timestamp()  # 09:30 IST
AT = datetime(2025, 9, 1, 3, 50, 31, tzinfo=UTC).timestamp()  # 09:20:31 IST


def symbols(exchange: str, token: str, name: str) -> str | None:
    return {"3045": "NSE:SBIN", "2885": "NSE:RELIANCE", "3499": "NSE:TATASTEEL"}.get(token) or (
        "NSE:SBIN" if (exchange, name) == ("NSE", "SBIN-EQ") else None
    )


def order(row: dict[str, Any]) -> rows.OrderReport:
    return rows.order_report(row, symbols, NOW)


def test_the_sample_order_book() -> None:
    told = [order(row) for row in REST["order_book"]["data"]]
    assert [(r.broker_order_id[-3:], r.state.value, r.filled_quantity, r.average_price, r.client_id) for r in told] == [
        ("101", "open", 0, None, None),
        ("102", "filled", 10, D("551.2"), "cp1abc"),
        ("103", "partly_filled", 4, D("551.0"), None),
        ("104", "rejected", 0, None, None),
        ("105", "cancelled", 0, None, None),
        ("106", "open", 0, None, None),
    ]
    assert {(r.symbol, r.quantity, r.at) for r in told} == {("NSE:SBIN", D(10), AT)}
    assert [r.side for r in told] == [Side.BUY] * 5 + [Side.SELL]
    assert told[3].message.startswith("Your order has been rejected due to Insufficient Funds. Available funds - Rs. 937.00")


def test_the_sample_trade_book() -> None:
    (trade,) = [rows.trade(row, symbols, NOW) for row in REST["trade_book"]["data"]]
    assert (trade.broker_order_id, trade.symbol, trade.side) == ("250901000000102", "NSE:SBIN", Side.BUY)
    assert trade.fill == BrokerFill("50005750", D(10), D("551.20"), AT + 1)


def _row(status: str, quantity: str, filled: str) -> dict[str, Any]:
    return {**REST["order_book"]["data"][0], "orderstatus": status, "status": status, "quantity": quantity, "filledshares": filled}


def _trades(*quantities: int) -> list[rows.BrokerTrade]:
    sample = REST["trade_book"]["data"][0]
    return [
        rows.trade({**sample, "orderid": "250901000000101", "fillsize": str(q), "fillid": str(n)}, symbols, NOW)
        for n, q in enumerate(quantities)
    ]


@pytest.mark.parametrize(
    ("status", "filled", "trades", "state", "proved"),
    [
        ("complete", "10", (4, 6), "filled", 10),
        ("complete", "10", (4,), "partly_filled", 4),
        ("complete", "10", (), "open", 0),
        ("complete", "0", (), "open", 0),  # "complete" from a row that lags behind itself
        ("open", "4", (4,), "partly_filled", 4),
        ("cancelled", "4", (4,), "cancelled", 4),
        ("cancelled", "4", (), "open", 0),  # not told as ended before its fills are known
        ("cancelled", "0", (), "cancelled", 0),
        ("rejected", "0", (), "rejected", 0),
        ("rejected", "4", (4,), "cancelled", 4),  # what has traded cannot be refused
    ],
)
def test_an_order_is_told_as_its_trades_prove_it(status: str, filled: str, trades: tuple[int, ...], state: str, proved: int) -> None:
    made = _trades(*trades)
    (report,) = tell_whole(OrderMemory(), [order(_row(status, "10", filled))], lambda _: {"250901000000101": [t.fill for t in made]})
    assert (report.state.value, report.filled_quantity, len(report.fills)) == (state, proved, len(trades))


@pytest.mark.parametrize(
    ("orderstatus", "status", "state"),
    [
        ("put order req received", "", OrderState.OPEN),
        ("validation pending", "", OrderState.OPEN),
        ("open pending", "", OrderState.OPEN),
        ("trigger pending", "modified", OrderState.OPEN),
        ("cancel pending", "", OrderState.OPEN),
        ("after market order req received", "", OrderState.OPEN),
        ("cancelled after market order", "", OrderState.CANCELLED),
        ("Cancelled", "", OrderState.CANCELLED),
        ("COMPLETE", "open", OrderState.FILLED),
        ("", "rejected", OrderState.REJECTED),
        ("", "", OrderState.OPEN),
        ("a word of tomorrow", "", OrderState.OPEN),
    ],
)
def test_statuses(orderstatus: str, status: str, state: OrderState) -> None:
    assert order({"orderid": "1", "orderstatus": orderstatus, "status": status}).state is state


def test_positions() -> None:
    assert rows.positions(REST["position"]["data"], symbols) == [BrokerPosition("NSE:RELIANCE", Product.CNC, D(1), D("2235.80"))]
    closed = {**REST["position"]["data"][0], "netqty": "0"}
    short = {
        **REST["position"]["data"][0],
        "netqty": "-75",
        "producttype": "CARRYFORWARD",
        "symboltoken": "9",
        "tradingsymbol": "X27NOV26FUT",
        "exchange": "NFO",
    }
    assert rows.positions([closed, short], symbols) == [BrokerPosition("NFO:X27NOV26FUT", Product.NRML, D(-75), D("2235.80"))]
    with pytest.raises(Malformed):
        rows.positions([{"tradingsymbol": "SBIN-EQ"}], symbols)


def test_holdings_in_both_shapes() -> None:
    sample = REST["all_holding"]["data"]
    expected = [Holding("NSE:TATASTEEL", D(2), D("111.87"), D("130.15"))]
    assert rows.holdings(sample, symbols) == rows.holdings(sample["holdings"], symbols) == expected
    assert rows.holdings(None, symbols) == rows.holdings([], symbols) == rows.holdings({"holdings": None}, symbols) == []


def test_funds_and_profile() -> None:
    assert rows.balance(REST["rms_ok"]["data"]) == Balance(D(100000), D(0), D(100000), D(100000))
    used = {"net": "750.5", "availablecash": "1000", "utiliseddebits": "249.5"}
    assert rows.balance(used) == Balance(cash=D(1000), used_margin=D("249.5"), available=D("750.5"), equity=D(1000))
    with pytest.raises(Malformed):
        rows.balance({"net": None})
    assert rows.profile(REST["profile_ok"]["data"]) == Profile(
        "A000001", "TEST USER", ("NSE", "BSE", "NFO", "MCX", "CDS", "BFO"), ("DELIVERY", "INTRADAY", "MARGIN")
    )
    with pytest.raises(Malformed):
        rows.profile({})


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("- 2235.80", D("-2235.80")),
        ("1,234.50", D("1234.50")),
        (" 7 ", D(7)),
        (7, D(7)),
        (D("551.2"), D("551.2")),
        ("", None),
        (None, None),
        ("null", None),
        (True, None),
        ("NaN", None),
        ("Infinity", None),
    ],
    ids=repr,
)
def test_numbers(raw: Any, number: D | None) -> None:
    assert rows.number(raw) == number


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ("01-Sep-2025 09:20:31", AT),
        ("01-SEP-2025 09:20:31", AT),
        ("", None),
        (None, None),
        ("31-Foo-2025 09:20:31", None),
        ("09:20:31", None),
    ],
    ids=repr,
)
def test_moments(raw: Any, at: float | None) -> None:
    assert rows.moment(raw) == at


def test_a_fill_time_is_of_the_exchanges_day() -> None:
    after_midnight_utc = datetime(2025, 9, 1, 0, 30, tzinfo=UTC).timestamp()  # 06:00 IST of the same day
    before_midnight_utc = datetime(2025, 8, 31, 20, 0, tzinfo=UTC).timestamp()  # 01:30 IST of the next day
    for now in (NOW, after_midnight_utc, before_midnight_utc):
        assert rows.moment_of_day("09:20:31", now) == AT
    assert rows.moment_of_day("soon", NOW) == NOW
    assert rows.moment_of_day("01-Sep-2025 09:20:31", 0.0) == AT


def test_fractions_never_pass_through_binary() -> None:
    (row,) = loads('[{"orderid": "1", "averageprice": 1520.1, "filledshares": 0.1, "quantity": "10"}]')
    assert order(row).average_price == D("1520.1")
    with pytest.raises(ValueError, match="not a number"):
        loads('{"price": NaN}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(), lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
_NAMES = sorted({name for row in (*REST["order_book"]["data"], *REST["trade_book"]["data"]) for name in row})


@given(st.dictionaries(st.sampled_from(_NAMES), _JSON))
def test_any_row_is_parsed_or_malformed(row: dict[str, Any]) -> None:
    for parse in (rows.order_report, rows.trade):
        try:
            parse(row, symbols, NOW)
        except Malformed:
            pass


def test_the_order_stream_samples_are_book_rows() -> None:
    messages = json.loads((SAMPLES / "order_ws_messages.json").read_text())
    told = [order(m["orderData"]) for m in messages if m["orderData"]["orderid"]]
    assert [(r.state.value, r.filled_quantity) for r in told] == [
        ("open", 0),
        ("open", 0),
        ("partly_filled", 4),
        ("filled", 10),
        ("rejected", 0),
    ]
    assert told[-1].message == "Adapter is Logged Off"
