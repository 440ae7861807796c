"""Under a stop and under the targets stands how far they are from the price; further than people mostly mean is said calmly, and refused by nobody."""

from __future__ import annotations

import pytest

from tests.pages.test_browser import desk
from tests.support.browser import Browser
from tests.support.hands import becomes, click, one, until

__all__ = ["desk"]

STOP = "document.querySelector('[data-away=stop]')"
TARGET = "document.querySelector('[data-away=target]')"


def choose(chrome: Browser, name: str, value: str) -> None:
    script = "const field = document.querySelector(`[name=${arguments[0]}]`); field.value = arguments[1]; field.dispatchEvent(new Event('change', {bubbles: true}))"
    chrome.execute_script(script, name, value)


def test_an_exit_plan_says_how_far_its_stop_and_targets_are(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/positions/P1/plan")  # bought at 806.15, now 812.40
    until(chrome, f"{STOP}.textContent === '1.6 % below the price'")
    until(chrome, f"{TARGET}.textContent === 'T2 0.42 % above the price'")
    choose(chrome, "stop_form", "price")
    choose(chrome, "stop_value", "600")
    until(chrome, f"{STOP}.textContent === '26 % below the price: unusually far'")
    becomes(chrome, f"return {STOP}.className", "away tiny warn")
    choose(chrome, "stop_value", "800")
    until(chrome, f"{STOP}.textContent === '1.5 % below the price'")
    becomes(chrome, f"return {STOP}.className", "away tiny muted")


@pytest.mark.parametrize(
    ("symbol", "said"), [("NSE:INFY", "30 % below the price: unusually far"), ("NFO:NIFTY26NOV24500CE", "30 % below the price")]
)
def test_a_far_stop_is_usual_for_an_option_alone(chrome: Browser, preview: str, symbol: str, said: str) -> None:
    chrome.get(f"{preview}/order?symbol=NSE:INFY")
    click(chrome, "details.more summary")
    until(chrome, "document.querySelector('[data-ticket-quote] [data-part=last_price]').dataset.value === '1520.05'")
    chrome.execute_script("document.querySelector('[name=symbol]').value = arguments[0]", symbol)
    choose(chrome, "stop_value", "30")
    until(chrome, f"{STOP}.textContent === '{said}'")


def test_the_ticket_knows_which_way_it_trades_and_a_far_target(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/order?symbol=NSE:INFY")
    click(chrome, "details.more summary")
    until(chrome, "document.querySelector('[data-ticket-quote] [data-part=last_price]').dataset.value === '1520.05'")
    place = "document.querySelector('[data-target-add]').getBoundingClientRect().top"
    before = chrome.execute_script(f"return {place}")
    choose(chrome, "stop_value", "2")
    until(chrome, f"{STOP}.textContent === '2 % below the price'")
    click(chrome, "[value=SELL] + span")
    until(chrome, f"{STOP}.textContent === '2 % above the price'")
    becomes(chrome, f"return {place}", before)  # nothing moves for it
    click(chrome, "[value=BUY] + span")
    click(chrome, "[data-target-add]")
    one(chrome, "[name='targets[0].value']").send_keys("150")
    until(chrome, f"{TARGET}.textContent === 'T1 150 % above the price: unusually far'")
