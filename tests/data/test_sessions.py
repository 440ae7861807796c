"""Broker sessions and the automated log-in's memory: sealed on disk, gone with their account or its keys, nobody else's configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.data import AutoLogin, Data, SignIn, open_data
from app.data.credentials import CredentialBox
from engines.core.facts import CandleClosed, SignalPlanned
from engines.core.model import OrderState
from engines.ports import Session
from tests.data.making import CLI, NOON, D, Ledger, account, cheap_user, order, planned, signal

CANARY = "canary-token-7731"
SIGNED_IN = Session("AB1234", {"access_token": CANARY, "public_token": "p"}, NOON, NOON + 3600.5)


@pytest.fixture
def kept(data: Data) -> str:
    """A live account with a session and one failed automated log-in."""
    made = data.accounts.add(account(cheap_user(data), broker="zerodha"), {"api_key": "key-1", "api_secret": "secret"}, by=CLI)
    account_id = made.account.account_id
    data.sessions.save(account_id, SIGNED_IN)
    data.auto_logins.save(AutoLogin(account_id, "2026-01-05", NOON, 1, "captcha", "asked for a captcha"))
    return account_id


def test_a_session_comes_back_as_it_was_saved_and_lies_sealed(data: Data, kept: str, folder: Path) -> None:
    assert data.sessions.load(kept) == SIGNED_IN
    assert data.sessions.sign_ins() == {kept: SignIn(kept, "AB1234", NOON, NOON + 3600.5)}
    assert data.sessions.load("nobody") is None
    stored = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert CANARY.encode() not in stored
    assert CANARY not in repr(SIGNED_IN)


def test_a_newer_session_replaces_the_older_and_a_cleared_one_is_gone(data: Data, kept: str) -> None:
    newer = replace(SIGNED_IN, tokens={"access_token": "other"}, expires_at=None)
    data.sessions.save(kept, newer)
    assert data.sessions.load(kept) == newer
    data.sessions.clear(kept)
    assert data.sessions.load(kept) is None
    assert data.sessions.sign_ins() == {}


def test_a_person_who_acts_is_not_held_back_by_a_kept_refusal_and_loses_no_session(data: Data, kept: str) -> None:
    data.sessions.save(kept, Session("AB1234", {"refused": "abc", "why": "the PIN"}, 1.0, 1.0))
    data.sessions.forgive(kept)
    assert data.sessions.load(kept) is None
    data.sessions.save(kept, Session("AB1234", {"access_token": "abc"}, 1.0, 2.0))
    data.sessions.forgive(kept)
    assert data.sessions.load(kept) is not None


def test_a_session_outlives_a_restart(folder: Path) -> None:
    with open_data(folder) as first:
        account_id = first.accounts.add(account(cheap_user(first), broker="zerodha"), {}, by=CLI).account.account_id
        first.sessions.save(account_id, SIGNED_IN)
    with open_data(folder) as again:
        assert again.sessions.load(account_id) == SIGNED_IN


def test_a_session_of_a_key_that_is_gone_is_no_session(folder: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with open_data(folder, credential_keys=old) as first:
        account_id = first.accounts.add(account(cheap_user(first), broker="zerodha"), {}, by=CLI).account.account_id
        first.sessions.save(account_id, SIGNED_IN)
    with open_data(folder, credential_keys=f"{new},{old}") as turned:
        assert turned.sessions.load(account_id) == SIGNED_IN
        assert replace(turned.sessions, box=CredentialBox([new], "here")).load(account_id) is None


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"api_secret": "another"}, False),
        ({"api_key": None}, False),
        ({"api_secret": "secret"}, True),
        ({"user_id": "AB1234"}, True),
        (None, True),
    ],
)
def test_a_session_stays_only_with_the_keys_it_was_made_with(
    data: Data, kept: str, change: dict[str, str | None] | None, stays: bool
) -> None:
    data.accounts.change(None, kept, lambda a: replace(a, name="Renamed"), credentials=change, by=CLI)
    assert (data.sessions.load(kept) is not None) is stays
    assert (data.auto_logins.get(kept).failures == 1) is stays


def test_session_and_memory_go_with_the_account(data: Data, kept: str) -> None:
    assert data.accounts.delete(None, kept, by=CLI)
    assert data.sessions.load(kept) is None
    assert data.auto_logins.get(kept) == AutoLogin(kept)


def test_an_archived_account_keeps_neither_session_nor_switch_and_takes_none(data: Data, kept: str) -> None:
    data.accounts.change(None, kept, lambda a: replace(a, auto_login=True), by=CLI)
    user_id = data.accounts.get(None, kept).account.user_id
    made = signal(user_id)
    data.journal.commit(SignalPlanned(made, (replace(order(made, kept), state=OrderState.REJECTED),)))
    assert not data.accounts.delete(None, kept, by=CLI)
    data.sessions.save(kept, SIGNED_IN)
    data.auto_logins.save(AutoLogin(kept, failures=2))
    assert data.sessions.load(kept) is None
    assert data.auto_logins.get(kept).failures == 0
    (row,) = data.accounts.list(None, archived=True)
    assert not row.account.auto_login


def test_the_memory_of_automated_log_ins(data: Data, kept: str) -> None:
    told = AutoLogin(kept, "2026-01-06", NOON + 1, 2, "wrong_totp", "the code was not accepted")
    data.auto_logins.save(told)
    assert data.auto_logins.get(kept) == told
    data.auto_logins.forgive(kept)
    assert data.auto_logins.get(kept) == replace(told, failures=0, reason="", message="")
    assert data.auto_logins.get("nobody") == AutoLogin("nobody")


@pytest.mark.parametrize(
    "write", [lambda d, a: d.sessions.save(a, SIGNED_IN), lambda d, a: d.sessions.clear(a), lambda d, a: d.auto_logins.forgive(a)]
)
def test_a_sign_in_is_no_change_of_configuration(data: Data, kept: str, write: Callable[[Data, str], None]) -> None:
    told: list[int] = []
    data.directory.on_change(lambda: told.append(1))
    write(data, kept)
    assert told == []


def test_the_settings_of_a_live_account_come_back(data: Data) -> None:
    fields = account(cheap_user(data), broker="zerodha", source_address="192.0.2.7", auto_login=True)
    made = data.accounts.add(fields, {}, by=CLI).account
    assert (made.source_address, made.auto_login) == ("192.0.2.7", True)
    later = data.accounts.change(None, made.account_id, lambda a: replace(a, source_address=None, auto_login=False), by=CLI).account
    assert (later.source_address, later.auto_login) == (None, False)


def test_a_fee_kept_in_the_instrument_comes_back_with_its_fill(data: Data) -> None:
    fact = planned("U1")
    bought = fact.orders[0]
    data.journal.commit(fact)
    booked = Ledger().fill(bought, "2", "100")
    kept_back = replace(booked, fill=replace(booked.fill, fee_quantity=D("0.00200000")))
    data.journal.commit(kept_back)
    assert data.books.order(None, bought.order_id).fills == (kept_back.fill,)
    assert data.journal.load(NOON - 60).fills == [kept_back.fill]


def test_candles_of_real_prices_are_never_mixed_with_the_others(data: Data) -> None:
    simulated = CandleClosed("NSE:INFY", "1m", NOON, 1.0, 1.0, 1.0, 1.0, 5.0)
    data.journal.commit(simulated, replace(simulated, close=9.0, live=True))
    assert [candle.close for candle in data.directory.candles("NSE:INFY", "1m", 10)] == [1.0]
    assert [candle.close for candle in data.directory.candles("NSE:INFY", "1m", 10, live=True)] == [9.0]
    assert [candle.close for candle in data.books.candles("NSE:INFY", "1m", live=True)] == [9.0]
    assert [candle.close for candle in data.books.candles("NSE:INFY", "1m")] == [1.0]
