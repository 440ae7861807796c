"""Two people in two real browsers, with real mail: one signs up with the code that was sent, adds a second factor, gets a strategy shared, trades it
on an account of their own, and neither sees the other's. `TANDEM_SHOTS=folder` keeps a picture of each step at both sizes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from selenium.webdriver.common.by import By

from tests.notify.mailbox import Mailbox, mailbox, text_of
from tests.support.browser import browser
from tests.support.person import PATIENCE, Person
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
@pytest.mark.timeout(150)
def test_two_people_one_strategy_and_each_sees_only_theirs(house: House) -> None:
    strategy = _has_an_account_and_a_strategy(house.server)
    _signs_in(house.asha, *OWNER)
    _opens_sign_up(house.asha)
    _signs_up_with_the_code_from_the_mail(house)
    codes = _adds_a_second_factor(house.ravi)
    _signs_in_again_with_a_recovery_code(house.ravi, codes)
    _invites_somebody_who_comes_by_the_link(house)
    assert house.asha.complaints() == house.ravi.complaints() == []
    assert strategy


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
    asha.see(".toast", "on")


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
    key = "".join(ravi.see("#factor .key code").text.split())
    image = ravi.see("#factor .scan img")
    ravi.until("document.querySelector('#factor .scan img').naturalWidth > 0")
    assert image.is_displayed()
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
    ravi.see("#factor .left", "9 of 10")
    ravi.photograph("security-on")


# --- by invitation -------------------------------------------------------------------------------------------------------


def _invites_somebody_who_comes_by_the_link(house: House) -> None:
    asha = house.asha
    asha.go("/people")
    asha.see("#t-people", "Ravi Iyer")
    asha.type("#f-email", MEERA)
    asha.click(".panel form [type=submit]", "Invite")
    asha.see("#t-invites", MEERA)
    asha.photograph("people")
    link = _mailed(house.box, MEERA, r"(http://\S+/invite/\S+)")
    with browser() as chrome:
        meera = Person(chrome, house.server.base)
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
        meera.see("h1", "over")
