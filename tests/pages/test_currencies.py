"""A person with accounts in rupees and in dollars: both are on every page in their own sign, and their sum is nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.pages.preview import create_preview
from tests.pages.sample import Sample
from tests.pages.things import ACCOUNTS, POSITIONS, D, account

COINS = account("A9", "Coins", "binance_usdm", "20000", "-178.77", currency="USDT")
HELD = POSITIONS[0].model_copy(update={"id": "P9", "account_id": "A9", "symbol": "BINANCE:BTCUSDT.P", "unrealised": D("-12.5")})


@pytest.fixture(scope="module")
def both() -> FlaskClient:
    return create_preview().test_client()


@pytest.fixture(autouse=True)
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(self: Sample, items: list[Any], id: str, name: str = "id", _was: Any = Sample._one) -> Any:
        return COINS if id == "A9" else HELD if id == "P9" else _was(self, items, id, name)

    monkeypatch.setattr(Sample, "_one", one)
    monkeypatch.setattr(Sample, "accounts", lambda self: [*ACCOUNTS, COINS])
    monkeypatch.setattr(Sample, "positions", lambda self, **filters: [HELD] if filters.get("account_id") == "A9" else [*POSITIONS, HELD])


def rupees(live: bool = True) -> str:
    return f"{sum((one.day_pnl or D(0) for one in ACCOUNTS if (one.broker != 'paper') == live), D(0)).normalize():f}"


@pytest.mark.parametrize("address", ["/", "/pnl", "/positions", "/accounts", "/health"])
def test_the_main_figure_is_in_rupees_and_the_other_beside_it(both: FlaskClient, address: str) -> None:
    shown = both.get(address).text
    assert f'data-value="{rupees()}"' in shown
    assert str(D(rupees()) + D(rupees(live=False))) not in shown, "real money and paper are never one figure"
    assert "−178.77 USDT" in shown
    assert str(D(rupees()) - D("178.77")) not in shown
    assert "₹178.77" not in shown


@pytest.mark.parametrize("address", ["/", "/positions", "/accounts/A9", "/positions/P9/close", "/positions/P9/plan"])
def test_what_a_position_makes_is_in_the_money_of_its_account(both: FlaskClient, address: str) -> None:
    shown = both.get(address).text
    assert "−12.50 USDT" in shown
    assert "₹12.50" not in shown


def test_fields_of_money_carry_the_sign_of_the_account(both: FlaskClient) -> None:
    own, new = both.get("/accounts/A9/edit").text, both.get("/accounts/new").text
    assert ">USDT</span>" in own
    assert "₹" not in own.partition("<main")[2]
    assert (
        '<span data-when="broker=paper,zerodha,angelone">₹</span><span data-when="broker=binance_spot,binance_usdm" hidden>USDT</span>'
        in new
    )


def test_a_ticket_knows_what_each_account_counts_in(both: FlaskClient) -> None:
    shown = both.get("/order").text
    assert 'data-preview="A9" data-currency="USDT"' in shown
    assert 'data-preview="A1" data-currency="INR"' in shown


def test_the_chart_of_the_equity_shows_one_currency_at_a_time(both: FlaskClient) -> None:
    shown = both.get("/pnl").text
    assert 'data-currency="INR" data-kind="live" aria-pressed="true">All live in INR<' in shown
    assert 'data-currency="INR" data-kind="paper" aria-pressed="false">All paper in INR<' in shown
    assert 'data-currency="USDT" data-kind="live" aria-pressed="false">All live in USDT<' in shown
