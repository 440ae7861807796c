"""A newcomer's way in a real browser against the real program: set-up, account, strategy, mapping, a signal by hand, the live position, the
emergency stop and the way back. `TANDEM_SHOTS=folder` keeps a picture of each step at both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.support.browser import browser
from tests.support.person import Person
from tests.support.server import Server

PASSWORD = "a long enough password"


@pytest.fixture
def person(data_dir: Path) -> Iterator[Person]:
    """In front of a fresh workspace that has no owner yet."""
    with Server(data_dir) as server, browser() as chrome:
        yield Person(chrome, server.base)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_from_set_up_to_the_first_signal_the_stop_and_back(person: Person) -> None:
    _sets_up(person)
    _adds_an_account(person)
    _makes_a_strategy(person)
    _maps_it(person)
    _switches_the_engines(person)
    _sends_a_signal_by_hand(person)
    _watches_the_position(person)
    _changes_the_exit_plan(person)
    _stops_everything(person)
    _lifts_the_halt(person)
    _tries_it_on_the_past(person)
    assert person.complaints() == []


def _sets_up(person: Person) -> None:
    person.go("/")
    person.see("h1", "Welcome")
    person.photograph("set-up")
    person.type("[name=email]", "asha@example.com")
    person.type("[name=password]", "short")
    person.type("[name=confirm]", "short")
    person.click("[type=submit]")
    person.see(".error", "At least 10 characters")
    assert person.see("[name=email]").get_attribute("value") == "asha@example.com"
    person.type("[name=password]", PASSWORD)
    person.type("[name=confirm]", PASSWORD)
    person.click("[type=submit]")
    person.see("h2", "Welcome to Tandem")
    person.photograph("empty-overview")


def _adds_an_account(person: Person) -> None:
    person.click(".first-steps a", "Add an account")
    person.type("#f-name", "Family paper")
    person.type("#f-capital", "-5")
    person.click("form[data-api] [type=submit]")
    person.see("#e-capital", "above 0")
    assert person.see("#f-name").get_attribute("value") == "Family paper"
    person.photograph("account-form")
    person.type("#f-capital", "5,00,000")
    person.type("#f-max_daily_loss_pct", "2")
    person.click("label[for=f-auto_trade]")
    person.click("form[data-api] [type=submit]")
    person.see("h1", "Family paper")
    person.see(".limits", "₹10,000")
    person.photograph("account")


def _makes_a_strategy(person: Person) -> None:
    person.go("/strategies/new?kind=ema_cross")
    person.type("#f-name", "Bank momentum")
    Select(person.see("#f-timeframe")).select_by_value("1m")
    person.type("#f-instruments", "sbin")
    person.see(".picker li[aria-selected]", "NSE:SBIN")
    person.press(Keys.ENTER)
    person.see(".pill", "NSE:SBIN")
    person.type("#x-stop", "1.5")
    person.photograph("strategy-form")
    person.click("form[data-api] [type=submit]")
    person.see("h1", "Bank momentum")
    person.see(".badge", "running")
    person.until("document.querySelectorAll('[data-chart=candles] canvas').length > 3")
    person.photograph("strategy")


def _maps_it(person: Person) -> None:
    person.go("/mappings")
    person.click("a.cell.add")
    person.type("#sheet #f-allocation_pct", "140")
    person.click("#sheet [type=submit]")
    person.see("#sheet #e-allocation_pct:not(:empty)")
    person.type("#sheet #f-allocation_pct", "60")
    Select(person.see("#sheet [name='sizing.mode']")).select_by_value("risk")
    person.type("#sheet #f-risk_per_trade_pct", "2")
    person.photograph("mapping")
    person.click("#sheet [type=submit]")
    person.see("a.cell", "60 %")
    person.see("a.cell", "2 % risk")
    person.photograph("mappings")


def _switches_the_engines(person: Person) -> None:
    person.go("/health")
    person.click("button", "Stop engines")
    person.click("[data-ask-yes]", "Engines off")
    person.see("#halts", "The engines are off")
    person.go("/health")
    person.click("button", "Start engines")
    person.until("!document.querySelector('#halts').textContent.includes('engines are off')")
    person.photograph("health")


def _sends_a_signal_by_hand(person: Person) -> None:
    person.go("/")
    person.press("n")
    person.see("#sheet [data-ticket]")
    person.press("infy")
    person.see(".picker li[aria-selected]", "NSE:INFY")
    person.press(Keys.ENTER)
    person.type("#sheet #f-quantity", "25")
    person.click("#sheet details.more summary")
    person.type("#sheet #x-stop", "2")
    person.until("document.querySelector('#sheet [data-preview-quantity]').textContent === '25'")
    person.photograph("ticket")
    person.click("#sheet [data-ticket-send]", "Buy INFY")
    person.see("h1", "INFY")
    person.fresh('data-value="filled"')
    person.see("#t-outcome .badge", "filled")
    person.photograph("signal")
    person.click("#t-outcome th a")
    person.see(".story", "Checks")
    person.photograph("order")


def _watches_the_position(person: Person) -> None:
    person.go("/positions")
    person.see("#t-positions", "INFY")
    person.type("main [type=search]", "inf")
    before = person.read("#t-positions [data-key$='.last_price']")
    person.photograph("positions")
    person.until(f"document.querySelector(\"#t-positions [data-key$='.last_price']\").textContent !== {before!r}")
    person.until("document.activeElement.value === 'inf'")
    assert person.chrome.execute_script("return performance.getEntriesByType('navigation').length") == 1


def _changes_the_exit_plan(person: Person) -> None:
    person.click("#t-positions a", "Plan")
    person.see("#sheet h2", "Exit plan")
    person.click("#sheet [data-target-add]")
    person.until("document.activeElement.matches('#sheet [data-target] input')")
    person.press("4", Keys.TAB, "50")
    Select(person.see("#sheet [name=target_form]")).select_by_value("pct")
    person.photograph("exit-plan")
    person.click("#sheet [type=submit]")
    person.until("!document.querySelector('#sheet[open]')")
    person.see("#t-positions .plan .target")
    person.see("#t-positions .plan .stop")


def _stops_everything(person: Person) -> None:
    person.click("[data-open=estop]")
    person.photograph("stop-question")
    person.click("#estop [type=submit]", "Stop now")
    person.see("h1", "Halts")
    person.see(".halt-sum", "Every account is flat")
    person.see(".halt-banner", "Halted")
    person.photograph("halt")
    person.go("/positions")
    person.see(".empty", "Nothing is held")
    person.see(".halt-banner")
    person.go("/strategies")
    person.see("#t-strategies .badge", "halted")


def _lifts_the_halt(person: Person) -> None:
    person.click(".halt-banner a")
    person.click("button", "Lift the halt")
    person.type("#ask-password", "not my password")
    person.click("[data-ask-yes]")
    person.see("[data-ask-error]:not(:empty)", "not your sign-in password")
    person.see(".halt-banner", "Halted")
    person.type("#ask-password", PASSWORD)
    person.click("[data-ask-yes]")
    person.see(".badge", "lifted")
    person.until("!document.querySelector('#ask').open && !document.querySelector('.halt-banner')")
    person.click("main button", "Start engines")
    person.until("!document.querySelector('#halts').textContent.includes('engines are off')")
    person.photograph("lifted")


def _tries_it_on_the_past(person: Person) -> None:
    """Two back-tests, each with its bar until the report is there, and both side by side."""
    for name, fast in (("Quick", "3"), ("Calm", "9")):
        person.go("/backtests/new?rules=kind:ema_cross")
        person.type("#f-name", name)
        person.type("#p-fast", fast)
        person.type("#f-s-days", "8")
        person.photograph("back-test")
        person.click("button[type=submit]", "Run back-test")
        person.see("[data-study] .study-progress, .facts")
        person.see(".facts dt", "Net, after charges")
        person.until("document.querySelector('[data-chart=study] canvas') !== null")
        person.photograph("report")
    person.go("/backtests")
    for name in ("Quick", "Calm"):
        person.click(f"input[name=ids][aria-label='Compare {name}']")
    person.click("[data-compare]:not([disabled])")
    person.see("#t-compare th", "Quick")
    person.see("#t-compare th", "Net after charges")
    person.until("document.querySelector('[data-chart=study-compare] canvas') !== null")
    person.photograph("compare")
