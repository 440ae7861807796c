"""What `doctor` says of live accounts: today's session, the address they leave from, the automated log-in."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.data import Actor, AutoLogin, open_data
from app.launch.doctor import examine
from config import Settings
from engines.core.facts import IncidentChanged
from engines.core.model import Account, Incident
from engines.login import browser
from engines.ports import Session
from tests.data.making import D, cheap_user

CLI = Actor(None, "cli")
KEYS = {"api_key": "abcdefgh", "api_secret": "canary-secret"}


def said(folder: Path, check: str) -> tuple[bool | None, str] | None:
    found = {finding.check: (finding.well, finding.detail) for finding in examine(Settings(data_dir=folder, port=0))}
    return found.get(check)


def made(folder: Path, **fields: object) -> str:
    with open_data(folder) as data:
        account = replace(Account("", cheap_user(data), "Kite", "zerodha", D(1000)), **fields)  # type: ignore[arg-type]
        return data.accounts.add(account, KEYS, by=CLI).account.account_id


def test_a_session_of_today_and_none(tmp_path: Path) -> None:
    account_id = made(tmp_path)
    assert said(tmp_path, "session Kite") == (None, "none for today: log in from the account's page")
    with open_data(tmp_path) as data:
        data.sessions.save(account_id, Session("AB1234", {"access_token": "canary"}, time.time(), time.time() + 3600))
    found = said(tmp_path, "session Kite")
    assert found is not None
    assert (found[0], "signed in until" in found[1]) == (True, True)
    with open_data(tmp_path) as data:
        data.sessions.save(account_id, Session("AB1234", {"access_token": "canary"}, 0.0, 1.0))
    assert said(tmp_path, "session Kite") == (None, "none for today: log in from the account's page")


@pytest.mark.parametrize(("broker", "well"), [("zerodha", None), ("binance_spot", False)])
def test_a_sign_in_that_was_refused_is_not_called_well(tmp_path: Path, broker: str, well: bool | None) -> None:
    account_id = made(tmp_path, broker=broker)
    assert said(tmp_path, "account Kite") == (True, f"{broker}: has what it needs to sign in")
    incident = Incident("I", "needs_login", "Kite: the key was refused", "critical", time.time(), None, account_id)
    for until, expected in (
        (None, (well, f"{broker}: is not signed in: the key was refused")),
        (time.time(), (True, f"{broker}: has what it needs to sign in")),
    ):
        with open_data(tmp_path) as data:
            data.journal.append(IncidentChanged(replace(incident, until=until)))
            data.journal.run(lambda _: None)
        assert said(tmp_path, "account Kite") == expected


@pytest.mark.parametrize(("address", "well"), [("127.0.0.1", True), ("192.0.2.99", False)])
def test_the_address_that_calls_leave_from(tmp_path: Path, address: str, well: bool) -> None:
    made(tmp_path, source_address=address)
    found = said(tmp_path, "address Kite")
    assert found is not None
    assert found[0] is well
    assert address in found[1]


def test_the_automated_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = made(tmp_path, auto_login=True)
    assert said(tmp_path, "log-in Kite") == (True, "a browser signs in at 08:15 IST on trading days")
    with open_data(tmp_path) as data:
        data.auto_logins.save(AutoLogin(account_id, failures=2, reason="captcha", message="a captcha is asked for"))
    assert said(tmp_path, "log-in Kite") == (False, "the automated log-in has stopped: a captcha is asked for")
    monkeypatch.setattr(browser, "BROWSERS", ("no-such-browser",))
    found = said(tmp_path, "log-in Kite")
    assert found is not None
    assert (found[0], "not installed" in found[1]) == (False, True)
