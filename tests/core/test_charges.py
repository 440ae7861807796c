"""Charges to the paisa: the worked examples of the field, dated rates, and orders that fill in parts."""

import json
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engines.core.charges as charges_module
from engines.core.charges import ChargeKind, Charges, kind_of, order_charges, round_day
from engines.core.model import Instrument, Product, Side

D = Decimal
DAY = "2026-11-20"


def charge(kind: ChargeKind, side: Side, quantity: str, price: str, day: str = DAY, broker: str = "zerodha", **more: object) -> Charges:
    return order_charges(kind, side, D(quantity), D(price), day, broker, **more)  # type: ignore[arg-type]


def paise(amount: Decimal) -> Decimal:
    return amount.quantize(D("0.01"), ROUND_HALF_UP)


@pytest.mark.parametrize("broker", ["zerodha", "paper"])
@pytest.mark.parametrize(
    ("kind", "quantity", "bought", "sold", "note", "total", "net"),
    [
        (ChargeKind.INTRADAY, "100", "1000", "1010", ("40.00", "25", "6.17", "0.20", "3", "8.35"), "82.72", "917.28"),
        (ChargeKind.FUTURES, "65", "25000", "25050", ("40.00", "814", "59.53", "3.25", "33", "18.50"), "968.29", "2281.71"),
        (ChargeKind.OPTIONS, "65", "100", "110", ("40.00", "11", "4.85", "0.01", "0", "8.08"), "63.94", "586.06"),
        (ChargeKind.DELIVERY, "100", "1000", "1010", ("0", "201", "6.17", "0.20", "15", "1.15"), "223.52", "776.48"),
    ],
)
def test_a_round_trip_costs_what_the_contract_note_says(
    kind: ChargeKind, quantity: str, bought: str, sold: str, note: tuple[str, ...], total: str, net: str, broker: str
) -> None:
    day = round_day([charge(kind, Side.BUY, quantity, bought, broker=broker), charge(kind, Side.SELL, quantity, sold, broker=broker)])
    assert [paise(x) for x in (day.brokerage, day.stt, day.transaction, day.sebi, day.stamp, day.gst)] == [D(x) for x in note]
    assert paise(day.total) == D(total)
    assert paise(D(quantity) * (D(sold) - D(bought)) - day.total) == D(net)


@pytest.mark.parametrize(
    ("kind", "quantity", "price", "points"), [(ChargeKind.FUTURES, "65", "25000", "14.90"), (ChargeKind.OPTIONS, "65", "100", "0.98")]
)
def test_the_break_even_of_the_field(kind: ChargeKind, quantity: str, price: str, points: str) -> None:
    sold = D(price) + D(50 if kind is ChargeKind.FUTURES else 10)
    day = round_day([charge(kind, Side.BUY, quantity, price), charge(kind, Side.SELL, quantity, str(sold))])
    assert paise(day.total / D(quantity)) == D(points)


def test_each_fill_is_kept_at_four_decimals() -> None:
    assert charge(ChargeKind.INTRADAY, Side.BUY, "7", "1520.05") == Charges(
        brokerage=D("3.1921"), stt=D("0"), transaction=D("0.3267"), sebi=D("0.0106"), stamp=D("0.3192"), gst=D("0.6353")
    )
    assert charge(ChargeKind.INTRADAY, Side.SELL, "7", "1520.05").stt == D("2.6601")


@pytest.mark.parametrize(
    ("kind", "day", "stt"),
    [
        (ChargeKind.FUTURES, "2024-09-30", "12.5"),
        (ChargeKind.FUTURES, "2024-10-01", "20"),
        (ChargeKind.FUTURES, "2026-03-31", "20"),
        (ChargeKind.FUTURES, "2026-04-01", "50"),
        (ChargeKind.OPTIONS, "2024-09-30", "62.5"),
        (ChargeKind.OPTIONS, "2025-06-01", "100"),
        (ChargeKind.OPTIONS, "2026-04-01", "150"),
        (ChargeKind.INTRADAY, "2024-01-01", "25"),
        (ChargeKind.FUTURES, "1999-01-01", "12.5"),  # before the oldest row the oldest holds
    ],
)
def test_rates_hold_from_their_day(kind: ChargeKind, day: str, stt: str) -> None:
    assert charge(kind, Side.SELL, "100", "1000", day).stt == D(stt)


@pytest.mark.parametrize(
    ("broker", "kind", "turnover", "brokerage"),
    [
        ("zerodha", ChargeKind.INTRADAY, "1000", "0.3"),
        ("zerodha", ChargeKind.INTRADAY, "66666", "19.9998"),
        ("zerodha", ChargeKind.INTRADAY, "66700", "20"),
        ("zerodha", ChargeKind.FUTURES, "1625000", "20"),
        ("zerodha", ChargeKind.OPTIONS, "50", "20"),
        ("zerodha", ChargeKind.DELIVERY, "1000000", "0"),
        ("angelone", ChargeKind.DELIVERY, "500", "2"),
        ("angelone", ChargeKind.DELIVERY, "10000", "10"),
        ("angelone", ChargeKind.DELIVERY, "1000000", "20"),
        ("angelone", ChargeKind.FUTURES, "1000", "20"),
        ("binance_spot", ChargeKind.SPOT, "61234.5", "61.2345"),
        ("binance_usdm", ChargeKind.PERPETUAL, "61234.5", "30.6173"),
        ("paper", ChargeKind.SPOT, "1000", "1"),
        ("unheard_of", ChargeKind.INTRADAY, "1000", "0.3"),  # as paper: a fill is never lost for want of a rate
    ],
)
def test_brokerage_follows_the_brokers_tariff(broker: str, kind: ChargeKind, turnover: str, brokerage: str) -> None:
    assert charge(kind, Side.BUY, "1", turnover, broker=broker).brokerage == D(brokerage)


@pytest.mark.parametrize("kind", [ChargeKind.SPOT, ChargeKind.PERPETUAL])
@pytest.mark.parametrize("side", Side)
def test_crypto_pays_its_fee_and_no_indian_taxes(kind: ChargeKind, side: Side) -> None:
    charges = charge(kind, side, "1", "10000", broker="paper", exchange="BINANCE")
    assert charges.total == charges.brokerage > 0


def test_the_exchange_sets_the_transaction_charge() -> None:
    of = lambda kind, exchange: charge(kind, Side.BUY, "1", "1000000", exchange=exchange).transaction  # noqa: E731
    assert [of(ChargeKind.INTRADAY, x) for x in ("NSE", "BSE")] == [D("30.7"), D("37.5")]
    assert [of(ChargeKind.FUTURES, x) for x in ("NFO", "BFO")] == [D("18.3"), D(0)]
    assert [of(ChargeKind.OPTIONS, x) for x in ("NFO", "BFO")] == [D("355.3"), D("325")]


@pytest.mark.parametrize(
    ("segment", "product", "kind"),
    [
        ("EQ", Product.MIS, ChargeKind.INTRADAY),
        ("EQ", Product.CNC, ChargeKind.DELIVERY),
        ("EQ", Product.NRML, ChargeKind.DELIVERY),
        ("FUT", Product.MIS, ChargeKind.FUTURES),
        ("OPT", Product.NRML, ChargeKind.OPTIONS),
        ("SPOT", Product.CNC, ChargeKind.SPOT),
        ("PERP", Product.MIS, ChargeKind.PERPETUAL),
    ],
)
def test_the_instrument_and_product_choose_the_column(segment: str, product: Product, kind: ChargeKind) -> None:
    assert kind_of(Instrument("X:Y", "y", "X", D("0.05"), segment=segment), product) is kind


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=12),
    st.decimals("0.05", 30000, places=2),
    st.sampled_from(ChargeKind),
    st.sampled_from(["zerodha", "angelone", "paper"]),
)
def test_an_order_that_fills_in_parts_pays_the_brokerage_of_one_order(
    parts: list[int], price: Decimal, kind: ChargeKind, broker: str
) -> None:
    whole = charge(kind, Side.BUY, str(sum(parts)), str(price), broker=broker)
    paid, before = D(0), D(0)
    for part in parts:
        paid += charge(kind, Side.BUY, str(part), str(price), broker=broker, turnover_before=before).brokerage
        before += part * price
    assert paid == whole.brokerage


@given(st.decimals(1, 10**6, places=2), st.decimals(1, 10**6, places=2), st.sampled_from(ChargeKind), st.sampled_from(Side))
def test_a_larger_trade_never_costs_less_and_nothing_is_ever_paid_out(one: Decimal, other: Decimal, kind: ChargeKind, side: Side) -> None:
    smaller, larger = sorted((one, other))
    cheap, dear = charge(kind, side, "1", str(smaller)), charge(kind, side, "1", str(larger))
    for part in ("brokerage", "stt", "transaction", "sebi", "stamp", "gst"):
        assert 0 <= getattr(cheap, part) <= getattr(dear, part)


def test_every_row_of_the_tables_is_dated_in_order_and_says_where_it_comes_from() -> None:
    def tables(node: object) -> list[list[dict[str, str]]]:
        if isinstance(node, list):
            return [node]
        return [rows for each in node.values() for rows in tables(each)] if isinstance(node, dict) else []

    found = tables(json.loads((Path(charges_module.__file__).parent / "data" / "charges.json").read_text()))
    assert len(found) > 20
    for rows in found:
        assert all(row["source"] for row in rows)
        assert all(before["from"] < after["from"] for before, after in pairwise(rows))
