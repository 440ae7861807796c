"""People, tokens and web hooks: who is who, answered from memory, and nobody locked out or let in by mistake."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.data import Conflict, Data, Invalid, NotFound, UserRole, open_data
from engines.core.model import StrategyConfig, Timeframe
from tests.data.making import CLI, NOON, PASSWORD, HandClock, account, cheap_user, user

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_without_a_role_is_owner_and_the_next_a_trader(data: Data) -> None:
    assert data.users.add("Owner@Example.com ", PASSWORD, by=CLI).role is UserRole.OWNER
    assert data.users.add("next@example.com", PASSWORD, by=CLI).role is UserRole.TRADER
    assert [one.email for one in data.users.all()] == ["Owner@Example.com", "next@example.com"]


def test_of_many_on_the_set_up_page_one_becomes_owner(data: Data) -> None:
    outcomes: list[str] = []

    def try_it(n: int) -> None:
        try:
            data.users.add_first_owner(f"{n}@example.com", PASSWORD, by=CLI)
            outcomes.append("owner")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=try_it, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 3 + ["owner"]
    assert data.users.count() == 1


DRESSED = (
    "a1<x@example.com>", "<x@example.com>", "x(1)@example.com", "x@example.com(1)", "x@example.com,", "a,x@example.com", "x@example.com;", "a:x@example.com;",
    '"x"@example.com', "x\\@example.com", "x@[127.0.0.1]", "x@example.com.", "x@.example.com", "x\t@example.com", "x@exam\u2028ple.com", "x\x7f@example.com",
)  # fmt: skip
"""Other spellings of one mailbox, or none: each would get a code of its own."""


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("nobody", PASSWORD, "email"),
        ("", PASSWORD, "email"),
        ("a b@example.com", PASSWORD, "email"),
        ("a@b\x00c", PASSWORD, "email"),
        *((spelt, PASSWORD, "email") for spelt in DRESSED),
        ("a@example.com", "ninechars", "password"),
        ("a@example.com", "x" * 1025, "password"),
    ],
)
def test_a_bad_address_or_password_is_named(data: Data, email: str, password: str, field: str) -> None:
    with pytest.raises(Invalid) as wrong:
        data.users.add(email, password, by=CLI)
    assert list(wrong.value.errors) == [field]
    assert data.users.count() == 0


def test_an_address_is_taken_however_it_is_written(data: Data) -> None:
    user(data, "trader@example.com")
    with pytest.raises(Conflict):
        user(data, " TRADER@Example.com")


def test_only_the_right_password_of_an_active_user_signs_in(data: Data) -> None:
    made = user(data)
    user(data, "owner@example.com", UserRole.OWNER)
    assert data.users.verify(" Trader@Example.com", PASSWORD) == made
    assert data.users.verify("trader@example.com", PASSWORD + "x") is None
    assert data.users.verify("unknown@example.com", PASSWORD) is None
    assert data.users.verify("trader@example.com", "x" * 5000) is None
    assert data.users.check_password(made.user_id, PASSWORD)
    assert not data.users.check_password(made.user_id, "")
    assert not data.users.check_password("nobody", PASSWORD)
    data.users.set_active(made.user_id, False, by=CLI)
    assert data.users.verify("trader@example.com", PASSWORD) is None
    assert not data.users.check_password(made.user_id, PASSWORD)


@pytest.mark.usefixtures("full_hashes")
def test_a_password_is_kept_as_an_argon2id_hash_that_costs_64_mib(data: Data, folder: Path) -> None:
    made = user(data)
    with closing(sqlite3.connect(folder / "tandem.db")) as outside:
        assert outside.execute("SELECT password_hash FROM users").fetchone()[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert data.users.verify("trader@example.com", PASSWORD) == made
    assert data.users.verify("trader@example.com", PASSWORD + "x") is None


def test_a_cookie_is_worth_nothing_after_a_new_password_or_sign_out_everywhere_or_a_switch_off(data: Data) -> None:
    owner, made = cheap_user(data, "o@example.com", "owner"), cheap_user(data)
    data.users.people.forget()
    epoch = data.users.get(made).session_epoch
    for end in (
        lambda: data.users.set_password(made, PASSWORD + "!", by=CLI),
        lambda: data.users.end_sessions(made, by=CLI),
        lambda: data.users.set_active(made, False, by=CLI),
    ):
        assert data.users.session(made, epoch) is not None
        epoch = end().session_epoch
        assert data.users.session(made, epoch - 1) is None
    assert data.users.session(made, epoch) is None, "switched off"
    assert data.users.session("nobody", 0) is None
    assert data.users.session(owner, 0) is not None


def test_there_is_always_an_active_owner(data: Data) -> None:
    owner = cheap_user(data, "o@example.com", "owner")
    for change in (lambda: data.users.set_role(owner, UserRole.TRADER, by=CLI), lambda: data.users.set_active(owner, False, by=CLI)):
        with pytest.raises(Conflict):
            change()
    cheap_user(data, "o2@example.com", "owner")
    assert data.users.set_role(owner, UserRole.TRADER, by=CLI).role is UserRole.TRADER
    with pytest.raises(NotFound):
        data.users.set_role("nobody", UserRole.OWNER, by=CLI)
    with pytest.raises(NotFound):
        data.users.get("nobody")


def test_a_token_works_at_once_and_not_after_it_was_revoked(data: Data) -> None:
    owner = cheap_user(data)
    row, token = data.tokens.create(owner, "robot", by=CLI)
    who = data.tokens.authenticate(token)
    assert who is not None
    assert (who.user_id, who.role) == (owner, UserRole.TRADER)
    with pytest.raises(NotFound):
        data.tokens.revoke("someone-else", row.token_id, by=CLI)
    data.tokens.revoke(owner, row.token_id, by=CLI)
    assert data.tokens.authenticate(token) is None
    assert data.tokens.list(owner) == ()


@pytest.mark.parametrize("wrong", ["", ".", "x", "tdm.x", "\ud800.\ud800", "{prefix}.", "{prefix}.wrong", "{token}x", "{prefix}"])
def test_no_other_token_gets_in(data: Data, wrong: str) -> None:
    row, token = data.tokens.create(cheap_user(data), "robot", by=CLI)
    assert data.tokens.authenticate(wrong.replace("{prefix}", row.prefix).replace("{token}", token)) is None


def test_a_read_token_makes_a_viewer_of_anybody(data: Data) -> None:
    _, token = data.tokens.create(cheap_user(data, role="owner"), "screen", scope="read", by=CLI)
    who = data.tokens.authenticate(token)
    assert who is not None
    assert who.role is UserRole.VIEWER


def test_a_token_ends_with_its_date_or_its_user(folder: Path) -> None:
    clock = HandClock()
    with open_data(folder, clock=clock) as data:
        owner = cheap_user(data)
        cheap_user(data, "o@example.com", "owner")
        _, short = data.tokens.create(owner, "short", expires_at=NOON + 60, by=CLI)
        _, long = data.tokens.create(owner, "long", by=CLI)
        assert data.tokens.authenticate(short)
        clock.wall += 60
        assert data.tokens.authenticate(short) is None
        assert data.tokens.authenticate(long)
        data.users.set_active(owner, False, by=CLI)
        assert data.tokens.authenticate(long) is None


def test_a_change_of_role_reaches_a_token_in_use(data: Data) -> None:
    owner = cheap_user(data)
    cheap_user(data, "o@example.com", "owner")
    _, token = data.tokens.create(owner, "robot", by=CLI)
    assert data.tokens.authenticate(token)
    data.users.set_role(owner, UserRole.VIEWER, by=CLI)
    who = data.tokens.authenticate(token)
    assert who is not None
    assert who.role is UserRole.VIEWER


def test_last_use_is_noted_once_a_minute(folder: Path) -> None:
    clock = HandClock()
    with open_data(folder, clock=clock) as data:
        owner = cheap_user(data)
        _, token = data.tokens.create(owner, "robot", by=CLI)

        def used() -> float | None:
            data.tokens.authenticate(token)
            data.journal.run(lambda db: None)
            return data.tokens.list(owner)[0].last_used_at

        assert used() == NOON
        clock.wall += 59
        assert used() == NOON
        clock.wall += 1
        assert used() == NOON + 60


def test_secrets_are_not_in_the_database(data: Data, folder: Path) -> None:
    owner = cheap_user(data)
    _, token = data.tokens.create(owner, "robot", by=CLI)
    mine = data.accounts.add(account(owner), {"api_key": "canary-api-key", "api_secret": "canary-api-secret"}, by=CLI).account
    _, secret = data.webhooks.create(owner, "alerts", account_ids=[mine.account_id], by=CLI)
    data.close()
    stored = b"".join(path.read_bytes() for path in folder.glob("tandem.db*"))
    for private in (token.partition(".")[2], secret, "canary-api-key", "canary-api-secret"):
        assert private.encode() not in stored


def test_a_web_hook_is_for_a_strategy_or_for_accounts_of_its_owner(data: Data) -> None:
    owner, other = cheap_user(data), cheap_user(data, "other@example.com")
    mine = data.accounts.add(account(owner), {}, by=CLI).account.account_id
    theirs = data.accounts.add(account(other), {}, by=CLI).account.account_id
    strategy = data.strategies.add(StrategyConfig("", owner, "EMA", "ema_cross", Timeframe.M5, ("NSE:INFY",)), by=CLI).strategy.strategy_id
    hook, secret = data.webhooks.create(owner, "alerts", account_ids=[mine], by=CLI)
    assert data.webhooks.find(secret) == hook
    assert data.webhooks.find(secret + "x") is None
    assert data.webhooks.create(owner, "alerts", strategy_id=strategy, by=CLI)[0].strategy_id == strategy
    for wrong in ({}, {"strategy_id": strategy, "account_ids": [mine]}):
        with pytest.raises(Invalid):
            data.webhooks.create(owner, "alerts", by=CLI, **wrong)  # type: ignore[arg-type]
    for foreign in ({"account_ids": [mine, theirs]}, {"strategy_id": "unknown"}):
        with pytest.raises(NotFound):
            data.webhooks.create(owner, "alerts", by=CLI, **foreign)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        data.webhooks.create(other, "alerts", strategy_id=strategy, by=CLI)
    with pytest.raises(NotFound):
        data.webhooks.delete(other, hook.webhook_id, by=CLI)
    data.webhooks.delete(owner, hook.webhook_id, by=CLI)
    assert data.webhooks.find(secret) is None
    assert len(data.webhooks.list(owner)) == 1


_OTHER_PROCESS = """
import sys
from pathlib import Path
from app.data import Actor, UserRole, open_data

with open_data(Path(sys.argv[1])) as data:
    by = Actor(None, "cli")
    if sys.argv[2] == "add":
        print(data.tokens.create(data.users.find("trader@example.com").user_id, "new", by=by)[1])
    else:
        user = data.users.find("trader@example.com")
        data.tokens.revoke(user.user_id, data.tokens.list(user.user_id)[0].token_id, by=by)
"""


def _elsewhere(folder: Path, what: str) -> str:
    script = [sys.executable, "-c", _OTHER_PROCESS, str(folder), what]
    return subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_what_another_process_gives_works_at_once_and_what_it_takes_away_ends_within_a_second(folder: Path) -> None:
    with open_data(folder, exclusive=True) as data:
        cheap_user(data)
        told = threading.Event()
        data.tokens.authenticate("tdmwarm.up")
        data.directory.on_change(told.set)
        token = _elsewhere(folder, "add")
        assert data.tokens.authenticate(token)
        assert told.wait(30)
        _elsewhere(folder, "revoke")
        waiting = threading.Event()
        assert any(data.tokens.authenticate(token) is None or waiting.wait(0.05) for _ in range(600))


def test_a_warm_token_is_answered_in_twenty_microseconds(data: Data) -> None:
    _, token = data.tokens.create(cheap_user(data), "robot", by=CLI)
    best = 1.0
    for _ in range(50):
        started = time.thread_time()
        for _ in range(100):
            data.tokens.authenticate(token)
        best = min(best, (time.thread_time() - started) / 100)
    assert best < 20e-6
