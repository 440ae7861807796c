"""Two people in two real browsers, with real mail: one signs up with the code that was sent, adds a second factor, gets a strategy shared, trades it
on an account of their own, and neither sees the other's. `TANDEM_SHOTS=folder` keeps a picture of each step at both sizes."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.notify.mailbox import Mailbox, mailbox, text_of
from tests.support.browser import browser
from tests.support.hands import PATIENCE
from tests.support.person import Person
from tests.support.server import OWNER, Server

PASSWORD = "a long enough password"
RAVI, MEERA = "ravi@example.com", "meera@example.com"
RULES = {"fast": 5, "slow": 20}


@dataclass
class House:
    server: Server
    box: Mailbox
    asha: Person  # owns the workspace
    ravi: Person  # comes to it


@pytest.fixture
def house(data_dir: Path) -> Iterator[House]:
    with mailbox() as box:
        mail = {
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(box.port),
            "MAIL_USE_TLS": "false",
            "MAIL_DEFAULT_SENDER": "tandem@example.com",
        }
        server = Server(data_dir, env=mail)
        server.make_owner()
        with server, browser() as one, browser() as other:
            yield House(server, box, Person(one, server.base), Person(other, server.base))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_people_one_strategy_and_each_sees_only_theirs(house: House) -> None:
    strategy = _has_an_account_and_a_strategy(house.server)
    _signs_in(house.asha, *OWNER)
    _opens_sign_up(house.asha)
    _invites_somebody_who_comes_by_the_link(house)
    _signs_up_with_the_code_from_the_mail(house)
    codes = _adds_a_second_factor(house.ravi)
    _signs_in_again_with_a_recovery_code(house.ravi, codes)
    _shares_the_strategy(house.asha, strategy)
    _maps_what_was_shared(house.ravi, strategy)
    _wants_mail(house.ravi)
    _sends_one_signal(house.asha, strategy)
    _each_sees_only_theirs(house)
    _was_told_and_nobody_else(house)
    _takes_colours_of_their_own(house)
    assert house.asha.complaints() == []
    assert [line for line in house.ravi.complaints() if " 401 " not in line] == []  # wrong codes were refused


# --- coming in -----------------------------------------------------------------------------------------------------------


def _has_an_account_and_a_strategy(server: Server) -> str:
    """What the owner had before anybody else came."""
    api = server.api
    account = api.post("/api/accounts", {"name": "Asha's paper", "broker": "paper", "capital": "500000", "auto_trade": True}).json
    body = {"name": "Bank momentum", "kind": "ema_cross", "params": RULES, "timeframe": "1m", "instruments": ["NSE:INFY"], "active": True}
    strategy = api.post("/api/strategies", body).json
    sizing = {"mode": "fixed_quantity", "value": "7"}
    api.post("/api/mappings", {"account_id": account["id"], "strategy_id": strategy["id"], "allocation_pct": "50", "sizing": sizing})
    return str(strategy["id"])


def _signs_in(person: Person, email: str, password: str) -> None:
    person.go("/login")
    person.type("[name=email]", email)
    person.type("[name=password]", password)
    person.click("[type=submit]")


def _opens_sign_up(asha: Person) -> None:
    asha.see(".page-head, .facts")
    asha.go("/people")
    asha.photograph("people-alone")
    asha.click("[data-switch=open_sign_up]")
    asha.click("[data-ask-yes]")
    asha.told("Open sign-up on")


def _mailed(box: Mailbox, to: str, pattern: str) -> str:
    """What `pattern` finds in a mail to this address, once it has come."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for mail in reversed(box.mails):
            if mail["To"] == to and (found := re.search(pattern, text_of(mail))):
                return found.group(1)
        time.sleep(0.05)
    raise AssertionError(f"no mail to {to} with {pattern}: {[(mail['To'], mail['Subject']) for mail in box.mails]}")


def _signs_up_with_the_code_from_the_mail(house: House) -> None:
    ravi = house.ravi
    ravi.go("/sign-up")
    ravi.photograph("sign-up")
    ravi.type("[name=email]", RAVI)
    ravi.type("[name=name]", "Ravi Iyer")
    ravi.type("[name=password]", PASSWORD)
    ravi.type("[name=confirm]", PASSWORD)
    ravi.click("[type=submit]")
    ravi.see("h1", "Type the code")
    ravi.photograph("sign-up-code")
    code = _mailed(house.box, RAVI, r"(?m)^\s*(\d{3} ?\d{3})\s*$").replace(" ", "")
    ravi.type("[name=code]", f"{(int(code) + 1) % 1_000_000:06d}")
    ravi.click(".panel [type=submit]")
    ravi.see(".form-error", "This is not the code")
    ravi.type("[name=code]", code)
    ravi.click(".panel [type=submit]")
    ravi.see("h2", "Welcome to Tandem")
    ravi.photograph("first-sight")


# --- the second factor ---------------------------------------------------------------------------------------------------


def _adds_a_second_factor(ravi: Person) -> list[str]:
    ravi.go("/settings/security")
    ravi.photograph("security")
    ravi.type("#f-begin-password", PASSWORD)
    ravi.click("#factor [type=submit]")
    key = "".join(ravi.read("#factor .key code").split())
    ravi.until("document.querySelector('#factor .scan img').naturalWidth > 0")
    ravi.see("#factor .scan img")
    ravi.photograph("second-factor")
    ravi.type("#f-confirm-code", pyotp.TOTP(key).now())
    ravi.click("#factor .one-line [type=submit]")
    ravi.see("#factor .recovery li")
    codes = [item.text for item in ravi.chrome.find_elements(By.CSS_SELECTOR, "#factor .recovery li")]
    assert len(set(codes)) == 10
    ravi.photograph("recovery-codes")
    ravi.click("#factor a", "I have kept them")
    ravi.see("#factor .badge", "on")
    return codes


def _signs_in_again_with_a_recovery_code(ravi: Person, codes: list[str]) -> None:
    ravi.click(".who summary")
    ravi.click(".drop button", "Sign out")
    ravi.see("h1", "Sign in")
    _signs_in(ravi, RAVI, PASSWORD)
    ravi.see("h1", "Second step")
    ravi.go("/positions")
    ravi.see("h1", "Sign in")
    _signs_in(ravi, RAVI, PASSWORD)
    ravi.photograph("second-step")
    ravi.type("[name=code]", "000000")
    ravi.click("[type=submit]")
    ravi.see(".form-error", "not right")
    ravi.type("[name=code]", codes[0])
    ravi.click("[type=submit]")
    ravi.see("h2", "Welcome to Tandem")
    ravi.go("/settings/security")
    ravi.see("#factor", "9 of 10 recovery codes left")
    ravi.photograph("security-on")


# --- by invitation -------------------------------------------------------------------------------------------------------


def _invites_somebody_who_comes_by_the_link(house: House) -> None:
    asha = house.asha
    asha.type("#f-email", MEERA)
    asha.click(".panel form [type=submit]", "Invite")
    asha.see("#t-invites", MEERA)
    asha.photograph("people")
    link = _mailed(house.box, MEERA, r"(http://\S+/invite/\S+)")
    meera = Person(house.ravi.chrome, house.server.base)  # before Ravi sits down at that machine
    meera.go(link.removeprefix(house.server.base))
    meera.see("h1", "Welcome")
    meera.photograph("invitation")
    meera.type("[name=name]", "Meera Rao")
    meera.type("[name=password]", PASSWORD)
    meera.type("[name=confirm]", PASSWORD)
    meera.click("[type=submit]")
    meera.see("h2", "Welcome to Tandem")
    assert meera.complaints() == []
    meera.go(link.removeprefix(house.server.base))
    meera.see("h1", "over")  # a link is good once
    meera.chrome.delete_all_cookies()
    meera.complaints()
    asha.go("/people")
    asha.see("#t-people", "Meera Rao")


# --- one strategy, two people --------------------------------------------------------------------------------------------


def _shares_the_strategy(asha: Person, strategy: str) -> None:
    asha.go(f"/strategies/{strategy}")
    asha.type("#shares [name=email]", RAVI)
    asha.click("#shares [type=submit]")
    asha.see("#shares", "Ravi Iyer")
    asha.photograph("shared")


def _maps_what_was_shared(ravi: Person, strategy: str) -> None:
    ravi.go("/accounts/new")
    ravi.type("#f-name", "Ravi's paper")
    ravi.type("#f-capital", "3,00,000")
    ravi.click("label[for=f-auto_trade]")
    ravi.click("form[data-api] [type=submit]")
    ravi.see("h1", "Ravi's paper")
    ravi.go("/strategies")
    ravi.see("#t-strategies", "Bank momentum")
    ravi.photograph("what-others-share")
    ravi.go(f"/strategies/{strategy}")
    ravi.see("main", OWNER[0])
    assert not ravi.chrome.find_elements(By.CSS_SELECTOR, f"main a[href='/strategies/{strategy}/edit'], #shares")
    ravi.photograph("a-strategy-of-another")
    ravi.go("/mappings")
    ravi.click("a.cell.add")
    ravi.type("#sheet #f-allocation_pct", "40")
    Select(ravi.see("#sheet [name='sizing.mode']")).select_by_value("fixed_quantity")
    ravi.type("#sheet #f-value-fixed_quantity", "3")
    ravi.click("#sheet [type=submit]")
    ravi.see("a.cell", "40 %")
    ravi.photograph("mapped")


def _wants_mail(ravi: Person) -> None:
    ravi.go("/settings/messages/new?channel=email")
    assert ravi.see("#f-d-to").get_attribute("value") == RAVI
    ravi.click("main form[data-api] [type=submit]", "Add")
    ravi.see(".place", RAVI)
    ravi.click("[data-try]")
    ravi.see(".tried.ok")
    ravi.photograph("destination")


def _sends_one_signal(asha: Person, strategy: str) -> None:
    asha.go(f"/order?strategy={strategy}&symbol=NSE:INFY")
    asha.until("document.querySelector('[data-preview-quantity]').textContent === '7'")
    asha.click("[data-ticket-send]", "Buy INFY")
    asha.see("h1", "INFY")
    asha.fresh('data-value="filled"')
    asha.see("#t-outcome .badge", "filled")
    assert len(asha.chrome.find_elements(By.CSS_SELECTOR, "#t-outcome tbody tr")) == 1
    asha.photograph("one-signal")


ROOMS = (
    "/",
    "/orders",
    "/positions",
    "/signals",
    "/accounts",
    "/pnl",
    "/mappings",
    "/trades",
    "/groups",
    "/settings/log",
    "/api/orders",
    "/api/audit",
)
READ = "const [rooms, done] = arguments; Promise.all(rooms.map((room) => fetch(room).then((answer) => answer.text()))).then(done)"


def _each_sees_only_theirs(house: House) -> None:
    ravi, asha = house.ravi, house.asha
    ravi.go("/orders")
    ravi.see("#t-orders tbody tr", "INFY")
    ravi.see("#t-orders tbody tr", "filled")
    ravi.photograph("orders-of-the-other")
    for person, own, foreign in ((ravi, "Ravi's paper", "Asha's paper"), (asha, "Asha's paper", "Ravi's paper")):
        seen = html.unescape("".join(person.chrome.execute_async_script(READ, ROOMS)))
        assert own in seen
        assert foreign not in seen
    quantities = {name: _held(person) for name, person in (("asha", asha), ("ravi", ravi))}
    assert quantities == {"asha": "+7", "ravi": "+3"}


def _held(person: Person) -> str:
    person.go("/positions")
    return person.read("#t-positions [data-key$='.quantity']")


def _was_told_and_nobody_else(house: House) -> None:
    """The summary of their own side of the signal; the owner asked for no mail and gets none, and nobody reads of the other's account."""
    said = _mailed(house.box, RAVI, r"(?s)(.*INFY.*)")
    assert "Ravi's paper" in said
    told = "".join(f"{mail['Subject']} {text_of(mail)}" for mail in house.box.mails)
    assert "Asha's paper" not in told
    assert OWNER[0] not in house.box.to
    house.ravi.go("/messages")
    house.ravi.see(".message", "INFY")
    house.ravi.photograph("messages")


# --- the look ------------------------------------------------------------------------------------------------------------


def _takes_colours_of_their_own(house: House) -> None:
    ravi, asha = house.ravi, house.asha
    ravi.go("/settings/look")
    ravi.until("document.querySelector('[data-look-preset][aria-pressed=true]')")
    ravi.click("[name=theme][value=light] + span")
    ravi.click("[data-look-preset] span", "Forest")
    ravi.until("getComputedStyle(document.querySelector('.top')).backgroundColor === 'rgb(15, 90, 65)'")
    ravi.photograph("look")
    ravi.click("form[data-look] [type=submit]")
    ravi.until("document.querySelector('link[data-own-look]')")
    ravi.go("/")
    ravi.see(".top .mode.paper", "PAPER")
    ravi.until("getComputedStyle(document.querySelector('.top')).backgroundColor === 'rgb(15, 90, 65)'")
    ravi.photograph("overview-in-own-colours")
    asha.go("/")
    asha.until("document.documentElement.dataset.bsTheme === 'dark'")
    assert not asha.chrome.find_elements(By.CSS_SELECTOR, "link[data-own-look]")
    asha.photograph("overview-of-the-owner")
