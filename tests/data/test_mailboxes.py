"""One mailbox is one address: an international domain and its punycode, also of people who are on record from before that was so."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.auth.throttle import Guards
from app.data import Address, Conflict, Data, Invalid, UserRole
from app.data.codes import Post
from app.data.mailboxes import email_key
from app.data.users import clean_email
from engines.core.messages import Event
from engines.core.model import StrategyConfig, Timeframe
from tests.data.making import CLI, PASSWORD, HandClock, cheap_user, opened

READ, WIRE = "asha@münchen.example", "asha@xn--mnchen-3ya.example"
FORMS = (READ, WIRE, "ASHA@MÜNCHEN.EXAMPLE", "Asha@XN--MNCHEN-3YA.example", "asha@mu\u0308nchen.example", "asha@münchen。example")
POST = Post("http://127.0.0.1", mail=False)


@pytest.mark.parametrize("email", FORMS)
def test_every_form_of_a_mailbox_has_one_key(email: str) -> None:
    assert email_key(f" {email} ") == WIRE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@straße.example", "a@strasse.example"),
        (READ, "asha@munchen.example"),
        (READ, "ravi@münchen.example"),
        ("a@b_c.example", "a@bc.example"),
    ],
)
def test_two_mailboxes_have_two_keys(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@pytest.mark.parametrize(
    "domain",
    [
        "a..example",
        "ü..example",
        "-ü.example",
        "xn--a.example",
        "xn--ü.example",
        f"{'ü' * 64}.example",
        f"{'a' * 64}.example",
        "\ud800.example",
    ],
)
def test_a_domain_that_cannot_be_one_is_refused_with_a_reason_and_found_by_nobody(domain: str) -> None:
    with pytest.raises(Invalid, match=r"domain behind the @|is not an e-mail address"):
        clean_email(f"asha@{domain}")
    assert email_key(f"asha@{domain}") == f"asha@{domain.casefold()}"


@pytest.mark.parametrize("known", [READ, WIRE])
def test_whoever_is_on_record_from_before_is_found_by_either_form_and_nobody_else_gets_their_mailbox(data: Data, known: str) -> None:
    owner = data.users.add("owner@example.com", PASSWORD, role=UserRole.OWNER, by=CLI)
    user_id = cheap_user(data, known)  # its key is what was typed, as it used to be
    data.strategies.add(StrategyConfig("S1", owner.user_id, "Cross", "ema_cross", Timeframe.M1, ("NSE:INFY",)), by=CLI)
    for email in FORMS[:4]:
        found = data.users.find(email)
        assert found is not None
        assert (found.user_id, found.email) == (user_id, known)
        with pytest.raises(Conflict, match="is taken"):
            data.users.add(email, PASSWORD, by=CLI)
        with pytest.raises(Conflict, match="has an account"):
            data.invites.send(email, UserRole.TRADER, inviter=owner, by=CLI, post=POST)
    assert data.shares.add(owner.user_id, "S1", FORMS[3], by=CLI).user.user_id == user_id


def test_whoever_signs_up_with_one_form_signs_in_with_the_other(data: Data) -> None:
    asha = data.users.add(READ, PASSWORD, by=CLI)
    assert asha.email == READ, "shown as it was typed"
    assert [found.user_id for email in FORMS[:2] if (found := data.users.verify(email, PASSWORD))] == [asha.user_id] * 2


def test_of_two_who_are_on_record_with_one_mailbox_each_is_found_as_they_typed_it(data: Data) -> None:
    ids = [cheap_user(data, email) for email in (READ, WIRE)]
    assert [found.user_id for email in (READ, WIRE) if (found := data.users.find(email))] == ids


def test_a_mailbox_is_invited_once(data: Data) -> None:
    owner = data.users.add("owner@example.com", PASSWORD, role=UserRole.OWNER, by=CLI)
    data.invites.send(READ, UserRole.TRADER, inviter=owner, by=CLI, post=POST)
    with pytest.raises(Conflict, match="invited already"):
        data.invites.send(WIRE, UserRole.TRADER, inviter=owner, by=CLI, post=POST)


def test_a_forgotten_password_is_asked_for_with_either_form(tmp_path: Path) -> None:
    with opened(tmp_path / "data", clock=HandClock()) as data:
        user_id = cheap_user(data, READ)
        data.resets.ask(WIRE, by=CLI, post=POST)
        assert [row["user_id"] for row in data.resets.codes.store.readers.all("SELECT user_id FROM codes")] == [user_id]
        data.resets.ask(READ, by=CLI, post=POST)
        assert len(data.resets.codes.store.readers.all("SELECT 1 FROM codes")) == 1, "within the minute, for the same mailbox"


def test_a_mailbox_is_one_destination(data: Data) -> None:
    user_id = cheap_user(data)
    told = {"channel": "email", "name": "Mail", "events": tuple(Event), "quiet": None, "by": CLI}
    data.destinations.add(user_id, address=Address({"to": READ}, {}), **told)
    with pytest.raises(Conflict, match="there already"):
        data.destinations.add(user_id, address=Address({"to": WIRE}, {}), **told)


def test_guesses_at_either_form_count_together() -> None:
    guards = Guards(HandClock())
    assert [guards.book(email, "10.0.0.1") > 0 for email in FORMS] == [False] * 5 + [True]
