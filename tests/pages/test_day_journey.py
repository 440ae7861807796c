"""A trading day in a real browser against the real program: a watchlist, an order by one click, sample data, two back-tests compared, a replay to
its end. `TANDEM_SHOTS=folder` keeps a picture of each step at both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.support.browser import browser
from tests.support.person import Person
from tests.support.server import OWNER, Server


@pytest.fixture
def trader(data_dir: Path) -> Iterator[Person]:
    """Signed in, with a strategy that trades State Bank on one paper account."""
    server = Server(data_dir)
    server.make_owner()
    with server:
        account = server.api.post(
            "/api/accounts", {"name": "Family paper", "broker": "paper", "capital": "500000", "auto_trade": True}
        ).json
        strategy = server.api.post(
            "/api/strategies",
            {
                "name": "Quick cross",
                "kind": "ema_cross",
                "params": {"fast": 3, "slow": 8, "direction": "both"},
                "timeframe": "1m",
                "instruments": ["NSE:SBIN"],
                "exit_plan": {"stop_loss": {"pct": "0.3"}, "targets": [{"pct": "0.3", "share_pct": "50"}]},
                "active": False,
            },
        ).json
        mapping = {"account_id": account["id"], "strategy_id": strategy["id"], "sizing": {"mode": "fixed_quantity", "value": "100"}}
        assert server.api.post("/api/mappings", mapping).status == 201
        with browser() as chrome:
            person = Person(chrome, server.base)
            person.go("/login")
            person.type("[name=email]", OWNER[0])
            person.type("[name=password]", OWNER[1])
            person.click("[type=submit]")
            person.see(".rail")
            yield person


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_day_from_the_watchlist_to_the_end_of_a_replay(trader: Person) -> None:
    _watches(trader)
    _buys_by_one_click(trader)
    _makes_sample_data(trader)
    _compares_two_back_tests(trader)
    _replays_a_day(trader)
    assert trader.complaints() == []


def _watches(person: Person) -> None:
    person.go("/watchlists")
    person.click(".empty a", "Make a watchlist")
    person.type("#f-name", "Banks")
    person.type("#f-symbols", "hdfcb")
    person.see(".picker li[aria-selected]", "NSE:HDFCBANK")
    person.press(Keys.ENTER)
    person.see(".pill", "NSE:HDFCBANK")
    person.click("[type=submit]", "Make the list")
    person.click(".page-head a", "Add instruments")
    person.type("#sheet #f-add", "sbin")
    person.see("#sheet .picker li[aria-selected]", "NSE:SBIN")
    person.press(Keys.ENTER)
    person.see("#sheet .pill", "NSE:SBIN")
    person.click("#sheet [type=submit]")
    person.see("#t-watch tr[data-watch='NSE:SBIN']")
    person.photograph("watchlist")


BUY = "tr[data-watch='NSE:SBIN'] [data-trade=BUY]"


def _buys_by_one_click(person: Person) -> None:
    person.click("[data-one-click] summary")
    person.click("[data-one-click-on]")
    person.type("[data-one-click-quantity]", "25")
    if not person.see("[data-one-click-account]").is_selected():
        person.click("[data-one-click-account]")
    person.see("[data-one-click-said]", "on: 25 each on 1 account")
    person.see(BUY)
    person.chrome.execute_script("const buy = document.querySelector(arguments[0]); buy.click(); buy.click()", BUY)
    person.told("Bought SBIN: ")  # one order all the same: the position at the end shows it, and that it was filled
    person.photograph("one-click")
    person.go("/positions")
    person.see("#t-positions", "SBIN")


def _makes_sample_data(person: Person) -> None:
    person.go("/replay")
    person.see(".empty", "no market data")
    person.click(".empty button", "Make a sample")
    person.see("[data-day-said]", "Tuesday, 4 days of data before it")
    person.see("[name=dataset_id]", "Sample market")


def _compares_two_back_tests(person: Person) -> None:
    """The same strategy twice on the sample, the second time slower, each with its progress until the report is there."""
    for fast in ("3", "5"):
        person.go("/backtests/new")
        Select(person.see("#f-rules")).select_by_visible_text("Quick cross")
        person.until("location.search.includes('rules=') && !document.querySelector('.htmx-request, .htmx-settling')")
        person.type("[name='params.fast']", fast)
        person.click("label[for=f-checks]")
        person.click(".study-form [type=submit]", "Run back-test")
        person.see("[data-study] .study-progress, .facts")
        person.see("h1", "Quick cross")
        person.until("!document.querySelector('[data-study]') && document.querySelector('.facts')")
    person.go("/backtests")
    person.click("#t-studies tr:nth-child(1) [name=ids]")
    person.click("#t-studies tr:nth-child(2) [name=ids]")
    person.photograph("back-tests")
    person.click("[data-compare]:enabled", "Compare")
    person.see("table.compare", "Net")
    person.photograph("compare")


# As slow as the day itself: it is not over before it is stopped.
SLOWLY = "const again = document.querySelector('.transport-after [data-api]').dataset; again.body = JSON.stringify({...JSON.parse(again.body), speed: 1})"


def _replays_a_day(person: Person) -> None:
    """From the form to the summary: what it refuses, a pause and a step, the rest as fast as it goes."""
    person.go("/replay")
    person.see("[data-map]", "Quick cross 100 units")
    person.click("[data-seat] input")
    person.click("[data-replay-form] [type=submit]")
    person.see("[data-field=account_ids] .error:not(:empty)")
    person.click("[data-seat] input")
    person.click("label[for=f-paused]")
    person.photograph("replay-form")
    person.click("[data-replay-form] [type=submit]", "Start the replay")
    person.see(".replay-tag", "REPLAY")
    person.see(".replay[data-state=paused] [data-replayed]", "09:15:00")
    person.press(Keys.ARROW_RIGHT)
    person.see("[data-replayed]", "09:15:59")
    person.press("5", " ")
    person.see("[data-summary]", "Net of the replay")
    person.until("document.querySelectorAll('[data-table=orders] tbody tr').length > 3")
    person.photograph("replay")
    person.see("[data-table=orders] tbody td:last-child", "filled")
    for word in ("entry", "exit"):
        person.see("[data-table=orders] tbody tr", word)
    person.see("[data-log]", "entry ")
    person.click("tr[data-account]")
    person.see("[data-focus-said]", "of Family paper alone")
    before = person.chrome.current_url
    person.chrome.execute_script(SLOWLY)
    person.click("button", "Run again")
    person.until(f"location.href !== '{before}'")
    person.click("[data-do=stop]")
    person.see(".replay[data-state=stopped] .transport-after", "Run again")
    person.go("/replay")
    person.see(".replay-row .badge", "stopped")
    person.see(".replay-row .badge", "done")
    person.go("/positions")
    person.until("document.querySelector(\"#t-positions [data-key$='.quantity']\").textContent === '+25'")
