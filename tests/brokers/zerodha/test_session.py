"""A session of Zerodha's: found, kept, lent, and over; whoever finds out, every call says so and a person knows what to do."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from engines.brokers.zerodha.login import session, session_end
from engines.ports import NeedsLogin, Refused, Session
from tests.brokers.zerodha.rig import Kept, Later, Rig
from tests.emulators.kite import KiteEmulator


def stored(rig: Rig, token: str | None = None, expires_at: float | None = None) -> Session:
    made = session(rig.emulated.name, {"access_token": token or rig.emulated.credentials["access_token"]}, rig.tools.clock.now())
    if expires_at is not None:
        made = Session(made.user_id, made.tokens, made.started_at, expires_at)
    rig.sessions.save("Z1", made)
    return made


def test_a_token_that_a_person_gave_is_kept_as_a_session(rig: Rig):
    rig.connect()
    kept = rig.sessions.kept["Z1"]
    assert (kept.user_id, kept.tokens["access_token"]) == (rig.emulated.name, rig.emulated.credentials["access_token"])
    assert rig.broker.session_expires_at == kept.expires_at == session_end(kept.started_at)


def test_a_stored_session_is_used_and_not_written_again(rig: Rig):
    kept = stored(rig)
    rig.broker = rig.make(rig.without_token())
    rig.connect()
    assert rig.sessions.kept["Z1"] is kept
    assert rig.broker.profile().user_id == rig.emulated.name


def test_without_any_session_a_person_is_asked_to_log_in(rig: Rig):
    rig.broker = rig.make(rig.without_token())
    with pytest.raises(NeedsLogin, match="log in"):
        rig.connect()
    assert (rig.broker.session_expires_at, rig.broker.stream_key()) == (None, None)
    assert rig.emulator.requests(rig.emulated) == []


def test_a_session_of_yesterday_is_not_tried(rig: Rig):
    stored(rig, expires_at=rig.tools.clock.now() - 1)
    rig.broker = rig.make(rig.without_token())
    with pytest.raises(NeedsLogin, match="six in the morning"):
        rig.connect()
    assert (rig.sessions.kept, rig.emulator.requests(rig.emulated)) == ({}, [])


def test_a_token_given_after_the_stored_session_ended_is_used(rig: Rig):
    stored(rig, token="of yesterday", expires_at=rig.tools.clock.now() - 1)
    rig.connect()
    assert rig.sessions.kept["Z1"].tokens["access_token"] == rig.emulated.credentials["access_token"]


def test_a_stored_session_that_is_refused_is_forgotten(rig: Rig):
    stored(rig, token="revoked")
    with pytest.raises(NeedsLogin):
        rig.connect()
    assert (rig.sessions.kept, rig.broker.stream_key()) == ({}, None)


@pytest.mark.parametrize("missing", ["api_key"])
def test_an_account_without_a_key_says_so(rig: Rig, missing):
    rig.broker = rig.make({name: value for name, value in rig.emulated.credentials.items() if name != missing})
    with pytest.raises(Refused, match="API key"):
        rig.connect()


def test_another_persons_log_in_is_never_kept(rig: Rig):
    rig.broker = rig.make({**rig.emulated.credentials, "user_id": "XY0000"})
    with pytest.raises(Refused, match=f"belongs to {rig.emulated.name}, this account is XY0000"):
        rig.connect()
    assert (rig.sessions.kept, rig.broker.stream_key()) == ({}, None)


def test_the_users_id_may_be_written_small(rig: Rig):
    rig.broker = rig.make({**rig.emulated.credentials, "user_id": f" {rig.emulated.name.lower()} "})
    rig.connect()


def test_a_session_that_ends_during_the_day_ends_for_every_call(rig: Rig):
    rig.pushed_to()
    rig.emulator.expire_session(rig.emulated)
    with pytest.raises(NeedsLogin, match="log in again"):
        rig.place(rig.request())
    ends = rig.broker.session_expires_at
    assert ends is not None
    assert ends <= rig.tools.clock.now()
    assert (rig.sessions.kept, rig.broker.stream_key()) == ({}, None)
    seen = len(rig.emulator.requests(rig.emulated, "place"))
    for call in (rig.broker.balance, rig.broker.order_book, rig.broker.keep_alive, lambda: rig.place(rig.request())):
        with pytest.raises(NeedsLogin):
            call()
    assert len(rig.emulator.requests(rig.emulated, "place")) == seen


def test_a_session_that_ends_is_noticed_without_any_call(rig: Rig):
    rig.pushed_to()
    rig.emulator.expire_session(rig.emulated)  # its sockets are cut and refused from now on
    rig.wait(lambda: rig.broker.stream_key() is None)


def test_after_a_new_log_in_it_works_again(rig: Rig):
    rig.pushed_to()
    rig.emulator.expire_session(rig.emulated)
    rig.wait(lambda: rig.broker.stream_key() is None)
    token = rig.emulator.sign_in(rig.emulated)
    stored(rig, token=token)
    rig.pushed_to()
    rig.place(rig.resting())
    assert rig.broker.stream_key() is not None


def test_a_session_ends_by_the_clock_at_the_hour_it_said(emulator: KiteEmulator):
    clock = Later()
    rig = Rig(emulator, sessions=Kept(), clock=clock)
    rig.connect()
    ends = rig.broker.session_expires_at
    assert ends is not None
    assert 0 < ends - clock.now() <= 86_400
    rig.close()


QUIET = """
    import sys
    import engines.brokers.zerodha, engines.brokers.zerodha.login
    assert "kiteconnect" not in sys.modules and "requests" not in sys.modules
    from engines.brokers.tools import Timing
    from engines.brokers.zerodha.client import KiteClient
    KiteClient("key", "token", "http://127.0.0.1:9", timing=Timing())
    assert "kiteconnect" in sys.modules and not {"twisted.internet.reactor", "autobahn"} & sys.modules.keys()
    from kiteconnect import KiteTicker
    import kiteconnect.ticker
    assert KiteTicker is kiteconnect.ticker.KiteTicker and KiteTicker.ROOT_URI
"""


def test_the_sdk_comes_when_it_is_needed_and_without_its_reactor():
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(QUIET)], capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr
