"""Prices stand on pages with the places of their instrument's tick: nothing of a coin or a currency is rounded away."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from flask.testing import FlaskClient

from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.things import POSITIONS

TICK = Decimal("0.0025")


@pytest.fixture
def fine(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """The sample book with instruments that are quoted in steps of a quarter of a paisa."""
    monkeypatch.setattr(Sample, "tick", lambda self, symbol: TICK)
    return create_preview().test_client()


@pytest.mark.parametrize(
    ("address", "prices"),
    [
        ("/", ["806.1500", "802.6000"]),
        ("/positions", ["806.1500", "802.6000", "817.4500"]),
        ("/positions/P1/plan", ["806.1500", "802.6000"]),
        ("/positions/P1/close", ["812.4000"]),
        ("/orders", ["812.4000"]),
        ("/orders/0MHXQ007K2PD9ZR4B", ["812.4000"]),
        ("/trades", ["812.4000", "811.4000"]),
        ("/watchlists/W1", ["1,520.0500"]),
        ("/strategies/S1?symbol=NSE:SBIN", ["812.4000"]),
        ("/order?symbol=NSE:INFY", ["1,520.0500"]),
    ],
)
def test_every_price_of_a_page_has_the_places_of_its_tick(fine: FlaskClient, address: str, prices: list[str]) -> None:
    shown = fine.get(address).text
    for price in prices:
        assert f"{price}<" in shown, price
    assert not re.search(r'data-shape="(price|coin|rate)"', shown), "a price that does not know its tick"


def test_a_small_result_of_coins_is_told_with_its_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    held = POSITIONS[0].model_copy(update={"symbol": "BINANCE:BTCUSDT", "unrealised": Decimal("0.00012345")})
    coins = [each.model_copy(update={"currency": "USDT"}) for each in Sample().accounts()]
    monkeypatch.setattr(Sample, "positions", lambda self, **_: [held])
    monkeypatch.setattr(Sample, "accounts", lambda self: coins)
    assert "+0.000123 USDT" in create_preview().test_client().get("/positions").text
