"""Which places a price shows: those of its exchange's ticks."""

from __future__ import annotations

import pytest

from engines.core import figures


@pytest.mark.parametrize(
    ("symbol", "shape"),
    [
        ("NSE:INFY", "price"),
        ("MCX:GOLD26FEBFUT", "price"),
        ("BINANCE:BTCUSDT", "coin"),
        ("binanceusdm:btcusdt", "coin"),
        ("CDS:USDINR26JANFUT", "rate"),
        ("bcd:eurinr26janfut", "rate"),
        ("NSE:CDSL", "price"),
        ("CDSL", "price"),
        (None, "price"),
    ],
)
def test_an_instrument_s_prices_have_the_shape_of_its_exchange(symbol: str | None, shape: str) -> None:
    assert figures.price_shape(symbol) == shape


@pytest.mark.parametrize(
    ("value", "text"), [("83.2575", "83.2575"), ("104.0025", "104.0025"), ("83.5", "83.50"), ("9.1", "9.10"), (None, "–")]
)
def test_a_currency_keeps_the_places_it_has_at_any_size(value: str | None, text: str) -> None:
    assert figures.rate(value) == text
