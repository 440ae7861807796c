"""Numbers as people type them: a comma between thousands is left out, any other comma is refused at its field before anything is sent."""

from __future__ import annotations

import pytest

from app.pages import STATIC
from app.pages.assets import Assets
from tests.pages.test_browser import SENT, desk
from tests.support.browser import Browser
from tests.support.hands import click, one, says

__all__ = ["desk"]

# What is typed, what is sent; None: refused at its field.
TYPED = [
    ("1.5", "1.5"),
    ("250000", "250000"),
    ("1,500", "1500"),
    ("1,234,567.89", "1234567.89"),
    ("1,00,000.50", "100000.50"),
    ("12,34,567", "1234567"),
    ("-1,500.25", "-1500.25"),
    ("₹ 2,500", "2500"),
    ("1,5", None),
    ("0,5", None),
    ("0,500", None),
    ("2500,50", None),
    ("2500,500", None),
    ("1.234,56", None),
    ("1,23,45", None),
    ("1,,000", None),
    (",5", None),
    ("1,000,50", None),
    ("nonsense", "nonsense"),  # as it is: the server says what it wants
]


def test_only_commas_between_thousands_are_left_out(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    script = """
      const [address, rows, done] = arguments;
      import(address).then(({plain, mistyped}) => done(rows.map((text) => mistyped(text) ? null : plain(text))), (error) => done(String(error)));
    """
    taken = chrome.execute_async_script(script, Assets(STATIC).url("js/numbers.js"), [typed for typed, _ in TYPED])
    assert dict(zip([typed for typed, _ in TYPED], taken, strict=True)) == dict(TYPED)


@pytest.mark.parametrize(
    ("address", "field", "error"),
    [
        ("/order?symbol=NSE:INFY", "#f-quantity", "#e-quantity"),
        ("/accounts/A1/edit", "#f-capital", "#e-capital"),
        ("/limits/R1/edit", "#f-target", "#e-target"),
    ],
)
def test_a_decimal_comma_is_refused_at_its_field_and_nothing_is_sent(
    chrome: Browser, preview: str, address: str, field: str, error: str
) -> None:
    chrome.get(preview + address)
    chrome.execute_script(SENT)
    box = one(chrome, field)
    box.clear()
    box.send_keys("2500,50")
    click(chrome, "main form[data-api] .btn-primary[type=submit]")
    says(chrome, f"{error}:not(:empty)", "Write 2500.50 with a point: commas are only between thousands")
    assert box.get_attribute("aria-invalid") == "true"
    assert box.get_attribute("value") == "2500,50"
    assert not chrome.execute_script("return window.sent")
    box.clear()
    box.send_keys("2,500.50")
    says(chrome, error, "")


def test_a_ladder_is_not_filled_from_a_decimal_comma(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/positions/P1/plan")
    click(chrome, "[data-ladder-open]")
    step = one(chrome, "[data-ladder-step]")
    rows = chrome.execute_script("return document.querySelectorAll('[data-target-rows] [data-target]').length")
    step.clear()
    step.send_keys("0,5")
    click(chrome, "[data-ladder-fill]")
    says(chrome, "[data-targets] > .error:not(:empty)", "Write 0.5 with a point: commas are only between thousands")
    assert chrome.execute_script("return document.querySelectorAll('[data-target-rows] [data-target]').length") == rows
