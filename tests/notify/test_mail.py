"""Mail through a real SMTP server: every answer it can give, encryption, a sign-in, and connections that are used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.data import Data
from engines.core.messages import Event, Line, Tone
from engines.notify.mail import MailServer
from engines.notify.outbox import MAILS
from tests.notify.house import GoingClock, HandClock, Office, counts, destination, message, states, target, tell
from tests.notify.mailbox import Mailbox, html_of, mailbox, text_of, throw_away_certificate
from tests.support import canaries

PASSWORD = "smtpPASSWORDcanary0000000001"
canaries.watch([PASSWORD])


def send(data: Data, *codes: str, to: str = "asha@example.com") -> None:
    expires = data.outbox.store.clock.now() + 600
    for code in codes:
        fields = {"name": "Asha", "code": code, "minutes": 10}
        data.journal.run(
            lambda db, code=code, fields=fields: data.outbox.mail(  # type: ignore[misc]
                db, to=to, kind="sign_up", fields=fields, dedupe=f"code:{code}", expires_at=expires
            )
        )


def test_a_code_arrives_once_and_to_whom_it_is_for(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "123456")
    office.walk()
    (mail,) = post.mails
    assert post.to == ["asha@example.com"]
    assert (mail["From"], mail["To"], mail["Subject"]) == ("Tandem <tandem@example.com>", "asha@example.com", "Your code for Tandem")
    assert (mail["Auto-Submitted"], mail["Message-ID"].endswith("@example.com>")) == ("auto-generated", True)
    assert "123456" in text_of(mail)
    assert "123456" in html_of(mail)
    assert counts(data) == {"sent": 1}


def test_what_is_due_together_is_one_mail(office: Office, data: Data, post: Mailbox) -> None:
    there = destination(data, "email", {"to": "ravi@example.com"})
    numbers = tell(data, [there], 60)
    office.walk()
    assert (len(post.mails), post.numbers) == (2, numbers)
    assert post.mails[0]["Subject"].startswith("50 messages: PAPER · BUY INFY – FILLED")


@pytest.mark.parametrize(
    ("title", "event", "tone"),
    [
        ("Everything is stopped", Event.HALTS, Tone.BAD),
        ("SBIN: an exit failed", Event.TROUBLE, Tone.BAD),
        ("Log in again", Event.LOGINS, Tone.WARN),
    ],
)
def test_a_mail_of_many_is_named_by_what_is_gravest(
    title: str, event: Event, tone: Tone, office: Office, data: Data, post: Mailbox
) -> None:
    there = destination(data, "email", {"to": "ravi@example.com"})
    tell(data, [there], 3)
    tell(data, [there], make=lambda number: message(number, title=title, event=event, tone=tone))
    tell(data, [there], 3)
    office.walk()
    assert [mail["Subject"] for mail in post.mails] == [f"PAPER · {title} (and 6 more)"]


def test_a_line_that_begins_with_from_is_left_as_it_is(office: Office, data: Data, post: Mailbox) -> None:
    there = destination(data, "email", {"to": "ravi@example.com"})
    tell(data, [there], make=lambda number: message(number, text="From now on it trades", lines=(Line("From", "Family EMA"),)))
    office.walk()
    (mail,) = post.mails
    assert ">From" not in text_of(mail)
    assert "\nFrom now on it trades\n" in text_of(mail)


def test_the_mails_of_one_signal_are_one_thread(office: Office, data: Data, post: Mailbox) -> None:
    there = destination(data, "email", {"to": "ravi@example.com"})
    for _ in range(2):
        tell(data, [there], make=lambda number: message(number, thread="S1"))
        office.walk()
    assert post.mails[0]["References"] == post.mails[1]["References"] is not None
    assert post.mails[0]["Message-ID"] != post.mails[1]["Message-ID"]


@pytest.mark.parametrize(
    ("mood", "status", "attempts", "state", "words"),
    [
        ("later", "pending", 1, "ok", "the mail server asks to come again later (451)"),
        ("not now", "pending", 1, "ok", "the mail server asks to come again later (451)"),
        ("nobody", "pending", 1, "refused", "the mail server says that there is no such mailbox (550)"),
        ("full", "pending", 1, "ok", "the mail server takes nothing for this address at the moment (552)"),
        ("never", "dead", 1, "ok", "the mail server does not take the mail (554)"),
        ("die", "pending", 1, "ok", "the mail server broke the connection off"),
    ],
)
def test_each_mood_of_a_mail_server(
    office: Office, data: Data, post: Mailbox, mood: str, status: str, attempts: int, state: str, words: str
) -> None:
    there = destination(data, "email", {"to": "ravi@example.com"})
    tell(data, [there])
    post.moods.append(mood)
    office.walk()
    assert states(data, "status", "attempts", "error") == [(status, attempts, words)]
    assert target(data, there)["state"] == state


def test_one_that_is_not_acceptable_does_not_take_the_others_down(office: Office, data: Data, post: Mailbox) -> None:
    there = destination(data, "email", {"to": "ravi@example.com"})
    tell(data, [there], 3)
    post.moods += ["never", "ok", "never"]
    office.walk()
    assert states(data, "status", "error") == [("sent", ""), ("dead", "the mail server does not take the mail (554)"), ("sent", "")]


def test_a_mailbox_that_says_later_gets_its_mail_later_and_the_others_at_once(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "111111")
    send(data, "222222", to="ravi@example.com")
    post.moods.append("later")
    office.walk()
    assert post.to == ["ravi@example.com"]
    office.pass_(2)
    assert post.to == ["ravi@example.com", "asha@example.com"]
    assert post.connections == 2  # the refused one was left, the next was used again


def test_an_address_over_which_the_server_falls_silent_holds_up_no_other(office: Office, data: Data, post: Mailbox) -> None:
    post.cuts = {"a@tarpit.example"}
    send(data, "000000", to="a@tarpit.example")
    for number in range(12):
        send(data, f"{number + 1:06d}", to=f"{number}@example.com")
        office.walk()
        assert post.to[number:] == [f"{number}@example.com"]  # at once
        office.pass_(31)
    assert post.tried.count("a@tarpit.example") == 5  # by itself: at once, and after 2 s, 10 s, 30 s and 2 min


def test_while_it_falls_silent_over_several_whoever_was_tried_least_is_first(office: Office, data: Data, post: Mailbox) -> None:
    post.cuts = {f"{name}@tarpit.example" for name in "abc"}
    for name in "abc":
        send(data, name * 6, to=f"{name}@tarpit.example")
    for wait in (0, 2, 10, 30):
        office.pass_(wait)
    send(data, "111111")
    office.pass_(145)  # the longest that all of them wait
    assert post.to == ["asha@example.com"]
    assert post.tried.index("asha@example.com") < len(post.tried) - 1  # it was in front of those that were tried before


def test_a_mailbox_that_does_not_exist_gets_nothing_and_nothing_of_the_secret_is_left(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "111111")
    post.moods.append("nobody")
    office.walk()
    assert states(data, "status", "sealed") == [("dead", None)]


def test_an_address_with_a_line_break_never_reaches_the_server(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "111111", to="a@example.com\r\nBcc: evil@example.com")
    send(data, "222222", to="ravi@example.com")
    office.walk()
    assert post.to == ["ravi@example.com"]
    assert states(data, "status", "error") == [("dead", "it cannot be made into a mail"), ("sent", "")]


def test_what_was_taken_without_an_answer_has_the_same_number_when_it_comes_again(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "111111")
    post.moods.append("die")
    office.walk()
    office.pass_(3)
    assert len({mail["Message-ID"] for mail in post.mails}) == 1
    assert (len(post.mails), counts(data)) == (2, {"sent": 1})


def test_messages_that_were_taken_without_an_answer_come_again_as_the_same_mail(office: Office, data: Data, post: Mailbox) -> None:
    """Also when more has happened since, so that a receiver can drop the second."""
    there = destination(data, "email", {"to": "ravi@example.com"})
    first = tell(data, [there], 2)
    post.moods.append("die")
    office.walk()
    second = tell(data, [there], 3)
    office.pass_(10)
    ids = [mail["Message-ID"] for mail in post.mails]
    assert (post.numbers, ids[0] == ids[1], len(set(ids))) == (first + first + second, True, 2)
    assert counts(data) == {"sent": 5}


def test_fifty_mails_share_a_connection(office: Office, data: Data, post: Mailbox) -> None:
    send(data, *(f"{number:06d}" for number in range(52)))
    office.walk()
    assert (len(post.mails), post.connections) == (52, 2)


def test_a_connection_that_nobody_uses_is_left(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "111111")
    office.walk()
    assert len(office.mailer._idle) == 1
    office.pass_(61)
    assert office.mailer._idle == []


def test_a_connection_that_the_server_has_closed_is_replaced_unnoticed(office: Office, data: Data, post: Mailbox) -> None:
    send(data, "111111")
    office.walk()
    for kept in office.mailer._idle:
        kept.smtp.sock.shutdown(2)  # type: ignore[union-attr]
    send(data, "222222")
    office.walk()
    assert (len(post.mails), states(data, "attempts")) == (2, [(1,), (1,)])


@contextmanager
def _office(data: Data, clock: HandClock, server: MailServer | None, **options: Any) -> Iterator[tuple[Office, list[str]]]:
    told: list[str] = []
    made = Office(data, clock, mail=server, trouble=told, **options)
    yield made, told
    made.close()


def test_a_server_that_hangs_costs_its_time_out_and_no_more(data: Data, post: Mailbox) -> None:
    with _office(data, GoingClock(), MailServer("127.0.0.1", post.port, "t@example.com", tls=False), read=0.2) as (office, _):
        send(data, "111111")
        post.moods.append("hang")
        office.once()
        assert states(data, "status", "attempts", "error") == [("pending", 1, "the mail server did not answer in time")]


def test_starttls_and_a_sign_in(data: Data, clock: HandClock, tmp_path: Path) -> None:
    server, trust = throw_away_certificate(tmp_path)
    with mailbox(login=("desk", PASSWORD), tls=server) as box:
        good = MailServer("localhost", box.port, "t@example.com", "desk", PASSWORD)
        with _office(data, clock, good, trust=trust) as (office, _):
            send(data, "111111")
            office.walk()
            assert len(box.mails) == 1
        with _office(data, clock, good) as (office, _):
            send(data, "222222")
            office.walk()
            assert states(data, "error")[-1] == ("the mail server's certificate cannot be trusted",)
        clock.passed += 5
        with _office(data, clock, MailServer("localhost", box.port, "t@example.com", "desk", "wrong"), trust=trust) as (office, _):
            office.walk()
            assert states(data, "error")[-1] == ("the mail server refuses the sign-in (535): see MAIL_USERNAME",)
        assert len(box.mails) == 1


def test_the_owner_is_told_when_no_mail_can_be_sent_and_when_it_can_again(data: Data, clock: HandClock, post: Mailbox) -> None:
    asleep = MailServer("127.0.0.1", 9, "t@example.com", tls=False)
    with _office(data, clock, asleep) as (office, told):
        send(data, "111111")
        for wait in (0, 2, 10, 30):
            office.pass_(wait)
        assert told == ["mail_down: Mail cannot be sent: the mail server could not be reached"]
        office.mailer._server = MailServer("127.0.0.1", post.port, "t@example.com", tls=False)
        office.pass_(120)
        assert told[1:] == ["mail_down is over"]
    assert counts(data) == {"sent": 1}


def test_a_server_that_falls_silent_over_everybody_is_told_too(data: Data, clock: HandClock, post: Mailbox) -> None:
    post.cuts = {"asha@example.com", "ravi@example.com"}
    server = MailServer("127.0.0.1", post.port, "t@example.com", tls=False)
    with _office(data, clock, server) as (office, told):
        send(data, "111111")
        send(data, "222222", to="ravi@example.com")
        for wait in (0, 2, 10, 30):
            office.pass_(wait)
        assert told == ["mail_down: Mail cannot be sent: the mail server broke the connection off"]
        post.cuts = set()
        office.pass_(120)
        assert told[1:] == ["mail_down is over"]


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (None, "no mail server is set (MAIL_SERVER)"),
        (
            MailServer("mail.example.com", 25, "t@example.com", tls=False),
            "mail is sent without encryption (MAIL_USE_TLS) only to this machine",
        ),
    ],
)
def test_settings_with_which_nothing_is_sent(data: Data, clock: HandClock, server: MailServer | None, words: str) -> None:
    with _office(data, clock, server) as (office, _):
        send(data, "111111")
        office.walk()
        assert states(data, "status", "error") == [("pending", words)]
        assert data.deliveries.agenda()[0].target == MAILS


def test_a_server_without_starttls_gets_no_password(data: Data, clock: HandClock, post: Mailbox) -> None:
    with _office(data, clock, MailServer("127.0.0.1", post.port, "t@example.com", "desk", PASSWORD)) as (office, _):
        send(data, "111111")
        office.walk()
        assert states(data, "error") == [("the mail server does not offer what the settings ask for (STARTTLS or a sign-in)",)]
        assert post.mails == []
