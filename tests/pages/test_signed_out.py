"""A sign-in that ends in the middle of a form: nothing that was typed is lost, nothing is sent by itself, and somebody else finds nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.browser import browser
from tests.support.person import Person
from tests.support.server import OWNER, Server

RAVI = ("ravi@example.com", "a long enough password")


@dataclass
class Desk:
    server: Server
    asha: Person

    def signs_in(self, email: str, password: str) -> None:
        self.asha.type("[name=email]", email)
        self.asha.type("[name=password]", password)
        self.asha.click("main [type=submit]")
        self.asha.see("[aria-label='Your menu']")

    def signs_in_elsewhere(self, email: str, password: str) -> None:
        """In a tab of its own; then back to the one before."""
        first = self.asha.chrome.current_window_handle
        self.asha.chrome.switch_to.new_window("tab")
        self.asha.go("/login")
        self.signs_in(email, password)
        self.asha.chrome.close()
        self.asha.chrome.switch_to.window(first)

    def accounts(self) -> list[str]:
        return [account["name"] for account in self.server.api.get("/api/accounts").json["items"]]


@pytest.fixture
def desk(data_dir: Path) -> Iterator[Desk]:
    """Somebody who is signed in and types a new account, when the sign-in ends."""
    server = Server(data_dir)
    server.make_owner()
    with server, browser() as chrome:
        desk = Desk(server, Person(chrome, server.base))
        desk.asha.go("/login")
        desk.signs_in(*OWNER)
        desk.asha.go("/accounts/new")
        desk.asha.type("#f-name", "Family")
        desk.asha.type("#f-capital", "1,00,000")
        chrome.delete_all_cookies()
        desk.asha.click("main form[data-api] .btn-primary[type=submit]")
        desk.asha.see("#signed-out", "You are signed out")
        yield desk


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_was_typed_is_sent_by_its_own_person_after_signing_in_again(desk: Desk) -> None:
    desk.signs_in_elsewhere(*OWNER)
    assert desk.accounts() == [], "nothing is sent by itself"
    desk.asha.until("document.getElementById('f-name').value === 'Family'")
    desk.asha.chrome.execute_script("document.getElementById('signed-out').close()")
    desk.asha.click("main form[data-api] .btn-primary[type=submit]")
    desk.asha.until("location.pathname !== '/accounts/new'")
    assert desk.accounts() == ["Family"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_somebody_else_who_signs_in_finds_nothing_of_it(desk: Desk) -> None:
    desk.server.api.post("/api/users", {"email": RAVI[0], "password": RAVI[1], "role": "trader", "name": ""})
    desk.signs_in_elsewhere(*RAVI)
    desk.asha.chrome.execute_script("document.getElementById('signed-out')?.close()")
    desk.asha.chrome.execute_script("document.querySelector('main form[data-api] .btn-primary[type=submit]')?.click()")
    desk.asha.until("location.pathname === '/'")
    assert desk.accounts() == []
    desk.asha.chrome.back()
    desk.asha.until(
        "document.readyState === 'complete' && location.pathname !== '/accounts/new' || document.querySelector('#f-name')?.value === ''"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_where_nothing_was_typed_the_sign_in_page_says_why(desk: Desk) -> None:
    desk.signs_in_elsewhere(*OWNER)
    desk.asha.go("/settings/security")
    desk.asha.chrome.delete_all_cookies()
    desk.asha.chrome.execute_script("document.body.dispatchEvent(new CustomEvent('tandem:wrote'))")  # a part of the page fetches itself
    desk.asha.see("[role=status]", "You are signed out")
    desk.signs_in(*OWNER)
    desk.asha.until("location.pathname === '/settings/security'")
