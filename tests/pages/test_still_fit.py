"""What a trader needs is in sight: figures of the day, prices of coins on a phone, the acts of a row; and messages lie over none of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.pages.sample import Sample
from tests.pages.test_browser import desk
from tests.pages.things import ACCOUNTS, POSITIONS, D, account
from tests.support.browser import Browser, resize
from tests.support.hands import becomes, one, until

__all__ = ["desk"]

COINS = account("A9", "Coins", "binance_spot", "20000", "-178.77", currency="USDT")
PLAY = account("A8", "Coins on paper", "paper", "20000", "112345.67", currency="USDT")
RICH = account("A7", "Rich", "zerodha", "90000000", "1234567.89")
DOLLARS = account("A6", "Dollars", "paper", "90000", "-12345.67", currency="USD")
SHIB = POSITIONS[0].model_copy(
    update={
        "id": "P9",
        "account_id": "A9",
        "symbol": "BINANCE:1000SHIBUSDT",
        "quantity": D("123456.00012345"),
        "average_price": D("0.00001234"),
        "last_price": D("0.00001236"),
        "unrealised": D("-1234.56789"),
    }
)
TOLD = "new BroadcastChannel('tandem-U1').postMessage({})"


def tell(chrome: Browser, kind: str, payload: dict[str, Any]) -> None:
    chrome.execute_script(TOLD.format(json.dumps({"kind": kind, "payload": payload})))


def settled(chrome: Browser) -> None:
    until(chrome, "document.readyState === 'complete' && window.tandem")


# --- the strip of the header ---------------------------------------------------------------------------------------------

COVERED = """
  const edge = document.querySelector('.top .btn').getBoundingClientRect().left;
  const { bottom } = document.querySelector('.top').getBoundingClientRect();
  return [...document.querySelectorAll('#strip *')].filter((each) => each.checkVisibility()).filter((each) => {
    const place = each.getBoundingClientRect();
    return place.right > edge || place.bottom > bottom;
  }).map((each) => each.textContent);
"""


@pytest.mark.parametrize(
    "more", [(RICH,), (RICH, COINS), (RICH, COINS, PLAY), (RICH, COINS, PLAY, DOLLARS)], ids=["two", "three", "four", "five"]
)
def test_every_figure_of_the_day_stands_beside_the_button_for_an_order(
    chrome: Browser, preview: str, monkeypatch: pytest.MonkeyPatch, more: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(Sample, "accounts", lambda self: [*ACCOUNTS, *more])
    chrome.get(f"{preview}/help")
    settled(chrome)
    for width in (1366, 1500, 1920, 1200, 1024, 800):
        resize(chrome, width, 768)
        becomes(chrome, COVERED, [])
    resize(chrome, 1366, 768)
    shown = "return document.querySelectorAll('#strip .purse b').length"
    becomes(chrome, shown, min(len(more) + 1, 4))
    becomes(chrome, "return document.querySelector('.purses + .opt')?.textContent ?? ''", "+1" if len(more) == 4 else "")


def test_the_day_stays_where_it_is_while_the_age_of_the_prices_changes(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    settled(chrome)
    place = "return document.querySelector('.top [href=\"/pnl\"]').getBoundingClientRect().left"
    before = chrome.execute_script(place)
    for age, said in ((46, "46 ms"), (999, "999 ms"), (4200, "4.2 s"), (7, "7 ms")):
        tell(chrome, "engine", {"feed": {"last_tick_age_ms": age, "source": "simulated", "trouble": None}})
        until(chrome, f"document.querySelector('#strip [data-key=\"feed.age\"]').textContent === '{said}'")
        becomes(chrome, place, before)


# --- tables ----------------------------------------------------------------------------------------------------------------

PUSHES = """
  const box = document.querySelector(arguments[0]).closest('.table-wrap');
  return box.scrollWidth - box.clientWidth;
"""


@pytest.mark.parametrize(("address", "table"), [("/positions", "t-positions"), ("/", "t-open"), ("/accounts/A1", "t-positions")])
def test_a_coin_of_eight_places_fits_on_a_phone(
    chrome: Browser, preview: str, monkeypatch: pytest.MonkeyPatch, address: str, table: str
) -> None:
    monkeypatch.setattr(Sample, "accounts", lambda self: [*ACCOUNTS, COINS])
    monkeypatch.setattr(Sample, "positions", lambda self, **filters: [SHIB, *POSITIONS])
    resize(chrome, 390, 844, phone=True)
    chrome.get(preview + address)
    one(chrome, f"#{table} tbody tr", "0.00001236")
    becomes(chrome, PUSHES, 0, f"#{table}")


@pytest.mark.parametrize("address", ["/", "/accounts", "/strategies", "/signals", "/watchlists", "/orders", "/positions"])
@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)], ids=["desk", "phone"])
def test_no_row_s_end_is_pushed_out_of_sight(chrome: Browser, preview: str, address: str, width: int, height: int) -> None:
    resize(chrome, width, height, phone=width < 500)
    chrome.get(preview + address)
    settled(chrome)
    for number in range(chrome.execute_script("return document.querySelectorAll('.table-wrap').length")):
        becomes(chrome, PUSHES.replace("document.querySelector(arguments[0])", f"document.querySelectorAll('.table-wrap')[{number}]"), 0)


def test_the_exit_plan_is_not_under_the_acts_where_two_panels_stand_beside_each_other(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/strategies/S1")
    settled(chrome)
    becomes(chrome, PUSHES, 0, "#t-positions")


@pytest.mark.parametrize(("address", "table"), [("/positions", "t-positions"), ("/accounts/A1", "t-positions"), ("/", "t-open")])
def test_a_profit_that_grows_moves_no_row_of_a_phone(chrome: Browser, preview: str, address: str, table: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(preview + address)
    settled(chrome)
    rows = f"return [...document.querySelectorAll('#{table} tr, #{table} .acts a')].map((each) => each.getBoundingClientRect().top)"
    before = chrome.execute_script(rows)
    for profit, said in (("-1.5", "−₹1.50"), ("1234567.89", "+₹12,34,567.89"), ("0", "₹0.00")):
        tell(chrome, "position", {"id": "P1", "quantity": "150", "unrealised": profit})
        until(chrome, f"document.querySelector('#{table} [data-key=\"position:P1.unrealised\"]').textContent === '{said}'")
        becomes(chrome, rows, before)


def test_what_stands_below_a_number_on_a_phone_is_not_what_its_column_sorts_by(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(f"{preview}/positions")
    settled(chrome)
    column = "document.querySelector('#p-P1 td:has([data-key$=unrealised])')"
    before = chrome.execute_script(f"return {column}.dataset.value")
    tell(chrome, "price", {"symbol": "NSE:SBIN", "last_price": "820.05", "bid": None, "ask": None})
    until(chrome, f"{column}.textContent.includes('820.05')")
    becomes(chrome, f"return {column}.dataset.value", before)


def test_the_profit_page_of_a_phone_begins_with_the_profit(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(f"{preview}/pnl")
    settled(chrome)
    becomes(chrome, "return document.querySelector('main').scrollTop", 0)
    chrome.get(f"{preview}/pnl?by=strategy")  # a tab that was chosen is in sight
    settled(chrome)
    until(chrome, "document.querySelector('.tabs [aria-current]').getBoundingClientRect().bottom <= innerHeight")


# --- messages --------------------------------------------------------------------------------------------------------------

NEEDED = ".top .btn, .tabbar, main button, main .acts a, main .acts button, dialog[open] button, dialog[open] [data-close]"
UNDER = """
  const box = document.getElementById('toasts');
  const [told, needed] = arguments;
  if (!box.children.length) {
    new BroadcastChannel('tandem-U1').postMessage({ kind: 'incident', payload: { severity: 'critical', message: told } });
    return null;
  }
  const it = box.getBoundingClientRect();
  return [...document.querySelectorAll(needed)].filter((each) => each.checkVisibility()).filter((each) => {
    const { left, right, top, bottom } = each.getBoundingClientRect();
    return left < it.right && right > it.left && top < it.bottom && bottom > it.top;
  }).map((each) => each.outerHTML);
"""
LONG = "The prices of NSE:INFY are stale since 11:41:26: entries are denied until they come again"


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)], ids=["desk", "phone"])
def test_a_message_lies_over_nothing_that_one_presses(chrome: Browser, preview: str, width: int, height: int) -> None:
    resize(chrome, width, height, phone=width < 500)
    for address in ("/positions", "/orders", "/watchlists", "/order?symbol=NSE:INFY"):
        chrome.get(preview + address)
        settled(chrome)
        becomes(chrome, UNDER, [], LONG, NEEDED)
    for opener in ("[data-dialog='/order']", "[data-open=estop]"):
        chrome.get(f"{preview}/positions")
        settled(chrome)
        chrome.execute_script("[...document.querySelectorAll(arguments[0])].find((each) => each.checkVisibility()).click()", opener)
        one(chrome, "dialog[open] [type=submit]")
        becomes(chrome, UNDER, [], LONG, NEEDED)
