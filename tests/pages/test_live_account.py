"""A live account in a real browser against the real program and an emulated Kite: made, logged in at the broker, logged in by itself, taken live.
`TANDEM_SHOTS=folder` keeps a picture of each step at both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from tests.emulators.core.exchange import EmulatedAccount
from tests.emulators.kite.emulator import KiteEmulator
from tests.support.browser import browser
from tests.support.person import Person
from tests.support.server import OWNER, Server

NAME = "Kite family"
LISTED = "return [...document.querySelectorAll('.verify-lines .is-ok')].some((line) => line.innerText.includes('Instrument list'))"
LOG_IN = 90.0  # the product gives a browser of its own a minute


@pytest.fixture
def kite() -> Iterator[KiteEmulator]:
    with KiteEmulator(seed=11) as emulator:
        yield emulator


@pytest.fixture
def customer(kite: KiteEmulator) -> EmulatedAccount:
    return kite.add_account()


@pytest.fixture
def server(data_dir: Path, kite: KiteEmulator) -> Iterator[Server]:
    server = Server(data_dir, env={**kite.endpoints(), "TANDEM_FEED": "simulated"})
    server.make_owner()
    with server:
        yield server


@pytest.fixture
def person(server: Server) -> Iterator[Person]:
    with browser() as chrome:
        yield Person(chrome, server.base)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_from_the_form_to_real_orders(person: Person, server: Server, kite: KiteEmulator, customer: EmulatedAccount) -> None:
    kite.set_redirect(customer, f"{server.base}/zerodha/callback")
    _signs_in(person)
    _adds_the_account(person, customer)
    _logs_in_at_the_broker(person, kite, customer)
    _asks_what_works(person)
    _looks_at_the_keys(person, customer)
    _gives_what_the_automated_log_in_needs(person, customer)
    _is_logged_in_by_itself(person, kite, customer)
    _goes_live(person)
    assert person.complaints() == []
    shown = person.chrome.page_source
    assert not [secret for secret in customer.canaries() if secret in shown]


def _signs_in(person: Person) -> None:
    person.go("/login")
    person.type("[name=email]", OWNER[0])
    person.type("[name=password]", OWNER[1])
    person.click("[type=submit]")
    person.see("h2", "Welcome to Tandem")


def _adds_the_account(person: Person, customer: EmulatedAccount) -> None:
    person.go("/accounts/new")
    person.click("label.choice", "Zerodha")
    person.see("legend", "Sign-in at Zerodha")
    person.photograph("live-form")
    person.type("#f-name", NAME)
    person.type("#f-capital", "5,00,000")
    person.type("#f-zerodha-api_key", customer.credentials["api_key"])
    person.type("#f-zerodha-api_secret", customer.credentials["api_secret"])
    person.type("#f-zerodha-source", "10.1.2.3")
    person.click("form[data-api] [type=submit]")
    person.see(".error", "not an address of this machine")
    person.type("#f-zerodha-source", "127.0.0.1")
    person.click("form[data-api] [type=submit]")
    person.see("h1", NAME)
    person.see(".mode", "LIVE")
    person.see(".mode.dry")
    person.see(".badge", "needs login")
    person.photograph("live-account")


def _logs_in_at_the_broker(person: Person, kite: KiteEmulator, customer: EmulatedAccount) -> None:
    """With the newest code, which has half a minute left however long typing takes; the browser that comes soon may use it, too."""
    person.click(".page-head a", "Log in at Zerodha")
    person.type("#userid", customer.name)
    person.type("#password", customer.credentials["password"])
    person.click("button[type=submit]")
    person.type(".twofa-form input", pyotp.TOTP(customer.credentials["totp_secret"]).now())
    person.see(".callout", "Signed in at Zerodha")
    kite.login_desk.used_codes.clear()
    person.see("#connection", "session ends in")
    person.see("#connection .badge", "ready")
    person.photograph("live-signed-in")


def _asks_what_works(person: Person) -> None:
    person.strike("[data-verify]")
    person.see(".verify-lines [class*=is-]", "Instrument list")
    if not person.chrome.execute_script(LISTED):
        person.strike("#connection button", "Verify")  # the day's list had not come yet
    person.see(".verify-lines .is-ok", "Instrument list", LOG_IN)
    for name in ("Signed in", "Balance", "Order book", "Market data", "May trade"):
        person.see(".verify-lines .is-ok", name)
    person.see(".verify-lines .is-unknown", "Address")
    person.chrome.execute_script("document.getElementById('connection').scrollIntoView()")
    person.photograph("verified")


def _looks_at_the_keys(person: Person, customer: EmulatedAccount) -> None:
    """Shown to whoever types the password, and masked again at a press; that it ends by itself is the page's own clock."""
    secret = customer.credentials["api_secret"]
    person.strike("[data-reveal]")
    person.type("#ask-password", "not the password")
    person.click("[data-ask-yes]", "Show")
    person.see("[data-ask-error]", "That is not your password")
    assert secret not in person.chrome.page_source
    person.type("#ask-password", OWNER[1])
    person.click("[data-ask-yes]", "Show")
    person.see("[data-secret-of=api_secret].is-shown")
    person.see("[data-reveal-note]", "hides in")
    assert person.read("[data-secret-of=api_secret]") == secret
    person.strike("[data-reveal]", "Hide")
    person.see("[data-secret-of=api_secret]", "•••")
    assert secret not in person.chrome.page_source


def _gives_what_the_automated_log_in_needs(person: Person, customer: EmulatedAccount) -> None:
    person.strike("#connection input[data-switch=auto_login]")
    person.see("#ask p", "the broker does not recommend automating it")
    person.photograph("auto-login-warning")
    person.click("[data-ask-yes]")
    person.see("[data-ask-error]", "needs password, totp secret")
    person.click("[data-ask-no]")
    person.strike(".page-head a", "Edit")
    person.type("#f-zerodha-password", customer.credentials["password"])
    person.type("#f-zerodha-totp_secret", customer.credentials["totp_secret"])
    person.click("form[data-api] [type=submit]")
    person.see("h1", NAME)
    person.strike("#connection input[data-switch=auto_login]")
    person.click("[data-ask-yes]")
    person.see("#connection button", "Log in automatically now")


def _is_logged_in_by_itself(person: Person, kite: KiteEmulator, customer: EmulatedAccount) -> None:
    kite.set_login_page("captcha")
    person.strike("#connection button", "Log in automatically now")
    person.see("#connection .callout", "captcha", LOG_IN)
    person.see("#connection .callout", "It has stopped until you try again")
    person.photograph("auto-login-failed")
    kite.set_login_page("normal")
    kite.expire_session(customer)
    person.strike("#connection button", "Verify")
    person.see("#connection .badge", "needs login")
    person.strike("#connection button", "Log in automatically now")
    person.click("[data-ask-yes]", "Try again")
    person.see("#connection .badge", "ready", LOG_IN)
    person.until("!document.querySelector('#connection .callout')")


def _goes_live(person: Person) -> None:
    person.see("#going-live", "Only family shares the address")
    person.strike("#going-live input[data-switch=dry_run]")
    person.see("#ask-title", "leave for real")
    person.photograph("going-live")
    person.see("[data-ask-yes]:disabled")
    person.type("#ask-type", NAME)
    person.click("[data-ask-yes]", "Switch off")
    person.until("!document.querySelector('.page-head .mode.dry')")
    person.see("#going-live", "real money")
    person.photograph("live-now")
    person.chrome.execute_script("document.getElementById('connection').scrollIntoView()")
    person.photograph("live-now-panel")
    person.go("/accounts")
    person.see("#t-accounts td", "session ends in")
    person.photograph("live-list")
