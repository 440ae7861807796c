"""Signing in at Angel One: once for all who wait, never the same code twice, never on and on; the session kept until midnight."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pyotp
import pytest

from engines.brokers.angelone.login import Details, expiry, next_midnight
from engines.core.sessions import DAY, day_start
from engines.ports import JournalDown, NeedsLogin, Refused, Retry, Session
from tests.brokers.angelone.rig import CODE, KEY, OVER, PIN, SECRET, Rig, jwt, ok, refusal, request
from tests.brokers.angelone.test_broker import Gate


def test_signing_in(rig: Rig) -> None:
    broker = rig.connect()
    (fields,) = rig.api.calls("login")
    now = rig.clock.now()
    assert (fields["clientcode"], fields["password"]) == (CODE, PIN)
    assert fields["totp"] in {pyotp.TOTP(SECRET).at(int(now) - ago) for ago in (0, 30)}
    assert broker.session_expires_at == day_start(now, "NSE") + DAY - 1  # what the token says, not the midnight after it
    kept = rig.kept.sessions["acc"]
    assert (kept.user_id, kept.tokens["jwt"], kept.expires_at) == (CODE, rig.api.valid, broker.session_expires_at)
    key = broker.stream_key()
    assert key is not None
    assert dict(key.values) == {"api_key": KEY, "client_code": CODE, "jwt": rig.api.valid, "feed_token": "canary-feed"}


def test_a_restart_goes_on_with_the_stored_session(rig: Rig) -> None:
    rig.connect()
    again = rig.make()
    again.connect(rig.told.append)
    assert len(rig.api.calls("login")) == 1
    assert again.session_expires_at == rig.broker.session_expires_at


def test_a_stored_session_that_the_broker_has_ended_is_replaced(rig: Rig) -> None:
    now = rig.clock.now()
    rig.kept.sessions["acc"] = Session(CODE, {"jwt": jwt(now + 3600, 9), "refresh": "", "feed": ""}, now, now + 3600)
    broker = rig.connect()
    assert len(rig.api.calls("login")) == 1
    assert broker.profile().user_id == CODE


@pytest.mark.parametrize(
    ("user", "left"), [(CODE, -1.0), (CODE, 10.0), ("A999999", 3600.0)], ids=["over", "almost over", "another client's"]
)
def test_a_stored_session_that_cannot_serve_is_not_tried(rig: Rig, user: str, left: float) -> None:
    now = rig.clock.now()
    rig.kept.sessions["acc"] = Session(user, {"jwt": "old"}, now - 60, now + left)
    rig.connect()
    assert [call for call, _, _ in rig.api.seen[:2]] == ["login", "profile"]


@pytest.mark.parametrize(
    ("answer", "means", "words"),
    [
        (refusal("AB1000", "Invalid email or password"), Refused, "check the client code and the PIN"),
        (refusal("AB1050", "Invalid totp"), NeedsLogin, "one-time code"),
        ({"success": False, "message": "Client Is Block For Trading", "errorCode": "AB1006", "data": ""}, Refused, "blocked"),
        (OVER, Refused, "API key"),
        (refusal("AB1004"), Retry, "trouble"),
        ((403, "Access denied because of exceeding access rate"), Retry, "fewer calls"),
        ((502, "<html>"), Retry, "server error"),
        (ok(None), Retry, "no session"),
        (ok({"jwtToken": ""}), Retry, "no session"),
        (None, Retry, "did not answer"),
    ],
    ids=["PIN", "code", "blocked", "key", "fault", "rate", "page", "no data", "no token", "hung up"],
)
def test_why_not(rig: Rig, answer: object, means: type[Exception], words: str) -> None:
    rig.api.answers["login"] = [answer]
    with pytest.raises(means, match=words) as told:
        rig.connect()
    assert type(told.value) is means
    assert PIN not in str(told.value)
    assert not any("jwt" in kept.tokens for kept in rig.kept.sessions.values())
    assert not any(secret in repr(dict(kept.tokens)) for kept in rig.kept.sessions.values() for secret in (PIN, KEY, SECRET))


def refused_once(rig: Rig, answer: object) -> None:
    rig.api.answers["login"] = [answer]
    with pytest.raises((Refused, NeedsLogin)):
        rig.connect()
    del rig.api.answers["login"]
    rig.next_code()


@pytest.mark.parametrize("code", ["AB1000", "AB1050"], ids=["PIN", "code"])
def test_refused_details_are_not_tried_again_after_a_restart(rig: Rig, code: str) -> None:
    refused_once(rig, refusal(code))
    for _ in range(2):
        with pytest.raises((Refused, NeedsLogin), match="Not tried again by itself"):
            rig.make().connect(rig.told.append)
    assert len(rig.api.calls("login")) == 1


def test_refused_details_are_tried_again_when_a_person_says_so(rig: Rig) -> None:
    refused_once(rig, refusal("AB1000"))
    rig.person_acts()
    rig.make().connect(rig.told.append)
    assert len(rig.api.calls("login")) == 2


def test_other_details_are_tried(rig: Rig) -> None:
    refused_once(rig, refusal("AB1000"))
    rig.make(pin="8888").connect(rig.told.append)
    assert rig.api.calls("login")[-1]["password"] == "8888"


def test_a_refused_code_is_tried_again_on_the_next_day(rig: Rig) -> None:
    refused_once(rig, refusal("AB1050"))
    rig.clock.moved += DAY
    rig.make().connect(rig.told.append)
    assert len(rig.api.calls("login")) == 2


def test_an_address_that_was_not_registered_is_tried_again_after_a_restart(rig: Rig) -> None:
    refused_once(rig, refusal("AG7002"))
    rig.make().connect(rig.told.append)
    assert len(rig.api.calls("login")) == 2


def test_somebody_elses_session_is_not_kept(rig: Rig) -> None:
    rig.api.answers["profile"] = [ok({"clientcode": "A999999"})]
    with pytest.raises(Refused, match="signed in A999999"):
        rig.connect()
    assert rig.kept.sessions == {}


@pytest.mark.parametrize("missing", ["api_key", "client_code", "pin", "totp_secret"])
def test_details_that_are_missing_are_named(rig: Rig, missing: str) -> None:
    with pytest.raises(Refused, match=missing.replace("_", " ")):
        rig.make(**{missing: " "}).connect(rig.told.append)
    assert rig.api.seen == []


def test_a_totp_secret_that_is_none(rig: Rig) -> None:
    with pytest.raises(Refused, match="TOTP secret"):
        rig.make(totp_secret="123456!").connect(rig.told.append)
    assert rig.api.calls("login") == []


def test_a_totp_secret_as_people_paste_it() -> None:
    spaced = Details.of({"api_key": " k ", "client_code": "a1", "pin": "1234", "totp_secret": " jbsw y3dp-ehpk "})
    assert (spaced.api_key, spaced.client_code, spaced.totp_secret) == ("k", "A1", "JBSWY3DPEHPK")
    assert "1234" not in repr(spaced)


def test_the_same_code_is_never_sent_twice(rig: Rig) -> None:
    rig.api.answers["login"] = [refusal("AB1050", "Invalid totp")]
    with pytest.raises(NeedsLogin):
        rig.connect()
    rig.person_acts()
    with pytest.raises(Retry, match="next one-time code") as told:
        rig.make().connect(rig.told.append)  # made anew, within the same step
    assert 0 < told.value.after <= 30
    rig.clock.moved += told.value.after
    del rig.api.answers["login"]
    rig.connect()
    codes = [fields["totp"] for fields in rig.api.calls("login")]
    assert len(codes) == 2
    assert codes[0] != codes[1]


def test_a_code_that_has_not_left_is_not_used_up_and_hides_nothing(rig: Rig) -> None:
    rig.api.stop()
    for _ in range(2):
        with pytest.raises(Retry, match=r"^Angel One cannot be reached: connection refused$"):
            rig.connect()


def test_waiting_for_a_code_tells_what_it_waits_after(rig: Rig) -> None:
    rig.api.answers["login"] = [None]
    with pytest.raises(Retry, match="did not answer"):
        rig.connect()
    with pytest.raises(Retry, match="Angel One did not answer; waiting for the next one-time code"):
        rig.connect()


def test_many_that_need_a_session_sign_in_once(rig: Rig) -> None:
    broker = rig.connect()
    rig.next_code()
    rig.api.valid = "another"
    sign_in, dead = broker._sign_in, broker._sign_in.current
    clients = [broker._make_client(1.0) for _ in range(8)]
    barrier, got = threading.Barrier(8), []

    def renew(client: object) -> None:
        barrier.wait()
        got.append(sign_in.renew(client, dead).tokens["jwt"])  # type: ignore[arg-type]

    threads = [threading.Thread(target=renew, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    assert set(got) == {rig.api.valid}
    assert len(rig.api.calls("login")) == 2


def test_a_refused_renewal_is_the_last_until_a_person_connects(rig: Rig) -> None:
    broker = rig.connect()
    rig.next_code()
    rig.api.valid = "another"
    rig.api.answers["login"] = [refusal("AB1000")]
    for _ in range(3):
        with pytest.raises(NeedsLogin, match="PIN"):
            broker.place(request(), Gate())
        rig.clock.moved += 40
    assert len(rig.api.calls("login")) == 2
    assert "jwt" not in rig.kept.sessions["acc"].tokens
    assert broker.session_expires_at is not None
    assert broker.session_expires_at <= rig.clock.now()  # the watch over sessions sees that it is over
    assert broker.stream_key() is None
    del rig.api.answers["login"]
    rig.person_acts()
    rig.connect()
    assert broker.place(request(), Gate()).broker_order_id


def test_a_session_that_ends_at_once_is_somebody_elses_doing(rig: Rig) -> None:
    broker = rig.connect()
    rig.api.valid = "another"
    with pytest.raises(NeedsLogin, match="another program"):
        broker.place(request(), Gate())
    assert len(rig.api.calls("login")) == 1


def test_a_renewal_that_must_wait_closes_the_gate_and_is_tried_again(rig: Rig) -> None:
    broker = rig.connect()
    rig.next_code()
    rig.api.valid = "another"
    rig.api.answers["login"] = [(502, "<html>"), ...]
    with pytest.raises(NeedsLogin, match="has to wait"):
        broker.place(request(), Gate())
    assert broker.session_expires_at is None  # not given up
    rig.next_code()
    assert broker.place(request(), Gate()).broker_order_id


def test_the_days_end_is_not_answered_with_a_new_session(rig: Rig) -> None:
    broker = rig.connect()
    ends = broker.session_expires_at
    assert ends is not None
    rig.clock.moved += ends - rig.clock.now() + 1
    rig.api.valid = "another"
    with pytest.raises(NeedsLogin, match="day's session"):
        broker.order_book()
    assert len(rig.api.calls("login")) == 1
    rig.connect()  # the morning
    assert len(rig.api.calls("login")) == 2
    assert broker.order_book() == []


def test_a_store_that_cannot_be_written_costs_nothing_now(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise JournalDown("disk full")

    monkeypatch.setattr(rig.kept, "save", full)
    monkeypatch.setattr(rig.kept, "clear", full)
    broker = rig.connect()
    rig.next_code()
    rig.api.valid = "another"
    assert broker.place(request(), Gate()).broker_order_id


def test_when_a_session_ends() -> None:
    evening = datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp()  # 20:30 IST
    midnight = datetime(2026, 11, 20, 18, 30, tzinfo=UTC).timestamp()
    assert next_midnight(evening) == midnight
    assert expiry(jwt(midnight + 9999), evening) == midnight
    assert expiry(jwt(evening + 60), evening) == evening + 60
    for odd in ("", "a.b", "a.!!!.c", "a.e30.c", "one"):
        assert expiry(odd, evening) == midnight
